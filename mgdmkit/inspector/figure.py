"""The inspector's picture of one video: its frames, what each model ranks first, and Fig. 5 of the paper for it.

Each part can be drawn alone, which is what a change of k or of the chosen label needs; `draw` puts them together.
Places are set by hand: matplotlib's own layout would take longer than all the rest.
"""

import io
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, FigureBase
from matplotlib.patches import Rectangle
from PIL import Image
from torch import Tensor

from mgdmkit import plots
from mgdmkit.inspector.inspection import View, rank_of

WIDTH = 11.0  # inches
SMALL = 9  # points: this picture is for the whole width of a screen
SPACE_WIDTH = 7.6  # where the space stands alone, beside the controls
STRIP, RANKINGS, SPACE = 1.8, 3.3, 3.3  # inches of height; a strip for each row of frames
TOP = 10  # labels in a ranking
BAND = "#f3e3bd"  # behind the labels that a run trains against
IN_A_ROW = 8
SIDE_BY_SIDE = 3  # models
GAP = 3  # pixels between two frames
LONGEST = 26  # characters of a label
FALSE = "\N{BALLOT X} "
PLAIN = {"text.parse_math": False}  # a dollar in a label is a dollar


@dataclass(frozen=True)
class Look:
    """What a user has set: which labels are shaded, whose attention and which run are shown."""

    k: int = 3
    which: Literal["top", "bot"] = "top"
    run: str = ""
    """Whose attention and space; empty: there is no run."""
    label: int = 0
    """Index of the chosen label."""
    marked: Mapping[str, str] = field(default_factory=dict)
    """Labels judged false negatives of this video."""


def draw(view: View, look: Look, pictures: Any | str) -> Figure:
    """The whole view as one figure.

    Args:
        pictures: (T, H, W, 3) uint8, or the message that stands in their place.
    """
    heights = [0.45, _height(frames, view, pictures), _height(rankings, view), SPACE]
    figure = Figure((WIDTH, sum(heights)), dpi=100, layout="none")
    title, strip, lists, plane = figure.subfigures(4, height_ratios=heights)
    with rc_context(PLAIN):
        title.text(0.01, 0.5, f"{view.clip} ({view.split})", va="center", fontsize=12, fontweight="bold")
        frames(strip, view, look, pictures)
        rankings(lists, view, look)
        space(plane, view, look)
    return figure


def alone(part: Callable, view: View, look: Look, *pictures: Any) -> Figure:
    """One of the parts (`frames`, which needs the pictures, `rankings` or `space`) as a figure of its own."""
    size = SPACE_WIDTH if part is space else WIDTH, _height(part, view, *pictures)
    figure = Figure(size, dpi=100, layout="none")
    with rc_context(PLAIN):
        part(figure, view, look, *pictures)
    return figure


