"""The program that torchrun starts in two processes for runs/test_processes.py, and that the tests run alone, too.

    torchrun --nproc-per-node 2 tests/two_processes.py FOLDER

Each process writes what it found to FOLDER/<its rank>, and the shell commands theirs to FOLDER/together.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import torch
from conftest import write_video
from narrow_clip import narrow
from safetensors.torch import save_file
from torch import Tensor, nn

import mgdmkit.clip.features
import mgdmkit.experiments.pipeline
from mgdmkit.cli.main import main
from mgdmkit.clip.small import new_small_clip, save_small_clip
from mgdmkit.config import MGDMConfig, TrainConfig
from mgdmkit.data.manifest import write_manifest
from mgdmkit.loss import augmented_negative_loss, augmented_targets
from mgdmkit.mining import mine_negatives
from mgdmkit.model import MGDM
from mgdmkit.runs import processes
from mgdmkit.runs.trained import read_history
from mgdmkit.training.loop import Videos, train

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
        self.encoder, self.mgdm = nn.Linear(D, D), MGDM(MGDMConfig(**TINY, **options).for_backbone(D, 100.0))
        self.double()

    def loss(self, frames: Tensor, groups: Tensor, loss_options: dict) -> Tensor:
        """Of the global batch: frames (n, T, D), labels of the groups (n, g)."""
        own, texts = processes.shard(len(frames)), draw(1, C, D)
        gather = partial(processes.gather, n=len(frames))
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
    processes.average_gradients(model.parameters())
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return {"loss": loss.detach(), **gradients}


def weights_after_steps(reading: str, k: int = 3) -> dict[str, Tensor]:
    model_options, loss_options = READINGS[reading]
    model = Learner(model_options)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for step in range(6):
        optimizer.zero_grad(set_to_none=True)
        model.loss(*batch(10 * step, SIZES[step % 3], k), loss_options).backward()
        processes.average_gradients(model.parameters())
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
        train(MGDMConfig(**TINY, attention_temperature=0.01), config, training, texts, out, **options)
    finally:
        torch.set_default_dtype(torch.float)


# From clips to scores: {0} is the folder, {1} one in it for the results, {2} the videos that a process takes at once.
FEATURES = "features --manifest {0}/manifest.csv --clip {0}/clip --out {1}/features --frames 3 --workers 0"
SHORT = " --frames 3 --k 1 --epochs 2 --warmup-epochs 0 --lr 0.0003 --batch-size {2}"
JOB = (
    FEATURES,
    "mine --features {1}/features --out {1}/negatives.csv --depth 1",
    "mine --features {1}/features --out {1}/others.csv --depth 2 --corpus {0}/labels.txt --exclude {0}/exclude.csv",
    "train small --features {1}/features --mined {1}/negatives.csv --out {1}/run" + SHORT,
    "finetune small --manifest {0}/manifest.csv --clip {0}/clip --mined {1}/negatives.csv --out {1}/tuned --dim 128"
    " --workers 0" + SHORT,
    "evaluate --features {1}/features --run {1}/run",
    "evaluate --manifest {0}/manifest.csv --run {1}/tuned",
)


def mgdm(command: str, folder: Path, out: Path, batch_size: int = 0) -> None:
    """`mgdm <command>` in this process of one or several; a feature file holds 2 clips."""
    words = command.format(folder, out, batch_size).split()
    device = [] if words[0] == "mine" else ["--device", "cpu"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mgdmkit.clip.features, "SHARD_SIZE", 2)
        patch.setattr(sys, "argv", ["mgdm", *words, *device])
        main()


def write_clips(folder: Path) -> None:
    """Seven clips, 4 to train and 3 to test, and a narrow CLIP."""
    rows = []
    for i in range(7):
        path, split = write_video(folder / f"{i}.mp4", 4 + i).as_posix(), "train" if i < 4 else "test"
        rows.append({"id": f"clip {i}", "path": path, "label": "jump" if i % 2 else "walk", "split": split})
    write_manifest(folder / "manifest.csv", rows)
    (folder / "labels.txt").write_text("run\nswim\nsit\n")
    (folder / "exclude.csv").write_text("id,label_a,label_b,exclude\nclip 5,jump,run,yes\nclip 0,walk,sit,yes\n")
    with pytest.MonkeyPatch.context() as patch:
        narrow(patch, folder)
        save_small_clip(new_small_clip(0), folder / "clip")


@contextlib.contextmanager
def count_mined(file: Path) -> Iterator[None]:
    """Write how many clips this process has mined, each time."""
    clips, original = [], mgdmkit.experiments.pipeline.mine_negatives

    def counted(*args, **options):
        mined = original(*args, **options)
        clips.append(len(mined.indices))
        return mined

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mgdmkit.experiments.pipeline, "mine_negatives", counted)
        yield
    save_file({"clips": torch.tensor(clips)}, file)


def program(folder: Path) -> None:
    """What each of two processes does."""
    with processes.processes() as rank:
        own = folder / str(rank)
        own.mkdir()
        for reading, k, n in CASES:
            save_file(loss_and_gradients(reading, k, n), own / f"{reading}-{k}-{n}.safetensors")
        for reading in ("default", "context joint"):
            save_file(weights_after_steps(reading), own / f"{reading}-weights.safetensors")
        with contextlib.suppress(InterruptedTraining):
            train_tiny(folder / "tiny", batch_size=8, stop_after=1)
        save_file({"epochs": torch.tensor(len(read_history(folder / "tiny")))}, own / "interrupted.safetensors")
        train_tiny(folder / "tiny", batch_size=8)
        with count_mined(own / "mined.safetensors"):
            for command in JOB:
                mgdm(command, folder, folder / "together", batch_size=2)
        mgdm(FEATURES, folder, folder / "resumed")
        print(f"rank {rank} of {processes.world_size()} is done")


def start(*command: str, seconds: int = 300) -> tuple[int, str, str]:
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


if __name__ == "__main__":
    program(Path(sys.argv[1]))
