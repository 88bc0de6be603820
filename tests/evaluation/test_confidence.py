"""Calibration and margins on logits whose answer is known by hand."""

import math

import pytest
import torch

from mgdmkit.evaluation.confidence import calibration, true_margins


def test_confidence_against_accuracy_by_hand():
    # Two classes: log-odds of 0.9 for class 0, four videos, three of them right; and one of 0.6 that is wrong.
    logits = torch.tensor([[math.log(9.0), 0.0]] * 4 + [[math.log(1.5), 0.0]])
    labels = torch.tensor([0, 0, 0, 1, 1])
    found = calibration(logits, labels, bins=10)
    assert found.nll == pytest.approx(-(3 * math.log(0.9) + math.log(0.1) + math.log(0.4)) / 5, rel=1e-6)
    assert found.ece == pytest.approx((4 * abs(0.75 - 0.9) + abs(0 - 0.6)) / 5, rel=1e-5)
    assert found.bins[:, 0].sum() == 5 and found.bins[:, 1].isnan().sum() == 8


def test_a_method_that_is_always_right_and_sure():
    found = calibration(50 * torch.eye(4), torch.arange(4))
    assert found.nll < 1e-20 and found.ece < 1e-20 and found.bins[-1].tolist() == pytest.approx([4, 1, 1])


def test_margins_are_cosines_and_signed():
    logits = torch.tensor([[30.0, 20.0, 10.0], [30.0, 20.0, 10.0]])
    assert true_margins(logits, torch.tensor([0, 2]), 100.0).tolist() == pytest.approx([0.1, -0.2])
