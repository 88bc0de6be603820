"""The main job: every step makes what is missing, takes what is there, and names its runs so that they stay apart."""

import json
import shutil
import subprocess
import sys
from functools import partial

import pytest
import torch
from tiny_data import feature_folder

import mgdmkit.clip.features
import mgdmkit.experiments.pipeline as module
import mgdmkit.stickactions.dataset
import mgdmkit.training.loop
import mgdmkit.training.pretraining
from mgdmkit.clip.backbone import FrozenClip, load_clip
from mgdmkit.clip.features import Features, MappedFrames, corpus_texts, load_features
from mgdmkit.clip.small import shipped_fingerprint
from mgdmkit.data.cards import DATASETS
from mgdmkit.experiments.audit import AUDITED, audit
from mgdmkit.experiments.pipeline import DEPTH, Preset, mine_to_csv, prepare, run_name, train_and_score
from mgdmkit.inference import predict
from mgdmkit.mining import load_negatives, mine_negatives
from mgdmkit.replication.rows import corpus_labels
from mgdmkit.runs.folder import FolderError
from mgdmkit.stickactions.dataset import LABELS, StickActionsConfig

TINY = Preset(
    StickActionsConfig(train_per_class=1, val_per_class=1, test_per_class=1, size=32, fps=4),
    {"epochs": 2, "warmup_epochs": 0.0},
)


@pytest.fixture(scope="module")
def patch():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(module.PRESETS, "tiny", TINY)
        # In this process: to start others takes longer than to draw these clips.
        patch.setattr(module, "generate", partial(mgdmkit.stickactions.dataset.generate, workers=1))
        yield patch


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("root")


@pytest.fixture(scope="module")
def prepared(patch, root):
    return prepare(root, "tiny", workers=0, quiet=True)


@pytest.fixture(scope="module")
def trained(prepared):
    return train_and_score(prepared, k=3, device="cpu", quiet=True)


def test_everything_up_to_the_training_is_made(prepared, root):
    assert len(prepared.manifest.table) == 3 * len(LABELS) == len(prepared.features.clips)
    assert prepared.features.frame_features.shape == (180, 16, 128)
    assert prepared.features.classes == tuple(sorted(LABELS))
    assert prepared.negatives.indices.shape == (180, DEPTH)
    for name in ("stickactions/manifest.csv", "features/features.json", "negatives.csv"):
        assert (root / name).is_file(), name


def test_splits_of_features_and_negatives_belong_together(prepared):
    features = prepared.features
    for split in ("train", "val", "test"):
        videos, negatives = prepared.videos(split), prepared.negatives_of(split)
        assert len(videos) == len(negatives.indices) == len(LABELS)
        mined = mine_negatives(
            videos.frame_features, features.text_features, videos.labels, DEPTH, logit_scale=features.logit_scale
        )
        assert torch.equal(mined.indices, negatives.indices)
        assert torch.equal(mined.positive_rank, negatives.positive_rank)


def test_the_second_time_everything_is_loaded(prepared, trained, root, monkeypatch):
    files = {path: path.stat().st_mtime_ns for path in root.rglob("*.*") if path.suffix in (".mp4", ".safetensors")}
    files[root / "negatives.csv"] = (root / "negatives.csv").stat().st_mtime_ns

    def again(*args, **options):
        pytest.fail("something was computed again")

    monkeypatch.setattr(mgdmkit.stickactions.dataset, "_make", again)
    monkeypatch.setattr(mgdmkit.training.pretraining, "contrastive_loss", again)
    monkeypatch.setattr(FrozenClip, "encode_image", again)
    monkeypatch.setattr(FrozenClip, "encode_text", again)
    monkeypatch.setattr(mgdmkit.training.loop, "_train_epoch", again)
    second = prepare(root, "tiny", workers=0, quiet=True)
    assert torch.equal(second.features.frame_features[:], prepared.features.frame_features[:])
    assert torch.equal(second.negatives.indices, prepared.negatives.indices)
    assert second.clip.fingerprint == prepared.clip.fingerprint
    rerun = train_and_score(second, k=3, device="cpu", quiet=True)
    assert torch.equal(rerun.logits, trained.logits)
    assert {path: path.stat().st_mtime_ns for path in files} == files


