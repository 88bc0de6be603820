"""The rows of the paper's Tables 1, 2, 3 and 7 as recipes: how each is trained, and what the paper prints for it.

They live in `recipes/`, one short TOML file for each row, `<dataset>/<row>.toml`. It is laid over `<dataset>.toml`,
and that over `paper.toml`, so that a row's file says what the row changes and nothing else.
"""

import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

from mgdmkit.config import Config, FineTuneConfig, MGDMConfig, TrainConfig, check_choice, check_counts
from mgdmkit.data.cards import DATASETS, REINSTALL
from mgdmkit.replication.options import Options
from mgdmkit.resources import resource
from mgdmkit.runs.folder import flat

RECIPES = resource("recipes")
FULL = "7-top"
"""The row that the paper calls MGDM."""
K_ROWS = ("0", "3-top", "5-top", "7-top", "9-top", "3-bot")
MODULE_ROWS = ("without-representer", "without-discriminator", FULL)
TABLE_ROWS = {1: K_ROWS, 2: K_ROWS, 3: K_ROWS, 7: MODULE_ROWS}
"""Rows of each table in the paper's order."""
TABLE_DATASET = {1: "kinetics400", 2: "hmdb51", 3: "ucf101", 4: "kinetics400", 5: "hmdb51", 6: "ucf101"}
"""Tables of one dataset; Table 7 has a column for each."""
UNION = ("kinetics400", "hmdb51", "ucf101")
"""All three label lists; of labels with the same words the first spelling stays."""


@dataclass(frozen=True)
class Printed(Config):
    """What the paper prints for a row, in percent."""

    top1: float
    top5: float | None = None
    """None where the table has Top-1 alone."""

    def __post_init__(self) -> None:
        for name, value in self.to_dict().items():
            if value is not None and not 0 <= value <= 100:
                raise ValueError(f"{name}={value} is not a percentage")


@dataclass(frozen=True)
class Recipe(Config):
    """One row: everything that decides its run, but for the data, the seed and the number of processes."""

    row: str
    """The name of its file."""
    dataset: Literal["ucf101", "hmdb51", "kinetics400"]
    scored: Literal["test", "val"]
    """The split whose score the paper reports."""
    corpus: tuple[str, ...]
    """Datasets whose labels are mined: the union of their label lists."""
    clip: str
    """A model of open_clip, or a folder made by `mgdm clip`."""
    pretrained: str | None
    """A pretrained tag, the path of a checkpoint, or None for a folder."""
    prompt: str
    """The sentence around a label."""
    paper_batch: int
    """Videos that the paper contrasts with one another, on all its GPUs."""
    model: MGDMConfig
    train: TrainConfig
    finetune: FineTuneConfig
    """In force unless CLIP stays frozen."""
    paper: dict[str, Printed]
    """`table2` and the like -> what is printed there; empty for a row of one's own."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.corpus:
            check_choice("dataset", name, DATASETS)
        if not self.corpus:
            raise ValueError("corpus is empty; name the datasets whose labels are mined")
        check_counts(paper_batch=self.paper_batch)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """As `Config.from_dict`, also for the parts; `TypeError` names a missing key."""
        values = {"pretrained": None, "paper": {}, **values, "corpus": tuple(values.get("corpus", ()))}
        parts: dict[str, type[Config]] = {"model": MGDMConfig, "train": TrainConfig, "finetune": FineTuneConfig}
        values |= {name: part.from_dict(values.get(name, {})) for name, part in parts.items()}
        values["paper"] = {table: Printed.from_dict(printed) for table, printed in values["paper"].items()}
        return super().from_dict(values)

    @property
    def corpus_name(self) -> str:
        """own: the dataset's own labels; union: those of all three; else the datasets, "hmdb51+ucf101"."""
        if set(self.corpus) == {self.dataset}:
            return "own"
        return "union" if set(self.corpus) == set(UNION) else "+".join(self.corpus)

    def printed(self, table: int) -> Printed | None:
        """What the paper prints for this row in one of its tables."""
        return self.paper.get(f"table{table}")

    def changed(self, options: Options) -> Self:
        """The recipe with those of the options in it that are not None; `ValueError` for what no recipe may have."""
        given = {name: value for name, value in options.to_dict().items() if value is not None}

        def laid_over(part: Config) -> Config:
            return replace(part, **{name: given[name] for name in given.keys() & part.to_dict().keys()})

        changed: dict[str, Any] = {"train": laid_over(self.train), "finetune": laid_over(self.finetune)}
        if "clip" in given:
            changed |= {"clip": given["clip"], "pretrained": given.get("pretrained")}
        if options.corpus not in (None, self.corpus_name):
            changed["corpus"] = (self.dataset,) if options.corpus == "own" else UNION
        return replace(self, **changed)

    def in_force(self, *, frozen: bool) -> dict[str, Any]:
        """What decides a run, as JSON has it, but for the seed; nothing of `finetune` where CLIP stays frozen."""
        left_out = {"paper", "finetune"} if frozen else {"paper"}
        values = json.loads(json.dumps({name: part for name, part in self.to_dict().items() if name not in left_out}))
        del values["train"]["seed"]
        return values

    def to_text(self) -> str:
        """The whole recipe as JSON, a line for each part."""
        lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in self.to_dict().items()]
        return "{\n" + ",\n".join(lines) + "\n}"


