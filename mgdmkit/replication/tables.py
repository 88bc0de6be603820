"""The tables of the paper with our figures beside the printed ones, from whatever runs have a result.

A table is made from the `result.json` of the runs and nothing else, so it can be written anew at any time. Top-1 of
several seeds is their mean; its 95% interval is that of N videos (Wilson), since seeds don't bring new videos; the
spread of the seeds stands beside it.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import NamedTuple

import pandas as pd

from mgdmkit.data.cards import DATA_MANIFESTS
from mgdmkit.evaluation.scores import wilson
from mgdmkit.files import write_text_atomic
from mgdmkit.replication.pages import Line, comparison_page, kind_name, table_page
from mgdmkit.replication.recipes import FULL, TABLE_DATASET, Printed, table_recipes
from mgdmkit.replication.rows import UNTRAINED
from mgdmkit.runs.folder import read_json

PUBLISHED = DATA_MANIFESTS / "published" / "tables4-6.csv"
"""Others' figures as Tables 4-6 cite them."""


def results(out: Path) -> list[Line]:
    """Every `result.json` under `out`, with `run`, its folder relative to `out`."""
    keys = ("dataset", "row", "training", "N", "top1", "top5")
    cure = "delete it and give the command again: it scores the run anew"
    paths = sorted(out.glob("*/runs/*/result.json"))
    return [read_json(path, cure, keys) | {"run": path.parent.relative_to(out).as_posix()} for path in paths]


def write_table(table: int, datasets: Iterable[str], out: Path, rows: tuple[str, ...] = ()) -> pd.DataFrame:
    """Write `out/table<N>.csv` and `.md`, a row for each recipe, training, official split and corpus; return the rows.

    Where a row has a result in several official splits, `out/table<N>-splits.csv` and the page have their mean, too.
    What the paper prints is taken from the kit's recipes, whatever others a row was run with.

    Args:
        datasets: those of the table; Table 7 takes also others that have results.
        rows: recipes to list besides the table's own. One without a result has the paper's figures alone.
    """
    found = results(out)
    if table not in TABLE_DATASET:
        datasets = (*datasets, *(run["dataset"] for run in found))
    lines: list[Line] = []
    for dataset in dict.fromkeys(datasets):
        own = {recipe.row: recipe.printed(table) for recipe in table_recipes(table, dataset)}
        listed = {"zero-shot": None, **own, **{row: None for row in rows if row not in own}}
        for kind in _kinds(found, dataset):
            lines += [_line(row, dataset, kind, printed, found) for row, printed in listed.items()]
    lines = [line for line in lines if line["row"] != "zero-shot" or line["N"]]
    means = split_means(lines)
    if means:
        _write_csv(out / f"table{table}-splits.csv", means)
    write_text_atomic(out / f"table{table}.md", table_page(table, lines, means))
    return _write_csv(out / f"table{table}.csv", lines)


def _write_csv(path: Path, lines: Sequence[Line]) -> pd.DataFrame:
    written = pd.DataFrame(lines)
    write_text_atomic(path, written.to_csv(index=False))
    return written


class Kind(NamedTuple):
    """What the runs of a section of a table have in common."""

    training: str = ""
    official_split: int | None = None
    corpus: str = ""

    @classmethod
    def of(cls, run: Line) -> "Kind":
        return cls(run["training"], run["official_split"], run.get("corpus", ""))


def _kinds(found: Sequence[Line], dataset: str) -> list[Kind]:
    """Those of the results of a dataset; a single empty one without any."""
    own = {Kind.of(run) for run in found if run["dataset"] == dataset and run["training"] != UNTRAINED}
    return sorted(own, key=str) or [Kind()]


ALIKE = ("clip", "features_precision", "precision", "batch", "paper_batch", "batch_note", "exclude")
ALIKE += ("unlike_the_recipe", "unlike_the_paper")
"""Taken from the first seed: runs with others are refused by `check_settings`."""
SUMMARY = ("top1", "top1_low", "top1_high", "top1_sd", "top5", "N", "seeds", *ALIKE, "runs")


