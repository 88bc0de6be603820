"""UCF101's official lists, and the rule that they follow.

`classInd.txt` has `1 ApplyEyeMakeup` a line, `trainlist01.txt` `ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1`, and
`testlist01.txt` the same without the number; likewise 02 and 03.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from mgdmkit.data.cards import REINSTALL, classes_by_spelling, dataset_classes, dataset_file
from mgdmkit.data.corpus import normalise
from mgdmkit.data.manifest import ManifestError
from mgdmkit.data.official import NUMBERS, OfficialClips, official_lists, read_lines, three_splits
from mgdmkit.data.tables import read_rows

LISTS = {f"{split}list0{number}.txt": (split, number) for split in ("train", "test") for number in NUMBERS}
_CLIP = re.compile(r"(?P<folder>[^/]+)/v_(?P<name>\w+)_g(?P<group>\d\d)_c\d\d\.avi")


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
    if annotations is None:
        copy = dataset_file("ucf101", "manifest.csv")
        rows = read_rows(copy, ("path", "split1", "split2", "split3"), REINSTALL)
        listed = ((row["path"], n, row[f"split{n}"], f"{copy}, line {line}") for line, row in rows for n in NUMBERS)
        return three_splits("ucf101", copy, listed, label_style)
    files = official_lists(annotations, "ucf101", ("classInd.txt", *LISTS))
    _check_classes(files["classInd.txt"])
    return three_splits("ucf101", annotations, _listed(files), label_style)


def _listed(files: Mapping[str, Path]) -> Iterator[tuple[str, int, str, str]]:
    for name, (split, number) in LISTS.items():
        for where, line in read_lines(files[name]):
            if problem := _problem(line, split, number):
                raise ManifestError(f"{where}: {line!r} {problem}")
            yield line.split()[0], number, split, where


def _check_classes(file: Path) -> None:
    lines = [line.split() for _, line in read_lines(file)]
    expected = [[str(row.index + 1), row.name] for row in dataset_classes("ucf101")]
    if lines != expected:
        wrong = next((line for line, own in zip(lines, expected, strict=False) if line != own), "their number")
        raise ManifestError(f"{file} is not UCF101's class list: {len(lines)} classes, first difference {wrong}")


def _problem(line: str, split: str, number: int) -> str:
    """What the class list and the rule of the groups have against a line; "" for nothing."""
    path, *rest = line.split()
    match = _CLIP.fullmatch(path)
    if not match:
        return "is not of the form Class/v_Class_g01_c01.avi"
    # The folder HandstandPushups holds v_HandStandPushups: names are compared without case.
    own = classes_by_spelling("ucf101").get(normalise(match["folder"]))
    if own is None or own.name != match["folder"]:
        return "names a class that is not in classInd.txt"
    if normalise(match["name"]) != normalise(own.name):
        return f"is in the folder of another class, {own.name}"
    if rest and rest != [str(own.index + 1)]:
        return f"has the number {' '.join(rest)}, but classInd.txt gives {own.index + 1} to {own.name}"
    if split != group_split(int(match["group"]), number):
        return f"belongs to the other list: split {number} tests groups {7 * number - 6} to {7 * number}"
    return ""