def test_a_trained_model_is_scored_on_every_test_clip(trained, prepared, root):
    assert trained.name == "k3-top-seed0" and trained.folder == root / "runs" / "k3-top-seed0"
    assert trained.logits.shape == (60, 60)
    scores = json.loads((trained.folder / "scores-test.json").read_text(encoding="utf-8"))
    assert scores["top1"]["n"] == scores["top5"]["n"] == 60
    labels = prepared.videos("test").labels
    assert scores["top1"]["value"] == pytest.approx((trained.logits.argmax(1) == labels).float().mean().item())
    assert scores["classes"] == sorted(LABELS) and sum(map(sum, scores["confusion"])) == 60
    own = predict(trained.model, prepared.videos("test").frame_features, prepared.features.text_features)
    assert torch.allclose(own, trained.logits, atol=1e-4)
    config = json.loads((trained.folder / "config.json").read_text(encoding="utf-8"))
    assert (config["model"]["dim"], config["model"]["frames"], config["train"]["epochs"]) == (128, 16, 2)
    assert len((trained.folder / "history.jsonl").read_text().splitlines()) == 2


def test_other_splits_negatives_and_options_have_their_own_files(prepared, trained, root):
    train_and_score(prepared, k=3, split="val", device="cpu", quiet=True)
    assert {path.name for path in trained.folder.glob("scores-*")} >= {"scores-test.json", "scores-val.json"}
    one = train_and_score(
        prepared,
        k=1,
        negatives="random",
        seed=2,
        name="mine",
        model={"temporal_layers": 1},
        training={"epochs": 1},
        device="cpu",
        quiet=True,
    )
    config = json.loads((root / "runs" / "mine" / "config.json").read_text(encoding="utf-8"))
    assert one.folder == root / "runs" / "mine" and config["model"]["temporal_layers"] == 1
    assert {key: config["train"][key] for key in ("k", "negatives", "seed", "epochs")} == {
        "k": 1,
        "negatives": "random",
        "seed": 2,
        "epochs": 1,
    }
    with pytest.raises(FolderError, match=r"train\.lr is 0\.003 there, 0\.1 here"):
        train_and_score(prepared, k=3, training={"lr": 0.1}, device="cpu", quiet=True)


def test_run_names():
    assert run_name(3, "top") == "k3-top" and run_name(7, "bot") == "k7-bot"
    assert run_name(0, "top") == run_name(0, "random") == "k0", "without negatives their kind is nothing"


def test_own_features_and_negatives_are_taken_as_they_are(prepared, root, tmp_path):
    own = prepare(root, "own")
    assert torch.equal(own.features.frame_features[:], prepared.features.frame_features[:])
    assert torch.equal(own.negatives.indices, prepared.negatives.indices)
    (tmp_path / "features").symlink_to((root / "features").resolve())
    with pytest.raises(FileNotFoundError, match="mgdm mine"):
        prepare(tmp_path, "own")


@pytest.fixture
def own_root(tmp_path):
    """Own features of 6 classes without validation clips, mined among the 530 labels of three datasets."""
    folder = feature_folder(tmp_path / "features", "ucf101")
    every = corpus_texts(folder, corpus_labels(DATASETS))
    mine_to_csv(load_features(folder), tmp_path / "negatives.csv", DEPTH, corpus=every)
    return tmp_path


