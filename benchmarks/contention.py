"""What does a second program on the machine cost? Steps of the kit's own work, alone and beside others.

    python benchmarks/contention.py --out results/contention.csv

Work: a training step of the small model (k = 7, 32 videos), a step of the small CLIP's training with the worker that
draws its stills, and the features of 16 clips with two workers that decode. Each runs alone, beside one and two
processes that only count, and beside a twin of itself, twice over:

    spinning    torch's defaults: a thread per core, which waits for the others by spinning
    shipped     as the kit starts it: waiting threads give the core back (OMP_WAIT_POLICY=PASSIVE), and a small model
                works on one thread

What runs beside is started here, and all that is measured starts at one time, after a warm-up. `ms` is the median over
the repeats of the time of a step; `slower` is that over the same work alone and as shipped. For two twins `ms` is
that of one of them: as fast as two cores could do both, `slower` is 1.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated

import pandas as pd
import tyro
from tqdm import tqdm

WORK = ("training", "clip", "features")
BESIDE = ("nothing", "one busy process", "two busy processes", "a twin")
HOW = ("spinning", "shipped")
BUSY = {"one busy process": 1, "two busy processes": 2}


def training_step(threads_of_kit: bool) -> Callable[[], object]:
    """A step of `mgdmkit.training.loop` on random features of StickActions' size."""
    import torch

    from mgdmkit.config import SMALL_MODEL, MGDMConfig
    from mgdmkit.loss import augmented_negative_loss, augmented_targets
    from mgdmkit.runs.processes import threads_for
    from mgdmkit.runs.trained import new_model

    model = new_model(MGDMConfig(frames=16, **SMALL_MODEL).for_backbone(128, 14.7), seed=0)
    frames, texts, labels = torch.randn(32, 16, 128), torch.randn(60, 128), torch.arange(32)
    groups = (labels[:, None] + torch.arange(8)) % 60
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss = augmented_negative_loss(model(frames, texts[groups]).logits, augmented_targets(labels, groups))
        loss.backward()
        optimizer.step()

    if threads_of_kit:
        KEPT.enter_context(threads_for(model))
    return step


def clip_step(threads_of_kit: bool) -> Callable[[], object]:
    """A step of `mgdmkit.training.pretraining`, on stills that a worker draws meanwhile."""
    import torch
    from open_clip.tokenizer import SimpleTokenizer

    from mgdmkit.clip.batches import load_batches
    from mgdmkit.clip.small import new_small_clip
    from mgdmkit.runs.processes import threads_for
    from mgdmkit.training.pretraining import PretrainConfig, StickStills, contrastive_loss, normalise

    model = new_small_clip(0).train()
    tokenizer = SimpleTokenizer(context_length=model.context_length)
    stills = load_batches(StickStills(PretrainConfig()).__getitem__, range(10_000), workers=1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def step() -> None:
        pictures, captions = next(stills)
        optimizer.zero_grad(set_to_none=True)
        contrastive_loss(model, normalise(pictures), tokenizer(captions)).backward()
        optimizer.step()

    if threads_of_kit:
        KEPT.enter_context(threads_for(model))
    return step


def features_step(threads_of_kit: bool) -> Callable[[], object]:
    """16 clips of 16 frames through the shipped CLIP, while two workers decode the next ones."""
    from mgdmkit.clip.backbone import load_clip
    from mgdmkit.clip.batches import in_two_parts, load_batches
    from mgdmkit.clip.features import pixels
    from mgdmkit.data.manifest import read_manifest
    from mgdmkit.experiments.pipeline import PRESETS
    from mgdmkit.runs.processes import threads_for
    from mgdmkit.stickactions.dataset import generate

    folder = KEPT.enter_context(tempfile.TemporaryDirectory())
    paths = read_manifest(generate(Path(folder), PRESETS["smoke"].dataset)).video_paths
    clip = load_clip("small")
    cut, rest = in_two_parts(clip.preprocess)
    batches = [paths[start : start + 16] for start in range(0, len(paths), 16)]
    decoded = load_batches(partial(pixels, T=16, preprocess=cut), 100 * batches, workers=2)
    if threads_of_kit:
        KEPT.enter_context(threads_for(clip.model))
    return lambda: clip.encode_image(rest(next(decoded).flatten(0, 1)))


KEPT = ExitStack()
"""Open for as long as the process lives: a context that nothing holds is left at once."""
STEPS = {"training": training_step, "clip": clip_step, "features": features_step}


def worker(work: str, how: str, seconds: float) -> None:
    """Warm up, say so, and at each line that comes in print the milliseconds of a step."""
    if how == "spinning":
        import torch  # before mgdmkit, which would set the policy

        torch.zeros(2_000_000).sum()
    step = STEPS[work](how == "shipped")
    for _ in range(3):
        step()
    print("ready", flush=True)
    for _ in sys.stdin:
        start, steps = time.perf_counter(), 0
        while time.perf_counter() - start < seconds:
            step()
            steps += 1
        print(1000 * (time.perf_counter() - start) / steps, flush=True)


def start(work: str, how: str, seconds: float) -> subprocess.Popen:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_", "KMP_"))}
    command = [sys.executable, __file__, "--worker", work, how, str(seconds)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen(command, env=environment, text=True, **pipes)


def measure(work: str, how: str, seconds: float, repeats: int) -> dict[str, list[float]]:
    """Company -> milliseconds of a step, once for each repeat."""
    found: dict[str, list[float]] = {beside: [] for beside in BESIDE}
    workers = [start(work, how, seconds) for _ in range(2)]
    for process in workers:
        assert process.stdout.readline() == "ready\n", f"{work}, {how}: the worker ended before its start"
    for beside in tqdm(BESIDE * repeats, desc=f"{work}, {how}"):
        counting = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(BUSY.get(beside, 0))]
        working = workers if beside == "a twin" else workers[:1]
        for process in working:
            process.stdin.write("go\n")
            process.stdin.flush()
        found[beside].append(statistics.mean(float(process.stdout.readline()) for process in working))
        for process in counting:
            process.kill()
            process.wait()
    for process in workers:
        process.communicate()
    return found


def main(
    out: Path = Path("results/contention.csv"),
    seconds: float = 4.0,
    repeats: int = 3,
    worker_: Annotated[tuple[str, ...], tyro.conf.arg(name="worker", help="internal")] = (),
) -> None:
    """Measure every kind of work in every company and write the table.

    Args:
        out: The CSV to write.
        seconds: How long each case is watched.
        repeats: Times that each case is measured, the companies in turn.
    """
    if worker_:
        return worker(worker_[0], worker_[1], float(worker_[2]))
    found = {(work, how): measure(work, how, seconds, repeats) for work in WORK for how in HOW}
    rows = []
    for (work, how), by_company in found.items():
        alone = statistics.median(found[work, "shipped"]["nothing"])
        for beside, times in by_company.items():
            ms = statistics.median(times)
            row = {"work": work, "how": how, "beside": beside, "cores": os.cpu_count(), "repeats": repeats}
            rows.append(row | {"ms": ms, "ms_low": min(times), "ms_high": max(times), "slower": ms / alone})
    table = pd.DataFrame(rows).round(2)
    from mgdmkit.files import write_text_atomic

    write_text_atomic(out, table.to_csv(index=False))
    print(table.pivot(index=["work", "beside"], columns="how", values=["ms", "slower"]).round(1).to_string())
    print(f"table: {out}")


if __name__ == "__main__":
    tyro.cli(main)
