"""The training loop: it learns, it resumes to the same bits, it refuses to mix runs."""

import json
import math
from dataclasses import replace

import pytest
import torch

import mgdmkit.training.loop
from mgdmkit import (
    MGDM,
    MGDMConfig,
    TrainConfig,
    augmented_negative_loss,
    augmented_targets,
    mine_negatives,
)
from mgdmkit.evaluation.scores import score
from mgdmkit.inference import predict
from mgdmkit.runs import processes
from mgdmkit.runs.folder import FolderError
from mgdmkit.runs.processes import autocast_dtype, choose_device
from mgdmkit.runs.trained import load_model, new_model, read_history
from mgdmkit.training.loop import Videos, choose_groups, fit, train
from mgdmkit.training.optim import Diverged, learning_rate, parameter_groups

MODEL = MGDMConfig(dim=16, frames=4, temporal_layers=1, semantic_layers=1, heads=2, temperatures="fixed")
TRAIN = TrainConfig(k=2, epochs=6, batch_size=8, lr=3e-3, warmup_epochs=1.0)


def order_task(n, seed):
    """Classes 2c and 2c + 1 show the same frames in opposite order: only time tells them apart."""
    generator = torch.Generator().manual_seed(seed)
    scenes = torch.randn(3, 4, 16, generator=torch.Generator().manual_seed(99))
    labels = torch.randint(6, (n,), generator=generator)
    frames = scenes[labels // 2]
    frames = torch.where((labels % 2 == 1)[:, None, None], frames.flip(1), frames)
    return Videos(frames + 0.3 * torch.randn(n, 4, 16, generator=generator), labels)


TRAINING, VALIDATION = order_task(64, 0), order_task(40, 1)
TEXTS = torch.randn(6, 16, generator=torch.Generator().manual_seed(5))
MINED = mine_negatives(TRAINING.frame_features, TEXTS, TRAINING.labels, depth=5)


def run(out, config=TRAIN, **options):
    return train(MODEL, config, TRAINING, TEXTS, out, negatives=MINED, quiet=True, device="cpu", **options)


def test_it_learns_the_order_of_frames(tmp_path):
    config = TrainConfig(k=3, epochs=60, batch_size=16, lr=1e-2, warmup_epochs=2.0)
    model = run(tmp_path / "run", config, validation=VALIDATION)
    scores = score(predict(model, VALIDATION.frame_features, TEXTS), VALIDATION.labels)
    assert scores.top1.value >= 0.9
    history = read_history(tmp_path / "run")
    assert [line["epoch"] for line in history] == list(range(60))
    assert history[-1]["loss"] < 0.3 * history[0]["loss"]
    assert history[-1]["val_top1"] == pytest.approx(scores.top1.value)


class InterruptedTraining(Exception):
    pass


def test_an_interrupted_run_ends_in_the_same_bits(tmp_path):
    whole = run(tmp_path / "whole").state_dict()

    def stop(line):
        if line["epoch"] == 2:
            raise InterruptedTraining

    with pytest.raises(InterruptedTraining):
        run(tmp_path / "parts", on_epoch=stop)
    seen = []
    parts = run(tmp_path / "parts", on_epoch=lambda line: seen.append(line["epoch"])).state_dict()
    assert seen == [3, 4, 5], "the finished epochs are not repeated"
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    losses = [[line["loss"] for line in read_history(tmp_path / name)] for name in ("whole", "parts")]
    assert losses[0] == losses[1]


def test_a_second_program_may_train_the_same_run_at_the_same_time(tmp_path):
    """As two lessons do that are open side by side; the second one ends first."""

    def second(line):
        if line["epoch"] == 2:
            run(tmp_path / "both")

    models = [run(tmp_path / "both", on_epoch=second), run(tmp_path / "alone")]
    assert all(torch.equal(*weights) for weights in zip(*(model.parameters() for model in models), strict=True))
    losses = [[line["loss"] for line in read_history(tmp_path / name)] for name in ("both", "alone")]
    assert losses[0] == losses[1]
    assert {path.name for path in (tmp_path / "both").iterdir()} == {
        path.name for path in (tmp_path / "alone").iterdir()
    }


@pytest.mark.parametrize("epochs", [3, 6])
def test_a_death_between_checkpoint_and_history_loses_no_line(tmp_path, monkeypatch, epochs):
    """Also after the last epoch: the next run then has nothing to train."""
    whole = run(tmp_path / "whole").state_dict()
    written = mgdmkit.training.loop.write_history

    def dies(out, history):
        if len(history) == epochs:
            raise InterruptedTraining
        written(out, history)

    with monkeypatch.context() as patch, pytest.raises(InterruptedTraining):
        patch.setattr(mgdmkit.training.loop, "write_history", dies)
        run(tmp_path / "parts")
    assert len(read_history(tmp_path / "parts")) == epochs - 1
    parts = run(tmp_path / "parts").state_dict()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    losses = [[line["loss"] for line in read_history(tmp_path / name)] for name in ("whole", "parts")]
    assert losses[0] == losses[1]


def test_what_a_death_after_the_last_epoch_left_is_removed(tmp_path):
    run(tmp_path / "r")
    (tmp_path / "r" / "checkpoint.pt").write_bytes(b"stale")
    run(tmp_path / "r", on_epoch=lambda line: pytest.fail("retrained"))
    assert not (tmp_path / "r" / "checkpoint.pt").exists()


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_text("{", encoding="utf-8")])
def test_a_finished_run_with_a_damaged_history_is_told(tmp_path, damage):
    run(tmp_path / "r")
    damage(tmp_path / "r" / "history.jsonl")
    with pytest.raises(FolderError, match=r"history\.jsonl is (missing|damaged)"):
        run(tmp_path / "r")


