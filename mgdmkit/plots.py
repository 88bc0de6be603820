"""The kit's figures: one function a figure. Arrays or tensors in, an Axes (or several) in and out; no model.

They live in `plot_*.py`, by what they show: videos, matrices, runs, classes, the space of Figures 4-5. `save` writes
a figure to files, `save_as` one of them.
"""

from mgdmkit.plot_classes import calibration, gain_by_confusability
from mgdmkit.plot_files import save, save_as
from mgdmkit.plot_matrices import confusion, confusion_change, matrix, negatives_map
from mgdmkit.plot_runs import costs, differences, k_curve, learning_curves, loss_curves, scores
from mgdmkit.plot_space import Sample, fig5, margins, split_similarity, split_vectors
from mgdmkit.plot_style import DASHES, GREY, INK, LINES, MARKERS, OTHER, SMALL, TRUE, style
from mgdmkit.plot_videos import frames, negatives, predictions, sampling

__all__ = [
    "DASHES",
    "GREY",
    "INK",
    "LINES",
    "MARKERS",
    "OTHER",
    "SMALL",
    "TRUE",
    "Sample",
    "calibration",
    "confusion",
    "confusion_change",
    "costs",
    "differences",
    "fig5",
    "frames",
    "gain_by_confusability",
    "k_curve",
    "learning_curves",
    "loss_curves",
    "margins",
    "matrix",
    "negatives",
    "negatives_map",
    "predictions",
    "sampling",
    "save",
    "save_as",
    "scores",
    "split_similarity",
    "split_vectors",
    "style",
]
