"""MGDM: video representer, semantic discriminator and their similarity (sections 2.3-2.4, eq. 4 and 13-18).

Axes, named once: b videos, T frames, l text groups, g = 1 + k texts per group (the positive first), D width.
The paper repeats each video 1 + k times; the repeated rows are redundant (eq. 4-6 keep the same loss and
gradients without them), so a video keeps one vector per *group*: V is (b, l, D), not (b(1+k), l(1+k), D).
Under the reading guide="each" every text makes its own: V is (b, l, g, D).
"""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgdmkit.config import MGDMConfig


class MGDMOutput(NamedTuple):
    """What one forward pass gives; every part is kept so that analysis needs no hooks."""

    logits: Tensor
    """(b, l, g) similarity of V[i, j] and E[j, m], times `logit_scale`."""
    frame_features: Tensor
    """(b, T, D) f^d of eq. 14: the frames have seen one another."""
    text_features: Tensor
    """(l, g, D) E of eq. 18."""
    attention: Tensor
    """(b, l, T) V_att of eq. 15, which sums to 1 over the frames; (b, l, g, T) if guide="each"."""

    @property
    def video_features(self) -> Tensor:
        """(b, l, D) V of eq. 16: video i as seen by the positive text of group j; (b, l, g, D) if guide="each"."""
        return weighted_frames(self.frame_features, self.attention)


def weighted_frames(f_d: Tensor, attention: Tensor) -> Tensor:
    """V of eq. 16: frames (b, T, D) summed with weights (b, ..., T) -> (b, ..., D)."""
    return torch.einsum("btd,b...t->b...d", f_d, attention)


def quick_gelu(x: Tensor) -> Tensor:
    """The activation of OpenAI's CLIP."""
    return F.silu(1.702 * x) / 1.702


def transformer(dim: int, layers: int, heads: int, mlp_ratio: int) -> nn.TransformerEncoder:
    """`layers` pre-LN blocks without dropout, initialised as in CLIP."""
    block = nn.TransformerEncoderLayer(
        dim, heads, mlp_ratio * dim, dropout=0.0, activation=quick_gelu, batch_first=True, norm_first=True
    )
    blocks = nn.TransformerEncoder(block, layers, enable_nested_tensor=False)
    residual_std = dim**-0.5 * (2 * layers) ** -0.5  # keeps the residual stream's size whatever the depth
    for layer in blocks.layers:
        nn.init.normal_(layer.self_attn.in_proj_weight, std=dim**-0.5)
        nn.init.normal_(layer.self_attn.out_proj.weight, std=residual_std)
        nn.init.normal_(layer.linear1.weight, std=(2 * dim) ** -0.5)
        nn.init.normal_(layer.linear2.weight, std=residual_std)
        for bias in (layer.self_attn.in_proj_bias, layer.linear1.bias, layer.linear2.bias):
            nn.init.zeros_(bias)
    return blocks


def full_precision(device: torch.device) -> AbstractContextManager:
    """No autocast inside: cosines that are divided by 0.01 need more than the three digits of bf16."""
    if torch.amp.is_autocast_available(device.type):
        return torch.autocast(device.type, enabled=False)
    return nullcontext()


class VideoRepresenter(nn.Module):
    """Frames (b, T, D) and guiding texts (..., D) -> V (b, ..., D) and the attention over frames (b, ..., T)."""

    def __init__(self, config: MGDMConfig):
        super().__init__()
        self.cosine, self.temperature = config.attention == "cosine", config.attention_temperature
        if self.cosine:
            config.check_temperatures("attention_temperature")
        self.blocks = transformer(config.dim, config.temporal_layers, config.num_heads, config.mlp_ratio)
        self.frame_positions = nn.Parameter(torch.empty(config.frames, config.dim)) if config.frame_positions else None
        if self.frame_positions is not None:
            nn.init.normal_(self.frame_positions, std=0.01)

    def forward(self, frame_features: Tensor, guides: Tensor) -> tuple[Tensor, Tensor]:
        f_d = self.encode(frame_features)
        attention = self.attend(f_d, guides)
        return weighted_frames(f_d, attention), attention

    def encode(self, frame_features: Tensor) -> Tensor:
        """f (b, T, D) -> f^d (b, T, D): the frames have seen one another (eq. 13-14)."""
        f = frame_features
        x = f if self.frame_positions is None else f + self.frame_positions
        return f + self.blocks(x)  # the residual adds f without its positions

    def attend(self, f_d: Tensor, guides: Tensor) -> Tensor:
        """How much each frame weighs: how well it fits a text (eq. 15)."""
        if self.cosine:
            scores = torch.einsum("btd,...d->b...t", F.normalize(f_d, dim=-1), F.normalize(guides, dim=-1))
            scores = scores / self.temperature
        else:
            scores = torch.einsum("btd,...d->b...t", f_d, guides)
        return torch.softmax(scores, dim=-1)


class MeanOfFrames(nn.Module):
    """Table 7's "without video representer": every text sees the plain mean of the frames."""

    def encode(self, frame_features: Tensor) -> Tensor:
        """The frames as they are."""
        return frame_features

    def attend(self, f_d: Tensor, guides: Tensor) -> Tensor:
        """(b, l, T) the weights, 1/T."""
        b, T, _ = f_d.shape
        return f_d.new_full((b, len(guides), T), 1 / T)


