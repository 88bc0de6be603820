"""Kinetics-400's annotation files: `train.csv`, `val.csv` or `validate.csv`, and `test.csv` if wanted.

Columns: label, youtube_id, time_start, time_end (seconds), split, and in newer ones is_cc. Clips vanish from YouTube,
so copies differ; the counts of a copy are stated, never taken for an error.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path

from mgdmkit.data.cards import classes_by_spelling, dataset_card, dataset_classes
from mgdmkit.data.corpus import normalise
from mgdmkit.data.manifest import ManifestError
from mgdmkit.data.official import OfficialClip, OfficialClips, annotation_files

COLUMNS = ("label", "youtube_id", "time_start", "time_end")
SPLIT_NAMES = {"train": "train", "val": "val", "validate": "val", "validation": "val", "test": "test"}
_FILE = re.compile(r"(?:.*[_-])?(train|val|validate|validation|test)\.csv", re.IGNORECASE)


def kinetics400_clips(annotations: Path) -> OfficialClips:
    """The clips of the annotation files; their split is "train", "val" or "test", as the files are called.

    A clip's id is `<youtube id>_<start>_<end>` with six digits for each second. One that is listed again is kept once:
    in the validation set rather than the test set, and in either rather than in the training set.

    Args:
        annotations: the folder of the CSV files.
    Raises:
        FileNotFoundError: no such file in the folder.
        ManifestError: missing columns, an unknown label (Kinetics-600 and -700 have others), times that are none.
    """
    files = _annotation_csvs(Path(annotations))
    clips: dict[str, OfficialClip] = {}
    again, notes = 0, []
    for split in ("val", "test", "train"):
        if split not in files:
            notes += [f"no {split}.csv in {annotations}"] if split != "test" else []
            continue
        unlabelled = 0
        for clip in _read_csv(files[split], split):
            if clip is None:
                unlabelled += 1
            elif clip.id in clips:
                again += 1
            else:
                clips[clip.id] = clip
        notes += [f"{unlabelled} rows of {files[split].name} have no label and were left out"] if unlabelled else []
    if not clips:
        raise ManifestError(f"{annotations}: the annotation files list no clip with a label")
    notes += [f"{again} rows list a clip again and were left out"] if again else []
    listed = clips.values()
    notes += doubts(Counter(clip.splits["split"] for clip in listed), classes=len({clip.label for clip in listed}))
    order = {row.label: row.index for row in dataset_classes("kinetics400")}
    clips = dict(sorted(clips.items(), key=lambda item: (order[item[1].label], item[0])))
    return OfficialClips("kinetics400", list(clips.values()), notes)


def doubts(listed: Mapping[str, int], classes: int) -> list[str]:
    """What speaks for lists that were cut short, from the clips per split and the classes they list.

    No more than a doubt: lists shrink as clips vanish, so those of another day have other counts.
    """
    card, notes = dataset_card("kinetics400"), []
    for split in ("train", "val"):
        known = [row for row in card["known_counts"] if split in row]
        if listed.get(split) and listed[split] not in [row[split] for row in known]:
            counts = "; ".join(f"{row[split]:,}, {row['of']}" for row in known)
            notes.append(f"{split} lists {listed[split]:,} clips, none of the known counts ({counts}): is it whole?")
    if classes < card["classes"]:
        notes.append(f"the lists name {classes} of {card['classes']} classes: are they whole?")
    return notes


def _annotation_csvs(annotations: Path) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for file in annotation_files(annotations, "kinetics400"):
        if match := _FILE.fullmatch(file.name):
            split = SPLIT_NAMES[match[1].lower()]
            if split in files:
                raise ManifestError(f"both {files[split]} and {file} could be the {split} annotations; keep one there")
            files[split] = file
    if not {"train", "val"} & set(files):
        raise FileNotFoundError(f"{annotations} has neither train.csv nor val.csv or validate.csv of Kinetics-400")
    return files


def _read_csv(file: Path, split: str) -> Iterator[OfficialClip | None]:
    """The clips of a file; None for a row without a label, as the test set has in some releases."""
    with file.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines)
        try:
            header = reader.fieldnames or []
            if missing := [name for name in COLUMNS if name not in header and (name, split) != ("label", "test")]:
                raise ValueError(f"the columns {', '.join(missing)} are missing; it has {', '.join(header)}")
            for row in reader:
                yield _clip(row, split) if split != "test" or (row.get("label") or "").strip() else None
        except (ValueError, csv.Error) as error:
            raise ManifestError(f"{file}, line {reader.line_num}: {error}") from error


def _clip(row: dict[str, str | None], split: str) -> OfficialClip:
    label, name, stated = ((row.get(column) or "").strip() for column in ("label", "youtube_id", "split"))
    if stated and SPLIT_NAMES.get(stated) != split:
        raise ValueError(f"the split is {stated!r} in a file of the {split} split")
    own = classes_by_spelling("kinetics400").get(normalise(label))
    if own is None:
        near = get_close_matches(label, [row.label for row in dataset_classes("kinetics400")], 1)
        hint = f", nearest is {near[0]!r}" if near else ""
        raise ValueError(f"{label!r} is no class of Kinetics-400{hint}; are these another Kinetics' files?")
    if not name:
        raise ValueError("the youtube_id is empty")
    clip_id = f"{name}_{_seconds(row['time_start']):06d}_{_seconds(row['time_end']):06d}"
    return OfficialClip(clip_id, f"{own.name}/{clip_id}.mp4", own.label, {"split": split}, short_name=name)


def _seconds(text: str | None) -> int:
    try:
        return round(float(text))
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{text!r} is not a time in seconds") from None
