"""What the inspector shows, as HTML whose texts are escaped: an id or a label may hold anything."""

import base64
from html import escape

from mgdmkit import inspection_figure as drawing
from mgdmkit.inspection import View, rank_of

HEADING = "font-weight: 600; font-size: 110%; margin: 0 0 2px 0;"


def heading(text: str) -> str:
    return f"<div style='{HEADING}'>{escape(text)}</div>"


def status(text: str) -> str:
    """What happened; a screen reader says it."""
    return f"<div role='status' style='min-height: 1.6em'>{escape(text)}</div>"


def alarm(text: str) -> str:
    """What went wrong."""
    style = "border-left: 4px solid #c2410c; padding: 4px 10px; background: #fdf1ea; color: #222222; line-height: 1.4"
    return f"<div role='alert' style='{style}'>{escape(text)}</div>"


def image(data: bytes, alt: str, kind: str = "png") -> str:
    """A picture as wide as its place; `alt` is read aloud, and shown while the mouse rests on it."""
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    said = escape(alt, quote=True)
    return f"<img src='{source}' alt='{said}' title='{said}' style='width: 100%; max-width: 1760px'>"


def table(view: View, look: drawing.Look, words: str) -> str:
    """Ranks and scores of the labels in words, for those who want digits or can't see the bars."""
    scores = view.scores
    best = {j: None for s in scores.values() for j in s.argsort(descending=True)[: drawing.TOP].tolist()}
    shaded = set(view.window(look.k, look.which)) if look.k else set()
    head = "".join(f"<th scope='col'>{escape(name)}</th>" for name in scores)
    lines = []
    for label in dict.fromkeys([view.own, *view.negatives, *best]):
        name = view.labels[label]
        kind = "true label" if label == view.own else "shaded negative" if label in shaded else ""
        kind += ", judged false" if name in look.marked else ""
        cells = "".join(f"<td>{rank_of(s, label)} ({drawing.percent(float(s[label]))})</td>" for s in scores.values())
        lines.append(f"<tr><th scope='row'>{escape(name)}</th><td>{kind.strip(', ')}</td>{cells}</tr>")
    rows = "".join(lines)
    grid = f"<table style='border-spacing: 12px 0'><tr><th>label</th><th>what</th>{head}</tr>{rows}</table>"
    return f"<details><summary>In words and digits</summary><p>{escape(words)}</p>{grid}</details>"
