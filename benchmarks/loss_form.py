"""What does it cost to repeat every video 1 + k times, as eq. 4-9 are printed?

    OMP_NUM_THREADS=1 python benchmarks/loss_form.py --memory-gb 4 --out results/loss_form.json

The literal form keeps V as b(1+k) x l(1+k) x D and Q as b(1+k) x l(1+k); the small form, the library's, keeps
b x l x D and b x l(1+k). Both start from the same frames and texts, go through the attention of eq. 15-16, the
cosines of eq. 4 and the loss of eq. 7-9, and back again. The transformer blocks cost the same in both and are left
out. For each k the batch is 32, and the largest power of two whose literal form fits in `memory_gb`.

Memory is the peak of what tensors hold beyond the inputs: on the CPU the allocations that torch.profiler records
(exact to the byte; resident memory would hide the small form under what imports took), on CUDA
torch.cuda.max_memory_allocated. Times are medians, the two forms in turn: on the CPU the processor time of this
process, which other programs on the machine do not lengthen.
"""

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # before torch: the profiler complains where there is no GPU

import torch
import torch.nn.functional as F
import tyro
from torch import Tensor, nn

from mgdmkit.config import MGDMConfig, write_text_atomic
from mgdmkit.loss import augmented_negative_loss, augmented_targets
from mgdmkit.model import MGDM, RawTexts

DIM, FRAMES, CLASSES = 768, 16, 400
K_GRID = (0, 3, 5, 7, 9)
SMALLEST_BATCH = 32
COPIES_OF_V = 6.1  # alive at the peak of the backward pass: measured, and the same for every b and k


class Batch(NamedTuple):
    """One step's input, with l = b groups of g = 1 + k texts."""

    frames: Tensor  # (b, T, D), with gradients
    texts: Tensor  # (b, g, D), with gradients
    video_labels: Tensor  # (b,)
    text_labels: Tensor  # (b, g), the video's own label first


Loss = Callable[[MGDM, Batch], Tensor]


def draw_batch(b: int, k: int, device: str) -> Batch:
    """Random unit embeddings; labels and k different negatives from 400 classes, so that some meet a true label."""
    generator = torch.Generator().manual_seed(0)
    embeddings = F.normalize(torch.randn(CLASSES, DIM, generator=generator), dim=-1)
    text_labels = torch.rand(b, CLASSES, generator=generator).argsort(dim=1)[:, : 1 + k]
    frames = F.normalize(torch.randn(b, FRAMES, DIM, generator=generator), dim=-1)
    frames = frames + embeddings[text_labels[:, :1]]  # (b, T, D): a video resembles its label
    texts, labels = embeddings[text_labels].to(device), text_labels.to(device)
    return Batch(frames.to(device).requires_grad_(), texts.requires_grad_(), labels[:, 0], labels)


def bare_model(device: str) -> MGDM:
    """MGDM whose transformer blocks do nothing: what is left is eq. 4, 15 and 16."""
    model = MGDM(
        MGDMConfig(
            dim=DIM, frames=FRAMES, temporal_layers=1, semantic_layers=1, frame_positions=False, temperatures="fixed"
        )
    )
    model.representer.blocks, model.discriminator = nn.Identity(), RawTexts()
    return model.to(device)


def small_loss(model: MGDM, batch: Batch) -> Tensor:
    """The library's form: one row a video."""
    logits = model(batch.frames, batch.texts).logits  # (b, l, g)
    return augmented_negative_loss(logits, augmented_targets(batch.video_labels, batch.text_labels))


def literal_loss(model: MGDM, batch: Batch) -> Tensor:
    """Eq. 4-9 with every row repeated: L_b = b(1+k) videos against L_l = l(1+k) texts, each pair with its own V."""
    g = batch.texts.shape[1]
    frames = batch.frames.repeat_interleave(g, dim=0)  # (L_b, T, D)
    guides = batch.texts[:, 0].repeat_interleave(g, dim=0)  # (L_l, D)
    V, _ = model.representer(frames, guides)  # (L_b, L_l, D)
    E = batch.texts.flatten(0, 1)  # (L_l, D)
    sims = torch.einsum("rcd,cd->rc", F.normalize(V, dim=-1), F.normalize(E, dim=-1)) * model.logit_scale.exp()
    Q = (batch.video_labels.repeat_interleave(g)[:, None] == batch.text_labels.flatten()).float()  # (L_b, L_l)
    columns = Q.any(dim=0)
    return (kl_rows(sims, Q).mean() + kl_rows(sims.T, Q.T)[columns].mean()) / 2


def kl_rows(sims: Tensor, Q: Tensor) -> Tensor:
    """KL(Q || softmax(sims)) of each row, with Q divided by its row's sum."""
    Q = Q / Q.sum(dim=1, keepdim=True).clamp(min=1)
    return (torch.xlogy(Q, Q) - Q * sims.log_softmax(dim=1)).sum(dim=1)


def forward_backward(loss: Loss, model: MGDM, batch: Batch) -> tuple[float, tuple[Tensor, ...]]:
    """The loss, and its gradients with respect to frames, texts and logit scale."""
    value = loss(model, batch)
    return value.item(), torch.autograd.grad(value, (batch.frames, batch.texts, model.logit_scale))


