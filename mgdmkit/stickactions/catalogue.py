"""What StickActions shows: six scenes of ten actions, written down in `score.txt` as a score of key poses.

A programme maps a phase in [0, 1] to a pose and to the state of one prop. An action and its reverse share one
programme, played forwards and backwards; that is what makes them inseparable on any single frame.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mgdmkit.stickactions.scenes import PROPS

SCORE = Path(__file__).with_name("score.txt")

# The numbers of one moment: hip, torso, head, hands, feet, and the prop's place, angle and state.
CHANNELS = ("hx", "hy", "lean", "nod", "nx", "ny", "fx", "fy", "px", "py", "qx", "qy", "ox", "oy", "turn", "s")
REST: dict[str, tuple[float, ...]] = {
    "hip": (0.0, 0.345),
    "lean": (2.0,),
    "nod": (0.0,),
    "near": (0.05, 0.315),
    "far": (0.03, 0.32),
    "foot": (0.05, 0.0),
    "foot2": (-0.05, 0.0),
    "at": (0.0, 0.0),
    "turn": (0.0,),
    "s": (0.0,),
}
TOGETHER = {"hands": ("near", "far"), "grab": ("near", "at"), "both": ("near", "far", "at")}


@dataclass(frozen=True)
class Action:
    """One programme of the score: `keys[i]` are the 16 channels at phase `times[i]`, placed in the scene."""

    labels: tuple[str, ...]  # (forwards,) or (forwards, backwards)
    prop: str  # the object that moves; it also tells the scene
    x: float
    face: int  # 1 looks to the right, -1 to the left
    behind: bool
    cycles: int  # 0: the keys run once
    grips: tuple[tuple[float, float, str], ...]
    needs: tuple[str, ...]
    meter: str
    says: tuple[str, ...]
    times: tuple[float, ...]
    keys: tuple[tuple[float, ...], ...]
    backwards: bool = False  # whether the programme is played from its end

    @property
    def scene(self) -> str:
        return PROPS[self.prop].scene

    def progress(self, phase: float, offset: float = 0.0) -> float:
        """Where in the programme a clip is at `phase`; `offset` shifts where a cyclic action starts."""
        if self.cycles:
            return (phase * self.cycles + offset) % 1.0
        return 1.0 - phase if self.backwards else phase

    def at(self, phase: float) -> tuple[float, ...]:
        """The channels at a phase in [0, 1]; the motion starts and stops softly at every key."""
        i = min(max(bisect_right(self.times, phase) - 1, 0), len(self.times) - 2)
        t = (phase - self.times[i]) / (self.times[i + 1] - self.times[i])
        # Half linear, half smooth: soft at the keys without standing still there.
        w = 0.5 * t + 0.5 * t * t * (3 - 2 * t)
        return tuple([a + (b - a) * w for a, b in zip(self.keys[i], self.keys[i + 1], strict=True)])

    def state(self, channels: tuple[float, ...]) -> str:
        """The prop's state in words."""
        i = CHANNELS.index(self.meter)
        sign = self.face if self.meter in ("hx", "nx", "fx", "px", "qx", "ox") else 1
        values = [sign * key[i] for key in self.keys]
        part = (sign * channels[i] - min(values)) / (max(values) - min(values))
        return self.says[min(int(part * len(self.says)), len(self.says) - 1)]


def _key(changes: str, state: dict[str, tuple[float, ...]]) -> None:
    """Apply the changes of one key, as in "near 0.2 0.4, lean 8", to `state`."""
    for change in filter(None, map(str.strip, changes.split(","))):
        name, *numbers = change.split()
        if name == "down":
            state.update(near=REST["near"], far=REST["far"])
            continue
        for channel in TOGETHER.get(name, (name,)):
            if len(numbers) != len(REST[channel]):
                raise ValueError(f"{change!r}: {channel} takes {len(REST[channel])} numbers")
            state[channel] = tuple(map(float, numbers))


def _parse(paragraph: str) -> Action:
    title, setting, states, *lines = (line.strip() for line in paragraph.splitlines())
    prop, *words = (word.split() for word in setting.split(","))
    options: dict[str, list[list[str]]] = {}
    for name, *values in words:
        options.setdefault(name, []).append(values)
    x, face = float(options["x"][0][0]), -1 if "left" in options else 1
    home = PROPS[prop[0]]
    # In the person's own coordinates, like every key.
    state = {**REST, "at": ((home.x - x) * face, home.y)}
    times, keys = [], []
    for line in lines:
        time, _, changes = line.partition("%")
        _key(changes, state)
        flat = [number for channel in REST for number in state[channel]]
        for i, name in enumerate(CHANNELS):
            if name.endswith("x"):
                flat[i] = x + face * flat[i]
        times.append(float(time) / 100)
        keys.append(tuple(flat))
    meter, _, says = states.partition(":")
    return Action(
        labels=tuple(label.strip() for label in title.split("|")),
        prop=prop[0],
        x=x,
        face=face,
        behind="behind" in options,
        cycles=int(options.get("cycles", [["0"]])[0][0]),
        grips=tuple((float(a) / 100, float(b) / 100, carrier) for a, b, carrier in options.get("grip", [])),
        needs=tuple(name for (name,) in options.get("needs", [])),
        meter=meter,
        says=tuple(state.strip() for state in says.split("/")),
        times=tuple(times),
        keys=tuple(keys),
    )


_PARAGRAPHS = SCORE.read_text(encoding="utf-8").strip().split("\n\n")
ACTIONS: tuple[Action, ...] = tuple(_parse(paragraph) for paragraph in _PARAGRAPHS if not paragraph.startswith("#"))
PLAYED: dict[str, Action] = {
    label: replace(action, backwards=i == 1) for action in ACTIONS for i, label in enumerate(action.labels)
}
LABELS: tuple[str, ...] = tuple(sorted(PLAYED))
SCENES: dict[str, tuple[str, ...]] = {
    scene: tuple(label for label in LABELS if PLAYED[label].scene == scene)
    for scene in sorted({action.scene for action in ACTIONS})
}
_PAIRS = [action.labels for action in ACTIONS if len(action.labels) == 2]
REVERSED: dict[str, str] = dict(_PAIRS) | {backwards: forwards for forwards, backwards in _PAIRS}


def scene_of(label: str) -> str:
    """The scene a label belongs to; `KeyError` with the labels that exist for an unknown one."""
    if label not in PLAYED:
        raise KeyError(f"{label!r} is not a StickActions label; they are {', '.join(LABELS)}")
    return PLAYED[label].scene


def scene_numbers(labels: Sequence[str]) -> list[int]:
    """The scene of each label as a number, in the order of `SCENES`; `KeyError` for an unknown label."""
    scenes = list(SCENES)
    return [scenes.index(scene_of(label)) for label in labels]


def reverse_of(labels: Sequence[str]) -> list[int]:
    """Where the reverse of each label stands among `labels`; the label's own place where it has none there."""
    return [labels.index(REVERSED[label]) if REVERSED.get(label) in labels else i for i, label in enumerate(labels)]
