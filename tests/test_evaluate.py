"""Scores on logits that can be counted by eye."""

import json
import math

import pytest
import torch

from mgdmkit import MGDM, MGDMConfig
from mgdmkit.evaluate import label_rank, predict, score, wilson

LOGITS = torch.tensor([[3.0, 1, 2, 0, 0.5, 0.1], [3, 1, 2, 0, 0.5, 0.1], [0, 5, 1, 2, 3, 4], [0, 5, 1, 2, 3, 4]])


def test_top1_top5_per_class_and_confusion():
    scores = score(LOGITS, torch.tensor([0, 3, 1, 0]))
    assert scores.top1[:1] + scores.top1[3:] == (0.5, 4)
    assert scores.top5.value == 0.5  # ranks 0, 5, 0, 5
    assert scores.per_class[[0, 1, 3]].tolist() == [0.5, 1.0, 0.0]
    assert scores.per_class[[2, 4, 5]].isnan().all()
    assert scores.confusion[0, 0] == 1 and scores.confusion[3, 0] == 1 and scores.confusion[0, 1] == 1
    assert scores.confusion.sum() == 4


def test_ties_never_look_like_skill():
    constant = torch.zeros(10, 6)
    scores = score(constant, torch.zeros(10, dtype=torch.long))
    assert scores.top1.value == 0 and scores.top5.value == 0
    assert label_rank(torch.tensor([[1.0, 1.0, 0.0]]), torch.tensor([0])).tolist() == [1]


def test_diverged_model_is_an_error():
    with pytest.raises(ValueError, match="diverged"):
        score(torch.full((2, 3), math.nan), torch.tensor([0, 1]))


@pytest.mark.parametrize(
    ("correct", "n", "low", "high"),
    [(8, 10, 0.490, 0.943), (0, 10, 0.0, 0.278), (10, 10, 0.722, 1.0), (1254, 1530, 0.7996, 0.8381)],
)
def test_wilson_against_published_values(correct, n, low, high):
    interval = wilson(correct, n)
    assert interval.low == pytest.approx(low, abs=6e-4) and interval.high == pytest.approx(high, abs=6e-4)
    with pytest.raises(ValueError, match="not a share"):
        wilson(n + 1, n)


def test_prediction_covers_each_video_once_whatever_the_batch():
    torch.manual_seed(0)
    model = MGDM(MGDMConfig(dim=8, frames=3, temporal_layers=1, semantic_layers=1, heads=2)).double().train()
    frames, texts = torch.randn(7, 3, 8).double(), torch.randn(5, 8).double()
    whole = predict(model, frames, texts, batch_size=7)
    assert whole.shape == (7, 5) and model.training
    torch.testing.assert_close(predict(model, frames, texts, batch_size=3), whole)
    torch.testing.assert_close(predict(model, frames.flip(0), texts, batch_size=2), whole.flip(0))
    # Each class is alone in its group, so a class does not change another's score.
    torch.testing.assert_close(predict(model, frames, texts[:2]), whole[:, :2])


def test_json_has_names_and_null_for_missing_classes(tmp_path):
    path = score(LOGITS, torch.tensor([0, 3, 1, 0])).to_json(tmp_path / "s.json", "abcdef")
    values = json.loads(path.read_text())
    assert values["top1"]["n"] == 4 and values["per_class"]["c"] is None and values["per_class"]["b"] == 1.0
