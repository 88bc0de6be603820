"""Labels that are not to be mined for each other: what says the same ("golf", "golf driving") is no negative.

No rule can tell such labels: `near_duplicates` flags them, a person decides in a CSV, and mining obeys
(`read_exclusions`, `locate`).
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from mgdmkit.data.corpus import normalise
from mgdmkit.data.tables import read_rows, write_rows


class NearPair(NamedTuple):
    """Two labels that may say the same."""

    label_a: str
    label_b: str
    similarity: float
    """Cosine of their text embeddings."""


def near_duplicates(
    labels: Sequence[str], text_features: Tensor, *, threshold: float = 0.9, top: int = 200
) -> list[NearPair]:
    """The most similar pairs of labels, most similar first.

    Args:
        text_features: (n, D) text embeddings of the labels; need not be normalised.
        threshold: the least cosine of a pair; pairs that differ in spaces and punctuation only are listed anyhow.
        top: at most so many pairs.
    """
    if len(labels) != len(text_features):
        raise ValueError(f"{len(labels)} labels, but text_features {tuple(text_features.shape)}")
    unit = text_features / text_features.norm(dim=-1, keepdim=True)
    spelling: dict[str, int] = {}
    group = torch.tensor([spelling.setdefault(normalise(label), len(spelling)) for label in labels])
    values, pairs = torch.empty(0), torch.empty(0, 2, dtype=torch.long)
    for rows in torch.arange(len(labels)).split(BLOCK):  # all at once would be 40 GB with 100,000 labels
        cosine = unit[rows] @ unit.T
        listed = ((cosine >= threshold) | (group[rows, None] == group)) & (rows[:, None] < torch.arange(len(labels)))
        a, b = listed.nonzero(as_tuple=True)
        values, pairs = torch.cat([values, cosine[a, b]]), torch.cat([pairs, torch.stack([rows[a], b], dim=1)])
        order = values.argsort(descending=True, stable=True)[:top]
        values, pairs = values[order], pairs[order]
    return [
        NearPair(labels[a], labels[b], value) for (a, b), value in zip(pairs.tolist(), values.tolist(), strict=True)
    ]


BLOCK = 1024
"""Labels that are compared with all others at once."""


def write_near(path: Path, pairs: Iterable[NearPair]) -> Path:
    """Write a CSV to decide in: `exclude` is empty until a person writes yes or no; see `keep_decisions`."""
    keep_decisions(path)
    rows = ((pair.label_a, pair.label_b, f"{pair.similarity:.4f}", "") for pair in pairs)
    return write_rows(path, ("label_a", "label_b", "similarity", "exclude"), rows)


def keep_decisions(path: Path) -> None:
    """`FileExistsError` when the file exists: it may hold decisions, and `mgdm mine` takes several such files."""
    if path.exists():
        raise FileExistsError(f"{path} exists and may hold decisions; give another --out, or delete it")


class Exclusion(NamedTuple):
    """Two labels that are not to be mined for each other."""

    label_a: str
    label_b: str
    clip: str = ""
    """The clip that it holds for; empty for all."""
    where: str = ""
    """File and line, for messages."""

    @property
    def key(self) -> tuple[frozenset[str], str]:
        """Equal where two say the same: the labels in either order, however spelled, and the clip."""
        return frozenset(map(normalise, self[:2])), self.clip


def read_exclusions(*paths: Path) -> list[Exclusion]:
    """The rows with exclude = yes of CSVs with the columns label_a, label_b, exclude, and id for a single clip.

    An empty `exclude` is undecided, an empty `id` means every clip; other columns are for people. Errors name the file
    and the line, also where two lines contradict each other (`ValueError`).
    """
    decided: dict[tuple[frozenset[str], str], tuple[str, str]] = {}
    found = []
    for path in paths:
        cure = f"make it with `mgdm near --corpus CORPUS --clip CLIP --out {path}`"
        for line, row in read_rows(path, ("label_a", "label_b", "exclude"), cure):
            answer, where = row["exclude"].lower(), f"{path}, line {line}"
            if empty := [name for name in ("label_a", "label_b") if not row[name]]:
                raise ValueError(f"{where}: {empty[0]} is empty; write a label, or delete the line")
            if answer not in ("yes", "no", ""):
                raise ValueError(f"{where}: exclude is {row['exclude']!r}; write yes, no or nothing")
            if not answer:
                continue
            exclusion = Exclusion(row["label_a"], row["label_b"], row.get("id", ""), where)
            before, place = decided.setdefault(exclusion.key, (answer, where))
            if before != answer:
                raise ValueError(f"{where} says {answer} to a pair that has {before} in {place}; keep one of them")
            if answer == "yes":
                found.append(exclusion)
    return found


class Excluded(NamedTuple):
    """Exclusions as indices, for `mine_negatives`."""

    pairs: list[tuple[int, int]]
    """Two label indices, for every clip."""
    of_clips: list[tuple[int, int]]
    """Row of a clip, and the label index that is not to be mined for it."""
    unused: list[Exclusion]
    """Those that name a label or a clip that is not there: without effect, so perhaps misspelt."""


def locate(
    exclusions: Iterable[Exclusion], labels: Sequence[str], clips: Sequence[str], clip_labels: Sequence[str]
) -> Excluded:
    """Find the exclusions' labels in a corpus, whatever their case, spaces and punctuation, and their clips by id.

    Args:
        labels: n labels of the corpus.
        clips, clip_labels: N ids, and the true label of each; `ValueError` where this is neither of the two.
    """
    exact = {label: i for i, label in enumerate(labels)}
    loose = {normalise(label): i for i, label in reversed(list(enumerate(labels)))}  # the first one wins: a class
    rows = {clip: row for row, clip in enumerate(clips)}
    found = Excluded([], [], [])
    for exclusion in exclusions:
        a, b = (exact.get(name, loose.get(normalise(name))) for name in exclusion[:2])
        if a is None or b is None or a == b or (exclusion.clip and exclusion.clip not in rows):
            found.unused.append(exclusion)
        elif not exclusion.clip:
            found.pairs.append((a, b))
        else:
            row = rows[exclusion.clip]
            own = exact[clip_labels[row]]
            if own not in (a, b):
                raise ValueError(
                    f"{exclusion.where or 'an exclusion'}: the clip {exclusion.clip!r} is {clip_labels[row]!r}, "
                    f"which is neither {exclusion.label_a!r} nor {exclusion.label_b!r}"
                )
            found.of_clips.append((row, b if own == a else a))
    return found
