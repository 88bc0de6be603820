"""A run that recognises clips: what it writes about itself, what it says, and what it refuses."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import open_clip
import pytest
import torch
from conftest import write_video
from narrow_clip import narrow_clip  # noqa: F401
from shell import mgdm
from tiny_clip import tiny_model  # noqa: F401

import mgdmkit
from mgdmkit.clip.backbone import ClipWeightsError, load_clip
from mgdmkit.clip.features import extract_features, load_features, read_recipe
from mgdmkit.clip.small import new_small_clip, save_small_clip
from mgdmkit.config import MGDMConfig, TrainConfig
from mgdmkit.data.manifest import read_manifest, write_manifest
from mgdmkit.data.video import VideoError, read_frames
from mgdmkit.evaluation.recognizer import Prediction, load_run, write_labels
from mgdmkit.inference import predict
from mgdmkit.runs.folder import FolderError
from mgdmkit.runs.trained import load_model
from mgdmkit.training.loop import Videos, train

LABELS = ("closing a door", "dancing", "opening a door", "waving")
CONFIG = MGDMConfig(dim=128, frames=4, temporal_layers=1, semantic_layers=1, attention_temperature=0.1, logit_scale=100)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A folder of clips, CLIP, features in a prompt of its own, and a run. Read only: copy it before damaging it."""
    root = tmp_path_factory.mktemp("root")
    rows = []
    for i, label in enumerate(LABELS):
        path = write_video(root / f"{i}.mp4", 9 + 7 * i)
        rows.append({"id": str(i), "path": path.as_posix(), "label": label, "split": "train"})
    clip = load_clip(str(save_small_clip(new_small_clip(3), root / "clip").parent))
    manifest = read_manifest(write_manifest(root / "manifest.csv", rows))
    features = extract_features(
        manifest, clip, root / "features", frames=4, prompt="somebody is {}", workers=0, quiet=True
    )
    training = TrainConfig(k=2, negatives="random", epochs=3, batch_size=4, warmup_epochs=0, lr=1e-2)
    videos = Videos(features.frame_features[:], features.labels)
    train(CONFIG, training, videos, features.text_features, root / "run", device="cpu", quiet=True)
    write_labels(root / "run", read_recipe(root / "features"))
    return root


@pytest.fixture(scope="module")
def run(root):
    return load_run(root / "run", device="cpu")


@pytest.fixture
def moved(root, tmp_path) -> Path:
    """A copy of the whole folder at another place."""
    return Path(shutil.copytree(root, tmp_path / "moved"))


def expected(root, inference=None) -> torch.Tensor:
    """(N, C) scores from the cached features: another way to the same numbers."""
    features, model = load_features(root / "features"), load_model(root / "run")
    logits = predict(model, features.frame_features[:], features.text_features, inference=inference, k=2)
    return logits.softmax(dim=1)


def by_label(prediction: Prediction, labels=LABELS) -> torch.Tensor:
    assert sorted(prediction.labels) == sorted(labels)
    scores = dict(zip(*prediction, strict=True))
    return torch.tensor([scores[label] for label in labels])


@pytest.mark.parametrize("inference", [None, "single", "rerank"])
def test_a_clip_gets_the_scores_that_its_cached_features_give(inference, root, run):
    found = run.classify([root / f"{i}.mp4" for i in range(4)], inference=inference)
    scores = torch.stack([by_label(prediction) for prediction in found])
    assert torch.allclose(scores, expected(root, inference), atol=1e-5)
    assert (scores.max(dim=0).values - scores.min(dim=0).values).max() > 1e-3, "clips that look alike prove nothing"


def test_the_readings_differ_where_a_label_meets_others(root):
    assert not torch.allclose(expected(root, "single"), expected(root, "rerank"), atol=1e-4)


def test_the_best_labels_come_first_and_as_many_as_asked(root, run):
    full, two = (run.classify(root / "2.mp4", top=top) for top in (99, 2))
    assert len(full.labels) == 4 and sum(full.scores) == pytest.approx(1, abs=1e-5)
    assert list(full.scores) == sorted(full.scores, reverse=True)
    assert two == Prediction(full.labels[:2], full.scores[:2]), "shares over all labels, not over the two"


def test_one_clip_gives_one_prediction_and_a_sequence_a_list(root, run):
    path = root / "1.mp4"
    one = run.classify(path)
    assert run.classify(str(path)) == one
    assert run.classify([path]) == [one] and run.classify([]) == []


