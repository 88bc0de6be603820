"""Classifying videos with a trained model: which texts share a sequence when nobody knows the true label (section 3.2).

The paper is silent on how the discriminator, trained on groups of 1 + k, meets all classes at once; see `predict`.
"""

from typing import Literal, get_args

import torch
from torch import Tensor

from mgdmkit.config import MGDMConfig, check_choice
from mgdmkit.model import MGDM

Inference = Literal["single", "rerank", "joint"]

LEGAL_INFERENCE: dict[str, tuple[Inference, ...]] = {"group": ("single", "rerank"), "joint": ("joint",)}
"""What may follow each `MGDMConfig.context` of training; the first is the default. A discriminator that was trained
on groups has never seen all classes in one sequence, and one that was trained on whole batches never a single text."""


@torch.no_grad()
def predict(
    model: MGDM,
    frame_features: Tensor,
    text_features: Tensor,
    batch_size: int = 64,
    *,
    inference: Inference | None = None,
    k: int = 0,
) -> Tensor:
    """Logits of every video for every class at inference, where every class is a positive.

    Args:
        frame_features: (N, T, D); text_features: (C, D).
        inference: what a class shares a sequence with in eq. 17; None takes the default after the training.
            `single`: nothing, each class is its own group of one. `joint`: all other classes.
            `rerank`: the 1 + k best of `single` become a video's candidates; each heads a group with the others as
            its negatives, as in training, and its own column is its score. The other classes keep their order, below.
        k: negatives in a group of `rerank`.
    Returns:
        (N, C) on the CPU, rows in the order of the videos.
    Raises:
        ValueError: for an inference that does not fit the training.
    """
    inference = check_inference(model.config, inference, k, len(text_features))
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    text_features = text_features.to(device)
    groups = text_features[:, None]  # (C, 1, D)
    parts = []
    for part in frame_features.split(batch_size):
        part = part.to(device)
        logits = model(part, groups).logits[:, :, 0]
        if inference == "rerank":
            logits = _rerank(model, part, text_features, logits, k)
        parts.append(logits.cpu())
    model.train(was_training)
    return torch.cat(parts)


def check_inference(config: MGDMConfig, inference: Inference | None, k: int, classes: int) -> Inference:
    """The inference in force; `ValueError` when it does not fit the training, `k` or the number of classes."""
    legal = LEGAL_INFERENCE[config.context]
    inference = inference or legal[0]
    check_choice("inference", inference, get_args(Inference))
    if inference not in legal:
        raise ValueError(
            f"inference={inference!r} does not fit a model trained with context={config.context!r}; "
            f"choose {' or '.join(map(repr, legal))}"
        )
    if inference == "rerank" and not config.discriminator:
        raise ValueError("inference='rerank' changes nothing with discriminator=False; choose 'single'")
    if inference == "rerank" and not 1 <= k < classes:
        raise ValueError(f"inference='rerank' needs k from 1 to {classes - 1}, one less than the classes, not {k}")
    return inference


def _rerank(model: MGDM, frame_features: Tensor, text_features: Tensor, logits: Tensor, k: int) -> Tensor:
    """(n, C) logits of the single stage -> the same, with the 1 + k best of each video scored in groups."""
    g = 1 + k
    candidates = logits.topk(g).indices  # (n, g), the best first
    order = torch.tensor([[m, *(j for j in range(g) if j != m)] for m in range(g)])  # row m: m heads, others follow
    groups = text_features[candidates[:, order]]  # (n, g, g, D)
    again = torch.cat([model(f[None], own).logits[:, :, 0] for f, own in zip(frame_features, groups, strict=True)])
    below = logits - logits.max(dim=1, keepdim=True).values + again.min(dim=1, keepdim=True).values
    return below.scatter(1, candidates, again)
