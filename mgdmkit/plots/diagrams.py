"""The method's diagrams, after the paper's Figures 1-4, with the names, shapes and equations of the code.

Each draws on an Axes, or without one on a figure of its own size, and can shade one of its parts: a map of where in
the method a reader is. Grey boxes are frozen, dashed ones are done once, before training.
"""

from collections.abc import Sequence
from itertools import product

from matplotlib.axes import Axes

from mgdmkit.plots.boxes import TITLE, Box, Sheet
from mgdmkit.plots.look import GREY, INK, OTHER, TRUE

WIDTH = 6.9  # inches, of every diagram
HATCH = "////"


def framework(ax: Axes | None = None, highlight: str | None = None) -> Axes:
    """Figure 2: from videos and labels to the loss, with frozen encoders as in the lessons.

    Args:
        highlight: videos, clip, corpus, mining, representer, discriminator, model, similarity or loss.
    """
    parts = ("videos", "clip", "corpus", "mining", "representer", "discriminator", "model", "similarity", "loss")
    sheet = Sheet(ax, (WIDTH, 4.35), parts, highlight)
    width, gap, height = 1.42, 0.38, 0.98
    x = [0.04 + column * (width + gap) for column in range(4)]
    y = [0.36, 1.79, 3.22]  # of the rows, from below

    def box(column: int, row: int, title: str, *lines: str, **look) -> Box:
        return sheet.box(x[column], y[row], width, height, title, *lines, **look)

    videos = box(0, 2, "Videos", "T frames of each", "of b videos", names=["videos"])
    image = box(1, 2, "CLIP image\nencoder", "frozen", "f (b, T, D)", names=["clip"], frozen=True)
    representer = box(2, 2, "Video\nRepresenter", "eq. 13-16", "V (b, l, D)", names=["representer", "model"])
    corpus = box(0, 1, "Corpus", "n label texts", names=["corpus"], offline=True)
    mining = box(1, 1, "mine_\nnegatives", "eq. 10-12", "by frozen CLIP", names=["mining"], offline=True)
    labels = box(0, 0, "Labels", "of the b videos", names=["videos"])
    text = box(1, 0, "CLIP text\nencoder", "frozen", "w (l, g, D)", names=["clip"], frozen=True)
    discriminator = box(2, 0, "Semantic\nDiscriminator", "eq. 17-18", "E (l, g, D)", names=["discriminator", "model"])
    loss = box(3, 0, "augmented_\nnegative_\nloss", "eq. 5-9", names=["loss"])
    tall = y[2] + height - y[1]
    lines = ("logits (b, l, g)", "eq. 4")
    similarity = sheet.box(x[3], y[1], width, tall, "Similarity", *lines, names=["similarity", "loss"], high=True)
    sheet.text(x[3] + width / 2, y[1] + 1.4, "targets Q")
    _little_matrix(sheet, x[3] + width / 2, y[1] + 0.48)

    for a, b in ((videos, image), (image, representer), (corpus, mining), (labels, text), (text, discriminator)):
        sheet.arrow(a.right, b.left)
    for a, b in ((image, mining), (mining, text), (similarity, loss)):
        sheet.arrow(a.bottom, b.top)
    sheet.text(mining.bottom[0] - 0.12, (y[0] + height + y[1]) / 2, "k negatives", ha="right")
    sheet.arrow(representer.right, (x[3], representer.centre[1]))
    middle, before, after = mining.centre[1], x[2] - gap / 2, x[3] - gap / 2
    sheet.arrow(discriminator.right, (after, discriminator.centre[1]), (after, middle), (x[3], middle))
    sheet.dot(before, text.centre[1])
    guide = (before, middle), (representer.centre[0], middle), representer.bottom
    sheet.arrow((before, text.centre[1]), *guide)
    sheet.text(representer.centre[0], middle - 0.24, "the label's own text\nguides: w[:, 0]")
    _key(sheet, x[0], 0.13)
    return sheet.ax


def _little_matrix(sheet: Sheet, x: float, y: float) -> None:
    """The targets of `EXAMPLE`, three videos by three groups of a label and two negatives, above (x, y)."""
    width, height, space = 0.125, 0.25, 0.05
    left = x - 4.5 * width - space
    for i, column in product(range(3), range(9)):
        place, right = left + column * width + column // 3 * space, EXAMPLE[column // 3][column % 3] == EXAMPLE[i][0]
        sheet.cell(place, y + (2 - i) * height, width, height, INK if right else "white")


def _key(sheet: Sheet, x: float, y: float) -> None:
    for left, text, look in ((x, "frozen", {"frozen": True}), (x + 1.0, "once, before training", {"offline": True})):
        box = sheet.box(left, y - 0.075, 0.26, 0.15, **look)
        sheet.text(box.right[0] + 0.08, y, text, ha="left")


