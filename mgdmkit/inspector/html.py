"""What the inspector shows, as HTML whose texts are escaped: an id or a label may hold anything."""

import base64
from html import escape

from mgdmkit.inspector import figure as drawing
from mgdmkit.inspector.inspection import View, rank_of

PROSE = "line-height: 1.4; overflow-wrap: anywhere"  # a path has no blanks to break at


def heading(text: str) -> str:
    return f"<div style='font-weight: 600; font-size: 110%; margin: 0 0 2px 0;'>{escape(text)}</div>"


def status(text: str) -> str:
    """What happened; a screen reader says it."""
    return f"<div role='status' style='min-height: 1.6em; {PROSE}'>{escape(text)}</div>"


def alarm(text: str) -> str:
    """What went wrong."""
    style = f"border-left: 4px solid #c2410c; padding: 4px 10px; background: #fdf1ea; color: #222222; {PROSE}"
    return f"<div role='alert' style='{style}'>{escape(text)}</div>"


def image(data: bytes, alt: str, kind: str = "png") -> str:
    """A picture that shrinks to its place; `alt` is read aloud, and shown while the mouse rests on it."""
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    said = escape(alt, quote=True)
    return f"<img src='{source}' alt='{said}' title='{said}' style='max-width: 100%; height: auto'>"


def table(view: View, look: drawing.Look, words: str) -> str:
    """Ranks and scores of the labels in words, for those who want digits or can't see the bars."""
    scores = view.scores
    best = [j for s in scores.values() for j in drawing.best(s)]
    shaded = view.window(look.k, look.which)
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


# 1 x 1 pixel. Scripts in a widget's HTML don't run, what a picture does when it is loaded does.
_PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
_CLAIM = """(function claim(pixel, tries) {
  const box = pixel.closest('.mgdmkit-inspector');
  const handles = box ? box.querySelectorAll('.noUi-handle') : [];
  if (!handles.length) { if (tries) setTimeout(claim, 100, pixel, tries - 1); return; }
  box.addEventListener('focusin', event => event.target.setAttribute('data-lm-suppress-shortcuts', 'true'));
  handles.forEach(handle => handle.setAttribute(
    'aria-label', handle.closest('.widget-slider').querySelector('label').innerText));
})(this, 100)"""


def own_keys() -> str:
    """An invisible element that keeps a notebook's shortcuts away from the inspector and names its slider.

    JupyterLab takes the arrow keys from a list that has the focus, to move between cells, and obeys single letters.
    What stops it is an attribute of the control itself, which ipywidgets can't set.
    """
    return f"<img src='{_PIXEL}' alt='' width='1' height='1' onload=\"{_CLAIM}\">"
