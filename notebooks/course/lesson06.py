"""Checks of the exercises of `06_what_a_difference_is_worth`."""

from collections.abc import Sequence

import pandas as pd

from mgdmkit.experiments import seed_differences

VERDICTS = ("shown", "the opposite", "not distinguishable")


def exercise1(answer: Sequence[float]) -> None:
    points, deviations = (float(number) for number in answer)
    assert abs(points - 100 * 20 / 600) < 0.05, "A point is a percent of all test clips, not of those they disagree on."
    assert abs(deviations - 2) < 0.01, "m is the lead, n the number of clips that exactly one gets right."


def exercise2(answer: tuple[float, float, str], story: pd.DataFrame) -> None:
    low, high, verdict = answer
    row = story.set_index(["run", "against"]).loc[("k7-top", "k0")]
    right = row["top5_low"], row["top5_high"]
    assert max(abs(low - right[0]), abs(high - right[1])) < 0.06, "This is not the Top-5 interval of k7-top against k0."
    assert verdict in VERDICTS, f"The verdict is one of {VERDICTS}."
    expected = "shown" if right[1] < 0 else "the opposite" if right[0] > 0 else "not distinguishable"
    assert verdict == expected, "The claim is that the difference lies below 0. On which side of 0 are the two ends?"


def exercise3(answer: float) -> None:
    share = float(answer)
    assert not 0 < share < 1, "A percentage is asked for, not a share."
    assert not 4 < share < 7, "That is the share with one look, at the end. A finding at any look counts."
    assert 15.2 < share < 18, "Is it the mean of the first n seeds, and do you look from n = 2 to 10?"


def exercise4(answer: int, runs: pd.DataFrame) -> None:
    sd = seed_differences(runs, "k3-top", "k0").std()
    assert abs(answer - 1.96 * sd) > 1, "The interval shrinks with the square root of the number of seeds."
    assert abs(answer - (1.96 * sd) ** 2) <= 1, "Solve 1.96 sd/√S = 1 for S; sd is that of the differences."