def test_frames_are_seen_as_the_file_is(root, run):
    path = root / "3.mp4"
    with av.open(str(path)) as container:
        count = sum(1 for _ in container.decode(video=0))
    frames = read_frames(path, range(count))
    assert count > run.model.config.frames
    assert run.classify(frames) == run.classify(path)
    assert run.classify([frames, frames[:1]])[0].labels == run.classify(path).labels
    assert len(run.classify(frames[:2]).labels) == 4, "fewer frames than segments are repeated"


def test_new_labels_are_read_by_the_runs_clip_in_the_runs_prompt(root, run):
    new = ["skating", "cooking", "opening a door"]
    features, clip = load_features(root / "features"), load_clip(str(root / "clip"))
    texts = clip.encode_text(["somebody is skating", "somebody is cooking", "somebody is opening a door"])
    scores = predict(load_model(root / "run"), features.frame_features[1:2], texts).softmax(dim=1)[0]
    assert torch.allclose(by_label(run.classify(root / "1.mp4", new), new), scores, atol=1e-5)


def test_labels_are_encoded_once(root, run, monkeypatch):
    new = ["running", "standing"]
    run.classify(root / "0.mp4", new)
    monkeypatch.setattr(type(run.clip), "encode_text", lambda *args: pytest.fail("encoded again"))
    assert run.classify(root / "1.mp4", new).labels


@pytest.mark.parametrize("labels", [[], ["one"], ["one", "one"], ["one", " "]])
def test_labels_that_compare_nothing_are_refused(labels, root, run):
    with pytest.raises(ValueError, match="at least two texts, none empty and none twice"):
        run.classify(root / "0.mp4", labels)


@pytest.mark.parametrize(
    "frames",
    [np.zeros((4, 8, 8), np.uint8), np.zeros((4, 8, 8, 3)), np.zeros((0, 8, 8, 3), np.uint8)],
    ids=["grey", "floats", "none"],
)
def test_frames_of_another_kind_are_refused(frames, run):
    with pytest.raises(ValueError, match=r"must be uint8 \(F, H, W, 3\), RGB"):
        run.classify(frames)


def test_a_missing_clip_and_a_useless_top_are_told(root, run):
    with pytest.raises(VideoError, match=r"none\.mp4 is missing"):
        run.classify([root / "0.mp4", root / "none.mp4"])
    with pytest.raises(ValueError, match="top=0"):
        run.classify(root / "0.mp4", top=0)


# ---- what a run knows of itself -------------------------------------------------------------------------------


def test_run_and_clip_move_together_and_work_from_any_folder(root, run, moved, monkeypatch):
    held = json.loads((root / "run" / "labels.json").read_text(encoding="utf-8"))
    assert held["clip"] == {"name": "../clip", "pretrained": None, "fingerprint": run.clip.fingerprint}
    assert (held["classes"], held["prompt"]) == (sorted(LABELS), "somebody is {}")
    monkeypatch.setattr(
        "mgdmkit.evaluation.recognizer.load_clip", lambda name, *args, **kw: (names.append(name), run.clip)[1]
    )
    names: list[str] = []
    monkeypatch.chdir(moved)
    load_run("run", device="cpu")
    assert [Path(name).resolve() for name in names] == [moved / "clip"]


def test_a_model_of_open_clip_is_kept_by_its_name_and_weights(root, tmp_path):
    recipe = {**read_recipe(root / "features"), "clip": "ViT-L-14", "pretrained": "openai"}
    held = json.loads(write_labels(tmp_path / "run", recipe).read_text(encoding="utf-8"))["clip"]
    assert (held["name"], held["pretrained"]) == ("ViT-L-14", "openai")
    (tmp_path / "weights.pt").touch()
    recipe["pretrained"] = str(tmp_path / "weights.pt")
    held = json.loads(write_labels(tmp_path / "run", recipe).read_text(encoding="utf-8"))["clip"]
    assert held["pretrained"] == "../weights.pt"


