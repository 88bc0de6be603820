"""Labels: how a class name becomes the sentence that CLIP reads, and the corpus of labels that is mined (2.2).

A corpus is one label list or the union of several. Labels of the same words are one label there: UCF101, HMDB51 and
Kinetics-400 have 552 rows and 530 labels. What says the same in other words is for `exclusions.py`.
"""

import re
import unicodedata
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from mgdmkit.data.tables import read_rows, read_text, write_rows

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
    """The form in which two labels are compared: without case, spaces and punctuation ("pull ups" as "PullUps").

    A label of nothing but signs stays as it is.
    """
    return words(label).replace(" ", "") or label


def words(label: str) -> str:
    """The words of a label, without case and punctuation: "Yo-Yo" and "YoYo" as "yo yo", but "yoyo" is another."""
    plain = label_text(unicodedata.normalize("NFKC", label)).casefold()
    # Letters, digits, and marks, which are the vowels of some scripts.
    kept = (character if unicodedata.category(character)[0] in "LNM" else " " for character in plain)
    return " ".join("".join(kept).split())


def as_read(label: str) -> str:
    """A label as CLIP reads it: without case, and without the ways to store an accent or to write a blank."""
    return " ".join(unicodedata.normalize("NFKC", label).replace("_", " ").casefold().split())


def alike(labels: Iterable[str], key: Callable[[str], Hashable]) -> list[tuple[str, str]]:
    """The labels that have the key of one before them, each behind that one."""
    first: dict[Hashable, str] = {}
    pairs = ((first.setdefault(key(label), label), label) for label in labels)
    return [(a, b) for a, b in pairs if a != b]


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
    return write_rows(path, ("label", "sources"), rows)


def read_corpus(path: Path) -> Corpus:
    """A CSV with a column label (and sources, if it has them), or a text file with a label on each line.

    `FileNotFoundError` or `ValueError` names the file and what it lacks.
    """
    cure = f"make it with `mgdm corpus --datasets ucf101 --out {path}`"
    if path.suffix.lower() in (".csv", ".tsv"):
        numbered = read_rows(path, ("label",), cure)
        if empty := [line for line, row in numbered if not row["label"]]:
            raise ValueError(f"{path}, line {empty[0]}: the label is empty; write one, or delete the line")
        rows = [row for _, row in numbered]
    else:
        rows = [{"label": line.strip()} for line in read_text(path, cure).splitlines() if line.strip()]
    if not rows:
        raise ValueError(f"{path} holds no label; write one on each line, or make a corpus with `mgdm corpus`")
    sources = (tuple(filter(None, row.get("sources", "").split(";"))) or (path.stem,) for row in rows)
    return union(Corpus(tuple(row["label"] for row in rows), tuple(sources)))


def mining_corpus(classes: Sequence[str], labels: Iterable[str]) -> tuple[str, ...]:
    """The n labels to mine: the C classes in their order (indices 0..C-1), then what else the labels offer.

    A label that spells a class, whatever its case, spaces and punctuation, is that class and is not added: it would be
    mined as a false negative of it.
    """
    own = set(map(normalise, classes))
    return (*classes, *(label for label in dict.fromkeys(labels) if normalise(label) not in own))
