"""Two processes do what one does: the same loss, gradients, weights, features and scores.

torchrun starts this very file as a program: each process writes what it found, and the tests compare it with
what this process finds alone.
"""

import os
import subprocess
import sys
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mgdmkit import distributed
from mgdmkit.config import MGDMConfig
from mgdmkit.loss import augmented_negative_loss, augmented_targets
from mgdmkit.model import MGDM

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


def torchrun(*command: str, processes: int = 2, seconds: int = 100) -> str:
    """Run a program in several processes on a free port of torchrun's choice; what it printed. Never hangs."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    torch_run = subprocess.Popen(
        [*start, *command], env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        out, err = torch_run.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        torch_run.terminate()  # torchrun ends its processes before itself
        out, err = torch_run.communicate()
        pytest.fail(f"{command} was not done in {seconds} s:\n{out}\n{err}")
    assert torch_run.returncode == 0, f"{out}\n{err}"
    return out


def program(folder: Path) -> None:
    """What each process does: results of rank r go to `folder`/r."""
    with distributed.processes() as rank:
        out = folder / str(rank)
        out.mkdir()
        for reading, k, n in CASES:
            save_file(loss_and_gradients(reading, k, n), out / f"{reading}-{k}-{n}.safetensors")
        for reading in ("default", "context joint"):
            save_file(weights_after_steps(reading, 3), out / f"{reading}-weights.safetensors")
        print(f"rank {rank} of {distributed.world_size()} is done")


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory) -> tuple[Path, str]:
    """The folder that the program has filled, and what it printed."""
    folder = tmp_path_factory.mktemp("two_processes")
    return folder, torchrun(__file__, str(folder))


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
    # Keys' biases have no gradient but rounding, which Adam scales up.
    compare(two_processes[0], f"{reading}-weights.safetensors", weights_after_steps(reading, 3), atol=1e-9)


def test_only_the_first_process_prints(two_processes):
    assert two_processes[1].splitlines() == ["rank 0 of 2 is done"]


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
