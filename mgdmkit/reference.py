"""The equations of MGDM written out the slow way, for proof and for reading (eq. 4-9 and 13-18).

`model.py` and `loss.py` keep one row for each video and work on whole tensors. Here each video is repeated 1 + k
times as printed, each pair of a row and a column gets its own V, blocks are matrix products from the weights alone,
and all is float64. Tests compare loss and gradients of the two. Where the print cannot be run, or leaves a choice,
the adopted form is used and its docstring says what the print has.

b videos, l groups of g = 1 + k texts, T frames, width D. Row i*g + r is copy r of video i; column j*g + m is text m
of group j, the positive first. `weights` maps the names of a `MGDM` state dict to tensors.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from mgdmkit.config import EmptyColumns, MGDMConfig, T2vMean, Target

Weights = Mapping[str, Tensor]


def frame_blocks(weights: Weights, config: MGDMConfig, f: Tensor) -> Tensor:
    """Eq. 13-14: f^M = block(f^{M-1}) and f^{dM} = f + f^M, for the frames (T, D) of one row.

    Eq. 13 has no frame positions. They are added before the first block, since blocks alone cannot tell one order
    of the frames from another; `frame_positions=False` is the print. The residual adds f without them.
    """
    if not config.representer:
        return f
    x = f
    if config.frame_positions:
        x = f + weights["representer.frame_positions"]
    for layer in range(config.temporal_layers):
        x = block(weights, f"representer.blocks.layers.{layer}", x, config.num_heads)
    return f + x


def attention_over_frames(config: MGDMConfig, f_d: Tensor, w: Tensor) -> Tensor:
    """Eq. 15: V_att = softmax over the T frames of f^{dM} . w, for one row (T, D) and one text (D,) -> (T,).

    The print multiplies plain features (`attention="dot"`). The cosine over a temperature does not depend on how
    long the features are. Without representer every frame weighs 1/T.
    """
    scores = []
    for frame in f_d:
        if not config.representer:
            scores.append(torch.zeros_like(frame[0]))
        elif config.attention == "cosine":
            scores.append(cosine(frame, w) / config.attention_temperature)
        else:
            scores.append(frame @ w)
    return torch.stack(scores).softmax(0)


def video_vector(f_d: Tensor, attention: Tensor) -> Tensor:
    """Eq. 16: V = sum over t of V_att[t] f^{dM}[t], (T, D) and (T,) -> (D,).

    As printed, under every `attention`: eq. 15 may normalise the frames, the sum takes them as they are.
    """
    V = torch.zeros_like(f_d[0])
    for t in range(len(f_d)):
        V = V + attention[t] * f_d[t]
    return V


def discriminate(weights: Weights, config: MGDMConfig, w: Tensor) -> Tensor:
    """Eq. 17-18: the texts (n, D) that see one another through the blocks, plus w again -> E (n, D).

    The print has one head and scales by sqrt(D); adopted are the multi-head pre-LN blocks of CLIP, scaled by the
    root of a head's width. A group is a set, so texts have no positions.
    """
    if not config.discriminator:
        return w
    x = w
    for layer in range(config.semantic_layers):
        x = block(weights, f"discriminator.blocks.layers.{layer}", x, config.num_heads)
    return w + x


def similarities(weights: Weights, config: MGDMConfig, frame_features: Tensor, text_features: Tensor) -> Tensor:
    """Eq. 4: sims, the similarity of every repeated row with every text column, already divided by tau.

    The print has the plain product. Adopted is the cosine, as in CLIP; `similarity="dot_text_normalized"` keeps the
    length of V. The guide of a pair's V is the column's raw positive w^p, or under `guide="each"` the column's text.

    Args:
        frame_features: (b, T, D) of any floating type.
        text_features: (l, g, D); `[:, 0]` are the positives.
    Returns:
        (b*g, l*g) float64, differentiable in the weights and both features.
    """
    weights = {name: value.double() for name, value in weights.items()}
    w = text_features.double()
    l, g, _ = w.shape
    groups = [w.flatten(0, 1)] if config.context == "joint" else list(w)
    E = torch.cat([discriminate(weights, config, group) for group in groups])  # (l*g, D)

    rows = []
    for video in frame_features.double():
        for _copy in range(g):
            f_d = frame_blocks(weights, config, video)
            row = []
            for column in range(l * g):
                j, m = divmod(column, g)
                guide = w[j, m] if config.guide == "each" else w[j, 0]
                V = video_vector(f_d, attention_over_frames(config, f_d, guide))
                row.append(cosine(V, E[column]) if config.similarity == "cosine" else V @ normalised(E[column]))
            rows.append(torch.stack(row))
    return torch.stack(rows) * weights["logit_scale"].exp()


def targets(video_labels: Tensor, text_labels: Tensor) -> Tensor:
    """Eq. 5-6: Q, 1 wherever the column's class is that of the row's video, as printed.

    Args:
        video_labels: (b,) class indices.
        text_labels: (l, g) class indices.
    Returns:
        (b*g, l*g) zeros and ones, float64.
    """
    rows = [label for label in video_labels.tolist() for _copy in range(text_labels.shape[1])]
    columns = text_labels.flatten().tolist()
    return torch.tensor([[float(row == column) for column in columns] for row in rows], dtype=torch.float64)


def log_p_v2t(sims: Tensor, row: int, columns: list[int]) -> Tensor:
    """Eq. 7: log P_v2t of one row over `columns`; the logarithm, since a probability can be too small for a float.

    The print sums over b blocks of (1+k) x (1+k). Taken element by element within a block, a positive would never
    compete with its own negatives, so the softmax runs over single columns.
    """
    s = sims[row, columns]
    return s - s.logsumexp(0)


def log_p_t2v(sims: Tensor, column: int) -> Tensor:
    """Eq. 8: log P_t2v of one column over all b*g rows, eq. 7 on the transposed sims.

    Rows that are repeated g times have 1/g of the probability each.
    """
    s = sims[:, column]
    return s - s.logsumexp(0)


def distribution(q: Tensor, target: str) -> Tensor:
    """The 0/1 entries q (n,) of Q as a distribution; uniform where all are zero.

    Eq. 9 prints Q itself, and KL needs a sum of 1. `normalized` divides by the sum; `softmax10` is softmax(10 q).
    Either gives a row that is repeated g times 1/g in each copy, as eq. 8 does to P, so KL does not change.
    """
    if target == "softmax10" or not q.any():
        return (10 * q).softmax(0)
    return q / q.sum()


def kl(q: Tensor, log_p: Tensor) -> Tensor:
    """KL(Q || P) of one row, a scalar. The print has KL(P, Q), which is infinite wherever a 0/1 target is 0."""
    total = torch.zeros_like(log_p[0])
    for q_j, log_p_j in zip(q, log_p, strict=True):
        if q_j > 0:  # 0 log 0 is 0
            total = total + q_j * (q_j.log() - log_p_j)
    return total


def loss(
    sims: Tensor,
    Q: Tensor,
    g: int,
    *,
    target: Target = "normalized",
    empty_columns: EmptyColumns = "drop",
    t2v_mean: T2vMean = "nonempty",
) -> Tensor:
    """Eq. 9: L = (E[KL video to text] + E[KL text to video]) / 2, a scalar; the options are those of `loss.py`.

    The print takes the mean over all samples; adopted is the mean over those with a target, of which a hard negative
    that no video of the batch shows has none. The repeated rows change neither term under any option: in eq. 7 they
    are g equal rows of a mean, in eq. 8 they divide P and Q alike, and the number of columns is what it was.

    Args:
        sims: (b*g, l*g) from `similarities`.
        Q: (b*g, l*g) from `targets`.
        g: texts per group, and copies per video.
    Raises:
        ValueError: when Q is all zero, or for `mask` unless there is one group per video.
    """
    if not Q.any():
        raise ValueError("no video of the batch has a text of its own class; is the positive text in the groups?")
    if empty_columns == "mask" and sims.shape[0] != sims.shape[1]:
        raise ValueError(f"empty_columns='mask' needs one group per video, but sims is {tuple(sims.shape)}")
    v2t, t2v = [], []
    for row in range(sims.shape[0]):
        if Q[row].any():
            columns = list(range(sims.shape[1]))
            if empty_columns == "mask":
                columns = [column for column in columns if competes(Q, row, column, g)]
            v2t.append(kl(distribution(Q[row, columns], target), log_p_v2t(sims, row, columns)))
    for column in range(sims.shape[1]):
        if Q[:, column].any() or empty_columns == "uniform":
            t2v.append(kl(distribution(Q[:, column], target), log_p_t2v(sims, column)))
    t2v_count = sims.shape[1] if t2v_mean == "all" else len(t2v)
    return (sum(v2t) / len(v2t) + sum(t2v) / t2v_count) / 2


def competes(Q: Tensor, row: int, column: int, g: int) -> bool:
    """Under `mask`: is the column of the row's own group, the positive of another, or of the row's class?"""
    return column // g == row // g or column % g == 0 or bool(Q[row, column])


def block(weights: Weights, name: str, x: Tensor, heads: int) -> Tensor:
    """One pre-LN transformer block (n, D) -> (n, D): x + attention(LN(x)), then x + MLP(LN(x)) with QuickGELU."""
    x = x + self_attention(weights, f"{name}.self_attn", layer_norm(weights, f"{name}.norm1", x), heads)
    hidden = linear(weights, f"{name}.linear1", layer_norm(weights, f"{name}.norm2", x))
    return x + linear(weights, f"{name}.linear2", hidden * torch.sigmoid(1.702 * hidden))


def self_attention(weights: Weights, name: str, x: Tensor, heads: int) -> Tensor:
    """Eq. 17 within each head: a = softmax(q k^T / sqrt(D / heads)), then a v; the heads joined and mapped (n, D)."""
    D = x.shape[1]
    qkv = x @ weights[f"{name}.in_proj_weight"].T + weights[f"{name}.in_proj_bias"]  # (n, 3D): q, k, v in this order
    mixed = []
    for q, k, v in zip(*(part.chunk(heads, 1) for part in qkv.split(D, 1)), strict=True):
        mixed.append((q @ k.T / (D / heads) ** 0.5).softmax(1) @ v)
    return linear(weights, f"{name}.out_proj", torch.cat(mixed, 1))


def layer_norm(weights: Weights, name: str, x: Tensor) -> Tensor:
    """(n, D) -> (n, D), each row with mean 0 and variance 1, then scaled and shifted; 1e-5 as in CLIP."""
    centred = x - x.mean(1, keepdim=True)
    variance = (centred**2).mean(1, keepdim=True)
    return centred / (variance + 1e-5).sqrt() * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def linear(weights: Weights, name: str, x: Tensor) -> Tensor:
    """x W^T + b, (n, in) -> (n, out)."""
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def normalised(x: Tensor) -> Tensor:
    """`x / |x|`, (D,) -> (D,)."""
    return x / (x * x).sum().sqrt()


def cosine(x: Tensor, y: Tensor) -> Tensor:
    """Cosine of two vectors (D,), a scalar."""
    return normalised(x) @ normalised(y)
