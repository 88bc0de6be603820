"""The videos that a table is filled from: which dataset they are, and whether they are all of it.

They come as a manifest, or as a folder of features, which is enough where CLIP stays frozen.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from mgdmkit.clip.features import read_recipe
from mgdmkit.config import check_choice
from mgdmkit.data.cards import DATASETS, dataset_card, dataset_classes
from mgdmkit.data.corpus import normalise
from mgdmkit.data.manifest import Manifest, ManifestError, official_splits, read_manifest, take_official_split

PAPER_KINETICS = {"train": 234_619, "val": 19_761}
"""Clips of the paper's copy of Kinetics-400; every copy has lost others. HMDB51's and UCF101's are in their cards."""


@dataclass(frozen=True)
class Source:
    """The clips of one dataset, or of a part of it."""

    path: Path
    """A manifest, or a folder made by `mgdm features`."""
    dataset: str
    table: pd.DataFrame
    """N rows: id, label, and split, which is that of the official split in force."""
    classes: tuple[str, ...]
    official_split: int | None
    """None where the clips have a single split."""

    @property
    def is_features(self) -> bool:
        return self.path.is_dir()

    def manifest(self, split: str | None = None) -> Manifest:
        """The clips of a split, or all; only for a source that is a manifest."""
        return read_manifest(self.path, split, official_split=self.official_split)

    def count(self, split: str) -> int:
        """Clips of a split."""
        return int((self.table["split"] == split).sum())

    def check_splits(self, scored: str) -> None:
        """`ManifestError` when there is nothing to train on or nothing to score."""
        for split in ("train", scored):
            if not self.count(split):
                held = ", ".join(sorted(set(self.table["split"])))
                raise ManifestError(
                    f"{self.path} has no clip in split {split!r}, which the recipe needs; it has {held}"
                )

    def unlike_the_paper(self, scored: str) -> str:
        """What is missing or other than in the paper, "" for nothing; then scores aren't comparable."""
        expected = expected_clips(self.dataset, self.official_split)
        found = [f"{self.count(split):,} of {expected[split]:,} {split} clips" for split in ("train", scored)]
        differ = any(self.count(split) != expected[split] for split in ("train", scored))
        all_classes = len(dataset_classes(self.dataset))
        if not differ and len(self.classes) == all_classes:
            return ""
        return ", ".join([*found, f"{len(self.classes)} of {all_classes} classes"])


def expected_clips(dataset: str, official_split: int | None = None) -> dict[str, int]:
    """Clips of each split in the whole dataset; Kinetics-400's as the paper counts them."""
    if dataset == "kinetics400":
        return PAPER_KINETICS
    return dataset_card(dataset)["splits"][f"split{official_split or 1}"]


def open_source(path: Path, dataset: str | None = None, official_split: int | None = None) -> Source:
    """Read a manifest or the list of a feature folder; no video and no feature is opened.

    Args:
        dataset: what it should be; None: what its labels say.
        official_split: which of split1, split2, split3; None takes the first, where there are such.
    Raises:
        FileNotFoundError: with the command that makes the manifest of this dataset.
        ManifestError, FolderError: as `read_manifest` and `load_features`.
        ValueError: for labels that are not the dataset's, or of more than one dataset.
    """
    if not path.exists():
        command = manifest_command(dataset, path)
        raise FileNotFoundError(f"no manifest and no features at {path}; make a manifest with `{command}`")
    if path.is_dir():
        classes = tuple(read_recipe(path)["classes"])
        table = pd.read_csv(path / "clips.csv", dtype=str, keep_default_na=False)
    else:
        manifest = read_manifest(path)
        table, classes = manifest.table, manifest.classes
    if official_split is None and "split1" in official_splits(list(table)):
        official_split = 1
    table = take_official_split(table, official_split, path)
    return Source(path, dataset_of(classes, path, dataset), table, classes, official_split)


def open_sources(path: Path, dataset: str | None, splits: Sequence[int]) -> list[Source]:
    """`open_source` in each of the official splits, read once; for a dataset without such, as Kinetics-400, as it is.

    Args:
        splits: none for the first, as `open_source`.
    """
    source = open_source(path, dataset)
    if not splits or "split1" not in dataset_card(source.dataset)["splits"]:
        return [source]
    tables = {split: take_official_split(source.table, split, path) for split in splits}
    return [replace(source, table=table, official_split=split) for split, table in tables.items()]


def manifest_command(dataset: str | None, path: Path | None) -> str:
    """What makes a manifest from the videos and the official annotation files."""
    return f"mgdm manifest {dataset or '|'.join(DATASETS)} --videos DIR --annotations DIR --out {path or 'FILE'}"


def dataset_of(classes: Sequence[str], where: Path, wanted: str | None = None) -> str:
    """The dataset that all labels belong to, whatever their case, spaces and punctuation; errors as `open_source`."""
    if wanted:
        check_choice("dataset", wanted, DATASETS)
        if foreign := [label for label in classes if normalise(label) not in _spellings(wanted)]:
            title = dataset_card(wanted)["title"]
            raise ValueError(
                f"{where}: {foreign[0]!r} ({len(foreign)} of {len(classes)} labels) is no class of {title}; "
                f"make its manifest with `mgdm manifest {wanted}`"
            )
        return wanted
    fitting = [name for name in DATASETS if all(normalise(label) in _spellings(name) for label in classes)]
    if len(fitting) == 1:
        return fitting[0]
    which = f"those of {' and of '.join(fitting)}" if fitting else f"not all of one of {', '.join(DATASETS)}"
    hint = "say which with --datasets" if fitting else f"make its manifest with `mgdm manifest {'|'.join(DATASETS)}`"
    raise ValueError(f"{where}: its labels are {which}; {hint}")


def _spellings(dataset: str) -> set[str]:
    return {normalise(text) for row in dataset_classes(dataset) for text in (row.label, row.name)}
