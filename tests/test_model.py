"""Shapes, the paper's equations on small cases, and the two switches of Table 7."""

import math

import pytest
import torch
import torch.nn.functional as F

from mgdmkit import MGDM, MGDMConfig, augmented_negative_loss, augmented_targets

TINY = MGDMConfig(dim=8, frames=4, temporal_layers=2, semantic_layers=1, heads=2, temperatures="fixed")


def build(config=TINY, seed=0):
    torch.manual_seed(seed)
    return MGDM(config).double().eval()


def features(b=3, l=2, g=4, config=TINY, seed=1):
    generator = torch.Generator().manual_seed(seed)
    frames = torch.randn(b, config.frames, config.dim, generator=generator, dtype=torch.float64)
    return frames, torch.randn(l, g, config.dim, generator=generator, dtype=torch.float64)


def test_shapes_and_ranges():
    out = build()(*features())
    assert out.logits.shape == (3, 2, 4)
    assert out.video_features.shape == (3, 2, 8)
    assert out.text_features.shape == (2, 4, 8)
    assert out.attention.shape == (3, 2, 4)
    assert out.logits.abs().max() <= 100.001
    torch.testing.assert_close(out.attention.sum(-1), torch.ones(3, 2).double())


def test_defaults_are_the_papers():
    config = MGDMConfig(temperatures="fixed")
    assert (config.dim, config.frames, config.temporal_layers, config.semantic_layers) == (768, 16, 6, 2)
    assert config.num_heads == 12 and config.mlp_ratio == 4
    with torch.device("meta"):
        model = MGDM(config)
    blocks = [p for name, p in model.named_parameters() if "blocks" in name]
    assert sum(p.numel() for p in blocks) == 8 * (12 * 768**2 + 13 * 768)  # 56.7 M, eight blocks of width 768


def test_logits_are_scaled_cosines_of_the_returned_parts():
    out = build()(*features())
    for i, j, m in [(0, 0, 0), (2, 1, 3)]:
        cosine = F.cosine_similarity(out.video_features[i, j], out.text_features[j, m], dim=0)
        assert out.logits[i, j, m].item() == pytest.approx(100 * cosine.item(), abs=1e-4)


def test_attention_is_a_softmax_over_frames_of_the_raw_positives_cosine():
    """Eq. 13-16 on a representer with its blocks taken out: f^d = f + (f + positions)."""
    model = build()
    model.representer.blocks = torch.nn.Identity()
    frames, texts = features()
    out = model(frames, texts)
    f_d = frames + (frames + model.representer.frame_positions)
    cosine = F.cosine_similarity(f_d[1], texts[0, 0][None], dim=-1)
    weights = torch.softmax(cosine / 0.01, dim=0)
    torch.testing.assert_close(out.attention[1, 0], weights)
    torch.testing.assert_close(out.video_features[1, 0], (weights[:, None] * f_d[1]).sum(0))


def test_the_video_side_depends_on_the_positive_text_alone():
    model = build()
    frames, texts = features()
    changed = texts.clone()
    changed[:, 1:] *= -1
    torch.testing.assert_close(model(frames, texts).video_features, model(frames, changed).video_features)
    changed = texts.clone()
    changed[:, 0] = -changed[:, 0]
    assert not torch.allclose(model(frames, texts).video_features, model(frames, changed).video_features)


def test_a_group_is_a_set_and_knows_no_other_group():
    model = build()
    frames, texts = features()
    E = model(frames, texts).text_features
    swapped = model(frames, texts[:, [0, 3, 1, 2]]).text_features
    torch.testing.assert_close(swapped, E[:, [0, 3, 1, 2]])
    torch.testing.assert_close(model(frames, texts[1:]).text_features, E[1:])
    other = texts.clone()
    other[0, 1] *= -1
    assert not torch.allclose(model(frames, other).text_features[0, 0], E[0, 0]), "members must see one another"


def test_frame_order_matters_through_the_positions_only():
    frames, texts = features()
    model = build()
    assert not torch.allclose(model(frames, texts).logits, model(frames.flip(1), texts).logits)
    bag = build(
        MGDMConfig(
            dim=8, frames=4, temporal_layers=2, semantic_layers=1, heads=2, frame_positions=False, temperatures="fixed"
        )
    )
    torch.testing.assert_close(bag(frames, texts).logits, bag(frames.flip(1), texts).logits)


def test_without_representer_the_video_is_the_mean_of_its_frames():
    config = MGDMConfig(dim=8, frames=4, semantic_layers=1, heads=2, representer=False, temperatures="fixed")
    frames, texts = features(config=config)
    out = build(config)(frames, texts)
    torch.testing.assert_close(out.video_features, frames.mean(1)[:, None].expand(3, 2, 8))
    assert (out.attention == 0.25).all()
    assert not any("representer" in name for name, _ in build(config).named_parameters())


def test_without_discriminator_the_texts_stay_raw():
    config = MGDMConfig(dim=8, frames=4, temporal_layers=1, heads=2, discriminator=False, temperatures="fixed")
    frames, texts = features(config=config)
    torch.testing.assert_close(build(config)(frames, texts).text_features, texts)
    assert not any("discriminator" in name for name, _ in build(config).named_parameters())


def test_every_parameter_gets_a_gradient():
    model = build().train()
    texts = torch.tensor([[0, 3, 4, 5], [1, 0, 2, 5], [2, 1, 0, 4]])
    frames, _ = features()
    corpus = features(l=6, g=1)[1][:, 0]
    out = model(frames, corpus[texts])
    augmented_negative_loss(out.logits, augmented_targets(torch.arange(3), texts)).backward()
    dead = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not dead


def test_logit_scale_is_clamped_at_100():
    model = build()
    frames, texts = features()
    before = model(frames, texts).logits
    torch.nn.init.constant_(model.logit_scale, math.log(1e4))
    model.clamp_logit_scale()
    torch.testing.assert_close(model(frames, texts).logits, before)
    torch.nn.init.constant_(model.logit_scale, math.log(50))
    model.clamp_logit_scale()
    torch.testing.assert_close(model(frames, texts).logits, before / 2)


def test_errors_give_the_expected_shapes():
    model = build()
    frames, texts = features()
    with pytest.raises(ValueError, match=r"frame_features must be \(b, 4, 8\), not \(3, 3, 8\)"):
        model(frames[:, :3], texts)
    with pytest.raises(ValueError, match=r"text_features must be \(l, g, 8\)"):
        model(frames, texts[:, 0])
    with pytest.raises(ValueError, match="does not divide into 3 heads"):
        MGDMConfig(dim=8, heads=3)


def test_autocast_rounds_the_modules_and_not_the_comparison():
    model = build().float()
    frames, texts = (part.float() for part in features())
    with torch.autocast("cpu", torch.bfloat16):
        out = model(frames, texts)
        from_half = model(frames.bfloat16(), texts)  # as an image encoder under autocast gives them
    assert out.logits.dtype == from_half.logits.dtype == torch.float32
    cosine = F.cosine_similarity(out.video_features[:, :, None], out.text_features[None], dim=-1)
    torch.testing.assert_close(out.logits, 100 * cosine, rtol=1e-5, atol=1e-4)
    assert not torch.allclose(out.text_features, model(frames, texts).text_features, atol=1e-6), "blocks run in bf16"
