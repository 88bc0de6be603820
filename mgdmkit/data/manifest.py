"""Manifests: a CSV with one row per clip - id, path, label, split - and what is checked when one is read or written.

Paths are relative to the manifest's folder unless absolute, so a dataset and its manifest can move together.
A dataset with several official splits has the columns `split1`, `split2`, ... beside `split`, which is one of them.
"""

import hashlib
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mgdmkit.data.corpus import alike, as_read
from mgdmkit.data.tables import LOOKS_LIKE, ManifestError, read_table
from mgdmkit.files import write_text_atomic

SPLITS = ("train", "val", "test")
SPLIT_NAMES = {name: name for name in (*SPLITS, "unused")} | {"training": "train", "testing": "test"}
SPLIT_NAMES |= dict.fromkeys(("valid", "validate", "validation"), "val")
"""What tables, files and folders call the splits."""
UNUSED = "unused"
"""In place of a split: a clip that an official split leaves out, but another of the same dataset may use."""
COLUMNS = ("id", "path", "label", "split")
VIDEO_SUFFIXES = frozenset({".avi", ".mp4", ".mkv", ".webm", ".mov", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv"})
DEPTH = 4
"""Folders below a folder of clips that are looked into."""


def is_clip(file: Path) -> bool:
    # Names with a dot in front are an operating system's or a notebook's, also if they end in .avi.
    return file.suffix.lower() in VIDEO_SUFFIXES and not file.name.startswith(".") and file.is_file()


def files_below(folder: Path) -> Iterator[Path]:
    """Every file in a folder and below it; of a hidden folder the folder itself. Names are never taken as patterns."""
    for inner, folders, names in os.walk(folder, followlinks=True):
        hidden = [name for name in folders if name.startswith(".")]
        yield from (Path(inner, name) for name in (*names, *hidden))
        too_deep = len(Path(inner).relative_to(folder).parts) >= DEPTH  # ends a loop of links
        folders[:] = [] if too_deep else [name for name in folders if name not in hidden]


@dataclass(frozen=True)
class Manifest:
    """The clips of a manifest, or of one of its splits."""

    path: Path
    table: pd.DataFrame
    """One row per clip: id, path, label, split, and whatever else the file has; all text."""
    classes: tuple[str, ...]
    """The distinct labels of the whole file, sorted; a split keeps them all, so class indices agree."""

    @property
    def video_paths(self) -> list[Path]:
        return [self.path.parent / path for path in self.table["path"]]

    def files(self) -> list[Path]:
        """The video paths; `FileNotFoundError` if clips are missing."""
        if missing := [path for path in self.video_paths if not path.is_file()]:
            raise FileNotFoundError(
                f"{self.path} lists {len(missing)} clips that are not there, first {missing[0]}; put them there "
                f"or make the manifest again"
            )
        return self.video_paths

    def fingerprint(self) -> str:
        """16 hex digits of a sha256 over ids, paths, labels, splits and file sizes, in order; errors as `files`.

        The sizes give away a clip that was cut or encoded anew under its old name, without reading it.
        """
        table = self.table[list(COLUMNS)].assign(bytes=[path.stat().st_size for path in self.files()])
        return hashlib.sha256(table.to_csv(index=False, lineterminator="\n").encode()).hexdigest()[:16]


def official_splits(columns: Sequence[str]) -> list[str]:
    """Those of the columns that hold official splits: split1, split2, ..."""
    return [column for column in columns if re.fullmatch(r"split[1-9]", column)]


def take_official_split(table: pd.DataFrame, number: int | None, where: Path) -> pd.DataFrame:
    """The table with official split `number` as its `split`, if any; `ManifestError` where the file lacks that one."""
    if number is None:
        return table
    if (column := f"split{number}") not in table:
        has = ", ".join(official_splits(list(table))) or "no official splits"
        raise ManifestError(f"{where} has no column {column!r} (it has {has}); leave the official split out")
    return table.assign(split=table[column])


def read_manifest(path: Path | str, split: str | None = None, *, official_split: int | None = None) -> Manifest:
    """Read and check a manifest; with `split` only its clips.

    Args:
        official_split: 2 takes the column `split2` as `split`, in a manifest that has it.
    Raises:
        FileNotFoundError: with the command that makes one.
        ManifestError: no CSV, missing columns, empty or duplicate entries, unknown splits, a split without clips.
    """
    path = Path(path)
    table = read_table(path, COLUMNS, f"`mgdm manifest folder --videos DIR --out {path}` makes a manifest")
    table = take_official_split(table, official_split, path)
    official = official_splits(list(table))
    if missing := [column for column in COLUMNS if column not in table]:
        hint = f"; it has {', '.join(official)}: choose one" if official else ""
        raise ManifestError(
            f"{path} lacks the columns {', '.join(missing)}{hint}; a manifest has {', '.join(COLUMNS)}, and its first "
            f"line has {', '.join(map(repr, table)) or 'nothing'}"
        )
    # A blank behind a label would make it a class of its own.
    for column in ("id", "label", "split", *official):
        table[column] = table[column].str.strip()
    for column in ("split", *official):
        table[column] = [SPLIT_NAMES.get(split.lower(), split) for split in table[column]]
    _check_rows(path, table)
    classes = tuple(sorted(set(table["label"])))
    if split is not None:
        held, table = sorted(set(table["split"])), table[table["split"] == split]
        if table.empty:
            raise ManifestError(f"{path} has no clip in split {split!r}; it has {', '.join(held)}")
    return Manifest(path, table.reset_index(drop=True), classes)


def _check_rows(path: Path, table: pd.DataFrame) -> None:
    """Refuse what no clip can be; the index of the table is the line of each row."""
    if table.empty:
        raise ManifestError(f"{path} lists no clip")
    for column in COLUMNS:
        if (empty := table[column].str.strip() == "").any():
            raise ManifestError(f"{path}, line {table.index[empty][0]}: the {column} is empty")
    files = [os.path.normpath(path.parent / clip) for clip in table["path"]]  # "./a.mp4" and "a.mp4" are one
    for column, values in (("id", table["id"]), ("path", pd.Series(files))):
        if (twice := values.duplicated().to_numpy()).any():
            raise ManifestError(f"{path}: the {column} {table[column][twice].iloc[0]!r} stands in more than one row")
    allowed = (*SPLITS, UNUSED)
    for column in ("split", *official_splits(list(table))):
        if (unknown := ~table[column].isin(allowed)).any():
            line, found = table.index[unknown][0], table[column][unknown].iloc[0]
            raise ManifestError(f"{path}, line {line}: {column} {found!r} is none of {', '.join(allowed)}")
    for a, b in alike(sorted(set(table["label"])), as_read):
        shown = f"{a!a} and {b!a}" if unicodedata.normalize("NFC", a) == unicodedata.normalize("NFC", b) else ""
        raise ManifestError(
            f"{path}: the labels {shown or f'{a!r} and {b!r}'} say the same to CLIP; write both in one way to join "
            f"them, or rename one"
        )


def write_manifest(path: Path | str, rows: Sequence[dict[str, str]]) -> Path:
    """Write rows as a manifest, atomically; each has at least id, path, label and split.

    The path of a clip under the manifest's folder is written relative to it, any other as it is.
    `ManifestError` for rows that `read_manifest` would refuse.
    """
    path, folder = Path(path), Path(path).parent.resolve()
    rows = [{**row, "path": _relative(row["path"], folder)} for row in rows]
    table = pd.DataFrame(rows, range(2, len(rows) + 2), columns=None if rows else COLUMNS)
    check_names(table["path"])
    _check_rows(path, table)
    write_text_atomic(path, table.to_csv(index=False, lineterminator="\n"))
    return path


def check_names(paths: Iterable[str | Path]) -> None:
    """`ManifestError` for a file whose name is no UTF-8, as old archives have them: no table can hold it."""
    for path in map(str, paths):
        try:
            path.encode()
        except UnicodeEncodeError:
            raise ManifestError(
                f"the name of {os.fsencode(path)!r} is not UTF-8, so no table can list it; rename it, or all of its "
                f"folder: convmv -f {next(iter(LOOKS_LIKE))} -t utf-8 -r --notest FOLDER, with the encoding it has"
            ) from None


def _relative(clip: str, folder: Path) -> str:
    path = Path(clip)
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else clip
