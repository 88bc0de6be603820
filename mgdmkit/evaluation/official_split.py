"""Which official split a run was trained on, and so which it may be tested on.

UCF101 and HMDB51 have three official splits of the same clips: what one of them tests, the others mostly train on. A
run keeps the number of its split in `config.json`.
"""

from pathlib import Path

import pandas as pd

from mgdmkit.data.manifest import official_splits
from mgdmkit.runs.trained import read_run


def split_in_force(clips: pd.DataFrame) -> int | None:
    """The number of the official split that the column `split` of some clips repeats; None: it is another one."""
    same = (column for column in official_splits(list(clips)) if clips[column].equals(clips["split"]))
    return next((int(column.removeprefix("split")) for column in same), None)


def split_to_score(run: Path, clips: pd.DataFrame, asked: int | None = None) -> int | None:
    """The official split to test a run on: its own; None for `split` as the clips have it.

    Args:
        clips: rows of a manifest or of features. Without official splits they are taken as they are: those of another
            dataset may have none.
        asked: what the user wants.
    Raises:
        ValueError: when that is not the run's own.
    """
    trained = read_run(run)["official_split"]
    if asked not in (None, trained):
        own = f"official split {trained}" if trained else "the column split of its clips, which is no official split"
        raise ValueError(
            f"{run} was trained on {own}; official split {asked} would test it on clips that it was trained on: leave "
            f"--official-split out, or train another run with it"
        )
    return trained if official_splits(list(clips)) else asked
