"""Figures as files: both kinds, the same bytes each time, and words that can be read on half a page."""

import subprocess
import sys
from inspect import isfunction

import matplotlib
import numpy as np
import pytest
from drawn_text import HALF, LEGIBLE, misplaced, smallest_at_half

from mgdmkit import plots
from mgdmkit.plots import diagrams

matplotlib.use("Agg")

import matplotlib.pyplot as plt

CLASSES = ("stirring a pot", "doing squats", "closing a fridge", "flying a kite", "punching a bag", "opening a fridge")
HISTORY = [{"epoch": e, "loss": 3.0 - e} for e in range(3)]
NOISE = np.random.default_rng(0)
X, Y = NOISE.random((2, 60))
SAMPLES = [plots.Sample(name, 0, (X, Y), (Y, X), 1, CLASSES[1]) for name in CLASSES[:3]]
GRIDS = {"raw": X - 0.5, "k = 3": Y - 0.4}

PLOTS = {  # each as a notebook draws it: on a figure of the default size
    "by_temperature": lambda ax: plots.by_temperature(
        ax, {"own": [0.1, 0.5, 0.9], "other": [0.9, 0.5, 0.1]}, "own", [1, 10, 100], {"this CLIP's": 14.7}, now=20
    ),
    "calibration": lambda ax: plots.calibration(ax, [(n + 1, n / 10 + 0.05, 0.5) for n in range(10)], "k = 3"),
    "confusion": lambda ax: plots.confusion(ax, np.eye(6), CLASSES),
    "costs": lambda ax: plots.costs(ax, ["image encoder", "blocks"], [800, 0.25], [1296, 1]),
    "differences": lambda ax: plots.differences(ax, [("without the representer", 2, 1, 3), ("rerank", -1, -3, 1)]),
    "gain_by_confusability": lambda ax: plots.gain_by_confusability(ax, X[:6], Y[:6], CLASSES),
    "k_curve": lambda ax: plots.k_curve(ax, [("hardest", k, [60, 61], 59, 62) for k in (0, 3)], zero_shot=50),
    "label_plane": lambda ax: plots.label_plane(ax, {"opening a fridge": 40, "raking": 150}, "raking", [15, 25]),
    "learning_curves": lambda ax: plots.learning_curves(ax, {"k = 0": ([1, 2], [3, 4]), "k = 3": ([1, 2], [3, 5])}),
    "loss_curves": lambda ax: plots.loss_curves(ax, {"k = 0": HISTORY, "k = 3": HISTORY}),
    "margins": lambda ax: plots.margins(ax, GRIDS),
    "matrix": lambda ax: plots.matrix(ax, np.eye(3, 9) / 3, CLASSES[:3], [*"abcdefghi"], "Q", group=3, annotate=True),
    "negatives": lambda ax: plots.negatives(ax, "sitting", CLASSES, X[:6] / 6, 7, 0.1),
    "predictions": lambda ax: plots.predictions(ax, CLASSES[:5], X[:5], CLASSES[0], "a clip"),
    "sampling": lambda ax: plots.sampling(ax, 40, 8, {"centre": [1, 4, 7], "random": [0, 3, 9]}),
    "scores": lambda ax: plots.scores(ax, [("zero-shot CLIP", 60, 50, 68), ("MGDM, k = 3", 70, 66, 75)], n=150),
    "split_vectors": lambda ax: plots.split_vectors(ax, X, Y, 0, "opening a fridge"),
}


@pytest.fixture(autouse=True)
def _style():
    with matplotlib.rc_context():
        plots.style()
        yield
        plt.close("all")


def test_every_plot_is_looked_at_here():
    drawn = {name for name, value in vars(plots).items() if isfunction(value)}
    others = {
        "frames",
        "fig5",
        "save",
        "save_as",
        "split_similarity",
        "style",
    }  # the first two make figures of their own below
    assert drawn - others == set(PLOTS)


@pytest.mark.parametrize("name", PLOTS)
def test_the_words_of_a_plot_can_be_read_on_half_a_page(name, tmp_path):
    figure, ax = plt.subplots()
    PLOTS[name](ax)
    assert misplaced(figure) == []
    plots.save(figure, tmp_path / name)
    assert smallest_at_half((tmp_path / f"{name}.svg").read_text(encoding="utf-8")) >= LEGIBLE


@pytest.mark.parametrize("margins", [None, GRIDS], ids=["alone", "with margins"])
def test_figure_5_can_be_read_on_half_a_page(tmp_path, margins):
    plots.save(plots.fig5(SAMPLES, margins), tmp_path / "fig5")
    assert smallest_at_half((tmp_path / "fig5.svg").read_text(encoding="utf-8")) >= LEGIBLE


def test_frames_with_their_weights_can_be_read_on_half_a_page(tmp_path):
    figure, axes = plt.subplots(1, 8, figsize=(6.6, 1.7))
    plots.frames(axes, np.zeros((8, 6, 6, 3), np.uint8), np.full(8, 0.125), "guided by: opening a fridge")
    assert misplaced(figure) == []
    plots.save(figure, tmp_path / "frames")
    assert smallest_at_half((tmp_path / "frames.svg").read_text(encoding="utf-8")) >= LEGIBLE


@pytest.mark.parametrize(
    "draw", [diagrams.framework, diagrams.paradigms, diagrams.modules, diagrams.split_vector], ids=lambda d: d.__name__
)
def test_every_word_of_a_diagram_can_be_read_on_half_a_page(draw, tmp_path):
    plots.save(draw().figure, tmp_path / "diagram")
    assert smallest_at_half((tmp_path / "diagram.svg").read_text(encoding="utf-8")) >= LEGIBLE


def test_a_figure_is_saved_in_both_kinds_and_its_text_stays_text(tmp_path):
    figure, ax = plt.subplots()
    plots.negatives(ax, "sitting", ["standing"], [0.5], 1, 0.25)
    folder = tmp_path / "new"
    plots.save(figure, folder / "k = 1.5", dpi=30)
    assert (folder / "k = 1.5.png").read_bytes().startswith(b"\x89PNG")
    drawing = (folder / "k = 1.5.svg").read_text(encoding="utf-8")
    assert ">standing</text>" in drawing and "<dc:date>" not in drawing
    assert sorted(p.name for p in folder.iterdir()) == ["k = 1.5.png", "k = 1.5.svg"]


DRAWN_ANEW = """
import sys, numpy as np, matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
from mgdmkit import plots
plots.style()
figure, (left, right) = plt.subplots(1, 2)
plots.scores(left, [("a", 60, 50, 68)])
plots.frames([right], np.zeros((1, 4, 4, 3), np.uint8), [1.0])
plots.save(figure, sys.argv[1])
"""


def test_the_same_drawing_gives_the_same_bytes_in_another_process(tmp_path):
    for name in ("one", "two"):
        subprocess.run([sys.executable, "-c", DRAWN_ANEW, str(tmp_path / name)], check=True, timeout=300)
    for kind in ("png", "svg"):
        assert (tmp_path / f"one.{kind}").read_bytes() == (tmp_path / f"two.{kind}").read_bytes()


def test_the_measure_sees_small_words_and_wide_figures():
    drawing = '<svg height="9pt" width="{}pt"><text style="font: 10px Sans">a</text><text style="font-size: {}px">'
    assert smallest_at_half(drawing.format(4 * 72 * HALF, 8)) == pytest.approx(2)
    assert smallest_at_half(drawing.format(72, 12)) == 10
