"""Figures of one clip: its frames, which of them are taken, its negatives, what a model makes of it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation

from mgdmkit.plots.look import GREY, INK, LINES, OTHER, SMALL, TRUE, array


def frames(axes: Iterable[Axes], pictures: Any, weights: Any = None, title: str = "") -> list[Axes]:
    """A strip of video frames, one on each Axes.

    Args:
        axes: n Axes; pictures: (n, H, W, 3) uint8.
        weights: (n,) attention of each frame, drawn as a bar and a number under it; the longest bar is the largest.
    """
    axes, pictures = list(np.ravel(list(axes))), array(pictures)
    if pictures.ndim != 4 or len(pictures) != len(axes):
        raise ValueError(f"{len(axes)} axes need pictures ({len(axes)}, H, W, 3), not {pictures.shape}")
    for ax, picture in zip(axes, pictures, strict=True):
        ax.imshow(picture)
        ax.set(xticks=[], yticks=[])
        sns.despine(ax=ax, left=True, bottom=True)
    if weights is not None:
        weights = array(weights)
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
    names, scores = list(names), array(scores).tolist()
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


def predictions(ax: Axes, labels: Sequence[str], scores: Any, true: str | None = None, title: str = "") -> Axes:
    """A clip's best labels as bars, best on top, each with its score; the true one is dark and hatched.

    Args:
        labels: n labels; scores: (n,) in 0..1.
        true: the true label; no bar is marked where it is not among them.
    """
    scores, places = array(scores).astype(float), range(len(labels))
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
