"""The record of how rows are run: every run holds `row.json`, all that decides its row but seed and split.

Seeds and official splits of a row are averaged, and the rows of a dataset share their negatives. So a folder that
holds runs with other settings is refused, before anything in it is replaced.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from mgdmkit.clip.features import read_recipe
from mgdmkit.data.corpus import normalise
from mgdmkit.data.exclusions import read_exclusions
from mgdmkit.replication.options import Options
from mgdmkit.replication.recipes import Recipe
from mgdmkit.runs.folder import FolderError, claim, read_json
from mgdmkit.runs.processes import world_size

UNTRAINED = "untrained"
"""Of frozen CLIP's own scores."""


def features_precision(recipe: Recipe) -> str:
    """What frozen CLIP computes in: the training's precision, fp32 where that is left to the device."""
    return "fp32" if recipe.train.precision == "auto" else recipe.train.precision


def exclusions(paths: Sequence[Path]) -> str:
    """What was decided to exclude, "none" or a count and a checksum: of the decisions, wherever their files lie."""
    pairs = [(sorted((normalise(e.label_a), normalise(e.label_b))), e.clip) for e in read_exclusions(*paths)]
    if not pairs:
        return "none"
    digest = hashlib.sha256(json.dumps(sorted(pairs)).encode()).hexdigest()[:16]
    return f"pairs: {len(pairs)}, sha256: {digest}"


def record_settings(run: Path, recipe: Recipe, options: Options) -> None:
    """Write a run's `row.json`: all that decides it but seed, split and data. `FolderError` where it says otherwise."""
    shared = {"training": options.training, "exclude": exclusions(options.exclude), "processes": world_size()}
    made = recipe.in_force(frozen=options.frozen) | shared
    claim(run / "row.json", made, ignore=("clip", "pretrained"))  # may move, the fingerprint in config.json may not


def check_settings(root: Path, recipes: Sequence[Recipe], options: Options) -> None:
    """`FolderError` when `root` does not go with these rows: runs with other settings, features, or exclusions."""
    features, precision = root / "features", features_precision(recipes[0])
    made = read_recipe(features)["precision"] if (features / "features.json").is_file() else precision
    if made != precision:
        cure = f"give --precision {made} or another --out"
        raise FolderError(f"{features} was computed in {made}, and {precision} is wanted here; {cure}")
    excluded, asked = exclusions(options.exclude), {recipe.row: recipe for recipe in recipes}
    for path in sorted(root.glob("runs/*/row.json")):
        keys = ("corpus", "exclude", "training", "row")
        held = read_json(path, f"delete {path.parent} and give the command again: it trains this row anew", keys)
        if held["corpus"] != list(recipes[0].corpus):
            continue  # its negatives and its runs are kept apart
        if held["exclude"] != excluded:
            raise FolderError(
                f"{path.parent} was trained with other exclusions ({held['exclude']}) than are given here "
                f"({excluded}), and the rows of a folder share their negatives; give the same --exclude, or "
                f"another --out"
            )
        if held["training"] == options.training and held["row"] in asked:
            record_settings(path.parent, asked[held["row"]], options)
