"""What StickActions shows: six scenes of ten actions, each action a programme of key poses.

A programme maps a phase in [0, 1] to a pose and to the state of one prop. An action and its reverse share one
programme, played forwards and backwards; that is what makes them inseparable on any single frame.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mgdmkit.stick_scenes import PROPS

# The numbers of one moment. `at`, `turn`, `s` belong to the prop: its origin, its angle, its state.
CHANNELS = ("hx", "hy", "lean", "nod", "nx", "ny", "fx", "fy", "px", "py", "qx", "qy", "ox", "oy", "turn", "s")
REST: dict[str, Any] = {
    "hip": (0.0, 0.345),
    "lean": 2.0,
    "nod": 0.0,
    "near": (0.05, 0.315),
    "far": (0.03, 0.32),
    "foot": (0.05, 0.0),
    "foot2": (-0.05, 0.0),
    "at": None,
    "turn": 0.0,
    "s": 0.0,
}
Key = tuple[float, Mapping[str, Any]]


@dataclass(frozen=True)
class Action:
    """One programme. Keys are (phase, changes to the previous key), in units of the frame.

    Keys are written for a person at the origin who looks to the right; `x` and `face` place it in the scene.
    """

    labels: tuple[str, ...]  # (forwards,) or (forwards, backwards)
    prop: str  # the object that moves; it also tells the scene
    x: float
    face: int
    keys: Sequence[Key]
    thing: str  # what a caption calls the object
    says: Sequence[str]  # the object's states in words, from the least to the greatest value of `meter`
    meter: str = "s"  # the channel that `says` divides
    grip: Sequence[tuple[float, float, str]] = ()  # (from, to, "near" | "both" | "head"): what carries the prop
    needs: Sequence[str] = ()  # other props that must be there
    cycles: int = 0  # how often the keys repeat in a clip; 0: they run once
    layer: str = "held"  # "back": drawn behind the person

    @property
    def scene(self) -> str:
        return PROPS[self.prop].scene


def _both(*at: float) -> dict[str, Any]:
    """Both hands on the prop at `at`."""
    return {"near": at, "far": at, "at": at}


def _hands(*at: float) -> dict[str, Any]:
    return {"near": at, "far": at}


DOWN: dict[str, Any] = {"near": REST["near"], "far": REST["far"]}  # arms hang

ACTIONS: tuple[Action, ...] = (
    # -- kitchen
    Action(
        ("opening a fridge", "closing a fridge"),
        "fridge",
        0.5,
        -1,
        (
            (0.0, {}),
            (0.25, {"near": (0.25, 0.4), "lean": 8}),
            (0.5, {"near": (0.288, 0.41), "s": 0.35, "lean": 12, "hip": (0.03, 0.34)}),
            (
                0.75,
                {
                    "near": (0.385, 0.42),
                    "s": 0.7,
                    "hip": (0.12, 0.34),
                    "lean": 14,
                    "foot": (0.19, 0),
                    "foot2": (0.05, 0),
                },
            ),
            (1.0, {"near": (0.2, 0.36), "far": (0.15, 0.33), "s": 1.0, "lean": 6}),
        ),
        "fridge",
        ("fridge shut", "fridge slightly open", "fridge half open", "fridge wide open"),
        layer="back",
    ),
    Action(
        ("putting a plate on a shelf", "taking a plate off a shelf"),
        "plate",
        0.53,
        1,
        (
            (0.0, {**_both(0.14, 0.36), "lean": 4}),
            (0.45, {**_both(0.17, 0.5)}),
            (0.75, {**_both(0.235, 0.674), "lean": 9, "nod": -14}),
            (1.0, {**DOWN, "lean": 2, "nod": -6}),
        ),
        "plate",
        ("plate held at the waist", "plate at chest height", "plate at head height", "plate on the shelf"),
        "oy",
        ((0.0, 0.75, "both"),),
    ),
    Action(
        ("taking a pot off the stove", "putting a pot on the stove"),
        "pot",
        0.55,
        1,
        (
            (0.0, {"at": (0.24, 0.39)}),
            (0.25, {**_both(0.24, 0.39), "lean": 16}),
            (0.5, {**_both(0.2, 0.5), "lean": 4}),
            (0.75, {**_both(0.06, 0.48), "hip": (-0.14, 0.345), "foot": (-0.1, 0), "foot2": (-0.18, 0), "lean": -2}),
            (1.0, {**_both(0.05, 0.37), "hip": (-0.16, 0.345), "foot": (-0.11, 0), "foot2": (-0.21, 0), "lean": 4}),
        ),
        "pot",
        ("pot held close", "pot carried from the stove", "pot lifted over the stove", "pot on the stove"),
        "ox",
        ((0.25, 1.0, "both"),),
    ),
    Action(
        ("opening an oven", "closing an oven"),
        "oven",
        0.54,
        1,
        (
            (0.0, {}),
            (0.3, {"near": (0.19, 0.24), "lean": 34, "hip": (-0.05, 0.27)}),
            (0.65, {"near": (0.17, 0.12), "lean": 40, "hip": (-0.07, 0.2), "s": 0.6}),
            (0.8, {"near": (0.17, 0.05), "lean": 44, "hip": (-0.08, 0.17), "s": 1.0}),
            (1.0, {"near": (0.05, 0.2), "lean": 30, "hip": (-0.07, 0.2)}),
        ),
        "oven",
        ("oven shut", "oven slightly open", "oven half open", "oven wide open"),
        layer="back",
    ),
    Action(
        ("stirring a pot",),
        "spoon",
        0.56,
        1,
        (
            (0.0, {"near": (0.19, 0.51), "far": (0.16, 0.4), "lean": 12, "turn": -14}),
            (0.25, {"near": (0.23, 0.54), "turn": 0}),
            (0.5, {"near": (0.265, 0.51), "turn": 14}),
            (0.75, {"near": (0.23, 0.48), "turn": 0}),
            (1.0, {"near": (0.19, 0.51), "turn": -14}),
        ),
        "pot",
        ("spoon at the near side of the pot", "spoon in the middle of the pot", "spoon at the far side of the pot"),
        "nx",
        ((0.0, 1.0, "near"),),
        needs=("pot",),
        cycles=4,
    ),
    Action(
        ("chopping vegetables",),
        "knife",
        0.47,
        1,
        (
            (0.0, {"near": (0.15, 0.385), "far": (0.16, 0.385), "lean": 16, "nod": 12, "turn": 0}),
            (0.5, {"near": (0.13, 0.5), "turn": 24}),
            (1.0, {"near": (0.15, 0.385), "turn": 0}),
        ),
        "knife",
        ("knife down on the vegetables", "knife just above the vegetables", "knife raised over vegetables"),
        "ny",
        ((0.0, 1.0, "near"),),
        needs=("board",),
        cycles=5,
    ),
    # -- gym
    Action(
        ("lifting a barbell", "lowering a barbell"),
        "barbell",
        0.48,
        1,
        (
            (0.0, {"at": (0.14, 0.09)}),
            (0.2, {**_both(0.14, 0.09), "hip": (-0.1, 0.2), "lean": 48, "nod": -20}),
            (0.5, {**_both(0.09, 0.33), "hip": (0.0, 0.345), "lean": 2, "nod": 0}),
            (0.7, {**_both(0.1, 0.53), "hip": (0.0, 0.32), "lean": -3}),
            (0.9, {**_both(0.02, 0.785), "hip": (0.0, 0.345), "lean": 0}),
            (1.0, {}),
        ),
        "barbell",
        (
            "barbell on the floor",
            "barbell at knee height",
            "barbell at the hips",
            "barbell at the chest",
            "barbell overhead",
        ),
        "oy",
        ((0.2, 1.0, "both"),),
    ),
    Action(
        ("picking up a kettlebell", "putting down a kettlebell"),
        "kettlebell",
        0.45,
        1,
        (
            (0.0, {"at": (0.15, 0.13)}),
            (
                0.35,
                {
                    "near": (0.15, 0.13),
                    "at": (0.15, 0.13),
                    "far": (0.03, 0.23),
                    "hip": (-0.09, 0.24),
                    "lean": 50,
                    "nod": -15,
                },
            ),
            (
                0.7,
                {
                    "near": (0.09, 0.32),
                    "at": (0.09, 0.32),
                    "far": (0.0, 0.33),
                    "hip": (0.0, 0.345),
                    "lean": 0,
                    "nod": 0,
                },
            ),
            (0.9, {"near": (0.14, 0.5), "at": (0.14, 0.5)}),
            (1.0, {}),
        ),
        "kettlebell",
        ("kettlebell on the floor", "kettlebell at knee height", "kettlebell at the hips", "kettlebell at the chest"),
        "oy",
        ((0.35, 1.0, "near"),),
    ),
    Action(
        ("stepping onto a box", "stepping off a box"),
        "step",
        0.5,
        1,
        (
            (0.0, {}),
            (0.3, {"foot": (0.24, 0.125), "hip": (0.06, 0.34), "lean": 10, "near": (0.02, 0.36), "far": (0.2, 0.42)}),
            (0.6, {"hip": (0.25, 0.45), "lean": 16, "foot2": (0.08, 0.06), "near": (0.3, 0.5), "far": (0.2, 0.42)}),
            (
                0.85,
                {
                    "hip": (0.3, 0.465),
                    "lean": 2,
                    "foot": (0.34, 0.125),
                    "foot2": (0.25, 0.125),
                    "near": (0.35, 0.435),
                    "far": (0.33, 0.44),
                },
            ),
            (1.0, {}),
        ),
        "box",
        ("standing before the box", "one foot on the box", "climbing the box", "standing on the box"),
        "hx",
        layer="back",
    ),
    Action(
        ("sitting down on a mat", "standing up from a mat"),
        "mat",
        0.4,
        1,
        (
            (0.0, {"at": (0.0, 0.0)}),
            (0.4, {"hip": (-0.08, 0.2), "lean": 32, **_hands(0.16, 0.36), "foot": (0.06, 0), "foot2": (0.0, 0)}),
            (
                0.75,
                {
                    "hip": (-0.09, 0.065),
                    "lean": 4,
                    "near": (-0.16, 0.06),
                    "far": (-0.14, 0.07),
                    "foot": (0.14, 0.0),
                    "foot2": (0.1, 0.0),
                },
            ),
            (1.0, {"foot": (0.24, 0.0), "foot2": (0.2, 0.0), "lean": -6}),
        ),
        "mat",
        ("seated on the mat", "near the mat, knees deeply bent", "standing on the mat"),
        "hy",
        layer="back",
    ),
    Action(
        ("doing squats",),
        "mat",
        0.42,
        1,
        (
            (0.0, {"at": (0.0, 0.0), **_hands(0.22, 0.53)}),
            (0.5, {"hip": (-0.1, 0.16), "lean": 34, "nod": -16, **_hands(0.22, 0.42)}),
            (1.0, {"hip": (0, 0.345), "lean": 2, "nod": 0, **_hands(0.22, 0.53)}),
        ),
        "mat",
        ("deep squat on the mat", "half squat on the mat", "standing tall on the mat"),
        "hy",
        cycles=3,
        layer="back",
    ),
    Action(
        ("punching a bag",),
        "bag",
        0.42,
        -1,
        (
            (0.0, {"near": (0.1, 0.52), "far": (0.1, 0.5), "lean": 4, "foot": (0.08, 0), "foot2": (-0.08, 0)}),
            (0.25, {"near": (0.245, 0.54), "lean": 14, "turn": -4}),
            (0.5, {"near": (0.1, 0.52), "lean": 4, "turn": 4}),
            (0.75, {"far": (0.245, 0.52), "lean": 14, "turn": -4}),
            (1.0, {"far": (0.1, 0.5), "lean": 4, "turn": 0}),
        ),
        "punching bag",
        ("fists up before the punching bag", "fist moving to the punching bag", "fist on the punching bag"),
        "lean",
        cycles=3,
        layer="back",
    ),
    # -- workshop
    Action(
        ("lifting a crate", "putting down a crate"),
        "crate",
        0.42,
        1,
        (
            (0.0, {"at": (0.16, 0.07)}),
            (0.3, {**_both(0.15, 0.08), "hip": (-0.1, 0.19), "lean": 46, "nod": -15}),
            (0.65, {**_both(0.14, 0.34), "hip": (-0.02, 0.345), "lean": 2, "nod": 0}),
            (0.9, {**_both(0.15, 0.5), "lean": -6}),
            (1.0, {}),
        ),
        "crate",
        ("crate on the floor", "crate at knee height", "crate at the hips", "crate at the chest"),
        "oy",
        ((0.3, 1.0, "both"),),
    ),
    Action(
        ("climbing up a ladder", "climbing down a ladder"),
        "ladder",
        0.36,
        -1,
        (
            (0.0, {}),
            (0.2, {"near": (0.15, 0.52), "far": (0.15, 0.6), "hip": (0.03, 0.345), "foot": (0.13, 0.06)}),
            (0.5, {"near": (0.15, 0.67), "hip": (0.05, 0.4), "foot2": (0.13, 0.06)}),
            (0.75, {"far": (0.15, 0.75), "hip": (0.05, 0.43), "foot": (0.13, 0.21)}),
            (1.0, {"near": (0.15, 0.82), "hip": (0.05, 0.47), "foot2": (0.13, 0.135)}),
        ),
        "ladder",
        ("standing at the ladder", "low on the ladder", "halfway up the ladder", "high on the ladder"),
        "hy",
        layer="back",
    ),
    Action(
        ("opening a drawer", "closing a drawer"),
        "drawer",
        0.42,
        1,
        (
            (0.0, {}),
            (0.25, {"near": (0.215, 0.245), "lean": 22, "hip": (-0.02, 0.3), "nod": 8}),
            (
                0.75,
                {
                    "near": (0.045, 0.245),
                    "hip": (-0.13, 0.3),
                    "lean": 8,
                    "s": 1.0,
                    "foot": (-0.06, 0),
                    "foot2": (-0.16, 0),
                },
            ),
            (1.0, {"near": (-0.04, 0.3), "far": (-0.08, 0.3), "hip": (-0.13, 0.335), "lean": 14}),
        ),
        "drawer",
        ("drawer shut", "drawer slightly open", "drawer half open", "drawer wide open"),
        layer="back",
    ),
    Action(
        ("hanging up a saw", "taking down a saw"),
        "saw",
        0.5,
        1,
        (
            (0.0, {"near": (0.06, 0.31), "at": (0.06, 0.31), "turn": -10}),
            (0.4, {"near": (0.17, 0.47), "at": (0.17, 0.47), "turn": -5}),
            (0.75, {"near": (0.19, 0.64), "at": (0.19, 0.64), "turn": 0, "lean": 7, "nod": -12}),
            (1.0, {"near": (0.05, 0.315), "lean": 2, "nod": -6}),
        ),
        "saw",
        ("saw at the hip", "saw at chest height", "saw at head height", "saw on the wall"),
        "oy",
        ((0.0, 0.75, "near"),),
    ),
    Action(
        ("hammering a nail",),
        "hammer",
        0.54,
        1,
        (
            (0.0, {"near": (0.13, 0.41), "far": (0.16, 0.37), "lean": 16, "nod": 10, "turn": -4}),
            (0.55, {"near": (0.09, 0.66), "turn": 70, "lean": 4}),
            (1.0, {"near": (0.13, 0.41), "turn": -4, "lean": 16}),
        ),
        "hammer",
        ("hammer on the nail", "hammer at chest height", "hammer raised high"),
        "ny",
        ((0.0, 1.0, "near"),),
        needs=("plank",),
        cycles=4,
    ),
    Action(
        ("sawing a plank",),
        "saw",
        0.5,
        1,
        (
            (0.0, {"near": (0.06, 0.41), "far": (0.17, 0.37), "lean": 12, "nod": 10, "turn": -9}),
            (0.5, {"near": (0.19, 0.385), "lean": 28}),
            (1.0, {"near": (0.06, 0.41), "lean": 12}),
        ),
        "saw",
        ("saw pulled back", "saw halfway through its stroke", "saw pushed forward"),
        "nx",
        ((0.0, 1.0, "near"),),
        needs=("plank",),
        cycles=4,
    ),
    # -- garden
    Action(
        ("opening a gate", "closing a gate"),
        "gate",
        0.54,
        1,
        (
            (0.0, {}),
            (0.2, {"near": (0.235, 0.29), "lean": 14}),
            (0.5, {"near": (0.29, 0.3), "hip": (0.06, 0.345), "s": 0.5, "foot": (0.14, 0), "foot2": (0.0, 0)}),
            (0.8, {"near": (0.38, 0.32), "hip": (0.16, 0.345), "s": 1.0, "foot": (0.22, 0), "foot2": (0.1, 0)}),
            (1.0, {"near": (0.21, 0.315), "far": (0.18, 0.32), "lean": 2}),
        ),
        "gate",
        ("gate shut", "gate slightly open", "gate half open", "gate wide open"),
        layer="back",
    ),
    Action(
        ("sitting down on a bench", "standing up from a bench"),
        "bench",
        0.34,
        1,
        (
            (0.0, {}),
            (0.4, {"hip": (-0.06, 0.27), "lean": 34, **_hands(0.08, 0.3), "foot2": (0.01, 0)}),
            (0.75, {"hip": (-0.11, 0.2), "lean": 12, **_hands(0.06, 0.24)}),
            (1.0, {"lean": -10, "near": (0.02, 0.25), "far": (0.03, 0.26), "foot": (0.09, 0)}),
        ),
        "bench",
        ("seated on the bench", "just above the bench", "rising over the bench", "standing by the bench"),
        "hy",
        layer="back",
    ),
    Action(
        ("hanging up a lantern", "taking down a lantern"),
        "lantern",
        0.44,
        -1,
        (
            (0.0, {"near": (0.1, 0.36), "at": (0.1, 0.36)}),
            (0.4, {"near": (0.18, 0.55), "at": (0.18, 0.55)}),
            (0.75, {"near": (0.18, 0.72), "at": (0.18, 0.72), "lean": 6, "nod": -18, "far": (0.1, 0.4)}),
            (1.0, {**DOWN, "lean": 2, "nod": -8}),
        ),
        "lantern",
        ("lantern held at the waist", "lantern at chest height", "lantern at head height", "lantern on the branch"),
        "oy",
        ((0.0, 0.75, "near"),),
    ),
    Action(
        ("planting a flower", "pulling out a flower"),
        "flower",
        0.48,
        1,
        (
            (0.0, {"near": (0.13, 0.46), "at": (0.13, 0.46)}),
            (0.35, {"near": (0.17, 0.3), "at": (0.17, 0.3), "hip": (-0.05, 0.26), "lean": 34}),
            (
                0.7,
                {
                    "near": (0.18, 0.05),
                    "at": (0.18, 0.05),
                    "far": (0.14, 0.06),
                    "hip": (-0.08, 0.16),
                    "lean": 60,
                    "nod": -15,
                },
            ),
            (1.0, {"near": (0.09, 0.2), "far": (0.05, 0.2), "lean": 28, "nod": 8, "hip": (-0.08, 0.19)}),
        ),
        "flower",
        ("flower in the soil", "flower just above the soil", "flower at knee height", "flower held at the waist"),
        "oy",
        ((0.0, 0.7, "near"),),
        needs=("soil",),
    ),
    Action(
        ("raking leaves",),
        "rake",
        0.42,
        1,
        (
            (0.0, {"near": (0.1, 0.3), "far": (0.0, 0.42), "lean": 8, "turn": -50, "foot": (0.09, 0)}),
            (0.5, {"near": (0.22, 0.29), "far": (0.1, 0.38), "lean": 30, "turn": -46}),
            (1.0, {"near": (0.1, 0.3), "far": (0.0, 0.42), "lean": 8, "turn": -50}),
        ),
        "rake",
        ("rake pulled in over leaves", "rake halfway over the leaves", "rake reaching far over leaves"),
        "nx",
        ((0.0, 1.0, "near"),),
        needs=("leaves",),
        cycles=3,
    ),
    Action(
        ("digging a hole",),
        "shovel",
        0.44,
        1,
        (
            (0.0, {"near": (0.13, 0.28), "far": (0.08, 0.4), "lean": 18, "turn": -72, "foot": (0.08, 0)}),
            (0.3, {"near": (0.16, 0.24), "far": (0.1, 0.36), "lean": 40, "hip": (-0.04, 0.29), "turn": -62, "s": 0}),
            (0.6, {"near": (0.19, 0.42), "far": (0.07, 0.4), "lean": 2, "hip": (0, 0.345), "turn": 8, "s": 1}),
            (0.8, {"near": (0.2, 0.48), "turn": 22, "s": 0}),
            (1.0, {"near": (0.13, 0.28), "far": (0.08, 0.4), "lean": 18, "turn": -72}),
        ),
        "shovel",
        ("shovel pressed into the soil", "shovel above the soil", "shovel swung up high"),
        "ny",
        ((0.0, 1.0, "near"),),
        needs=("soil",),
        cycles=2,
    ),
    # -- office
    Action(
        ("sitting down at a desk", "standing up from a desk"),
        "chair",
        0.56,
        1,
        (
            (0.0, {"at": (-0.11, 0.0)}),
            (0.4, {"hip": (-0.07, 0.28), "lean": 34, **_hands(0.12, 0.34)}),
            (0.75, {"hip": (-0.11, 0.21), "lean": 8, **_hands(0.1, 0.31)}),
            (1.0, {**_hands(0.16, 0.33), "lean": 4}),
        ),
        "desk",
        ("seated at the desk", "just above the chair at the desk", "rising at the desk", "standing at the desk"),
        "hy",
        layer="back",
    ),
    Action(
        ("opening a laptop", "closing a laptop"),
        "laptop",
        0.52,
        1,
        (
            (0.0, {}),
            (0.25, {"near": (0.2, 0.35), "lean": 22, "nod": 8}),
            (0.5, {"near": (0.25, 0.45), "s": 0.5, "lean": 22}),
            (0.75, {"near": (0.32, 0.47), "s": 1.0, "lean": 30}),
            (1.0, {**_hands(0.2, 0.345), "lean": 14}),
        ),
        "laptop",
        ("laptop shut", "laptop slightly open", "laptop half open", "laptop fully open"),
        layer="back",
    ),
    Action(
        ("opening a filing cabinet", "closing a filing cabinet"),
        "cabinet",
        0.44,
        -1,
        (
            (0.0, {}),
            (0.25, {"near": (0.25, 0.35), "lean": 18}),
            (
                0.75,
                {
                    "near": (0.08, 0.35),
                    "lean": 0,
                    "s": 1.0,
                    "hip": (-0.1, 0.345),
                    "foot": (-0.04, 0),
                    "foot2": (-0.15, 0),
                },
            ),
            (1.0, {"near": (-0.02, 0.46), "far": (0.02, 0.44), "lean": 14, "nod": 12}),
        ),
        "cabinet",
        ("cabinet shut", "cabinet slightly open", "cabinet half open", "cabinet wide open"),
        layer="back",
    ),
    Action(
        ("raising the blinds", "lowering the blinds"),
        "blinds",
        0.5,
        1,
        (
            (0.0, {}),
            (0.25, {"near": (0.15, 0.74), "far": (0.05, 0.35), "lean": 2, "nod": -14}),
            (0.8, {"near": (0.15, 0.5), "s": 1.0, "lean": 8, "nod": -14, "hip": (0, 0.33)}),
            (1.0, {**DOWN, "lean": 2, "hip": (0, 0.345)}),
        ),
        "blinds",
        ("blinds down", "blinds mostly down", "blinds half raised", "blinds up"),
        layer="back",
    ),
    Action(
        ("writing on a whiteboard",),
        "whiteboard",
        0.44,
        -1,
        (
            (0.0, {"near": (0.2, 0.7), "lean": 4, "nod": -10, "s": 0.0}),
            (0.3, {"near": (0.34, 0.7), "s": 0.32, "lean": 12, "hip": (0.06, 0.345), "foot": (0.11, 0)}),
            (0.36, {"near": (0.2, 0.63), "s": 0.34, "lean": 4, "hip": (0.0, 0.345)}),
            (0.64, {"near": (0.34, 0.63), "s": 0.65, "lean": 12, "hip": (0.06, 0.345)}),
            (0.7, {"near": (0.2, 0.56), "s": 0.67, "lean": 4, "hip": (0.0, 0.345)}),
            (1.0, {"near": (0.34, 0.56), "s": 1.0, "lean": 12, "hip": (0.06, 0.345)}),
        ),
        "whiteboard",
        ("one line on the whiteboard", "two lines on the whiteboard", "three lines on the whiteboard"),
        layer="back",
    ),
    Action(
        ("drinking coffee",),
        "cup",
        0.52,
        1,
        (
            (0.0, {"at": (0.19, 0.345)}),
            (0.25, {"near": (0.17, 0.345), "at": (0.17, 0.345), "lean": 10}),
            (0.5, {"near": (0.1, 0.6), "at": (0.1, 0.6), "turn": 30, "lean": -4, "nod": -14}),
            (0.62, {"turn": 45, "nod": -20}),
            (0.85, {"near": (0.17, 0.345), "at": (0.17, 0.345), "turn": 0, "lean": 10, "nod": 0}),
            (1.0, {**DOWN, "lean": 2}),
        ),
        "cup",
        ("cup on the desk", "cup at chest height", "cup at the mouth"),
        "oy",
        ((0.25, 0.85, "near"),),
    ),
    # -- beach
    Action(
        ("opening a parasol", "closing a parasol"),
        "parasol",
        0.57,
        1,
        (
            (0.0, {}),
            (0.2, {"near": (0.2, 0.3), "lean": 8}),
            (0.8, {"near": (0.2, 0.56), "far": (0.18, 0.4), "s": 1.0, "lean": 4, "nod": -16}),
            (1.0, {**DOWN, "lean": 0, "hip": (-0.03, 0.345)}),
        ),
        "parasol",
        ("parasol folded", "parasol slightly open", "parasol half open", "parasol wide open"),
        layer="back",
    ),
    Action(
        ("lifting a surfboard", "laying down a surfboard"),
        "surfboard",
        0.42,
        1,
        (
            (0.0, {"at": (0.16, 0.05)}),
            (0.3, {**_both(0.15, 0.07), "hip": (-0.1, 0.19), "lean": 48, "nod": -15}),
            (0.65, {**_both(0.13, 0.33), "hip": (0, 0.345), "lean": 4, "nod": 0, "turn": 20}),
            (0.95, {**_both(0.16, 0.37), "turn": 88}),
            (1.0, {}),
        ),
        "surfboard",
        ("surfboard flat on the sand", "surfboard tilted up", "surfboard upright"),
        "turn",
        ((0.3, 1.0, "both"),),
    ),
    Action(
        ("lying down on a towel", "getting up from a towel"),
        "towel",
        0.5,
        1,
        (
            (0.0, {"at": (-0.02, 0.0)}),
            (0.35, {"hip": (-0.02, 0.16), "lean": 40, **_hands(0.14, 0.3)}),
            (
                0.6,
                {
                    "hip": (-0.02, 0.055),
                    "lean": -8,
                    "near": (-0.12, 0.05),
                    "far": (-0.1, 0.06),
                    "foot": (0.22, 0.0),
                    "foot2": (0.18, 0),
                },
            ),
            (
                0.9,
                {
                    "lean": -82,
                    "nod": 6,
                    "near": (-0.02, 0.09),
                    "far": (-0.02, 0.06),
                    "foot": (0.3, 0.01),
                    "foot2": (0.29, 0.0),
                },
            ),
            (1.0, {}),
        ),
        "towel",
        ("lying back on the towel", "sitting on the towel", "crouching over the towel", "standing on the towel"),
        "lean",
        layer="back",
    ),
    Action(
        ("putting on a sun hat", "taking off a sun hat"),
        "hat",
        0.44,
        1,
        (
            (0.0, {**_both(0.13, 0.38), "nod": 10}),
            (0.4, {**_both(0.17, 0.6), "nod": 0}),
            (0.7, {**_both(0.03, 0.71), "nod": 4}),
            (1.0, {**DOWN, "nod": 0}),
        ),
        "hat",
        ("sun hat at the waist", "sun hat at chest height", "sun hat before the face", "sun hat on the head"),
        "oy",
        ((0.0, 0.68, "both"), (0.68, 1.0, "head")),
    ),
    Action(
        ("bouncing a ball",),
        "ball",
        0.42,
        1,
        (
            (0.0, {"near": (0.15, 0.38), "at": (0.17, 0.31), "lean": 12, "hip": (0, 0.31)}),
            (0.5, {"near": (0.15, 0.27), "at": (0.17, 0.065), "lean": 18}),
            (1.0, {"near": (0.15, 0.38), "at": (0.17, 0.31), "lean": 12}),
        ),
        "ball",
        ("ball on the ground", "ball between hand and ground", "ball at the hand"),
        "oy",
        cycles=4,
    ),
    Action(
        ("flying a kite",),
        "kite",
        0.36,
        1,
        (
            (0.0, {"near": (0.12, 0.42), "far": (0.07, 0.4), "at": (0.4, 0.62), "lean": -6, "nod": -16, "turn": 10}),
            (0.5, {"near": (0.17, 0.62), "far": (0.1, 0.5), "at": (0.3, 0.72), "lean": -2, "turn": -12}),
            (1.0, {"near": (0.12, 0.42), "far": (0.07, 0.4), "at": (0.4, 0.62), "lean": -6, "turn": 10}),
        ),
        "kite",
        ("kite pulled low", "kite halfway up", "kite high in the sky"),
        "oy",
        cycles=2,
        layer="back",
    ),
)


@dataclass(frozen=True)
class Programme:
    """An action's keys, ready to evaluate: `moments[i]` are the 16 channels at phase `times[i]`."""

    times: tuple[float, ...]
    moments: tuple[tuple[float, ...], ...]

    def at(self, phase: float) -> tuple[float, ...]:
        """The channels at a phase in [0, 1]; the motion starts and stops softly at every key."""
        i = min(max(bisect_right(self.times, phase) - 1, 0), len(self.times) - 2)
        t = (phase - self.times[i]) / (self.times[i + 1] - self.times[i])
        # Half linear, half smooth: soft at the keys without standing still there.
        w = 0.5 * t + 0.5 * t * t * (3 - 2 * t)
        return tuple([a + (b - a) * w for a, b in zip(self.moments[i], self.moments[i + 1], strict=True)])

    def meter(self, name: str, channels: tuple[float, ...]) -> float:
        """A channel's value as a fraction of the range it has in this programme."""
        i = CHANNELS.index(name)
        values = [m[i] for m in self.moments]
        return (channels[i] - min(values)) / (max(values) - min(values))


