"""Fine-tuning: what trains and what stays, the same loop from pixels, and a run folder whose CLIP the kit can use."""

import copy
import json
import sys
from dataclasses import replace
from pathlib import Path

import open_clip
import pytest
import torch
from conftest import write_video
from PIL import Image

import mgdmkit.clip.small
from mgdmkit import MGDMConfig, TrainConfig
from mgdmkit.cli.main import main
from mgdmkit.clip.backbone import FrozenClip, load_clip
from mgdmkit.clip.features import extract_features, load_features, read_recipe
from mgdmkit.clip.small import new_small_clip, save_small_clip
from mgdmkit.config import FineTuneConfig
from mgdmkit.data.manifest import read_manifest, write_manifest
from mgdmkit.evaluation.recognizer import check_features, load_run
from mgdmkit.evaluation.scores import score
from mgdmkit.inference import predict
from mgdmkit.mining import mine_negatives
from mgdmkit.runs.folder import FolderError
from mgdmkit.runs.trained import load_model, new_model, read_history, read_run
from mgdmkit.training.augment import Clips
from mgdmkit.training.finetuning import (
    POSITIONS,
    FineTuned,
    _save_clip,
    finetune,
    finetune_groups,
    finetuned_features,
    is_finetuned,
    set_trainable,
    tuned_clip,
)

T, D = 2, 32
MODEL = MGDMConfig(dim=D, frames=T, temporal_layers=1, semantic_layers=1, heads=2, temperatures="fixed")
TRAIN = TrainConfig(k=1, epochs=2, batch_size=4, lr=1e-2, warmup_epochs=0.0)
LABELS = ("clap", "jump", "walk")


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """The small CLIP with three narrow blocks and fresh weights."""
    config = json.loads(mgdmkit.clip.small.CONFIG.read_text(encoding="utf-8"))
    config["model_cfg"]["embed_dim"] = D
    config["model_cfg"]["vision_cfg"] |= {"layers": 3, "width": 32, "head_width": 16}
    config["model_cfg"]["text_cfg"] |= {"layers": 1, "width": 16, "heads": 2}
    folder = tmp_path_factory.mktemp("clip")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mgdmkit.clip.small, "CONFIG", folder / "narrow.json")
        (folder / "narrow.json").write_text(json.dumps(config), encoding="utf-8")
        save_small_clip(new_small_clip(0), folder)
    return load_clip(str(folder))


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Six training, three validation and three test clips of three classes."""
    folder = tmp_path_factory.mktemp("clips")
    rows = []
    for i in range(12):
        write_video(folder / f"{i}.mp4", 4 + i)
        split = "train" if i < 6 else "val" if i < 9 else "test"
        rows.append({"id": str(i), "path": f"{i}.mp4", "label": LABELS[i % 3], "split": split})
    return write_manifest(folder / "manifest.csv", rows)


@pytest.fixture(scope="module")
def manifests(table):
    return {split: read_manifest(table, split) for split in ("train", "val", "test")}


@pytest.fixture(scope="module")
def features(clip, table, tmp_path_factory):
    """The folder of frozen CLIP's features."""
    folder = tmp_path_factory.mktemp("features")
    extract_features(read_manifest(table), clip, folder, frames=T, workers=0, quiet=True)
    return folder


def run(clip, manifests, out, config=TRAIN, finetuning=FineTuneConfig(), **options):  # noqa: B008 - frozen
    labels = torch.tensor([LABELS.index(label) for label in manifests["train"].table["label"]])
    texts = clip.encode_text([f"This is a video about {label}" for label in LABELS])
    negatives = mine_negatives(texts[labels], texts, labels, depth=2)
    options = {"negatives": negatives, "workers": 0, "device": "cpu", "quiet": True} | options
    return finetune(MODEL, config, finetuning, clip, manifests["train"], out, **options)


@pytest.fixture(scope="module")
def tuned(clip, manifests, tmp_path_factory):
    """A finished run, with validation: its folder and its network. Read only."""
    folder = tmp_path_factory.mktemp("tuned") / "run"
    return folder, run(clip, manifests, folder, validation=manifests["val"])


def network_of(clip, freeze="none") -> FineTuned:
    image_encoder = copy.deepcopy(clip.model.visual)
    set_trainable(image_encoder, freeze)
    return FineTuned(image_encoder, new_model(MODEL, 0))


def trained_names(network) -> set[str]:
    return {name for name, p in network.image_encoder.named_parameters() if p.requires_grad}


