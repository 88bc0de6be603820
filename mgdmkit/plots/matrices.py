"""Figures of tables of numbers: similarity and target matrices, confusions."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from mgdmkit.plots.look import GREY, INK, NARROWEST_ROW, SMALL, array, label_ticks


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
    ax.spines[:].set_visible(True)
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
    ax.spines[:].set_visible(True)
