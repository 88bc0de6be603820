"""From random numbers to frames: the nuisances of a clip, and how one moment of it is drawn.

Splits differ in `RANGES`: `val` draws like `train`; `test` has other shirts, other proportions, other speeds,
stronger camera drift, other zooms and other variants of every backdrop. Everything else is shared.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from mgdmkit.stickactions.catalogue import LABELS, PLAYED, REVERSED
from mgdmkit.stickactions.drawing import HEAD, INK, Colour, Look, Pen, Skeleton, draw_person, draw_shadow, skeleton
from mgdmkit.stickactions.scenes import BACKDROPS, BOTTOM, LEFT, PROPS, RIGHT, TINTS, TOP

SPLITS = ("train", "val", "test")
# Drawn larger, then averaged: Pillow's shapes have no antialiasing of their own. Videos are looked at, stills
# are drawn by the hundred thousand.
VIDEO_SAMPLES, STILL_SAMPLES = 3, 2
GROUND = 0.875  # where the ground line lies in the frame, as a fraction of its height from the top
CLIPS, STILLS = 1, 2  # keep the random streams of the two apart


@dataclass(frozen=True)
class Ranges:
    """The nuisances in which splits differ."""

    shirts: tuple[Colour, ...]
    proportions: tuple[float, float]  # how far each body proportion is from the average, either way
    motion: tuple[tuple[int, int], ...]  # frames from the first to the last moment of the motion
    drift: tuple[float, float]  # how far the camera moves in a clip, in frame widths
    shift: tuple[float, float]  # how far the scene is from the middle, in frame widths
    variants: range  # of the backdrop: colours and decoration
    zooms: tuple[float, ...]


_TRAIN = Ranges(
    shirts=((222, 76, 72), (58, 116, 200), (246, 190, 62), (74, 158, 104), (248, 244, 236), (128, 92, 172)),
    proportions=(0.0, 0.045),
    motion=((18, 28),),
    drift=(0.0, 0.03),
    shift=(0.0, 0.03),
    variants=range(24),
    zooms=(0.92, 0.95, 0.98, 1.01),
)
_TEST = Ranges(
    shirts=((232, 120, 48), (38, 150, 160), (214, 84, 140), (112, 134, 52), (70, 74, 96)),
    proportions=(0.045, 0.07),
    motion=((15, 17), (29, 31)),
    drift=(0.03, 0.045),
    shift=(0.0, 0.04),
    variants=range(24, 36),
    zooms=(0.9, 0.935, 0.965, 1.03),
)
RANGES: dict[str, Ranges] = {"train": _TRAIN, "val": _TRAIN, "test": _TEST}
HOLD = (4, 7)  # frames of stillness before the motion, and after it

SKINS: tuple[Colour, ...] = ((250, 214, 184), (236, 188, 150), (206, 152, 112), (160, 110, 78), (118, 78, 56))
HAIRS: tuple[Colour, ...] = ((52, 42, 44), (98, 62, 42), (202, 150, 76), (158, 74, 44), (150, 146, 148))
TROUSERS: tuple[Colour, ...] = ((52, 62, 96), (88, 72, 66), (64, 92, 110), (92, 92, 104), (120, 86, 60))
SHOES: tuple[Colour, ...] = ((50, 44, 48), (240, 236, 230), (176, 62, 58))


@dataclass(frozen=True)
class Clip:
    """All that makes a clip except the pixels."""

    label: str
    look: Look
    mirror: bool
    variant: int
    zoom: float
    shift: tuple[float, float]
    drift: tuple[float, float]
    before: int
    motion: int
    after: int
    offset: float  # where a cyclic action starts
    tint: Colour
    props: tuple[tuple[str, float, Colour], ...]  # what stands around: name, state, tint

    @property
    def frames(self) -> int:
        return self.before + self.motion + self.after

    def phase(self, frame: int) -> float:
        """How much of the motion is done at a frame, in [0, 1]."""
        return min(max((frame - self.before) / (self.motion - 1), 0.0), 1.0)

    def reversed(self) -> "Clip":
        """The clip of the time-reversed label whose frames are this clip's, last to first."""
        drift = (-self.drift[0], -self.drift[1])
        return replace(self, label=REVERSED[self.label], before=self.after, after=self.before, drift=drift)


