"""What a model is worth and what it costs: scores and their intervals, confidence, operations; a run that sees clips.

Nothing here trains: a training scores itself with it.
"""

from mgdmkit.evaluation.confidence import calibration, true_margins
from mgdmkit.evaluation.recognizer import Prediction, Recognizer, load_run, write_labels
from mgdmkit.evaluation.scores import (
    Interval,
    Scores,
    blind_accuracy,
    label_rank,
    mcnemar,
    paired_difference,
    score,
    wilson,
)
