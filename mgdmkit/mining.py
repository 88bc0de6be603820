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

from mgdmkit.config import check_choice
from mgdmkit.files import keep_text

HEADER = ["video", "label", "positive_rank", "positive_score"]  # of the CSV, before the negatives
CLIP = "clip_fingerprint"  # the column behind them: which CLIP they are of
EASIEST_OF = 9  # "3 (bot)" of the paper are the last three of the nine hardest: ranks 7-9


class Negatives(NamedTuple):
    """The mined negatives of N videos, hardest first."""

    indices: Tensor
    """(N, depth) label indices; never the video's own label, never one twice."""
    scores: Tensor
    """(N, depth) softmax over the whole corpus (eq. 10-11), falling from left to right."""
    positive_rank: Tensor
    """(N,) rank of the true label among all labels, counted from 0: 0 means that CLIP is right."""
    positive_score: Tensor
    """(N,) softmax of the true label over the whole corpus."""


def video_embedding(frame_features: Tensor) -> Tensor:
    """(N, T, D) frame embeddings -> (N, D) unit vectors: the mean of the unit frames, normalised again."""
    return F.normalize(F.normalize(frame_features, dim=-1).mean(dim=1), dim=-1)


def zero_shot_logits(features: Tensor, text_features: Tensor, logit_scale: float = 100.0) -> Tensor:
    """Frozen CLIP's scores: (N, T, D) frames or (N, D) videos, (n, D) texts -> (N, n) scaled cosines."""
    videos = video_embedding(features) if features.ndim == 3 else F.normalize(features, dim=-1)
    return logit_scale * videos @ F.normalize(text_features, dim=-1).T


@torch.no_grad()
def mine_negatives(
    features: Tensor,
    text_features: Tensor,
    labels: Tensor,
    depth: int,
    *,
    logit_scale: float = 100.0,
    exclude: Sequence[tuple[int, int]] = (),
    exclude_for_video: Sequence[tuple[int, int]] = (),
    names: Sequence[str] | None = None,
    rows: slice | None = None,
    chunk_size: int = 1024,
) -> Negatives:
    """Rank the corpus for every video, drop the true label, keep the `depth` best of the rest (eq. 10-12).

    Equal scores are ordered by label index, so the result does not depend on the machine. No more than `chunk_size`
    videos are looked at together: memory grows with chunk_size x (n + T x D), not with N x n.

    Args:
        features: (N, T, D) frame embeddings, or (N, D) video embeddings; need not be normalised. A chunk is moved to
            the device and type of the texts, so the whole may lie on disk (anything with slices, a shape, a length).
        text_features: (n, D) embeddings of the corpus' prompt sentences.
        labels: (N,) index of each video's true label in the corpus.
        depth: negatives to keep per video, at most n - 1.
        logit_scale: CLIP's 1/tau; it shapes the scores, not their order.
        exclude: pairs of label indices that say the same: neither is mined for a video of the other. They keep their
            share of the softmax, as the true label does.
        exclude_for_video: pairs (video, label): the label is not mined for this one video.
        names: what an error calls the videos; their numbers when not given.
        rows: mine these videos alone, from `rows.start` to before `rows.stop`; all of them when not given.
        chunk_size: videos per step; it does not change the result.
    Raises:
        ValueError: when the depth goes beyond what the corpus or the exclusions leave to a video, an index lies
            outside, the shapes do not agree, or a video's scores are not finite.
    """
    n, N = len(text_features), len(labels)
    _check(features, text_features, labels, depth)
    pairs, of_videos = _indices(exclude, (n, n)), _indices(exclude_for_video, (N, n))
    pairs = torch.cat([pairs, pairs.flip(1)])  # few: a table of n x n would be 10 GB with 100,000 labels
    first, end = (rows.start, rows.stop) if rows else (0, N)
    chunks = [slice(i, min(i + chunk_size, end)) for i in range(first, max(end, first + 1), chunk_size)]

    def barred(chunk: slice) -> Tensor:
        """(chunk, n) True where a label is not mined for a video: its own, what says the same, what was excluded."""
        own = labels[chunk].cpu()
        found = torch.zeros(len(own), n, dtype=torch.bool).scatter(1, own[:, None], True)
        row, pair = (own[:, None] == pairs[:, 0]).nonzero(as_tuple=True)
        found[row, pairs[pair, 1]] = True
        here = of_videos[(of_videos[:, 0] >= chunk.start) & (of_videos[:, 0] < chunk.stop)]
        found[here[:, 0] - chunk.start, here[:, 1]] = True
        return found

    def video(number: int) -> str:
        return names[number] if names else f"number {number}"

    for chunk in chunks:  # before anything is computed
        left = (~barred(chunk)).sum(dim=1)
        if len(short := (left < depth).nonzero()):
            i = int(short[0])
            raise ValueError(
                f"depth={depth}: the exclusions leave {left[i]} of {n} labels to the video {video(chunk.start + i)}; "
                f"mine with depth={left[i]} or less, exclude fewer labels, or take a larger corpus"
            )
    parts = []
    for chunk in chunks:
        logits = zero_shot_logits(features[chunk].to(text_features), text_features, logit_scale)
        if len(bad := (~logits.isfinite().all(dim=1)).nonzero()):
            raise ValueError(
                f"the scores of the video {video(chunk.start + int(bad[0]))} are not finite (NaN or infinity): its "
                f"features or the texts' are not; make them again with `mgdm features`"
            )
        parts.append(_rank(logits, labels[chunk], barred(chunk), depth))
    return Negatives(*(torch.cat(part) for part in zip(*parts, strict=True)))


