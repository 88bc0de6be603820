"""Figures of tables of numbers: similarity and target matrices, confusions, who was mined for whom."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from mgdmkit.plots.look import GREY, INK, LINES, NARROWEST_ROW, SMALL, array, label_ticks, outline


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
    values = array(values).astype(float)
    rows, columns = values.shape
    binary = not signed and bool(np.isin(values, (0, 1)).all())
    low, high = (0.0, 1.0) if binary else (values.min(), values.max())
    if signed:
        low, high = -abs(values).max(), abs(values).max()
    image = ax.imshow(values, interpolation="none", vmin=low, vmax=high, cmap="PuOr_r" if signed else None)
    if annotate:
        shades = abs(2 * image.norm(values) - 1) if signed else image.norm(values)
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
    label_ticks(ax.xaxis, column_labels, rotation=90)
    label_ticks(ax.yaxis, row_labels)
    outline(ax)
    ax.set_title(title)
    return ax


def confusion(ax: Axes, counts: Any, classes: Sequence[str], groups: Sequence[str] | None = None) -> Axes:
    """Counts (C, C) as shares of each row; a row without counts stays white.

    Args:
        classes: C names; written where there is room for them.
        groups: C names of groups, e.g. scenes. The classes are sorted by group, with lines between the groups;
            where the classes can't be written, the groups are.
    """
    counts = array(counts).astype(float)
    C = len(classes)
    if counts.shape != (C, C) or (groups is not None and len(groups) != C):
        raise ValueError(f"{C} classes need counts ({C}, {C}) and {C} groups, not {counts.shape} and {groups}")
    groups = [""] * C if groups is None else list(groups)
    order = sorted(range(C), key=lambda c: groups[c])  # stable: inside a group the order stays
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = ax.imshow(shares[np.ix_(order, order)], interpolation="none", vmin=0)
    ax.figure.colorbar(image, ax=ax, shrink=0.8, label="share of the row")
    _class_axes(ax, [classes[c] for c in order], [groups[c] for c in order])
    ax.set(xlabel="predicted class", ylabel="true class")
    return ax


def confusion_change(
    ax: Axes,
    before: Any,
    after: Any,
    classes: Sequence[str],
    top: int = 8,
    names: tuple[str, str] = ("before", "after"),
) -> Axes:
    """The most confused pairs, a ring where each was before and a dot where it is after; the best improved on top.

    The pairs are those with the largest sum of both counts: chosen by one of them alone, they would seem to have
    changed where only luck did.

    Args:
        before, after: (C, C) counts on the same videos, a row for each true class; classes: C names.
        top: how many pairs.
    Raises:
        ValueError: for counts of another size, or of other videos.
    """
    before, after, C = array(before).astype(float), array(after).astype(float), len(classes)
    for name, counts in (("before", before), ("after", after)):
        if counts.shape != (C, C):
            raise ValueError(f"{C} classes need {name} ({C}, {C}), not {counts.shape}")
    videos = before.sum(axis=1)
    if (videos != after.sum(axis=1)).any():
        raise ValueError("before and after must count the same videos: some class has more in one than in the other")
    both = (before + after) * (1 - np.eye(C))
    pairs = [np.unravel_index(at, both.shape) for at in np.argsort(-both, axis=None, kind="stable")[:top]]
    pairs = sorted(
        (pair for pair in pairs if both[pair] > 0), key=lambda pair: (after - before)[pair] / videos[pair[0]]
    )
    for row, (i, j) in enumerate(pairs):
        x = 100 * before[i, j] / videos[i], 100 * after[i, j] / videos[i]
        ax.plot(x, [row, row], color=GREY, linewidth=2, zorder=1)
        looks = ({"markersize": 10, "markerfacecolor": "white", "markeredgewidth": 1.8}, {"markersize": 5.5})
        for value, name, look in zip(x, names, looks, strict=True):  # where nothing changed, the dot lies in its ring
            ax.plot(value, row, "o", color=LINES[0], label=name if row == 0 else None, **look)
    ax.set_yticks(range(len(pairs)), [f"{classes[i]} \N{RIGHTWARDS ARROW} {classes[j]}" for i, j in pairs])
    ax.set_ylim(len(pairs) - 0.5, -0.5)
    ax.set_xlim(left=min(-2, ax.get_xlim()[0]))
    ax.set_xlabel("videos of the first class that get the second, percent")
    ax.grid(axis="x", color="#dddddd")
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0.2)
    return ax


def negatives_map(
    ax: Axes,
    mined: Any,
    labels: Any,
    classes: Sequence[str],
    groups: Sequence[str] | None = None,
    only: str | Sequence[str] | None = None,
) -> Axes:
    """How often each label was mined for the videos of each class, as a share of the class's videos.

    Args:
        mined: (N, k) indices into `classes`, e.g. of `mining.select`; labels: (N,) the true ones.
        groups: C names of groups, e.g. scenes; the classes are sorted by them.
        only: the name of a group, or the names of classes, to show alone; the axis says what share of their
            negatives that is.
    Raises:
        ValueError: for shapes that do not agree, or names that are not there.
    """
    mined, labels, C = array(mined), array(labels), len(classes)
    if mined.ndim != 2 or labels.shape != mined.shape[:1]:
        raise ValueError(f"mined {mined.shape} and labels {labels.shape} must be (N, k) and (N,)")
    if groups is not None and len(groups) != C:
        raise ValueError(f"{C} classes need {C} groups, not {len(groups)}")
    counts = np.zeros((C, C))
    np.add.at(counts, (labels[:, None].repeat(mined.shape[1], 1), mined), 1)
    videos = np.bincount(labels, minlength=C)
    shown = sorted(_shown(classes, groups, only), key=lambda c: "" if groups is None else groups[c])
    shares = counts[np.ix_(shown, shown)] / np.maximum(videos[shown, None], 1)
    image = ax.imshow(np.where(np.eye(len(shown), dtype=bool), np.nan, shares), interpolation="none", vmin=0, vmax=1)
    ax.set_facecolor("#dddddd")  # shows through where a class would meet itself
    ax.figure.colorbar(image, ax=ax, shrink=0.8, label="share of the class's videos")
    _class_axes(ax, [classes[c] for c in shown], [""] * len(shown) if groups is None else [groups[c] for c in shown])
    inside = counts[np.ix_(shown, shown)].sum() / max(counts[shown].sum(), 1)
    ax.set(xlabel="mined label" + (f" ({inside:.0%} of the negatives)" if only else ""), ylabel="class of the video")
    return ax


def _shown(classes: Sequence[str], groups: Sequence[str] | None, only: str | Sequence[str] | None) -> list[int]:
    """Indices of the classes that are asked for."""
    if only is None:
        return list(range(len(classes)))
    known = list(groups or []) if isinstance(only, str) else list(classes)
    wanted = [only] if isinstance(only, str) else list(only)
    if missing := [name for name in wanted if name not in known]:
        kind = "group" if isinstance(only, str) else "class"
        raise ValueError(f"no {kind} {missing[0]!r}; there are {', '.join(dict.fromkeys(known)) or 'none'}")
    return [c for c, name in enumerate(known) if name in wanted]


def _class_axes(ax: Axes, classes: Sequence[str], groups: Sequence[str]) -> None:
    """Names on both axes of a (C, C) matrix and lines between groups; the groups' names where classes have no room."""
    C = len(classes)
    edges = [i for i in range(1, C) if groups[i] != groups[i - 1]]
    for edge in edges:
        ax.axhline(edge - 0.5, color=GREY, linewidth=1)
        ax.axvline(edge - 0.5, color=GREY, linewidth=1)
    if ax.get_window_extent().height / ax.figure.dpi / C >= NARROWEST_ROW:
        label_ticks(ax.xaxis, classes, rotation=90)
        label_ticks(ax.yaxis, classes)
    else:
        bounds = [0, *edges, C]
        centres = [(a + b - 1) / 2 for a, b in pairwise(bounds)]
        names = [groups[a] for a in bounds[:-1]]
        ax.set_xticks(centres, names, rotation=45, ha="right", rotation_mode="anchor")
        ax.set_yticks(centres, names)
        ax.tick_params(length=0)
    outline(ax)
