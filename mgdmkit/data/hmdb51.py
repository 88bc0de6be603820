"""HMDB51's official split files: 153 of them, `<class>_test_split<1|2|3>.txt`, a `name.avi 0|1|2` a line.

1 is train, 2 is test, and 0 a clip that the split leaves out. The class comes from the file's name alone: the label
lists that circulate have kick before or behind kick_ball, and sword and sword_exercise likewise.
"""

import re
from pathlib import Path
from typing import Literal

from mgdmkit.data.cards import dataset_classes
from mgdmkit.data.manifest import UNUSED, ManifestError
from mgdmkit.data.official import NUMBERS, OfficialClips, official_lists, read_lines, three_splits

SPLIT_OF_TAG = {"0": UNUSED, "1": "train", "2": "test"}


def hmdb51_clips(annotations: Path, label_style: Literal["words", "raw"] = "words") -> OfficialClips:
    """HMDB51's 6,766 clips in all three splits, in the order of the classes and of their names.

    Args:
        annotations: the folder of the official split files.
        label_style: "words" gives "kick ball", "raw" "kick_ball".
    Raises:
        FileNotFoundError: split files are missing.
        ManifestError: a file that is cut off or altered; the message names file and line.
    """
    names = [row.name for row in dataset_classes("hmdb51")]
    wanted = {f"{name}_test_split{number}.txt": (name, number) for name in names for number in NUMBERS}
    files = official_lists(annotations, "hmdb51", wanted)
    matches = (re.fullmatch(r"(.+)_test_split[123]\.txt", file) for file in files)
    if unknown := sorted({match[1] for match in matches if match} - set(names)):
        raise ManifestError(f"{annotations} has split files of {unknown[0]!r}, which is no class of HMDB51")
    lines = ((*entry, where, line) for file, entry in wanted.items() for where, line in read_lines(files[file]))
    return three_splits("hmdb51", annotations, (_listed(*line) for line in lines), label_style)


def _listed(name: str, number: int, where: str, line: str) -> tuple[str, int, str, str]:
    clip, _, tag = line.rpartition(" ")
    if not clip.strip() or tag not in SPLIT_OF_TAG:
        raise ManifestError(f"{where}: {line!r} is not of the form 'name.avi 0|1|2'")
    return f"{name}/{clip.strip()}", number, SPLIT_OF_TAG[tag], where
