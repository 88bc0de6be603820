"""The tables of the paper with our figures beside the printed ones, from whatever runs have a result.

A table is made from the `result.json` of the runs and nothing else, so it can be written anew at any time. Top-1 of
several seeds is their mean; its 95% interval is that of N videos (Wilson), since seeds don't bring new videos; the
spread of the seeds stands beside it.
"""

import json
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from mgdmkit.config import write_text_atomic
from mgdmkit.datasets import DATA_MANIFESTS, dataset_card
from mgdmkit.evaluate import wilson
from mgdmkit.recipes import FULL, TABLE_DATASET, table_recipes

PUBLISHED = DATA_MANIFESTS / "published" / "tables4-6.csv"
"""Others' figures as Tables 4-6 cite them."""
CITING = (4, 5, 6)
NAMES = {
    "zero-shot": "zero-shot CLIP",
    "without-representer": "without video representer",
    "without-discriminator": "without semantic discriminator",
}


def results(out: Path) -> pd.DataFrame:
    """Every result under `out`, a row a run, with `run`, its folder relative to `out`; empty without one."""
    paths = sorted(out.glob("*/runs/*/result.json"))
    runs = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    folders = [path.parent.relative_to(out).as_posix() for path in paths]
    return pd.DataFrame([{**run, "run": folder} for run, folder in zip(runs, folders, strict=True)])


def write_table(
    table: int, datasets: Iterable[str], out: Path, rows: tuple[str, ...] = (), folder: Path | None = None
) -> pd.DataFrame:
    """Write `out/table<N>.csv` and `.md`, a row for each recipe, training and official split; return the CSV's rows.

    Args:
        datasets: those of the table; Table 7 takes also others that have results.
        rows: recipes to list besides the table's own. One without a result has the paper's figures alone.
        folder: other recipes than the kit's.
    """
    found = results(out)
    if table not in TABLE_DATASET and not found.empty:
        datasets = (*datasets, *found["dataset"])
    lines = []
    for dataset in dict.fromkeys(datasets):
        own = {recipe.row: recipe.printed(table) for recipe in table_recipes(table, dataset, folder=folder)}
        listed = {"zero-shot": None, **own, **{row: None for row in rows if row not in own}}
        for kind in _kinds(found, dataset):
            lines += [_row(row, dataset, kind, printed, found) for row, printed in listed.items()]
    filled = pd.DataFrame([line for line in lines if line["row"] != "zero-shot" or line["N"]])
    write_text_atomic(out / f"table{table}.csv", filled.to_csv(index=False))
    write_text_atomic(out / f"table{table}.md", _markdown(table, filled))
    return filled


def _kinds(found: pd.DataFrame, dataset: str) -> list[tuple[str, int | None]]:
    """The trainings and official splits of the results of a dataset, ("", None) without any."""
    if found.empty:
        return [("", None)]
    own = found[(found["dataset"] == dataset) & (found["training"] != "untrained")]
    kinds = {
        (run.training, None if pd.isna(run.official_split) else int(run.official_split)) for run in own.itertuples()
    }
    return sorted(kinds, key=str) or [("", None)]


def _row(row: str, dataset: str, kind: tuple[str, int | None], printed: Any, found: pd.DataFrame) -> dict[str, Any]:
    """One row of the CSV; empty cells where the paper prints nothing or no run is finished."""
    training, split = kind
    of_row = _select(found, dataset, "untrained" if row == "zero-shot" else training, split, row)
    line: dict[str, Any] = {"row": row, "dataset": dataset, "training": training, "official_split": split}
    line |= {"paper_top1": printed and printed.top1, "paper_top5": printed and printed.top5}
    return line | (_summary(of_row) if len(of_row) else dict.fromkeys(SUMMARY))


def _select(found: pd.DataFrame, dataset: str, training: str, split: int | None, row: str) -> pd.DataFrame:
    if found.empty:
        return found
    same_split = found["official_split"].isna() if split is None else found["official_split"] == split
    return found[(found["dataset"] == dataset) & (found["training"] == training) & same_split & (found["row"] == row)]


SUMMARY = ("top1", "top1_low", "top1_high", "top1_sd", "top5", "N", "seeds", "clip", "batch", "paper_batch")
SUMMARY += ("unlike_the_paper", "runs")


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
        **{name: first[name] for name in ("clip", "batch", "paper_batch", "unlike_the_paper")},
        "runs": "; ".join(runs["run"]),
    }


def write_comparison(table: int, out: Path) -> pd.DataFrame:
    """Write Table 4, 5 or 6: the figures that the paper cites, then those of our runs of the full model.

    Returns:
        method, pretraining, input, top1, top5, and of our rows top1_low, top1_high, N, seeds, unlike_the_paper, runs.
    """
    cited = pd.read_csv(PUBLISHED)
    cited = cited[cited["table"] == table]
    rows = [
        {"method": line.method, "pretraining": line.pretraining, "input": f"{line.frames} x {line.size}^2"}
        | {"top1": line.top1, "top5": line.top5}
        for line in cited.itertuples()
    ]
    found, dataset = results(out), TABLE_DATASET[table]
    for kind in _kinds(found, dataset):
        own = _row(FULL, dataset, kind, None, found)
        if own["N"]:
            split = f", split {kind[1]}" if kind[1] and kind[1] > 1 else ""
            name = {"method": f"MGDM, this kit ({kind[0]}{split})", "pretraining": own["clip"]}
            rows.append(name | {column: own[column] for column in OURS})
    compared = pd.DataFrame(rows, columns=["method", "pretraining", "input", *OURS])
    write_text_atomic(out / f"table{table}.csv", compared.to_csv(index=False))
    write_text_atomic(out / f"table{table}.md", _comparison_markdown(table, compared))
    return compared


