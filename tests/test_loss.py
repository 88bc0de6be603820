"""Targets and loss by hand, then their properties."""

import math

import pytest
import torch

from mgdmkit import TrainConfig, augmented_negative_loss, augmented_targets

LABELS = torch.tensor([0, 1])
TEXTS = torch.tensor([[0, 2], [1, 0]])  # the second video's negative is the first video's label
# Video 0 has two positives of the four columns (its own, and the other's negative); video 1 has one.
LOGITS = torch.tensor([[[2.0, 1.0], [0.0, 1.0]], [[0.0, 1.0], [3.0, 1.0]]])


def test_targets_mark_every_column_of_the_class():
    assert augmented_targets(LABELS, TEXTS).tolist() == [[1, 0, 0, 1], [0, 0, 1, 0]]


def test_targets_of_two_videos_of_one_class():
    texts = torch.tensor([[4, 1, 2], [4, 2, 3]])
    assert augmented_targets(torch.tensor([4, 4]), texts).tolist() == [[1, 0, 0, 1, 0, 0]] * 2


def log_sum_exp(*xs):
    return math.log(sum(math.exp(x) for x in xs))


def test_loss_of_two_videos_by_hand():
    # Video to text. Row 0: Q = (1/2, 0, 0, 1/2), logits (2, 1, 0, 1). Row 1: Q = (0, 0, 1, 0), (0, 1, 3, 1).
    row0 = math.log(0.5) - (0.5 * 2 + 0.5 * 1 - log_sum_exp(2, 1, 0, 1))
    row1 = -(3 - log_sum_exp(0, 1, 3, 1))
    # Text to video. Columns (2, 0), (0, 3), (1, 1) have one video each; column 1 is empty and dropped.
    columns = -(2 - log_sum_exp(2, 0)) - (3 - log_sum_exp(0, 3)) - (1 - log_sum_exp(1, 1))
    expected = ((row0 + row1) / 2 + columns / 3) / 2
    loss = augmented_negative_loss(LOGITS, augmented_targets(LABELS, TEXTS))
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_uniform_empty_column_by_hand():
    targets = augmented_targets(LABELS, TEXTS)
    drop = augmented_negative_loss(LOGITS, targets, t2v_mean="all")
    uniform = augmented_negative_loss(LOGITS, targets, empty_columns="uniform")
    # The empty column has logits (1, 1): its P is uniform too, so its KL is 0 and only the count differs.
    assert uniform.item() == pytest.approx(drop.item(), rel=1e-6)
    tilted = LOGITS.clone()
    tilted[0, 0, 1] = 4.0  # now (4, 1) against (1/2, 1/2)
    difference = augmented_negative_loss(tilted, targets, empty_columns="uniform") - augmented_negative_loss(
        tilted, targets, t2v_mean="all"
    )
    kl = math.log(0.5) - (0.5 * 4 + 0.5 * 1 - log_sum_exp(4, 1))
    assert difference.item() == pytest.approx(kl / 4 / 2, rel=1e-5)


def test_mask_hides_the_other_videos_negatives_only():
    targets = augmented_targets(LABELS, TEXTS)
    masked = augmented_negative_loss(LOGITS, targets, empty_columns="mask")
    # Row 0 keeps column 3: it is a negative of video 1, but a positive of video 0. Row 1 loses column 1.
    row0 = math.log(0.5) - (0.5 * 2 + 0.5 * 1 - log_sum_exp(2, 1, 0, 1))
    row1 = -(3 - log_sum_exp(0, 3, 1))
    columns = -(2 - log_sum_exp(2, 0)) - (3 - log_sum_exp(0, 3)) - (1 - log_sum_exp(1, 1))
    assert masked.item() == pytest.approx(((row0 + row1) / 2 + columns / 3) / 2, rel=1e-6)