def test_a_run_finds_its_model_of_open_clip_and_the_checkpoint_again(tiny, root, tmp_path):
    torch.save(open_clip.create_model(tiny).state_dict(), tmp_path / "weights.pt")
    clip = load_clip(tiny, str(tmp_path / "weights.pt"))
    out, manifest = tmp_path / "features", read_manifest(root / "manifest.csv")
    features = extract_features(manifest, clip, out, frames=2, workers=0, quiet=True)
    config = MGDMConfig(dim=16, frames=2, temporal_layers=1, semantic_layers=1, temperatures="fixed")
    training = TrainConfig(k=0, epochs=1, warmup_epochs=0)
    videos = Videos(features.frame_features[:], features.labels)
    train(config, training, videos, features.text_features, tmp_path / "run", device="cpu", quiet=True)
    write_labels(tmp_path / "run", read_recipe(out))
    again = load_run(tmp_path / "run", device="cpu")
    assert (again.clip.name, again.clip.fingerprint) == (tiny, clip.fingerprint)
    (tmp_path / "weights.pt").rename(tmp_path / "moved.pt")
    with pytest.raises(ClipWeightsError, match=r"Tiny-16 \(fingerprint .* --clip MODEL --pretrained TAG_OR_FILE"):
        load_run(tmp_path / "run", device="cpu")
    given = load_run(tmp_path / "run", pretrained=str(tmp_path / "moved.pt"), device="cpu")
    assert given.classify(root / "0.mp4") == again.classify(root / "0.mp4")


def test_a_clip_that_has_gone_is_named_and_may_be_given(moved, root, run):
    shutil.rmtree(moved / "clip")
    with pytest.raises(ClipWeightsError) as caught:
        load_run(moved / "run", device="cpu")
    for told in (str(moved / "run"), "../clip", run.clip.fingerprint, "--clip FOLDER"):
        assert told in str(caught.value)
    for clip in (root / "clip", run.clip):
        assert load_run(moved / "run", clip=clip, device="cpu").classify(moved / "0.mp4") == run.classify(
            root / "0.mp4"
        )


def test_another_clip_is_refused(root, tmp_path):
    other = save_small_clip(new_small_clip(4), tmp_path / "other").parent
    with pytest.raises(FolderError, match=r"was trained on features of \.\./clip .* is another CLIP"):
        load_run(root / "run", clip=other, device="cpu")


@pytest.mark.parametrize(
    "text, told",
    [
        (None, "is missing; "),
        ("{", r"is damaged \(.+\); "),
        ('{"classes": []}', r"is damaged \(it lacks 'prompt'\); "),
        ('{"classes": [], "prompt": "{}", "clip": {}, "clips_fingerprint": null}', r"is damaged \('name'\); "),
        ('{"classes": [], "prompt": "{}", "clip": 3, "clips_fingerprint": null}', r"is damaged \(.+\); "),
    ],
)
def test_a_run_that_does_not_know_its_labels_says_how_it_learns_them(text, told, moved):
    path = moved / "run" / "labels.json"
    path.unlink()
    if text:
        path.write_text(text)
    with pytest.raises(FolderError, match=rf"labels\.json {told}.*\. Give the command that trained .* again"):
        load_run(moved / "run", device="cpu")


def test_a_folder_without_a_run_is_told(tmp_path):
    with pytest.raises(FolderError, match="holds no trained model"):
        load_run(tmp_path)


def test_the_package_offers_load_run_and_imports_without_open_clip():
    assert mgdmkit.load_run is load_run
    with pytest.raises(AttributeError, match="no attribute 'lode_run'"):
        _ = mgdmkit.lode_run
    code = "import mgdmkit, sys; sys.exit('open_clip' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


# ---- the command ----------------------------------------------------------------------------------------------


def test_the_command_goes_on_past_a_broken_clip_and_ends_with_status_2(root, run, tmp_path):
    (tmp_path / "bad.mp4").write_bytes(b"this is no video")
    command = "predict {root}/0.mp4 {tmp}/bad.mp4 {root}/1.mp4 --run {root}/run --top 2 --out {tmp}/p.csv --device cpu"
    ended = mgdm(command, root=root, tmp=tmp_path)
    assert ended.status == 2
    first, last = ended.err.splitlines()
    assert first.startswith(f"mgdm: {tmp_path / 'bad.mp4'} cannot be read") and "replace the file" in first
    assert last == "mgdm: 1 of 3 clips could not be read"
    found = {str(path): run.classify(path, top=2) for path in (root / "0.mp4", root / "1.mp4")}
    lines = [
        line
        for path, prediction in found.items()
        for line in (path, *(f"  {100 * s:5.1f}%  {label}" for label, s in zip(*prediction, strict=True)))
    ]
    assert ended.out == [*lines, f"table: {tmp_path / 'p.csv'}"]
    with (tmp_path / "p.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["video"], row["rank"], row["label"]) for row in rows] == [
        (path, str(rank), label)
        for path, prediction in found.items()
        for rank, label in enumerate(prediction.labels, 1)
    ]
    scores = [score for prediction in found.values() for score in prediction.scores]
    assert [float(row["score"]) for row in rows] == pytest.approx(scores, rel=1e-4)


