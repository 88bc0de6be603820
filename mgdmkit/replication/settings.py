"""How rows are run, and the record of it: every run holds `row.json`, all that decides its row but seed and split.

Seeds and official splits of a row are averaged, and the rows of a dataset share their negatives. So a folder that
holds runs with other settings is refused, before anything in it is replaced.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mgdmkit.clip.features import read_recipe
from mgdmkit.data.corpus import normalise
from mgdmkit.data.exclusions import read_exclusions
from mgdmkit.replication.recipes import NONE, Overrides, Recipe
from mgdmkit.runs.folder import FolderError, claim, read_json
from mgdmkit.runs.processes import world_size

TRAININGS = ("fine-tuned", "frozen")
UNTRAINED = "untrained"
"""Of frozen CLIP's own scores."""


@dataclass(frozen=True)
class Options:
    """How rows are run, beside their recipes."""

    frozen: bool = False
    """Train MGDM on cached features, CLIP stays as it is; otherwise both are trained, as in the paper."""
    exclude: tuple[Path, ...] = ()
    """Decided near-duplicates, see `read_exclusions`; they are not mined for each other."""
    workers: int | None = None
    """Processes that decode; one per core, at most 8, when not given."""
    device: str = "auto"
    quiet: bool = False
    overrides: Overrides = NONE
    """What is other than in the recipes."""

    @property
    def training(self) -> str:
        return TRAININGS[self.frozen]


DEFAULT = Options()


def features_precision(recipe: Recipe) -> str:
    """What frozen CLIP computes in: the training's precision, fp32 where that is left to the device."""
    return "fp32" if recipe.train.precision == "auto" else recipe.train.precision


def _check_precision(features: Path, asked: str) -> None:
    held = read_recipe(features).get("precision", "fp32") if (features / "features.json").is_file() else asked
    if held != asked:
        raise FolderError(
            f"{features} was computed in {held}, and {asked} is wanted here; give --precision {held} or another --out"
        )


def exclusions(paths: Sequence[Path]) -> str:
    """What was decided to exclude, "none" or a count and a checksum: of the decisions, wherever their files lie."""
    pairs = [(sorted((normalise(e.label_a), normalise(e.label_b))), e.clip) for e in read_exclusions(*paths)]
    if not pairs:
        return "none"
    digest = hashlib.sha256(json.dumps(sorted(pairs)).encode()).hexdigest()[:16]
    return f"pairs: {len(pairs)}, sha256: {digest}"


def settings(recipe: Recipe, options: Options) -> dict[str, Any]:
    """All that decides a row but seed, split and data, as JSON has it."""
    left_out = {"paper", "finetune"} if options.frozen else {"paper"}
    made = {name: value for name, value in recipe.to_dict().items() if name not in left_out}
    made["train"] = {name: value for name, value in made["train"].items() if name != "seed"}
    made |= {"training": options.training, "exclude": exclusions(options.exclude), "processes": world_size()}
    return json.loads(json.dumps(made))


def record_settings(run: Path, made: dict[str, Any]) -> None:
    """Write a run's `row.json`; `FolderError` where one says otherwise."""
    claim(run / "row.json", made, ignore=("clip", "pretrained"))  # may move, the fingerprint in config.json may not


def check_settings(root: Path, recipes: Sequence[Recipe], options: Options) -> None:
    """`FolderError` when `root` does not go with these rows: runs with other settings, features, or exclusions."""
    _check_precision(root / "features", features_precision(recipes[0]))
    asked = {recipe.row: settings(recipe, options) for recipe in recipes}
    first = asked[recipes[0].row]
    for path in sorted(root.glob("runs/*/row.json")):
        keys = ("corpus", "exclude", "training", "row")
        held = read_json(path, f"delete {path.parent} and give the command again: it trains this row anew", keys)
        if held["corpus"] != first["corpus"]:
            continue  # its negatives and its runs are kept apart
        if held["exclude"] != first["exclude"]:
            raise FolderError(
                f"{path.parent} was trained with other exclusions ({held['exclude']}) than are given here "
                f"({first['exclude']}), and the rows of a folder share their negatives; give the same --exclude, or "
                f"another --out"
            )
        if held["training"] == first["training"] and held["row"] in asked:
            record_settings(path.parent, asked[held["row"]])
