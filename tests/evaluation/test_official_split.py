"""Official splits from the shell: a run is trained on one of three, remembers it, and is not tested on another."""

import json
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from conftest import write_video
from narrow_clip import narrow_clip  # noqa: F401
from tiny_data import feature_folder

from mgdmkit.cli.main import main
from mgdmkit.clip.features import load_features
from mgdmkit.data.manifest import read_manifest, write_manifest
from mgdmkit.evaluation.official_split import split_in_force
from mgdmkit.evaluation.scores import score
from mgdmkit.inference import predict
from mgdmkit.runs.folder import fingerprint
from mgdmkit.runs.trained import load_model, read_run

# Of each class: the three splits differ in their number of test clips, so that N tells them apart.
SPLITS = {
    "split1": ("train", "train", "train", "train", "test", "test"),
    "split2": ("test", "test", "test", "train", "train", "train"),
    "split3": ("train", "test", "train", "train", "train", "unused"),
}
CLASSES = 6
TESTED = {1: 12, 2: 18, 3: 6}
SHORT = "--k 0 --epochs 1 --warmup-epochs 0 --device cpu"


@pytest.fixture(scope="module")
def ucf(tmp_path_factory) -> Path:
    """Features of 6 classes with 6 clips each in three official splits, of which the first is `split`. Read only."""
    return feature_folder(tmp_path_factory.mktemp("ucf"), "ucf101", CLASSES, SPLITS["split1"], **SPLITS)


@pytest.fixture
def mgdm(monkeypatch, capsys):
    """Runs `mgdm <command>` in this process, each word a text or a path; gives its exit status, lines and errors."""

    def run(command: str, **paths: Path) -> tuple[int, list[str], str]:
        monkeypatch.setattr(sys, "argv", ["mgdm", *(word.format(**paths) for word in command.split())])
        status = 0
        try:
            main()
        except SystemExit as end:
            status = end.code or 0
        out, err = capsys.readouterr()
        return status, out.splitlines(), err

    return run


@pytest.fixture
def train(mgdm, ucf, tmp_path):
    """Trains on features and returns the run's folder."""

    def trained(options: str = "", features: Path = ucf, name: str = "run") -> Path:
        status, _, err = mgdm(
            f"train small --features {{f}} --out {{out}} {SHORT} {options}", f=features, out=tmp_path / name
        )
        assert status == 0, err
        return tmp_path / name

    return trained


