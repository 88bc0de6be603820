"""The tables of the paper as pages: Markdown from the rows of `tables.py`, which has the figures."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from mgdmkit.data.cards import dataset_card
from mgdmkit.replication.recipes import FULL, TABLE_DATASET

Line = dict[str, Any]
"""A row of a table: column -> its figure or text, None where there is none."""
NAMES = {
    "zero-shot": "zero-shot CLIP",
    "without-representer": "without video representer",
    "without-discriminator": "without semantic discriminator",
}
HEADER = ("row", "paper Top-1", "paper Top-5", "Top-1", "95% interval", "Top-5", "N", "seeds", "runs")
MEAN_HEADER = ("row", "paper Top-1", "paper Top-5", "mean Top-1", "mean Top-5", "splits", "Top-1 of each", "N of all")
CORPORA = {"own": "own labels", "union": "union of labels"}
UNLIKE = "other than in the kit's recipe, whose value stands in brackets: "


def table_page(table: int, lines: Sequence[Line], means: Sequence[Line]) -> str:
    """A section for each dataset, training, split and corpus, then the means over splits.

    Table 7 begins with the whole, a column for each section.
    """
    parts, sections = [f"# Table {table}\n"], _sections(lines)
    if table not in TABLE_DATASET:
        columns = [{line["row"]: _beside(line) for line in section} for section in sections.values()]
        rows = dict.fromkeys(line["row"] for line in lines)
        names = {row: _name(row) for row in rows} | {FULL: "MGDM"}
        whole = [[names[row], *(column.get(row, "") for column in columns)] for row in rows]
        parts.append(_table(("Top-1", *sections), whole) + "\n")
    for title, section in (sections | _sections(means)).items():
        header, cells = (MEAN_HEADER, _mean_cells) if "splits" in section[0] else (HEADER, _cells)
        parts += [f"## {title}\n", _table(header, map(cells, section)) + "\n", *_notes(section), ""]
    return "\n".join(parts).rstrip() + "\n"


def _sections(lines: Iterable[Line]) -> dict[str, list[Line]]:
    """Title -> its lines."""
    sections: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        kind = kind_name(line | {"splits": ""} if "splits" in line else line)
        sections[f"{dataset_card(line['dataset'])['title']}: {kind}"].append(line)
    return sections


def kind_name(line: Line) -> str:
    """ "frozen, official split 1, own labels", of a row of a table, or of a mean over splits."""
    if not line["training"]:
        return "no finished run yet"
    where = f"official split {line['official_split']}" if line.get("official_split") else ""
    if "splits" in line:
        where = f"mean of official splits {line['splits']}".rstrip()
    corpus = CORPORA.get(line["corpus"], f"labels of {line['corpus']}")
    return ", ".join(filter(None, (line["training"], where, corpus)))


def _name(row: str) -> str:
    """A row as the paper calls it: "3-top" -> "3 (top)"."""
    k, _, kind = row.partition("-")
    return NAMES.get(row) or (f"{k} ({kind})" if kind else k)


def _shown(figure: float | None, digits: int) -> str:
    """Nothing where the paper prints nothing or no run is finished."""
    return "" if pd.isna(figure) else f"{figure:.{digits}f}"


def _top1(line: Line) -> str:
    return " ± ".join(filter(None, (_shown(line["top1"], 2), _shown(line["top1_sd"], 2))))


def _beside(line: Line) -> str:
    printed = _shown(line["paper_top1"], 1)
    return f"{_top1(line) or '-'} (paper {printed})" if printed else _top1(line)


def _interval(line: Line) -> str:
    return " - ".join(filter(None, (_shown(line["top1_low"], 1), _shown(line["top1_high"], 1))))


def _papers(line: Line) -> tuple[str, str, str]:
    return _name(line["row"]), _shown(line["paper_top1"], 1), _shown(line["paper_top5"], 1)


def _cells(line: Line) -> list[str]:
    counts, runs = [_shown(line[name], 0) for name in ("N", "seeds")], line["runs"] or ""
    return [*_papers(line), _top1(line), _interval(line), _shown(line["top5"], 2), *counts, runs.replace("; ", "<br>")]


def _mean_cells(line: Line) -> list[str]:
    figures = [_shown(line[name], 2) for name in ("top1", "top5")]
    return [*_papers(line), *figures, line["splits"], line["top1_of_splits"], str(line["N"])]


def _notes(section: Sequence[Line]) -> list[str]:
    done = [line for line in section if line["N"] and line["row"] != "zero-shot"]
    notes = _caveats(done, "the paper's figures")
    if "frozen" in _distinct(done, "training"):
        notes.append("- CLIP is frozen here and trained in the paper; its figures stand beside for orientation.")
    if clips := _distinct(done, "clip"):
        notes.append(f"- CLIP: {', '.join(clips)}.")
    if "splits" in section[0]:
        return [*notes, "- The paper's figures are of official split 1, as far as its counts of clips tell."]
    notes += _notes_by_row(done, "exclude", "not mined for each other, ", but="none")
    notes += _notes_by_row(done, "features_precision", "features computed in ", but="fp32")
    if any(line["seeds"] > 1 for line in done):
        notes.append("- Top-1 of several seeds: mean ± sample standard deviation; the interval is that of N videos.")
    return notes


def _caveats(done: Sequence[Line], others: str) -> list[str]:
    """What keeps our figures from being compared with others, or explains a difference."""
    notes = [f"- **Not comparable with {others}:** {text}." for text in _distinct(done, "unlike_the_paper")]
    notes += _notes_by_row(done, "batch_note", "")
    return notes + _notes_by_row(done, "unlike_the_recipe", UNLIKE)


def _notes_by_row(done: Sequence[Line], column: str, before: str, *, but: str = "") -> list[str]:
    """A note for each text of a column except `but`, naming its rows unless they are all."""
    notes = []
    for text in _distinct(done, column):
        names = [line.get("method") or _name(line["row"]) for line in done if line[column] == text]
        note = ("" if len(names) == len(done) else f"{', '.join(names)}: ") + before + text
        if text != but:
            notes.append(f"- {note[0].upper()}{note[1:]}.")
    return notes


def comparison_page(table: int, lines: Sequence[Line]) -> str:
    """Tables 4-6: the lines without N are cited, the others ours."""
    header = ("method", "pretraining", "input", "Top-1", "Top-5", "95% interval", "N")
    cells = []
    for line in lines:
        given = line["method"], line["pretraining"], line["input"].replace("^2", "²")
        cells.append([*given, _shown(line["top1"], 1), _shown(line["top5"], 1), _interval(line), _shown(line["N"], 0)])
    ours = [line for line in lines if line["N"]]
    notes = ["- The figures of all methods without N are cited from the paper.", *_caveats(ours, "the others")]
    if not ours:
        command = f"mgdm reproduce --table {table - 3} --rows {FULL} --data FILE --out FOLDER"
        notes.append(f"- No run of ours yet: `{command}` makes one.")
    title = f"# Table {table}: {dataset_card(TABLE_DATASET[table])['title']}\n"
    return "\n".join([title, _table(header, cells), "", *notes]) + "\n"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows))


def _distinct(lines: Sequence[Line], column: str) -> list[str]:
    """The texts of a column, once each."""
    return list(dict.fromkeys(line[column] for line in lines if line[column]))
