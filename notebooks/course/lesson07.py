"""Answers to the exercises of lesson 07: columns, targets, and the committed table of the readings."""

import math
from collections.abc import Sequence

import pandas as pd
import torch

from mgdmkit import experiments


def exercise1(answer: Sequence[int]) -> None:
    empty, nonempty, everything, uniform = (int(number) for number in answer)
    assert empty != 256 - 31, "Does each label have a video of its class?"
    assert empty == 32 * 7, "A column is empty where no video of the batch has its class: which texts are those?"
    assert nonempty == 32, "`nonempty` counts the columns with a 1."
    assert everything == 256, "`all` counts every text of every group."
    assert uniform == 256, "Under `uniform` an empty column gets a target, too."


def exercise2(answer: float) -> None:
    right = math.exp(10) + 1  # e^10 / (e^10 + n - 1) = 1/2
    assert float(answer) > 2048, "At 2,048 columns it still keeps more than nine tenths (section 2)."
    assert abs(float(answer) - right) < 2, "One e^10 against n - 1 times e^0: when are the two equal?"


def exercise3(answer: float, table: pd.DataFrame) -> None:
    errors = torch.tensor(((table["high"] - table["low"]) / 3.92).to_numpy())
    noise = errors * torch.randn(20_000, len(errors), generator=torch.Generator().manual_seed(0), dtype=torch.double)
    right, largest = noise.max(dim=1).values.mean().item(), noise.abs().max(dim=1).values.mean().item()
    assert float(answer) > 0.1, "The best of many is not their mean."
    assert abs(float(answer) - largest) > 0.15, "This is the largest of either sign. The best row is a gain."
    assert abs(float(answer) - right) < 0.15, (
        "One draw per row, the largest of them; then the mean over many repetitions."
    )


def exercise4(answer: Sequence[float], runs: pd.DataFrame) -> None:
    found, right = list(map(float, answer)), experiments.seed_differences(runs, "k3-top-guide=each", "k3-top")
    assert len(found) == len(right), f"One difference per seed, so {len(right)}."
    apart = [abs(one - other) for one, other in zip(found, right, strict=True)]
    opposite = [abs(one + other) for one, other in zip(found, right, strict=True)]
    assert max(opposite) > 0.06, "`guide=each` minus the default, not the other way round."
    assert max(apart) < 0.06, "Pair by seed: seed 0 of one with seed 0 of the other."
