"""The look that all figures share, and the small parts they are put together from.

Every figure can be read in grey and by the colour-blind: what colour tells, a shape, a dash or a place tells too.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

INK, GREY = "#222222", "#8a8a8a"
TRUE, OTHER = "#c2410c", "#9ec5e8"  # the true label dark, the others light: apart without colour, too
LINES = ("#0b4f8a", "#c2410c", "#2a9d8f", "#7b3f8c", "#b8860b", "#555555")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
MARKERS = ("o", "s", "^", "v", "P", "X")
SMALL = 10  # points: the smallest text; a figure as wide as a page (7 inches) shows it at half width with 5
NARROWEST_ROW = 0.14  # inches a tick label of that size needs


def style() -> None:
    """Set the look of all figures; call it once, before the first."""
    sns.set_theme(
        context="notebook",
        style="ticks",
        palette=list(LINES),
        rc={
            "figure.figsize": (6.4, 3.6),
            "figure.constrained_layout.use": True,
            "savefig.dpi": 150,
            "savefig.bbox": "tight",
            "savefig.pad_inches": 0.04,
            "svg.fonttype": "none",  # text stays text in vector files
            "pdf.fonttype": 42,
            "font.size": 11,
            "axes.titlesize": 11,
            "axes.titlelocation": "left",
            "axes.labelsize": 11,
            "xtick.labelsize": SMALL,
            "ytick.labelsize": SMALL,
            "legend.fontsize": SMALL,
            "legend.frameon": False,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.edgecolor": INK,
            "text.color": INK,
            "image.cmap": "Blues",  # white to dark: the order survives a grey printer
        },
    )


def array(values: Any) -> np.ndarray:
    """A tensor, on any device and with a gradient or not, or anything that numpy takes."""
    return values.detach().cpu().numpy() if hasattr(values, "detach") else np.asarray(values)


def label_ticks(axis: Any, labels: Sequence[str] | None, rotation: int = 0) -> None:
    labels = [] if labels is None else labels
    axis.set_ticks(range(len(labels)), labels, rotation=rotation)
    axis.set_tick_params(length=0)


def name_rows(ax: Axes, names: Iterable[str]) -> None:
    """Name the rows 0, 1, ... of the y axis, the first on top."""
    names = list(names)
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)


def name_line_ends(ax: Axes, lines: Iterable[Line2D]) -> None:
    """Write each line's label at the right edge, none over another, in its colour and tied to its last point.

    The limits of the y axis must be final.
    """
    low, high = ax.get_ylim()
    lines = sorted(lines, key=lambda line: line.get_ydata()[-1])
    inches = ax.get_window_extent().height / ax.figure.dpi
    ends = [line.get_xydata()[-1] for line in lines]
    places = _spread([(y - low) / (high - low) for _, y in ends], gap=1.3 * SMALL / 72 / inches)
    for line, end, place in zip(lines, ends, places, strict=True):
        tie = {"arrowstyle": "-", "color": GREY, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0}
        look = {"color": line.get_color(), "va": "center", "fontsize": SMALL, "arrowprops": tie}
        ax.annotate(line.get_label(), end, (1.05, place), textcoords="axes fraction", **look)


def _spread(places: list[float], gap: float) -> list[float]:
    """Move sorted places apart until neighbours are `gap` from each other, around where they were."""
    spread = list(places)
    for _ in range(100):
        for i in range(1, len(spread)):
            push = (gap - (spread[i] - spread[i - 1])) / 2
            if push > 0:
                spread[i - 1], spread[i] = spread[i - 1] - push, spread[i] + push
    return spread


def plain_numbers(ax: Axes) -> None:
    """Write the ticks of a logarithmic x axis as 0.1, 1, 10: a power of ten would be a formula, not text."""
    ax.xaxis.set_major_formatter(lambda x, position: f"{x:g}")
    ax.xaxis.set_minor_formatter(NullFormatter())
