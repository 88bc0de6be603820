"""Figures of classes and of confidence: who gains, and whether a score can be believed."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from scipy.stats import binomtest

from mgdmkit.plots.look import GREY, INK, LINES, OTHER, SMALL, array


def gain_by_confusability(
    ax: Axes,
    x: Any,
    gain: Any,
    names: Sequence[str] | None = None,
    xlabel: str = "videos that frozen CLIP gets wrong, percent",
) -> Axes:
    """A dot per class: what training changed over how confusable the class was; a bar at the mean of each third.

    The bars span two standard errors. Where `x` and `gain` come from the same videos, the confusable classes seem to
    gain by luck alone: measure `x` on others, or say so.

    Args:
        x, gain: (C,); names: C names, of which those with the best and the worst gain are written.
    Raises:
        ValueError: for arrays of different lengths.
    """
    x, gain = array(x).astype(float), array(gain).astype(float)
    if x.ndim != 1 or gain.shape != x.shape or (names is not None and len(names) != len(x)):
        raise ValueError(f"x {x.shape}, gain {gain.shape} and names must have a value for each class")
    ax.scatter(x, gain, s=34, color=OTHER, edgecolor=INK, linewidth=0.6)
    ax.axhline(0, color=GREY, linestyle="--", linewidth=1)
    for third in np.array_split(np.argsort(x, kind="stable"), 3):
        if len(third) > 1:
            ends, mean = [x[third].min(), x[third].max()], gain[third].mean()
            error = 2 * gain[third].std(ddof=1) / len(third) ** 0.5
            ax.fill_between(ends, mean - error, mean + error, color=LINES[0], alpha=0.15, linewidth=0)
            ax.plot(ends, [mean, mean], color=LINES[0], linewidth=3)
    ax.margins(0.08)
    for c in {int(gain.argmax()), int(gain.argmin())} if names is not None else ():
        right = x[c] > (x.min() + x.max()) / 2
        place = {"xytext": (-7 if right else 7, 0), "textcoords": "offset points", "ha": "right" if right else "left"}
        ax.annotate(names[c], (x[c], gain[c]), va="center", fontsize=SMALL, **place)
    ax.set(xlabel=xlabel, ylabel="gain, points of Top-1")
    return ax


def calibration(ax: Axes, bins: Any, title: str = "") -> Axes:
    """Reliability: the share that is right over the confidence, with 95% intervals; above it how many videos a bin has.

    The title ends with the expected calibration error, the mean distance of the points from the diagonal, weighted with
    the videos.

    Args:
        bins: (bins, 3) of `evaluation.calibration`: of bins of equal width the videos, their mean confidence, and the
            share that is right.
    """
    n, x, share = array(bins).T
    x, share, videos = x[n > 0], share[n > 0], n[n > 0].astype(int)
    tests = map(binomtest, (share * videos).round().astype(int), videos)
    low, high = np.transpose([test.proportion_ci(method="wilson") for test in tests])
    ax.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
    ax.errorbar(x, share, [share - low, high - share], fmt="o-", color=LINES[0], ecolor=GREY, capsize=3, markersize=6)
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence (softmax of the best label)", ylabel="share that is right")
    counts = ax.inset_axes([0, 1.03, 1, 0.16], sharex=ax)
    centres = (np.arange(len(n)) + 0.5) / len(n)
    bars = counts.bar(centres, n, width=0.92 / len(n), color=OTHER, edgecolor=INK, linewidth=0.6)
    counts.bar_label(bars, fmt="{:.0f}", fontsize=SMALL)
    counts.set_ylim(0, 1.7 * n.max())
    counts.axis("off")
    error = 100 * (videos * abs(share - x)).sum() / videos.sum()
    counts.set_title(f"{title}{': ' if title else ''}error {error:.1f} points, N = {videos.sum()}")
    return ax
