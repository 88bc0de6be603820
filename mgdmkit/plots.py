"""The kit's figures: one function a figure. Arrays or tensors in, an Axes (or several) in and out; no model.

Every figure can be read in grey and by the colour-blind: what colour tells, a shape, a dash or a place tells too.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation

INK, GREY = "#222222", "#8a8a8a"
TRUE, OTHER = "#c2410c", "#9ec5e8"  # the true label dark, the others light: apart without colour, too
LINES = ("#0b4f8a", "#c2410c", "#2a9d8f", "#7b3f8c", "#b8860b", "#555555")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
SMALL = 9  # points: the smallest text in a figure of the default size
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


def frames(axes: Iterable[Axes], pictures: Any, weights: Any = None, title: str = "") -> list[Axes]:
    """A strip of video frames, one on each Axes.

    Args:
        axes: n Axes; pictures: (n, H, W, 3) uint8.
        weights: (n,) attention of each frame, drawn as a bar and a number under it; the longest bar is the largest.
    """
    axes, pictures = list(np.ravel(list(axes))), _array(pictures)
    if pictures.ndim != 4 or len(pictures) != len(axes):
        raise ValueError(f"{len(axes)} axes need pictures ({len(axes)}, H, W, 3), not {pictures.shape}")
    for ax, picture in zip(axes, pictures, strict=True):
        ax.imshow(picture)
        ax.set(xticks=[], yticks=[])
        sns.despine(ax=ax, left=True, bottom=True)
    if weights is not None:
        weights = _array(weights)
        for ax, weight in zip(axes, weights, strict=True):
            below = ax.transAxes + ScaledTranslation(0, -6 / 72, ax.figure.dpi_scale_trans)  # 6 points, at any size
            share = weight / weights.max()
            bar = Line2D((0, share), (0, 0), transform=below, color=TRUE, linewidth=6, solid_capstyle="butt")
            bar.set_clip_on(False)
            ax.add_artist(bar)
            ax.set_xlabel(f"{weight:.2f}", fontsize=SMALL, labelpad=10)
    if title:
        # A long title would push the second picture away: a blank one keeps the height, the text takes no room.
        axes[0].set_title(" ")
        size = axes[0].title.get_fontsize()
        place = {"xytext": (0, 6), "textcoords": "offset points", "xycoords": "axes fraction"}
        axes[0].annotate(title, (0, 1), fontsize=size, **place).set_in_layout(False)
    return axes


def matrix(
    ax: Axes,
    values: Any,
    row_labels: Sequence[str] | None = None,
    column_labels: Sequence[str] | None = None,
    title: str = "",
    group: int | None = None,
    annotate: bool = False,
    signed: bool = False,
) -> Axes:
    """A similarity or target matrix (rows, columns), dark where large.

    Args:
        group: draw a line after every `group` columns, between the text groups.
        annotate: write each value into its cell; without it a matrix that is not 0/1 gets a colour bar.
        signed: white at 0, one colour above and one below, equally dark at equal size; numbers carry their sign.
    """
    values = _array(values).astype(float)
    rows, columns = values.shape
    binary = not signed and bool(np.isin(values, (0, 1)).all())
    low, high = (0.0, 1.0) if binary else (values.min(), values.max())
    if signed:
        low, high = -abs(values).max(), abs(values).max()
    shades = (abs(values) if signed else values - low) / max(high if signed else high - low, 1e-12)
    image = ax.imshow(values, interpolation="none", vmin=low, vmax=high, cmap="PuOr_r" if signed else None)
    if annotate:
        digits = ".0f" if binary else "+.2f" if signed else ".2f"
        for i, j in np.ndindex(rows, columns):
            colour = "white" if shades[i, j] > 0.6 else INK
            text = f"{values[i, j]:{digits}}" if values[i, j] or not signed else "0"  # rounded to 0 is another thing
            ax.text(j, i, text, ha="center", va="center", fontsize=SMALL, color=colour)
    elif not binary:
        ax.figure.colorbar(image, ax=ax, shrink=0.8)
    if group:
        for edge in range(group, columns, group):
            ax.axvline(edge - 0.5, color=INK, linewidth=1.5)
    _ticks(ax.xaxis, column_labels, rotation=90)
    _ticks(ax.yaxis, row_labels)
    _frame(ax)
    ax.set_title(title)
    return ax


def negatives(
    ax: Axes,
    label: str,
    names: Sequence[str],
    scores: Any,
    positive_rank: int | None = None,
    positive_score: float | None = None,
) -> Axes:
    """A video's mined negatives as bars, hardest on top; the true label is dark and hatched, in its own place.

    Args:
        label: the true label; names, scores: its negatives and their softmax scores, hardest first.
        positive_rank: rank of the true label among all labels, from 0; behind the last bar its number is written.
        positive_score: its score; without it the rank stands in the title only.
    """
    names, scores = list(names), _array(scores).tolist()
    colours, at = [OTHER] * len(names), None
    if positive_rank is not None and positive_score is not None:
        at = min(positive_rank, len(names))
        names.insert(at, label if positive_rank <= len(scores) else f"{label} (rank {positive_rank + 1})")
        scores.insert(at, float(positive_score))
        colours.insert(at, TRUE)
    bars = ax.barh(range(len(names)), scores, color=colours, edgecolor=INK, linewidth=0.8)
    if at is not None:
        bars[at].set_hatch("///")
    ax.set_yticks(range(len(names)), names)
    if at is not None:
        ax.get_yticklabels()[at].set_fontweight("bold")
    ax.invert_yaxis()
    rank = "" if positive_rank is None else f" (rank {positive_rank + 1})"
    ax.set(xlabel="score over the corpus (softmax)", title=f"true label: {label}{rank}")
    return ax


def loss_curves(ax: Axes, histories: Mapping[str, Sequence[Mapping[str, float]]], key: str = "loss") -> Axes:
    """One line a run, named at its right end.

    Args:
        histories: run -> its history, a dict for each epoch (or step) with `key` in it.
    """
    ends = {}
    for i, (name, history) in enumerate(histories.items()):
        if missing := [line for line in history if key not in line]:
            raise ValueError(f"the history of {name!r} has no {key!r}; it has {', '.join(missing[0])}")
        clock = "step" if "step" in history[0] else "epoch"
        x = [line[clock] + (clock == "epoch") for line in history]  # the first epoch is 1 to a reader
        y = [line[key] for line in history]
        colour = LINES[i % len(LINES)]
        ax.plot(x, y, color=colour, linestyle=DASHES[i % len(DASHES)], marker="o" if len(x) < 4 else None)
        ends[name] = (y[-1], colour)
        ax.set_xlabel(clock)
    low, high = ax.get_ylim()
    order = sorted(ends, key=lambda name: ends[name][0])
    places = _spread([(ends[name][0] - low) / (high - low) for name in order], gap=0.08)
    for name, place in zip(order, places, strict=True):
        ax.text(1.02, place, name, color=ends[name][1], transform=ax.transAxes, va="center", fontsize=SMALL)
    ax.set_ylabel(key.replace("_", " "))
    return ax


def scores(
    ax: Axes, rows: Sequence[tuple[str, float, float, float]], n: int | None = None, metric: str = "Top-1"
) -> Axes:
    """Scores with their 95% intervals, the first row on top.

    Args:
        rows: (name, value, low, high), in percent.
        n: how many videos were scored; it stands in the axis label.
    """
    for name, value, low, high in rows:
        if not 0 <= low <= value <= high <= 100:
            raise ValueError(f"{name!r}: {value} [{low}, {high}] is not a percentage inside its interval")
    names, values, lows, highs = zip(*rows, strict=True)
    values, places = np.array(values), np.arange(len(rows))
    errors = np.stack([values - lows, np.array(highs) - values])
    ax.errorbar(values, places, xerr=errors, fmt="o", color=LINES[0], ecolor=GREY, capsize=3, markersize=7)
    ax.set_yticks(places, names)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xlabel(f"{metric} in percent, 95% interval" + (f", N = {n}" if n else ""))
    ax.grid(axis="x", color="#dddddd")
    return ax


def confusion(ax: Axes, counts: Any, classes: Sequence[str], groups: Sequence[str] | None = None) -> Axes:
    """Counts (C, C) as shares of each row; a row without counts stays white.

    Args:
        classes: C names; written where there is room for them.
        groups: C names of groups, e.g. scenes. The classes are sorted by group, with lines between the groups;
            where the classes can't be written, the groups are.
    """
    counts = _array(counts).astype(float)
    C = len(classes)
    if counts.shape != (C, C) or (groups is not None and len(groups) != C):
        raise ValueError(f"{C} classes need counts ({C}, {C}) and {C} groups, not {counts.shape} and {groups}")
    groups = [""] * C if groups is None else list(groups)
    order = sorted(range(C), key=lambda c: groups[c])  # stable: inside a group the order stays
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = ax.imshow(shares[np.ix_(order, order)], interpolation="none", vmin=0)
    ax.figure.colorbar(image, ax=ax, shrink=0.8, label="share of the row")
    ordered = [groups[c] for c in order]
    edges = [i for i in range(1, C) if ordered[i] != ordered[i - 1]]
    for edge in edges:
        ax.axhline(edge - 0.5, color=GREY, linewidth=1)
        ax.axvline(edge - 0.5, color=GREY, linewidth=1)
    if ax.get_window_extent().height / ax.figure.dpi / C >= NARROWEST_ROW:
        _ticks(ax.xaxis, [classes[c] for c in order], rotation=90)
        _ticks(ax.yaxis, [classes[c] for c in order])
    else:
        bounds = [0, *edges, C]
        centres = [(a + b - 1) / 2 for a, b in pairwise(bounds)]
        names = [ordered[a] for a in bounds[:-1]]
        ax.set_xticks(centres, names, rotation=45, ha="right", rotation_mode="anchor")
        ax.set_yticks(centres, names)
        ax.tick_params(length=0)
    _frame(ax)
    ax.set(xlabel="predicted class", ylabel="true class")
    return ax


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
    videos, texts = _array(video_vectors).astype(float), _array(text_vectors).astype(float)
    if videos.ndim != 2 or videos.shape != texts.shape:
        raise ValueError(
            f"video_vectors {videos.shape} and text_vectors {texts.shape} must be one (C, D): a vector of the video "
            "and a text for each class, of one width"
        )
    D = videos.shape[1]
    if D % 2:
        raise ValueError(f"vectors of width {D} can't be cut into two halves of one width")
    left, right = slice(None, D // 2), slice(D // 2, None)
    return _cosine(videos[:, left], texts[:, left]), _cosine(videos[:, right], texts[:, right])


def split_vectors(ax: Axes, x: Any, y: Any, true: int, title: str = "") -> Axes:
    """One panel of the paper's Figure 5: a dot for each class' text, an inverted triangle for the true label's.

    Args:
        x, y: (C,) of `split_similarity`; true: index of the video's class.
    """
    x, y = _array(x), _array(y)
    others = np.arange(len(x)) != true
    ax.scatter(x[others], y[others], s=28, color=OTHER, edgecolor=INK, linewidth=0.5, label="other classes")
    ax.scatter(x[true], y[true], s=110, color=TRUE, edgecolor=INK, marker="v", zorder=3, label="true class")
    ax.set(xlabel="cosine of the left halves", ylabel="cosine of the right halves", title=title)
    return ax


def margins(ax: Axes, groups: Mapping[str, Any]) -> Axes:
    """Margins (cosine with the true class minus the best other), one row of dots a model, a bar at the median.

    A video is recognised where its dot is right of 0; the share of such dots is written at the right.

    Args:
        groups: model -> (N,) margins.
    """
    for row, (name, values) in enumerate(groups.items()):
        values = _array(values)
        # The golden ratio spreads the dots evenly over the height of the row, the same way every time.
        heights = row + 0.6 * ((np.arange(len(values)) * 0.6180339887) % 1 - 0.5)
        ax.scatter(values, heights, s=9, color=LINES[row % len(LINES)], alpha=0.6, linewidth=0, label=name)
        ax.plot([np.median(values)] * 2, [row - 0.4, row + 0.4], color=INK, linewidth=2.5)
        right = f"{(values > 0).mean():.0%} right"
        ax.text(1.02, row, right, transform=ax.get_yaxis_transform(), va="center", fontsize=SMALL)
    ax.axvline(0, color=GREY, linestyle="--", linewidth=1)
    ax.set_yticks(range(len(groups)), list(groups))
    ax.set_ylim(len(groups) - 0.5, -0.5)
    ax.set_xlabel("cosine with the true class minus best other")
    return ax


def costs(ax: Axes, parts: Sequence[str], counted: Any, total: Any, unit: str = "GMAC") -> Axes:
    """What each part costs, the first on top: dark what a counting rule sees, hatched what it leaves out.

    Args:
        parts: n names; counted, total: (n,) costs in `unit`, written at the right, too: the small bars matter most.
    Raises:
        ValueError: where more is counted than there is.
    """
    counted, total = _array(counted).astype(float), _array(total).astype(float)
    for part, seen, true in zip(parts, counted, total, strict=True):
        if not 0 <= seen <= true:
            raise ValueError(f"{part!r}: {seen} {unit} counted of {true} {unit}")
    places = np.arange(len(parts))
    ax.barh(places, counted, color=LINES[0], edgecolor=INK, linewidth=0.8, label="counted")
    rest = total - counted
    ax.barh(places, rest, left=counted, color=OTHER, edgecolor=INK, linewidth=0.8, hatch="///", label="left out")
    for place, seen, true in zip(places, counted, total, strict=True):
        ax.annotate(
            f"{_short(seen)} of {_short(true)}",
            (true, place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=SMALL,
        )
    ax.set_yticks(places, parts)
    ax.set_ylim(len(parts) - 0.5, -0.5)
    ax.set_xlabel(unit)
    ax.margins(x=0.25)
    return ax


def differences(ax: Axes, rows: Sequence[tuple[str, float, float, float]], unit: str = "points of Top-1") -> Axes:
    """Differences against one default with their intervals, the first row on top; filled where 0 lies outside.

    Args:
        rows: (name, difference, low, high); all in `unit`.
    """
    for place, (name, value, low, high) in enumerate(rows):
        if not low <= value <= high:
            raise ValueError(f"{name!r}: {value} lies outside its interval [{low}, {high}]")
        face = LINES[0] if low > 0 or high < 0 else "white"
        ax.plot([low, high], [place, place], color=GREY, linewidth=2)
        ax.plot(value, place, "o", color=LINES[0], markerfacecolor=face, markersize=7)
    ax.axvline(0, color=INK, linestyle="--", linewidth=1)
    ax.set_yticks(range(len(rows)), [name for name, *_ in rows])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xlabel(f"difference from the default, {unit}, 95% interval")
    ax.grid(axis="x", color="#dddddd")
    return ax


def sampling(ax: Axes, num_frames: int, T: int, rows: Mapping[str, Sequence[int]]) -> Axes:
    """Which frames of a clip are taken: a row of dots for each way, lines where one of the T segments ends.

    Args:
        rows: way of taking -> frame indices, 0 to `num_frames` - 1.
    """
    for row, (name, indices) in enumerate(rows.items()):
        if outside := [i for i in indices if not 0 <= i < num_frames]:
            raise ValueError(f"{name!r}: frame {outside[0]} is none of 0 to {num_frames - 1}")
        ax.scatter(range(num_frames), [row] * num_frames, s=14, facecolor="white", edgecolor=GREY, linewidth=0.7)
        ax.scatter(indices, [row] * len(indices), s=42, color=LINES[row % len(LINES)], zorder=3, label=name)
    for i in range(T + 1):  # between two frames; segment i begins at frame floor(i N / T)
        ax.axvline(i * num_frames // T - 0.5, color=GREY, linewidth=0.8)
    ax.set_yticks(range(len(rows)), list(rows))
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xlim(-1, num_frames)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel(f"frame of the clip, 0 to {num_frames - 1}")
    return ax


def predictions(ax: Axes, labels: Sequence[str], scores: Any, true: str | None = None, title: str = "") -> Axes:
    """A clip's best labels as bars, best on top, each with its score; the true one is dark and hatched.

    Args:
        labels: n labels; scores: (n,) in 0..1.
        true: the true label; no bar is marked where it is not among them.
    """
    scores, places = _array(scores).astype(float), range(len(labels))
    colours = [TRUE if label == true else OTHER for label in labels]
    bars = ax.barh(places, scores, color=colours, edgecolor=INK, linewidth=0.8)
    for bar, label, score in zip(bars, labels, scores, strict=True):
        bar.set_hatch("///" if label == true else "")
        place = (score, bar.get_y() + bar.get_height() / 2)
        ax.annotate(f"{score:.0%}", place, xytext=(4, 0), textcoords="offset points", va="center", fontsize=SMALL)
    ax.set_yticks(places, labels)
    ax.set_ylim(len(labels) - 0.5, -0.5)
    ax.set(xlim=(0, 1.12), xlabel="score (softmax over the labels)", title=title)
    return ax


def _array(values: Any) -> np.ndarray:
    """A tensor, on any device and with a gradient or not, or anything that numpy takes."""
    return values.detach().cpu().numpy() if hasattr(values, "detach") else np.asarray(values)


def _short(cost: float) -> str:
    """Three digits at most where it is small; no power of ten, which few read at a glance."""
    if 0 < cost < 0.001:
        return "<0.001"
    return f"{cost:.3g}" if cost < 100 else f"{cost:.0f}"


def _cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return (a * b).sum(axis=1) / np.maximum(norms, 1e-12)


def _ticks(axis: Any, labels: Sequence[str] | None, rotation: int = 0) -> None:
    axis.set_ticks(range(len(labels)) if labels is not None else [])
    if labels is not None:
        axis.set_ticklabels(labels, rotation=rotation)
    axis.set_tick_params(length=0)


def _frame(ax: Axes) -> None:
    ax.spines[:].set_visible(True)


def _spread(places: list[float], gap: float) -> list[float]:
    """Move sorted places apart until neighbours are `gap` from each other, around where they were."""
    spread = list(places)
    for _ in range(100):
        for i in range(1, len(spread)):
            push = (gap - (spread[i] - spread[i - 1])) / 2
            if push > 0:
                spread[i - 1], spread[i] = spread[i - 1] - push, spread[i] + push
    return spread
