"""The tables of the paper as pages: Markdown from the rows of `tables.py`, which has the figures."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from mgdmkit.data.cards import dataset_card
from mgdmkit.replication.recipes import FULL, TABLE_DATASET

NAMES = {
    "zero-shot": "zero-shot CLIP",
    "without-representer": "without video representer",
    "without-discriminator": "without semantic discriminator",
}


def table_page(table: int, rows: pd.DataFrame, means: pd.DataFrame) -> str:
    """A section for each dataset, training, split and corpus, then the means over splits.

    Table 7 begins with the whole, a column for each section.
    """
    parts_of = rows.groupby(KIND, sort=False, dropna=False)
    sections = [(_title(dict(zip(KIND, kind, strict=True))), part) for kind, part in parts_of]
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
    for _, part in means.groupby(["dataset", "training", "corpus"], sort=False):
        title = _title(part.iloc[0].to_dict() | {"splits": "several"})
        parts += [f"## {title}\n", _table(MEAN_HEADER, map(_mean_cells, part.itertuples())) + "\n", *_notes(part), ""]
    return "\n".join(parts).rstrip() + "\n"


KIND = ["dataset", "training", "official_split", "corpus"]
HEADER = ("row", "paper Top-1", "paper Top-5", "Top-1", "95% interval", "Top-5", "N", "seeds", "runs")
MEAN_HEADER = ("row", "paper Top-1", "paper Top-5", "mean Top-1", "mean Top-5", "splits", "Top-1 of each", "N of all")
CORPORA = {"own": "own labels", "union": "union of labels"}


def _title(kind: Mapping[str, Any]) -> str:
    return f"{dataset_card(kind['dataset'])['title']}: {kind_name(kind)}"


def kind_name(kind: Mapping[str, Any]) -> str:
    """ "frozen, official split 1, own labels", from the columns of a row of a table, or of a mean over splits."""
    if not kind["training"]:
        return "no finished run yet"
    split = kind.get("official_split")
    where = "" if split is None or pd.isna(split) else f"official split {int(split)}"
    if isinstance(splits := kind.get("splits"), str):
        where = f"mean of official splits{'' if splits == 'several' else ' ' + splits}"
    corpus = CORPORA.get(kind["corpus"], f"labels of {kind['corpus']}")
    return ", ".join(filter(None, (kind["training"], where, corpus)))


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


def _mean_cells(row: Any) -> list[str]:
    cells = [_name(row.row), _percent(row.paper_top1), _percent(row.paper_top5), f"{row.top1:.2f}", f"{row.top5:.2f}"]
    return [*cells, row.splits, row.top1_of_splits, str(row.N)]


def _notes(part: pd.DataFrame) -> list[str]:
    done = part[part["N"].notna() & (part["row"] != "zero-shot")]
    notes = [f"- **Not comparable with the paper's figures:** {text}." for text in _distinct(done["unlike_the_paper"])]
    if "frozen" in set(done["training"]):
        notes.append("- CLIP is frozen here and trained in the paper; its figures stand beside for orientation.")
    notes += _notes_by_row(done, "batch_note", "")
    notes += _notes_by_row(done, "unlike_the_recipe", UNLIKE)
    if clips := _distinct(done["clip"]):
        notes.append(f"- CLIP: {', '.join(clips)}.")
    if "splits" in part:
        return [*notes, "- The paper's figures are of official split 1, as far as its counts of clips tell."]
    notes += _notes_by_row(done, "exclude", "not mined for each other, ", but="none")
    notes += _notes_by_row(done, "features_precision", "features computed in ", but="fp32")
    if (done["seeds"] > 1).any():
        notes.append("- Top-1 of several seeds: mean ± sample standard deviation; the interval is that of N videos.")
    return notes


UNLIKE = "other than in the kit's recipe, whose value stands in brackets: "


def _notes_by_row(
    done: pd.DataFrame, column: str, before: str, *, but: str = "", names: Callable[[str], str] = _name
) -> list[str]:
    """A line for each text of a column except `but`, naming its rows unless they are all."""
    notes = []
    for text in _distinct(done[column]):
        rows = done.loc[done[column] == text, "row"]
        which = "" if len(rows) == len(done) else f"{', '.join(map(names, rows))}: "
        if text != but:
            notes.append(f"- {(which + before + text)[0].upper()}{(which + before + text)[1:]}.")
    return notes


def comparison_page(table: int, rows: pd.DataFrame) -> str:
    header = ("method", "pretraining", "input", "Top-1", "Top-5", "95% interval", "N")
    lines = []
    for row in rows.itertuples():
        own = not pd.isna(row.N)
        interval, n = (f"{row.top1_low:.1f} - {row.top1_high:.1f}", str(int(row.N))) if own else ("", "")
        given = "" if pd.isna(row.input) else row.input.replace("^2", "²")
        lines.append([row.method, row.pretraining, given, _percent(row.top1), _percent(row.top5), interval, n])
    title = f"# Table {table}: {dataset_card(TABLE_DATASET[table])['title']}\n"
    ours = rows[rows["N"].notna()].rename(columns={"method": "row"})
    notes = ["- The figures of all methods without N are cited from the paper."]
    notes += [f"- **Not comparable with the others:** {text}." for text in _distinct(ours["unlike_the_paper"])]
    notes += _notes_by_row(ours, "batch_note", "ours: ", names=str)
    notes += _notes_by_row(ours, "unlike_the_recipe", f"ours: {UNLIKE}", names=str)
    if ours.empty:
        command = f"mgdm reproduce --table {table - 3} --rows {FULL} --data FILE --out FOLDER"
        notes.append(f"- No run of ours yet: `{command}` makes one.")
    return "\n".join([title, _table(header, lines), "", *notes]) + "\n"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows))


def _percent(value: float | None) -> str:
    return "" if value is None or pd.isna(value) else f"{value:.1f}"


def _distinct(values: Iterable[Any]) -> list[str]:
    return [text for text in dict.fromkeys(values) if isinstance(text, str) and text]
