"""The model and the loss against the literal transcription of their equations: logits, loss and every gradient."""

import dataclasses
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mgdmkit import MGDM, MGDMConfig, augmented_negative_loss, augmented_targets, reference

# Cosines of random features differ more than CLIP's: at a temperature of 0.01 one frame would take all attention.
SOFT = {"attention_temperature": 0.5, "logit_scale": 100.0}
TINY = MGDMConfig(dim=8, frames=3, temporal_layers=2, semantic_layers=1, heads=2, mlp_ratio=2, **SOFT)


def build(config=TINY, seed=0, scale=5.0):
    """A float64 model away from its initialisation, whose zero biases would hide mistakes."""
    torch.manual_seed(seed)
    model = MGDM(config).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
        model.logit_scale.fill_(math.log(scale))  # at 100, random features leave P one-hot and most gradients 0
    return model


def features(config, b, texts, seed=1):
    """Random frames, and one embedding per class, so that one label always has one text."""
    generator = torch.Generator().manual_seed(seed)
    frames = torch.randn(b, config.frames, config.dim, generator=generator, dtype=torch.float64)
    corpus = torch.randn(int(texts.max()) + 1, config.dim, generator=generator, dtype=torch.float64)
    return frames, corpus[texts]


def batch(b, k):
    """Labels with the first one twice; the second group mined the first label, which is positive for two videos."""
    labels = torch.arange(b)
    labels[-1] = labels[0]
    texts = torch.stack([(label + torch.arange(1 + k)) % (b + k) for label in labels])
    if k:
        texts[1, 1] = labels[0]
    return labels, texts


def gradients(loss, leaves):
    found = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    return {name: g if g is not None else torch.zeros_like(leaves[name]) for name, g in zip(leaves, found, strict=True)}


def kit(model, frames, text_features, labels, texts, **options):
    """(logits, loss, gradients with respect to parameters, frames and texts) of MGDM and its loss."""
    frames, text_features = frames.clone().requires_grad_(), text_features.clone().requires_grad_()
    leaves = dict(model.named_parameters()) | {"frames": frames, "texts": text_features}
    logits = model(frames, text_features).logits
    loss = augmented_negative_loss(logits, augmented_targets(labels, texts), **options)
    return logits.detach(), loss.detach(), gradients(loss, leaves)


def literal(model, frames, text_features, labels, texts, **options):
    """The same three from the reference; its logits are (b*g, l*g)."""
    frames, text_features = frames.double().requires_grad_(), text_features.double().requires_grad_()
    weights = {name: p.detach().double().requires_grad_() for name, p in model.named_parameters()}
    sims = reference.similarities(weights, model.config, frames, text_features)
    loss = reference.loss(sims, reference.targets(labels, texts), texts.shape[1], **options)
    return sims.detach(), loss.detach(), gradients(loss, weights | {"frames": frames, "texts": text_features})


def assert_agree(ours, theirs, tolerance):
    """Every tensor within `tolerance` of the reference, relative to its largest entry (to 1e-3 at least)."""
    (logits, loss, grads), (sims, literal_loss, literal_grads) = ours, theirs
    b, _, g = logits.shape
    pairs = {"logits": (logits.flatten(1).repeat_interleave(g, 0), sims), "loss": (loss, literal_loss)}
    assert grads.keys() == literal_grads.keys()
    pairs |= {name: (grads[name], literal_grads[name]) for name in grads}
    errors = {name: float((a - c).abs().max() / c.abs().max().clamp(min=1e-3)) for name, (a, c) in pairs.items()}
    assert {name: error for name, error in errors.items() if not error <= tolerance} == {}
    assert len(sims) == b * g