def _line(row: str, dataset: str, kind: Kind, printed: Printed | None, found: Sequence[Line]) -> Line:
    """One row of the CSV; None where the paper prints nothing or no run is finished."""
    # Frozen CLIP's score goes with every training and corpus.
    wanted = Kind(UNTRAINED, kind.official_split) if row == "zero-shot" else kind
    runs = [run for run in found if (run["dataset"], run["row"], Kind.of(run)) == (dataset, row, wanted)]
    line: Line = {"row": row, "dataset": dataset, **kind._asdict()}
    line |= {"paper_top1": printed and printed.top1, "paper_top5": printed and printed.top5}
    return line | (_summary(runs) if runs else dict.fromkeys(SUMMARY))


def _summary(runs: Sequence[Line]) -> Line:
    """The columns `SUMMARY` of runs that differ in their seeds."""
    names = [run["run"] for run in runs]
    if len({run["N"] for run in runs}) > 1:
        raise ValueError(f"the seeds {', '.join(names)} scored different numbers of videos; take another folder")
    N, top1 = runs[0]["N"], [run["top1"] for run in runs]
    interval = wilson(round(fmean(top1) / 100 * N), N)
    return {
        "top1": round(fmean(top1), 2),
        "top1_low": round(100 * interval.low, 2),
        "top1_high": round(100 * interval.high, 2),
        "top1_sd": round(stdev(top1), 2) if len(runs) > 1 else None,
        "top5": round(fmean(run["top5"] for run in runs), 2),
        "N": N,
        "seeds": len(runs),
        **{name: runs[0].get(name) for name in ALIKE},
        "runs": "; ".join(names),
    }


def split_means(lines: Sequence[Line]) -> list[Line]:
    """Of the rows of `write_table` those with results in several official splits: the mean over these splits.

    N counts the videos of all the splits, seeds are the fewest of a split. No interval: the splits train on one
    another's test clips, so their scores are not independent.
    """
    done: dict[tuple[str, ...], list[Line]] = defaultdict(list)
    for line in lines:
        if line["N"] and line["official_split"]:
            done[line["dataset"], line["training"], line["corpus"], line["row"]].append(line)
    return [_mean(parts) for parts in done.values() if len(parts) > 1]


def _mean(splits: Sequence[Line]) -> Line:
    def of_first(*names: str) -> Line:
        return {name: splits[0][name] for name in names}

    return {
        **of_first("row", "dataset", "training", "corpus"),
        "splits": ", ".join(str(line["official_split"]) for line in splits),
        **of_first("paper_top1", "paper_top5"),
        **{name: round(fmean(line[name] for line in splits), 2) for name in ("top1", "top5")},
        "top1_of_splits": ", ".join(f"{line['top1']:.2f}" for line in splits),
        "N": sum(line["N"] for line in splits),
        "seeds": min(line["seeds"] for line in splits),
        **of_first("clip", "batch_note", "unlike_the_recipe"),
        **{
            name: "; ".join(dict.fromkeys(filter(None, (line[name] for line in splits))))
            for name in ("unlike_the_paper", "runs")
        },
    }


OURS = ("top1", "top5", "top1_low", "top1_high", "N", "seeds", "batch_note", "unlike_the_recipe", "unlike_the_paper")
OURS += ("runs",)


def write_comparison(table: int, out: Path) -> pd.DataFrame:
    """Write Table 4, 5 or 6: the figures that the paper cites, then those of our runs of the full model.

    Returns:
        method, pretraining, input, top1, top5, and of our rows what `OURS` names.
    """
    cited = pd.read_csv(PUBLISHED).query("table == @table")
    lines: list[Line] = [
        {"method": row.method, "pretraining": row.pretraining, "input": f"{row.frames} x {row.size}^2"}
        | dict.fromkeys(OURS)
        | {"top1": row.top1, "top5": row.top5}
        for row in cited.itertuples()
    ]
    found, dataset = results(out), TABLE_DATASET[table]
    ours = [_line(FULL, dataset, kind, None, found) for kind in _kinds(found, dataset)]
    for own in (*ours, *split_means(ours)):
        if own["N"]:
            name = {"method": f"MGDM, this kit ({kind_name(own)})", "pretraining": own["clip"], "input": ""}
            lines.append(name | {column: own.get(column) for column in OURS})
    write_text_atomic(out / f"table{table}.md", comparison_page(table, lines))
    return _write_csv(out / f"table{table}.csv", lines)
