"""A manifest from a folder that holds one folder of clips per class, with given lists or an own split."""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from mgdmkit.config import check_choice
from mgdmkit.data.check import Checked, Row, copies_among, few_names, notes_on, problems_text, split_counts, usable
from mgdmkit.data.corpus import alike, label_text
from mgdmkit.data.lists import ListReader, is_heading
from mgdmkit.data.manifest import SPLIT_NAMES, SPLITS, VIDEO_SUFFIXES, ManifestError, files_below, is_clip
from mgdmkit.data.tables import read_text


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
    probe: bool = False,
    workers: int | None = None,
) -> Checked:
    """The clips of a folder that holds one folder of clips per class; the paths are absolute.

    The split comes from the given lists; else from folders train/ val/ test/ above the class folders; else it is
    drawn, seeded, with the same shares of every class as nearly as can be, and with all clips whose names agree in
    the first group of `group_regex` on one side, be they of one class or of several.

    Clips in folders below a class folder are clips of the class. A list holds a Class/clip.avi per line, in any form
    of `ListReader`. Clips that can't be used, as `file_problems` says with `probe` and `workers`, are left out.

    Raises:
        FileNotFoundError: no such folder or list.
        ManifestError: fewer than two classes, two class folders with one label, a list that matches nothing or
            overlaps another, fractions that leave nothing to train on, a `group_regex` that misses a clip, and options
            of the drawn split beside lists or split folders.
    """
    check_choice("label_style", label_style, ("words", "raw"))
    videos = Path(videos).resolve()
    if not videos.is_dir():
        raise FileNotFoundError(f"no folder of videos at {videos}")
    lists = {split: path for split, path in zip(SPLITS, (train_list, val_list, test_list), strict=True) if path}
    split_folders = _split_folders(videos)
    if lists or split_folders:
        how = "lists" if lists else f"the folders {', '.join(folder.name for folder in split_folders)}"
        drawn = {"val-fraction": val_fraction, "test-fraction": test_fraction - 0.25, "group-regex": group_regex}
        if given := [option for option, value in (drawn | {"seed": seed}).items() if value]:
            raise ManifestError(f"--{given[0]} has no effect where {how} give the splits; leave it out")
    every, others = _find_clips(videos, list(split_folders) or [videos])
    notes = _notes_on_places(videos, every, others)
    labels = _labels(sorted({folder.name for folder in every.values()}), label_style)
    rows = [{"id": clip.stem, "path": clip.as_posix(), "label": labels[folder.name]} for clip, folder in every.items()]
    good, problems = usable(rows, list(every), probe=probe, workers=workers)
    clips = {clip: every[clip] for clip in (Path(row["path"]) for row in good)}
    if len({row["label"] for row in good}) < 2:
        told = [_too_few_classes(videos, clips, others), *([problems_text(problems)] if problems else [])]
        raise ManifestError("; ".join(told))
    if lists:
        splits = _splits_from_lists(clips, lists, notes)
    elif split_folders:
        splits = {clip: split_folders[folder.parent] for clip, folder in clips.items()}
    else:
        splits = _draw_splits(clips, val_fraction, test_fraction, group_regex, seed)
    rows = _rows(videos, good, splits)
    if not (lists or split_folders or group_regex):
        notes += _shared_recordings(rows)
    copies = copies_among(rows)
    notes += [*notes_on(rows, copies), *_untested_classes(rows)]
    return Checked(rows, problems, probe, notes, copies)