def test_groups_by_hand(clip):
    network = network_of(clip)
    groups = finetune_groups(network, TrainConfig(weight_decay=0.3), FineTuneConfig(clip_lr_ratio=0.05))
    rates_and_decays = [(group["lr_ratio"], group["weight_decay"]) for group in groups]
    assert rates_and_decays == [(1, 0.3), (1, 0), (0.05, 0.3), (0.05, 0)]
    names = {id(p): name for name, p in network.named_parameters()}
    of_group = [{names[id(p)] for p in group["params"]} for group in groups]
    assert sum(map(len, of_group)) == len(set().union(*of_group)) == len(names), "each parameter is in one group"
    tower = "image_encoder"
    block = {f"{tower}.transformer.resblocks.0.{name}.weight" for name in ("mlp.c_fc", "mlp.c_proj", "attn.out_proj")}
    assert block | {f"{tower}.proj", f"{tower}.conv1.weight"} < of_group[2]
    free = ("positional_embedding", "class_embedding", "ln_post.weight", "transformer.resblocks.2.mlp.c_fc.bias")
    assert {f"{tower}.{name}" for name in free} < of_group[3]
    assert {"mgdm.logit_scale", "mgdm.representer.frame_positions"} < of_group[1]
    assert all("mgdm." in name for name in of_group[0] | of_group[1])


def test_positions_of_every_kind_of_tower_are_known():
    for name in ("frame_positions", "positional_embedding", "attnpool.positional_embedding", "trunk.pos_embed"):
        assert name.endswith(POSITIONS)


def test_what_each_freeze_lets_train(clip):
    every = {name for name, _ in clip.model.visual.named_parameters()}
    last = {"proj", "ln_post.weight", "ln_post.bias"}

    def blocks(*numbers):
        return {name for name in every if any(f"resblocks.{i}." in name for i in numbers)}

    assert trained_names(network_of(clip, "image")) == set()
    assert trained_names(network_of(clip, 1)) == last | blocks(2)
    assert trained_names(network_of(clip, 2)) == last | blocks(1, 2)
    assert trained_names(network_of(clip, "none")) == every
    assert finetune_groups(network_of(clip, "image"), TRAIN, FineTuneConfig())[-1]["lr_ratio"] == 1


def test_a_freeze_that_the_encoder_does_not_have_is_refused(clip, manifests, tmp_path):
    with pytest.raises(ValueError, match="freeze=4: the image encoder has 3 blocks"):
        run(clip, manifests, tmp_path / "r", finetuning=FineTuneConfig(freeze=4))
    assert not (tmp_path / "r").exists()
    with pytest.raises(ValueError, match="counts blocks of CLIP's own vision transformer"):
        set_trainable(torch.nn.Linear(2, 2), 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"freeze": "text"}, "freeze='text' is not an option"),
        ({"freeze": 0}, "freeze=0 must be"),
        ({"freeze": True}, "freeze=True must be"),
        ({"clip_lr_ratio": 0.0}, r"clip_lr_ratio must lie in \(0, 1\]"),
        ({"crop_scale": 1.5}, r"crop_scale must lie in \(0, 1\]"),
        ({"freeze": "image", "grad_checkpointing": True}, "has no effect with freeze='image'"),
    ],
)
def test_contradictions_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        FineTuneConfig(**options)


@pytest.mark.parametrize("freeze", ["image", 1, "none"])
def test_only_what_is_not_frozen_changes(clip, manifests, tmp_path, freeze):
    before = {name: tensor.clone() for name, tensor in clip.model.state_dict().items()}
    trained = {f"visual.{name}" for name in trained_names(network_of(clip, freeze))}
    network = run(clip, manifests, tmp_path, replace(TRAIN, epochs=1), FineTuneConfig(freeze=freeze))
    after = tuned_clip(tmp_path).model.state_dict()
    assert {name for name in before if not torch.equal(before[name], after[name])} == trained
    assert all(torch.equal(clip.model.state_dict()[name], tensor) for name, tensor in before.items()), "a copy is tuned"
    start = new_model(MODEL, 0).state_dict()
    assert all(not torch.equal(start[name], tensor) for name, tensor in network.mgdm.state_dict().items())


def test_a_frozen_encoder_stays_in_evaluation_mode(clip):
    assert not network_of(clip, "image").train().image_encoder.training
    assert network_of(clip, 1).train().image_encoder.training
    assert not network_of(clip, "none").train().eval().image_encoder.training


