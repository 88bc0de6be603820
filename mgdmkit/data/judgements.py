"""Mined labels that a person found to be false negatives, kept in a CSV that `mgdm mine --exclude` obeys.

A row says of two classes that they are the same, or of one clip (by its id) that the other label is really in it.
Every change is saved at once, to the file as it is at that moment: other rows and columns in it stay.
"""

import re
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from mgdmkit.data.corpus import normalise, read_rows, write_rows
from mgdmkit.data.exclusions import locate, read_exclusions

COLUMNS = ("label_a", "label_b", "exclude", "id", "note")
Row = dict[str, str]


class _Change(NamedTuple):
    """What happened to one row; None where there was none, or is none any more."""

    before: Row | None
    after: Row | None


class Judgements:
    """The file, and what this session changed in it.

    Args:
        path: the CSV; it need not exist, and may be one that `mgdm near` wrote.
    Raises:
        ValueError: naming the file and the line, where an existing file is no list of exclusions.
    """

    def __init__(self, path: Path | str):
        self.path = Path(path)
        self._changes: list[_Change] = []
        self.exclusions()

    def exclusions(self) -> list:
        """The `Exclusion`s of the file as it is now; none without a file."""
        return read_exclusions(self.path) if self.path.is_file() else []

    def mark(self, label: str, negative: str, clip: str = "", note: str = "") -> None:
        """Save that `negative` is no negative of the clip, or of any clip of `label` where no clip is named.

        `ValueError` where it is marked already, or where the file says no to this pair.
        """
        if _same(label, negative):
            raise ValueError(f"{label!r} is the true label, which is never a negative; choose another label")
        rows, row = self._rows(), dict(zip(COLUMNS, (label, negative, "yes", clip, _one_line(note)), strict=True))
        before = next((held for held in rows if _key(held) == _key(row)), None)
        answer = before["exclude"].lower() if before else ""
        if answer == "yes":
            raise ValueError(f"{negative!r} is marked already for {clip or label!r}")
        if answer == "no":
            raise ValueError(f"{self.path} says no to {label!r} and {negative!r}; change that row first")
        self._change(_Change(before, {**(before or {}), **row}))

    def unmark(self, label: str, negative: str, clip: str = "") -> None:
        """Take the mark of a clip, or else that of the two classes, out of the file; `ValueError` without one."""
        marked = {_key(row): row for row in self._rows() if row["exclude"].lower() == "yes"}
        row = marked.get(_key_of(label, negative, clip)) or marked.get(_key_of(label, negative, ""))
        if row is None:
            raise ValueError(f"{negative!r} is not marked for {clip or label!r}")
        self._change(_Change(row, None))

    def undo(self) -> str:
        """Take the last change of this session back and say which; `ValueError` when there is none."""
        if not self._changes:
            raise ValueError("nothing was marked since this inspector was opened; edit the CSV to change older rows")
        last = self._changes[-1]
        self._replace(last.after, last.before)
        self._changes.pop()
        row = last.after or last.before
        return f"{row['label_b']!r} for {row['id'] or row['label_a']!r}"

    def marked(self, label: str, clip: str) -> dict[str, str]:
        """Negative -> "clip" or "classes": what is marked for a clip of this label, in the spelling of the file."""
        found = {}
        for exclusion in self.exclusions():
            names = exclusion[:2]
            if exclusion.clip in ("", clip) and any(_same(label, name) for name in names):
                other = names[0] if _same(label, names[1]) else names[1]
                found[other] = "clip" if exclusion.clip else "classes"
        return found

    def false_negatives(self, indices: Tensor, labels: Tensor, names: tuple[str, ...], clips: list[str]) -> Tensor:
        """(N, depth) bool: which of the mined negatives are judged false.

        Args:
            indices: (N, depth) mined labels; labels: (N,) true ones; both are indices into `names`.
            clips: N ids.
        """
        n, excluded = len(names), locate(self.exclusions(), names, clips, [names[c] for c in labels.tolist()])
        both = torch.tensor([a * n + b for pair in excluded.pairs for a, b in (pair, pair[::-1])], dtype=torch.long)
        found = torch.isin(labels[:, None] * n + indices, both)
        for row, label in excluded.of_clips:
            found[row] |= indices[row] == label
        return found

    def _change(self, change: _Change) -> None:
        self._replace(change.before, change.after)
        self._changes.append(change)

    def _replace(self, old: Row | None, new: Row | None) -> None:
        rows = self._rows()
        if old is None:
            rows.append(new)
        else:
            at = next((i for i, row in enumerate(rows) if _filled(row) == _filled(old)), None)
            if at is None:
                raise ValueError(f"the row of {old['label_b']!r} in {self.path} was changed meanwhile; mend it there")
            rows[at : at + 1] = [] if new is None else [new]
        header = list(dict.fromkeys([name for row in rows for name in row] + list(COLUMNS)))
        write_rows(self.path, header, [[row.get(name, "") for name in header] for row in rows])

    def _rows(self) -> list[Row]:
        if not self.path.is_file():
            return []
        return [row for _, row in read_rows(self.path, COLUMNS[:3], "it was there a moment ago; mark the label again")]


def _filled(row: Row) -> Row:
    return {name: value for name, value in row.items() if value}


def _key(row: Row) -> tuple:
    return _key_of(row["label_a"], row["label_b"], row.get("id", ""))


def _key_of(a: str, b: str, clip: str) -> tuple:
    return frozenset((_form(a), _form(b))), clip


def _form(label: str) -> str:
    return normalise(label) or label


def _same(a: str, b: str) -> bool:
    return _form(a) == _form(b)


def _one_line(note: str) -> str:
    return re.sub(r"\s+", " ", note).strip()
