"""What a still of StickActions shows, in plain words.

Four out of ten captions name the action; all others tell pose, place and objects only. So a model trained on
them knows poses and places well and actions roughly. It matters that some captions say nothing but what every
picture of a place may show ("tree and fence behind"): without them the labels of one scene end up no closer to
each other than to those of another, and the hard negatives of a video would come from anywhere.
"""

from collections.abc import Iterator

import numpy as np

from mgdmkit.stickactions.catalogue import PLAYED, scene_of
from mgdmkit.stickactions.clips import Clip, Moment, pick
from mgdmkit.stickactions.scenes import PROPS

LONGEST = 14  # words
PLACES = {
    "beach": ("on a beach", "on the beach", "at the beach"),
    "garden": ("in a garden", "in the garden", "out in a garden"),
    "gym": ("in a gym", "in the gym", "at the gym"),
    "kitchen": ("in a kitchen", "in the kitchen", "inside a kitchen"),
    "office": ("in an office", "in the office", "at the office"),
    "workshop": ("in a workshop", "in the workshop", "inside a workshop"),
}
# What every backdrop of a scene has; the props of the clip come on top.
SIGHTS = {
    "beach": ("sea", "sand", "waves"),
    "garden": ("tree", "fence", "grass"),
    "gym": ("mirrors", "gym floor"),
    "kitchen": ("stove", "counter", "shelf"),
    "office": ("desk", "window"),
    "workshop": ("workbench", "tools", "pegboard"),
}
NAMES = {"bag": "punching bag", "can": "watering can", "cabinet": "filing cabinet", "step": "box"}
PEOPLE = ("a person", "someone", "a figure", "")
HEIGHTS = (
    (0.13, ("near the ground", "down low")),
    (0.26, ("at knee height", "below the hips")),
    (0.4, ("at waist height", "at the hips")),
    (0.56, ("at chest height", "before the chest")),
    (0.68, ("at head height", "at the face")),
    (9.0, ("overhead", "raised high")),
)


def _postures(seen: Moment) -> tuple[str, ...]:
    """Words for what the body does."""
    hip, lean = seen.channels[1], seen.channels[2]
    if lean < -45:
        return ("lying down", "lying back", "stretched out")
    if hip < 0.1:
        return ("sitting on the ground", "seated low")
    if hip < 0.23:
        return ("crouching low", "squatting") if lean > 25 else ("sitting", "seated")
    if lean > 38:
        return ("bending over", "bent far forward")
    if hip < 0.31:
        return ("with bent knees", "half crouching")
    if lean > 13:
        return ("leaning forward", "leaning over")
    if hip > 0.39:
        return ("standing raised up", "up above the ground")
    return ("standing upright", "standing", "upright")


def _arms(seen: Moment, u: Iterator[float]) -> str:
    """Where the hands are: both when they are together, else the one that reaches further."""
    (ax, ay), (bx, by) = seen.body.hands
    sx, sy = seen.body.shoulder
    who, y = "both hands", (ay + by) / 2
    if abs(ay - by) > 0.09 or abs(ax - bx) > 0.09:
        far = max(((ax, ay), (bx, by)), key=lambda hand: abs(hand[0] - sx) + abs(hand[1] - sy + 0.24))
        who, y = "one hand", far[1]
    return f"{who} {pick(u, next(words for top, words in HEIGHTS if y < top))}"


def sights(clip: Clip) -> tuple[str, ...]:
    """All that stands around in a clip, in words."""
    action = PLAYED[clip.label]
    names = [name for name, _, _ in clip.props] + ([action.prop] if PROPS[action.prop].often else [])
    return (*SIGHTS[action.scene], *(NAMES.get(name, name) for name in names))


def caption(clip: Clip, seen: Moment, rng: np.random.Generator) -> str:
    """A sentence of at most `LONGEST` words about one moment of a clip; `rng` chooses the wording."""
    around = list(sights(clip))
    rng.shuffle(around)
    u = iter(rng.random, None)
    place, posture = pick(u, PLACES[scene_of(clip.label)]), pick(u, _postures(seen))
    state, arms = PLAYED[clip.label].state(seen.channels), _arms(seen, u)
    where = pick(u, ("behind", "around", "nearby"))
    scenery = f"{around[0]} and {around[1]} {where}"
    kind = next(u)
    if kind < 0.4:
        # Without the place in half of them: a bare label, too, must tell where it belongs.
        what, place, details = clip.label, pick(u, (place, "")), [pick(u, (state, state, posture, arms)), scenery]
    elif kind < 0.48:
        what, details = posture, [state, arms]
    elif kind < 0.85:
        what, details = posture, [arms, scenery]
    else:
        what, details = "", [scenery]
    who = pick(u, PEOPLE)
    # The fullest wording that is short enough; what matters least goes first.
    for full in (
        [f"{who} {what} {place}", *details],
        [f"{what} {place}", *details],
        [f"{what} {place}", *(f"{around[0]} {where}" if part is scenery else part for part in details)],
        [f"{what} {place}", details[0]],
    ):
        words = ", ".join(" ".join(part.split()) for part in full)
        if len(words.split()) <= LONGEST:
            break
    return words
