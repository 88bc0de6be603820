"""What StickActions shows: six scenes of ten actions, written down as a score of key poses.

A programme maps a phase in [0, 1] to a pose and to the state of one prop. An action and its reverse share one
programme, played forwards and backwards; that is what makes them inseparable on any single frame.

The score has one paragraph per programme:

    label | label of the reverse
      prop, x where the person stands, the way they look, and possibly: behind (the prop is drawn behind the
        person), cycles N (the keys repeat N times in a clip), grip FROM TO near/both/head (from which to which
        percentage the prop is in the near hand, between both hands, or on the head), needs OTHER_PROP
      channel: the prop's states in words, for captions, from the channel's least to its greatest value
      percentage of the motion, then what changes from the key before

Lengths are in frame heights, angles in degrees. Keys are written for a person at x = 0 who looks to the right.
A key may set hip, near, far (the hands), foot, foot2 (two numbers each); lean, nod (torso, head); at, turn, s
(the prop's place, angle and state); hands (near and far), grab (near and at), both (near, far and at), and
down (arms hang).
"""

from bisect import bisect_right
from dataclasses import dataclass

from mgdmkit.stickactions.scenes import PROPS

SCORE = """
# kitchen

opening a fridge | closing a fridge
  fridge, x 0.5, left, behind
  s: fridge shut / fridge slightly open / fridge half open / fridge wide open
    0%
   25% near 0.25 0.4, lean 8
   50% near 0.288 0.41, s 0.35, lean 12, hip 0.03 0.34
   75% near 0.385 0.42, s 0.7, hip 0.12 0.34, lean 14, foot 0.19 0, foot2 0.05 0
  100% near 0.2 0.36, far 0.15 0.33, s 1, lean 6

putting a plate on a shelf | taking a plate off a shelf
  plate, x 0.53, right, grip 0 75 both
  oy: plate held at the waist / plate at chest height / plate at head height / plate on the shelf
    0% both 0.14 0.36, lean 4
   45% both 0.17 0.5
   75% both 0.235 0.674, lean 9, nod -14
  100% down, lean 2, nod -6

taking a pot off the stove | putting a pot on the stove
  pot, x 0.55, right, grip 25 100 both
  ox: pot held close / pot carried from the stove / pot lifted over the stove / pot on the stove
    0% at 0.24 0.39
   25% both 0.24 0.39, lean 16
   50% both 0.2 0.5, lean 4
   75% both 0.06 0.48, hip -0.14 0.345, foot -0.1 0, foot2 -0.18 0, lean -2
  100% both 0.05 0.37, hip -0.16 0.345, foot -0.11 0, foot2 -0.21 0, lean 4

opening an oven | closing an oven
  oven, x 0.54, right, behind
  s: oven shut / oven slightly open / oven half open / oven wide open
    0%
   30% near 0.19 0.24, far 0.07 0.25, lean 34, hip -0.05 0.27
   65% near 0.17 0.12, lean 40, hip -0.07 0.2, s 0.6
   80% near 0.17 0.05, far 0.07 0.2, lean 52, hip -0.08 0.145, s 1
  100% near 0.05 0.2, lean 30, hip -0.07 0.2

stirring a pot
  spoon, x 0.56, right, cycles 3, grip 0 100 near, needs pot
  nx: spoon near side of the pot / spoon mid pot / spoon far side of the pot
    0% near 0.17 0.51, far 0.16 0.4, lean 12, turn -22
   25% near 0.23 0.55, turn 0, lean 14
   50% near 0.29 0.51, turn 18, lean 18
   75% near 0.23 0.47, turn 0, lean 14
  100% near 0.17 0.51, turn -22, lean 12

chopping vegetables
  knife, x 0.47, right, cycles 4, grip 0 100 near, needs board
  ny: knife down on the vegetables / knife just above the vegetables / knife raised over vegetables
    0% near 0.15 0.385, far 0.16 0.385, lean 16, nod 12, turn 0
   50% near 0.13 0.5, turn 24
  100% near 0.15 0.385, turn 0

# gym

lifting a barbell | lowering a barbell
  barbell, x 0.48, right, grip 20 100 both
  oy: barbell on the floor / barbell at knee height / barbell at the hips / barbell at the chest / barbell overhead
    0% at 0.14 0.09
   20% both 0.14 0.09, hip -0.1 0.2, lean 48, nod -20
   50% both 0.09 0.33, hip 0 0.345, lean 2, nod 0
   70% both 0.1 0.53, hip 0 0.32, lean -3
   90% both 0.02 0.785, hip 0 0.345, lean 0
  100%

picking up a kettlebell | putting down a kettlebell
  kettlebell, x 0.45, right, grip 35 100 near
  oy: kettlebell on the floor / kettlebell at knee height / kettlebell at the hips / kettlebell at the chest
    0% at 0.15 0.13
   35% grab 0.15 0.13, far 0.03 0.23, hip -0.09 0.22, lean 50, nod -15
   70% grab 0.09 0.32, far 0 0.33, hip 0 0.345, lean 0, nod 0
   90% grab 0.14 0.5
  100%

stepping onto a box | stepping off a box
  step, x 0.5, right, behind
  hx: standing before the box / one foot on the box / climbing the box / standing on the box
    0%
   30% foot 0.24 0.125, hip 0.06 0.34, lean 10, near 0.02 0.36, far 0.2 0.42
   60% hip 0.2 0.42, lean 18, foot2 0.12 0.05, near 0.3 0.5, far 0.2 0.42
   85% hip 0.3 0.465, lean 2, foot 0.34 0.125, foot2 0.25 0.125, near 0.35 0.435, far 0.33 0.44
  100%

sitting down on a mat | standing up from a mat
  mat, x 0.4, right, behind
  hy: seated on the mat / bent low over the mat / standing on the mat
    0% at 0 0
   40% hands 0.16 0.36, hip -0.08 0.2, lean 32, foot 0.06 0, foot2 0 0
   75% hip -0.09 0.065, lean 4, near -0.16 0.06, far -0.14 0.07, foot 0.14 0, foot2 0.1 0
  100% foot 0.24 0, foot2 0.2 0, lean -6

doing squats
  mat, x 0.42, right, behind, cycles 3
  hy: deep squat on the mat / half squat on the mat / standing tall on the mat
    0% hands 0.22 0.53, at 0 0
   50% hands 0.22 0.42, hip -0.1 0.16, lean 34, nod -16
  100% hands 0.22 0.53, hip 0 0.345, lean 2, nod 0

punching a bag
  bag, x 0.42, left, behind, cycles 3
  lean: fists up before the punching bag / fist moving to the punching bag / fist on the punching bag
    0% near 0.1 0.52, far 0.1 0.5, lean 4, foot 0.08 0, foot2 -0.08 0
   25% near 0.245 0.54, lean 14, turn -4
   50% near 0.1 0.52, lean 4, turn 4
   75% far 0.245 0.52, lean 14, turn -4
  100% far 0.1 0.5, lean 4, turn 0

# workshop

lifting a crate | putting down a crate
  crate, x 0.42, right, grip 30 100 both
  oy: crate on the floor / crate at knee height / crate at the hips / crate at the chest
    0% at 0.16 0.07
   30% both 0.15 0.08, hip -0.1 0.17, lean 52, nod -15
   65% both 0.14 0.34, hip -0.02 0.345, lean 2, nod 0
   90% both 0.15 0.5, lean -6
  100%

climbing up a ladder | climbing down a ladder
  ladder, x 0.35, left, behind
  hy: standing at the ladder / low on the ladder / halfway up the ladder / high on the ladder
    0%
   20% near 0.15 0.52, far 0.15 0.6, hip 0.03 0.345, foot 0.13 0.06
   50% near 0.15 0.67, hip 0.05 0.4, foot2 0.13 0.06
   75% far 0.15 0.75, hip 0.05 0.43, foot 0.13 0.21
  100% near 0.15 0.82, hip 0.05 0.47, foot2 0.13 0.135

opening a drawer | closing a drawer
  drawer, x 0.42, right, behind
  s: drawer shut / drawer slightly open / drawer half open / drawer wide open
    0%
   25% near 0.215 0.245, far 0.09 0.27, lean 34, hip -0.02 0.285, nod 4
   75% near 0.045 0.245, far -0.03 0.27, hip -0.13 0.3, lean 24, s 1, foot -0.06 0, foot2 -0.16 0
  100% near -0.04 0.3, far -0.06 0.29, hip -0.13 0.335, lean 14

hanging up a saw | taking down a saw
  saw, x 0.5, right, grip 0 75 near
  oy: saw at the hip / saw at chest height / saw at head height / saw on the wall
    0% grab 0.06 0.31, turn -10
   40% grab 0.17 0.47, turn -5
   75% grab 0.19 0.64, turn 0, lean 7, nod -12
  100% near 0.05 0.315, lean 2, nod -6

hammering a nail
  hammer, x 0.54, right, cycles 3, grip 0 100 near, needs plank
  ny: hammer on the nail / hammer at chest height / hammer raised high
    0% near 0.13 0.41, far 0.16 0.37, lean 16, nod 10, turn -4
   55% near 0.09 0.66, turn 70, lean 4
  100% near 0.13 0.41, turn -4, lean 16

sawing a plank
  saw, x 0.5, right, cycles 3, grip 0 100 near, needs plank
  nx: saw pulled back / saw halfway through its stroke / saw pushed forward
    0% near 0.06 0.41, far 0.17 0.37, lean 12, nod 10, turn -9
   50% near 0.19 0.385, lean 28
  100% near 0.06 0.41, lean 12

# garden

opening a gate | closing a gate
  gate, x 0.56, right, behind
  s: gate shut / gate slightly open / gate half open / gate wide open
    0%
   20% near 0.213 0.3, lean 20
   50% near 0.26 0.31, hip 0.06 0.345, s 0.5, foot 0.14 0, foot2 0 0
   80% near 0.37 0.34, hip 0.16 0.345, s 1, foot 0.22 0, foot2 0.1 0
  100% near 0.21 0.315, far 0.18 0.32, lean 2

sitting down on a bench | standing up from a bench
  bench, x 0.34, right, behind
  hy: seated on the bench / just above the bench / rising over the bench / standing by the bench
    0%
   40% hands 0.08 0.3, hip -0.06 0.27, lean 34, foot2 0.01 0
   75% hands 0.06 0.24, hip -0.11 0.2, lean 12
  100% lean -10, near 0.02 0.25, far 0.03 0.26, foot 0.09 0

hanging up a lantern | taking down a lantern
  lantern, x 0.44, left, grip 0 75 near
  oy: lantern held at the waist / lantern at chest height / lantern at head height / lantern on the branch
    0% grab 0.1 0.36
   40% grab 0.18 0.55
   75% grab 0.18 0.72, lean 6, nod -18, far 0.1 0.4
  100% down, lean 2, nod -8

planting a flower | pulling out a flower
  flower, x 0.48, right, grip 0 70 near, needs soil
  oy: flower in the soil / flower just above the soil / flower at knee height / flower held at the waist
    0% grab 0.13 0.46
   35% grab 0.17 0.3, hip -0.05 0.26, lean 34
   70% grab 0.18 0.05, far 0.14 0.06, hip -0.08 0.16, lean 60, nod -15
  100% near 0.09 0.2, far 0.05 0.2, lean 28, nod 8, hip -0.08 0.19

raking leaves
  rake, x 0.42, right, cycles 3, grip 0 100 near, needs leaves
  nx: rake pulled in over leaves / rake halfway over the leaves / rake reaching far over leaves
    0% near 0.1 0.3, far 0 0.42, lean 8, turn -50, foot 0.09 0
   50% near 0.22 0.29, far 0.1 0.38, lean 30, turn -46
  100% near 0.1 0.3, far 0 0.42, lean 8, turn -50

digging a hole
  shovel, x 0.44, right, cycles 2, grip 0 100 near, needs soil
  ny: shovel pressed into the soil / shovel above the soil / shovel swung up high
    0% near 0.13 0.28, far 0.08 0.4, lean 18, turn -72, foot 0.08 0
   30% near 0.16 0.24, far 0.1 0.36, lean 40, hip -0.04 0.29, turn -62, s 0
   60% near 0.19 0.42, far 0.07 0.4, lean 2, hip 0 0.345, turn 8, s 1
   80% near 0.2 0.48, turn 22, s 0
  100% near 0.13 0.28, far 0.08 0.4, lean 18, turn -72

# office

sitting down at a desk | standing up from a desk
  chair, x 0.56, right, behind
  hy: seated at the desk / just above the chair at the desk / rising at the desk / standing at the desk
    0% at -0.11 0
   40% hands 0.12 0.34, hip -0.07 0.28, lean 34
   75% hands 0.1 0.31, hip -0.11 0.21, lean 8
  100% hands 0.16 0.33, lean 4

opening a laptop | closing a laptop
  laptop, x 0.52, right, behind
  s: laptop shut / laptop slightly open / laptop half open / laptop fully open
    0%
   25% near 0.2 0.35, lean 22, nod 8
   50% near 0.25 0.45, s 0.5, lean 22
   75% near 0.32 0.47, s 1, lean 30
  100% hands 0.2 0.345, lean 14

opening a filing cabinet | closing a filing cabinet
  cabinet, x 0.44, left, behind
  s: cabinet shut / cabinet slightly open / cabinet half open / cabinet wide open
    0%
   25% near 0.25 0.35, lean 18
   75% near 0.08 0.35, lean 0, s 1, hip -0.1 0.345, foot -0.04 0, foot2 -0.15 0
  100% near -0.02 0.46, far 0.02 0.44, lean 14, nod 12

raising the blinds | lowering the blinds
  blinds, x 0.5, right, behind
  s: blinds down / blinds mostly down / blinds half raised / blinds up
    0%
   25% near 0.15 0.74, far 0.05 0.35, lean 2, nod -14
   80% near 0.15 0.5, s 1, lean 8, nod -14, hip 0 0.33
  100% down, lean 2, hip 0 0.345

writing on a whiteboard
  whiteboard, x 0.44, left, behind
  s: one line on the whiteboard / two lines on the whiteboard / three lines on the whiteboard
    0% near 0.2 0.7, lean 4, nod -10, s 0
   30% near 0.34 0.7, s 0.32, lean 12, hip 0.06 0.345, foot 0.11 0
   36% near 0.2 0.63, s 0.34, lean 4, hip 0 0.345
   64% near 0.34 0.63, s 0.65, lean 12, hip 0.06 0.345
   70% near 0.2 0.56, s 0.67, lean 4, hip 0 0.345
  100% near 0.34 0.56, s 1, lean 12, hip 0.06 0.345

drinking coffee
  cup, x 0.52, right, grip 25 85 near
  oy: cup on the desk / cup at chest height / cup at the mouth
    0% at 0.19 0.345
   25% grab 0.17 0.345, lean 10
   50% grab 0.1 0.6, turn 30, lean -4, nod -14
   62% turn 45, nod -20
   85% grab 0.17 0.345, turn 0, lean 10, nod 0
  100% down, lean 2

# beach

opening a parasol | closing a parasol
  parasol, x 0.57, right, behind
  s: parasol folded / parasol slightly open / parasol half open / parasol wide open
    0%
   20% near 0.2 0.37, lean 13
   80% near 0.2 0.56, far 0.18 0.4, s 1, lean 4, nod -16
  100% down, lean 0, hip -0.03 0.345

lifting a surfboard | laying down a surfboard
  surfboard, x 0.42, right, grip 30 100 both
  turn: surfboard flat on the sand / surfboard tilted up / surfboard upright
    0% at 0.16 0.05
   30% both 0.15 0.07, hip -0.1 0.17, lean 52, nod -15
   65% both 0.13 0.33, hip 0 0.345, lean 4, nod 0, turn 20
   95% both 0.16 0.37, turn 88
  100%

lying down on a towel | getting up from a towel
  towel, x 0.5, right, behind
  lean: lying back on the towel / sitting on the towel / crouching over the towel / standing on the towel
    0% at -0.02 0
   35% hands 0.14 0.3, hip -0.02 0.16, lean 40
   60% hip -0.02 0.055, lean -8, near -0.12 0.05, far -0.1 0.06, foot 0.22 0, foot2 0.18 0
   90% lean -82, nod 6, near -0.02 0.09, far -0.02 0.06, foot 0.3 0.01, foot2 0.29 0
  100%

putting on a sun hat | taking off a sun hat
  hat, x 0.44, right, grip 0 68 both, grip 68 100 head
  oy: sun hat at the waist / sun hat at chest height / sun hat before the face / sun hat on the head
    0% both 0.13 0.38, nod 10
   40% both 0.17 0.6, nod 0
   70% both 0.03 0.71, nod 4
  100% down, nod 0

bouncing a ball
  ball, x 0.42, right, cycles 3
  oy: ball on the ground / ball between hand and ground / ball at the hand
    0% near 0.15 0.38, at 0.17 0.31, lean 12, hip 0 0.31
   50% near 0.15 0.27, at 0.17 0.065, lean 18
  100% near 0.15 0.38, at 0.17 0.31, lean 12

flying a kite
  kite, x 0.36, right, behind, cycles 2
  oy: kite pulled low / kite halfway up / kite high in the sky
    0% near 0.12 0.42, far 0.07 0.4, at 0.4 0.62, lean -6, nod -16, turn 10
   50% near 0.17 0.62, far 0.1 0.5, at 0.3 0.72, lean -2, turn -12
  100% near 0.12 0.42, far 0.07 0.4, at 0.4 0.62, lean -6, turn 10
"""

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

    @property
    def scene(self) -> str:
        return PROPS[self.prop].scene

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