class SemanticDiscriminator(nn.Module):
    """Text groups (l, g, D) -> E (l, g, D): self-attention inside each group, a set, so without positions.

    Under the reading context="joint" the l*g texts are one sequence.
    """

    def __init__(self, config: MGDMConfig):
        super().__init__()
        self.joint = config.context == "joint"
        self.blocks = transformer(config.dim, config.semantic_layers, config.num_heads, config.mlp_ratio)

    def forward(self, text_features: Tensor, absent: Tensor | None = None) -> Tensor:
        """`absent` (l, g) is True where a group has no text; nobody attends to that place."""
        sequences = text_features.flatten(0, 1)[None] if self.joint else text_features  # (1, l*g, D) or (l, g, D)
        if absent is not None and self.joint:
            absent = absent.flatten()[None]
        seen = self.blocks(sequences, src_key_padding_mask=absent)
        return text_features + seen.view_as(text_features)  # eq. 17-18


class RawTexts(nn.Module):
    """Table 7's "without semantic discriminator": CLIP's text embeddings as they are."""

    def forward(self, text_features: Tensor, absent: Tensor | None = None) -> Tensor:
        return text_features


class MGDM(nn.Module):
    """The whole model.

    In training each video brings its own group, l = b; at inference k = 0 and every class is its own group.
    """

    def __init__(self, config: MGDMConfig):
        super().__init__()
        config.check_temperatures("logit_scale")
        self.config = config
        self.representer = VideoRepresenter(config) if config.representer else MeanOfFrames()
        self.discriminator = SemanticDiscriminator(config) if config.discriminator else RawTexts()
        self.logit_scale = nn.Parameter(torch.tensor(math.log(config.logit_scale)))  # the logarithm, as in CLIP

    def forward(
        self,
        frame_features: Tensor,
        text_features: Tensor,
        gather: Callable[[Tensor], Tensor] | None = None,
        absent: Tensor | None = None,
    ) -> MGDMOutput:
        """Similarity of every video with every text (eq. 4).

        Args:
            frame_features: (b, T, D) CLIP image embeddings of the frames, not normalised.
            text_features: (l, g, D) CLIP text embeddings, not normalised; `[:, 0]` are the positives.
            gather: with several processes, joins a tensor's first axis over all of them, so that each process sees
                the similarities of the global batch after having encoded its own videos and groups only.
            absent: (l, g) True where a group has no text, and `text_features` anything finite: adaptive groups differ
                in size. The logits of such columns mean nothing; tell the loss of them, too.
        Raises:
            ValueError: for shapes that do not fit the configuration.
        """
        self._check(frame_features, text_features)
        # w^p of eq. 15 is the raw text embedding, before the discriminator.
        guides = text_features if self.config.guide == "each" else text_features[:, 0]
        f_d = self.representer.encode(frame_features)  # (b, T, D)
        if gather and self.config.context == "joint":
            text_features = gather(text_features)  # one sequence of the texts of all processes
            absent = absent if absent is None else gather(absent.float()).bool()
        E = self.discriminator(text_features, absent)  # (l, g, D)
        if gather:
            f_d, guides = gather(f_d), gather(guides)
            E = E if self.config.context == "joint" else gather(E)
        with full_precision(f_d.device):
            return self.compare(f_d.to(guides.dtype), guides, E.to(guides.dtype))

    def compare(self, f_d: Tensor, guides: Tensor, E: Tensor) -> MGDMOutput:
        """What the two modules made of frames and texts -> attention and logits (eq. 15-16 and 4).

        V = sum_t A_t f_t itself is never made, since b*l vectors of D numbers take most of the memory and time:
        `V . E = sum_t A_t (f_t . E)`, and `|V|^2 = A G A'` with the T x T products G of the video's own frames.
        """
        A = self.representer.attend(f_d, guides)  # (b, l, T), or (b, l, g, T) if each text guides
        frames_and_texts = torch.einsum("btd,lgd->blgt", f_d, F.normalize(E, dim=-1))
        similarity = (A if A.ndim == 4 else A[:, :, None]).mul(frames_and_texts).sum(dim=-1)  # V . E, (b, l, g)
        if self.config.similarity == "cosine":
            G = f_d @ f_d.mT  # (b, T, T)
            squared = torch.einsum("b...t,bts->b...s", A, G).mul(A).sum(dim=-1)  # |V|^2, (b, l) or (b, l, g)
            length = squared.clamp(min=1e-24).sqrt()
            similarity = similarity / (length if A.ndim == 4 else length[:, :, None])  # eq. 4
        logits = similarity * self.logit_scale.exp()  # 1/tau of eq. 7-8
        return MGDMOutput(logits, f_d, E, A)

    @torch.no_grad()
    def clamp_logit_scale(self) -> None:
        """Keep 1/tau at 100 or less; for after an optimiser step, as in CLIP.

        A clamp inside `forward` would cut the gradient of the scale for good once it reached the limit.
        """
        self.logit_scale.clamp_(max=math.log(100))

    def _check(self, frame_features: Tensor, text_features: Tensor) -> None:
        T, D = self.config.frames, self.config.dim
        if frame_features.ndim != 3 or frame_features.shape[1:] != (T, D):
            raise ValueError(f"frame_features must be (b, {T}, {D}), not {tuple(frame_features.shape)}")
        if text_features.ndim != 3 or text_features.shape[-1] != D:
            raise ValueError(f"text_features must be (l, g, {D}), not {tuple(text_features.shape)}")
