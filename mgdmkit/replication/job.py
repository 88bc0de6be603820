"""A table of the paper, row by row: features, mining, training, evaluation, and the table anew after each row.

    OUT/<dataset>/                features, negatives and runs, see `rows.py`
    OUT/table2.csv, table2.md     what has a result so far
    OUT/table2-splits.csv         the mean over official splits, once there are several

What is finished is loaded, what was interrupted continues; rows that two tables share are trained once.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mgdmkit.clip.features import read_recipe
from mgdmkit.clip.weights import check_folder
from mgdmkit.replication.options import Options
from mgdmkit.replication.recipes import Recipe, table_recipes
from mgdmkit.replication.rows import (
    exclusions,
    features_precision,
    prepare,
    record_settings,
    run_row,
    score_zero_shot,
)
from mgdmkit.replication.sources import Source
from mgdmkit.replication.tables import write_table
from mgdmkit.runs.folder import FolderError, read_json
from mgdmkit.runs.processes import barrier, is_main


def reproduce_table(table: int, sources: Sequence[Source], out: Path, options: Options) -> Path:
    """Run rows of Table 1, 2, 3 or 7 with seeds 0 .. seeds - 1 and return its CSV; a Markdown file lies beside it.

    Args:
        sources: the clips of each dataset and official split, from `open_sources`.
    Raises:
        ValueError: for recipes that can't share features, or fine-tuning without videos.
        FolderError: when `out` holds runs of other data, other recipes or other options.
    """
    jobs = [(source, job_recipes(table, source, options)) for source in sources]
    for source, recipes in jobs:
        check_job(source, recipes, out, options)
    for source, recipes in jobs:
        prepared = prepare(source, recipes[0], out / source.dataset, options)
        score_zero_shot(prepared, recipes[0])
        for seed in range(options.seeds):
            for recipe in recipes:
                run_row(recipe, prepared, seed, options)
                if is_main():
                    write_table(table, [source.dataset for source in sources], out, options.rows)
                barrier()
    return out / f"table{table}.csv"


def job_recipes(table: int, source: Source, options: Options) -> tuple[Recipe, ...]:
    """The rows to run, changed as asked; the CLIP, where none is asked for, is the one that made the features."""
    if options.clip is None and source.is_features:
        made = read_recipe(source.path)
        options = replace(options, clip=made["clip"], pretrained=made["pretrained"])
    listed = table_recipes(table, source.dataset, options.rows, options.recipes)
    return tuple(recipe.changed(options) for recipe in listed)


def check_job(source: Source, recipes: Sequence[Recipe], out: Path, options: Options) -> None:
    """What can be told before the work; errors as `reproduce_table`."""
    shared = {
        (r.clip, r.pretrained, r.prompt, r.corpus, r.scored, r.model.frames, features_precision(r)) for r in recipes
    }
    if len(shared) > 1:
        raise ValueError(
            f"the rows {', '.join(r.row for r in recipes)} differ in clip, prompt, corpus, scored, frames or "
            f"precision, so they can't share features and negatives; run them one by one into other folders"
        )
    check_folder(recipes[0].clip, recipes[0].pretrained)
    if source.is_features and not options.frozen:
        raise ValueError(f"{source.path} holds features; fine-tuning needs the manifest of the videos, or add --frozen")
    source.check_splits(recipes[0].scored)
    check_settings(out / recipes[0].dataset, recipes, options)


def check_settings(root: Path, recipes: Sequence[Recipe], options: Options) -> None:
    """`FolderError` when `root` does not go with these rows: runs with other settings, features, or exclusions.

    Seeds and official splits of a row are averaged, and the rows of a dataset share their negatives.
    """
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
