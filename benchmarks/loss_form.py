"""What does it cost to repeat every video 1 + k times, as eq. 4-9 are printed?

    OMP_NUM_THREADS=1 python benchmarks/loss_form.py --memory-gb 4 --out results/loss_form.json

Three forms of the same loss:

    literal      V as b(1+k) x l(1+k) x D and Q as b(1+k) x l(1+k), as printed
    with V       one row per video: V as b x l x D and Q as b x l(1+k)
    without V    the library's: Q as above, V never made (`MGDM.compare`)

All start from the same frames and texts, go through the attention of eq. 15-16, the cosines of eq. 4 and the loss of
eq. 7-9, and back again. The transformer blocks cost the same in all and are left out. For each k the batches are 32,
the largest power of two whose literal form fits in `memory_gb`, and 256, without the literal form if it does not fit.

Memory is the peak of what tensors hold beyond the inputs: on the CPU the allocations that torch.profiler records
(exact to the byte; resident memory would hide the small form under what imports took), on CUDA
torch.cuda.max_memory_allocated. Times are medians, the forms in turn: on the CPU the processor time of this
process, which other programs on the machine do not lengthen. Both other forms' memory grows with the square of the
batch; `largest_batch` says up to which one the head alone would fit a GPU of 24 and 80 GB.
"""

import json
import math
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

from mgdmkit.config import MGDMConfig
from mgdmkit.files import write_text_atomic
from mgdmkit.loss import augmented_negative_loss, augmented_targets
from mgdmkit.model import MGDM, RawTexts

DIM, FRAMES, CLASSES = 768, 16, 400
K_GRID = (0, 3, 5, 7, 9)
SMALLEST_BATCH, LARGE_BATCH = 32, 256
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


def loss_without_V(model: MGDM, batch: Batch) -> Tensor:
    """The library's form."""
    logits = model(batch.frames, batch.texts).logits  # (b, l, g)
    return augmented_negative_loss(logits, augmented_targets(batch.video_labels, batch.text_labels))


def loss_with_V(model: MGDM, batch: Batch) -> Tensor:
    """One row per video, and a vector of it for each group."""
    V, _ = model.representer(batch.frames, batch.texts[:, 0])  # (b, l, D)
    cosines = torch.einsum("bld,lgd->blg", F.normalize(V, dim=-1), F.normalize(batch.texts, dim=-1))
    targets = augmented_targets(batch.video_labels, batch.text_labels)
    return augmented_negative_loss(cosines * model.logit_scale.exp(), targets)


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


FORMS: dict[str, Loss] = {"literal": literal_loss, "with_V": loss_with_V, "without_V": loss_without_V}


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


def batches(k: int, memory_gb: float) -> dict[int, bool]:
    """Batch -> whether the literal form fits."""
    fits = {2**n: estimated_bytes(2**n, k) <= memory_gb * 1e9 for n in range(5, 9)}
    largest = max((b for b, fitting in fits.items() if fitting), default=SMALLEST_BATCH)
    return {b: fits[b] for b in sorted({SMALLEST_BATCH, largest, LARGE_BATCH})}


def measure(b: int, k: int, literal: bool, device: str, repeats: int) -> dict[str, Any]:
    """All forms on one batch; `AssertionError` where losses or gradients differ."""
    model, batch = bare_model(device), draw_batch(b, k, device)
    forms = FORMS if literal else {name: form for name, form in FORMS.items() if name != "literal"}
    runs = {name: lambda loss=loss: forward_backward(loss, model, batch) for name, loss in forms.items()}
    memory = {name: peak_bytes(run, device) for name, run in runs.items()}
    value, gradients = runs["without_V"]()
    for name, run in runs.items():
        other_value, other_gradients = run()
        torch.testing.assert_close(value, other_value, rtol=1e-5, atol=0)
        for one, other in zip(gradients, other_gradients, strict=True):
            error = (one - other).norm() / other.norm()
            assert error < 1e-3, f"b = {b}, k = {k}, {name}: gradients differ by {error:.1e} of their size"
    times = [{name: seconds(run, device) for name, run in runs.items()} for _ in range(repeats)]
    row = {"k": k, "b": b, "loss": round(value, 6), "theory_literal": (1 + k) ** 2}
    for name in forms:
        median = statistics.median(line[name] for line in times)
        row |= {f"{name}_peak_mib": round(memory[name] / 2**20, 2), f"{name}_ms": round(1000 * median, 2)}
    for name in list(forms)[:-1]:
        for unit in ("peak_mib", "ms"):
            row[f"{name}_{unit}_ratio"] = round(row[f"{name}_{unit}"] / row[f"without_V_{unit}"], 1)
    return row


def largest_batch(row: dict[str, Any], gigabytes: int) -> dict[str, int]:
    """Up to which global batch each form's tensors fit, by the square law."""
    peaks = {name: row[f"{name}_peak_mib"] * 2**20 for name in FORMS if f"{name}_peak_mib" in row}
    return {name: int(row["b"] * math.sqrt(gigabytes * 1e9 / peak)) for name, peak in peaks.items()}


def main(
    memory_gb: float = 4, repeats: int = 3, device: str = "cpu", out: Path = Path("results/loss_form.json")
) -> None:
    """Measure the forms for k = 0, 3, 5, 7, 9, print the table and write it.

    Args:
        memory_gb: What the literal form may take; it chooses the larger batch of each k.
        repeats: Timed passes of each form; the median counts.
        device: cpu or cuda.
        out: The JSON file to write.
    """
    print(
        f"{device}, {torch.get_num_threads()} thread(s), D = {DIM}, l = b; MiB and ms of literal | with V | without V"
    )
    rows = []
    for k in K_GRID:
        for b, literal in batches(k, memory_gb).items():
            row = measure(b, k, literal, device, repeats)
            rows.append(row)
            mib, ms = (
                " | ".join(f"{row.get(f'{name}_{unit}', float('nan')):8,.1f}" for name in FORMS)
                for unit in ("peak_mib", "ms")
            )
            print(f"k = {k}, b = {b:>3}   MiB {mib}   ms {ms}", flush=True)
    widest = next(row for row in rows if row["k"] == 7 and row["b"] == LARGE_BATCH)
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
        "largest_batch": {f"{size} GB, k = 7": largest_batch(widest, size) for size in (24, 80)},
    }
    write_text_atomic(out, json.dumps(card, indent=1) + "\n")
    print(f"table: {out}")


if __name__ == "__main__":
    tyro.cli(main)
