"""Adaptive k: groups of different sizes count as if the texts that are absent had never been there."""

import pytest
import torch

from mgdmkit import MGDM, MGDMConfig, Negatives, TrainConfig, augmented_negative_loss, augmented_targets
from mgdmkit.mining import adaptive
from mgdmkit.training.loop import Videos, train

SCORES = torch.tensor([[0.3, 0.1, 0.05], [0.01, 0.009, 0.001]])
MINED = Negatives(
    torch.tensor([[4, 5, 6], [7, 8, 9]]), SCORES, torch.tensor([1, 0]), positive_score=torch.tensor([0.2, 0.9])
)


def test_negatives_within_the_margin_stay():
    # log(0.2 / 0.3) < 0, log(0.2 / 0.1) = 0.69, log(0.2 / 0.05) = 1.39; log(0.9 / 0.01) = 4.5, / 0.009: 4.6.
    assert adaptive(MINED, 3, 1.0).tolist() == [[4, 5, -1], [-1, -1, -1]]
    assert adaptive(MINED, 3, 4.55).tolist() == [[4, 5, 6], [7, -1, -1]]
    assert adaptive(MINED, 1, 1.0).tolist() == [[4], [-1]], "at most k"
    assert adaptive(MINED, 3, 99.0).equal(MINED.indices)


@pytest.mark.parametrize("target", TrainConfig.choices()["target"])
@pytest.mark.parametrize(("empty_columns", "t2v_mean"), [("drop", "nonempty"), ("drop", "all"), ("uniform", "all")])
def test_an_absent_column_counts_nowhere(target, empty_columns, t2v_mean):
    logits = torch.randn(3, 3, 3, generator=torch.Generator().manual_seed(0))
    labels, texts = torch.tensor([0, 1, 0]), torch.tensor([[0, 2, -1], [1, -1, -1], [0, 1, 3]])
    present = texts >= 0
    options = {"target": target, "empty_columns": empty_columns, "t2v_mean": t2v_mean}
    loss = augmented_negative_loss(logits, augmented_targets(labels, texts), absent=~present, **options)
    kept = logits[:, present][:, :, None]  # (b, 6, 1): the same columns as six groups of one
    expected = augmented_negative_loss(kept, augmented_targets(labels, texts[present][:, None]), **options)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)


def test_an_absent_column_has_no_gradient():
    logits = torch.randn(2, 2, 2, requires_grad=True)
    labels, texts = torch.tensor([0, 1]), torch.tensor([[0, 2], [1, -1]])
    loss = augmented_negative_loss(logits, augmented_targets(labels, texts), absent=texts < 0, empty_columns="mask")
    loss.backward()
    assert loss.isfinite() and not logits.grad[:, 1, 1].any() and logits.grad[:, 0, 1].any()


@pytest.mark.parametrize("context", ["group", "joint"])
@pytest.mark.parametrize("guide", ["positive", "each"])
def test_nobody_attends_to_an_absent_text(context, guide):
    torch.manual_seed(0)
    config = MGDMConfig(
        dim=16,
        frames=4,
        heads=2,
        temporal_layers=1,
        semantic_layers=1,
        context=context,
        guide=guide,
        temperatures="fixed",
    )
    model, frames, texts = MGDM(config), torch.randn(2, 4, 16), torch.randn(2, 3, 16)
    absent = torch.tensor([[False, False, True], [False, False, True]])
    whole, other = (
        model(frames, t, absent=absent).logits for t in (texts, texts.clone().index_fill_(1, torch.tensor([2]), 7.0))
    )
    torch.testing.assert_close(whole[:, :, :2], other[:, :, :2])
    torch.testing.assert_close(whole[:, :, :2], model(frames, texts[:, :2]).logits)
    assert not torch.allclose(whole[:, :, :2], model(frames, texts).logits[:, :, :2]), "they were seen before"


def test_training_with_all_negatives_within_the_margin_is_training_with_the_hardest(tmp_path):
    torch.manual_seed(0)
    labels, texts = torch.arange(8) % 4, torch.randn(4, 16)
    videos = Videos(torch.randn(8, 4, 16), labels)
    model = MGDMConfig(dim=16, frames=4, heads=2, temporal_layers=1, semantic_layers=1, temperatures="fixed")
    others = torch.stack([torch.tensor([j for j in range(4) if j != label]) for label in labels])
    mined = Negatives(others, torch.full((8, 3), 0.1), torch.zeros(8, dtype=torch.long), torch.full((8,), 0.5))
    weights = {}
    for name, options in {
        "top": {},
        "all": {"negatives": "adaptive", "margin": 9.0},
        "none": {"negatives": "adaptive", "margin": 0.1},
    }.items():
        config = TrainConfig(k=3, epochs=2, warmup_epochs=0, batch_size=4, lr=1e-2, **options)
        network = train(model, config, videos, texts, tmp_path / name, negatives=mined, quiet=True)
        weights[name] = network.discriminator.blocks.layers[0].linear1.weight
    torch.testing.assert_close(weights["all"], weights["top"])
    alone = train(
        model,
        TrainConfig(k=0, epochs=2, warmup_epochs=0, batch_size=4, lr=1e-2),
        videos,
        texts,
        tmp_path / "0",
        quiet=True,
    )
    torch.testing.assert_close(weights["none"], alone.discriminator.blocks.layers[0].linear1.weight)


def test_a_margin_without_adaptive_negatives_is_refused():
    with pytest.raises(ValueError, match=r"margin=1\.0 has no effect with negatives='top'"):
        TrainConfig(margin=1.0)