def test_the_command_takes_other_labels_and_another_reading(root, run, tmp_path):
    (tmp_path / "labels.txt").write_text("skating\ncooking\n\nopening a door\nreading\n")
    command = "predict {root}/1.mp4 --run {root}/run --labels {tmp}/labels.txt --inference rerank --top 1 --device cpu"
    ended = mgdm(command, root=root, tmp=tmp_path)
    new = ("skating", "cooking", "opening a door", "reading")
    best = run.classify(root / "1.mp4", new, 1, inference="rerank")
    assert ended.out == [str(root / "1.mp4"), f"  {100 * best.scores[0]:5.1f}%  {best.labels[0]}"]
    assert (ended.status, ended.err) == (0, "")


@pytest.mark.parametrize(
    "command, told",
    [
        ("predict --run {root}/run", "name the video files"),
        ("predict {root}/0.mp4 --run {root}/clip", "holds no trained model"),
        ("predict {root}/0.mp4 --run {root}/run --labels {root}/none.txt", "none.txt"),
        ("predict {root}/0.mp4 --run {root}/run --labels {root}/one.txt", "one.txt holds one label, 'skating'"),
        ("predict {root}/0.mp4 --run {root}/run --out {root}/clip", "clip is a folder; name the CSV to write"),
        ("predict {root}/0.mp4 --run {root}/run --out {root}/0.mp4/p.csv", "p.csv can't be written"),
        ("predict {root}/0.mp4 --run {root}/run --top 0", "top=0"),
        ("predict {root}/0.mp4 --run {root}/run --inference joint", "does not fit a model trained with"),
        ("predict {root}/0.mp4 --run {root}/run --clip {root}/none", "neither a folder with a CLIP nor a model"),
    ],
)
def test_a_mistake_is_one_message_and_status_2(command, told, root):
    (root / "one.txt").write_text("skating\n")
    ended = mgdm(command, root=root)
    assert (ended.status, ended.out) == (2, [])
    assert ended.err.startswith("mgdm: ") and told in ended.err and ended.err.count("mgdm: ") == 1


def test_a_missing_clip_is_told_as_missing_and_the_others_go_on(root, tmp_path):
    ended = mgdm("predict {root}/none.mp4 {root}/0.mp4 --run {root}/run --top 1 --device cpu", root=root, tmp=tmp_path)
    first, last = ended.err.splitlines()
    assert (ended.status, ended.out[0]) == (2, str(root / "0.mp4"))
    assert first.startswith(f"mgdm: {root / 'none.mp4'} is missing; correct the path") and "replace" not in first
    assert last == "mgdm: 1 of 2 clips could not be read"


def test_training_by_the_commands_leaves_a_run_that_recognises(root, tmp_path):
    """Both ways to train; the fine-tuned run has a CLIP of its own, and no other will do."""
    small = "--temporal-layers 1 --semantic-layers 1 --epochs 1 --warmup-epochs 0 --batch-size 4 --k 0 --device cpu"
    commands = {
        "trained": f"train paper --features {{root}}/features --out {{tmp}}/trained {small}",
        "tuned": "finetune paper --manifest {root}/manifest.csv --clip {root}/clip --out {tmp}/tuned "
        f"--frames 4 --workers 0 --lr 0.01 {small}",
    }
    for name, command in commands.items():
        ended = mgdm(command, root=root, tmp=tmp_path)
        assert ended.status == 0, ended.err
        assert load_run(tmp_path / name, device="cpu").classify(root / "0.mp4").labels
    prompts = [load_run(tmp_path / name, device="cpu").prompt for name in commands]
    assert prompts == ["somebody is {}", "This is a video about {}"]
    assert json.loads((tmp_path / "tuned" / "labels.json").read_text())["clip"]["name"] == "clip"
    with pytest.raises(FolderError, match="is another CLIP"):
        load_run(tmp_path / "tuned", clip=root / "clip", device="cpu")
