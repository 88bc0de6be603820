"""What the optimiser is given: groups of parameters, and the learning rate of a step."""

import math
from typing import Any

from torch import nn


class Diverged(RuntimeError):
    """A training went to infinity; what it would have written next is not written."""

    def __init__(self, where: str, found: str, lr: float) -> None:
        super().__init__(
            f"the training diverged in {where}: {found}, at a learning rate of {lr:.3g}. Take a smaller learning rate, "
            f"a longer warm-up or, with fp16, another precision; each makes another run: give another --out, or delete "
            f"this one"
        )


def parameter_groups(
    model: nn.Module, weight_decay: float, *, lr_ratio: float = 1.0, positions: tuple[str, ...] = ("frame_positions",)
) -> list[dict[str, Any]]:
    """What trains of a model. Weight decay for matrices; none for biases, norms, positions and the logit scale.

    Args:
        lr_ratio: the learning rate of these parameters, as a share of the schedule's.
        positions: how the names of learned positions end, which are matrices, too.
    """
    decayed, free = [], []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            (free if parameter.ndim < 2 or name.endswith(positions) else decayed).append(parameter)
    both = ((decayed, weight_decay), (free, 0.0))
    return [{"params": params, "weight_decay": decay, "lr_ratio": lr_ratio} for params, decay in both]


def learning_rate(step: int, steps: int, warmup_steps: int, peak: float) -> float:
    """Linear warm-up to `peak`, then a half cosine to 0, for steps 0 .. steps - 1."""
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup_steps) / max(1, steps - warmup_steps)))