def test_the_centre_frames_are_those_of_cached_features(clip, manifests, features):
    network, clips = network_of(clip), Clips(manifests["val"], clip, T, workers=0)
    network.train()
    assert torch.allclose(network.frame_features(clips), load_features(features).split("val").frame_features, atol=1e-5)
    assert network.training


def test_no_clip_at_all_still_gives_every_weight_a_gradient(clip):
    """As several processes need: the mean of gradients is over those that exist in each of them."""
    network = network_of(clip, 1)
    features = network.encode(torch.zeros(0, T, 3, 64, 64))
    assert features.shape == (0, T, D)
    features.sum().backward()
    trained = [p for p in network.image_encoder.parameters() if p.requires_grad]
    assert trained and all(p.grad is not None and not p.grad.any() for p in trained)


def test_checkpointing_gives_the_same_gradients(clip):
    pixels, texts = torch.randn(2, T, 3, 64, 64), torch.randn(2, 2, D)

    def gradients(checkpointing):
        network = network_of(clip, 2).train()
        network.image_encoder.set_grad_checkpointing(checkpointing)
        network(pixels, texts).logits.logsumexp(dim=(0, 1, 2)).backward()
        return [p.grad for p in network.parameters()]

    for a, b in zip(gradients(False), gradients(True), strict=True):
        assert (a is None and b is None) or torch.allclose(a, b, atol=1e-6)


def test_checkpointing_is_switched_on_where_asked(clip, manifests, tmp_path):
    network = run(clip, manifests, tmp_path, replace(TRAIN, epochs=1), FineTuneConfig(grad_checkpointing=True))
    assert network.image_encoder.transformer.grad_checkpointing


class InterruptedTraining(Exception):
    pass


def test_an_interrupted_run_ends_in_the_same_bits(clip, manifests, tmp_path):
    config = replace(TRAIN, epochs=3)
    whole = run(clip, manifests, tmp_path / "whole", config, validation=manifests["val"]).state_dict()

    def stop(line):
        if line["epoch"] == 0:
            raise InterruptedTraining

    with pytest.raises(InterruptedTraining):
        run(clip, manifests, tmp_path / "parts", config, validation=manifests["val"], on_epoch=stop)
    seen = []
    options = {"on_epoch": lambda line: seen.append(line["epoch"]), "workers": 1}
    parts = run(clip, manifests, tmp_path / "parts", config, **options)
    assert seen == [1, 2]
    assert all(torch.equal(whole[name], tensor) for name, tensor in parts.state_dict().items())


def test_a_finished_run_is_loaded_and_its_clip_is_one_like_any_other(clip, manifests, tuned):
    folder, network = tuned
    loaded = run(clip, manifests, folder, on_epoch=lambda line: pytest.fail("trained again"))
    assert not loaded.training
    assert all(torch.equal(network.state_dict()[name], tensor) for name, tensor in loaded.state_dict().items())
    left = {path.name for path in folder.iterdir() if not path.name.startswith("features-")}
    assert left == {"clip", "config.json", "history.jsonl", "labels.json", "model.safetensors", "sha256.json"}
    reopened, *_ = open_clip.create_model_and_transforms(f"local-dir:{folder / 'clip'}")
    assert torch.equal(reopened.visual.proj, network.image_encoder.proj)
    sentences = ["a sentence", "another one"]
    assert torch.equal(tuned_clip(folder).encode_text(sentences), clip.encode_text(sentences)), "it is frozen"
    assert tuned_clip(folder).fingerprint != clip.fingerprint


def test_a_run_made_in_python_recognises_clips_and_mends_its_labels(clip, manifests, tuned):
    folder, _ = tuned
    recognizer = load_run(folder, device="cpu")
    assert recognizer.classes == LABELS and recognizer.prompt == "This is a video about {}"
    assert recognizer.classify(manifests["test"].video_paths[0]).labels
    (folder / "labels.json").unlink()
    run(clip, manifests, folder, on_epoch=lambda line: pytest.fail("trained again"))
    assert load_run(folder, device="cpu").classes == LABELS


def test_a_run_continues_with_checkpointing_which_needs_less_memory(clip, manifests, tmp_path):
    def stop(line):
        raise InterruptedTraining

    with pytest.raises(InterruptedTraining):
        run(clip, manifests, tmp_path, on_epoch=stop)
    seen = []
    checkpointing, options = (
        FineTuneConfig(grad_checkpointing=True),
        {"on_epoch": lambda line: seen.append(line["epoch"])},
    )
    run(clip, manifests, tmp_path, finetuning=checkpointing, **options)
    assert seen == [1]