OURS = ("top1", "top5", "top1_low", "top1_high", "N", "seeds", "unlike_the_paper", "runs")


def _markdown(table: int, rows: pd.DataFrame) -> str:
    """A section for each dataset, training and split; of Table 7 first the whole, a column for each."""
    sections = [(_kind_title(*kind), part) for kind, part in rows.groupby(KIND, sort=False, dropna=False)]
    parts = [f"# Table {table}\n"]
    if table not in TABLE_DATASET:
        columns = {
            title: dict(zip(part["row"], map(_beside, part.itertuples()), strict=True)) for title, part in sections
        }
        listed = dict.fromkeys(rows["row"])
        names = {row: _name(row) for row in listed} | {FULL: "MGDM"}
        lines = [[names[row], *(column.get(row, "") for column in columns.values())] for row in listed]
        parts.append(_table(("Top-1", *columns), lines) + "\n")
    for title, part in sections:
        parts += [f"## {title}\n", _table(HEADER, map(_cells, part.itertuples())) + "\n", *_notes(part), ""]
    return "\n".join(parts).rstrip() + "\n"


KIND = ["dataset", "training", "official_split"]
HEADER = ("row", "paper Top-1", "paper Top-5", "Top-1", "95% interval", "Top-5", "N", "seeds", "runs")


def _kind_title(dataset: str, training: str, split: float | None) -> str:
    where = "" if pd.isna(split) else f", official split {int(split)}"
    return f"{dataset_card(dataset)['title']}: {training or 'no finished run yet'}{where}"


def _name(row: str) -> str:
    """A row as the paper calls it: "3-top" -> "3 (top)"."""
    k, _, kind = row.partition("-")
    return NAMES.get(row) or (f"{k} ({kind})" if kind else k)


def _top1(row: Any) -> str:
    """Nothing for a row without a result."""
    if pd.isna(row.N):
        return ""
    return f"{row.top1:.2f}" + ("" if pd.isna(row.top1_sd) else f" ± {row.top1_sd:.2f}")


def _beside(row: Any) -> str:
    printed = _percent(row.paper_top1)
    return f"{_top1(row) or '-'} (paper {printed})" if printed else _top1(row)


def _cells(row: Any) -> list[str]:
    cells = [_name(row.row), _percent(row.paper_top1), _percent(row.paper_top5), _top1(row)]
    if pd.isna(row.N):
        return [*cells, *[""] * (len(HEADER) - len(cells))]
    interval, runs = f"{row.top1_low:.1f} - {row.top1_high:.1f}", row.runs.replace("; ", "<br>")
    return [*cells, interval, f"{row.top5:.2f}", str(int(row.N)), str(int(row.seeds)), runs]


def _notes(part: pd.DataFrame) -> list[str]:
    done = part[part["N"].notna() & (part["row"] != "zero-shot")]
    notes = [f"- **Not comparable with the paper's figures:** {text}." for text in _distinct(done["unlike_the_paper"])]
    if "frozen" in set(done["training"]):
        notes.append("- CLIP is frozen here and trained in the paper; its figures stand beside for orientation.")
    batches = {(int(row.batch), int(row.paper_batch)) for row in done.itertuples()}
    notes += [f"- Batches of {own} videos, {paper} in the paper." for own, paper in sorted(batches) if own != paper]
    if clips := _distinct(done["clip"]):
        notes.append(f"- CLIP: {', '.join(clips)}.")
    if (done["seeds"] > 1).any():
        notes.append("- Top-1 of several seeds: mean ± sample standard deviation; the interval is that of N videos.")
    return notes


def _comparison_markdown(table: int, rows: pd.DataFrame) -> str:
    header = ("method", "pretraining", "input", "Top-1", "Top-5", "95% interval", "N")
    lines = []
    for row in rows.itertuples():
        own = not pd.isna(row.N)
        interval, n = (f"{row.top1_low:.1f} - {row.top1_high:.1f}", str(int(row.N))) if own else ("", "")
        given = "" if pd.isna(row.input) else row.input.replace("^2", "²")
        lines.append([row.method, row.pretraining, given, _percent(row.top1), _percent(row.top5), interval, n])
    title = f"# Table {table}: {dataset_card(TABLE_DATASET[table])['title']}\n"
    ours = rows[rows["N"].notna()]
    notes = [f"**Not comparable with the others:** {text}." for text in _distinct(ours["unlike_the_paper"])]
    if ours.empty:
        command = f"mgdm reproduce --table {table - 3} --rows {FULL} --data FILE --out FOLDER"
        notes.append(f"No run of ours yet: `{command}` makes one.")
    notes.insert(0, "The figures of all methods without N are cited from the paper.")
    return "\n".join([title, _table(header, lines), "", *(f"- {note}" for note in notes)]) + "\n"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows))


def _percent(value: float | None) -> str:
    return "" if value is None or pd.isna(value) else f"{value:.1f}"


def _distinct(values: Iterable[Any]) -> list[str]:
    return [text for text in dict.fromkeys(values) if isinstance(text, str) and text]