def test_of_own_features_only_the_rows_in_use_are_copied(tmp_path, monkeypatch):
    """Mining copies a block at a time, a preparation nothing, a training its split and the one that is scored."""
    folder, copied = feature_folder(tmp_path / "features", "ucf101", splits=("train",) * 25 + ("test",) * 5), []
    take = MappedFrames.__getitem__
    monkeypatch.setattr(
        MappedFrames, "__getitem__", lambda frames, rows: (copied.append(len(found := take(frames, rows))), found)[1]
    )
    monkeypatch.setattr(module, "mine_negatives", partial(mine_negatives, chunk_size=64))
    mined = mine_to_csv(load_features(folder), tmp_path / "negatives.csv", 5)
    assert copied == [64, 64, 52]
    copied.clear()
    prepared = prepare(tmp_path, "own")
    assert copied == []
    train_and_score(prepared, k=0, device="cpu", quiet=True, training={"epochs": 1, "warmup_epochs": 0.0})
    assert copied == [150, 30]
    features = prepared.features
    expected = mine_negatives(features.frame_features[:], features.text_features, features.labels, 5, chunk_size=64)
    assert all(one.equal(other) for one, other in zip(mined, expected, strict=True)), "the same to the bit"


def test_own_negatives_of_a_corpus_are_trained_with_and_the_classes_predicted(own_root, monkeypatch):
    prepared = prepare(own_root, "own")
    features, (labels, texts) = prepared.features, prepared.texts
    every = corpus_texts(own_root / "features", corpus_labels(DATASETS))
    expected = mine_negatives(features.frame_features, every.text_features, features.labels, DEPTH)
    assert labels[:6] == features.classes and 6 < len(labels) < len(every.labels)
    assert torch.equal(texts[:6], features.text_features)
    assert torch.equal(texts[prepared.negatives.indices], every.text_features[expected.indices])
    assert (prepared.negatives.indices >= 6).any()

    seen = []
    monkeypatch.setattr(mgdmkit.training.loop, "fit", lambda *args, **options: seen.append(args))
    short = {"epochs": 1, "warmup_epochs": 0.0}
    trained = train_and_score(prepared, k=3, training=short, name="one", device="cpu", quiet=True)
    _, _, _, videos, groups, text_features, _ = seen[0]
    assert torch.equal(text_features, texts) and len(videos) == 24
    assert torch.equal(groups[:, 1:], prepared.negatives_of("train").indices[:, :3])
    assert trained.logits.shape == (12, 6) and trained.scores.top1.n == 12


def test_own_validation_is_among_the_classes_only(own_root, monkeypatch):
    clips = (own_root / "features" / "clips.csv").read_text(encoding="utf-8")
    (own_root / "features" / "clips.csv").write_text(clips.replace(",test", ",val", 6), encoding="utf-8")
    scored, original = [], mgdmkit.training.loop.predict
    monkeypatch.setattr(mgdmkit.training.loop, "predict", lambda *args: (scored.append(args), original(*args))[1])
    short = {"epochs": 1, "warmup_epochs": 0.0}
    train_and_score(prepare(own_root, "own"), k=3, training=short, name="one", device="cpu", quiet=True)
    assert [(len(frames), len(texts)) for _, frames, texts in scored] == [(6, 6)]


