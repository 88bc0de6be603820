"""Mined labels that a person found to be false negatives, kept in a CSV that `mgdm mine --exclude` obeys.

A row says of two classes that they are the same, or of one clip (by its id) that the other label is really in it.
Every change is saved at once, to the file as it is at that moment: other rows and columns in it stay.
"""

from pathlib import Path

import torch
from torch import Tensor

from mgdmkit.data.corpus import normalise
from mgdmkit.data.exclusions import Exclusion, locate, read_exclusions
from mgdmkit.data.tables import read_rows, write_rows

COLUMNS = ("label_a", "label_b", "exclude", "id", "note")
Row = dict[str, str]


class Judgements:
    """The file, and what this session changed in it.

    Args:
        path: the CSV; it need not exist, and may be one that `mgdm near` wrote.
    Raises:
        ValueError: naming the file and the line, where an existing file is no list of exclusions.
    """

    def __init__(self, path: Path | str):
        self.path = Path(path)
        # A row before and after each change; empty where there was none, or is none any more.
        self._changes: list[tuple[Row, Row]] = []
        self.exclusions()

    def exclusions(self) -> list[Exclusion]:
        """What the file says now; nothing without a file."""
        return read_exclusions(self.path) if self.path.is_file() else []

    def mark(self, label: str, negative: str, clip: str = "", note: str = "") -> None:
        """Save that `negative` is no negative of the clip, or of any clip of `label` where no clip is named.

        `ValueError` where it is marked already, or where the file says no to this pair.
        """
        if normalise(label) == normalise(negative):
            raise ValueError(f"{label!r} is the true label, which is never a negative; choose another label")
        row = dict(zip(COLUMNS, (label, negative, "yes", clip, " ".join(note.split())), strict=True))
        before = next((held for held in self._rows() if _key(held) == _key(row)), {})
        answer = before.get("exclude", "").lower()
        if answer == "yes":
            raise ValueError(f"{negative!r} is marked already for {clip or label!r}")
        if answer == "no":
            raise ValueError(f"{self.path} says no to {label!r} and {negative!r}; change that row first")
        self._change(before, before | row)

    def unmark(self, label: str, negative: str, clip: str = "") -> None:
        """Take the mark of a clip, or else that of the two classes, out of the file; `ValueError` without one."""
        marked = {_key(row): row for row in self._rows() if row["exclude"].lower() == "yes"}
        of_clip, of_classes = (marked.get(Exclusion(label, negative, own).key) for own in (clip, ""))
        if not (row := of_clip or of_classes):
            raise ValueError(f"{negative!r} is not marked for {clip or label!r}")
        self._change(row, {})

    def undo(self) -> str:
        """Take the last change of this session back and say which; `ValueError` when there is none."""
        if not self._changes:
            raise ValueError("nothing was marked since this inspector was opened; edit the CSV to change older rows")
        before, after = self._changes[-1]
        self._change(after, before)
        del self._changes[-2:]  # it, and its being taken back
        row = after or before
        return f"{row['label_b']!r} for {row.get('id') or row['label_a']!r}"

    def marked(self, label: str, clip: str) -> dict[str, str]:
        """Negative -> "clip" or "classes": what is marked for a clip of this label, in the spelling of the file."""
        found = {}
        for a, b, of_clip, _ in self.exclusions():
            if of_clip in ("", clip) and normalise(label) in (normalise(a), normalise(b)):
                found[a if normalise(label) == normalise(b) else b] = "clip" if of_clip else "classes"
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

    def _change(self, before: Row, after: Row) -> None:
        rows = self._rows()
        at = next((i for i, row in enumerate(rows) if before and _filled(row) == _filled(before)), len(rows))
        if before and at == len(rows):
            raise ValueError(f"the row of {before['label_b']!r} in {self.path} was changed meanwhile; mend it there")
        rows[at : at + 1] = [after] if after else []
        write_rows(self.path, dict.fromkeys([name for row in rows for name in row] + list(COLUMNS)), rows)
        self._changes.append((before, after))

    def _rows(self) -> list[Row]:
        if not self.path.is_file():
            return []
        return [row for _, row in read_rows(self.path, COLUMNS[:3], "it was there a moment ago; mark the label again")]


def _filled(row: Row) -> Row:
    return {name: value for name, value in row.items() if value}


def _key(row: Row) -> tuple[frozenset[str], str]:
    return Exclusion(row["label_a"], row["label_b"], row.get("id", "")).key
