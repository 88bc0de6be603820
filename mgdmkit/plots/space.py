"""The paper's Figures 4-5 and the margins that belong beside them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mgdmkit.plots.look import GREY, INK, LINES, OTHER, SMALL, TRUE, array, name_rows

HARDEST = LINES[3]
TOUCHING = 0.08  # of the points' extent: nearer than this, markers lie on one another
LINEAR = 0.001  # margins up to here are drawn on a linear axis


def split_similarity(video_vectors: Any, text_vectors: Any) -> tuple[np.ndarray, np.ndarray]:
    """The two coordinates of the paper's Figures 4-5: cosines of the left and of the right halves.

    Every vector is cut in the middle and each half is normalised on its own.

    Args:
        video_vectors: (C, D), of one video: row c is V[i, c], the vector guided by the text of class c.
        text_vectors: (C, D), row c is the text of class c, raw or discriminated.
    Returns:
        x, y: (C,) cosines of the left halves and of the right halves.
    Raises:
        ValueError: shapes that differ, or an odd width.
    """
    videos, texts = array(video_vectors).astype(float), array(text_vectors).astype(float)
    if videos.ndim != 2 or videos.shape != texts.shape:
        raise ValueError(
            f"video_vectors {videos.shape} and text_vectors {texts.shape} must be one (C, D): a vector of the video "
            "and a text for each class, of the same width"
        )
    C, D = videos.shape
    if D % 2:
        raise ValueError(f"vectors of width {D} can't be cut into two halves of the same width")
    a, b = videos.reshape(C, 2, D // 2), texts.reshape(C, 2, D // 2)
    norms = np.linalg.norm(a, axis=2) * np.linalg.norm(b, axis=2)
    x, y = ((a * b).sum(axis=2) / np.maximum(norms, 1e-12)).T
    return x, y


def split_vectors(
    ax: Axes, x: Any, y: Any, true: int, title: str = "", hardest: int | None = None, name: str = ""
) -> Axes:
    """One panel of the paper's Figure 5: a dot for each class' text, an inverted triangle for the true label's.

    A dot under the triangle would make it stand freer than it does. So the hardest negative is drawn on top, and an
    inset enlarges the neighbourhood of the triangle where the two touch.

    Args:
        x, y: (C,) of `split_similarity`; true: index of the video's class.
        hardest: index of its hardest negative; name: how the legend calls it.
    """
    x, y = array(x), array(y)
    _points(ax, x, y, true, hardest, name)
    ax.margins(0.14)  # a triangle at the edge stays whole
    ax.set(xlabel="cosine of the left halves", ylabel="cosine of the right halves", title=title)
    if hardest is not None and len(x) > 2:
        _enlarge(ax, x, y, true, hardest)
    return ax


def _points(ax: Axes, x: np.ndarray, y: np.ndarray, true: int, hardest: int | None, name: str) -> None:
    others = ~np.isin(np.arange(len(x)), [true] + [hardest] * (hardest is not None))
    ax.scatter(x[others], y[others], s=28, color=OTHER, edgecolor=INK, linewidth=0.5, label="other classes")
    ax.scatter(x[true], y[true], s=110, color=TRUE, edgecolor=INK, marker="v", zorder=3, label="true class")
    if hardest is not None:
        label = f"hardest negative: {name}" if name else "hardest negative"
        look = {"color": HARDEST, "edgecolor": "white", "marker": "D", "linewidth": 0.8}
        ax.scatter(x[hardest], y[hardest], s=42, zorder=5, label=label, **look)


def _enlarge(ax: Axes, x: np.ndarray, y: np.ndarray, true: int, hardest: int) -> None:
    """An inset in the emptiest corner where the true label and the hardest negative touch."""
    points = np.stack([x, y]).astype(float)
    spans = np.maximum(np.ptp(points, axis=1), 1e-9)
    apart = (abs(points[:, hardest] - points[:, true]) / spans).max()  # in extents
    if apart > TOUCHING:
        return
    left, low = (points - points.min(axis=1, keepdims=True)) / spans[:, None] < 0.5
    corners = {(0.04, 0.58): left & ~low, (0.58, 0.04): ~left & low, (0.04, 0.04): left & low}
    corners[0.58, 0.58] = ~left & ~low
    place = min(corners, key=lambda corner: corners[corner].sum())
    inset = ax.inset_axes((*place, 0.38, 0.38), zorder=6)
    _points(inset, x, y, true, hardest, "")
    reach = max(1.5 * apart, 0.001)
    middle = (points[:, true] + points[:, hardest]) / 2
    xlim, ylim = np.transpose([middle - reach * spans, middle + reach * spans])
    inset.set(xticks=[], yticks=[], xlim=xlim, ylim=ylim)
    larger = 0.38 * 1.28 / (2 * reach)  # the panel is as wide as the points and their margins
    inset.text(0.04, 0.96, f"{larger:.0f}\N{MULTIPLICATION SIGN}", transform=inset.transAxes, va="top", fontsize=SMALL)
    inset.spines[:].set_visible(True)
    ax.indicate_inset_zoom(inset, edgecolor=GREY)


def margins(ax: Axes, groups: Mapping[str, Any]) -> Axes:
    """Margins (cosine with the true class minus the best other), one row of dots per model, a bar at the median.

    A video is recognised where its dot is right of 0; the share of such dots is written at the right, and the median.
    The axis is linear up to 0.001 on both sides and logarithmic beyond: most margins are tiny, a few are not.

    Args:
        groups: model -> (N,) margins.
    """
    for row, (name, values) in enumerate(groups.items()):
        values = array(values)
        # The golden ratio spreads the dots evenly over the height of the row, the same way every time.
        heights = row + 0.6 * ((np.arange(len(values)) * 0.6180339887) % 1 - 0.5)
        ax.scatter(values, heights, s=9, color=LINES[row % len(LINES)], alpha=0.6, linewidth=0, label=name)
        ax.plot([np.median(values)] * 2, [row - 0.4, row + 0.4], color=INK, linewidth=2.5)
        written = f"{(values > 0).mean():.0%} right\nmedian\n{np.median(values):+.4f}"
        ax.text(1.02, row, written, transform=ax.get_yaxis_transform(), va="center", fontsize=SMALL)
    ax.axvline(0, color=GREY, linestyle="--", linewidth=1)
    name_rows(ax, groups)
    ax.set_xscale("symlog", linthresh=LINEAR, linscale=0.6)
    furthest = max(0.1, *(abs(array(values)).max() for values in groups.values()))
    ax.set_xlim(-1.7 * furthest, 1.7 * furthest)
    ax.set_xticks([-0.1, 0, 0.1], ["\N{MINUS SIGN}0.1", "0", "0.1"])
    ax.set_xticks([sign * size for sign in (-1, 1) for size in (0.001, 0.01)], minor=True)
    ax.set_xlabel("cosine with the true class minus best other")
    return ax


class Sample(NamedTuple):
    """One row of `fig5`: a video."""

    title: str
    true: int
    """Index of the video's class."""
    raw: tuple[Any, Any]
    """x, y (C,) of `split_similarity` with the raw texts."""
    discriminated: tuple[Any, Any]
    """The same with the discriminated texts."""
    hardest: int | None = None
    """Index of the hardest negative."""
    hardest_name: str = ""