def test_a_training_that_diverges_stops_with_epoch_and_cure_and_is_not_finished(tmp_path):
    with pytest.raises(Diverged, match=r"diverged in epoch \d: .*learning rate of .*smaller learning rate"):
        run(tmp_path / "r", replace(TRAIN, lr=1e20, clip_grad_norm=0.0))
    assert not (tmp_path / "r" / "model.safetensors").exists()
    kept = tmp_path / "r" / "history.jsonl"
    assert not kept.exists() or "NaN" not in kept.read_text(encoding="utf-8")


def test_a_finished_run_is_loaded_not_retrained(tmp_path):
    first = run(tmp_path / "r")
    again = run(tmp_path / "r", on_epoch=lambda line: pytest.fail("retrained"))
    loaded = load_model(tmp_path / "r")
    for model in (again, loaded):
        assert all(torch.equal(a, b) for a, b in zip(first.parameters(), model.parameters(), strict=True))
        assert not model.training
    assert sorted(p.name for p in (tmp_path / "r").iterdir()) == [
        "config.json",
        "history.jsonl",
        "model.safetensors",
        "sha256.json",
    ]


def test_another_run_in_the_folder_is_refused(tmp_path):
    run(tmp_path / "r")
    with pytest.raises(FolderError, match=r"train\.lr is 0\.003 there, 0\.1 here.*another folder"):
        run(tmp_path / "r", TrainConfig(k=2, epochs=6, batch_size=8, lr=0.1, warmup_epochs=1.0))
    shifted = Videos(TRAINING.frame_features + 1, TRAINING.labels)
    with pytest.raises(FolderError, match="holds something else: data is"):
        train(MODEL, TRAIN, shifted, TEXTS, tmp_path / "r", negatives=MINED)
    with pytest.raises(FolderError, match="mgdm train"):
        load_model(tmp_path / "nothing")


