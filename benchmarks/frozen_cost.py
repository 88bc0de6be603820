"""What do the six rows of Table 2 cost on cached features, without a GPU?

    python benchmarks/frozen_cost.py --out results/frozen_cost.json

Features of the size of HMDB51's with random content (3,570 clips x 16 frames, 51 classes) go through the kit's own
training loop with the paper's 6 + 2 blocks and batches of 32, for CLIPs of width 512 (ViT-B) and 768 (ViT-L). Content
changes no time. For each width, k and precision some steps are timed, the first one left out, and the whole is
extrapolated: 6 rows x 20 epochs x 112 steps, and a checkpoint after each epoch.

The share is that of the machine's best rate in large matrix products of the same precision, taken before and after the
steps. Rates are of the processor time of this process, so other programs hardly change the share; they do
change the hours, which are of the clock: run it on an idle machine.
"""

import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
import tyro
from torch import Tensor

from mgdmkit.config import MGDMConfig, TrainConfig
from mgdmkit.files import write_text_atomic
from mgdmkit.mining import random_negatives
from mgdmkit.replication.plan import module_gmac
from mgdmkit.replication.recipes import read_recipe, table_recipes
from mgdmkit.runs.trained import new_model
from mgdmkit.training.loop import fit
from mgdmkit.training.optim import parameter_groups

CLIPS, CLASSES, CORPUS = 3570, 51, 530
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


class Clock(NamedTuple):
    """Two clocks, in seconds."""

    wall: float
    cpu: float

    @classmethod
    def now(cls) -> "Clock":
        return cls(time.perf_counter(), time.process_time())

    def since(self, start: "Clock") -> "Clock":
        return Clock(self.wall - start.wall, self.cpu - start.cpu)


@dataclass
class RandomVideos:
    """A training set that notes when the loop asks for each batch: the time between two is that of a step."""

    frame_features: Tensor  # (N, T, D)
    labels: Tensor  # (N,)
    asked: list[Clock] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, order: list[Tensor], epoch: int) -> Iterator[Tensor]:
        for batch in order:
            self.asked.append(Clock.now())
            yield self.frame_features[batch]


def product_gflops(size: int, precision: str, seconds: float = 1.0) -> tuple[float, float]:
    """The best rate of square products in about `seconds`: by the clock, and by processor time of all threads."""
    a, b = (torch.randn(size, size, dtype=DTYPES[precision]) for _ in range(2))
    a @ b
    taken, start = [], Clock.now()
    while len(taken) < 3 or Clock.now().since(start).wall < seconds:
        begun = Clock.now()
        a @ b
        taken.append(Clock.now().since(begun))
    work = 2 * size**3 / 1e9
    return work / min(t.wall for t in taken), work / min(t.cpu for t in taken)


def time_steps(model: MGDMConfig, config: TrainConfig, steps: int) -> tuple[list[Clock], float]:
    """Each of `steps` steps, the first and the last left out; and seconds of a checkpoint."""
    generator = torch.Generator().manual_seed(0)
    N = config.batch_size * (steps + 2)
    labels = torch.randint(CLASSES, (N,), generator=generator)
    frames = torch.randn(N, model.frames, model.dim, generator=generator)
    texts = torch.randn(CORPUS, model.dim, generator=generator)
    groups = torch.cat([labels[:, None], random_negatives(labels, CORPUS, config.k, generator)], dim=1)
    videos, network, ended = RandomVideos(frames, labels), new_model(model, seed=0), []
    with tempfile.TemporaryDirectory() as folder:
        hooks = {"on_epoch": lambda line: ended.append(Clock.now()), "quiet": True}
        fit(
            network,
            parameter_groups(network, config.weight_decay),
            config,
            videos,
            groups,
            texts,
            Path(folder),
            **hooks,
        )
    taken = [end.since(start) for start, end in pairwise(videos.asked)][1:]
    last_step_and_checkpoint = ended[0].since(videos.asked[-1]).wall
    return taken, max(0.0, last_step_and_checkpoint - statistics.median(step.wall for step in taken))


