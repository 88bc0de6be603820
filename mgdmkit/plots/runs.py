"""Figures of runs: losses and scores over time and over k, with their intervals; differences; costs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from mgdmkit.plots.look import DASHES, GREY, INK, LINES, MARKERS, SMALL, array, name_line_ends, name_rows


def loss_curves(ax: Axes, histories: Mapping[str, Sequence[Mapping[str, float]]], key: str = "loss") -> Axes:
    """`learning_curves` of runs, each a line.

    Args:
        histories: run -> its history, a dict for each epoch (or step) with `key` in it.
    """
    curves, clock = {}, "epoch"
    for name, history in histories.items():
        if missing := [line for line in history if key not in line]:
            raise ValueError(f"the history of {name!r} has no {key!r}; it has {', '.join(missing[0])}")
        clock = "step" if "step" in history[0] else "epoch"
        x = [line[clock] + (clock == "epoch") for line in history]  # the first epoch is 1 to a reader
        curves[name] = x, [line[key] for line in history]
    learning_curves(ax, curves, ylabel=key.replace("_", " ")).set_xlabel(clock)
    return ax


def learning_curves(
    ax: Axes,
    curves: Mapping[str, tuple[Any, Any]],
    stop: float | None = None,
    stop_label: str = "the paper stops here",
    ylabel: str = "Top-1 in percent",
) -> Axes:
    """The mean over seeds as a line, named at its right end, and a band from the lowest to the highest seed.

    Args:
        curves: name -> (x (n,), values (S, n), a row a seed, or (n,) for one run).
        stop: a vertical line at this x, with `stop_label` above the axes.
    Raises:
        ValueError: for values that do not fit their x.
    """
    lines = []
    for i, (name, (x, values)) in enumerate(curves.items()):
        x, values = array(x), np.atleast_2d(array(values))
        if x.ndim != 1 or values.shape[1:] != x.shape:
            raise ValueError(f"{name!r}: values {values.shape} need one x a column, not x {x.shape}")
        colour, marker = LINES[i % len(LINES)], "o" if len(x) < 4 else None
        look = {"color": colour, "linestyle": DASHES[i % len(DASHES)], "marker": marker}
        lines += ax.plot(x, values.mean(axis=0), label=name, **look)
        if len(values) > 1:
            ax.fill_between(x, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.18, linewidth=0)
    ax.margins(x=0)
    name_line_ends(ax, lines)
    if stop is not None:
        ax.axvline(stop, color=INK, linestyle=":", linewidth=1.5)
        above = {"xytext": (0, 3), "textcoords": "offset points", "ha": "center", "fontsize": SMALL}
        ax.annotate(stop_label, (stop, 1), xycoords=("data", "axes fraction"), **above)
    ax.set(xlabel="epoch", ylabel=ylabel)
    return ax


def k_curve(
    ax: Axes,
    rows: Sequence[tuple[str, int, Sequence[float], float | None, float | None]],
    zero_shot: float | None = None,
) -> Axes:
    """Top-1 over the number of negatives: the mean with its interval, each seed a small dot beside it.

    Args:
        rows: (series, k, the score of each seed, low, high) in percent, e.g. `("hardest", 3, [60.8, 56.7], 55, 63)`;
            low and high of the mean's interval, or both None. A row of k = 0 belongs to every series and is drawn once.
        zero_shot: the score without training, as a horizontal line.
    Raises:
        ValueError: for a mean outside its interval, or a row that is there twice.
    """
    points: dict[str, dict[int, tuple[float, ...]]] = {}
    step = max(1, *(k for _, k, *_ in rows)) / 50  # series and dots keep this distance, so that none hides another
    for series, k, seeds, low, high in rows:
        mean, points_of = float(np.mean(seeds)), points.setdefault("" if k == 0 else series, {})
        if k in points_of:
            raise ValueError(f"two rows for k = {k}, {series!r}; give one with the scores of all seeds")
        if low is not None and not low <= mean <= high:
            raise ValueError(f"{series!r}, k = {k}: the mean {mean:.2f} lies outside its interval [{low}, {high}]")
        points_of[k] = (mean, low, high, *seeds)
    shared = points.pop("", {})
    for i, (series, points_of) in enumerate(points.items()):
        look = {"color": LINES[i % len(LINES)], "marker": MARKERS[i % len(MARKERS)]}
        shift = (i - (len(points) - 1) / 2) * 1.5 * step
        line = sorted({**shared, **points_of}.items())
        x, y = [k + shift * (k > 0) for k, _ in line], [point[0] for _, point in line]
        ax.plot(x, y, linestyle=DASHES[i % len(DASHES)], markevery=slice(len(shared), None), label=series, **look)
        for k, point in points_of.items():
            _point(ax, k + shift, point, step, **look)
    for k, point in shared.items():
        _point(ax, k, point, step, color=INK, marker="D")
    if zero_shot is not None:
        ax.axhline(zero_shot, color=GREY, linestyle=":", linewidth=2, label=f"zero-shot {zero_shot:.1f}")
    ax.set_xticks(sorted({k for _, k, *_ in rows}))
    ax.set(xlabel="k, negatives a video", ylabel="Top-1 in percent")
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
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
    errors = np.subtract(values, lows), np.subtract(highs, values)
    ax.errorbar(values, range(len(rows)), xerr=errors, fmt="o", color=LINES[0], ecolor=GREY, capsize=3, markersize=7)
    name_rows(ax, names)
    ax.set_xlabel(f"{metric} in percent, 95% interval" + (f", N = {n}" if n else ""))
    ax.grid(axis="x", color="#dddddd")
    return ax


def differences(ax: Axes, rows: Sequence[tuple[str, float, float, float]]) -> Axes:
    """Differences against one default with their intervals, the first row on top; filled where 0 lies outside.

    Args:
        rows: (name, difference, low, high), in points of Top-1.
    """
    for place, (name, value, low, high) in enumerate(rows):
        if not low <= value <= high:
            raise ValueError(f"{name!r}: {value} lies outside its interval [{low}, {high}]")
        face = LINES[0] if low > 0 or high < 0 else "white"
        ax.plot([low, high], [place, place], color=GREY, linewidth=2)
        ax.plot(value, place, "o", color=LINES[0], markerfacecolor=face, markersize=7)
    ax.axvline(0, color=INK, linestyle="--", linewidth=1)
    name_rows(ax, [name for name, *_ in rows])
    ax.set_xlabel("difference from the default, points of Top-1, 95% interval")
    ax.grid(axis="x", color="#dddddd")
    return ax


def costs(ax: Axes, parts: Sequence[str], counted: Any, total: Any) -> Axes:
    """What each part costs on a logarithmic axis, the first on top: a dot for all of it, a ring for what a rule counts.

    Args:
        parts: n names; counted, total: (n,) costs in GMAC, written at the right, too. No ring: nothing is counted.
    Raises:
        ValueError: where more is counted than there is.
    """
    counted, total = array(counted).astype(float), array(total).astype(float)
    for row, (part, seen, true) in enumerate(zip(parts, counted, total, strict=True)):
        if not 0 <= seen <= true:
            raise ValueError(f"{part!r}: {seen} GMAC counted of {true} GMAC")
        ax.plot([seen or true, true], [row, row], color=GREY, linewidth=1.5, zorder=1)
        written = f"{_short(seen)} of {_short(true)}"
        ax.text(1.03, row, written, transform=ax.get_yaxis_transform(), va="center", fontsize=SMALL)
    rows = np.arange(len(parts))
    ax.plot(total, rows, "o", color=LINES[0], markersize=7, label="all of it")
    ring = {"markerfacecolor": "white", "markeredgecolor": LINES[0], "markeredgewidth": 1.6, "markersize": 7}
    ax.plot(counted[counted > 0], rows[counted > 0], "o", label="as counted", **ring)
    name_rows(ax, parts)
    ax.set(xscale="log", xlabel="GMAC, logarithmic axis")
    ax.xaxis.set_major_formatter(lambda x, _: np.format_float_positional(x, trim="-"))
    ax.grid(axis="x", color="#dddddd")
    ax.legend(loc="lower right")
    return ax


def _point(ax: Axes, x: float, point: tuple[float, ...], step: float, color: str, marker: str) -> None:
    """A mean on top of its interval, and the seeds behind one another a step to the right."""
    mean, low, high, *seeds = point
    if low is not None:
        ax.errorbar(x, mean, [[mean - low], [high - mean]], color=color, capsize=3, linewidth=1.3)
    ax.plot(x, mean, marker, color=color, markersize=7, zorder=3)
    if len(seeds) > 1:
        ax.plot([x + step / 2] * len(seeds), seeds, ".", color=color, markersize=4, alpha=0.7)


def _short(cost: float) -> str:
    """Three digits at most where it is small; no power of ten, which few read at a glance."""
    if 0 < cost < 0.001:
        return "<0.001"
    return f"{cost:.3g}" if cost < 100 else f"{cost:.0f}"