def read_recipe(dataset: str, row: str, folder: Path | None = None) -> Recipe:
    """The recipe of a row, from the kit's files or another folder with the same layout.

    Raises:
        FileNotFoundError: naming the file, and the rows there are.
        ValueError: naming the files whose keys or values are wrong.
    """
    folder = folder or RECIPES
    check_choice("dataset", dataset, DATASETS)
    files = _files(dataset, row, folder)
    if missing := [file for file in files if not file.is_file()]:
        there = ", ".join(sorted(file.stem for file in (folder / dataset).glob("*.toml"))) or "no row"
        raise FileNotFoundError(
            f"no recipe at {missing[0]}; {folder / dataset} has {there}. The kit's own recipes come with it: where "
            f"they are gone, {REINSTALL}"
        )
    recipe = _read(row, files)
    if (recipe.row, recipe.dataset) != (row, dataset):
        raise ValueError(f"{files[-1]} is of {recipe.dataset}, row {recipe.row}: take row and dataset out of it")
    return recipe


def _files(dataset: str, row: str, folder: Path) -> list[Path]:
    return [folder / "paper.toml", folder / f"{dataset}.toml", folder / dataset / f"{row}.toml"]


def _read(row: str, files: Sequence[Path]) -> Recipe:
    """Each file laid over those before it; errors as `read_recipe`."""
    values: dict[str, Any] = {"row": row}
    for file in files:
        try:
            values = _laid_over(values, tomllib.loads(file.read_text(encoding="utf-8")))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{file} is not TOML: {error}") from error
    try:
        return Recipe.from_dict(values)
    except (ValueError, TypeError, AttributeError) as error:
        below = " and ".join(file.name for file in reversed(files[:-1]))
        raise ValueError(f"{files[-1]} over {below}: {error}") from error


def unlike_the_kit(recipe: Recipe, *, frozen: bool) -> str:
    """ "train.lr=0.01 (5e-05), ...": what is other than in the kit's recipe of this row, whose value is in brackets.

    A row that the kit doesn't have is compared with what all rows of its dataset share.

    Args:
        frozen: CLIP isn't trained, so that `finetune` is not in force.
    """
    files = [file for file in _files(recipe.dataset, recipe.row, RECIPES) if file.is_file()]
    both = (recipe, _read(recipe.row, files))
    here, kit = (flat(one.in_force(frozen=frozen) | {"corpus": one.corpus_name}) for one in both)
    return ", ".join(f"{key}={here[key]} ({kit[key]})" for key in here if here[key] != kit[key])


def _laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Tables are merged key by key, anything else is replaced."""
    both = {key for key in above if isinstance(above[key], dict) and isinstance(below.get(key), dict)}
    return below | above | {key: _laid_over(below[key], above[key]) for key in both}


def table_recipes(
    table: int, dataset: str, rows: tuple[str, ...] = (), folder: Path | None = None
) -> tuple[Recipe, ...]:
    """The recipes of a table's rows for one dataset, in the paper's order, or of the rows that are named.

    Errors as `read_recipe`; `ValueError` for a table that has no recipes.
    """
    if table not in TABLE_ROWS:
        raise ValueError(f"table {table} has no recipes; tables {', '.join(map(str, TABLE_ROWS))} have")
    return tuple(read_recipe(dataset, row, folder) for row in rows or TABLE_ROWS[table])
