"""HMDB51's official split files: 153 of them, `<class>_test_split<1|2|3>.txt`, a `name.avi 0|1|2` a line.

1 is train, 2 is test, and 0 a clip that the split leaves out. The class comes from the file's name alone: the label
lists that circulate have kick before or behind kick_ball, and sword and sword_exercise likewise.
"""

import re
from collections import Counter
from pathlib import Path
from typing import Literal

from mgdmkit.config import check_choice
from mgdmkit.data.cards import dataset_classes
from mgdmkit.data.manifest import UNUSED, ManifestError
from mgdmkit.data.official import OfficialClip, OfficialClips, annotation_files, check_counts, read_lines

NUMBERS = (1, 2, 3)
SPLIT_OF_TAG = {"0": UNUSED, "1": "train", "2": "test"}
_FILE = re.compile(r"(?P<name>.+)_test_split(?P<number>[123])\.txt")


def hmdb51_clips(annotations: Path, label_style: Literal["words", "raw"] = "words") -> OfficialClips:
    """HMDB51's 6,766 clips in all three splits, in the order of the classes and of their names.

    Args:
        annotations: the folder of the official split files.
        label_style: "words" gives "kick ball", "raw" "kick_ball".
    Raises:
        FileNotFoundError: split files are missing.
        ManifestError: a file that is cut off or altered; the message names file and line.
    """
    check_choice("label_style", label_style, ("words", "raw"))
    annotations = Path(annotations)
    files = _split_files(annotations)
    found: list[tuple[str, str, str, dict[str, str]]] = []
    for own in dataset_classes("hmdb51"):
        label = own.label if label_style == "words" else own.name
        for clip, splits in _read_class([files[own.name, number] for number in NUMBERS]).items():
            found.append((own.name, clip, label, splits))
    names = Counter(clip for _, clip, _, _ in found)
    clips = []
    for name, clip, label, splits in found:
        stem = Path(clip).stem
        unique = stem if names[clip] == 1 else f"{name}/{stem}"
        clips.append(OfficialClip(unique, f"{name}/{clip}", label, splits))
    official = OfficialClips("hmdb51", clips)
    check_counts(official, annotations)
    return official


def _split_files(annotations: Path) -> dict[tuple[str, int], Path]:
    """(class name, split) -> file, all 153."""
    matches = [(file, _FILE.fullmatch(file.name)) for file in annotation_files(annotations, "hmdb51")]
    files = {(match["name"], int(match["number"])): file for file, match in matches if match}
    names = [row.name for row in dataset_classes("hmdb51")]
    wanted = [(name, number) for name in names for number in NUMBERS]
    if missing := [key for key in wanted if key not in files]:
        name, number = missing[0]
        raise FileNotFoundError(
            f"{annotations} lacks {len(missing)} of HMDB51's 153 split files, first {name}_test_split{number}.txt; "
            f"unpack test_train_splits.rar there"
        )
    if unknown := sorted(name for name, _ in files if name not in names):
        raise ManifestError(f"{annotations} has split files of {unknown[0]!r}, which is no class of HMDB51")
    return files


def _read_class(files: list[Path]) -> dict[str, dict[str, str]]:
    """Clip -> {"split1": "train", ...}, by name, from the three files of a class."""
    clips: dict[str, dict[str, str]] = {}
    for number, file in zip(NUMBERS, files, strict=True):
        for at, line in read_lines(file):
            clip, _, tag = line.rpartition(" ")
            clip, column = clip.strip(), f"split{number}"
            if not clip or tag not in SPLIT_OF_TAG:
                raise ManifestError(f"{file}, line {at}: {line!r} is not of the form 'name.avi 0|1|2'")
            if column in clips.setdefault(clip, {}):
                raise ManifestError(f"{file}, line {at}: {clip!r} stands there twice")
            clips[clip][column] = SPLIT_OF_TAG[tag]
    for clip, splits in clips.items():
        if len(splits) < len(NUMBERS):
            absent = next(file for number, file in zip(NUMBERS, files, strict=True) if f"split{number}" not in splits)
            raise ManifestError(f"{absent} lacks {clip!r}, which the other splits of its class have")
    return dict(sorted(clips.items()))