def _between(u: Iterator[float], low: float, high: float) -> float:
    return low + (high - low) * next(u)


def _signed(u: Iterator[float], bounds: tuple[float, float]) -> float:
    return _between(u, *bounds) * (1 if next(u) < 0.5 else -1)


def pick(u: Iterator[float], choices: Sequence[Any]) -> Any:
    return choices[int(next(u) * len(choices))]


def _look(u: Iterator[float], ranges: Ranges) -> Look:
    return Look(
        legs=1 + 0.7 * _signed(u, ranges.proportions),
        torso=1 + _signed(u, ranges.proportions),
        arms=1 + 0.04 + 0.7 * _signed(u, ranges.proportions),
        head=1 + _signed(u, ranges.proportions),
        girth=_between(u, 0.9, 1.14),
        skin=pick(u, SKINS),
        hair=pick(u, HAIRS),
        hair_style=int(next(u) * 4),
        shirt=pick(u, ranges.shirts),
        sleeves=next(u) < 0.5,
        trousers=pick(u, TROUSERS),
        shoes=pick(u, SHOES),
    )


def _surroundings(u: Iterator[float], label: str) -> tuple[tuple[str, float, Colour], ...]:
    action = PLAYED[label]
    standing = []
    for name, prop in PROPS.items():
        if prop.scene != action.scene:
            continue
        shown, state, tint = next(u) < prop.often, next(u), pick(u, TINTS)
        if name == action.prop or not (shown or name in action.needs):
            continue
        standing.append((name, state / prop.loose if state < prop.loose else 0.0, tint))
    return tuple(standing)


def sample_clip(label: str, split: str, rng: np.random.Generator) -> Clip:
    """Draw the nuisances of a clip of `label`."""
    ranges = RANGES[split]
    u = iter(rng.random(96).tolist())
    variant = pick(u, ranges.variants)
    low, high = pick(u, ranges.motion)
    return Clip(
        label=label,
        look=_look(u, ranges),
        mirror=next(u) < 0.5,
        variant=variant,
        zoom=ranges.zooms[variant % len(ranges.zooms)],
        shift=(_signed(u, ranges.shift), 0.3 * _signed(u, ranges.shift)),
        drift=(_signed(u, ranges.drift), 0.4 * _signed(u, ranges.drift)),
        before=int(_between(u, HOLD[0], HOLD[1] + 1)),
        motion=int(_between(u, low, high + 1)),
        after=int(_between(u, HOLD[0], HOLD[1] + 1)),
        offset=next(u),
        tint=pick(u, TINTS),
        props=_surroundings(u, label),
    )


def clip_of(label: str, split: str, seed: int, index: int) -> Clip:
    """The `index`-th clip of a label in a split; `ValueError` for an unknown label or split."""
    if label not in PLAYED or split not in SPLITS:
        raise ValueError(f"no clips of {label!r} in {split!r}: labels are in LABELS, splits are {SPLITS}")
    rng = np.random.default_rng([seed, CLIPS, SPLITS.index(split), LABELS.index(label), index])
    return sample_clip(label, split, rng)


@lru_cache(maxsize=256)
def _backdrop(scene: str, variant: int, scale: float) -> tuple[Image.Image, Colour]:
    """The empty place, larger than the frame, and the colour of its ground. Shared: copy before drawing."""
    size = (round((RIGHT - LEFT) * scale), round((TOP - BOTTOM) * scale))
    image = Image.new("RGB", size)
    pen = Pen(ImageDraw.Draw(image), scale, round(-LEFT * scale), round(TOP * scale))
    numbers = np.random.default_rng([variant, sorted(BACKDROPS).index(scene)]).random(8).tolist()
    return image, BACKDROPS[scene](pen, numbers)


