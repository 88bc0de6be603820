"""The videos that a table is filled from: which dataset they are, and whether they are all of it.

They come as a manifest, or as a folder of features, which is enough where CLIP stays frozen.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from mgdmkit.clip.features import Features, read_clips, read_recipe
from mgdmkit.data.cards import DATASETS, classes_by_spelling, dataset_card, dataset_classes
from mgdmkit.data.corpus import normalise
from mgdmkit.data.manifest import Manifest, ManifestError, official_splits, read_manifest, take_official_split

PAPER_KINETICS = {"train": 234_619, "val": 19_761}
"""Clips of the paper's copy of Kinetics-400; every copy has lost others. HMDB51's and UCF101's are in their cards."""


@dataclass(frozen=True)
class Source:
    """The clips of one dataset, or of a part of it."""

    path: Path | None
    """A manifest, or a folder made by `mgdm features`; perhaps not there, see `whole_dataset`."""
    dataset: str
    table: pd.DataFrame
    """N rows: id, label, and split, which is that of the official split in force."""
    classes: tuple[str, ...]
    official_split: int | None
    """None where the clips have a single split."""

    @property
    def is_features(self) -> bool:
        return self.path is not None and self.path.is_dir()

    @property
    def absent(self) -> bool:
        return self.path is None or not self.path.exists()

    def manifest(self, split: str | None = None) -> Manifest:
        """The clips of a split, or all; only for a source that is a manifest."""
        return read_manifest(self.path, split, official_split=self.official_split)

    def features_folder(self, root: Path) -> Path:
        """Where its features are, or will be made, if what is made of it lies under `root`."""
        return self.path if self.is_features else root / "features"

    def in_force(self, features: Features) -> Features:
        """The features of all its clips with `split` as the official split in force has it."""
        return replace(features, clips=features.clips.assign(split=list(self.table["split"])))

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
        counts = {f"{split} clips": (self.count(split), expected[split]) for split in ("train", scored)}
        counts["classes"] = len(self.classes), len(dataset_classes(self.dataset))
        if all(found == wanted for found, wanted in counts.values()):
            return ""
        return ", ".join(f"{found:,} of {wanted:,} {name}" for name, (found, wanted) in counts.items())


def expected_clips(dataset: str, official_split: int | None = None) -> dict[str, int]:
    """Clips of each split in the whole dataset; Kinetics-400's as the paper counts them."""
    if dataset == "kinetics400":
        return PAPER_KINETICS
    return dataset_card(dataset)["splits"][f"split{official_split or 1}"]


def open_sources(path: Path, dataset: str | None = None, splits: Iterable[int] = ()) -> list[Source]:
    """Read a manifest or the list of a feature folder, once for each official split; no video or feature is opened.

    Args:
        dataset: what it should be; None: what its labels say.
        splits: which of split1, split2, split3; the first when empty. A dataset without such, as Kinetics-400, is
            taken as it is.
    Raises:
        FileNotFoundError: with the command that makes the manifest of this dataset.
        ManifestError, FolderError: as `read_manifest` and `read_clips`.
        ValueError: for labels that are not the dataset's, or of more than one dataset.
    """
    if not path.exists():
        command = manifest_command(dataset, path)
        raise FileNotFoundError(f"no manifest and no features at {path}; make a manifest with `{command}`")
    if path.is_dir():
        table, classes = read_clips(path), tuple(read_recipe(path)["classes"])
    else:
        manifest = read_manifest(path)
        table, classes = manifest.table, manifest.classes
    dataset = dataset_of(classes, path, dataset)
    numbers: Iterable[int | None] = splits
    if not splits or "split1" not in dataset_card(dataset)["splits"]:
        numbers = (1 if "split1" in official_splits(list(table)) else None,)
    return [Source(path, dataset, take_official_split(table, number, path), classes, number) for number in numbers]


def whole_dataset(dataset: str, path: Path | None = None) -> Source:
    """A dataset that is not there, to be planned with: all its clips, by their splits alone.

    Args:
        path: where its manifest was looked for.
    """
    splits = [split for split, n in expected_clips(dataset).items() for _ in range(n)]
    table = pd.DataFrame({"split": splits})
    return Source(path, dataset, table, tuple(row.label for row in dataset_classes(dataset)), None)


def manifest_command(dataset: str | None, path: Path | None) -> str:
    """What makes a manifest from the videos and the official annotation files."""
    return f"mgdm manifest {dataset or '|'.join(DATASETS)} --videos DIR --annotations DIR --out {path or 'FILE'}"


def dataset_of(classes: Sequence[str], where: Path, wanted: str | None = None) -> str:
    """The dataset that all labels belong to, whatever their case, spaces and punctuation; errors as `open_sources`."""
    foreign = {
        name: [label for label in classes if normalise(label) not in classes_by_spelling(name)]
        for name in ([wanted] if wanted else DATASETS)
    }
    fitting = [name for name, labels in foreign.items() if not labels]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise ValueError(f"{where}: its labels are those of {' and of '.join(fitting)}; say which with --datasets")
    told = "; ".join(
        f"{labels[0]!r} ({len(labels)} of {len(classes)} labels) is no class of {dataset_card(name)['title']}"
        for name, labels in foreign.items()
    )
    raise ValueError(f"{where}: {told}; make its manifest with `mgdm manifest {'|'.join(foreign)}`")
