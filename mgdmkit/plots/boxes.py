"""Boxes, arrows and text of the method's diagrams, measured in inches of the diagram's own size."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyBboxPatch, Rectangle

from mgdmkit.plots.look import GREY, INK, TRUE

SHADE = "#fac3a2"  # the accent, light enough for black text
FROZEN = "#ececec"
TITLE, BODY = 11.5, 10  # points at the diagram's own size
LINE = 1.28  # height of a line of text, in its font size


class Box:
    """The middle of a rectangle and the places where arrows meet it."""

    def __init__(self, x: float, y: float, width: float, height: float):
        self.centre = column, row = x + width / 2, y + height / 2
        self.left, self.right = (x, row), (x + width, row)
        self.bottom, self.top = (column, y), (column, y + height)


class Sheet:
    """An Axes as a sheet of paper: y goes up, and text keeps its proportion to the boxes at any size.

    Args:
        ax: drawn into; a new figure of the sheet's size when not given.
        size: (width, height) in inches.
        parts: what can be highlighted.
        highlight: one of `parts`; it shades the boxes that have it among their names.
    Raises:
        ValueError: for another `highlight`.
    """

    def __init__(self, ax: Axes | None, size: tuple[float, float], parts: Sequence[str], highlight: str | None):
        if highlight not in (None, *parts):
            raise ValueError(f"highlight {highlight!r} is none of {', '.join(parts)}")
        if ax is None:
            figure = plt.figure(figsize=size, layout="constrained")
            figure.set_layout_engine("none")  # after "constrained" this lasts; without, saving tightly brings it back
            ax = figure.add_axes((0, 0, 1, 1))
        self.ax, self.highlight = ax, highlight
        ax.set_axis_off()
        ax.set(xlim=(0, size[0]), ylim=(0, size[1]), aspect="equal")
        ax.figure.draw_without_rendering()  # settles the layout, so that the size is the final one
        extent = ax.get_window_extent()
        self.scale = min(extent.width / size[0], extent.height / size[1]) / ax.figure.dpi

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        title: str = "",
        *lines: str,
        names: Sequence[str] = (),
        frozen: bool = False,
        offline: bool = False,
        high: bool = False,
    ) -> Box:
        """A box with its title and lines under it in its middle, or at its top if `high`."""
        shaded = self.highlight in names
        patch = FancyBboxPatch(
            (x, y),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.06",
            facecolor=SHADE if shaded else FROZEN if frozen else "white",
            edgecolor=TRUE if shaded else INK,
            linewidth=self.scale * (2.4 if shaded else 1.1),
            linestyle="--" if offline else "-",
        )
        self.ax.add_patch(patch)
        rows = [(row, TITLE, "bold") for row in title.splitlines()] + [(row, BODY, "normal") for row in lines]
        heights = [size * LINE / 72 for _, size, _ in rows]
        at = y + height - 0.08 if high else y + (height + sum(heights)) / 2
        for (row, size, weight), tall in zip(rows, heights, strict=True):
            at -= tall
            self.text(x + width / 2, at + 0.32 * tall, row, size=size, fontweight=weight, va="baseline")
        return Box(x, y, width, height)

    def text(self, x: float, y: float, text: str, size: float = BODY, ha: str = "center", **look) -> None:
        """Text around (x, y); `ha` as in matplotlib."""
        look = {"va": "center", "color": INK} | look
        self.ax.text(x, y, text, fontsize=size * self.scale, ha=ha, linespacing=LINE, **look)

    def arrow(self, *points: tuple[float, float]) -> None:
        """A line through the points, straight from one to the next, with a head at the last."""
        self.ax.plot(*zip(*points[:-1], strict=True), **self._line())
        shape = {"arrowstyle": "-|>,head_width=0.22,head_length=0.42", "shrinkA": 0, "shrinkB": 0}
        shape |= {"color": INK, "linewidth": 1.3 * self.scale, "mutation_scale": 12 * self.scale}
        self.ax.annotate("", points[-1], points[-2], arrowprops=shape)

    def dot(self, x: float, y: float) -> None:
        """Where a line branches."""
        self.ax.add_patch(Circle((x, y), 0.035, facecolor=INK, edgecolor="none", zorder=3))

    def plus(self, x: float, y: float) -> Box:
        """The sum of a residual."""
        shaded = self.highlight == "residual"
        look = {"facecolor": SHADE if shaded else "white", "edgecolor": TRUE if shaded else INK}
        self.ax.add_patch(Circle((x, y), 0.12, linewidth=self.scale * (2 if shaded else 1.1), zorder=3, **look))
        self.ax.plot([x - 0.06, x + 0.06], [y, y], zorder=4, **self._line())
        self.ax.plot([x, x], [y - 0.06, y + 0.06], zorder=4, **self._line())
        return Box(x - 0.12, y - 0.12, 0.24, 0.24)

    def cell(self, x: float, y: float, width: float, height: float, colour: str = "white", hatch: str = "") -> Box:
        """A plain rectangle, of a matrix or of a vector."""
        look = {"facecolor": colour, "edgecolor": INK if not hatch else GREY, "hatch": hatch}
        self.ax.add_patch(Rectangle((x, y), width, height, linewidth=0, **look))
        self.ax.add_patch(Rectangle((x, y), width, height, fill=False, edgecolor=INK, linewidth=0.8 * self.scale))
        return Box(x, y, width, height)

    def _line(self) -> dict:
        return {"color": INK, "linewidth": 1.3 * self.scale, "solid_capstyle": "round"}
