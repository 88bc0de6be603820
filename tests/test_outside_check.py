"""MGDM against a published head: the video concept spotting of BIKE (Wu et al., CVPR 2023), written from its formula.

For a sentence j: s_t = softmax over frames of cosine(frame_t, text_j) / 0.01, the video is the sum of s_t times the
normalised frames, and the score its dot product with the normalised sentence. The representer is that head on f^d of
eq. 14, where every text guides its own attention and nothing comes after.
"""

import pytest
import torch
from torch import nn

from mgdmkit import MGDM, MGDMConfig

READINGS = {"discriminator": False, "similarity": "dot_text_normalized", "frame_positions": False}


class UnitFrames(nn.Module):
    """Blocks after which f + blocks(f) has length 1, since the head sums frames of that length."""

    def __init__(self, blocks):
        super().__init__()
        self.blocks = blocks

    def forward(self, f):
        f_d = f + self.blocks(f)
        return f_d / f_d.norm(dim=-1, keepdim=True) - f


def spotting_head(frames, sentences):
    """Frames (b, T, D) and sentence embeddings (l, D) -> scores (b, l)."""
    frames = frames / frames.norm(dim=-1, keepdim=True)
    sentences = sentences / sentences.norm(dim=-1, keepdim=True)
    saliency = torch.softmax(frames @ sentences.T / 0.01, dim=1)  # (b, T, l)
    videos = saliency.transpose(1, 2) @ frames  # (b, l, D)
    return (videos * sentences).sum(-1)


def setting(**readings):
    """A float64 model, frames and texts, all near one direction as CLIP's are: no frame takes all the attention."""
    torch.manual_seed(0)
    readings = READINGS | readings
    config = MGDMConfig(dim=16, frames=5, temporal_layers=2, heads=2, logit_scale=20.0, **readings)
    config = config.for_backbone(16, 100.0)  # its attention takes the published temperature, 0.01
    model = MGDM(config).double()
    model.representer.blocks = UnitFrames(model.representer.blocks)
    common = torch.randn(16, dtype=torch.float64)
    frames = 3 * (common + 0.05 * torch.randn(4, 5, 16, dtype=torch.float64))
    texts = common + 0.2 * torch.randn(6, 1, 16, dtype=torch.float64)
    return model, frames.requires_grad_(), texts.requires_grad_()


@pytest.mark.parametrize("guide", ["each", "positive"])  # at k = 0 a text is the positive of its group
def test_scores_and_gradients_are_those_of_the_published_head(guide):
    model, frames, texts = setting(guide=guide)
    out = model(frames, texts)
    f_d = frames + model.representer.blocks.blocks(frames)
    scores = model.logit_scale.exp().detach() * spotting_head(f_d, texts[:, 0])
    torch.testing.assert_close(out.logits[:, :, 0], scores, rtol=1e-10, atol=1e-10)
    assert 0.3 < out.attention.max() < 0.999, "one frame alone, or all alike, would not test the attention"

    pull = torch.linspace(-1, 1, scores.numel(), dtype=torch.float64).view_as(scores)  # any loss would do
    leaves = (texts, frames, *model.representer.parameters())
    ours = torch.autograd.grad((out.logits[:, :, 0] * pull).sum(), leaves)
    theirs = torch.autograd.grad((scores * pull).sum(), leaves)
    for grad, expected in zip(ours, theirs, strict=True):
        assert expected.abs().max() > 1e-6
        torch.testing.assert_close(grad, expected, rtol=1e-8, atol=1e-8 * float(expected.abs().max()))


@pytest.mark.parametrize("reading", [{"similarity": "cosine"}, {"attention": "dot"}])
def test_another_reading_is_another_head(reading):
    model, frames, texts = setting(guide="each", **reading)
    scores = spotting_head(frames + model.representer.blocks.blocks(frames), texts[:, 0])
    assert (model(frames, texts).logits[:, :, 0] - 20 * scores).abs().max() > 1e-3
