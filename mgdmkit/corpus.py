"""Labels: how a class name becomes the sentence that CLIP reads, and the corpus of labels that is mined (2.2).

A corpus is one label list or the union of several. Labels of the same words are one label there: UCF101, HMDB51 and
Kinetics-400 have 552 rows and 530 labels. What says the same in other words ("golf", "golf driving") can't be told by
a rule: `near_duplicates` flags it, a person decides in a CSV, and mining obeys (`read_exclusions`, `locate`).
"""

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from mgdmkit.config import write_text_atomic

PROMPT = "This is a video about {}"
"""The paper's prompt sentence."""

# Between a lower-case letter or digit and a capital, and before the last capital of an acronym: "TVShow" -> "TV Show".
_WORD_BREAK = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def label_text(name: str) -> str:
    """A folder's name as lower-case words: "ApplyEyeMakeup" -> "apply eye makeup", "brush_hair" -> "brush hair".

    CLIP's tokenizer would break the unsplit name into fragments that mean nothing.
    """
    return " ".join(_WORD_BREAK.sub(" ", name.replace("_", " ")).lower().split())


def normalise(label: str) -> str:
    """The form in which two labels are compared: without case, spaces and punctuation ("pull ups" as "PullUps")."""
    return words(label).replace(" ", "")


def words(label: str) -> str:
    """The words of a label, without case and punctuation: "Yo-Yo" and "YoYo" as "yo yo", but "yoyo" is another."""
    plain = label_text(unicodedata.normalize("NFKC", label)).casefold()
    # Letters, digits, and marks, which are the vowels of some scripts.
    kept = (character if unicodedata.category(character)[0] in "LNM" else " " for character in plain)
    return " ".join("".join(kept).split())


def prompts(labels: Iterable[str], template: str = PROMPT) -> list[str]:
    """The sentences around the labels; `ValueError` unless the template has exactly one `{}`."""
    if template.count("{}") != 1:
        raise ValueError(f"the prompt {template!r} must hold {{}} exactly once, where the label goes")
    return [template.replace("{}", label) for label in labels]


class Corpus(NamedTuple):
    """n labels, no two of the same words, and where each comes from."""

    labels: tuple[str, ...]
    sources: tuple[tuple[str, ...], ...]
    """n tuples of dataset names."""


def label_list(labels: Iterable[str], source: str) -> Corpus:
    """The corpus of one label list."""
    labels = tuple(labels)
    return union(Corpus(labels, ((source,),) * len(labels)))


def union(*corpora: Corpus) -> Corpus:
    """All labels in order; of those with the same words the first spelling stays, with the sources of all."""
    spelling: dict[str, str] = {}
    sources: dict[str, dict[str, None]] = {}
    for corpus in corpora:
        for label, of_label in zip(*corpus, strict=True):
            key = words(label) or label  # a label of nothing but signs is compared as it is
            spelling.setdefault(key, label)
            sources.setdefault(key, {}).update(dict.fromkeys(of_label))
    return Corpus(tuple(spelling.values()), tuple(map(tuple, sources.values())))


def write_corpus(path: Path, corpus: Corpus) -> Path:
    """Write a CSV of the columns label and sources (joined by `;`)."""
    rows = zip(corpus.labels, (";".join(of_label) for of_label in corpus.sources), strict=True)
    return _write_csv(path, ("label", "sources"), rows)


def read_corpus(path: Path) -> Corpus:
    """A CSV with a column label (and sources, if it has them), or a text file with a label on each line.

    Raises:
        FileNotFoundError, ValueError: naming the file and what it lacks.
    """
    if path.suffix.lower() == ".csv":
        rows = [row for _, row in _read_csv(path, ("label",), "make it with `mgdm corpus`")]
    else:
        rows = [{"label": line.strip()} for line in _read_text(path, "make it with `mgdm corpus`").splitlines()]
    rows = [row for row in rows if row["label"]]
    if not rows:
        raise ValueError(f"{path} holds no label; write one on each line, or make a corpus with `mgdm corpus`")
    sources = (tuple(filter(None, row.get("sources", "").split(";"))) or (path.stem,) for row in rows)
    return union(Corpus(tuple(row["label"] for row in rows), tuple(sources)))