def test_the_configuration_tells_what_the_run_was_made_of(clip, tuned):
    made = read_run(tuned[0])
    assert made["clip"] == {"name": clip.name, "pretrained": None, "fingerprint": clip.fingerprint}
    assert FineTuneConfig.from_dict(made["finetune"]) == FineTuneConfig()
    assert TrainConfig.from_dict(made["train"]) == TRAIN
    assert (made["prompt"], made["labels"]) == ("This is a video about {}", list(LABELS))


def test_another_run_in_the_folder_is_refused(clip, manifests, tuned):
    with pytest.raises(FolderError, match=r"finetune\.freeze is 'none' there, 1 here"):
        run(clip, manifests, tuned[0], finetuning=FineTuneConfig(freeze=1))
    with pytest.raises(FolderError, match=r"clip\.fingerprint is"):
        run(replace(clip, fingerprint="another"), manifests, tuned[0])
    with pytest.raises(FolderError, match="data is"):
        run(clip, {"train": manifests["val"]}, tuned[0])
    assert run(replace(clip, name="moved"), manifests, tuned[0]) is not None, "a folder of the same CLIP may move"


def test_validation_is_the_score_of_the_tuned_network(clip, manifests, tuned):
    folder, _ = tuned
    found = finetuned_features(folder, manifests["val"], workers=0, quiet=True)
    logits = predict(load_model(folder), found.frame_features[:], found.text_features)
    assert read_history(folder)[-1]["val_top1"] == pytest.approx(score(logits, found.labels).top1.value)
    assert found.classes == LABELS and len(found.clips) == 3


def test_features_of_another_clip_are_refused(clip, table, tuned, features, tmp_path):
    with pytest.raises(FolderError, match=rf"another CLIP, whose features mean nothing .*--clip {tuned[0]}/clip --out"):
        check_features(tuned[0], read_recipe(features), features)
    extract_features(read_manifest(table), tuned_clip(tuned[0]), tmp_path, frames=T, workers=0, quiet=True)
    assert check_features(tuned[0], read_recipe(tmp_path), tmp_path) is None
    assert is_finetuned(tuned[0]) and not is_finetuned(tmp_path)


def test_labels_of_a_corpus_beyond_the_classes_are_negatives(clip, manifests, tmp_path):
    corpus = ("Walk", "sit down", "wave")
    labels = torch.tensor([LABELS.index(label) for label in manifests["train"].table["label"]])
    texts = torch.randn(5, D, generator=torch.Generator().manual_seed(0))
    negatives = mine_negatives(texts[labels], texts, labels, depth=4)
    options = {"corpus": corpus, "negatives": negatives, "validation": manifests["val"]}
    run(clip, manifests, tmp_path, replace(TRAIN, epochs=1, k=4), **options)
    assert read_run(tmp_path)["labels"] == ["clap", "jump", "walk", "sit down", "wave"]


@pytest.mark.parametrize("quick_gelu", [False, True])
def test_a_clip_of_open_clips_list_is_kept_whole(clip, tmp_path, monkeypatch, quick_gelu):
    """Opened by name it has no folder whose configuration could be copied, and OpenAI's tags set QuickGELU."""
    config = json.loads((Path(clip.name) / "open_clip_config.json").read_text(encoding="utf-8"))
    (tmp_path / "list").mkdir()
    (tmp_path / "list" / "tiny-test.json").write_text(json.dumps(config["model_cfg"]), encoding="utf-8")
    monkeypatch.setattr("open_clip.factory._MODEL_CONFIGS", dict(open_clip.factory._MODEL_CONFIGS))
    monkeypatch.setattr("open_clip.factory._MODEL_CONFIG_PATHS", list(open_clip.factory._MODEL_CONFIG_PATHS))
    open_clip.add_model_config(tmp_path / "list")
    torch.save(clip.model.state_dict(), tmp_path / "weights.pt")
    options = {"pretrained": str(tmp_path / "weights.pt"), "force_quick_gelu": quick_gelu}
    model, *rest = mgdmkit.clip.backbone._create("tiny-test", device="cpu", **options)
    named = FrozenClip("tiny-test", model.eval().requires_grad_(False), *rest, fingerprint="")
    _save_clip(named, named.model.visual, tmp_path / "clip")
    kept = load_clip(str(tmp_path / "clip"))
    assert str(kept.model) == str(named.model)
    assert kept.model.state_dict().keys() == named.model.state_dict().keys()
    assert ("QuickGELU" in str(kept.model)) == quick_gelu
    noise = Image.fromarray(torch.randint(256, (90, 120, 3), dtype=torch.uint8).numpy())
    pixels = [c.preprocess(noise)[None] for c in (kept, named)]
    assert torch.equal(*pixels)
    assert torch.equal(kept.encode_image(pixels[0]), named.encode_image(pixels[1]))
    assert torch.equal(kept.encode_text(["a sentence"]), named.encode_text(["a sentence"]))