def _compile(action: Action) -> Programme:
    state, times, moments = dict(REST), [], []
    home = PROPS[action.prop]
    for time, changes in action.keys:
        if unknown := set(changes) - set(REST):
            raise KeyError(f"{action.labels[0]}: no channel {sorted(unknown)}")
        state.update(changes)
        flat = [*state["hip"], state["lean"], state["nod"], *state["near"], *state["far"]]
        flat += [*state["foot"], *state["foot2"]]
        for i in (0, 4, 6, 8, 10):
            flat[i] = action.x + action.face * flat[i]
        at = (home.x, home.y) if state["at"] is None else (action.x + action.face * state["at"][0], state["at"][1])
        times.append(float(time))
        moments.append((*map(float, flat), *at, float(state["turn"]), float(state["s"])))
    return Programme(tuple(times), tuple(moments))


@dataclass(frozen=True)
class Played:
    """A label: its action, and whether the programme runs backwards."""

    action: Action
    programme: Programme
    backwards: bool

    def progress(self, phase: float, offset: float = 0.0) -> float:
        """Where in the programme the clip is at `phase`; `offset` shifts where a cyclic action starts."""
        if self.action.cycles:
            return (phase * self.action.cycles + offset) % 1.0
        return 1.0 - phase if self.backwards else phase


PLAYED: dict[str, Played] = {
    label: Played(action, programme, backwards)
    for action, programme in ((action, _compile(action)) for action in ACTIONS)
    for label, backwards in zip(action.labels, (False, True), strict=False)
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