def mining_corpus(classes: Sequence[str], labels: Iterable[str]) -> tuple[str, ...]:
    """The n labels to mine: the C classes in their order (indices 0..C-1), then what else the labels offer.

    A label that spells a class, whatever its case, spaces and punctuation, is that class and is not added: it would be
    mined as a false negative of it.
    """
    own = {normalise(name) or name for name in classes}
    return (*classes, *(label for label in dict.fromkeys(labels) if (normalise(label) or label) not in own))


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
    cosine = unit @ unit.T  # (n, n)
    spelling: dict[str, int] = {}
    group = torch.tensor([spelling.setdefault(normalise(label) or label, len(spelling)) for label in labels])
    listed = ((cosine >= threshold) | (group[:, None] == group)).triu(diagonal=1)
    pairs = listed.nonzero()
    values = cosine[pairs[:, 0], pairs[:, 1]]
    order = values.argsort(descending=True, stable=True)[:top].tolist()
    return [NearPair(labels[pairs[i, 0]], labels[pairs[i, 1]], values[i].item()) for i in order]


def write_near(path: Path, pairs: Iterable[NearPair]) -> Path:
    """Write a CSV to decide in: `exclude` is empty until a person writes yes or no; see `keep_decisions`."""
    keep_decisions(path)
    rows = ((pair.label_a, pair.label_b, f"{pair.similarity:.4f}", "") for pair in pairs)
    return _write_csv(path, ("label_a", "label_b", "similarity", "exclude"), rows)


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


def read_exclusions(*paths: Path) -> list[Exclusion]:
    """The rows with exclude = yes of CSVs with the columns label_a, label_b, exclude, and id for a single clip.

    An empty `exclude` is undecided, an empty `id` means every clip; other columns are for people.

    Raises:
        FileNotFoundError, ValueError: naming the file and the line, also where two lines contradict each other.
    """
    decided: dict[tuple[frozenset[str], str], tuple[str, str]] = {}
    found = []
    for path in paths:
        for line, row in _read_csv(path, ("label_a", "label_b", "exclude"), "make it with `mgdm near`"):
            answer, where = row["exclude"].lower(), f"{path}, line {line}"
            if answer not in ("yes", "no", ""):
                raise ValueError(f"{where}: exclude is {row['exclude']!r}; write yes, no or nothing")
            if not answer:
                continue
            exclusion = Exclusion(row["label_a"], row["label_b"], row.get("id", ""), where)
            key = frozenset(map(normalise, exclusion[:2])), exclusion.clip
            before, place = decided.setdefault(key, (answer, where))
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
        clips, clip_labels: N ids, and the true label of each.
    Raises:
        ValueError: for a clip whose own label is neither of the two.
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


def _read_text(path: Path, cure: str) -> str:
    if not path.is_file():
        raise FileNotFoundError(f"no file at {path}; {cure}")
    try:
        return path.read_text(encoding="utf-8-sig")  # spreadsheets begin a file with a mark
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text ({error.reason}); save it as UTF-8") from error


def _read_csv(path: Path, columns: Sequence[str], cure: str) -> list[tuple[int, dict[str, str]]]:
    """Line number and stripped cells of each row; `ValueError` when a column is missing."""
    reader = csv.DictReader(io.StringIO(_read_text(path, cure), newline=""), restval="")
    held = reader.fieldnames or []
    if missing := [name for name in columns if name not in held]:
        raise ValueError(f"{path} lacks the column {missing[0]!r}; its first line, split at commas, is {list(held)}")
    return [(reader.line_num, {name: row[name].strip() for name in held}) for row in reader]


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> Path:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text_atomic(path, text.getvalue())
    return path
