"""A table of the paper, row by row: features, mining, training, evaluation, and the table anew after each row.

    OUT/<dataset>/                features, negatives and runs, see `reproduce_rows.py`
    OUT/table2.csv, table2.md     what has a result so far

What is finished is loaded, what was interrupted continues; rows that two tables share are trained once.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mgdmkit.distributed import barrier, is_main
from mgdmkit.features import read_recipe
from mgdmkit.recipes import Recipe, table_recipes
from mgdmkit.reproduce_data import Source
from mgdmkit.reproduce_rows import DEFAULT, Options, prepare, run_row, score_zero_shot
from mgdmkit.reproduce_tables import write_table


def reproduce_table(
    table: int,
    sources: Sequence[Source],
    out: Path,
    *,
    rows: tuple[str, ...] = (),
    folder: Path | None = None,
    clip: str | None = None,
    pretrained: str | None = None,
    seeds: int = 1,
    options: Options = DEFAULT,
) -> Path:
    """Run rows of Table 1, 2, 3 or 7 with seeds 0 .. seeds - 1 and return its CSV; a Markdown file lies beside it.

    Args:
        sources: the clips of each dataset, from `open_source`.
        rows: names of recipes; all rows of the table when empty.
        folder: other recipes than the kit's.
        clip, pretrained: another CLIP than the recipes'.
    Raises:
        ValueError: for recipes that can't share features, or fine-tuning without videos.
        FolderError: when `out` holds runs of other data or other recipes.
    """
    asked = {"rows": rows, "folder": folder, "clip": clip, "pretrained": pretrained}
    jobs = [(source, job_recipes(table, source.dataset, source, **asked)) for source in sources]
    for source, recipes in jobs:
        check_job(source, recipes, options)
    for source, recipes in jobs:
        prepared = prepare(source, recipes[0], out / source.dataset, options)
        score_zero_shot(prepared, recipes[0])
        if not options.frozen:
            prepared = prepared.without_frames()
        for seed in range(seeds):
            for recipe in recipes:
                run_row(recipe, prepared, seed, options)
                if is_main():
                    write_table(table, [source.dataset for source in sources], out, rows, folder)
                barrier()
    return out / f"table{table}.csv"


def job_recipes(
    table: int,
    dataset: str,
    source: Source | None = None,
    *,
    rows: tuple[str, ...] = (),
    folder: Path | None = None,
    clip: str | None = None,
    pretrained: str | None = None,
) -> tuple[Recipe, ...]:
    """The rows to run, with the CLIP that is asked for, or that made the features; else the recipes' own."""
    if clip is None and source is not None and source.is_features:
        made = read_recipe(source.path)
        clip, pretrained = made["clip"], made.get("pretrained")
    recipes = table_recipes(table, dataset, rows, folder)
    return recipes if clip is None else tuple(replace(r, clip=clip, pretrained=pretrained) for r in recipes)


def check_job(source: Source, recipes: Sequence[Recipe], options: Options) -> None:
    """What can be told before the work; errors as `reproduce_table`."""
    if source.is_features and not options.frozen:
        raise ValueError(f"{source.path} holds features; fine-tuning needs the manifest of the videos, or add --frozen")
    if len({(r.clip, r.pretrained, r.prompt, r.corpus, r.scored, r.model.frames) for r in recipes}) > 1:
        raise ValueError(
            f"the rows {', '.join(r.row for r in recipes)} differ in clip, prompt, corpus, scored or frames, so they "
            f"can't share features and negatives; run them one by one into other folders"
        )
    source.check_splits(recipes[0].scored)