EXAMPLE = (  # a batch of three videos, each label with its two negatives
    ("opening a fridge", "closing a fridge", "opening an oven"),
    ("closing a fridge", "opening a fridge", "closing an oven"),
    ("doing squats", "lifting a barbell", "punching a bag"),
)
CELL = 0.36  # inches, of the two matrices
CELLS_TOP = 2.96


def paradigms(ax: Axes | None = None, highlight: str | None = None) -> Axes:
    """Figure 1: the usual contrast of videos and labels, and the augmented one, at b = 3 and k = 2.

    Args:
        highlight: usual, augmented or targets.
    """
    sheet = Sheet(ax, (WIDTH, 3.7), ("usual", "augmented", "targets"), highlight)
    usual = sheet.box(1.27, 0.42, 1.5, 3.24, "Usual", "b labels", names=["usual"], high=True)
    title = "With augmented negatives", "b groups of 1 + k labels"
    sheet.box(2.99, 0.42, 3.87, 3.24, *title, names=["augmented"], high=True)
    sheet.text(usual.left[0] - 0.07, CELLS_TOP + 0.16, "video of", ha="right", color=GREY)
    for i, (label, *_) in enumerate(EXAMPLE):
        sheet.text(usual.left[0] - 0.07, CELLS_TOP - (i + 0.5) * CELL, label, ha="right")
    _contrast(sheet, 1.48, [group[:1] for group in EXAMPLE])
    _contrast(sheet, 3.2, EXAMPLE, space=0.1)
    target = _target_colour(sheet), "", "target: the video's class"
    at = usual.left[0]
    for colour, hatch, text in (target, (OTHER, HATCH, "mined for the video"), ("white", "", "other labels")):
        sheet.cell(at, 0.1, 0.2, 0.2, colour, hatch)
        sheet.text(at + 0.28, 0.2, text, ha="left")
        at += 0.52 + 0.076 * len(text)
    return sheet.ax


def _contrast(sheet: Sheet, left: float, groups: Sequence[Sequence[str]], space: float = 0) -> None:
    """The matrix of videos and texts: a target wherever the text is the video's class, in any group (eq. 5-6)."""
    texts = [(j, m, text) for j, group in enumerate(groups) for m, text in enumerate(group)]
    for column, (j, m, text) in enumerate(texts):
        x = left + column * CELL + j * space
        for i, (label, *_) in enumerate(groups):
            y, mined = CELLS_TOP - (i + 1) * CELL, i == j and m > 0
            if text == label:
                cell = sheet.cell(x, y, CELL, CELL, _target_colour(sheet))
                sheet.text(*cell.centre, "1", color="white", fontweight="bold")
            else:
                sheet.cell(x, y, CELL, CELL, OTHER if mined else "white", HATCH if mined else "")
        weight = "normal" if m else "bold"
        below = CELLS_TOP - len(groups) * CELL - 0.07
        sheet.text(x + CELL / 2, below, text, rotation=90, va="top", fontweight=weight)


def _target_colour(sheet: Sheet) -> str:
    return TRUE if sheet.highlight == "targets" else INK


def modules(ax: Axes | None = None, highlight: str | None = None) -> Axes:
    """Figure 3: what happens inside VideoRepresenter (left) and SemanticDiscriminator (right).

    Args:
        highlight: representer, discriminator, blocks, residual or attention.
    """
    parts = ("representer", "discriminator", "blocks", "residual", "attention")
    sheet = Sheet(ax, (WIDTH, 5.1), parts, highlight)
    for x, title, name in ((0.04, "VideoRepresenter", "representer"), (3.54, "SemanticDiscriminator", "discriminator")):
        sheet.box(x, 0.04, 3.32, 5.02, title, names=[name], high=True)
    _representer(sheet, 1.7)
    _discriminator(sheet, 5.2)
    return sheet.ax


def _representer(sheet: Sheet, x: float) -> None:
    f = _tokens(sheet, x, 4.18, 0.36, ("1", "2", "3", "...", "T"))
    sheet.text(x, 4.6, "f (b, T, D), a vector per frame")
    plus = _residual(sheet, f, x, "+ frame positions", "eq. 13")
    sheet.text(plus.right[0] + 0.1, plus.centre[1], "f_d (b, T, D), eq. 14", ha="left")
    attention = sheet.box(x - 0.8, 1.42, 1.6, 0.78, "Attention", "softmax over T", "eq. 15", names=["attention"])
    total = sheet.box(x - 0.8, 0.52, 1.6, 0.6, "Weighted sum", "eq. 16", names=["attention"])
    sheet.arrow(plus.bottom, attention.top)
    sheet.arrow(attention.bottom, total.top)
    sheet.dot(x, 2.42)
    sheet.arrow((x, 2.42), (x - 1.15, 2.42), (x - 1.15, total.centre[1]), total.left)
    sheet.text(x + 1.34, attention.centre[1], "w[:, 0]\n(l, D)")
    sheet.arrow((x + 1.06, attention.centre[1]), attention.right)
    sheet.arrow(total.bottom, (x, 0.33))
    sheet.text(x, 0.2, "V (b, l, D)")


