"""Makes the class lists and UCF101's manifest anew, from the official files and from torchvision's metadata.

python data_manifests/build.py --ucf101-annotations ucfTrainTestlist [--out data_manifests]

HMDB51's class list is kept by hand: its 51 names are the folders of its archive, in alphabetical order.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from mgdmkit.data.corpus import label_text, write_rows


def write_classes(folder: Path, names: Sequence[str], labels: Sequence[str]) -> None:
    rows = [(index, label, name) for index, (label, name) in enumerate(zip(labels, names, strict=True))]
    write_rows(folder / "classes.csv", ("index", "label", "name"), rows)


def build_ucf101(annotations: Path, out: Path) -> None:
    lines = (annotations / "classInd.txt").read_text(encoding="utf-8").split("\n")
    names = [line.split()[1] for line in lines if line.strip()]
    write_classes(out / "ucf101", names, [label_text(name) for name in names])

    from mgdmkit.data.ucf101 import ucf101_clips

    clips = ucf101_clips(annotations).clips
    columns = ("split1", "split2", "split3")
    rows = [(clip.id, clip.path, clip.label, *(clip.splits[column] for column in columns)) for clip in clips]
    write_rows(out / "ucf101" / "manifest.csv", ("id", "path", "label", *columns), rows)


def build_kinetics400(out: Path) -> None:
    from torchvision.models.video import MViT_V1_B_Weights

    names = MViT_V1_B_Weights.KINETICS400_V1.meta["categories"]
    write_classes(out / "kinetics400", names, names)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ucf101-annotations", type=Path, required=True, help="folder with classInd.txt")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    arguments = parser.parse_args()
    build_ucf101(arguments.ucf101_annotations, arguments.out)
    build_kinetics400(arguments.out)
