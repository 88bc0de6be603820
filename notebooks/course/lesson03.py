"""Answers to the exercises of lesson 03: matrices and losses of three made-up videos."""

from collections.abc import Sequence

import torch
from torch import Tensor

from course.three_videos import cosines, groups, logits, video_labels
from mgdmkit import loss


def exercise1(answer: Sequence[int]) -> None:
    rows, columns, ones, empty = (int(number) for number in answer)
    assert (rows, columns) == (32, 32 * 8), "A row is a video, a column a text. How many texts has a group of k = 7?"
    assert ones != 32, "A mined text that is the label of another clip is a 1 in that clip's row."
    assert ones == 32 + 10, "Each clip has a 1 in the column of its own label; how many more are there?"
    assert empty == columns - ones, "Can a column have two ones if no two clips share a class?"


def exercise2(answer: Tensor) -> None:
    answer = torch.as_tensor(answer).flatten()
    assert answer.numel() == 9, "One number per column, of which there are still nine."
    assert torch.isclose(answer.sum(), torch.tensor(1.0), atol=1e-3), "A target is a row of Q divided by its sum."
    assert answer.count_nonzero() == 3, "In how many columns does 'closing a fridge' stand now?"
    twice = groups.clone()
    twice[0] = torch.tensor([0, 1, 1])
    right = loss.augmented_targets(video_labels, twice)[1]
    assert torch.allclose(answer, right / right.sum(), atol=1e-3), "Right in number, but other columns."


def exercise3(answer: Tensor) -> None:
    assert answer.shape == (3, 9), "One pull per video and column: flatten the groups."
    targets = loss.augmented_targets(video_labels, groups)
    assert not torch.allclose(answer, _pull(targets), atol=1e-4), "These are the pulls of the Q of eq. 6. Did Q change?"
    targets[1, 1] = 0
    wrong = -_pull(targets)
    assert not torch.allclose(answer, wrong, atol=1e-4), "The sign: a pull is minus the gradient."
    assert not torch.allclose(answer, -100 * wrong, atol=1e-2), "Right, but for the factor of 100 that the figure has."
    assert torch.allclose(answer, -wrong, atol=1e-4), "Which row is the closing video, which column its text?"


def exercise4(answer: Sequence[float]) -> None:
    shares = [float(share) for share in answer]
    right = [_share(tau) for tau in (0.2, 0.1, 0.05)]
    assert len(shares) == 3, "One share per temperature."
    assert max(shares) <= 1, "A share is a part of 1, not of 100."
    apart = [abs(one - other) for one, other in zip(shares, right, strict=True)]
    backwards = [abs(one - other) for one, other in zip(shares, reversed(right), strict=True)]
    assert max(backwards) > 0.002, "In the order of the temperatures: 0.2 first."
    assert apart[1] < 0.002, "At 0.1: in the first row of the pull matrix, two cells of all that are negative."
    assert max(apart) < 0.002, "Right at 0.1. Divide the cosines, not the logits, by the other two."


def _pull(targets: Tensor, logits: Tensor = logits) -> Tensor:
    x = logits.clone().requires_grad_()
    return -torch.autograd.grad(loss.augmented_negative_loss(x, targets), x)[0].flatten(1)


def _share(tau: float) -> float:
    """Of all that pushes video 0, what falls on the two columns of 'closing a fridge'."""
    push = _pull(loss.augmented_targets(video_labels, groups), cosines / tau)[0].clamp(max=0).neg()
    return (push[(groups == 1).flatten()].sum() / push.sum()).item()
