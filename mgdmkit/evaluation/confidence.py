"""Beyond Top-1: by how much a method is right, and whether its confidence can be believed."""

from typing import NamedTuple

import numpy as np
import scipy
import torch
from torch import Tensor


class Calibration(NamedTuple):
    """How well softmax(logits) tells the chance to be right."""

    nll: float
    """Mean of -log(probability of the true class), in nats."""
    ece: float
    """Expected calibration error in 0..1: |accuracy - confidence|, averaged over the bins by their videos."""
    bins: Tensor
    """(bins, 3) for equally wide bins of confidence, lowest first: videos, their mean confidence, their accuracy;
    the last two are NaN in a bin without videos."""


def calibration(logits: Tensor, labels: Tensor, bins: int = 10) -> Calibration:
    """Of (N, C) logits at the method's own temperature, against (N,) true classes.

    The confidence of a video is the probability of its best class.
    """
    probabilities = logits.double().softmax(dim=1)
    nll = -probabilities.gather(1, labels[:, None]).clamp(min=1e-300).log().mean()
    confidence, best = probabilities.max(dim=1)
    right = (best == labels).double()
    columns = ((right, "count"), (confidence, "mean"), (right, "mean"))
    found = [scipy.stats.binned_statistic(confidence, x, how, bins, (0, 1)).statistic for x, how in columns]
    table = torch.from_numpy(np.stack(found, axis=1))
    ece = (table[:, 0] * (table[:, 2] - table[:, 1]).abs()).nansum() / len(labels)
    return Calibration(nll.item(), ece.item(), table)


def true_margins(logits: Tensor, labels: Tensor, logit_scale: float) -> Tensor:
    """(N,) similarity of the true class minus that of the best wrong one: above 0 where the method is right.

    Divided by `logit_scale`, so that methods with different temperatures compare: cosines, -2..2.
    """
    own = logits.gather(1, labels[:, None])[:, 0]
    wrong = logits.scatter(1, labels[:, None], -torch.inf).max(dim=1).values
    return (own - wrong) / logit_scale
