"""The augmented-negative contrastive loss: targets and the two-way KL divergence (eq. 5-9).

Axes: b videos, l text groups of g = 1 + k texts. Column j*g + m of a flattened matrix is text m of group j.
Each direction is summed over its distribution and averaged over the rows that have a target: a plain mean
over a b x l*g matrix would weigh the two directions 1/(1+k) to (1+k).
"""

from typing import get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from mgdmkit.config import EmptyColumns, T2vMean, Target, check_choice

# A hidden logit: as good as minus infinity, but 0 * hidden is 0 and not NaN.
HIDDEN = torch.finfo(torch.float32).min / 2


def augmented_targets(video_labels: Tensor, text_labels: Tensor) -> Tensor:
    """Q of eq. 6: which text columns are of the video's class.

    A mined negative of one video can be the true label of another: that column is a positive of the other.

    Args:
        video_labels: (b,) class indices of the videos.
        text_labels: (l, g) class indices of the texts.
    Returns:
        (b, l*g) zeros and ones.
    """
    if video_labels.ndim != 1 or text_labels.ndim != 2:
        raise ValueError(
            f"expected video_labels (b,) and text_labels (l, g), "
            f"not {tuple(video_labels.shape)} and {tuple(text_labels.shape)}"
        )
    return (video_labels[:, None] == text_labels.flatten()[None, :]).float()


def augmented_negative_loss(
    logits: Tensor,
    targets: Tensor,
    *,
    target: Target = "normalized",
    empty_columns: EmptyColumns = "drop",
    t2v_mean: T2vMean = "nonempty",
    absent: Tensor | None = None,
) -> Tensor:
    """L = (KL(Q || P) video to text + KL(Q || P) text to video) / 2 (eq. 7-9), a scalar.

    Args:
        logits: (b, l, g) similarities, already divided by tau.
        targets: (b, l*g) zeros and ones, from `augmented_targets`.
        target: how a row of Q becomes a distribution. The paper needs one and prints 0/1.
            `normalized`: Q / its sum. `softmax10`: softmax(10 Q), as in ActionCLIP and BIKE.
        empty_columns: text columns whose class no video of the batch has, as most hard negatives are.
            `drop`: literal KL, a zero target contributes nothing to text-to-video; they act in video-to-text.
            `uniform`: their text-to-video target is uniform over the videos (what softmax(10 Q) gives).
            `mask`: as `drop`, and in video-to-text a video competes with its own hard negatives only.
        t2v_mean: average text-to-video over the columns with a target (`nonempty`) or over `all` columns.
        absent: (l, g) True where a group has no text: adaptive groups differ in size. Such a column counts nowhere.
    Raises:
        ValueError: for an unknown option, shapes that do not agree, or a batch without any positive.
    """
    check_choice("target", target, get_args(Target))
    check_choice("empty_columns", empty_columns, get_args(EmptyColumns))
    check_choice("t2v_mean", t2v_mean, get_args(T2vMean))
    _check_shapes(logits, targets)
    sims = logits.flatten(1)  # (b, l*g)
    if sims.dtype in (torch.bfloat16, torch.float16):
        sims = sims.float()  # under autocast the loss is still taken in full precision
    targets = targets.to(sims.dtype)

    absent = torch.zeros_like(targets[0], dtype=torch.bool) if absent is None else absent.flatten()  # (l*g,)
    hidden = absent.expand_as(targets)
    if empty_columns == "mask":
        hidden = hidden | _other_groups_negatives(logits, targets)
    v2t = _kl_rows(sims, targets, target, hidden)  # (b,)
    t2v = _kl_rows(sims.T, targets.T, target)  # (l*g,)
    if empty_columns == "uniform":
        columns_with_target = ~absent
    else:
        columns_with_target = targets.any(dim=0)
    t2v_count = (~absent).sum() if t2v_mean == "all" else columns_with_target.sum()
    rows_with_target = targets.any(dim=1)
    v2t_loss = v2t[rows_with_target].sum() / rows_with_target.sum()
    t2v_loss = t2v[columns_with_target].sum() / t2v_count
    return (v2t_loss + t2v_loss) / 2


def _kl_rows(sims: Tensor, targets: Tensor, target: str, hidden: Tensor | None = None) -> Tensor:
    """KL(Q || P) of each row: P = softmax(sims), Q from the 0/1 targets; an empty row's Q is uniform."""
    scores = 10 * targets
    if target == "normalized":
        scores = targets.log().where(targets.any(dim=1, keepdim=True), 0)  # softmax of log Q is Q / sum
    if hidden is not None:
        sims, scores = sims.masked_fill(hidden, HIDDEN), scores.masked_fill(hidden, -torch.inf)
    return F.kl_div(sims.log_softmax(dim=1), scores.softmax(dim=1), reduction="none").sum(dim=1)


def _other_groups_negatives(logits: Tensor, targets: Tensor) -> Tensor:
    """(b, l*g) True where a column is another video's hard negative and not a positive of the row."""
    b, l, g = logits.shape
    if b != l:
        raise ValueError(f"empty_columns='mask' needs one group per video, but there are {b} videos and {l} groups")
    other_group = ~torch.eye(b, dtype=torch.bool, device=logits.device)[:, :, None]  # (b, l, 1)
    negative = torch.arange(g, device=logits.device) > 0  # (g,)
    return (other_group & negative).flatten(1) & (targets == 0)


def _check_shapes(logits: Tensor, targets: Tensor) -> None:
    if logits.ndim != 3:
        raise ValueError(f"logits must be (b, l, g), not {tuple(logits.shape)}")
    b, l, g = logits.shape
    if targets.shape != (b, l * g):
        raise ValueError(f"targets must be ({b}, {l * g}) for logits {(b, l, g)}, not {tuple(targets.shape)}")
    if not targets.any():
        raise ValueError("no video of the batch has a text of its own class; is the positive text in the groups?")
