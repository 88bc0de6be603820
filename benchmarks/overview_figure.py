"""The README's picture: a test clip, what CLIP takes it for, what each part of MGDM adds, and ten seeds' scores.

python benchmarks/overview_figure.py --root runs/demo --out results/figures/overview
"""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import torch
import tyro
from matplotlib.axes import Axes

from mgdmkit import plots
from mgdmkit.data.video import read_segments
from mgdmkit.evaluation.scores import Interval, wilson
from mgdmkit.experiments.grids import variant
from mgdmkit.experiments.pipeline import prepare
from mgdmkit.mining import zero_shot_logits
from mgdmkit.plots.look import INK, LINES, SMALL
from mgdmkit.stickactions import reverse_of

WHOLE = "whole MGDM (k = 7)"
SEEDS = Path("results/story_runs.csv")
ROWS = {
    "zero-shot CLIP": "frozen CLIP",
    "k0": "MGDM, no negatives",
    "k3-top": "MGDM, 3 hard",
    "k3-random": "MGDM, 3 random",
}


def seeds(ax: Axes, runs: pd.DataFrame) -> None:
    """A row for each kind of training, a dot for each seed, a bar at the mean."""
    for row, name in enumerate(ROWS):
        top1 = runs[runs["run"] == name]["top1"]
        ax.scatter(top1, [row] * len(top1), s=22, color=LINES[0], alpha=0.45, linewidth=0)
        ax.plot([top1.mean()] * 2, [row - 0.25, row + 0.25], color=INK, linewidth=2.5)
    ax.set_yticks(range(len(ROWS)), ROWS.values())
    ax.invert_yaxis()
    ax.grid(axis="x")
    n, count = int(runs["N"].iloc[0]), runs["seed"].nunique()
    ax.set(xlabel=f"Top-1, % of {n} clips", title=f"{count} seeds, batches of 32")


def order(ax: Axes, shares: dict[str, Interval]) -> None:
    """How often each model puts a clip's label before the reverse of that label, with 95% intervals over clips."""
    for row, share in enumerate(shares.values()):
        low, high = 100 * share.low, 100 * share.high
        ax.plot([low, high], [row, row], color=LINES[0], linewidth=2)
        ax.scatter([100 * share.value], [row], s=40, color=LINES[0])
        ax.text(high + 1.5, row, f"{share.value:.0%}", va="center")
    ax.axvline(50, color=INK, linestyle=":")
    ax.set_yticks(range(len(shares)), shares)
    ax.set_ylim(len(shares) - 0.5, -0.6)
    n = next(iter(shares.values())).n
    ax.set(xlim=(40, 90), xlabel=f"true label ahead, % of {n} clips", title="the action, or its reverse?")
    ax.text(51, 2.5, "chance", fontsize=SMALL, va="center")


def main(
    root: Path = Path("runs/demo"),
    out: Path = Path("results/figures/overview"),
    preset: str = "demo",
    label: str = "opening a fridge",
) -> None:
    """Draw the picture from a root that `make demo` left.

    Args:
        root: Where data, weights, features and runs live.
        out: The picture to write, without its ending.
        preset: The preset of that root.
        label: The first of its test clips that CLIP misreads and the whole model reads right is shown.
    """
    prepared = prepare(root, preset)
    part = prepared.features.split("test")
    models = {WHOLE: {}, "without discriminator": {"discriminator": False}}
    models |= {"without representer": {"representer": False}}
    runs = {name: variant(k=7, **options).run(prepared, 0) for name, options in models.items()}
    zero_shot = zero_shot_logits(part.frame_features, part.text_features, part.logit_scale)
    logits = {"frozen CLIP": zero_shot, **{name: runs[name].logits for name in reversed(models)}}
    other = torch.tensor(reverse_of(part.classes))[part.labels]
    paired = (other != part.labels).nonzero()[:, 0]
    ahead = {name: found[paired, part.labels[paired]] > found[paired, other[paired]] for name, found in logits.items()}
    shares = {name: wilson(int(right.sum()), len(right)) for name, right in ahead.items()}
    c = part.classes.index(label)
    mended = (part.labels == c) & (zero_shot.argmax(dim=1) != c) & (logits[WHOLE].argmax(dim=1) == c)
    clip = int(mended.nonzero()[0])

    plots.style()
    figure = plt.figure(figsize=(10.4, 4.6), layout="constrained")
    strip, panels = figure.subfigures(2, 1, height_ratios=[1, 1.75])
    test = prepared.manifest.table.query("split == 'test'").reset_index()
    pictures = read_segments(prepared.manifest.path.parent / test["path"][clip], 8)
    title = f"a test clip of “{label}” that CLIP gets wrong and MGDM right: only the order of its frames tells"
    plots.frames(strip.subplots(1, 8), pictures, title=title)
    axes = panels.subplots(1, 3, width_ratios=[1, 1.1, 0.9])
    best, found = zero_shot[clip].softmax(dim=0).topk(4)
    plots.predictions(axes[0], [part.classes[i] for i in found.tolist()], best, label, title="frozen CLIP's scores")
    axes[0].set(xlabel="hatched: the true label", xlim=(0, 0.5))
    order(axes[1], shares)
    seeds(axes[2], pd.read_csv(SEEDS))
    plots.save(figure, out, dpi=180)
    print(f"figure: {out}.png and .svg")


if __name__ == "__main__":
    tyro.cli(main)
