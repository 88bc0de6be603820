"""The kit's figures: one function a figure. Arrays or tensors in, an Axes (or several) in and out; no model.

They live in files by what they show: videos, matrices, runs, classes, the space of Figures 4-5, diagrams. `save` writes
a figure to files, `save_as` one of them.
"""

from mgdmkit.plots import diagrams
from mgdmkit.plots.classes import calibration, gain_by_confusability
from mgdmkit.plots.files import save, save_as
from mgdmkit.plots.look import DASHES, GREY, INK, LINES, MARKERS, OTHER, SMALL, TRUE, style
from mgdmkit.plots.matrices import confusion, matrix
from mgdmkit.plots.runs import costs, differences, k_curve, learning_curves, loss_curves, scores
from mgdmkit.plots.space import Sample, fig5, margins, split_similarity, split_vectors
from mgdmkit.plots.videos import by_temperature, frames, label_plane, negatives, predictions, sampling
