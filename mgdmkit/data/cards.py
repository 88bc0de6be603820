"""The datasets of the paper as `data_manifests/` describes them: their classes, and a card with counts and sources."""

import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from mgdmkit.config import check_choice
from mgdmkit.data.corpus import normalise
from mgdmkit.data.tables import read_rows, read_text
from mgdmkit.resources import resource

DATASETS = ("ucf101", "hmdb51", "kinetics400")
DATA_MANIFESTS = resource("data_manifests")
REINSTALL = "install it again (in a checkout: `pip install -e .`)"


class DatasetClass(NamedTuple):
    """A row of a `classes.csv`."""

    index: int
    """Place in the dataset's own order, from 0."""
    label: str
    """The text that goes into the prompt: "apply eye makeup"."""
    name: str
    """What the dataset's files and folders call it: "ApplyEyeMakeup"."""


def dataset_file(dataset: str, name: str) -> Path:
    """The path of `data_manifests/<dataset>/<name>`; `ValueError` for an unknown dataset."""
    check_choice("dataset", dataset, DATASETS)
    return DATA_MANIFESTS / dataset / name


@cache
def dataset_classes(dataset: str) -> tuple[DatasetClass, ...]:
    """The classes of "ucf101", "hmdb51" or "kinetics400" in the dataset's own order.

    Class indices of a manifest follow its sorted labels instead (`Manifest.classes`), so go by the label, not by
    the index: lists of one dataset in two orders are how clips come by their neighbour's label.
    """
    rows = read_rows(dataset_file(dataset, "classes.csv"), DatasetClass._fields, REINSTALL)
    return tuple(DatasetClass(int(row["index"]), row["label"], row["name"]) for _, row in rows)


@cache
def classes_by_spelling(dataset: str) -> dict[str, DatasetClass]:
    """`normalise(name)` -> class: finds "brush hair", "brush_hair" and "BrushHair" alike."""
    return {normalise(row.name): row for row in dataset_classes(dataset)}


def dataset_card(dataset: str) -> dict[str, Any]:
    """`card.json`: title, page, terms, how to get it, counts, split rule, layouts."""
    return json.loads(read_text(dataset_file(dataset, "card.json"), REINSTALL))
