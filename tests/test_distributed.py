"""Two processes do what one does: the same loss, gradients, weights, features and scores.

torchrun starts this very file as a program: each process writes what it found, and the tests compare it with
what this process finds alone.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from conftest import write_video
from narrow_clip import narrow
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import mgdmkit.features
from mgdmkit import distributed
from mgdmkit.__main__ import main
from mgdmkit.clip import new_small_clip, save_small_clip
from mgdmkit.config import MGDMConfig, TrainConfig
from mgdmkit.loss import augmented_negative_loss, augmented_targets
from mgdmkit.manifest import write_manifest
from mgdmkit.mining import mine_negatives
from mgdmkit.model import MGDM
from mgdmkit.runfolder import FolderError
from mgdmkit.train import Videos, read_history, train

T, D, C = 4, 16, 9
TINY = {"dim": D, "frames": T, "temporal_layers": 1, "semantic_layers": 1, "heads": 2, "logit_scale": 20.0}
# name -> options of the model, options of the loss
READINGS: dict[str, tuple[dict, dict]] = {
    "default": ({}, {}),
    "guide each": ({"guide": "each"}, {}),
    "context joint": ({"context": "joint"}, {}),
    "mask": ({}, {"empty_columns": "mask"}),
    "uniform": ({}, {"empty_columns": "uniform"}),
    "softmax10": ({}, {"target": "softmax10"}),
    "all columns": ({}, {"t2v_mean": "all"}),
    "no representer": ({"representer": False}, {}),
    "no discriminator": ({"discriminator": False}, {}),
}
SIZES = (7, 6, 1)  # shares of 3 and 4, of 3 and 3, of 0 and 1
CASES = [(name, k, 7) for name in READINGS for k in (0, 3)] + [("default", 3, n) for n in SIZES[1:]]


class Learner(nn.Module):
    """MGDM behind a linear map that stands for an image encoder in training: it learns through the gather alone."""

    def __init__(self, options: dict):
        super().__init__()
        torch.manual_seed(0)
        self.encoder, self.mgdm = nn.Linear(D, D), MGDM(MGDMConfig(**TINY, **options))
        self.double()

    def loss(self, frames: Tensor, groups: Tensor, loss_options: dict) -> Tensor:
        """Of the global batch: frames (n, T, D), labels of the groups (n, g)."""
        own, texts = distributed.shard(len(frames)), draw(1, C, D)
        gather = partial(distributed.gather, n=len(frames))
        logits = self.mgdm(self.encoder(frames[own]), texts[groups[own]], gather).logits
        return augmented_negative_loss(logits, augmented_targets(groups[:, 0], groups), **loss_options)


def draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


def batch(seed: int, n: int, k: int) -> tuple[Tensor, Tensor]:
    """Frames (n, T, D) and groups of 1 + k different labels (n, g); some negatives are others' true labels."""
    return draw(seed, n, T, D), draw(seed + 1, n, C).argsort(dim=1)[:, : 1 + k]


def loss_and_gradients(reading: str, k: int, n: int) -> dict[str, Tensor]:
    model_options, loss_options = READINGS[reading]
    model = Learner(model_options)
    loss = model.loss(*batch(2, n, k), loss_options)
    loss.backward()
    distributed.average_gradients(model.parameters())
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return {"loss": loss.detach(), **gradients}


def weights_after_steps(reading: str, k: int) -> dict[str, Tensor]:
    model_options, loss_options = READINGS[reading]
    model = Learner(model_options)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for step in range(6):
        optimizer.zero_grad(set_to_none=True)
        model.loss(*batch(10 * step, SIZES[step % 3], k), loss_options).backward()
        distributed.average_gradients(model.parameters())
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return model.state_dict()


class InterruptedTraining(Exception):
    pass


def train_tiny(out: Path, batch_size: int, stop_after: int | None = None) -> None:
    """33 videos in batches of 16, 16 and 1, and 5 for validation; in double precision: rounding hides nothing."""
    torch.set_default_dtype(torch.double)
    try:
        training, texts = Videos(draw(50, 33, T, D), draw(51, 33, C).argmax(dim=1)), draw(52, C, D)
        validation = Videos(draw(53, 5, T, D), draw(54, 5, C).argmax(dim=1))
        config = TrainConfig(k=2, epochs=3, batch_size=batch_size, lr=1e-2, warmup_epochs=1.0)
        negatives = mine_negatives(training.frame_features, texts, training.labels, depth=2)

        def stop(line: dict) -> None:
            if line["epoch"] == stop_after:
                raise InterruptedTraining

        options = {"negatives": negatives, "validation": validation, "device": "cpu", "on_epoch": stop, "quiet": True}
        train(MGDMConfig(**TINY), config, training, texts, out, **options)
    finally:
        torch.set_default_dtype(torch.float)


