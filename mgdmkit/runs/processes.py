"""Several processes, started by torchrun: who I am, which rows are mine, and joining what each has computed.

The loss is contrastive: its matrix should hold the videos and texts of all processes. Each process encodes its own
rows, `gather` joins them, and so every process computes the same global loss L over W processes. Backwards, `gather`
sums over the processes what they ask of a row: W dL/d(row), as each asks the same. A parameter before the gather then
has W times its own rows' share of the gradient, one after it (the logit scale) all of it; the mean over processes,
`average_gradients`, is in both cases the gradient that one process would have had on the global batch.

In a single process everything here does nothing, so that the callers need not ask. Processes share the file system.
`choose_device` says where a process computes, `autocast_dtype` in what.
"""

import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from datetime import timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from mgdmkit.pool import cores

# Not to find a dead process, which torchrun does within seconds, but to let the others wait for a long piece of work.
PATIENCE = timedelta(days=2)
ALONE = "To work alone: env -u WORLD_SIZE mgdm ..."


@contextmanager
def processes() -> Iterator[int]:
    """Join the processes that torchrun started, and leave them at the end; yields the rank of this one.

    Each process gets a GPU of its own where there are GPUs, as the default CUDA device; `ValueError` when a machine has
    fewer GPUs than processes, and where the environment says half of what torchrun does. Only rank 0 prints.
    """
    told = os.environ.get("WORLD_SIZE", "1")
    if told == "1" or dist.is_initialized():
        yield rank()
        return
    lacking = [name for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT") if not os.environ.get(name)]
    if not told.isdigit() or lacking:
        raise ValueError(
            f"the environment says WORLD_SIZE={told!r}{f' but no {lacking[0]}' if lacking else ''}: something started "
            f"this as one of several processes, but not torchrun. {ALONE}"
        )
    backend = "gloo"
    if torch.cuda.is_available():
        local, gpus = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if local >= gpus:
            raise ValueError(
                f"process {local + 1} of this machine finds {gpus} GPUs and needs one of its own; start torchrun with "
                f"--nproc-per-node {gpus}, or set CUDA_VISIBLE_DEVICES to nothing to use the processors"
            )
        torch.cuda.set_device(local)
        backend = "cpu:gloo,cuda:nccl" if dist.is_nccl_available() else "gloo"
    with _told_when_waiting():
        dist.init_process_group(backend, timeout=PATIENCE)
    with ExitStack() as stack:
        stack.callback(dist.destroy_process_group)
        if not is_main():
            stack.enter_context(redirect_stdout(stack.enter_context(Path(os.devnull).open("w"))))
        yield rank()


@contextmanager
def _told_when_waiting(seconds: float = 10) -> Iterator[None]:
    """One line for who waits for processes that were never started, as in the shell of a cluster's job."""
    rank, of = os.environ["RANK"], os.environ["WORLD_SIZE"]
    at = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
    line = f"mgdm: process {rank} waits at {at} until all {of} processes have come (WORLD_SIZE={of}). {ALONE}"
    timer = threading.Timer(seconds, lambda: print(line, file=sys.stderr, flush=True))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def choose_device(device: str = "auto") -> torch.device:
    """ "auto" takes CUDA, then Apple's MPS, then the CPU; `ValueError` for a device that is not there."""
    if device == "auto":
        names = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
        device = next((name for name, there in names.items() if there), "cpu")
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {device!r} is not to be had here; choose auto, cpu, cuda or mps") from error


PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
"""What a network computes in, and what autocast takes for it."""


def autocast_dtype(precision: str, where: torch.device) -> torch.dtype | None:
    """What autocast computes in on a device, None for fp32; "auto" is bf16 on CUDA and fp32 elsewhere.

    `ValueError` for fp16 without CUDA: only there are its kernels, and the reason to bear its narrow range.
    """
    if precision == "auto":
        precision = "bf16" if where.type == "cuda" else "fp32"
    if precision == "fp16" and where.type != "cuda":
        raise ValueError(f"precision='fp16' needs a CUDA device, not {where.type}; choose 'bf16' or 'fp32'")
    return PRECISIONS[precision]


def world_size() -> int:
    """W, the number of processes; 1 without torchrun."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Which of the W processes this is, from 0."""
    return dist.get_rank() if world_size() > 1 else 0


def is_main() -> bool:
    """Is this the process that writes and prints?"""
    return rank() == 0


def local_cores() -> int:
    """Processor cores for each of the processes of this machine, at least 1."""
    here = int(os.environ.get("LOCAL_WORLD_SIZE", 1)) if world_size() > 1 else 1
    return max(1, cores() // here)


def barrier() -> None:
    """Wait until all processes have come here."""
    if world_size() > 1:
        dist.all_reduce(torch.zeros(1))  # dist.barrier would have to be told which GPU; this goes through the CPU


@contextmanager
def main_first() -> Iterator[None]:
    """Rank 0 goes through the block alone; the others follow and find what it wrote."""
    if not is_main():
        barrier()
    yield
    if is_main():
        barrier()


def shard(n: int, of: int | None = None) -> slice:
    """The rows of this process, or of rank `of`: W slices cover 0 .. n - 1 once, in order, and differ by 1 at most."""
    r, W = rank() if of is None else of, world_size()
    return slice(n * r // W, n * (r + 1) // W)


def gather(rows: Tensor, n: int) -> Tensor:
    """The n rows of all processes, (n, ...), in order, the same in each; their gradient is summed over the processes.

    Args:
        rows: (m, ...) with m the size of `shard(n)`, which may differ by 1 between processes and be 0; `ValueError`
            for another m, before anybody waits for it.
    """
    own = shard(n)
    if len(rows) != own.stop - own.start:
        raise ValueError(f"rank {rank()} holds {len(rows)} rows; its share of {n} is {own.stop - own.start}")
    return _Gather.apply(rows, n) if world_size() > 1 else rows


def gatherer(n: int) -> Callable[[Tensor], Tensor] | None:
    """What `MGDM.forward` takes as `gather` for a global batch of n rows; None in one process."""
    return _gather_n(n) if world_size() > 1 else None


@cache
def _gather_n(n: int) -> Callable[[Tensor], Tensor]:
    """One object for each n: torch.compile would take a new one for another program."""
    return partial(gather, n=n)


def map_rows(function: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
    """`function(rows)` for a function that treats each row alone: every process does its share and gets all of it."""
    return gather(function(rows[shard(len(rows))]), len(rows))


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace each gradient by its mean over the processes, in one message.

    Parameters without a gradient are left alone: what a step does not use, it uses in no process. Unlike
    DistributedDataParallel this does not overlap with the backward pass, and needs no wrapper around the model.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if world_size() == 1 or not gradients:
        return
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    flat /= world_size()
    for gradient, mean in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))


class _Gather(torch.autograd.Function):
    """All rows, as a sum over the processes of zeros with the own rows in them; torch's own gather is deprecated."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, n: int) -> Tensor:
        ctx.own = shard(n)
        whole = rows.new_zeros(n, *rows.shape[1:])
        whole[ctx.own] = rows
        dist.all_reduce(whole)
        return whole

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        summed = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(summed)
        return summed[ctx.own], None


SMALL = 10_000_000
"""Parameters up to which a model is small: the small CLIP and the models on its features."""


@contextmanager
def threads_for(model: nn.Module) -> Iterator[None]:
    """Compute with one thread while a small model works on the processor.

    A second thread gains it little and makes it wait for every other program on the machine; a second training run, or
    workers that decode, use the other core better. And the scores then depend on the processor alone, not on how many
    cores it has.
    """
    threads = torch.get_num_threads()
    small = sum(p.numel() for p in model.parameters()) <= SMALL and next(model.parameters()).device.type == "cpu"
    torch.set_num_threads(1 if small else threads)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
