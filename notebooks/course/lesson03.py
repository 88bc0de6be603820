"""Answers to the exercises of lesson 03: matrices and losses of three made-up videos."""

from collections.abc import Sequence

import torch
from torch import Tensor

from course.three_videos import groups, logits, video_labels
from mgdmkit import loss


def exercise1(answer: Sequence[Sequence[int]]) -> None:
    ours, papers = (tuple(shape) for shape in answer)
    assert ours[1] == papers[1] == 32 * 8, "A column is a text. How many texts does a group of k = 7 bring?"
    assert ours[0] == 32, "In the kit a row is a video, and stands there once (section 4)."
    assert papers[0] == 32 * 8, "The paper repeats each video until the blocks are square (section 4)."


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
    v2t, t2v = (float(term) for term in answer)
    right, equal = _terms([1, 2, 3]), _terms([1, 1, 1])
    halves = abs(2 * v2t - right[0]) + abs(2 * t2v - right[1])
    assert halves > 1e-3, "The half in front of eq. 9 belongs to neither direction."
    assert abs(v2t - equal[0]) > 1e-3, "Video to text is that of equal copies. Does the third row count three times?"
    assert abs(t2v - equal[1]) > 1e-3, "Text to video is that of equal copies. A column's softmax has six rows now."
    assert abs(v2t - right[0]) < 1e-3, "Video to text is the mean of six rows' divergences."
    assert abs(t2v - right[1]) < 1e-3, "Text to video is the mean over the columns with a 1 alone."


def _pull(targets: Tensor) -> Tensor:
    x = logits.clone().requires_grad_()
    return -torch.autograd.grad(loss.augmented_negative_loss(x, targets), x)[0].flatten(1)


def _terms(copies: Sequence[int]) -> tuple[float, float]:
    """The two directions of eq. 9 with video i in `copies[i]` rows."""
    repeats = torch.tensor(copies)
    once = logits.flatten(1), loss.augmented_targets(video_labels, groups)
    sims, Q = (x.repeat_interleave(repeats, dim=0) for x in once)
    seen = Q.any(dim=0)
    rows, columns = Q / Q.sum(dim=1, keepdim=True), (Q / Q.sum(dim=0))[:, seen]
    v2t = (torch.special.xlogy(rows, rows) - rows * sims.log_softmax(dim=1)).sum(dim=1).mean()
    t2v = (torch.special.xlogy(columns, columns) - columns * sims.log_softmax(dim=0)[:, seen]).sum(dim=0).mean()
    return v2t.item(), t2v.item()
