"""Mining augmented negatives: the labels that frozen CLIP most confuses with a video's own (eq. 10-12).

A miner returns indices and knows neither the model nor the loss. It runs once, offline, to a depth of
at least 9, so that every k of the paper comes from one pass.
"""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mgdmkit.config import check_choice, write_text_atomic

EASIEST_OF = 9  # "3 (bot)" of the paper are the last three of the nine hardest: ranks 7-9


class Negatives(NamedTuple):
    """The mined negatives of N videos, hardest first."""

    indices: Tensor
    """(N, depth) label indices; never the video's own label, never one twice."""
    scores: Tensor
    """(N, depth) softmax over the whole corpus (eq. 10-11), falling from left to right."""
    positive_rank: Tensor
    """(N,) rank of the true label among all labels, counted from 0: 0 means that CLIP is right."""


def video_embedding(frame_features: Tensor) -> Tensor:
    """(N, T, D) frame embeddings -> (N, D) unit vectors: the mean of the unit frames, normalised again."""
    return F.normalize(F.normalize(frame_features, dim=-1).mean(dim=1), dim=-1)


def zero_shot_logits(features: Tensor, text_features: Tensor, logit_scale: float = 100.0) -> Tensor:
    """Frozen CLIP's scores: (N, T, D) frames or (N, D) videos, (n, D) texts -> (N, n) scaled cosines."""
    videos = video_embedding(features) if features.ndim == 3 else F.normalize(features, dim=-1)
    return logit_scale * videos @ F.normalize(text_features, dim=-1).T


@torch.no_grad()
def mine_negatives(
    features: Tensor, text_features: Tensor, labels: Tensor, depth: int, *, logit_scale: float = 100.0
) -> Negatives:
    """Rank the corpus for every video, drop the true label, keep the `depth` best of the rest (eq. 10-12).

    Equal scores are ordered by label index, so the result does not depend on the machine.

    Args:
        features: (N, T, D) frame embeddings, or (N, D) video embeddings; need not be normalised.
        text_features: (n, D) embeddings of the corpus' prompt sentences.
        labels: (N,) index of each video's true label in the corpus.
        depth: negatives to keep per video, at most n - 1.
        logit_scale: CLIP's 1/tau; it shapes the scores, not their order.
    Raises:
        ValueError: when the depth goes beyond the corpus or the shapes do not agree.
    """
    n = len(text_features)
    if not 0 < depth < n:
        raise ValueError(f"depth={depth}: a corpus of {n} labels offers 1 to {n - 1} negatives per video")
    if len(features) != len(labels) or features.shape[-1] != text_features.shape[-1]:
        raise ValueError(
            f"features {tuple(features.shape)}, labels {tuple(labels.shape)} and text_features "
            f"{tuple(text_features.shape)} do not agree"
        )
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < n:
        raise ValueError(f"labels must lie in 0..{n - 1}, the corpus; they span {labels.min()}..{labels.max()}")
    parts = [
        _rank(zero_shot_logits(chunk, text_features, logit_scale), chunk_labels, depth)
        for chunk, chunk_labels in zip(features.split(4096), labels.split(4096), strict=True)
    ]
    return Negatives(*(torch.cat(part) for part in zip(*parts, strict=True)))


def _rank(logits: Tensor, labels: Tensor, depth: int) -> Negatives:
    order = logits.argsort(dim=1, descending=True, stable=True)  # stable: ties by label index
    is_positive = order == labels[:, None]
    positive_rank = is_positive.int().argmax(dim=1)
    others = order[~is_positive].view(len(order), -1)[:, :depth]
    return Negatives(others, logits.softmax(dim=1).gather(1, others), positive_rank)


def select(negatives: Negatives, k: int, which: Literal["top", "bot"] = "top") -> Tensor:
    """(N, k) label indices: the k hardest, or the easy end of the nine hardest (k = 3: ranks 7-9)."""
    check_choice("which", which, ("top", "bot"))
    depth = negatives.indices.shape[1]
    needed = EASIEST_OF if which == "bot" else k
    if k < 0 or k > needed or needed > depth:
        raise ValueError(f"k={k} ({which}) needs negatives mined to depth {max(needed, k)}, but there are {depth}")
    start = EASIEST_OF - k if which == "bot" else 0
    return negatives.indices[:, start : start + k]


def random_negatives(labels: Tensor, num_labels: int, k: int, generator: torch.Generator) -> Tensor:
    """(N, k) other labels drawn evenly, without repeats: the control that tells *hard* from merely *more*."""
    if not 0 <= k < num_labels:
        raise ValueError(f"k={k}: a corpus of {num_labels} labels offers at most {num_labels - 1} negatives")
    noise = torch.rand(len(labels), num_labels, generator=generator)
    noise[torch.arange(len(labels)), labels] = -1  # the true label always comes last
    return noise.argsort(dim=1, descending=True)[:, :k]


def save_negatives(
    path: Path, negatives: Negatives, video_ids: Sequence[str], labels: Tensor, label_names: Sequence[str]
) -> Path:
    """Write a CSV to read and to edit: video, label, rank of the label, then `label:score`, hardest first."""
    depth = negatives.indices.shape[1]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["video", "label", "positive_rank", *(f"negative_{j}" for j in range(1, depth + 1))])
    for i, video in enumerate(video_ids):
        pairs = zip(negatives.indices[i].tolist(), negatives.scores[i].tolist(), strict=True)
        cells = [f"{label_names[j]}:{score:.6g}" for j, score in pairs]
        writer.writerow([video, label_names[labels[i]], int(negatives.positive_rank[i]), *cells])
    write_text_atomic(path, text.getvalue())
    return path


def load_negatives(path: Path, video_ids: Sequence[str], label_names: Sequence[str]) -> Negatives:
    """Read `save_negatives`' CSV for the given videos, in their order; labels are found by name.

    Raises:
        FileNotFoundError, ValueError: naming the file, and the videos or labels that do not agree with it.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no mined negatives at {path}; make them with `mgdm mine`")
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    by_video = {row[0]: row for row in rows}
    if missing := [video for video in video_ids if video not in by_video]:
        raise ValueError(f"{path} lacks {len(missing)} videos, first {missing[0]!r}; mine again with `mgdm mine`")
    index = {name: j for j, name in enumerate(label_names)}
    indices, scores = [], []
    for video in video_ids:
        cells = [cell.rsplit(":", 1) for cell in by_video[video][3:]]
        if unknown := [cell[0] for cell in cells if cell[0] not in index or len(cell) != 2]:
            raise ValueError(f"{path}: {unknown[0]!r}, a negative of {video!r}, is not a label of this corpus")
        if len(cells) != len(header) - 3:
            raise ValueError(f"{path}: {video!r} has {len(cells)} negatives where the header has {len(header) - 3}")
        indices.append([index[name] for name, _ in cells])
        scores.append([float(score) for _, score in cells])
    ranks = [int(by_video[video][2]) for video in video_ids]
    return Negatives(torch.tensor(indices), torch.tensor(scores), torch.tensor(ranks))