def mgdm(monkeypatch, capsys, *words) -> tuple[int | str | None, list[str], str]:
    """Exit status, lines and error output of `mgdm <words>`, run in this process."""
    monkeypatch.setattr(sys, "argv", ["mgdm", *map(str, words)])
    try:
        status = main()
    except SystemExit as end:
        status = end.code
    out, err = capsys.readouterr()
    return status, out.splitlines(), err


def test_from_the_shell_to_a_score(clip, table, features, tmp_path, monkeypatch, capsys):
    mined, out = tmp_path / "negatives.csv", tmp_path / "run"
    mgdm(monkeypatch, capsys, "mine", "--features", features, "--out", mined)
    source = ("--manifest", table, "--clip", clip.name, "--mined", mined, "--out", out, "--workers", 0)
    short = ("--frames", T, "--k", 1, "--epochs", 1, "--warmup-epochs", 0, "--batch-size", 4, "--device", "cpu")
    status, lines, err = mgdm(monkeypatch, capsys, "finetune", "small", *source, *short, "--freeze", 1, "--flip")
    assert (status, lines[-2]) == (None, f"run: {out}"), err
    made = read_run(out)
    assert (made["model"]["dim"], made["model"]["temporal_layers"], made["train"]["k"]) == (D, 2, 1)
    assert (made["finetune"]["freeze"], made["finetune"]["flip"]) == (1, True)
    assert "val_top1" in read_history(out)[0]

    status, lines, err = mgdm(monkeypatch, capsys, "evaluate", "--run", out, "--manifest", table, "--device", "cpu")
    assert (status, lines[-1]) == (None, f"scores: {out / 'scores-test.json'}"), err
    by_manifest = json.loads((out / "scores-test.json").read_text(encoding="utf-8"))
    assert by_manifest["top1"]["n"] == 3
    own = tmp_path / "features"
    options = ("--manifest", table, "--clip", out / "clip", "--out", own, "--frames", T, "--workers", 0)
    mgdm(monkeypatch, capsys, "features", *options, "--device", "cpu")
    status, _, err = mgdm(monkeypatch, capsys, "evaluate", "--run", out, "--features", own, "--device", "cpu")
    assert status is None, err
    assert json.loads((out / "scores-test.json").read_text(encoding="utf-8")) == by_manifest


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("evaluate --run {run} --features {features}", "another CLIP, whose features mean nothing to this run"),
        ("evaluate --run {run}", "give either --features or"),
        ("evaluate --run {run} --features {features} --manifest {table}", "give either --features or"),
        ("evaluate --manifest {table}", "--manifest is for a --run made by `mgdm finetune`"),
        ("finetune small --manifest {table} --clip {clip} --out {new} --k 0 --dim 99", "--dim 99: this CLIP has 32"),
        (
            "finetune small --manifest {table} --clip {clip} --out {new}",
            "`mgdm mine --features FEATURES --out",
        ),
        ("finetune small --manifest {table} --clip {clip} --out {new} --k 0 --freeze 9", "has 3 blocks"),
    ],
)
def test_mistakes_at_the_shell(clip, table, tuned, features, tmp_path, monkeypatch, capsys, words, message):
    places = {"run": tuned[0], "features": features, "table": table, "clip": clip.name, "new": tmp_path / "new"}
    status, _, err = mgdm(monkeypatch, capsys, *words.format(**places).split(), "--device", "cpu")
    assert status == 2 and message in err
    assert not (tmp_path / "new").exists()


def test_the_clip_that_comes_with_the_kit_is_trained_from_the_shell(table, tmp_path, monkeypatch, capsys):
    source = ("--manifest", table, "--clip", "small", "--out", tmp_path / "run", "--workers", 0, "--device", "cpu")
    short = ("--frames", T, "--k", 0, "--epochs", 1, "--warmup-epochs", 0, "--batch-size", 4)
    status, _, err = mgdm(monkeypatch, capsys, "finetune", "small", *source, *short)
    assert not status, err
    before, after = load_clip("small"), tuned_clip(tmp_path / "run")
    assert str(after.preprocess) == str(before.preprocess)
    assert not torch.equal(after.model.visual.proj, before.model.visual.proj)