def test_softmax10_weight_of_a_single_positive():
    # One positive among n columns gets e^10 / (e^10 + n - 1); with a one-hot P the KL shows that weight.
    b, g = 32, 8
    labels, texts = torch.arange(b), torch.arange(b * g).view(b, g)
    texts[:, 0], texts[:, 1:] = labels, texts[:, 1:] + b * g
    logits = torch.zeros(b, b, g, dtype=torch.float64)
    weight = math.exp(10) / (math.exp(10) + b * g - 1)
    assert round(weight, 4) == 0.9886
    rest = (1 - weight) / (b * g - 1)
    v2t = weight * math.log(weight) + (b * g - 1) * rest * math.log(rest) + math.log(b * g)
    column = math.exp(10) / (math.exp(10) + b - 1)
    other = (1 - column) / (b - 1)
    t2v = column * math.log(column) + (b - 1) * other * math.log(other) + math.log(b)
    loss = augmented_negative_loss(logits, augmented_targets(labels, texts), target="softmax10")
    assert loss.item() == pytest.approx((v2t + t2v) / 2, rel=1e-5)


@pytest.mark.parametrize("k", [0, 1, 3, 7])
def test_closed_form_of_identical_features(k):
    b, g = 5, 1 + k
    texts = torch.arange(100, 100 + b * g).view(b, g)
    texts[:, 0] = torch.arange(b)
    targets = augmented_targets(torch.arange(b), texts)
    loss = augmented_negative_loss(torch.full((b, b, g), 3.7), targets)
    assert loss.item() == pytest.approx((math.log(b * g) + math.log(b)) / 2, rel=1e-6)


@pytest.mark.parametrize("empty_columns", TrainConfig.choices()["empty_columns"])
@pytest.mark.parametrize("target", TrainConfig.choices()["target"])
def test_order_of_videos_and_of_negatives_does_not_matter(target, empty_columns):
    generator = torch.Generator().manual_seed(3)
    labels = torch.tensor([0, 1, 1, 4])
    texts = torch.tensor([[0, 1, 2], [1, 3, 0], [1, 0, 5], [4, 2, 3]])
    logits = 5 * torch.randn(4, 4, 3, generator=generator)
    options = {"target": target, "empty_columns": empty_columns}
    loss = augmented_negative_loss(logits, augmented_targets(labels, texts), **options)

    videos = torch.tensor([2, 0, 3, 1])
    permuted = augmented_targets(labels[videos], texts[videos])
    again = augmented_negative_loss(logits[videos][:, videos], permuted, **options)
    assert again.item() == pytest.approx(loss.item(), rel=1e-6)

    members = torch.tensor([0, 2, 1])
    again = augmented_negative_loss(logits[:, :, members], augmented_targets(labels, texts[:, members]), **options)
    assert again.item() == pytest.approx(loss.item(), rel=1e-6)


def test_negatives_push_against_their_text_but_not_the_literal_column_term():
    logits = LOGITS.clone().requires_grad_()
    augmented_negative_loss(logits, augmented_targets(LABELS, TEXTS)).backward()
    assert logits.grad[0, 0, 1] > 0, "a hard negative must be pushed down"
    assert logits.grad[0, 0, 0] < 0, "the positive must be pulled up"


def test_half_precision_logits_give_a_full_precision_loss():
    targets = augmented_targets(LABELS, TEXTS)
    assert augmented_negative_loss(LOGITS.bfloat16(), targets).dtype == torch.float32
    assert augmented_negative_loss(LOGITS.double(), targets).dtype == torch.float64


def test_errors_name_the_cause():
    targets = augmented_targets(LABELS, TEXTS)
    with pytest.raises(ValueError, match=r"target='wrong'.*'normalized'"):
        augmented_negative_loss(LOGITS, targets, target="wrong")
    with pytest.raises(ValueError, match="empty_columns"):
        augmented_negative_loss(LOGITS, targets, empty_columns="keep")
    with pytest.raises(ValueError, match="t2v_mean"):
        augmented_negative_loss(LOGITS, targets, t2v_mean="some")
    with pytest.raises(ValueError, match=r"targets must be \(2, 4\)"):
        augmented_negative_loss(LOGITS, targets[:, :3])
    with pytest.raises(ValueError, match="no video of the batch"):
        augmented_negative_loss(LOGITS, torch.zeros(2, 4))
    with pytest.raises(ValueError, match="one group per video"):
        augmented_negative_loss(LOGITS[:1], targets[:1], empty_columns="mask")
    with pytest.raises(ValueError, match="video_labels"):
        augmented_targets(LABELS, TEXTS.flatten())
