"""HMDB51's official split files at full size: 6,766 clips whose names hold what makes trouble."""

from pathlib import Path

from mgdmkit.data.cards import dataset_classes

NAMES = [row.name for row in dataset_classes("hmdb51")]
TAGS = {0: "unused", 1: "train", 2: "test"}
ODD = ["(Rad)Schlag_die_Bank!", "#20_Rhythm_[1]", "A&B;c's", "50_%d_50", "two  words"]


def clips_of(name: str) -> list[str]:
    """132 or 133 clips, 6,766 in all 51 classes."""
    count = 132 + (NAMES.index(name) < 6766 - 51 * 132)
    return [f"{ODD[i % len(ODD)]}_{name}_f_cm_np1_le_bad_{i}.avi" for i in range(count)]


def tag(i: int, number: int) -> int:
    """70 training clips, then 30 test clips, then unused ones; each split starts elsewhere."""
    place = (i - 40 * number) % 132 if i < 132 else 132
    return 1 if place < 70 else 2 if place < 100 else 0


def write_splits(folder: Path) -> Path:
    """All 153 files below `folder`."""
    lists = folder / "testTrainMulti_7030_splits"
    lists.mkdir()
    for name in NAMES:
        for number in (1, 2, 3):
            # Blanks behind the tags, as in the real files, and no newline at the end.
            lines = [f"{clip} {tag(i, number)} " for i, clip in enumerate(clips_of(name))]
            (lists / f"{name}_test_split{number}.txt").write_text("\n".join(lines))
    return folder