def mgdm(command: str, folder: Path) -> None:
    """`mgdm <command>`, {0} standing for `folder`, in this process of one or several; a feature file holds 2 clips."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mgdmkit.features, "SHARD_SIZE", 2)
        patch.setattr(sys, "argv", ["mgdm", *command.format(folder).split()])
        main()


FEATURES = "features --clip {0}/clip --frames 3 --workers 0 --batch-size 1 --device cpu"
MINE = "mine --features {0}/alone --depth 1"
TRAIN = (
    "train small --features {0}/alone --mined {0}/alone.csv --k 1 --epochs 2 --warmup-epochs 0 --lr 0.001 --device cpu"
)
EVALUATE = "evaluate --features {0}/alone --run {0}/run_alone --device cpu"


def write_job(folder: Path) -> None:
    """Seven clips, 4 to train and 3 to test, and all that one process makes of them."""
    rows = []
    for i in range(7):
        path, split = write_video(folder / f"{i}.mp4", 4 + i).as_posix(), "train" if i < 4 else "test"
        rows.append({"id": f"clip {i}", "path": path, "label": "jump" if i % 2 else "walk", "split": split})
    write_manifest(folder / "manifest.csv", rows)
    with pytest.MonkeyPatch.context() as patch:
        narrow(patch, folder)
        save_small_clip(new_small_clip(0), folder / "clip")
    mgdm(f"{FEATURES} --manifest {{0}}/manifest.csv --out {{0}}/alone", folder)
    mgdm(f"{MINE} --out {{0}}/alone.csv", folder)
    mgdm(f"{TRAIN} --batch-size 4 --out {{0}}/run_alone", folder)
    mgdm(EVALUATE, folder)
    (folder / "run_alone" / "scores-test.json").rename(folder / "scores_alone.json")
    shutil.copytree(folder / "alone", folder / "resumed")
    (folder / "resumed" / "frames-00001.safetensors").unlink()
    (folder / "resumed" / "frames-00003.safetensors").write_bytes(b"damaged")


def program(folder: Path) -> None:
    """What each of two processes does; the results of rank r alone go to `folder`/r."""
    with distributed.processes() as rank:
        out = folder / str(rank)
        out.mkdir()
        for reading, k, n in CASES:
            save_file(loss_and_gradients(reading, k, n), out / f"{reading}-{k}-{n}.safetensors")
        for reading in ("default", "context joint"):
            save_file(weights_after_steps(reading, 3), out / f"{reading}-weights.safetensors")
        with contextlib.suppress(InterruptedTraining):
            train_tiny(folder / "run", batch_size=8, stop_after=1)
        save_file({"epochs": torch.tensor(len(read_history(folder / "run")))}, out / "interrupted.safetensors")
        train_tiny(folder / "run", batch_size=8)
        for features in ("together", "resumed"):
            mgdm(f"{FEATURES} --manifest {{0}}/manifest.csv --out {{0}}/{features}", folder)
        mgdm(f"{MINE} --out {{0}}/together.csv", folder)
        mgdm(f"{TRAIN} --batch-size 2 --out {{0}}/run_together", folder)
        mgdm(EVALUATE, folder)
        print(f"rank {rank} of {distributed.world_size()} is done")


def start(*command: str, seconds: int = 100) -> tuple[int, str, str]:
    """torchrun of a command in two processes on a free port of its choice: status, stdout, stderr. Never hangs."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *command]
    running = subprocess.Popen(torchrun, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        out, err = running.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        running.terminate()  # torchrun ends its processes before itself
        out, err = running.communicate()
        pytest.fail(f"{command} was not done in {seconds} s:\n{out}\n{err}")
    return running.returncode, out, err


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory) -> tuple[Path, list[str]]:
    """The folder that the program has filled, and the lines that it printed."""
    folder = tmp_path_factory.mktemp("two_processes")
    write_job(folder)
    status, out, err = start(__file__, str(folder))
    assert status == 0, f"{out}\n{err}"
    return folder, out.splitlines()