def peak_bytes(run: Callable[[], Any], device: str) -> int:
    """The most that tensors hold while `run` runs, beyond what they held before."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        return torch.cuda.max_memory_allocated() - before
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, profile_memory=True) as profiler:
        run()
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text(encoding="utf-8"))["traceEvents"]
    held = [event["args"] for event in events if event.get("name") == "[memory]"]
    before = held[0]["Total Allocated"] - held[0]["Bytes"]
    return max(event["Total Allocated"] for event in held) - before


def seconds(run: Callable[[], Any], device: str) -> float:
    """Processor time of one call; on CUDA the time on the clock, with what the call left running."""
    if device == "cpu":
        start = time.process_time()
        run()
        return time.process_time() - start
    torch.cuda.synchronize()
    start = time.perf_counter()
    run()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def estimated_bytes(b: int, k: int) -> int:
    """Peak of the literal form: some float32 copies of V."""
    return COPIES_OF_V * (b * (1 + k)) ** 2 * DIM * 4


def batches(k: int, memory_gb: float) -> list[int]:
    """32 and the largest power of two above it whose literal form fits; `ValueError` if 32 does not."""
    fitting = [2**n for n in range(5, 13) if estimated_bytes(2**n, k) <= memory_gb * 1e9]
    if not fitting:
        needed = estimated_bytes(SMALLEST_BATCH, k) / 1e9
        raise ValueError(
            f"the literal form at b = {SMALLEST_BATCH}, k = {k} needs about {needed:.1f} GB; raise --memory-gb"
        )
    return sorted({SMALLEST_BATCH, fitting[-1]})


def measure(b: int, k: int, device: str, repeats: int) -> dict[str, Any]:
    """Both forms on one batch; `AssertionError` where losses or gradients differ."""
    model, batch = bare_model(device), draw_batch(b, k, device)
    forms = {"literal": literal_loss, "small": small_loss}
    runs = {name: lambda loss=loss: forward_backward(loss, model, batch) for name, loss in forms.items()}
    memory = {name: peak_bytes(run, device) for name, run in runs.items()}
    (small, small_gradients), (literal, literal_gradients) = runs["small"](), runs["literal"]()
    torch.testing.assert_close(small, literal, rtol=1e-5, atol=0)
    for one, other in zip(small_gradients, literal_gradients, strict=True):
        error = (one - other).norm() / other.norm()
        assert error < 1e-3, f"b = {b}, k = {k}: gradients {tuple(one.shape)} differ by {error:.1e} of their size"
    times = [{name: seconds(run, device) for name, run in runs.items()} for _ in range(repeats)]
    median = {name: statistics.median(line[name] for line in times) for name in runs}
    return {
        "k": k,
        "b": b,
        "loss": round(small, 6),
        **{f"{name}_peak_mib": round(memory[name] / 2**20, 2) for name in forms},
        **{f"{name}_ms": round(1000 * median[name], 2) for name in forms},
        "memory_ratio": round(memory["literal"] / memory["small"], 1),
        "time_ratio": round(median["literal"] / median["small"], 1),
        "theory_V": (1 + k) ** 2,
    }


def main(
    memory_gb: float = 4, repeats: int = 3, device: str = "cpu", out: Path = Path("results/loss_form.json")
) -> None:
    """Measure both forms for k = 0, 3, 5, 7, 9, print the table and write it.

    Args:
        memory_gb: What the literal form may take; it chooses the larger batch of each k.
        repeats: Timed passes of each form; the median counts.
        device: cpu or cuda.
        out: The JSON file to write.
    """
    points = [(b, k) for k in K_GRID for b in batches(k, memory_gb)]
    print(f"{device}, {torch.get_num_threads()} thread(s), D = {DIM}, l = b; literal form <= {memory_gb} GB (estimate)")
    print(
        f"{'k':>2} {'b':>5} {'literal MiB':>12} {'small MiB':>10} {'memory x':>9} {'(1+k)^2':>8}"
        f" {'literal ms':>11} {'small ms':>9} {'time x':>7}"
    )
    rows = []
    for b, k in points:
        row = measure(b, k, device, repeats)
        rows.append(row)
        print(
            f"{k:>2} {b:>5} {row['literal_peak_mib']:>12.1f} {row['small_peak_mib']:>10.1f} {row['memory_ratio']:>9}"
            f" {row['theory_V']:>8} {row['literal_ms']:>11.1f} {row['small_ms']:>9.1f} {row['time_ratio']:>7}",
            flush=True,
        )
    card = {
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "memory_measure": "torch.cuda.max_memory_allocated" if device == "cuda" else "torch.profiler, CPU allocations",
        "time_measure": "wall clock" if device == "cuda" else "processor time",
        "D": DIM,
        "frames": FRAMES,
        "memory_gb": memory_gb,
        "repeats": repeats,
        "points": rows,
    }
    write_text_atomic(out, json.dumps(card, indent=1) + "\n")
    print(f"table: {out}")


if __name__ == "__main__":
    tyro.cli(main)