@dataclass(frozen=True)
class Played:
    """A label: its action, and whether the programme runs backwards."""

    action: Action
    backwards: bool

    def progress(self, phase: float, offset: float = 0.0) -> float:
        """Where in the programme the clip is at `phase`; `offset` shifts where a cyclic action starts."""
        if self.action.cycles:
            return (phase * self.action.cycles + offset) % 1.0
        return 1.0 - phase if self.backwards else phase


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


ACTIONS: tuple[Action, ...] = tuple(
    _parse(paragraph) for paragraph in SCORE.strip().split("\n\n") if not paragraph.startswith("#")
)
PLAYED: dict[str, Played] = {
    label: Played(action, backwards=i == 1) for action in ACTIONS for i, label in enumerate(action.labels)
}
LABELS: tuple[str, ...] = tuple(sorted(PLAYED))
SCENES: dict[str, tuple[str, ...]] = {
    scene: tuple(label for label in LABELS if PLAYED[label].action.scene == scene)
    for scene in sorted({action.scene for action in ACTIONS})
}
REVERSED: dict[str, str] = {
    label: action.labels[1 - i]
    for action in ACTIONS
    if len(action.labels) == 2
    for i, label in enumerate(action.labels)
}


def scene_of(label: str) -> str:
    """The scene a label belongs to; `KeyError` with the labels that exist for an unknown one."""
    if label not in PLAYED:
        raise KeyError(f"{label!r} is not a StickActions label; they are {', '.join(LABELS)}")
    return PLAYED[label].action.scene
