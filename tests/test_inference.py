"""Which texts share a sequence at inference, by small cases."""

from dataclasses import replace

import pytest
import torch

from mgdmkit import MGDM, MGDMConfig
from mgdmkit.inference import predict

TINY = MGDMConfig(dim=8, frames=3, temporal_layers=1, semantic_layers=1, heads=2, temperatures="fixed")


def build(**changes):
    torch.manual_seed(0)
    return MGDM(replace(TINY, **changes)).double().eval()


def features(N=7, C=5):
    generator = torch.Generator().manual_seed(1)
    frames = torch.randn(N, 3, 8, generator=generator, dtype=torch.double)
    return frames, torch.randn(C, 8, generator=generator, dtype=torch.double)


def test_prediction_covers_each_video_once_whatever_the_batch():
    torch.manual_seed(0)
    model = (
        MGDM(MGDMConfig(dim=8, frames=3, temporal_layers=1, semantic_layers=1, heads=2, temperatures="fixed"))
        .double()
        .train()
    )
    frames, texts = torch.randn(7, 3, 8).double(), torch.randn(5, 8).double()
    whole = predict(model, frames, texts, batch_size=7)
    assert whole.shape == (7, 5) and model.training
    torch.testing.assert_close(predict(model, frames, texts, batch_size=3), whole)
    torch.testing.assert_close(predict(model, frames.flip(0), texts, batch_size=2), whole.flip(0))
    # Each class is alone in its group, so a class does not change another's score.
    torch.testing.assert_close(predict(model, frames, texts[:2]), whole[:, :2])


def test_joint_is_one_sequence_of_all_classes():
    frames, texts = features()
    model = build(context="joint")
    joint = predict(model, frames, texts)
    torch.testing.assert_close(joint, model(frames, texts[:, None]).logits[:, :, 0])
    assert not torch.allclose(predict(model, frames, texts[:2]), joint[:, :2]), "the other classes are seen"


def test_rerank_by_hand():
    frames, texts = features()
    model = build()
    single, reranked = predict(model, frames, texts), predict(model, frames, texts, inference="rerank", k=2)
    for i, row in enumerate(single):
        best = row.argsort(descending=True).tolist()
        for head in best[:3]:
            group = texts[[head, *(c for c in best[:3] if c != head)]]
            expected = model(frames[i : i + 1], group[None]).logits[0, 0, 0]
            torch.testing.assert_close(reranked[i, head], expected)
        assert reranked[i, best[3:]].max() < reranked[i, best[:3]].min(), "the others stay below"
        assert reranked[i, best[3:]].argsort(descending=True).tolist() == [0, 1], "in their order"


def test_rerank_does_not_depend_on_the_batch():
    frames, texts = features()
    one, many = (predict(build(), frames, texts, size, inference="rerank", k=3) for size in (1, 7))
    torch.testing.assert_close(one, many)


@pytest.mark.parametrize(
    ("changes", "inference", "k", "message"),
    [
        ({"context": "joint"}, "single", 0, "does not fit a model trained with context='joint'; choose 'joint'"),
        ({"context": "joint"}, "rerank", 3, "does not fit"),
        ({}, "joint", 0, "does not fit a model trained with context='group'; choose 'single' or 'rerank'"),
        ({}, "both", 0, "is not an option"),
        ({}, "rerank", 0, "needs k from 1 to 4"),
        ({}, "rerank", 5, "needs k from 1 to 4"),
        ({"discriminator": False}, "rerank", 3, "changes nothing with discriminator=False"),
    ],
)
def test_pairs_that_do_not_fit_are_refused(changes, inference, k, message):
    with pytest.raises(ValueError, match=message):
        predict(build(**changes), *features(), inference=inference, k=k)