def _split_folders(videos: Path) -> dict[Path, str]:
    """The folders above the class folders, and their splits.

    A folder "train" is a split where it holds folders alone; where it holds clips it is a class, beside "car" and
    "bus". `ManifestError` where neither is sure.
    """
    folders = [path for path in sorted(videos.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    with_clips = [folder for folder in folders if any(map(is_clip, folder.iterdir()))]
    named = {folder: SPLIT_NAMES.get(folder.name.lower()) for folder in folders if folder not in with_clips}
    splits = {folder: name for folder, name in named.items() if name in SPLITS and any(folder.glob("*/"))}
    if splits and with_clips:
        raise ManifestError(
            f"{videos} holds the split folder {next(iter(splits)).name!r} beside {with_clips[0].name!r}, which has "
            f"clips as a class has; move one of them elsewhere, or rename it"
        )
    return splits


def _find_clips(videos: Path, roots: Sequence[Path]) -> tuple[dict[Path, Path], list[Path]]:
    """Clip -> its class folder, for those in and below the folders in `roots`; and all else."""
    clips, others = {}, [path for path in videos.iterdir() if roots != [videos] and path not in roots]
    for root in roots:
        for folder in root.iterdir():
            files = list(files_below(folder)) if folder.is_dir() and not folder.name.startswith(".") else []
            found = list(filter(is_clip, files))
            clips |= dict.fromkeys(found, folder)
            others += set(files).difference(found) if found else [folder]
    return dict(sorted(clips.items())), sorted(others)


def _notes_on_places(videos: Path, clips: Mapping[Path, Path], others: Sequence[Path]) -> list[str]:
    """Which clips lie deeper than in a class folder, and what is no clip of a class.

    `ManifestError` where no class folder has clips of its own: the classes may be one folder further down.
    """
    notes, nested = [], [clip for clip, folder in clips.items() if clip.parent != folder]
    if nested:
        first = nested[0].relative_to(videos)
        if len(nested) == len(clips):
            raise ManifestError(
                f"no class folder of {videos} holds clips; they lie in folders below, first {first}. Give --videos the "
                f"folder whose folders are the classes, such as {clips[nested[0]]}, or move the clips up into their "
                f"class folders"
            )
        notes.append(f"{len(nested)} clips lie in folders of their class folder, first {first}, and are of that class")
    if others:
        what = "file or folder left out, which is" if len(others) == 1 else "files or folders left out, which are"
        names = few_names(sorted(path.relative_to(videos).as_posix() for path in others))
        notes.append(f"{len(others)} {what} no clip of a class{names}")
    return notes


def _too_few_classes(videos: Path, clips: Mapping[Path, Path], others: Sequence[Path]) -> str:
    """What to do where clips lie in one folder, or in none."""
    flat = sum(path.parent == videos and is_clip(path) for path in others)
    if flat and not clips:
        lie = "1 clip lies" if flat == 1 else f"{flat} clips lie"
        return (
            f"{lie} directly in {videos}; move each into a folder named for its class: "
            f"mkdir {videos / 'CLASS'} && mv {videos / 'CLIP'} {videos / 'CLASS'}"
        )
    empty = [folder.name for folder in others if folder.is_dir() and not folder.name.startswith(".")]
    if clips and empty:
        filled = next(iter(clips.values()))
        return f"only {filled} holds clips that can be used; put clips into the other class folders{few_names(empty)}"
    return (
        f"{videos} should hold a folder of clips for each of at least two classes, as in "
        f"{videos / 'class name' / 'clip.mp4'}; found {len(clips)} clips ({', '.join(sorted(VIDEO_SUFFIXES))})"
    )


def _rows(videos: Path, clips: Sequence[Row], splits: Mapping[Path, str]) -> list[Row]:
    """The clips that have a split; the id of those whose name is another's, too, is their path."""
    rows = [{**row, "split": splits[Path(row["path"])]} for row in clips if Path(row["path"]) in splits]
    stems = Counter(row["id"] for row in rows)
    for row in rows:
        if stems[row["id"]] > 1:
            row["id"] = Path(row["path"]).relative_to(videos).as_posix()
    return rows


def _splits_from_lists(clips: Mapping[Path, Path], lists: dict[str, Path], notes: list[str]) -> dict[Path, str]:
    """The split of each clip that is in a list; what is left out is added to the notes."""
    reader = ListReader(clips)
    splits: dict[Path, str] = {}
    for split, path in lists.items():
        text = read_text(path, f"correct --{split}-list")
        entries = {at: line for at, line in enumerate(re.split(r"\r\n|\r|\n", text), 1) if line.strip()}
        named = {at: reader.clip(line, f"{path}, line {at}") for at, line in entries.items()}
        top = next(iter(entries), None)
        if top and not named[top] and len(entries) > 1 and is_heading(entries[top]):
            notes.append(f"line {top} of {path.name}, {entries[top].strip()!r}, looks like a heading and was left out")
            del entries[top], named[top]
        found = [clip for clip in named.values() if clip]
        absent = [entries[at].strip() for at, clip in named.items() if not clip]
        if not found:
            raise ManifestError(
                f"{path}: none of its {len(entries)} entries is in the folder. One of them is "
                f"{absent[0] if absent else ''!r}, a clip there is {reader.example!r}; an entry is Class/clip.avi, "
                f"with or without folders before it, its suffix, and a label behind a blank, tab, comma or semicolon"
            )
        if twice := [clip for clip in found if splits.get(clip, split) != split]:
            raise ManifestError(f"{path}: {twice[0].name} is also in the {splits[twice[0]]} list")
        splits |= dict.fromkeys(found, split)
        if absent:
            names = few_names([repr(line) for line in absent])
            notes.append(f"{len(absent)} of {len(entries)} entries of {path.name} are not in the folder{names}")
    if unlisted := len(clips) - len(splits):
        notes.append(f"{unlisted} clip{' is' if unlisted == 1 else 's are'} in no list and left out")
    return splits


def _draw_splits(
    clips: Mapping[Path, Path], val_fraction: float, test_fraction: float, group_regex: str | None, seed: int
) -> dict[Path, str]:
    if min(val_fraction, test_fraction) < 0 or val_fraction + test_fraction >= 1:
        raise ManifestError(f"val_fraction={val_fraction} and test_fraction={test_fraction} leave nothing to train on")
    groups = defaultdict(list)
    for clip in clips:
        groups[_group(clip, group_regex)].append(clip)
    # What each split still needs of each class. A class of two or more clips is tested, however small the share.
    size = Counter(folder.name for folder in clips.values())
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
        classes = Counter(clips[clip].name for clip in groups[group])
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


BEFORE_LAST_NUMBER = r"(.*?)[0-9]+[^0-9]*\."
"""Of a file name: v_Archery_g01_c of v_Archery_g01_c04.avi."""


def _shared_recordings(rows: Sequence[Row]) -> list[str]:
    """A line where many test clips have the name of a training clip of their class but for the last number.

    A beginning that more than half of a class share is a camera's or the class' own, not one recording's.
    """
    groups, of_class = defaultdict(list), Counter(row["label"] for row in rows)
    for row in rows:
        if (match := re.match(BEFORE_LAST_NUMBER, Path(row["path"]).name)) and match[1]:
            groups[row["label"], match[1]].append(row)
    shared = []
    for (label, _), group in groups.items():
        trained = [row["id"] for row in group if row["split"] == "train"]
        if trained and 2 * len(group) <= of_class[label]:
            shared += [(row["id"], trained[-1]) for row in group if row["split"] == "test"]
    tested = sum(row["split"] == "test" for row in rows)
    if len(shared) < max(2, tested / 10):
        return []
    return [
        f"{len(shared)} of {tested} test clips have the name of a training clip of their class but for the last "
        f"number, first {shared[0][0]} and {shared[0][1]}: if such clips are cut from one recording, the score is too "
        f"high; --group-regex '{BEFORE_LAST_NUMBER}' keeps them on one side"
    ]


def _labels(names: Sequence[str], label_style: str) -> dict[str, str]:
    """Folder -> label, a label for each."""
    labels = {name: label_text(name) if label_style == "words" else name for name in names}
    for other, name in alike(names, labels.get):
        raise ManifestError(f"the folders {other!r} and {name!r} both give {labels[name]!r}; join them, or rename one")
    return labels


def _untested_classes(rows: Sequence[Row]) -> list[str]:
    """Lines on classes that some split has no clip of."""
    splits, size, lines = split_counts(rows, "split"), Counter(row["label"] for row in rows), []
    alone = {row["label"] for row in rows if size[row["label"]] == 1 and row["split"] == "train" and "test" in splits}
    if alone:
        have = "class has 1 clip" if len(alone) == 1 else "classes have 1 clip each"
        names = few_names(list(map(repr, sorted(alone))))
        lines.append(f"{len(alone)} {have}, which is trained on and never tested; add one{names}")
    for split in splits:
        if absent := set(size) - {row["label"] for row in rows if row["split"] == split} - alone:
            have = "class has" if len(absent) == 1 else "classes have"
            lines.append(f"{len(absent)} {have} no {split} clip{few_names(list(map(repr, sorted(absent))))}")
    return lines
