"""Figures of one clip: its frames, which are taken, its labels and negatives, what a model makes of it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.transforms import ScaledTranslation

from mgdmkit.plots.look import GREY, INK, LINES, OTHER, SMALL, TRUE, array, name_rows, plain_numbers


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
            look = {"color": TRUE, "linewidth": 6, "solid_capstyle": "butt", "clip_on": False}
            ax.plot((0, weight / weights.max()), (0, 0), transform=below, **look)
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
    name_rows(ax, rows)
    ax.set_xlim(-1, num_frames)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel(f"frame of the clip, 0 to {num_frames - 1}")
    return ax


def negatives(
    ax: Axes, label: str, names: Sequence[str], scores: Any, positive_rank: int, positive_score: float
) -> Axes:
    """A video's mined negatives as bars, hardest on top; the true label is dark and hatched, in its own place.

    Args:
        label: the true label; names, scores: its negatives and their softmax scores, hardest first.
        positive_rank: rank of the true label among all labels, from 0; behind the last bar its number is written.
        positive_score: its score.
    """
    names, scores, ranked = list(names), array(scores).tolist(), f"{label} (rank {positive_rank + 1})"
    at = min(positive_rank, len(names))
    names.insert(at, label if positive_rank <= len(scores) else ranked)
    scores.insert(at, float(positive_score))
    _bars(ax, scores, [place == at for place in range(len(names))])
    ax.set_yticks(range(len(names)), names)
    ax.get_yticklabels()[at].set_fontweight("bold")
    ax.invert_yaxis()
    ax.set(xlabel="score over the corpus (softmax)", title=f"true label: {ranked}")
    return ax


def predictions(ax: Axes, labels: Sequence[str], scores: Any, true: str | None = None, title: str = "") -> Axes:
    """A clip's best labels as bars, best on top, each with its score; the true one is dark and hatched.

    Args:
        labels: n labels; scores: (n,) in 0..1.
        true: the true label; no bar is marked where it is not among them.
    """
    bars = _bars(ax, array(scores).astype(float), [label == true for label in labels])
    ax.bar_label(bars, fmt="{:.0%}", padding=4, fontsize=SMALL)
    name_rows(ax, labels)
    ax.set(xlim=(0, 1.12), xlabel="score (softmax over the labels)", title=title)
    return ax


def label_plane(ax: Axes, labels: Mapping[str, float], true: str, frames: Sequence[float]) -> Axes:
    """Labels and a clip as directions in the plane: an arrow for each label, dots for the frames, and their mean.

    Args:
        labels: label -> its angle in degrees, 0 (right) to 180 (left); true: the clip's own.
        frames: angles of the frames' vectors, all of length 1.
    """
    for name, angle in labels.items():
        x, y = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        look = {"color": TRUE, "lw": 2.5, "ls": "--"} if name == true else {"color": GREY, "lw": 1.5}
        ax.annotate("", (x, y), (0, 0), arrowprops={"arrowstyle": "->", "shrinkA": 0, "shrinkB": 0, **look})
        side = "center" if abs(x) < 0.2 else "left" if x > 0 else "right"
        where = {"ha": side, "va": "bottom" if side == "center" else "center", "fontsize": SMALL}
        ax.text(1.06 * x, 1.06 * y, f"{name}, {angle:.0f}°", weight="bold" if name == true else None, **where)
    points = np.exp(1j * np.radians(np.asarray(frames, float)))
    mean = points.mean()
    to = mean / max(abs(mean), 1e-12)
    shape = {"arrowstyle": "-|>", "color": LINES[0], "lw": 3, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 18}
    ax.annotate("", (0.92 * to.real, 0.92 * to.imag), (0, 0), arrowprops=shape)
    look = {"color": "white", "edgecolor": LINES[0], "linewidth": 2}
    ax.scatter(points.real, points.imag, s=55, zorder=4, label="a frame", **look)
    ax.plot([], [], color=LINES[0], lw=3, label=f"their mean, {np.degrees(np.angle(mean)):.0f}°")
    ax.plot([], [], color=TRUE, lw=2.5, ls="--", label="own label")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, 0), ncols=3, columnspacing=1.2)
    ax.set(xlim=(-1.25, 1.25), ylim=(-0.04, 1.15), aspect="equal")
    ax.axis("off")
    return ax


def by_temperature(
    ax: Axes, scores: Mapping[str, Any], true: str, scales: Any, marks: Mapping[str, float], now: float
) -> Axes:
    """How the softmax over labels depends on 1/tau: a curve for each label, the true one dashed.

    Args:
        scores: label -> (S,) its score at each of the scales; up to three besides the true one.
        scales: (S,) values of 1/tau.
        marks: name -> 1/tau of a CLIP, a dotted line; now: the 1/tau that is looked at, a thick line.
    """
    ax.axvline(now, color=OTHER, linewidth=5, zorder=0)
    looks = iter(({"color": LINES[0], "ls": "-"}, {"color": LINES[2], "ls": "-."}, {"color": INK, "ls": ":"}))
    for name, curve in scores.items():
        look = {"color": TRUE, "ls": "--", "lw": 3} if name == true else next(looks)
        ax.plot(array(scales), array(curve), label=name, **look)
    for name, scale in marks.items():
        ax.axvline(scale, color=GREY, linestyle=":", linewidth=1.2)
        ax.text(scale, 1.02, name, transform=ax.get_xaxis_transform(), ha="center", fontsize=SMALL, color=INK)
    ax.set(xscale="log", ylim=(0, 1.02), xlabel="1/tau", ylabel="score (softmax)")
    plain_numbers(ax)
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


def _bars(ax: Axes, scores: Any, true: Sequence[bool]) -> BarContainer:
    """Scores from the top down, those of true labels dark and hatched."""
    colours, hatches = [TRUE if it_is else OTHER for it_is in true], ["///" if it_is else "" for it_is in true]
    return ax.barh(range(len(true)), scores, color=colours, hatch=hatches, edgecolor=INK, linewidth=0.8)
