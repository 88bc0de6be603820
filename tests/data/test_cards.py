"""What `data_manifests/` says of the paper's datasets, and that the committed script makes it."""

import filecmp
import json
import runpy
import sys
from pathlib import Path

import pytest

import mgdmkit.data.cards
from mgdmkit.data.cards import DATA_MANIFESTS, DATASETS, dataset_card, dataset_classes
from mgdmkit.data.corpus import label_text, normalise
from mgdmkit.data.manifest import read_manifest

COUNTS = {"ucf101": 101, "hmdb51": 51, "kinetics400": 400}


@pytest.mark.parametrize("dataset", DATASETS)
def test_classes_are_numbered_and_can_be_told_apart(dataset):
    classes = dataset_classes(dataset)
    assert len(classes) == COUNTS[dataset] == dataset_card(dataset)["classes"]
    assert [row.index for row in classes] == list(range(len(classes)))
    assert [row.name for row in classes] == sorted((row.name for row in classes), key=str.lower)
    assert len({normalise(row.name) for row in classes}) == len(classes)
    for row in classes:
        assert normalise(row.label) == normalise(row.name), "a label spells its class"
        assert row.label == (row.name if dataset == "kinetics400" else label_text(row.name))


def test_labels_that_a_rule_gets_wrong_easily():
    ucf = {row.name: row.label for row in dataset_classes("ucf101")}
    odd = {
        "YoYo": "yo yo",
        "TaiChi": "tai chi",
        "JumpingJack": "jumping jack",
        "HandstandPushups": "handstand pushups",
        "BodyWeightSquats": "body weight squats",
        "CleanAndJerk": "clean and jerk",
        "Shotput": "shotput",
    }
    assert {name: ucf[name] for name in odd} == odd
    hmdb = [row.label for row in dataset_classes("hmdb51")]
    assert hmdb.index("kick") + 1 == hmdb.index("kick ball") and hmdb.index("sword") + 1 == hmdb.index("sword exercise")
    kinetics = [row.label for row in dataset_classes("kinetics400")]
    assert "passing American football (not in game)" in kinetics and "massaging person's head" in kinetics


@pytest.mark.parametrize("dataset", DATASETS)
def test_cards_say_where_from_and_on_what_terms(dataset):
    card = dataset_card(dataset)
    assert card["page"].startswith("https://") and card["terms"] and card["get"] and card["layouts"]
    for counts in card["splits"].values() if card["clips"] else ():
        assert sum(counts.values()) == card["clips"]


def test_unknown_and_absent(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match=r"dataset='ucf' is not an option; choose one of 'ucf101'"):
        dataset_classes("ucf")
    monkeypatch.setattr(mgdmkit.data.cards, "DATA_MANIFESTS", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no file at .*ucf101.card\.json; .*pip install -e"):
        dataset_card("ucf101")


def test_the_script_makes_what_is_committed(shared_data, tmp_path, monkeypatch):
    script, lists = str(DATA_MANIFESTS / "build.py"), str(shared_data / "ucf101_official")
    monkeypatch.setattr(sys, "argv", [script, "--ucf101-annotations", lists, "--out", str(tmp_path)])
    runpy.run_path(script, run_name="__main__")
    made = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.csv"))
    assert made == [Path(name) for name in ("kinetics400/classes.csv", "ucf101/classes.csv", "ucf101/manifest.csv")]
    for path in made:
        assert filecmp.cmp(tmp_path / path, DATA_MANIFESTS / path, shallow=False), path


def test_ucf101s_manifest_can_be_read_as_any_of_its_splits():
    path = DATA_MANIFESTS / "ucf101" / "manifest.csv"
    card = json.loads((path.parent / "card.json").read_text(encoding="utf-8"))
    for number in (1, 2, 3):
        manifest = read_manifest(path, official_split=number)
        assert manifest.table["split"].value_counts().to_dict() == card["splits"][f"split{number}"]
        assert len(manifest.classes) == 101
