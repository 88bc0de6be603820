"""Kinetics-400's annotation files: `train.csv`, `val.csv` or `validate.csv`, and `test.csv` if wanted.

Columns: label, youtube_id, time_start, time_end (seconds), split, and in newer ones is_cc. Clips vanish from YouTube,
so copies differ; the counts of a copy are stated, never taken for an error.
"""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from mgdmkit.data.cards import classes_by_spelling, dataset_card, dataset_classes
from mgdmkit.data.check import split_counts
from mgdmkit.data.corpus import normalise
from mgdmkit.data.manifest import SPLIT_NAMES, ManifestError
from mgdmkit.data.official import OfficialClip, OfficialClips, annotation_files
from mgdmkit.data.tables import read_rows

COLUMNS = ("label", "youtube_id", "time_start", "time_end")
_FILE = re.compile(r"(?:.*[_-])?(train|val|validate|validation|test)\.csv", re.IGNORECASE)


def kinetics400_clips(annotations: Path) -> OfficialClips:
    """The clips of the annotation files; their split is "train", "val" or "test", as the files are called.

    A clip's id is `<youtube id>_<start>_<end>` with six digits for each second. One that is listed again is kept once:
    in the validation set rather than the test set, and in either rather than in the training set.

    Args:
        annotations: the folder of the CSV files.
    Raises:
        FileNotFoundError: no such file in the folder.
        ValueError: no CSV in UTF-8, or missing columns.
        ManifestError: an unknown label (Kinetics-600 and -700 have others), times that are none.
    """
    files = _annotation_csvs(annotations)
    clips: dict[str, OfficialClip] = {}
    again, notes = 0, [f"no {split}.csv in {annotations}" for split in ("val", "train") if split not in files]
    for split in [split for split in ("val", "test", "train") if split in files]:
        listed, unlabelled = _read_csv(files[split], split)
        again += sum(clips.setdefault(clip.id, clip) is not clip for clip in listed)
        notes += [f"{unlabelled} rows of {files[split].name} have no label and were left out"] if unlabelled else []
    if not clips:
        raise ManifestError(f"{annotations}: the annotation files list no clip with a label")
    notes += [f"{again} rows list a clip again and were left out"] if again else []
    counts = split_counts((clip.splits for clip in clips.values()), "split")
    notes += doubts(counts, classes=len({clip.label for clip in clips.values()}))
    order = {row.label: row.index for row in dataset_classes("kinetics400")}
    return OfficialClips("kinetics400", sorted(clips.values(), key=lambda clip: (order[clip.label], clip.id)), notes)


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


def _read_csv(file: Path, split: str) -> tuple[list[OfficialClip], int]:
    """The clips of a file, and how many rows have no label, as those of the test set in some releases."""
    rows = read_rows(file, COLUMNS if split != "test" else COLUMNS[1:], "give the folder of the annotation files")
    labelled = [(line, row) for line, row in rows if split != "test" or row.get("label")]
    clips = []
    for line, row in labelled:
        try:
            clips.append(_clip(row, split))
        except ValueError as error:
            raise ManifestError(f"{file}, line {line}: {error}") from error
    return clips, len(rows) - len(labelled)


def _clip(row: dict[str, str], split: str) -> OfficialClip:
    label, name, stated = row["label"], row["youtube_id"], row.get("split", "")
    if stated and SPLIT_NAMES.get(stated.lower()) != split:
        raise ValueError(f"the split is {stated!r} in a file of the {split} split")
    own = classes_by_spelling("kinetics400").get(normalise(label))
    if own is None:
        near = get_close_matches(label, [row.label for row in dataset_classes("kinetics400")], 1)
        hint = f", nearest is {near[0]!r}" if near else ""
        raise ValueError(f"{label!r} is no class of Kinetics-400{hint}; are these another Kinetics' files?")
    if not name:
        raise ValueError("the youtube_id is empty")
    start, end = _seconds(row["time_start"]), _seconds(row["time_end"])
    if not 0 <= start < end:
        raise ValueError(f"the clip goes from second {start} to {end}")
    clip_id = f"{name}_{start:06d}_{end:06d}"
    return OfficialClip(clip_id, f"{own.name}/{clip_id}.mp4", own.label, {"split": split}, short_name=name)


def _seconds(text: str) -> int:
    try:
        return round(float(text))
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is not a time in seconds") from None