def _height(part: Callable, view: View, pictures: Any = "") -> float:
    """Inches."""
    if part is space:
        return SPACE
    if part is rankings:
        return RANKINGS * -(-len(view.scores) // SIDE_BY_SIDE)
    return STRIP * (1 if isinstance(pictures, str) else -(-len(pictures) // IN_A_ROW))


def encode(figure: Figure, kind: Literal["png", "webp"] = "png", dpi: int = 130) -> bytes:
    """The figure as a picture; WebP is several times smaller where there are photographs."""
    figure.set_dpi(dpi)
    canvas, file = FigureCanvasAgg(figure), io.BytesIO()
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    picture.save(file, kind.upper(), **({"quality": 85, "method": 2} if kind == "webp" else {"compress_level": 3}))
    return file.getvalue()


def frames(figure: FigureBase, view: View, look: Look, pictures: Any | str) -> None:
    """The frames with the attention of the chosen label over them, as bars from below and as numbers."""
    title = "the frames that the models see"
    if isinstance(pictures, str):
        figure.text(0.01, 1, title, va="top", fontsize=11)
        text = textwrap.fill(pictures, 120, break_long_words=False, break_on_hyphens=False)
        figure.text(0.5, 0.5, text, ha="center", va="center", fontsize=10, color=plots.TRUE)
        return
    weights, largest = np.empty(0), 1.0  # no run, no bars
    if look.run:
        weights = view.seen[look.run].attention[look.label].numpy()
        largest = weights.max()
        title += f", and how {look.run} weights them for “{view.labels[look.label]}”"
    inch = 1 / _height(frames, view, pictures)
    figure.text(0.01, 1 - 0.03 * inch, title, va="top", fontsize=11)
    for i, start in enumerate(range(0, len(pictures), IN_A_ROW)):
        row, top = slice(start, start + IN_A_ROW), 1 - (STRIP * i + 0.26) * inch
        ax = figure.add_axes((0.01, top - (STRIP - 0.48) * inch, 0.98, (STRIP - 0.48) * inch))
        _strip(ax, pictures[row], weights[row] / largest, weights[row])


def _strip(ax: Axes, pictures: np.ndarray, heights: np.ndarray, weights: np.ndarray) -> None:
    H, W = pictures.shape[1:3]
    apart = np.pad(pictures, ((0, IN_A_ROW - len(pictures)), (0, 0), (0, GAP), (0, 0)), constant_values=255)
    ax.imshow(np.hstack(apart)[:, :-GAP], interpolation="antialiased")
    ax.set_anchor("NW")
    ax.axis("off")
    for i, (height, weight) in enumerate(zip(0.45 * H * heights, weights, strict=True)):
        left = i * (W + GAP)
        bar = Rectangle((left, H - 0.5 - height), 0.16 * W, height, facecolor=plots.TRUE, edgecolor="white")
        ax.add_patch(bar)
        ax.text(left + W / 2, H + 1, f"{weight:.2f}", ha="center", va="top", fontsize=SMALL)


def rankings(figure: FigureBase, view: View, look: Look) -> None:
    """The best labels of CLIP and of each run side by side; shaded: what a run with this k trains against."""
    inch, width = 1 / _height(rankings, view), 1 / min(len(view.scores), SIDE_BY_SIDE)
    for i, name in enumerate(view.scores):
        row, column = divmod(i, SIDE_BY_SIDE)
        bottom = 1 - ((row + 1) * RANKINGS - 0.12) * inch
        ax = figure.add_axes((column * width + 0.01, bottom, width - 0.02, (RANKINGS - 0.7) * inch))
        _ranking(ax, view, name, look)
    what = {"top": "hardest", "bot": "easiest of the nine hardest"}[look.which]
    words = f"shaded: the k = {look.k} {what} negatives" if look.k else "k = 0: no negatives"
    notes = [words, "hatched: the true label", *([f"{FALSE}: judged a false negative"] if look.marked else [])]
    figure.text(0.01, 1 - 0.03 * inch, ";  ".join(notes), va="top", fontsize=10, color=plots.INK)


def _ranking(ax: Axes, view: View, name: str, look: Look) -> None:
    """The best labels of one model as bars, best on top, and the true one below them where it is not among them."""
    scores, window = view.scores[name], view.window(look.k, look.which)
    order = best(scores)
    if view.own not in order:
        order.append(view.own)
    middle, style = 0.56, {"fontsize": SMALL, "va": "center", "color": plots.INK}  # bars begin in the middle
    for place, label in enumerate(order):
        score, true = float(scores[label]), label == view.own
        length = score * (0.9 - middle)
        if label in window:
            ax.add_patch(Rectangle((0, place - 0.5), 1, 1, facecolor=BAND, edgecolor="none"))
        colours = {"facecolor": plots.TRUE if true else plots.OTHER, "edgecolor": plots.INK}
        bar = Rectangle((middle, place - 0.36), length, 0.72, linewidth=0.7, hatch="///" if true else None, **colours)
        ax.add_patch(bar)
        text = short(f"{FALSE if view.labels[label] in look.marked else ''}{view.labels[label]}")
        ax.text(0.04, place, str(rank_of(scores, label)), ha="right", **style)
        ax.text(middle - 0.015, place, text, ha="right", fontweight="bold" if true else "normal", **style)
        ax.text(middle + length + 0.012, place, percent(score), ha="left", **style)
        if label == look.label and not true:
            ax.add_patch(Rectangle((0, place - 0.47), 1, 0.94, fill=False, edgecolor=plots.LINES[0], linewidth=1.2))
    ax.set(xlim=(0, 1), ylim=(max(len(order), TOP + 1) - 0.5, -0.5))
    ax.axis("off")
    ax.set_title(f"{name}: the true label is {ordinal(rank_of(scores, view.own))}", fontsize=11, loc="left")


def space(figure: FigureBase, view: View, look: Look) -> None:
    """Fig. 5 of the paper: the labels of this video by the cosines of half vectors, raw texts and discriminated."""
    if not look.run:
        text = "give a run to see how its vectors place the labels of this video"
        figure.text(0.5, 0.5, text, ha="center", va="center", fontsize=10)
        return
    seen, window = view.seen[look.run], view.window(look.k, look.which)
    for i, (name, texts) in enumerate((("raw texts", view.text_features), ("discriminated texts", seen.discriminated))):
        ax = figure.add_axes((0.105 + 0.355 * i, 0.55 / SPACE, 0.285, (SPACE - 0.9) / SPACE))
        x, y = plots.split_similarity(seen.video_features, texts)
        plots.split_vectors(ax, x, y, view.own, f"{look.run}, {name}", view.negatives[0])
        ax.set_ylabel(ax.get_ylabel() if i == 0 else "")  # both have the same
        ax.locator_params(nbins=4)  # each tick costs milliseconds
        style = {"facecolor": "none", "linewidth": 1.4, "zorder": 4}
        ax.scatter(x[window], y[window], s=70, marker="s", edgecolor=plots.INK, label="shaded negatives", **style)
        chosen = ax.scatter(*([v[look.label]] for v in (x, y)), s=190, edgecolor=plots.LINES[0], **style)
        chosen.set_label("chosen label")
    figure.legend(*ax.get_legend_handles_labels(), loc="center left", bbox_to_anchor=(0.76, 0.5))


def best(scores: Tensor) -> list[int]:
    """The labels that stand in a ranking of (n,) scores, best first."""
    return scores.argsort(descending=True, stable=True)[:TOP].tolist()


def words(view: View) -> str:
    """What the rankings say, as sentences: for those who can't see the picture."""
    said = []
    for name, scores in view.scores.items():
        first, own = int(scores.argmax()), rank_of(scores, view.own)
        place = f"{name} ranks the true label {ordinal(own)} of {len(scores)} with {percent(float(scores[view.own]))}"
        other = f", and “{view.labels[first]}” first with {percent(float(scores[first]))}" if first != view.own else ""
        said.append(place + other + ".")
    return " ".join(said)


def ordinal(n: int) -> str:
    """1 -> "1st"."""
    return f"{n}{'th' if n % 100 in (11, 12, 13) else {1: 'st', 2: 'nd', 3: 'rd'}.get(n % 10, 'th')}"


def percent(score: float) -> str:
    """A score in 0..1 in percent, with a digit behind the point where it is small."""
    return f"{score:.0%}" if score >= 0.0995 else f"{score:.1%}"


def short(label: str) -> str:
    """A label that fits into a ranking."""
    return label if len(label) <= LONGEST else label[: LONGEST - 1].rstrip() + "…"