def compare(folder: Path, file: str, alone: dict[str, Tensor], atol: float) -> None:
    for rank in "01":
        found = load_file(folder / rank / file)
        assert found.keys() == alone.keys()
        for name, value in alone.items():
            torch.testing.assert_close(found[name], value, rtol=1e-9, atol=atol, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize(("reading", "k", "n"), CASES)
def test_loss_and_every_gradient_are_those_of_one_process(two_processes, reading, k, n):
    alone = loss_and_gradients(reading, k, n)
    assert alone["loss"] > 0.01 and alone["encoder.weight"].norm() > 0.01, "the comparison is not of zeros"
    compare(two_processes[0], f"{reading}-{k}-{n}.safetensors", alone, atol=1e-11)


@pytest.mark.parametrize("reading", ["default", "context joint"])
def test_weights_after_several_steps_are_those_of_one_process(two_processes, reading):
    # Keys' biases have no gradient but rounding, which Adam scales up: hence not 1e-11.
    compare(two_processes[0], f"{reading}-weights.safetensors", weights_after_steps(reading, 3), atol=1e-9)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_an_interrupted_training_ends_in_the_weights_of_one_process_with_twice_the_batch(two_processes, tmp_path):
    folder = two_processes[0]
    for rank in "01":
        assert load_file(folder / rank / "interrupted.safetensors")["epochs"] == 2, "it stopped before the last epoch"
    train_tiny(tmp_path / "run", batch_size=16)
    assert {path.name for path in (folder / "run").iterdir()} == {"config.json", "history.jsonl", "model.safetensors"}
    weights, together = (load_file(run / "run" / "model.safetensors") for run in (tmp_path, folder))
    assert weights.keys() == together.keys()
    for name, value in weights.items():
        torch.testing.assert_close(together[name], value, rtol=1e-7, atol=1e-8, msg=lambda m, n=name: f"{n}: {m}")
    for one, two in zip(*(read_history(run / "run") for run in (tmp_path, folder)), strict=True):
        for name in ("epoch", "loss", "val_top1", "lr", "logit_scale"):
            assert one[name] == pytest.approx(two[name], rel=1e-9)


def test_another_number_of_processes_cannot_continue_a_run(two_processes):
    with pytest.raises(FolderError, match="processes is 2 there, None here"):
        train_tiny(two_processes[0] / "run", batch_size=8)


@pytest.mark.parametrize("name", ["together", "resumed"])
def test_features_are_those_of_one_process_also_when_continued(two_processes, name):
    folder = two_processes[0]
    assert len(content(folder / "alone")) == 3 + 4
    assert content(folder / name) == content(folder / "alone")


def test_one_process_continues_the_features_of_two(two_processes, tmp_path):
    folder = two_processes[0]
    shutil.copytree(folder / "together", tmp_path / "f")
    (tmp_path / "f" / "frames-00002.safetensors").unlink()
    mgdm(f"{FEATURES} --manifest {{0}}/manifest.csv --out {tmp_path}/f", folder)
    assert content(tmp_path / "f") == content(folder / "alone")


def test_the_shell_commands_find_what_one_process_finds(two_processes):
    folder = two_processes[0]
    assert (folder / "together.csv").read_bytes() == (folder / "alone.csv").read_bytes()
    alone, together = (load_file(folder / f"run_{name}" / "model.safetensors") for name in ("alone", "together"))
    for name, value in alone.items():
        if name.endswith("in_proj_bias"):  # keys' biases: no gradient but rounding, which Adam scales up
            value[128:256] = together[name][128:256] = 0
        torch.testing.assert_close(together[name], value, rtol=0, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}")


def test_every_test_video_counts_once(two_processes):
    folder = two_processes[0]
    scores = json.loads((folder / "run_alone" / "scores-test.json").read_text())
    assert scores == json.loads((folder / "scores_alone.json").read_text())
    assert scores["top1"]["n"] == 3 == sum(map(sum, scores["confusion"])), "3 do not divide by 2 processes"


def test_only_the_first_process_prints(two_processes):
    lines = two_processes[1]
    assert lines[-1] == "rank 0 of 2 is done"
    for what in ("features: ", "negatives: ", "run: ", "scores: "):
        assert sum(line.startswith(what) for line in lines) == (2 if what == "features: " else 1)


def test_an_error_of_one_process_ends_all_with_its_message(tmp_path):
    command = f"manifest folder --videos {tmp_path}/nowhere --out {tmp_path}/manifest.csv"
    status, out, err = start("-m", "mgdmkit", *command.split())
    assert status != 0 and out == ""
    found = [line for line in err.splitlines() if line.startswith("mgdm: ")]
    assert len(found) == 1 and f"{tmp_path}/nowhere" in found[0], "the first process alone did it, and the other waited"


def test_one_process_needs_no_torchrun():
    with distributed.processes() as rank:
        assert (rank, distributed.world_size(), distributed.is_main()) == (0, 1, True)
        rows = draw(0, 5, 2).requires_grad_()
        assert distributed.gather(rows, 5) is rows and distributed.shard(5) == slice(0, 5)
        with distributed.main_first():
            distributed.barrier()
    assert 1 <= distributed.local_cores() <= (os.cpu_count() or 1)


@pytest.mark.parametrize("W", [1, 2, 3, 8])
@pytest.mark.parametrize("n", [0, 1, 7, 8, 1530])
def test_shards_cover_every_row_once_and_in_order(monkeypatch, W, n):
    monkeypatch.setattr(distributed, "world_size", lambda: W)
    shards = [distributed.shard(n, of=r) for r in range(W)]
    assert shards[0].start == 0 and shards[-1].stop == n
    assert all(one.stop == following.start for one, following in pairwise(shards))
    sizes = [own.stop - own.start for own in shards]
    assert max(sizes) - min(sizes) <= 1 and max(sizes) == -(-n // W)


def test_rows_that_are_not_the_share_are_refused():
    with pytest.raises(ValueError, match="rank 0 holds 4 rows; its share of 5 is 5"):
        distributed.gather(torch.zeros(4), 5)


def test_a_machine_with_too_few_gpus_says_what_to_do(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ValueError, match=r"process 2 of this machine finds 1 GPUs.*--nproc-per-node 1"):
        with distributed.processes():
            pytest.fail("it went on without a GPU")


if __name__ == "__main__":
    program(Path(sys.argv[1]))