def scores_of(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_run_is_trained_and_tested_on_its_own_split(train, mgdm, ucf):
    run = train("--official-split 2")
    assert read_run(run)["official_split"] == 2
    seen = load_features(ucf, 2).split("train")
    data = fingerprint(seen.frame_features, seen.labels[:, None], seen.text_features)
    assert len(seen.clips) == 18 and read_run(run)["data"] == data

    tested = load_features(ucf, 2).split("test")
    expected = score(predict(load_model(run), tested.frame_features, tested.text_features), tested.labels).top1
    for asked in ("", "--official-split 2"):
        status, lines, err = mgdm(f"evaluate --features {{f}} --run {{run}} --device cpu {asked}", f=ucf, run=run)
        assert (status, lines[-1]) == (0, f"scores: {run / 'scores-test.json'}"), err
        found = scores_of(run / "scores-test.json")["top1"]
        assert (found["n"], found["value"]) == (TESTED[2], pytest.approx(expected.value))
        (run / "scores-test.json").unlink()


def test_another_split_is_refused(train, mgdm, ucf, tmp_path):
    run = train("--official-split 2")
    status, _, err = mgdm("evaluate --features {f} --run {run} --official-split 3 --device cpu", f=ucf, run=run)
    assert status == 2 and f"{run} was trained on official split 2; official split 3 would test it on clips" in err
    assert not list(run.glob("scores-*"))
    again = f"train small --features {{f}} --out {{run}} {SHORT} --official-split "
    assert mgdm(again + "2", f=ucf, run=run)[0] == 0, "it is finished, and loaded"
    status, _, err = mgdm(again + "3", f=ucf, run=run)
    assert status == 2 and "official_split is 2 there, 3 here" in err


def test_a_split_that_was_not_asked_for_is_remembered_too(train, mgdm, ucf, tmp_path):
    run = train()
    assert read_run(run)["official_split"] == 1
    moved = feature_folder(tmp_path / "moved", "ucf101", CLASSES, SPLITS["split2"], **SPLITS)  # split is now split 2
    assert mgdm("evaluate --features {f} --run {run} --device cpu", f=moved, run=run)[0] == 0
    assert scores_of(run / "scores-test.json")["top1"]["n"] == TESTED[1]


def test_a_split_of_ones_own_is_no_official_one(train, mgdm, tmp_path):
    own = feature_folder(tmp_path / "own", "ucf101", CLASSES, ("train",) * 5 + ("test",), **SPLITS)
    run = train(features=own)
    assert read_run(run)["official_split"] is None
    assert mgdm("evaluate --features {f} --run {run} --device cpu", f=own, run=run)[0] == 0
    assert scores_of(run / "scores-test.json")["top1"]["n"] == 6
    status, _, err = mgdm("evaluate --features {f} --run {run} --official-split 1", f=own, run=run)
    assert status == 2 and "trained on the column split of its clips, which is no official split" in err


def test_clips_of_another_dataset_need_no_official_splits(train, mgdm, ucf, tmp_path):
    other = feature_folder(tmp_path / "other", "hmdb51", 5)
    run = train("--official-split 3")
    status, lines, _ = mgdm("evaluate --features {f} --run {run} --device cpu", f=other, run=run)
    assert status == 0 and lines[0].startswith(
        "another evaluation than the run's own: none of these 5 classes was trained"
    )
    (path,) = run.glob("scores-*")
    assert path.name.startswith("scores-test-other-") and scores_of(path)["top1"]["n"] == 10
    status, _, err = mgdm("evaluate --features {f} --run {run} --official-split 3", f=other, run=run)
    assert status == 2 and "has no column 'split3' (it has no official splits)" in err


@pytest.mark.parametrize("number", [1, 2, 3])
def test_frozen_clip_has_scores_for_each_split(mgdm, ucf, number):
    status, lines, err = mgdm(f"evaluate --features {{f}} --official-split {number}", f=ucf)
    path = ucf / f"scores-split{number}-test.json"
    assert (status, lines[-1]) == (0, f"scores: {path}"), err
    assert scores_of(path)["top1"]["n"] == TESTED[number]


def test_the_split_in_force():
    clips = pd.DataFrame({"split": ["train", "test"], "split1": ["test", "train"], "split2": ["train", "test"]})
    assert split_in_force(clips) == 2
    assert split_in_force(clips.assign(split=["train", "val"])) is None
    assert split_in_force(clips[["split"]]) is None


@pytest.fixture(scope="module")
def manifest(tmp_path_factory) -> Path:
    """Six clips of two classes; split 1 trains on the first four, split 2 on the last two."""
    folder = tmp_path_factory.mktemp("clips")
    one, two = ["train"] * 4 + ["test"] * 2, ["test"] * 4 + ["train"] * 2
    rows = []
    for i in range(6):
        write_video(folder / f"{i}.mp4", 4 + i)
        row = {"id": str(i), "path": f"{i}.mp4", "label": ("clap", "wave")[i % 2], "split": one[i]}
        rows.append({**row, "split1": one[i], "split2": two[i]})
    return write_manifest(folder / "manifest.csv", rows)


def test_the_small_clip_and_fine_tuning_take_a_split(mgdm, manifest, tmp_path):
    places = {"m": manifest, "clip": tmp_path / "clip", "run": tmp_path / "run"}
    small = "clip --manifest {m} --official-split 2 --out {clip} --steps 1 --batch-size 17 --workers 0 --device cpu"
    status, _, err = mgdm(small, **places)
    assert status == 0, err
    of_split = read_manifest(manifest, "train", official_split=2)
    assert list(of_split.table["id"]) == ["4", "5"]
    assert scores_of(tmp_path / "clip" / "clip_training.json")["stills"] == f"manifest {of_split.fingerprint()}"

    tune = f"finetune small --manifest {{m}} --clip {{clip}} --out {{run}} --frames 2 --workers 0 {SHORT}"
    status, _, err = mgdm(tune + " --official-split 2", **places)
    assert status == 0, err
    made = read_run(tmp_path / "run")
    groups = torch.tensor([[0], [1]])
    assert (made["official_split"], made["data"]) == (2, f"{of_split.fingerprint()}-{fingerprint(groups)}")
    for asked in ("", " --official-split 2"):
        status, _, err = mgdm("evaluate --manifest {m} --run {run} --device cpu" + asked, **places)
        assert status == 0, err
        assert scores_of(tmp_path / "run" / "scores-test.json")["top1"]["n"] == 4
    status, _, err = mgdm("evaluate --manifest {m} --run {run} --device cpu --official-split 1", **places)
    assert status == 2 and "was trained on official split 2; official split 1 would test it" in err


def test_stickactions_has_a_single_split(mgdm, tmp_path):
    status, _, err = mgdm("clip --out {clip} --official-split 1", clip=tmp_path / "clip")
    assert status == 2 and "--official-split needs a --manifest" in err
    assert not (tmp_path / "clip").exists()


def changed(folder: Path, to: Path, **recipe) -> Path:
    """A copy of a feature folder with another recipe."""
    shutil.copytree(folder, to)
    made = scores_of(to / "features.json")
    (to / "features.json").write_text(json.dumps({**made, **recipe}), encoding="utf-8")
    return to


@pytest.mark.parametrize(
    ("recipe", "told"),
    [
        ({"clip_fingerprint": "1"}, "another CLIP, whose features mean nothing to this run"),
        ({"sampling": "the first T"}, "sees 4 frames of a clip"),
    ],
)
def test_features_that_mean_nothing_to_a_run_are_refused(train, mgdm, ucf, tmp_path, recipe, told):
    run = train()
    assert mgdm("evaluate --features {f} --run {run} --device cpu", f=ucf, run=run)[0] == 0
    before = (run / "scores-test.json").read_bytes()
    other = changed(ucf, tmp_path / "other", **recipe)
    status, _, err = mgdm("evaluate --features {f} --run {run} --device cpu", f=other, run=run)
    assert status == 2 and told in err and str(other) in err
    assert [path.name for path in run.glob("scores-*")] == ["scores-test.json"]
    assert (run / "scores-test.json").read_bytes() == before


def test_another_prompt_or_order_of_classes_is_another_evaluation(train, mgdm, ucf, tmp_path):
    run = train()
    assert mgdm("evaluate --features {f} --run {run} --device cpu", f=ucf, run=run)[0] == 0
    before = (run / "scores-test.json").read_bytes()
    classes = scores_of(ucf / "features.json")["classes"]
    for name, recipe, told in (
        ("prompt", {"prompt": "a film of {}"}, "the prompt 'a film of {}' for 'This is a video about {}'"),
        ("order", {"classes": classes[::-1]}, "6 classes, 0 of them new, for the run's 6"),
    ):
        other = changed(ucf, tmp_path / name, **recipe)
        status, lines, err = mgdm("evaluate --features {f} --run {run} --device cpu", f=other, run=run)
        assert (status, lines[0]) == (0, f"another evaluation than the run's own: {told}"), err
    assert len(list(run.glob("scores-test-other-*.json"))) == 2
    assert (run / "scores-test.json").read_bytes() == before


def test_negatives_of_another_clip_are_refused(mgdm, ucf, tmp_path):
    assert mgdm("mine --features {f} --depth 3 --out {n}", f=ucf, n=tmp_path / "n.csv")[0] == 0
    other = changed(ucf, tmp_path / "other", clip_fingerprint="1")
    words = "train small --features {f} --mined {n} --out {out} --k 3 --epochs 1 --warmup-epochs 0 --device cpu"
    status, _, err = mgdm(words, f=other, n=tmp_path / "n.csv", out=tmp_path / "run")
    assert status == 2 and "n.csv was mined with another CLIP (0) than the one in use (1); mine again" in err
    assert not (tmp_path / "run").exists()


def test_mine_restores_whatever_is_not_what_it_would_write(mgdm, ucf, tmp_path):
    path = tmp_path / "n.csv"
    again = "mine --features {f} --depth 3 --out {n}"
    assert mgdm(again, f=ucf, n=path)[0] == 0
    whole = path.read_text()
    lines = whole.splitlines(keepends=True)
    score = lines[1].split(",")[3]
    for damaged in (
        whole.replace(score, "0.123"),
        "".join(lines[:-1]),
        "".join(lines[:1] + lines[:0:-1]),
        whole + "\n",
    ):
        path.write_text(damaged)
        assert mgdm(again, f=ucf, n=path)[0] == 0
        assert path.read_text() == whole
    before = path.stat().st_mtime_ns
    assert mgdm(again, f=ucf, n=path)[0] == 0
    assert path.stat().st_mtime_ns == before