SHAPES = {
    "k=0": (3, 0, TINY),
    "k=1": (4, 1, TINY),
    "k=3": (3, 3, TINY),
    "k=7": (2, 7, TINY),
    "two videos of one class": (2, 1, TINY),
    "heads of 64, as in CLIP": (2, 1, MGDMConfig(dim=128, frames=2, temporal_layers=1, semantic_layers=1, **SOFT)),
    "one frame, deep": (
        3,
        1,
        MGDMConfig(dim=6, frames=1, temporal_layers=4, semantic_layers=3, heads=3, temperatures="fixed"),
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_logits_loss_and_all_gradients_agree_in_float64(shape):
    b, k, config = SHAPES[shape]
    labels, texts = batch(b, k)
    model, data = build(config), (*features(config, b, texts), labels, texts)
    ours = kit(model, *data)
    assert_agree(ours, literal(model, *data), 1e-9)
    alive = [name for name, grad in ours[2].items() if grad.abs().max() > 1e-9]
    assert len(alive) == len(ours[2]), "a gradient that is zero proves nothing"
    if config.frames > 1:
        largest = model(*data[:2]).attention.amax(-1)
        assert largest.median() < 0.9, "attention to one frame alone proves nothing"


def assert_agree_in_float32(model, frames, text_features, labels, texts):
    """Every gradient's error is under 1e-4 of its norm; the reference gets the same float32 numbers."""
    data = (frames.float(), text_features.float(), labels, texts)
    logits, loss, grads = kit(model.float(), *data)
    assert logits.dtype == loss.dtype == torch.float32
    sims, literal_loss, literal_grads = literal(model, *data)
    for name, expected in literal_grads.items():
        error = (grads[name] - expected).norm() / expected.norm()
        assert error < 1e-4, f"gradient of {name}: {error:.1e}"
    logits = logits.flatten(1).repeat_interleave(texts.shape[1], 0).double()
    torch.testing.assert_close(logits, sims, rtol=1e-4, atol=1e-4)
    assert loss.item() == pytest.approx(literal_loss.item(), rel=1e-4)


@pytest.mark.parametrize("k", [0, 1, 3, 7])
def test_float32_stays_within_1e_4_of_the_reference(k):
    labels, texts = batch(3, k)
    assert_agree_in_float32(build(), *features(TINY, 3, texts), labels, texts)


def test_the_temperatures_of_the_paper_agree_in_both_precisions():
    """0.01 over the frames and a scale of 100, on features that lie close together, as CLIP's do."""
    labels, texts = batch(3, 1)
    config = dataclasses.replace(TINY, dim=64, attention_temperature=0.01)
    model, (frames, text_features) = build(config, scale=100.0), features(config, 3, texts)
    common = frames[0, 0]
    data = (common + 0.3 * frames, common + 0.3 * text_features, labels, texts)
    assert model(*data[:2]).attention.amax(-1).median() < 0.95
    assert_agree(kit(model, *data), literal(model, *data), 1e-9)
    assert_agree_in_float32(model, *data)


def test_all_classes_at_inference_agree():
    """b != l, k = 0, and a video whose class has no text."""
    labels, texts = torch.tensor([4, 0, 9]), torch.arange(5)[:, None]
    model, data = build(), (*features(TINY, 3, texts), labels, texts)
    assert_agree(kit(model, *data), literal(model, *data), 1e-9)


def test_repeated_rows_are_equal_and_their_number_does_not_matter():
    """The reference's loss on one copy of each row: what the small form computes, reached from the literal one."""
    labels, texts = batch(3, 3)
    sims = reference.similarities(build().state_dict(), TINY, *features(TINY, 3, texts))
    Q = reference.targets(labels, texts)
    assert sims.shape == Q.shape == (12, 12)
    torch.testing.assert_close(sims, sims[::4].repeat_interleave(4, 0), rtol=0, atol=0)
    for options in ({}, {"target": "softmax10", "empty_columns": "uniform", "t2v_mean": "all"}):
        small = reference.loss(sims[::4], Q[::4], 4, **options)
        assert small.item() == pytest.approx(reference.loss(sims, Q, 4, **options).item(), abs=1e-12)


@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(st.data())
def test_any_small_batch_agrees(data):
    b, l, g = (data.draw(st.integers(1, 3), label=name) for name in "blg")
    width = st.sampled_from([(4, 1), (4, 2), (6, 3), (8, 4)])
    dim, heads = data.draw(width, label="dim, heads")
    frames, semantic, temporal = (data.draw(st.integers(1, 3)) for _ in range(3))
    rest = {"mlp_ratio": st.integers(1, 4), "attention_temperature": st.sampled_from([0.01, 0.5])}
    rest = {name: data.draw(values, label=name) for name, values in rest.items()}
    config = MGDMConfig(dim, frames, temporal, semantic, heads, logit_scale=100.0, **rest)
    label = st.integers(0, 3)
    labels = torch.tensor(data.draw(st.lists(label, min_size=b, max_size=b), label="labels"))
    texts = torch.tensor(data.draw(st.lists(label, min_size=l * g, max_size=l * g), label="texts")).view(l, g)
    seed = data.draw(st.integers(0, 99), label="seed")
    model, batch = build(config, seed), (*features(config, b, texts, seed), labels, texts)
    if not torch.isin(labels, texts).any():
        for form in (kit, literal):
            with pytest.raises(ValueError, match="no video of the batch has a text of its own class"):
                form(model, *batch)
        return
    assert_agree(kit(model, *batch), literal(model, *batch), 1e-9)


@pytest.mark.parametrize("k", [0, 1, 3])
def test_identical_features_give_the_closed_form_through_the_whole_model(k):
    """No feature tells anything apart: P is uniform, and KL is log(b(1+k)) and log b."""
    b, g = 3, 1 + k
    texts = torch.arange(100, 100 + b * g).view(b, g)
    texts[:, 0] = labels = torch.arange(b)
    frames, text_features = features(TINY, 1, torch.zeros(1, 1, dtype=torch.long))
    data = (frames.expand(b, -1, -1), text_features.expand(b, g, -1), labels, texts)
    expected = (math.log(b * g) + math.log(b)) / 2
    for form in (kit, literal):
        assert form(build(), *data)[1].item() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("target", ["normalized", "softmax10"])
def test_videos_and_texts_may_swap_roles_at_k_0(target):
    labels, texts = torch.tensor([2, 0, 2]), torch.tensor([2, 1, 0, 0])[:, None]
    logits = build()(*features(TINY, 3, texts)).logits.detach()  # (3, 4, 1)
    loss = augmented_negative_loss(logits, augmented_targets(labels, texts), target=target)
    swapped = augmented_targets(texts[:, 0], labels[:, None])
    again = augmented_negative_loss(logits.transpose(0, 1), swapped, target=target)
    assert again.item() == pytest.approx(loss.item(), abs=1e-12)
    sims, Q = logits.flatten(1), reference.targets(labels, texts)
    for rows, q in ((sims, Q), (sims.T, reference.targets(texts[:, 0], labels[:, None]))):
        assert reference.loss(rows, q, 1, target=target).item() == pytest.approx(loss.item(), abs=1e-12)


@pytest.mark.parametrize("form", [kit, literal])
def test_the_order_of_videos_does_not_matter(form):
    labels, texts = batch(4, 1)
    frames, text_features = features(TINY, 4, texts)
    _, loss, grads = form(build(), frames, text_features, labels, texts)
    order = torch.tensor([2, 0, 3, 1])
    _, again, moved = form(build(), frames[order], text_features[order], labels[order], texts[order])
    assert again.item() == pytest.approx(loss.item(), abs=1e-10)
    for name, grad in grads.items():
        expected = grad[order] if name in ("frames", "texts") else grad
        torch.testing.assert_close(moved[name], expected, rtol=1e-8, atol=1e-10, msg=name)


@pytest.mark.parametrize("form", [kit, literal])
def test_the_order_of_negatives_does_not_matter_but_the_positive_is_not_one_of_them(form):
    labels, texts = batch(2, 3)
    frames, text_features = features(TINY, 2, texts)
    _, loss, grads = form(build(), frames, text_features, labels, texts)
    order = torch.tensor([0, 3, 1, 2])
    _, again, moved = form(build(), frames, text_features[:, order], labels, texts[:, order])
    assert again.item() == pytest.approx(loss.item(), abs=1e-10)
    for name, grad in grads.items():
        torch.testing.assert_close(
            moved[name], grad[:, order] if name == "texts" else grad, rtol=1e-8, atol=1e-10, msg=name
        )
    order = torch.tensor([1, 0, 2, 3])  # now a negative guides the attention
    other = form(build(), frames, text_features[:, order], labels, texts[:, order])
    assert abs(other[1] - loss) > 1e-3