def fig5(
    samples: Sequence[Sample], margins_of: Mapping[str, Any] | None = None, figure: Figure | None = None
) -> Figure:
    """The paper's Figure 5: a row per video, its classes by raw text on the left, by discriminated text on the right.

    The panels of a column share their axes; the hardest negative is named on the right. What two halves of a vector
    can't tell, the margins beside them do.

    Args:
        margins_of: model -> (N,) margins of all videos, for `margins` beside the rows.
        figure: drawn into, and given its size; a new one of pyplot when not given.
    Raises:
        ValueError: without samples.
    """
    if not samples:
        raise ValueError("samples is empty: give one Sample per row")
    figure = plt.figure() if figure is None else figure
    figure.set_layout_engine("constrained")
    figure.set_size_inches(6.9 if margins_of else 6.4, 2.1 * len(samples) + 1.1)
    widths = [1, 1, 0.85] if margins_of else [1, 1]
    axes = figure.subplots(len(samples), len(widths), sharex="col", sharey="col", squeeze=False, width_ratios=widths)
    panels, beside = axes[:, :2], axes[:, 2:]
    for (left, right), sample in zip(panels, samples, strict=True):
        split_vectors(left, *sample.raw, sample.true, sample.title, sample.hardest)
        left.set(xlabel="", ylabel="cosine, right halves")
        split_vectors(right, *sample.discriminated, sample.true, "", sample.hardest).set(xlabel="", ylabel="")
        if sample.hardest_name:
            right.set_title(f"hardest negative:\n{sample.hardest_name}", color=HARDEST)
    for ax, heading in zip(panels[0], ("raw text", "discriminated text"), strict=True):
        _heading(ax, heading)
    for ax in panels[-1]:
        ax.set_xlabel("cosine, left halves")
    if margins_of:  # one Axes, as high as all rows
        place = beside[0, 0].get_gridspec()[:, 2]
        for ax in beside.flat:
            ax.remove()
        whole = margins(figure.add_subplot(place), margins_of)
        whole.set_xlabel("margin")
        _heading(whole, "margins of all videos")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower left", ncols=3)
    return figure


def _heading(ax: Axes, text: str) -> None:
    """Above the panel's own title."""
    look = {"textcoords": "offset points", "ha": "center", "fontweight": "bold"}
    ax.annotate(text, (0.5, 1), (0, 38), xycoords="axes fraction", **look)
