"""The tables of the paper with our figures beside the printed ones, from whatever runs have a result.

A table is made from the `result.json` of the runs and nothing else, so it can be written anew at any time. Top-1 of
several seeds is their mean; its 95% interval is that of N videos (Wilson), since seeds don't bring new videos; the
spread of the seeds stands beside it.
"""

import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from mgdmkit.config import write_text_atomic
from mgdmkit.data.cards import DATA_MANIFESTS
from mgdmkit.evaluation.scores import wilson
from mgdmkit.replication.pages import comparison_page, kind_name, table_page
from mgdmkit.replication.recipes import FULL, TABLE_DATASET, table_recipes
from mgdmkit.replication.settings import UNTRAINED
from mgdmkit.runs.folder import read_json

PUBLISHED = DATA_MANIFESTS / "published" / "tables4-6.csv"
"""Others' figures as Tables 4-6 cite them."""
CITING = (4, 5, 6)


def results(out: Path) -> pd.DataFrame:
    """Every result under `out`, a row a run, with `run`, its folder relative to `out`; empty without one."""
    paths = sorted(out.glob("*/runs/*/result.json"))
    keys = ("dataset", "row", "training", "N", "top1", "top5")
    cure = "delete it and give the command again: it scores the run anew"
    runs = [read_json(path, cure, keys) for path in paths]
    folders = [path.parent.relative_to(out).as_posix() for path in paths]
    return pd.DataFrame([{**run, "run": folder} for run, folder in zip(runs, folders, strict=True)])


def write_table(table: int, datasets: Iterable[str], out: Path, rows: tuple[str, ...] = ()) -> pd.DataFrame:
    """Write `out/table<N>.csv` and `.md`, a row for each recipe, training, official split and corpus; return the rows.

    Where a row has a result in several official splits, `out/table<N>-splits.csv` and the page have their mean, too.
    What the paper prints is taken from the kit's recipes, whatever others a row was run with.

    Args:
        datasets: those of the table; Table 7 takes also others that have results.
        rows: recipes to list besides the table's own. One without a result has the paper's figures alone.
    """
    found = results(out)
    if table not in TABLE_DATASET and not found.empty:
        datasets = (*datasets, *found["dataset"])
    lines = []
    for dataset in dict.fromkeys(datasets):
        own = {recipe.row: recipe.printed(table) for recipe in table_recipes(table, dataset)}
        listed = {"zero-shot": None, **own, **{row: None for row in rows if row not in own}}
        for kind in _kinds(found, dataset):
            lines += [_row(row, dataset, kind, printed, found) for row, printed in listed.items()]
    filled = pd.DataFrame([line for line in lines if line["row"] != "zero-shot" or line["N"]])
    write_text_atomic(out / f"table{table}.csv", filled.to_csv(index=False))
    means = split_means(filled)
    if len(means):
        write_text_atomic(out / f"table{table}-splits.csv", means.to_csv(index=False))
    write_text_atomic(out / f"table{table}.md", table_page(table, filled, means))
    return filled


class Kind(NamedTuple):
    """What the runs of a section of a table have in common."""

    training: str = ""
    official_split: int | None = None
    corpus: str = ""


def _kinds(found: pd.DataFrame, dataset: str) -> list[Kind]:
    """Those of the results of a dataset; a single empty one without any."""
    if found.empty:
        return [Kind()]
    own = found[(found["dataset"] == dataset) & (found["training"] != UNTRAINED)]
    splits = [None if pd.isna(split) else int(split) for split in own["official_split"]]
    return sorted(set(map(Kind, own["training"], splits, own["corpus"])), key=str) if len(own) else [Kind()]


def _row(row: str, dataset: str, kind: Kind, printed: Any, found: pd.DataFrame) -> dict[str, Any]:
    """One row of the CSV; empty cells where the paper prints nothing or no run is finished."""
    of_row = _select(found, dataset, kind, row)
    line: dict[str, Any] = {"row": row, "dataset": dataset, **kind._asdict()}
    line |= {"paper_top1": printed and printed.top1, "paper_top5": printed and printed.top5}
    return line | (_summary(of_row) if len(of_row) else dict.fromkeys(SUMMARY))


def _select(found: pd.DataFrame, dataset: str, kind: Kind, row: str) -> pd.DataFrame:
    """The runs of a row; frozen CLIP's score goes with every training and corpus."""
    if found.empty:
        return found
    split = found["official_split"]
    chosen = (found["dataset"] == dataset) & (found["row"] == row)
    chosen &= split.isna() if kind.official_split is None else split == kind.official_split
    if row == "zero-shot":
        return found[chosen & (found["training"] == UNTRAINED)]
    return found[chosen & (found["training"] == kind.training) & (found["corpus"] == kind.corpus)]


