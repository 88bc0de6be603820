"""Manifests: a CSV with one row per clip - id, path, label, split - and how to make one from a folder of clips.

Paths are relative to the manifest's folder unless absolute, so a dataset and its manifest can move together.
"""

import csv
import hashlib
import io
import random
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import pandas as pd

from mgdmkit.config import check_choice, write_text_atomic
from mgdmkit.corpus import label_text

SPLITS = ("train", "val", "test")
COLUMNS = ("id", "path", "label", "split")
VIDEO_SUFFIXES = frozenset({".avi", ".mp4", ".mkv", ".webm", ".mov", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv"})


class ManifestError(ValueError):
    """A manifest, a split list or a folder of clips is not what it should be; the message says what to mend."""


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

    def fingerprint(self) -> str:
        """sha256 over ids, paths, labels and splits: what decides which features stand in which row."""
        text = self.table[list(COLUMNS)].to_csv(index=False, lineterminator="\n")
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_manifest(path: Path | str, split: str | None = None) -> Manifest:
    """Read and check a manifest; with `split` only its clips.

    Raises:
        FileNotFoundError: with the command that makes one.
        ManifestError: missing columns, empty or duplicate entries, unknown splits, or a split without clips.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"no manifest at {path}; make one with `mgdm manifest folder --videos DIR --out {path}`"
        )
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    if missing := [column for column in COLUMNS if column not in table]:
        raise ManifestError(f"{path} lacks the columns {', '.join(missing)}; a manifest has {', '.join(COLUMNS)}")
    _check_rows(path, table)
    classes = tuple(sorted(set(table["label"])))
    if split is not None:
        held = sorted(set(table["split"]))
        table = table[table["split"] == split].reset_index(drop=True)
        if table.empty:
            raise ManifestError(f"{path} has no clip in split {split!r}; it has {', '.join(held)}")
    return Manifest(path, table, classes)


def _check_rows(path: Path, table: pd.DataFrame) -> None:
    if table.empty:
        raise ManifestError(f"{path} lists no clip")
    for column in COLUMNS:
        empty = (table[column].str.strip() == "").to_numpy().nonzero()[0]
        if len(empty):
            raise ManifestError(f"{path}, line {empty[0] + 2}: the {column} is empty")
    for column in ("id", "path"):
        twice = table[column][table[column].duplicated()]
        if len(twice):
            raise ManifestError(f"{path}: the {column} {twice.iloc[0]!r} stands in more than one row")
    if unknown := sorted(set(table["split"]) - set(SPLITS)):
        raise ManifestError(f"{path}: split {unknown[0]!r} is none of {', '.join(SPLITS)}")


def write_manifest(path: Path, rows: Sequence[dict[str, str]]) -> Path:
    """Write rows as a manifest, atomically; each has at least id, path, label and split."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text_atomic(path, text.getvalue())
    return path


class FolderClips(NamedTuple):
    """What a folder of clips gives."""

    rows: list[dict[str, str]]
    summary: str
    """Clips per split, classes, and everything that was left out, for printing."""


def manifest_from_folder(
    videos: Path,
    *,
    val_fraction: float = 0.0,
    test_fraction: float = 0.25,
    group_regex: str | None = None,
    train_list: Path | None = None,
    val_list: Path | None = None,
    test_list: Path | None = None,
    seed: int = 0,
    label_style: Literal["words", "raw"] = "words",
) -> FolderClips:
    """Rows for a folder that holds one folder of clips per class; the paths are absolute.

    The split comes from the given lists; else from folders train/ val/ test/ above the class folders; else it is
    drawn per class, seeded, with all clips that share the first group of `group_regex` on one side.

    Raises:
        ManifestError: fewer than two classes, no clips, a list that matches nothing or overlaps another.
    """
    check_choice("label_style", label_style, ("words", "raw"))
    videos = Path(videos).resolve()
    if not videos.is_dir():
        raise FileNotFoundError(f"no folder of videos at {videos}")
    lists = {"train": train_list, "val": val_list, "test": test_list}
    lists = {split: path for split, path in lists.items() if path is not None}
    split_folders = [name for name in SPLITS if (videos / name).is_dir()] if not lists else []
    roots = [videos / name for name in split_folders] or [videos]
    clips, others = _find_clips(roots)
    if len({clip.parent.name for clip in clips}) < 2:
        raise ManifestError(
            f"{videos} should hold a folder of clips for each of at least two classes, as in "
            f"{videos / 'class name' / 'clip.mp4'}; found {len(clips)} clips ({', '.join(sorted(VIDEO_SUFFIXES))})"
        )
    notes = [f"{len(others)} files are no videos and were left out, first {others[0]}"] if others else []
    if lists:
        splits, list_notes = _splits_from_lists(clips, lists)
        notes += list_notes
    elif split_folders:
        splits = {clip: clip.parent.parent.name for clip in clips}
    else:
        splits = _draw_splits(clips, val_fraction, test_fraction, group_regex, seed)
    rows = _rows(videos, [clip for clip in clips if clip in splits], splits, label_style)
    return FolderClips(rows, _summary(rows, notes))


def _find_clips(roots: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Clips and other files one level below the class folders; names are taken as they are, never as patterns."""
    clips, others = [], []
    for root in roots:
        for folder in sorted(path for path in root.iterdir() if path.is_dir()):
            for file in sorted(path for path in folder.iterdir() if path.is_file()):
                (clips if file.suffix.lower() in VIDEO_SUFFIXES else others).append(file)
    return clips, others


def _splits_from_lists(clips: Sequence[Path], lists: dict[str, Path]) -> tuple[dict[Path, str], list[str]]:
    by_name = {f"{clip.parent.name}/{clip.name}": clip for clip in clips}
    splits: dict[Path, str] = {}
    notes = []
    for split, path in lists.items():
        if not path.is_file():
            raise FileNotFoundError(f"no {split} list at {path}")
        entries = [_entry(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        found = [by_name[entry] for entry in entries if entry in by_name]
        if not found:
            example = next(iter(by_name))
            raise ManifestError(
                f"{path}: none of its {len(entries)} entries is in the folder; one there is {example!r}"
            )
        if twice := [clip for clip in found if splits.get(clip, split) != split]:
            raise ManifestError(f"{path}: {twice[0].name} is also in the {splits[twice[0]]} list")
        splits |= dict.fromkeys(found, split)
        if len(found) < len(entries):
            notes.append(f"{len(entries) - len(found)} of {len(entries)} entries of {path.name} are not in the folder")
    if len(splits) < len(clips):
        notes.append(f"{len(clips) - len(splits)} clips are in no list and were left out")
    return splits, notes


def _entry(line: str) -> str:
    """The clip of a line: a class number behind it, as in UCF101's training lists, is dropped."""
    return re.sub(r"\s+\d+$", "", line.strip()).replace("\\", "/")


def _draw_splits(
    clips: Sequence[Path], val_fraction: float, test_fraction: float, group_regex: str | None, seed: int
) -> dict[Path, str]:
    if min(val_fraction, test_fraction) < 0 or val_fraction + test_fraction >= 1:
        raise ManifestError(f"val_fraction={val_fraction} and test_fraction={test_fraction} leave nothing to train on")
    splits: dict[Path, str] = {}
    by_class: dict[str, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for clip in clips:
        by_class[clip.parent.name][_group(clip, group_regex)].append(clip)
    for name, groups in by_class.items():
        order = sorted(groups)
        random.Random(f"{seed} {name}").shuffle(order)
        n_test, n_val = round(test_fraction * len(order)), round(val_fraction * len(order))
        if len(order) - n_test - n_val < 1:
            raise ManifestError(f"class {name!r} has {len(order)} clips or groups: too few to split")
        for i, group in enumerate(order):
            split = "test" if i < n_test else "val" if i < n_test + n_val else "train"
            splits |= dict.fromkeys(groups[group], split)
    return splits


def _group(clip: Path, group_regex: str | None) -> str:
    if group_regex is None:
        return clip.name
    match = re.search(group_regex, clip.name)
    if not match or not match.groups():
        raise ManifestError(f"group_regex {group_regex!r} finds no group in {clip.name!r}; it needs one (...)")
    return match.group(1)


def _rows(videos: Path, clips: Sequence[Path], splits: dict[Path, str], label_style: str) -> list[dict[str, str]]:
    stems = Counter(clip.stem for clip in clips)
    rows = []
    for clip in clips:
        name = clip.parent.name
        unique = stems[clip.stem] == 1
        clip_id = clip.stem if unique else clip.relative_to(videos).as_posix()
        label = label_text(name) if label_style == "words" else name
        rows.append({"id": clip_id, "path": clip.as_posix(), "label": label, "split": splits[clip]})
    return rows


def _summary(rows: Sequence[dict[str, str]], notes: Sequence[str]) -> str:
    counts = Counter(row["split"] for row in rows)
    parts = ", ".join(f"{counts[split]} {split}" for split in SPLITS if counts[split])
    lines = [f"{len(rows)} clips of {len({row['label'] for row in rows})} classes: {parts}", *notes]
    return "\n".join(lines)