def test_a_damaged_checkpoint_says_what_to_do(tmp_path):
    run(tmp_path / "r")
    (tmp_path / "r" / "model.safetensors").unlink()
    (tmp_path / "r" / "checkpoint.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(FolderError, match=r"checkpoint\.pt is damaged.*delete it"):
        run(tmp_path / "r")


def half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def narrow(path):
    path.write_text(path.read_text().replace('"dim": 16', '"dim": 8'))


def unknown(path):
    path.write_text(path.read_text().replace('"dim"', '"width"'))


@pytest.mark.parametrize(
    ("name", "damage", "told"),
    [
        ("model.safetensors", half, r"model\.safetensors is damaged \(.+\); .*delete it and give the command"),
        ("model.safetensors", lambda path: path.write_bytes(b""), r"model\.safetensors is damaged"),
        ("config.json", half, r"config\.json is damaged \(.+\); put back a good copy, or train into another folder"),
        ("config.json", unknown, r"config\.json is damaged \(MGDMConfig has no field width.*\); put back"),
        ("config.json", lambda path: path.write_text("{}"), r"config\.json is damaged \(it lacks 'model'\)"),
        ("config.json", lambda path: path.unlink(), r"config\.json is missing; put back a good copy"),
        ("config.json", narrow, r"model\.safetensors is damaged \(.*size mismatch"),
    ],
)
def test_a_damaged_run_names_file_cause_and_cure_and_is_left_as_it_is(tmp_path, name, damage, told):
    run(tmp_path / "r")
    damage(tmp_path / "r" / name)
    before = {path.name: path.read_bytes() for path in (tmp_path / "r").iterdir()}
    with pytest.raises(FolderError, match=told):
        load_model(tmp_path / "r")
    with pytest.raises(FolderError):  # given again, the training neither takes it nor starts anew
        run(tmp_path / "r", on_epoch=lambda line: pytest.fail("trained again"))
    assert {path.name: path.read_bytes() for path in (tmp_path / "r").iterdir()} == before


def test_a_run_under_the_old_temperatures_is_refused(tmp_path):
    run(tmp_path / "r")
    made = json.loads((tmp_path / "r" / "config.json").read_text())
    del made["model"]["temperatures"]
    (tmp_path / "r" / "config.json").write_text(json.dumps(made))
    with pytest.raises(FolderError, match=r"fixed the two temperatures to those of OpenAI's CLIP.*train it anew"):
        load_model(tmp_path / "r")
    with pytest.raises(FolderError, match="temperatures is not named there, 'fixed' here"):
        run(tmp_path / "r", on_epoch=lambda line: pytest.fail("trained again"))


def test_a_damaged_history_names_file_cause_and_cure(tmp_path):
    run(tmp_path / "r")
    half(tmp_path / "r" / "history.jsonl")
    with pytest.raises(FolderError, match=r"history\.jsonl is damaged \(.+\); put back a good copy"):
        read_history(tmp_path / "r")
    with pytest.raises(FolderError, match=r"history\.jsonl is missing"):
        read_history(tmp_path / "none")


def test_batches_of_one_size_share_the_gathering_function(monkeypatch):
    """torch.compile may take another object for another program."""
    assert processes.gatherer(5) is None
    monkeypatch.setattr(processes, "world_size", lambda: 2)
    assert processes.gatherer(5) is processes.gatherer(5) is not processes.gatherer(4)


def test_seeds_change_the_run_and_only_the_seed_does(tmp_path):
    def weights(name, seed):
        config = TrainConfig(k=2, epochs=2, batch_size=8, lr=3e-3, warmup_epochs=0.0, seed=seed)
        torch.manual_seed(hash(name) % 1000)  # the global generator must not matter
        return run(tmp_path / name, config).representer.blocks.layers[0].linear1.weight

    assert torch.equal(weights("a", 1), weights("b", 1))
    assert not torch.equal(weights("c", 2), weights("d", 1))


def test_every_video_is_seen_once_an_epoch_also_in_a_short_last_batch(tmp_path, monkeypatch):
    seen = []
    import mgdmkit.training.loop as module

    original = module.augmented_targets
    monkeypatch.setattr(module, "augmented_targets", lambda v, t: (seen.append(t), original(v, t))[1])
    config = TrainConfig(k=2, epochs=1, batch_size=24, lr=1e-3, warmup_epochs=0.0)
    run(tmp_path / "r", config)
    assert [tuple(t.shape) for t in seen] == [(24, 3), (24, 3), (16, 3)]
    groups = torch.cat(seen).tolist()
    expected = torch.cat([TRAINING.labels[:, None], MINED.indices[:, :2]], dim=1).tolist()
    assert sorted(groups) == sorted(expected)


def test_schedule_rises_and_falls_to_zero():
    rates = [learning_rate(step, 100, 10, 2.0) for step in range(101)]
    assert rates[0] == pytest.approx(0.2) and rates[9] == rates[10] == 2.0
    assert rates[55] == pytest.approx(1.0) and rates[100] == pytest.approx(0.0)
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_weight_decay_spares_vectors_positions_and_the_scale():
    model = MGDM(MODEL)
    decayed, free = parameter_groups(model, 0.2)
    names = {id(p): name for name, p in model.named_parameters()}
    assert all("weight" in names[id(p)] and p.ndim == 2 for p in decayed["params"])
    assert {"logit_scale", "representer.frame_positions"} <= {names[id(p)] for p in free["params"]}
    assert len(decayed["params"]) + len(free["params"]) == len(names)
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.2, 0.0)


