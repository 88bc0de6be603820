"""Where the words of a figure lie, once it is drawn."""

import math
import re

import numpy as np
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.path import Path
from matplotlib.text import Text
from matplotlib.transforms import Bbox


def words(figure: Figure) -> dict[Text, Bbox]:
    """Every visible text that is not empty, and its box in pixels."""
    figure.canvas.draw()
    hidden = {tick for axis in figure.findobj(Axis) for tick in _unseen_ticks(axis)}
    return {
        text: Text.get_window_extent(text)  # of the words alone, without an annotation's arrow
        for text in figure.findobj(Text)
        if text.get_visible() and text.get_text().strip() and text not in hidden
    }


def _unseen_ticks(axis: Axis) -> set[Text]:
    """Labels of ticks beyond the limits, and of ticks kept for later: objects that are never drawn."""
    low, high = sorted(axis.get_view_interval())
    ticks = axis.get_major_ticks() if axis.get_visible() and axis.axes.axison else ()
    seen = {tick.label1 for tick in ticks if low <= tick.get_loc() <= high}
    return set(axis.findobj(Text)) - seen - {axis.label, axis.offsetText}


def misplaced(figure: Figure) -> list[str]:
    """Words that leave the figure, and pairs that lie over one another."""
    boxes = [(text.get_text(), box) for text, box in words(figure).items()]
    width, height = figure.bbox.size
    found = [name for name, b in boxes if min(b.x0, b.y0) < -1 or b.x1 > width + 1 or b.y1 > height + 1]
    for i, (one, a) in enumerate(boxes):
        for other, b in boxes[:i]:
            if min(a.x1, b.x1) - max(a.x0, b.x0) > 2 and min(a.y1, b.y1) - max(a.y0, b.y0) > 2:
                found.append(f"{one!r} over {other!r}")
    return found


def crossed(figure: Figure) -> list[str]:
    """Words with a line or an arrow through them."""
    boxes = {text: box.padded(-1) for text, box in words(figure).items()}
    lines = [ax.transData.transform(line.get_xydata()) for ax in figure.axes for line in ax.lines]
    for text in figure.findobj(Text):
        if getattr(text, "arrow_patch", None) is not None:
            lines.append(text.axes.transData.transform([text.xyann, text.xy]))
    return [
        text.get_text()
        for text, box in boxes.items()
        if any(len(line) > 1 and Path(np.asarray(line)).intersects_bbox(box, filled=False) for line in lines)
    ]


HALF = 3.5  # inches: half the width of a page's text
LEGIBLE = 5  # points: the smallest text that journals print


def smallest_at_half(drawing: str) -> float:
    """Points of the smallest word of an SVG on half of a page; it is never shown larger than it is."""
    width = float(re.search(r'<svg[^>]* width="([\d.]+)pt"', drawing)[1])
    words = re.findall(r"<text\b[^>]*>", drawing)
    sizes = [float(re.search(r"font(?:-size)?:[^;\"]*?([\d.]+)px", word)[1]) for word in words]
    return min(sizes, default=math.inf) * min(1, 72 * HALF / width)
