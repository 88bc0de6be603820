"""UCF101's official lists, and the rule that they follow.

`classInd.txt` has `1 ApplyEyeMakeup` a line, `trainlist01.txt` `ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1`, and
`testlist01.txt` the same without the number; likewise 02 and 03.
"""

import csv
import re
from pathlib import Path
from typing import Literal

from mgdmkit.config import check_choice
from mgdmkit.data.cards import classes_by_spelling, dataset_classes, dataset_file
from mgdmkit.data.corpus import normalise
from mgdmkit.data.manifest import ManifestError
from mgdmkit.data.official import OfficialClip, OfficialClips, annotation_files, check_counts, read_lines

NUMBERS = (1, 2, 3)
_CLIP = re.compile(r"(?P<folder>[^/]+)/(?P<id>v_(?P<name>\w+)_g(?P<group>\d\d)_c\d\d)\.avi")


def group_split(group: int, number: int) -> Literal["train", "test"]:
    """Official split `number` (1-3) of a clip of `group` (1-25): groups 7(s-1)+1 to 7s are tested in split s."""
    return "test" if 7 * (number - 1) < group <= 7 * number else "train"


def ucf101_clips(annotations: Path | None = None, label_style: Literal["words", "raw"] = "words") -> OfficialClips:
    """UCF101's 13,320 clips in all three splits, in the order of the classes and of their names.

    Args:
        annotations: the folder of the official lists; None takes the kit's own copy of what they say.
        label_style: "words" gives "apply eye makeup", "raw" "ApplyEyeMakeup".
    Raises:
        FileNotFoundError: a list is missing.
        ManifestError: a list that is cut off or altered; the message names file and line.
    """
    check_choice("label_style", label_style, ("words", "raw"))
    if annotations is None:
        where = dataset_file("ucf101", "manifest.csv")
        with where.open(encoding="utf-8", newline="") as file:
            splits = {row["path"]: {f"split{n}": row[f"split{n}"] for n in NUMBERS} for row in csv.DictReader(file)}
    else:
        where = Path(annotations)
        splits = _read_lists(where)
    classes = {row.name: row for row in dataset_classes("ucf101")}
    clips = []
    for path in sorted(splits, key=lambda path: (classes[path.partition("/")[0]].index, path)):
        own = classes[path.partition("/")[0]]
        label = own.label if label_style == "words" else own.name
        clips.append(OfficialClip(Path(path).stem, path, label, splits[path]))
    official = OfficialClips("ucf101", clips)
    check_counts(official, where)
    return official


def _read_lists(annotations: Path) -> dict[str, dict[str, str]]:
    """Class/clip.avi -> {"split1": "train", ...}; every line is checked against class list and group rule."""
    files = {file.name: file for file in annotation_files(annotations, "ucf101")}
    lists = {(split, n): f"{split}list0{n}.txt" for split in ("train", "test") for n in NUMBERS}
    if missing := [name for name in ("classInd.txt", *lists.values()) if name not in files]:
        raise FileNotFoundError(f"{annotations} lacks {', '.join(missing)} of UCF101's official lists")
    _check_classes(files["classInd.txt"])
    splits: dict[str, dict[str, str]] = {}
    for (split, number), name in lists.items():
        for at, line in read_lines(files[name]):
            path, problem = _check_line(line, split, number)
            column = f"split{number}"
            if not problem and column in splits.get(path, {}):
                problem = f"is in the {splits[path][column]} list of {column} already"
            if problem:
                raise ManifestError(f"{files[name]}, line {at}: {line!r} {problem}")
            splits.setdefault(path, {})[column] = split
    columns = [f"split{number}" for number in NUMBERS]
    for path, own in splits.items():
        if absent := [column for column in columns if column not in own]:
            raise ManifestError(f"{annotations}: {path} is in no list of {absent[0]}")
    return {path: {column: own[column] for column in columns} for path, own in splits.items()}


def _check_classes(file: Path) -> None:
    lines = [line.split() for _, line in read_lines(file)]
    expected = [[str(row.index + 1), row.name] for row in dataset_classes("ucf101")]
    if lines != expected:
        wrong = next((line for line, own in zip(lines, expected, strict=False) if line != own), "their number")
        raise ManifestError(f"{file} is not UCF101's class list: {len(lines)} classes, first difference {wrong}")


def _check_line(line: str, split: str, number: int) -> tuple[str, str]:
    """The clip of a line, and what is wrong with the line ("" for nothing)."""
    path, *rest = line.split()
    match = _CLIP.fullmatch(path)
    if not match:
        return path, "is not of the form Class/v_Class_g01_c01.avi"
    # The folder HandstandPushups holds v_HandStandPushups: names are compared without case.
    own = classes_by_spelling("ucf101").get(normalise(match["folder"]))
    if own is None or own.name != match["folder"]:
        return path, "names a class that is not in classInd.txt"
    if normalise(match["name"]) != normalise(own.name):
        return path, f"is in the folder of another class, {own.name}"
    if rest and rest != [str(own.index + 1)]:
        return path, f"has the number {' '.join(rest)}, but classInd.txt gives {own.index + 1} to {own.name}"
    if split != group_split(int(match["group"]), number):
        return path, f"belongs to the other list: split {number} tests groups {7 * number - 6} to {7 * number}"
    return path, ""