def recorded_gradients(monkeypatch, out, config):
    """The gradients of each step of a training, before they are used."""
    steps, original = [], torch.optim.AdamW.step

    def step(optimizer, *args, **kwargs):
        steps.append([p.grad.clone() for group in optimizer.param_groups for p in group["params"]])
        return original(optimizer, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    run(out, config)
    return steps


def test_accumulation_takes_the_mean_of_the_gradients_of_its_batches(tmp_path, monkeypatch):
    config = TrainConfig(k=2, epochs=1, batch_size=24, accumulate=3, lr=1e-3, warmup_epochs=0.0, clip_grad_norm=0)
    (found,) = recorded_gradients(monkeypatch, tmp_path / "r", config)
    model, expected = new_model(MODEL, 0), 0
    parameters = [p for group in parameter_groups(model, 0.2) for p in group["params"]]
    groups = torch.cat([TRAINING.labels[:, None], MINED.indices[:, :2]], dim=1)
    for batch in torch.randperm(64, generator=torch.Generator().manual_seed(0)).split(24):  # 24, 24 and 16 videos
        logits = model(TRAINING.frame_features[batch], TEXTS[groups[batch]]).logits
        loss = augmented_negative_loss(logits, augmented_targets(TRAINING.labels[batch], groups[batch]))
        flat = torch.cat([gradient.flatten() for gradient in torch.autograd.grad(loss, parameters)])
        expected = expected + flat * len(batch) / 64
    assert torch.allclose(torch.cat([gradient.flatten() for gradient in found]), expected, atol=1e-6, rtol=1e-4)


def test_the_schedule_counts_steps_of_the_optimiser(tmp_path, monkeypatch):
    config = TrainConfig(k=2, epochs=4, batch_size=16, accumulate=3, lr=1.0, warmup_epochs=0.0)
    assert len(recorded_gradients(monkeypatch, tmp_path / "r", config)) == 4 * 2, "4 batches make steps of 3 and of 1"
    assert read_history(tmp_path / "r")[-1]["lr"] == pytest.approx(learning_rate(7, 8, 0, 1.0))


def test_each_group_of_parameters_has_its_share_of_the_learning_rate(tmp_path):
    model = MGDM(MODEL)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    groups = parameter_groups(model.representer, 0.0) + parameter_groups(model.discriminator, 0.0, lr_ratio=0.01)
    config = TrainConfig(k=0, epochs=1, batch_size=64, lr=1e-3, warmup_epochs=0.0)
    fit(model, groups, config, TRAINING, TRAINING.labels[:, None], TEXTS, tmp_path, quiet=True)
    moved = {name: (p.detach() - before[name]).abs().max().item() for name, p in model.named_parameters()}
    # AdamW's first step moves each weight that has a gradient by the learning rate.
    assert moved["representer.blocks.layers.0.linear1.weight"] == pytest.approx(1e-3, rel=0.01)
    assert moved["discriminator.blocks.layers.0.linear1.weight"] == pytest.approx(1e-5, rel=0.05)
    assert moved["logit_scale"] == 0, "it is in no group"


SHORT = TrainConfig(k=2, epochs=2, batch_size=16, lr=3e-3, warmup_epochs=0.0)


def test_precision_is_full_on_a_cpu_unless_asked(tmp_path):
    def losses(precision):
        run(tmp_path / precision, replace(SHORT, precision=precision))
        return [line["loss"] for line in read_history(tmp_path / precision)]

    assert losses("auto") == losses("fp32")
    assert losses("bf16") != losses("fp32")
    assert losses("bf16") == pytest.approx(losses("fp32"), rel=0.05)


def test_precision_that_cannot_be_had_is_refused(tmp_path):
    with pytest.raises(ValueError, match="precision='half' is not an option"):
        TrainConfig(precision="half")
    with pytest.raises(ValueError, match="precision='fp16' needs a CUDA device, not cpu"):
        run(tmp_path / "r", replace(SHORT, precision="fp16"))
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    assert [autocast_dtype("auto", where) for where in (cpu, cuda)] == [None, torch.bfloat16]
    assert autocast_dtype("fp16", cuda) == torch.float16


def test_the_scaled_loss_of_fp16_trains_and_resumes_to_the_same_bits(tmp_path, monkeypatch):
    """With fp16 let through on the CPU, where its kernels are slow: the scaling is the same."""
    monkeypatch.setattr("mgdmkit.training.loop.autocast_dtype", lambda *args: torch.float16)
    whole = run(tmp_path / "whole", replace(SHORT, epochs=4)).state_dict()

    def stop(line):
        if line["epoch"] == 1:
            raise InterruptedTraining

    with pytest.raises(InterruptedTraining):
        run(tmp_path / "parts", replace(SHORT, epochs=4), on_epoch=stop)
    scale = torch.load(tmp_path / "parts" / "checkpoint.pt", weights_only=True)["scaler"]["scale"]
    assert 1 < scale < 2**16, "it starts at 2^16, and a step that overflows halves it"
    parts = run(tmp_path / "parts", replace(SHORT, epochs=4)).state_dict()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    losses = [line["loss"] for line in read_history(tmp_path / "whole")]
    assert losses == sorted(losses, reverse=True) and losses[-1] < 0.6 * losses[0]


def test_compilation_changes_no_result_and_no_file(tmp_path, monkeypatch):
    compiled, original = [], torch.compile
    # The compiler's front end alone: its C++ takes a minute and may round otherwise.
    monkeypatch.setattr(torch, "compile", lambda m: (compiled.append(m), original(m, backend="eager"))[1])
    config = replace(SHORT, epochs=1, batch_size=64)
    plain = run(tmp_path / "plain", config).state_dict()
    assert not compiled
    fast = run(tmp_path / "fast", replace(config, compile=True)).state_dict()
    assert len(compiled) == 1
    assert fast.keys() == plain.keys()
    assert all(torch.allclose(plain[name], fast[name], atol=1e-6) for name in plain)
    load_model(tmp_path / "fast")


def test_validation_chooses_among_the_classes_alone(tmp_path):
    """Labels beyond the classes serve as negatives; were they candidates, copies of the classes' texts would tie."""
    corpus = torch.cat([TEXTS, TEXTS])
    options = {"negatives": MINED, "validation": VALIDATION, "quiet": True, "device": "cpu"}
    train(MODEL, SHORT, TRAINING, corpus, tmp_path / "six", classes=6, **options)
    train(MODEL, SHORT, TRAINING, corpus, tmp_path / "all", **options)
    tops = [read_history(tmp_path / name)[-1]["val_top1"] for name in ("six", "all")]
    assert tops[0] > 0 and tops[1] == 0


def test_choice_of_negatives():
    labels = TRAINING.labels
    assert torch.equal(choose_groups(TrainConfig(k=0), labels, 6, None), labels[:, None])
    own, negatives = choose_groups(TrainConfig(k=2), labels, 6, MINED).split([1, 2], dim=1)
    assert torch.equal(own, labels[:, None]) and torch.equal(negatives, MINED.indices[:, :2])
    drawn = choose_groups(TrainConfig(k=3, negatives="random"), labels, 6, None)[:, 1:]
    assert drawn.shape == (64, 3) and not (drawn == labels[:, None]).any()
    with pytest.raises(ValueError, match="mgdm mine"):
        choose_groups(TrainConfig(k=3), labels, 6, None)


def test_history_is_json_lines_with_finite_numbers(tmp_path):
    run(tmp_path / "r")
    lines = (tmp_path / "r" / "history.jsonl").read_text().splitlines()
    assert len(lines) == 6
    for line in map(json.loads, lines):
        assert math.isfinite(line["loss"]) and 0 < line["logit_scale"] <= 100.001 and line["lr"] >= 0


def test_a_device_that_is_not_there_is_named():
    assert choose_device("cpu").type == "cpu"
    assert choose_device().type in ("cpu", "cuda", "mps")
    with pytest.raises(ValueError, match="device 'foo' is not to be had here"):
        choose_device("foo")


def test_a_refused_precision_does_not_claim_the_folder(tmp_path):
    videos = Videos(torch.randn(4, 4, 16), torch.arange(4))
    model = MGDMConfig(dim=16, frames=4, heads=2, temporal_layers=1, semantic_layers=1, temperatures="fixed")
    config = TrainConfig(k=0, epochs=1, warmup_epochs=0, precision="fp16")
    with pytest.raises(ValueError, match="fp16"):
        train(model, config, videos, torch.randn(4, 16), tmp_path / "run", device="cpu")
    assert not (tmp_path / "run" / "config.json").exists()