def _check(features: Tensor, text_features: Tensor, labels: Tensor, depth: int) -> None:
    n, N = len(text_features), len(labels)
    if not 0 < depth < n:
        raise ValueError(f"depth={depth}: a corpus of {n} labels offers 1 to {n - 1} negatives per video")
    if len(features) != N or features.shape[-1] != text_features.shape[-1]:
        raise ValueError(
            f"features {tuple(features.shape)}, labels {tuple(labels.shape)} and text_features "
            f"{tuple(text_features.shape)} do not agree"
        )
    if N and not 0 <= int(labels.min()) <= int(labels.max()) < n:
        raise ValueError(f"labels must lie in 0..{n - 1}, the corpus; they span {labels.min()}..{labels.max()}")


def _indices(pairs: Sequence[tuple[int, int]], shape: tuple[int, int]) -> Tensor:
    """(P, 2) indices into a table of this shape."""
    indices = torch.as_tensor(pairs, dtype=torch.long).view(-1, 2)
    if outside := [pair for pair in indices.tolist() if not (0 <= pair[0] < shape[0] and 0 <= pair[1] < shape[1])]:
        raise ValueError(f"the exclusion {tuple(outside[0])} lies outside {shape}")
    return indices


def _rank(logits: Tensor, labels: Tensor, barred: Tensor, depth: int) -> Negatives:
    own = labels[:, None].to(logits.device)
    order = logits.argsort(dim=1, descending=True, stable=True)  # stable: ties by label index
    positive_rank = (order == own).int().argmax(dim=1)
    allowed = ~barred.to(order.device).gather(1, order)
    place = allowed.int().cumsum(dim=1)  # 1, 2, 3 .. along the allowed ones
    others = order[allowed & (place <= depth)].view(len(order), depth)
    scores = logits.softmax(dim=1)
    found = others, scores.gather(1, others), positive_rank, scores.gather(1, own)[:, 0]
    return Negatives(*(part.to(labels.device) for part in found))


def select(negatives: Negatives, k: int, which: Literal["top", "bot"] = "top") -> Tensor:
    """(N, k) label indices: the k hardest, or the easy end of the nine hardest (k = 3: ranks 7-9)."""
    check_choice("which", which, ("top", "bot"))
    depth = negatives.indices.shape[1]
    end = EASIEST_OF if which == "bot" else k
    if not 0 <= k <= end <= depth:
        raise ValueError(f"k={k} ({which}) needs negatives mined to depth {max(end, k)}, but there are {depth}")
    return negatives.indices[:, end - k : end]


def adaptive(negatives: Negatives, k: int, margin: float) -> Tensor:
    """(N, k) label indices: of the k hardest those that come close to the positive, then -1 where none is left.

    Close: CLIP holds the positive to be at most e^margin times as likely, log(positive) - log(negative) <= margin.
    Beyond the paper, which takes the same k for a video that CLIP is sure of as for one that it confuses with many.
    """
    hardest = select(negatives, k)
    gap = negatives.positive_score[:, None].log() - negatives.scores[:, :k].log()
    return hardest.masked_fill(gap > margin, -1)


def random_negatives(labels: Tensor, num_labels: int, k: int, generator: torch.Generator) -> Tensor:
    """(N, k) other labels drawn evenly, without repeats: the control that tells *hard* from merely *more*."""
    if not 0 <= k < num_labels:
        raise ValueError(f"k={k}: a corpus of {num_labels} labels offers at most {num_labels - 1} negatives")
    noise = torch.rand(len(labels), num_labels, generator=generator)
    noise[torch.arange(len(labels)), labels] = -1  # the true label always comes last
    return noise.argsort(dim=1, descending=True)[:, :k]


def save_negatives(
    path: Path,
    negatives: Negatives,
    video_ids: Sequence[str],
    labels: Tensor,
    label_names: Sequence[str],
    clip_fingerprint: str | None = None,
) -> Path:
    """Write a CSV to read and to edit, unless it is there and the very same.

    Video, label, its rank and score, then `label:score`, hardest first; then the CLIP.
    """
    depth, of_clip = negatives.indices.shape[1], [clip_fingerprint] if clip_fingerprint else []
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*HEADER, *(f"negative_{j}" for j in range(1, depth + 1)), *([CLIP] if of_clip else [])])
    for i, video in enumerate(video_ids):
        pairs = zip(negatives.indices[i].tolist(), negatives.scores[i].tolist(), strict=True)
        cells = [f"{label_names[j]}:{score:.6g}" for j, score in pairs]
        own = [label_names[labels[i]], int(negatives.positive_rank[i]), f"{negatives.positive_score[i]:.6g}"]
        writer.writerow([video, *own, *cells, *of_clip])
    keep_text(path, text.getvalue())
    return path


