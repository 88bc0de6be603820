"""Scores of exactly N videos: Top-1 and Top-5 with Wilson intervals, per class, confusion.

Every test video counts once: no padding, no dropped last batch. The count stands beside each score.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from mgdmkit.config import write_text_atomic
from mgdmkit.model import MGDM

Z95 = 1.959963984540054  # the normal quantile of a two-sided 95% interval


class Interval(NamedTuple):
    """A share of N with its 95% Wilson interval, all in 0..1."""

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{100 * self.value:.1f}% [{100 * self.low:.1f}, {100 * self.high:.1f}] (N = {self.n})"


class Scores(NamedTuple):
    """What one model does on one set of videos."""

    top1: Interval
    top5: Interval
    per_class: Tensor
    """(C,) Top-1 of each class; NaN for a class without a video."""
    confusion: Tensor
    """(C, C) counts: row = true class, column = predicted class."""

    def to_json(self, path: Path, classes: Sequence[str]) -> Path:
        """Write the scores with the classes' names; a class without videos is null."""
        values = {
            "top1": self.top1._asdict(),
            "top5": self.top5._asdict(),
            "per_class": {
                name: None if math.isnan(x) else x for name, x in zip(classes, self.per_class.tolist(), strict=True)
            },
            "classes": list(classes),
            "confusion": self.confusion.tolist(),
        }
        write_text_atomic(path, json.dumps(values, indent=1) + "\n")
        return path


@torch.no_grad()
def predict(model: MGDM, frame_features: Tensor, text_features: Tensor, batch_size: int = 64) -> Tensor:
    """Logits of every video for every class at inference, where each class is its own group (k = 0).

    Args:
        frame_features: (N, T, D); text_features: (C, D).
    Returns:
        (N, C) on the CPU, rows in the order of the videos.
    """
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    groups = text_features[:, None].to(device)  # (C, 1, D)
    logits = [model(part.to(device), groups).logits[:, :, 0].cpu() for part in frame_features.split(batch_size)]
    model.train(was_training)
    return torch.cat(logits)


def wilson(correct: int, n: int) -> Interval:
    """The 95% Wilson score interval of `correct` out of `n`."""
    if not 0 <= correct <= n or n == 0:
        raise ValueError(f"{correct} correct of {n} videos is not a share")
    p, z2 = correct / n, Z95**2
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return Interval(p, max(0.0, centre - half), min(1.0, centre + half), n)


def label_rank(logits: Tensor, labels: Tensor) -> Tensor:
    """(N,) rank of the true class, from 0. Equal scores count against it: ties can't look like skill."""
    if not logits.isfinite().all():
        raise ValueError("the logits hold NaN or infinity; the model has diverged")
    own = logits.gather(1, labels[:, None])
    return (logits >= own).sum(dim=1) - 1


def score(logits: Tensor, labels: Tensor) -> Scores:
    """Scores of (N, C) logits against (N,) true classes; with C <= 5 classes Top-5 is 100% by definition."""
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise ValueError(f"expected logits (N, C) and labels (N,), not {logits.shape} and {labels.shape}")
    rank = label_rank(logits, labels)
    n, C = logits.shape
    counts = torch.bincount(labels, minlength=C)
    hits = torch.bincount(labels[rank == 0], minlength=C)
    confusion = torch.bincount(labels * C + logits.argmax(dim=1), minlength=C * C).view(C, C)
    return Scores(wilson(int((rank < 1).sum()), n), wilson(int((rank < 5).sum()), n), hits / counts, confusion)