def measure(width: int, k: int, precision: str, steps: int, size: int) -> dict[str, Any]:
    """One row of the table."""
    recipe = read_recipe("hmdb51", "0")
    model, b = recipe.model.for_backbone(width, 100.0), recipe.train.batch_size
    config = replace(recipe.train, k=k, epochs=1, warmup_epochs=0.0, precision=precision)
    before = product_gflops(size, precision)
    taken, checkpoint = time_steps(model, config, steps)
    after = product_gflops(size, precision)
    by_clock, by_cpu = (max(pair) for pair in zip(before, after, strict=True))
    wall, cpu = statistics.median(step.wall for step in taken), statistics.median(step.cpu for step in taken)
    gflop = 2 * 3 * b * module_gmac(model, k, groups=b, together=b)  # forward and backward, two a multiply-add
    return {
        "width": width,
        "k": k,
        "precision": precision,
        "step_s": round(wall, 3),
        "step_cpu_s": round(cpu, 3),
        "step_gflop": round(gflop, 1),
        "checkpoint_s": round(checkpoint, 2),
        "product_gflops": round(by_clock, 1),
        "share_by_clock": round(gflop / wall / by_clock, 3),
        "share": round(gflop / cpu / by_cpu, 3),
    }


def hours(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Of all rows of Table 2, for each width and precision that was measured with every k."""
    recipes, found = table_recipes(2, "hmdb51"), {}
    for width, precision in dict.fromkeys((row["width"], row["precision"]) for row in rows):
        by_k = {row["k"]: row for row in rows if (row["width"], row["precision"]) == (width, precision)}
        if {recipe.train.k for recipe in recipes} <= set(by_k):
            steps = -(-CLIPS // recipes[0].train.batch_size)
            epochs = [(by_k[recipe.train.k], recipe.train.epochs) for recipe in recipes]
            seconds = sum(n * (steps * row["step_s"] + row["checkpoint_s"]) for row, n in epochs)
            found[f"{width} {precision}"] = round(seconds / 3600, 2)
    return found


def profile(width: int, k: int, precision: str) -> str:
    """The operators that take most of the processor time of a few steps."""
    recipe = read_recipe("hmdb51", "0")
    config = replace(recipe.train, k=k, epochs=1, warmup_epochs=0.0, precision=precision)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        time_steps(recipe.model.for_backbone(width, 100.0), config, steps=2)
    return profiler.key_averages().table(sort_by="self_cpu_time_total", row_limit=16, max_name_column_width=40)


def main(
    widths: tuple[int, ...] = (512, 768),
    ks: tuple[int, ...] = (0, 3, 5, 7, 9),
    precisions: tuple[Literal["fp32", "bf16"], ...] = ("fp32", "bf16"),
    steps: int = 6,
    size: int = 2048,
    profiled: bool = False,
    out: Path = Path("results/frozen_cost.json"),
) -> None:
    """Time steps of every width, k and precision, print the table with the hours and write both.

    Args:
        widths: D of the CLIPs: 512 for ViT-B, 768 for ViT-L.
        ks: Negatives; the hours need all that Table 2 has.
        precisions: fp32, bf16.
        steps: Timed steps; the median counts.
        size: Rows and columns of the products that are taken for the machine's rate.
        profiled: Instead print where the time of the first width and the last k goes.
        out: The JSON file to write.
    """
    if profiled:
        return print(profile(widths[0], ks[-1], precisions[0]))
    names, rows = ("width", "k", "precision", "step_s", "product_gflops", "share_by_clock", "share"), []
    print(f"{torch.get_num_threads()} thread(s), batches of 32, 6 + 2 blocks\n" + " ".join(f"{n:>14}" for n in names))
    for precision in precisions:
        for width in widths:
            for k in ks:
                rows.append(measure(width, k, precision, steps, size))
                print(" ".join(f"{rows[-1][name]:>14}" for name in names), flush=True)
    total = hours(rows)
    for which, value in total.items():
        print(f"Table 2 on features of width {which}: {value} h, features not included")
    card = {
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "load_average": [round(load, 1) for load in os.getloadavg()],
        "steps": steps,
        "product_size": size,
        "rows": rows,
        "hours_of_table_2": total,
    }
    write_text_atomic(out, json.dumps(card, indent=1) + "\n")
    print(f"table: {out}")


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.is_file() else []
    return names[0].split(": ", 1)[1] if names else platform.processor()


if __name__ == "__main__":
    tyro.cli(main)