def test_the_audit_of_own_negatives_takes_the_corpus_texts(own_root, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SMALL_TRAIN", {"epochs": 1, "warmup_epochs": 0.0})
    table = audit(prepare(own_root, "own"), 3, 1, tmp_path / "blind.csv")
    assert len(table) == len(AUDITED) * 2 * 3 and set(table["N"]) == {12}


def test_another_preset_and_an_unknown_one_are_refused(prepared, root):
    with pytest.raises(FolderError, match="holds something else: config"):
        prepare(root, "smoke", workers=0, quiet=True)
    with pytest.raises(ValueError, match="preset='tinny' is not an option; choose one of 'smoke', 'demo', 'full'"):
        prepare(root, "tinny")


def some_features(seed: int, n: int = 6) -> Features:
    import pandas as pd

    generator = torch.Generator().manual_seed(seed)
    clips = pd.DataFrame({"id": [f"v{i}" for i in range(n)], "label": list("abcdef")[:n], "split": ["train"] * n})
    frames, texts = torch.randn(n, 2, 8, generator=generator), torch.randn(6, 8, generator=generator)
    return Features(frames, texts, clips, tuple("abcdef"), 50.0)


def test_negatives_are_written_for_every_clip_and_left_when_they_agree(tmp_path):
    features, path = some_features(0), tmp_path / "negatives.csv"
    mined = mine_to_csv(features, path, depth=3)
    expected = mine_negatives(features.frame_features, features.text_features, features.labels, 3, logit_scale=50.0)
    assert torch.equal(mined.indices, expected.indices) and torch.equal(mined.scores, expected.scores)
    loaded = load_negatives(path, list(features.clips["id"]), features.classes)
    assert torch.equal(loaded.indices, expected.indices)
    assert torch.equal(loaded.positive_rank, expected.positive_rank)
    before = path.stat().st_mtime_ns
    mine_to_csv(features, path, depth=3)
    assert path.stat().st_mtime_ns == before


def test_negatives_of_other_features_depth_or_clips_are_replaced(tmp_path):
    path = tmp_path / "negatives.csv"
    path.write_text("no negatives\n")
    for features, depth in (
        (some_features(0), 3),
        (some_features(1), 3),
        (some_features(1), 5),
        (some_features(1, 4), 5),
    ):
        mined = mine_to_csv(features, path, depth)
        assert torch.equal(load_negatives(path, list(features.clips["id"]), features.classes).indices, mined.indices)


AT_ONCE = """
import sys
import mgdmkit.experiments.pipeline as pipeline
import mgdmkit.training.loop as loop
from mgdmkit.stickactions.dataset import StickActionsConfig

small = StickActionsConfig(train_per_class=1, val_per_class=1, test_per_class=1, size=32, fps=4)
pipeline.PRESETS["tiny"] = pipeline.Preset(small, {"epochs": 2, "warmup_epochs": 0.0})
made, extract, train_epoch = [], pipeline.extract_features, loop._train_epoch
pipeline.extract_features = lambda *args, **options: made.append("features") or extract(*args, **options)
loop._train_epoch = lambda *args: made.append("epoch") or train_epoch(*args)
if __name__ == "__main__":
    prepared = pipeline.prepare(sys.argv[1], "tiny", workers=0)
    scores = pipeline.train_and_score(prepared, k=0, device="cpu").scores
    print(made.count("features"), made.count("epoch"), scores.top1.value)
"""


def test_of_two_programs_under_one_root_one_works_and_the_other_waits(prepared, root, tmp_path):
    shutil.copytree(root / "stickactions", tmp_path / "root" / "stickactions")
    (tmp_path / "at_once.py").write_text(AT_ONCE)
    command = [sys.executable, str(tmp_path / "at_once.py"), str(tmp_path / "root")]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    told = [program.communicate() for program in both]
    assert [program.returncode for program in both] == [0, 0], told
    extracted, epochs, top1 = zip(*(out.split() for out, _ in told), strict=True)
    assert sorted(extracted) == ["0", "1"] and sorted(epochs) == ["0", "2"] and len(set(top1)) == 1
    assert sum("another program is making clips and features; waiting" in errors for _, errors in told) == 1


def test_a_lock_of_a_dead_program_holds_nobody_up(prepared, tmp_path):
    holder = (
        f"import os\nfrom mgdmkit.experiments.pipeline import one_at_a_time\n"
        f"with one_at_a_time(__import__('pathlib').Path({str(tmp_path)!r}), 'x', True):\n    os._exit(1)"
    )
    assert subprocess.run([sys.executable, "-c", holder]).returncode == 1
    with module.one_at_a_time(tmp_path, "x", quiet=True):
        pass


def test_features_that_are_there_need_no_clip_and_damaged_ones_do(prepared, root, monkeypatch):
    monkeypatch.setattr(module, "load_clip", lambda name: pytest.fail("loaded"))
    again, before = prepare(root, "tiny", workers=0, quiet=True), prepared.features.frame_features[:].clone()
    assert torch.equal(again.features.frame_features[:], before)
    monkeypatch.undo()
    shard = next((root / "features").glob("frames-*.safetensors"))
    shard.write_bytes(shard.read_bytes()[:-100] + bytes(100))
    mended = prepare(root, "tiny", workers=0, quiet=True)
    assert torch.allclose(mended.features.frame_features[:], before, atol=1e-5)


def test_the_fingerprint_of_the_shipped_clip_is_known_without_it():
    assert shipped_fingerprint() == load_clip("small").fingerprint