ALIKE = ("clip", "features_precision", "precision", "batch", "paper_batch", "batch_note", "exclude")
ALIKE += ("unlike_the_recipe", "unlike_the_paper")
"""Taken from the first seed: runs with others are refused by `check_settings`."""
SUMMARY = ("top1", "top1_low", "top1_high", "top1_sd", "top5", "N", "seeds", *ALIKE, "runs")


def _summary(runs: pd.DataFrame) -> dict[str, Any]:
    """The columns `SUMMARY` of runs that differ in their seeds."""
    first, seeds = runs.iloc[0], len(runs)
    if runs["N"].nunique() > 1:
        raise ValueError(f"the seeds {', '.join(runs['run'])} scored different numbers of videos; take another folder")
    N, top1 = int(first["N"]), runs["top1"].mean()
    interval = wilson(round(top1 / 100 * N), N)
    return {
        "top1": round(top1, 2),
        "top1_low": round(100 * interval.low, 2),
        "top1_high": round(100 * interval.high, 2),
        "top1_sd": round(statistics.stdev(runs["top1"]), 2) if seeds > 1 else None,
        "top5": round(runs["top5"].mean(), 2),
        "N": N,
        "seeds": seeds,
        **{name: first.get(name) for name in ALIKE},
        "runs": "; ".join(runs["run"]),
    }


SPLIT_COLUMNS = ("row", "dataset", "training", "corpus", "splits", "paper_top1", "paper_top5", "top1", "top5")
SPLIT_COLUMNS += ("top1_of_splits", "N", "seeds", "clip", "batch_note", "unlike_the_recipe")
SPLIT_COLUMNS += ("unlike_the_paper", "runs")


def split_means(rows: pd.DataFrame) -> pd.DataFrame:
    """Of the rows of `write_table` those with results in several official splits: the mean over these splits.

    Returns:
        `SPLIT_COLUMNS`. N counts the videos of all the splits, seeds are the fewest of a split. No interval: the splits
        train on one another's test clips, so their scores are not independent.
    """
    done = rows[rows["N"].notna() & rows["official_split"].notna()]
    means = []
    for _, part in done.groupby(["dataset", "training", "corpus", "row"], sort=False):
        if len(part) > 1:
            first = part.iloc[0]
            means.append(
                {name: first[name] for name in ("row", "dataset", "training", "corpus", "paper_top1", "paper_top5")}
                | {name: first[name] for name in ("clip", "batch_note", "unlike_the_recipe")}
                | {name: round(part[name].mean(), 2) for name in ("top1", "top5")}
                | {"splits": ", ".join(str(int(split)) for split in part["official_split"])}
                | {"top1_of_splits": ", ".join(f"{top1:.2f}" for top1 in part["top1"])}
                | {"N": int(part["N"].sum()), "seeds": int(part["seeds"].min())}
                | {name: "; ".join(dict.fromkeys(filter(None, part[name]))) for name in ("unlike_the_paper", "runs")}
            )
    return pd.DataFrame(means, columns=SPLIT_COLUMNS)


def write_comparison(table: int, out: Path) -> pd.DataFrame:
    """Write Table 4, 5 or 6: the figures that the paper cites, then those of our runs of the full model.

    Returns:
        method, pretraining, input, top1, top5, and of our rows what `OURS` names.
    """
    cited = pd.read_csv(PUBLISHED)
    cited = cited[cited["table"] == table]
    rows = [
        {"method": line.method, "pretraining": line.pretraining, "input": f"{line.frames} x {line.size}^2"}
        | {"top1": line.top1, "top5": line.top5}
        for line in cited.itertuples()
    ]
    found, dataset = results(out), TABLE_DATASET[table]
    ours = pd.DataFrame([_row(FULL, dataset, kind, None, found) for kind in _kinds(found, dataset)])
    for own in pd.concat([ours, split_means(ours)]).to_dict("records"):
        if own["N"] and not pd.isna(own["N"]):
            name = {"method": f"MGDM, this kit ({kind_name(own)})", "pretraining": own["clip"]}
            rows.append(name | {column: own[column] for column in OURS})
    compared = pd.DataFrame(rows, columns=["method", "pretraining", "input", *OURS])
    write_text_atomic(out / f"table{table}.csv", compared.to_csv(index=False))
    write_text_atomic(out / f"table{table}.md", comparison_page(table, compared))
    return compared


OURS = ("top1", "top5", "top1_low", "top1_high", "N", "seeds", "batch_note", "unlike_the_recipe", "unlike_the_paper")
OURS += ("runs",)
