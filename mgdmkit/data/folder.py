"""A manifest from a folder that holds one folder of clips per class, with given lists or an own split."""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from mgdmkit.config import check_choice
from mgdmkit.data.check import counts_text, split_counts
from mgdmkit.data.corpus import label_text
from mgdmkit.data.manifest import SPLITS, VIDEO_SUFFIXES, ManifestError


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
    drawn, seeded, with the same shares of every class as nearly as can be, and with all clips whose names agree in
    the first group of `group_regex` on one side, be they of one class or of several.

    A list holds a Class/clip.avi per line; a number behind it, as in UCF101's training lists, is ignored.

    Raises:
        FileNotFoundError: no such folder or list.
        ManifestError: fewer than two classes, two class folders with one label, a list that matches nothing or
            overlaps another, fractions that leave nothing to train on, a `group_regex` that misses a clip.
    """
    check_choice("label_style", label_style, ("words", "raw"))
    videos = Path(videos).resolve()
    if not videos.is_dir():
        raise FileNotFoundError(f"no folder of videos at {videos}")
    lists = {split: path for split, path in zip(SPLITS, (train_list, val_list, test_list), strict=True) if path}
    # A folder "train" is a split where it holds folders; where it holds clips it is a class, beside "car" and "bus".
    split_folders = [] if lists else [videos / name for name in SPLITS if any((videos / name).glob("*/"))]
    clips, others = _find_clips(videos, split_folders or [videos])
    if len({clip.parent.name for clip in clips}) < 2:
        raise ManifestError(
            f"{videos} should hold a folder of clips for each of at least two classes, as in "
            f"{videos / 'class name' / 'clip.mp4'}; found {len(clips)} clips ({', '.join(sorted(VIDEO_SUFFIXES))})"
        )
    labels = _labels(sorted({clip.parent.name for clip in clips}), label_style)
    notes = []
    if others:
        first = others[0].relative_to(videos)
        notes.append(f"{len(others)} files or folders that are no clips or have none were left out, first {first}")
    if lists:
        splits = _splits_from_lists(clips, lists, notes)
    elif split_folders:
        splits = {clip: clip.parent.parent.name for clip in clips}
    else:
        splits = _draw_splits(clips, val_fraction, test_fraction, group_regex, seed)
    clips = [clip for clip in clips if clip in splits]
    stems = Counter(clip.stem for clip in clips)
    ids = [clip.stem if stems[clip.stem] == 1 else clip.relative_to(videos).as_posix() for clip in clips]
    rows = [
        {"id": clip_id, "path": clip.as_posix(), "label": labels[clip.parent.name], "split": splits[clip]}
        for clip_id, clip in zip(ids, clips, strict=True)
    ]
    return FolderClips(rows, _summary(rows, notes))


def _find_clips(videos: Path, roots: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """The clips in the class folders under `roots`, and all else; names are taken as they are, never as patterns."""
    clips, others = [], [path for path in videos.iterdir() if roots != [videos] and path not in roots]
    for root in roots:
        for folder in root.iterdir():
            # Names with a dot in front are an operating system's or a notebook's, also if they end in .avi.
            is_class = folder.is_dir() and not folder.name.startswith(".")
            files = set(folder.iterdir()) if is_class else set()
            named = {file for file in files if file.suffix.lower() in VIDEO_SUFFIXES and not file.name.startswith(".")}
            found = set(filter(Path.is_file, named))
            clips += found
            others += files - found if found else [folder]
    return sorted(clips), sorted(others)


def _splits_from_lists(clips: Sequence[Path], lists: dict[str, Path], notes: list[str]) -> dict[Path, str]:
    """The split of each clip that is in a list; what is left out is added to the notes."""
    by_name = {f"{clip.parent.name}/{clip.name}": clip for clip in clips}
    splits: dict[Path, str] = {}
    for split, path in lists.items():
        if not path.is_file():
            raise FileNotFoundError(f"no {split} list at {path}")
        lines = map(str.strip, path.read_text(encoding="utf-8-sig", errors="replace").splitlines())
        entries = [re.sub(r"\s+\d+$", "", line).replace("\\", "/") for line in lines if line]
        found = [by_name[entry] for entry in entries if entry in by_name]
        if not found:
            there = next(iter(by_name))
            raise ManifestError(f"{path}: none of its {len(entries)} entries is in the folder; one there is {there!r}")
        if twice := [clip for clip in found if splits.get(clip, split) != split]:
            raise ManifestError(f"{path}: {twice[0].name} is also in the {splits[twice[0]]} list")
        splits |= dict.fromkeys(found, split)
        if len(found) < len(entries):
            notes.append(f"{len(entries) - len(found)} of {len(entries)} entries of {path.name} are not in the folder")
    if len(splits) < len(clips):
        notes.append(f"{len(clips) - len(splits)} clips are in no list and were left out")
    return splits


def _draw_splits(
    clips: Sequence[Path], val_fraction: float, test_fraction: float, group_regex: str | None, seed: int
) -> dict[Path, str]:
    if min(val_fraction, test_fraction) < 0 or val_fraction + test_fraction >= 1:
        raise ManifestError(f"val_fraction={val_fraction} and test_fraction={test_fraction} leave nothing to train on")
    groups = defaultdict(list)
    for clip in clips:
        groups[_group(clip, group_regex)].append(clip)
    # What each split still needs of each class. A class of two or more clips is tested, however small the share.
    size = Counter(clip.parent.name for clip in clips)
    need: dict[str, Counter] = {"train": Counter(), "val": Counter(), "test": Counter()}
    for name, n in size.items():
        left = n
        for split, fraction in (("test", test_fraction), ("val", val_fraction)):
            need[split][name] = min(left - 1, max(round(fraction * n), fraction > 0))
            left -= need[split][name]
        need["train"][name] = left
    splits: dict[Path, str] = {}
    order = sorted(groups)
    random.Random(seed).shuffle(order)
    for group in order:
        classes = Counter(clip.parent.name for clip in groups[group])
        split = max(need, key=lambda split: sum(n * need[split][name] / size[name] for name, n in classes.items()))
        need[split].subtract(classes)
        splits |= dict.fromkeys(groups[group], split)
    return splits


def _group(clip: Path, group_regex: str | None) -> str:
    if group_regex is None:
        return clip.as_posix()
    match = re.search(group_regex, clip.name)
    if not match or not match.groups():
        raise ManifestError(f"group_regex {group_regex!r} finds no group in {clip.name!r}; it needs one (...)")
    return match.group(1)


def _labels(names: Sequence[str], label_style: str) -> dict[str, str]:
    """Folder -> label, a label for each."""
    labels = {name: label_text(name) if label_style == "words" else name for name in names}
    folders: dict[str, str] = {}
    for name, label in labels.items():
        if (other := folders.setdefault(label, name)) != name:
            raise ManifestError(
                f"the folders {other!r} and {name!r} both give the label {label!r}; join them, rename one, "
                "or keep the names with label_style='raw'"
            )
    return labels


def _summary(rows: Sequence[dict[str, str]], notes: Sequence[str]) -> str:
    counts, labels = split_counts(rows, "split"), {row["label"] for row in rows}
    lines = [f"{len(rows):,} clips of {len(labels)} classes: {counts_text(counts)}", *notes]
    for split in counts:
        if absent := sorted(labels - {row["label"] for row in rows if row["split"] == split}):
            lines.append(f"{len(absent)} classes have no {split} clip, first {absent[0]!r}")
    return "\n".join(lines)