@dataclass(frozen=True)
class Moment:
    """What is to be seen at one frame: the body, the 16 channels it came from, where the prop is."""

    body: Skeleton
    channels: tuple[float, ...]
    at: tuple[float, float]
    turn: float


def moment(clip: Clip, frame: int) -> Moment:
    """Pose and prop of a frame, before anything is drawn."""
    action = PLAYED[clip.label]
    phase = action.progress(clip.phase(frame), clip.offset)
    channels = action.at(phase)
    body = skeleton(channels, clip.look, action.face)
    at, turn = (channels[12], channels[13]), channels[14]
    for start, stop, carrier in action.grips:
        if start <= phase <= stop:
            if carrier == "head":
                tilt = np.deg2rad(body.tilt)
                r = 0.72 * HEAD * clip.look.head
                at = (body.head[0] + body.face * r * float(np.sin(tilt)), body.head[1] + r * float(np.cos(tilt)))
                turn = -body.tilt
            else:
                (ax, ay), (bx, by) = body.hands
                at = (ax, ay) if carrier == "near" else ((ax + bx) / 2, (ay + by) / 2)
    return Moment(body, channels, at, turn)


class Camera:
    """Draws the frames of one clip at one size; what does not move is drawn once, or for a still with its frame."""

    def __init__(self, clip: Clip, size: int, still: bool = False):
        self.clip, self.still, self.samples = clip, still, STILL_SAMPLES if still else VIDEO_SAMPLES
        self.width = size * self.samples
        self.action = PLAYED[clip.label]
        self.scale = self.width * clip.zoom
        self.backdrop, self.ground = _backdrop(self.action.scene, clip.variant, self.scale)
        self.corner = (round(-LEFT * self.scale), round(TOP * self.scale))
        if not still:
            self.backdrop = self.backdrop.copy()
            self._furniture(Pen(ImageDraw.Draw(self.backdrop), self.scale, *self.corner))

    def _furniture(self, pen: Pen) -> None:
        for name, state, tint in self.clip.props:
            prop = PROPS[name]
            prop.draw(pen.at(prop.x, prop.y), state, tint)

    def shoot(self, frame: int, seen: Moment | None = None) -> np.ndarray:
        """The frame as uint8 (size, size, 3)."""
        clip, width, action = self.clip, self.width, self.action
        seen = seen or moment(clip, frame)
        # Whole pixels, so that the backdrop and what is drawn over it move together.
        t = frame / (clip.frames - 1) - 0.5
        left = round(width * (0.5 + clip.shift[0] + clip.drift[0] * t) - 0.5 * self.scale)
        top = round(width * (GROUND + clip.shift[1] + clip.drift[1] * t))
        x, y = self.corner[0] - left, self.corner[1] - top
        image = self.backdrop.crop((x, y, x + width, y + width))
        pen = Pen(ImageDraw.Draw(image), self.scale, left, top)
        if self.still:
            self._furniture(pen)

        own = pen.at(*seen.at, seen.turn, action.face if action.grips or action.cycles else 1)
        prop = partial(PROPS[action.prop].draw, own, seen.channels[15], clip.tint)
        if action.behind:
            prop()
        draw_shadow(pen, seen.body, self.ground)
        if action.prop == "kite":
            pen.bar(INK, seen.body.hands[0], seen.at, 0.006)
        draw_person(pen, seen.body, clip.look, None if action.behind else prop)
        pixels = np.asarray(image.reduce(self.samples))
        return np.ascontiguousarray(pixels[:, ::-1]) if clip.mirror else pixels.copy()


def film(clip: Clip, size: int) -> np.ndarray:
    """All frames of a clip: uint8 (F, size, size, 3)."""
    camera = Camera(clip, size)
    return np.stack([camera.shoot(frame) for frame in range(clip.frames)])