def _discriminator(sheet: Sheet, x: float) -> None:
    names = ("label", "neg 1", "...", "neg k")
    w = _tokens(sheet, x, 4.18, 0.55, names)
    sheet.text(x, 4.6, "w (l, g, D), one per text, g = 1 + k")
    plus = _residual(sheet, w, x, "no positions", "eq. 17-18")
    E = _tokens(sheet, x, 2.06, 0.55, names)
    sheet.arrow(plus.bottom, E.top)
    sheet.text(x, 1.9, "E (l, g, D)")
    sheet.text(x - 0.45, 0.87, "A text sees\nits own group:\nhere l = 2, k = 3", ha="right")
    size = 0.17
    for i, j in product(range(8), range(8)):
        sheet.cell(x - 0.3 + j * size, 0.2 + (7 - i) * size, size, size, GREY if i // 4 == j // 4 else "white")


def _tokens(sheet: Sheet, x: float, y: float, width: float, names: Sequence[str]) -> Box:
    """A row of vectors, each a cell with its name; the row's box."""
    left = x - len(names) * width / 2
    for place, name in enumerate(names):
        cell = sheet.cell(left + place * width, y, width, 0.28)
        sheet.text(*cell.centre, name)
    return Box(left, y, len(names) * width, 0.28)


def _residual(sheet: Sheet, tokens: Box, x: float, *lines: str) -> Box:
    """Transformer blocks and the way around them; the sum's box."""
    blocks = sheet.box(x - 0.8, 3.02, 1.6, 0.78, "Blocks", *lines, names=["blocks"])
    plus = sheet.plus(x, 2.7)
    sheet.arrow(tokens.bottom, blocks.top)
    sheet.arrow(blocks.bottom, plus.top)
    sheet.dot(x, 4.0)
    sheet.arrow((x, 4.0), (x - 1.15, 4.0), (x - 1.15, plus.centre[1]), plus.left)
    return plus


def split_vector(ax: Axes | None = None, highlight: str | None = None) -> Axes:
    """Figure 4: how a video and a text become a point of Figure 5.

    Args:
        highlight: vectors, halves or plane.
    """
    sheet = Sheet(ax, (WIDTH, 2.7), ("vectors", "halves", "plane"), highlight)
    sheet.box(0.04, 1.26, 4.3, 1.4, names=["vectors"])
    width, left, gap = 1.2, 1.72, 0.06
    rows = ((2.1, "Video", "V[i, c]"), (1.48, "Text", "E[c], or w[c]"))
    for y, title, name in rows:
        sheet.text(0.18, y + 0.24, title, size=TITLE, ha="left", fontweight="bold")
        sheet.text(0.18, y + 0.04, name, ha="left")
    halves = ("x", "left", OTHER, ""), ("y", "right", "white", HATCH)
    for side, (coordinate, half, colour, hatch) in enumerate(halves):
        x = left + side * (width + gap)
        for y, *_ in rows:
            sheet.cell(x, y, width, 0.3, colour, hatch)
        cosine = sheet.box(x, 0.04, width, 0.7, f"cosine {coordinate}", f"{half} halves", names=["halves"])
        sheet.arrow((cosine.top[0], rows[-1][0]), cosine.top)
    sheet.text(0.18, 0.39, "each half\nnormalised\nby itself", ha="left")
    _plane(sheet, 4.92, 0.4, 1.82)
    return sheet.ax


def _plane(sheet: Sheet, x: float, y: float, size: float) -> None:
    """A panel of Figure 5 in small: a triangle for the true class, dots for the others."""
    sheet.box(4.54, 0.04, 2.32, 2.62, names=["plane"])
    sheet.text(5.7, 2.45, "A point per class", size=TITLE, fontweight="bold")
    sheet.arrow((x, y), (x + size, y))
    sheet.arrow((x, y), (x, y + size))
    sheet.text(x + size / 2, y - 0.16, "x")
    sheet.text(x - 0.18, y + size / 2, "y")
    at = x + 1.25, y + 1.3
    for end in ((x, at[1]), (at[0], y)):
        sheet.ax.plot(*zip(at, end, strict=True), color=GREY, linestyle=":", linewidth=1.2 * sheet.scale)
    others = ((0.3, 0.42), (0.5, 0.25), (0.62, 0.66), (0.34, 0.8), (0.85, 0.48), (0.8, 0.86))
    look = {"edgecolor": INK, "linewidth": 0.7 * sheet.scale, "zorder": 3}
    sheet.ax.scatter([x + a for a, _ in others], [y + b for _, b in others], s=38 * sheet.scale**2, color=OTHER, **look)
    sheet.ax.scatter(*at, s=130 * sheet.scale**2, color=TRUE, marker="v", **look)
    sheet.text(at[0], at[1] + 0.2, "true class")
    sheet.text(x + 0.2, y + 1.06, "others", ha="left")
