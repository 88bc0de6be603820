"""Checks of the exercises of `05_train`."""

from collections.abc import Sequence

import torch

from mgdmkit.experiments import Prepared, Trained
from mgdmkit.runs import read_run


def exercise1(answer: Sequence[int]) -> None:
    columns = [int(number) for number in answer]
    assert len(columns) == 2, "Two numbers are asked for: one for k = 0, one for k = 7."
    assert columns[0] == 32, "With k = 0 every clip brings one text. How many does the batch have?"
    assert columns[1] == 32 * 8, "With k = 7 every clip brings a whole group: its own label, and its negatives."


def exercise2(answer: Sequence[float], steps: int, first: torch.Tensor) -> None:
    norms = torch.tensor([float(norm) for norm in answer])
    assert len(norms) == steps, f"One norm per step, so {steps}, not {len(norms)}."
    assert torch.isclose(norms[0], first.float(), rtol=0.01), (
        "The first norm should be that of section 1. Did you start from `new_model(small, seed=0)` and a new optimiser?"
    )
    assert len(set(norms.tolist())) > 1, "All norms are the same: keep the norm of every step, not one of them."


def exercise3(answer: Sequence[float], right: Sequence[float]) -> None:
    losses = [float(loss) for loss in answer]
    assert len(losses) == len(right), f"One loss per epoch, so {len(right)}, not {len(losses)}."
    assert losses[0] != right[0], "These are the losses with `zero_grad`; without it the gradients add up."
    assert losses[-1] > right[-1], "It has learned more than the right one: did you start from new weights?"
    assert all(loss < 3 * other for loss, other in zip(losses, right, strict=True)), (
        "So high a loss does not come from `zero_grad` alone. Keep the mean over the clips of each epoch, and the rest."
    )


def exercise4(answer: Trained, prepared: Prepared) -> None:
    trained = read_run(answer.folder)["train"]
    assert trained["k"] == 3, f"This run has k = {trained['k']}."
    assert trained["negatives"] == "bot", f"This run has the negatives {trained['negatives']!r}."
    assert answer.scores.top1.n == len(prepared.videos("test")), "It was scored on another split than the test clips."
