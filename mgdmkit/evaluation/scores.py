"""Scores of exactly N videos: Top-1 and Top-5 with Wilson intervals, per class, confusion, paired differences.

Every test video counts once: no padding, no dropped last batch. The count stands beside each score.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import scipy  # its parts load when first used: `scipy.stats` takes a second
import torch
from torch import Tensor

from mgdmkit.config import check_choice
from mgdmkit.data.tables import write_rows
from mgdmkit.files import write_text_atomic
from mgdmkit.model import MGDM


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
        per_class = [None if math.isnan(share) else share for share in self.per_class.tolist()]
        values = {
            "top1": self.top1._asdict(),
            "top5": self.top5._asdict(),
            "per_class": dict(zip(classes, per_class, strict=True)),
            "classes": list(classes),
            "confusion": self.confusion.tolist(),
        }
        write_text_atomic(path, json.dumps(values, indent=1) + "\n")
        return path

    def confusion_to_csv(self, path: Path, classes: Sequence[str]) -> Path:
        """Write the confusion with the classes' names: a row per true label, a column per predicted one."""
        rows = [[name, *counts] for name, counts in zip(classes, self.confusion.tolist(), strict=True)]
        return write_rows(path, ["label (rows: true, columns: predicted)", *classes], rows)

    def largest_confusions(self, classes: Sequence[str], n: int = 5) -> list[str]:
        """The n most frequent mistakes in words: "playing violin -> playing piano: 8 of 12" clips of the true label."""
        wrong = self.confusion - self.confusion.diag().diag()
        of, C = self.confusion.sum(dim=1).tolist(), len(classes)
        count, place = wrong.flatten().sort(descending=True, stable=True)  # equal counts stay in the classes' order
        pairs = [(i // C, i % C, m) for m, i in zip(count[:n].tolist(), place[:n].tolist(), strict=True) if m]
        return [f"{classes[true]} -> {classes[predicted]}: {m} of {of[true]}" for true, predicted, m in pairs]


def wilson(correct: int, n: int) -> Interval:
    """The 95% Wilson score interval of `correct` out of `n`."""
    if not 0 <= correct <= n or n == 0:
        raise ValueError(f"{correct} correct of {n} videos is not a share")
    low, high = map(float, scipy.stats.binomtest(correct, n).proportion_ci(method="wilson"))
    return Interval(correct / n, low, high, n)


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


Blindfold = Literal["none", "zeros", "other"]


@torch.no_grad()
def blind_accuracy(
    model: MGDM,
    frame_features: Tensor,
    text_features: Tensor,
    group_labels: Tensor,
    blindfold: Blindfold,
    *,
    batch_size: int = 32,
    seed: int = 0,
) -> Interval:
    """Shortcut audit: how often the positive wins inside its own group when the video tells nothing about it.

    Chance is 1 / (1 + k). More means that the group alone gives its positive away: the negatives were mined *for* it,
    so it is their centre, and under guide="positive" its text also chose the frames.

    Args:
        frame_features: (N, T, D); text_features: (C, D); group_labels: (N, g) true label first, then its negatives.
        blindfold: `zeros` in place of the frames; the frames of `other`, a video whose label is not in the group;
            or `none`, the video's own frames, for comparison.
        batch_size: with context="joint" also how many groups share a sequence, as in training.
        seed: draws the other videos, and the winner among equal scores.
    Raises:
        ValueError: for an unknown blindfold, or groups that hold the labels of all videos.
    """
    check_choice("blindfold", blindfold, ("none", "zeros", "other"))
    device, generator = next(model.parameters()).device, torch.Generator().manual_seed(seed)
    if blindfold == "zeros":
        frame_features = torch.zeros_like(frame_features)
    elif blindfold == "other":
        frame_features = frame_features[_other_videos(group_labels, generator)]
    was_training = model.training
    model.eval()
    correct = 0
    for frames, labels in zip(frame_features.split(batch_size), group_labels.split(batch_size), strict=True):
        logits = model(frames.to(device), text_features[labels].to(device)).logits.cpu()  # (b, b, g)
        own = logits.diagonal(dim1=0, dim2=1).T  # (b, g) each video against its own group
        best = own == own.max(dim=1, keepdim=True).values
        correct += int((best.float().multinomial(1, generator=generator) == 0).sum())
    model.train(was_training)
    return wilson(correct, len(group_labels))


def _other_videos(group_labels: Tensor, generator: torch.Generator) -> Tensor:
    """(N,) for each video another one, whose true label is not in the first one's group."""
    labels, N = group_labels[:, 0], len(group_labels)
    other = torch.arange(N)
    for _ in range(1000):
        wrong = (labels[other][:, None] == group_labels).any(dim=1)
        if not wrong.any():
            return other
        other[wrong] = torch.randint(N, (int(wrong.sum()),), generator=generator)
    raise ValueError("some group holds the labels of all videos, so none of them is foreign to it; choose a smaller k")


class Difference(NamedTuple):
    """Top-1 of one method minus another's on the same videos and seeds, in -1..1, with its 95% bootstrap interval."""

    value: float
    low: float
    high: float


def paired_difference(ours: Tensor, theirs: Tensor, resamples: int = 10_000, seed: int = 0) -> Difference:
    """How much better `ours` is than `theirs`: bootstrap over seeds and videos at once.

    Both are drawn anew with replacement, so the interval holds the chance of the trainings and of the test set
    (`scipy.stats.bootstrap` draws along one axis). With a handful of seeds it is rather too narrow: three trainings
    can't show how far a fourth would lie.

    Args:
        ours, theirs: (S, N) is video n right in the training with seed s; row and column mean the same in both.
    """
    if ours.shape != theirs.shape or ours.ndim != 2:
        raise ValueError(f"expected two tables (seeds, videos), not {tuple(ours.shape)} and {tuple(theirs.shape)}")
    difference = ours.double() - theirs.double()  # (S, N)
    generator = torch.Generator().manual_seed(seed)
    by_seed, by_video = (_resampled_weights(n, resamples, generator) for n in difference.shape)  # (R, S), (R, N)
    means = ((by_seed @ difference) * by_video).sum(dim=1)
    low, high = means.quantile(torch.tensor([0.025, 0.975], dtype=torch.double)).tolist()
    return Difference(difference.mean().item(), low, high)


def mcnemar(ours: Tensor, theirs: Tensor) -> float:
    """Exact two-sided p: do two methods differ on the same videos, counting those that only one of them gets right?

    Args:
        ours, theirs: (N,) is video n right.
    """
    if ours.shape != theirs.shape or ours.ndim != 1:
        raise ValueError(f"expected two rows (videos,), not {tuple(ours.shape)} and {tuple(theirs.shape)}")
    gained, lost = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    return float(scipy.stats.binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0


def _resampled_weights(n: int, resamples: int, generator: torch.Generator) -> Tensor:
    """(resamples, n) how often each of n is drawn in n draws with replacement, divided by n."""
    drawn = torch.randint(n, (resamples, n), generator=generator)
    return torch.zeros(resamples, n, dtype=torch.double).scatter(1, drawn, 1.0, reduce="add") / n
