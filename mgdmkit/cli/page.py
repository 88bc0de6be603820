"""The page that a headless run leaves: scores, figures, and links to the executed notebooks.

It is made from the files in the results folder alone, so it can be written anew at any time.
"""

import base64
import csv
import html
import json
import time
from pathlib import Path
from typing import Any

from mgdmkit.files import write_text_atomic

ADDED_BY_PAPERMILL = {"injected-parameters", "papermill-error-cell-tag"}

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>mgdmkit: results</title>
<style>
  :root {{ color-scheme: light dark; --line: #8884; --soft: #8881; --good: #17835b; --bad: #c0392b; }}
  body {{ font: 16px/1.55 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 2rem 1rem; }}
  h1 {{ line-height: 1.2; margin-bottom: .25rem; }}  h2 {{ margin-top: 2.5rem; }}
  .when, figcaption {{ opacity: .7; font-size: .9rem; }}
  .wide {{ overflow-x: auto; }}
  table {{ border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }}
  th, td {{ text-align: left; padding: .4rem .7rem; border-bottom: 1px solid var(--line); }}
  th {{ font-size: .85rem; opacity: .75; }}  tr:hover td {{ background: var(--soft); }}
  .n {{ text-align: right; }}  .ok {{ color: var(--good); }}  .failed, .unfinished {{ color: var(--bad); }}
  figure {{ margin: 1.5rem 0; }}  img {{ max-width: 100%; background: #fff; border-radius: 6px; }}
</style>
<h1>Video action recognition with augmented hard negatives</h1>
<p class="when">mgdmkit, preset <b>{preset}</b>, {when}</p>
<p>MGDM recognises an action by comparing a video with the texts of all actions. It is trained to tell the
right text not only from arbitrary ones but from the few that are hardest to tell apart from it: the augmented
negatives. Below is what the notebooks measured on this machine, each with its code and output.</p>
{scores}
{figures}
<h2>Notebooks</h2>
<div class="wide"><table><tr><th>Notebook<th>State<th class="n">Time</tr>
{notebooks}
</table></div>
</html>
"""

NO_SCORES = "<p>No table of scores yet: lesson 05 writes it.</p>"


def write_index(out: Path, notebooks: list[Path], preset: str) -> Path:
    """Write `out/index.html` from `out/scores.csv`, `out/figures/*.png` and `out/notebooks/`.

    Each of the three may be missing. `notebooks` are the sources, in the order to list them; one without an
    executed copy is listed as not run.
    """
    scores, figures = out / "scores.csv", sorted((out / "figures").glob("*.png"))
    page = PAGE.format(
        preset=html.escape(preset),
        when=time.strftime("%Y-%m-%d %H:%M"),
        scores=f"<h2>Scores</h2>\n{_table(scores)}"
        if scores.is_file()
        else "<p>No table of scores yet: lesson 05 writes it.</p>",
        figures="\n".join(["<h2>Figures</h2>", *map(_figure, figures)]) if figures else "",
        notebooks="\n".join(_notebook_row(source, out / "notebooks" / source.name) for source in notebooks),
    )
    write_text_atomic(out / "index.html", page)
    return out / "index.html"


def notebook_state(executed: Path) -> tuple[str, float | None]:
    """(`ok`, `failed`, `unfinished` or `not run`; seconds, if known), as papermill noted in the copy."""
    if not executed.is_file():
        return "not run", None
    notebook = json.loads(executed.read_text(encoding="utf-8"))
    notes, cells = notebook["metadata"].get("papermill", {}), source_cells(notebook)
    if notes.get("exception"):
        state = "failed"
    else:
        state = "ok" if all(map(was_reached, cells)) else "unfinished"
    return state, notes.get("duration")


def source_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    """The cells of a notebook without those that papermill puts in: their numbers are those of the source."""
    return [c for c in notebook["cells"] if not ADDED_BY_PAPERMILL & set(c["metadata"].get("tags", []))]


def was_reached(cell: dict[str, Any]) -> bool:
    """Whether papermill started a cell; its `status` alone says `completed` also after an early end."""
    notes = cell["metadata"].get("papermill", {})
    return notes.get("start_time") is not None and notes.get("status") != "running"


def duration(seconds: float) -> str:
    """`8.4 s`, `2 min 05 s`, `1 h 02 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _table(path: Path) -> str:
    """Any CSV with a header line as a table; columns that hold only numbers are set to the right."""
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    columns = zip(*rows, strict=True) if rows else [()] * len(header)
    kinds = [" class=n" if column and all(map(_is_number, column)) else "" for column in columns]
    lines = [_row("th", header, kinds), *(_row("td", map(_shorten, row), kinds) for row in rows)]
    return '<div class="wide"><table>\n' + "\n".join(lines) + "\n</table></div>"


def _row(tag: str, values: Any, kinds: list[str]) -> str:
    cells = (f"<{tag}{kind}>{html.escape(value)}</{tag}>" for value, kind in zip(values, kinds, strict=True))
    return f"<tr>{''.join(cells)}</tr>"


def _is_number(text: str) -> bool:
    """An empty cell counts: it is a missing number, not a word."""
    try:
        return text.strip() == "" or float(text) is not None
    except ValueError:
        return False


def _shorten(text: str) -> str:
    """`0.91666666` as `0.917`, `1.0` as `1.000`; whole numbers, tiny ones and words as they are."""
    if "." not in text or not _is_number(text) or 0 < abs(float(text)) < 0.001:
        return text
    return f"{float(text):.3f}"


def _figure(path: Path) -> str:
    caption = html.escape(path.stem.replace("_", " ").strip().capitalize())
    data = base64.b64encode(path.read_bytes()).decode()
    image = f'<img alt="{caption}" src="data:image/png;base64,{data}">'
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"


def _notebook_row(source: Path, executed: Path) -> str:
    """Links are relative to the results folder, so that it can be moved or zipped as a whole."""
    state, seconds = notebook_state(executed)
    title = html.escape(source.stem.replace("_", " "))
    if executed.with_suffix(".html").is_file():
        link = f"notebooks/{html.escape(source.stem)}"
        title = f'<a href="{link}.html">{title}</a> <small>(<a href="{link}.ipynb">.ipynb</a>)</small>'
    spent = duration(seconds) if seconds is not None else ""
    css = state.replace(" ", "-")
    return f'<tr><td>{title}</td><td class="{css}">{state}</td><td class="n">{spent}</td></tr>'
