"""Which variants a grid trains and compares: by name from `grids.toml`, or all combinations of some options."""

import dataclasses
import itertools
import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mgdmkit.config import SMALL_MODEL, SMALL_TRAIN, MGDMConfig, TrainConfig, check_choice
from mgdmkit.experiments.variants import Against, Variant, distinct
from mgdmkit.mining import EASIEST_OF

GRIDS = Path(__file__).with_name("grids.toml")
SMALL = {**MGDMConfig(**SMALL_MODEL).to_dict(), **TrainConfig(**SMALL_TRAIN).to_dict(), "k": 0, "inference": None}
"""Every option of a row, with its default."""


class Grid(NamedTuple):
    """Rows to compare, and how."""

    rows: list[Against]
    split: str = "test"
    """Where they are scored: what is chosen by a table is chosen on `val`."""
    curves: bool = False
    """Whether the validation score of every epoch is written, too."""
    detail: bool = False
    """Whether classes and confidences are, too."""


def variant(**options: Any) -> Variant:
    """A row of a grid from options of the model, the training and the test, wherever each belongs.

    Options that are the default's change no name: all tables share one training. A training of other length warms up
    for a tenth of it, as the small recipe does.

    Raises:
        ValueError: for an option that does not exist, or a value that it does not take.
    """
    if unknown := [name for name in options if name not in SMALL]:
        raise ValueError(f"{unknown[0]} is no option of a grid; there are {', '.join(sorted(SMALL))}")
    changed = {name: value for name, value in options.items() if value != SMALL[name]}
    if "epochs" in changed:
        changed.setdefault("warmup_epochs", changed["epochs"] / 10)
    k, negatives, inference = (changed.pop(name, SMALL[name]) for name in ("k", "negatives", "inference"))
    of_model = {field.name for field in dataclasses.fields(MGDMConfig)}
    model = {name: value for name, value in changed.items() if name in of_model}
    training = {name: value for name, value in changed.items() if name not in of_model}
    MGDMConfig(**SMALL_MODEL | model)  # these raise for a wrong value
    TrainConfig(k=k, negatives=negatives, **SMALL_TRAIN | training)
    return Variant(k, negatives, model, training, inference)


def named_grid(name: str, depth: int, labels: int) -> Grid:
    """A grid of `grids.toml`.

    Args:
        depth: how many negatives are mined for a video; rows that need more are left out, also as what others are
            compared with: then it is the first row.
        labels: how many labels there are to draw random negatives from.
    Raises:
        ValueError: for a name that is not there.
    """
    grids = tomllib.loads(GRIDS.read_text(encoding="utf-8"))
    check_choice("grid", name, tuple(grids))
    held = grids[name]
    rows = [(variant(**row), variant(**against) if against else None) for row, against in map(_split, held["rows"])]
    there = [(row, other) for row, other in rows if _possible(row, depth, labels)]
    if not there:
        raise ValueError(f"no row of the grid {name!r} can be made of {labels} labels, {depth} of them mined")
    first = there[0][0]
    against = [Against(row, other if other and _possible(other, depth, labels) else first) for row, other in there]
    return Grid(against, **{key: held[key] for key in ("split", "curves", "detail") if key in held})


def about() -> str:
    """The names of `grids.toml` with what each is, a line each."""
    grids = tomllib.loads(GRIDS.read_text(encoding="utf-8"))
    return "\n".join(f"{name}: {held['about']}" for name, held in grids.items())


def product(vary: Sequence[str]) -> Grid:
    """Every combination of values such as ("k=0,3,7", "guide=positive,each"), each against the first.

    `ValueError` for what is no such list.
    """
    axes = []
    for axis in vary:
        name, equals, values = axis.partition("=")
        if not equals or not values:
            raise ValueError(f"{axis!r} names no values: write an option with its values, such as k=0,3,7")
        axes.append([(name, option_value(value)) for value in values.split(",")])
    variants = distinct(variant(**dict(options)) for options in itertools.product(*axes))
    return Grid([Against(row, variants[0]) for row in variants])


def option_value(text: str) -> Any:
    """The value of an option as the shell or a table's column `changes` has it: 3, 0.01, true or False, else a word."""
    try:
        return json.loads(text.lower())
    except ValueError:
        return text


def _split(row: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any] | None]:
    return {name: value for name, value in row.items() if name != "against"}, row.get("against")


def _possible(row: Variant, depth: int, labels: int) -> bool:
    needed = EASIEST_OF if row.negatives == "bot" else row.k
    return row.k < labels if row.negatives == "random" else needed <= depth
