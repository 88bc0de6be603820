"""Where the words of a figure lie, once it is drawn."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.path import Path
from matplotlib.text import Text
from matplotlib.transforms import Bbox


def words(figure: Figure) -> dict[Text, Bbox]:
    """Every visible text that is not empty, and its box in pixels."""
    figure.canvas.draw()
    found = {}
    for text in figure.findobj(Text):
        shown = text.get_visible() and text.get_text().strip() and (text.axes is None or text.axes.get_visible())
        if shown and _inside_its_axis(text):
            found[text] = Text.get_window_extent(text)  # of the words alone, without an annotation's arrow
    return found


def _inside_its_axis(text: Text) -> bool:
    """A tick label beyond the limits is an object that nobody sees."""
    for axis in (text.axes.xaxis, text.axes.yaxis) if text.axes is not None else ():
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
            if text in (tick.label1, tick.label2):
                low, high = sorted(axis.get_view_interval())
                return axis.get_visible() and low <= tick.get_loc() <= high
    return True


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
