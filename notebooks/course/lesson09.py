"""Checks of the exercises of `09_ablate_k`."""

from collections.abc import Sequence

import pandas as pd

from mgdmkit.evaluation import calibration
from mgdmkit.experiments import Prepared, train_and_score

PAIRS = (("k7-top", "k0"), ("k7-random", "k0"), ("k7-top", "k7-random"))


def exercise1(answer: str) -> None:
    word = answer.strip().lower().removeprefix("the ").removeprefix("learning ")
    assert word in ("batch", "rate", "seed", "clips"), "One of the four words is asked for."
    assert word == "rate", "Both see the same clips in the same order from the same seed. What has a schedule?"


def exercise2(answer: Sequence[float], classes: pd.DataFrame) -> None:
    share = classes.pivot(index="label", columns="run", values="top1")
    confusable = classes.groupby("label")["confusable"].first().rank()
    assert len(answer) == 3, "Three numbers are asked for."
    for number, (one, other) in zip(answer, PAIRS, strict=True):
        expected = confusable.corr((share[one] - share[other]).rank())
        assert abs(number - expected) < 0.006, f"{one} minus {other} has another rank correlation with `confusable`."


def exercise3(answer: float) -> None:
    points = float(answer)
    assert points < 50, "Points above 70 are asked for, not the score itself."
    assert not -1 < points < 1.5, "That is the mean of all ten. Keep the best of the ten, and then take the mean."
    assert 3.5 < points < 5.5, "Are there 240 clips for each score, a true share of 0.7, and ten scores in each round?"


def exercise4(answer: float, prepared: Prepared) -> None:
    logits, labels = train_and_score(prepared, 3, split="val", quiet=True).logits, prepared.videos("val").labels
    factor = float(answer)
    assert factor > 0, "A factor of 0 or below turns the order of the labels round."
    found = calibration(factor * logits, labels).nll
    best = min(calibration(0.02 * step * logits, labels).nll for step in range(1, 101))
    assert found < best + 0.01, f"Another factor has a lower nll on the validation clips than {factor:g}."
