"""`mgdm manifest ...`: tables of clips, from a folder, from official lists, or from your own table."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from mgdmkit.cli.shared import OfficialSplit, done

app = tyro.extras.SubcommandApp()
Probe = Annotated[
    bool, tyro.conf.arg(help="Decode every file whole: what is damaged is then treated as what is empty or missing.")
]
Threads = Annotated[int | None, tyro.conf.arg(help="Threads that decode; one per core, at most 16, when not given.")]


@dataclass(frozen=True)
class Split:
    """How clips without official lists are split; named as `manifest_from_folder` has it."""

    val_fraction: float = 0.0  # Share of each class for validation, when no lists are given.
    test_fraction: float = 0.25  # Share of each class for testing, when no lists are given.
    group_regex: str | None = None
    """Clips whose names have the same text in this pattern's first group stay on one side of the split, as with
    '_g([0-9]+)_' for UCF101."""
    train_list: Path | None = None
    """A file of training clips, instead of a random split: one Class/clip.avi per line, with or without a label."""
    val_list: Path | None = None  # A file of validation clips.
    test_list: Path | None = None  # A file of test clips.
    seed: int = 0  # Seeds the random split.


@app.command
def folder(
    videos: Path,
    out: Path,
    split: Annotated[Split, tyro.conf.arg(name="")],
    labels: Literal["words", "raw"] = "words",
    probe: Probe = False,
    workers: Threads = None,
) -> None:
    """Make a manifest of a folder that holds a folder of clips per class (or train/ val/ test/ above them).

    Args:
        videos: The folder of class folders.
        out: The manifest to write, a CSV with id, path, label and split.
        labels: Label from the folder's name: split into words ("ApplyEyeMakeup" -> "apply eye makeup"), or raw.
    """
    from mgdmkit.data.check import save_checked
    from mgdmkit.data.folder import manifest_from_folder

    checked = manifest_from_folder(videos, label_style=labels, probe=probe, workers=workers, **asdict(split))
    save_checked(out, checked, {"videos": str(videos.resolve())})
    print(checked.summary)
    _tell_lists(out)
    weights = ("--clip", "ViT-B-32", "--pretrained", "openai")
    done("manifest", out, "features", "--manifest", out, *weights, "--out", out.parent / "features")


def _tell_lists(out: Path) -> None:
    """Where clips that are left out, or have a copy, are listed, if there are any."""
    from mgdmkit.data.check import beside

    for what, name in (("left out", "missing.csv"), ("copies", "copies.csv")):
        if beside(out, name).is_file():
            print(f"all {what}: {beside(out, name)}")


@dataclass(frozen=True)
class Copy:
    """A copy of a dataset with official lists, and its manifest."""

    videos: Path  # The unpacked videos, in folders or all in one.
    out: Path  # The manifest to write, a CSV with id, path, label, the official splits if there are several, and split.
    probe: Probe = False
    workers: Threads = None

    def write(self, official, official_split: int = 1) -> None:
        from mgdmkit.data.official import build_manifest, summary

        how = {"official_split": official_split, "probe": self.probe, "workers": self.workers}
        checked = build_manifest(official, self.videos, self.out, **how)
        print(summary(official, checked, self.out))
        _tell_lists(self.out)
        done("manifest", self.out)


@dataclass(frozen=True)
class SplitCopy(Copy):
    """A copy of a dataset with three official splits, whose class names are written as one word."""

    labels: Literal["words", "raw"] = "words"  # Class names as words ("ApplyEyeMakeup" -> "apply eye makeup"), or raw.
    official_split: Literal[1, 2, 3] = 1  # Which of the three is written as split; all three are kept.


@app.command
def ucf101(copy: Annotated[SplitCopy, tyro.conf.arg(name="")], annotations: Path | None = None) -> None:
    """Make the manifest of UCF101 from its official lists; clips that are not there are listed beside it.

    The videos lie as Class/v_Class_g01_c01.avi, or all in one folder.

    Args:
        annotations: The unpacked official lists, classInd.txt and the rest; without them, the kit's copy of them.
    """
    from mgdmkit.data.ucf101 import ucf101_clips

    copy.write(ucf101_clips(annotations, copy.labels), copy.official_split)


@app.command
def hmdb51(copy: Annotated[SplitCopy, tyro.conf.arg(name="")], annotations: Path) -> None:
    """Make the manifest of HMDB51 from its official split files; clips that are not there are listed beside it.

    The videos lie as class_name/clip.avi, or all in one folder.

    Args:
        annotations: The unpacked split files, class_name_test_split1.txt and so on, 153 of them.
    """
    from mgdmkit.data.hmdb51 import hmdb51_clips

    copy.write(hmdb51_clips(annotations, copy.labels), copy.official_split)


@app.command
def kinetics400(copy: Annotated[Copy, tyro.conf.arg(name="")], annotations: Path) -> None:
    """Make the manifest of a copy of Kinetics-400 from its CSV files; clips that are not there are listed beside it.

    The videos lie flat or in a folder per class, as id.mp4 or id_000001_000011.mp4.

    Args:
        annotations: Folder of train.csv, val.csv or validate.csv, and test.csv if wanted.
    """
    from mgdmkit.data.kinetics400 import kinetics400_clips

    copy.write(kinetics400_clips(annotations))


@app.command(name="csv")
def csv_(
    manifest: Path,
    out: Path | None = None,
    official_split: OfficialSplit = None,
    probe: Probe = False,
    workers: Threads = None,
) -> None:
    """Check a manifest, written by you or by `mgdm`: its columns, its entries, and whether its clips are there.

    Args:
        manifest: A CSV with id, path (relative to it, or absolute), label and split (train, val, test, unused).
        out: Write the usable clips as a manifest here, and list the others beside it; without it, one clip that is
            missing or damaged is an error.
    """
    from mgdmkit.data.check import check_manifest

    checked = check_manifest(manifest, out, official_split=official_split, probe=probe, workers=workers)
    print(checked.summary)
    if out:
        _tell_lists(out)
    done("manifest", out or manifest)