def load_negatives(
    path: Path,
    video_ids: Sequence[str],
    label_names: Sequence[str],
    labels: Tensor | None = None,
    clip_fingerprint: str | None = None,
) -> Negatives:
    """Read `save_negatives`' CSV for the given videos, in their order; labels are found by name.

    Args:
        label_names: the n labels of the corpus; the indices that come back are places in it.
        labels: (N,) each video's true label: checked against the file, and never among its negatives.
        clip_fingerprint: the CLIP in use: what another one found hard means nothing to it.
    Raises:
        FileNotFoundError, ValueError: naming the file, and the videos, labels or CLIP that do not agree with it.
    """
    by_video = _read(path)
    if missing := [video for video in video_ids if video not in by_video]:
        raise ValueError(f"{path} lacks {len(missing)} videos, first {missing[0]!r}; {_again(path)}")
    index = {name: j for j, name in enumerate(label_names)}
    own = [None] * len(video_ids) if labels is None else [label_names[label] for label in labels.tolist()]
    rows = [by_video[video] for video in video_ids]
    for video, row, label in zip(video_ids, rows, own, strict=True):
        if unknown := [name for name in row.names if name not in index]:
            raise ValueError(f"{path}: {unknown[0]!r}, a negative of {video!r}, is not a label of this corpus")
        if label is not None and row.label != label:
            raise ValueError(f"{path}: {video!r} is {row.label!r} there and {label!r} here; {_again(path)}")
        if clip_fingerprint and row.clip not in ("", clip_fingerprint):
            raise ValueError(
                f"{path} was mined with another CLIP ({row.clip}) than the one in use ({clip_fingerprint}); "
                f"{_again(path)}, where FEATURES are this one's"
            )
        if label in row.names or len(set(row.names)) < len(row.names):
            raise ValueError(f"{path}: the negatives of {video!r} hold its own label or one label twice: {row.names}")
    indices = [[index[name] for name in row.names] for row in rows]
    columns = indices, [row.scores for row in rows], [row.rank for row in rows], [row.score for row in rows]
    return Negatives(*map(torch.tensor, columns))


def _again(path: Path) -> str:
    return f"mine again with `mgdm mine --features FEATURES --out {path}`"


def negative_names(path: Path) -> list[str]:
    """The names of all negatives in `save_negatives`' CSV, sorted; errors as for `load_negatives`."""
    return sorted({name for row in _read(path).values() for name in row.names})


class _Row(NamedTuple):
    label: str
    rank: int
    score: float
    names: list[str]
    scores: list[float]
    clip: str
    """Fingerprint of the CLIP that mined them; "" where the file does not tell."""


def _read(path: Path) -> dict[str, _Row]:
    """The rows by their video."""
    if not path.is_file():
        raise FileNotFoundError(
            f"no mined negatives at {path}; make them with `mgdm mine --features FEATURES --out {path}`"
        )
    again = _again(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:  # a spreadsheet begins a file with a mark
            header, *lines = list(csv.reader(file, strict=True)) or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is not a CSV in UTF-8 ({error}); {again}") from error
    if header[: len(HEADER)] != HEADER:
        raise ValueError(f"{path} is not a table of negatives: it should begin with {','.join(HEADER)}; {again}")
    rows: dict[str, _Row] = {}
    for number, cells in enumerate(lines, start=2):
        try:
            if cells and rows.setdefault(cells[0], row := _row(cells, header)) is not row:
                raise ValueError(f"{cells[0]!r} stands in more than one row")
        except ValueError as error:
            raise ValueError(f"{path}, line {number} is damaged ({error}); mend it, or {again}") from error
    return rows


def _row(cells: list[str], header: list[str]) -> _Row:
    if len(cells) != len(header):
        raise ValueError(f"{len(cells)} cells, where the header has {len(header)}")
    _, label, rank, score, *negatives = cells
    clip = negatives.pop() if header[-1] == CLIP else ""
    if bare := [cell for cell in negatives if ":" not in cell]:
        raise ValueError(f"{bare[0]!r} is not label:score")
    pairs = [cell.rsplit(":", 1) for cell in negatives]
    scores = [_share(value) for _, value in pairs]
    if int(rank) < 0:
        raise ValueError(f"the rank {rank} is negative")
    return _Row(label, int(rank), _share(score), [name for name, _ in pairs], scores, clip)


def _share(score: str) -> float:
    if not 0 <= float(score) <= 1:  # nor NaN
        raise ValueError(f"the score {score!r} is not between 0 and 1")
    return float(score)
