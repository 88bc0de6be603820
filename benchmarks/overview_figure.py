"""The README's picture: a test clip, what frozen CLIP and a trained MGDM make of it, and the scores of ten seeds.

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
from mgdmkit.experiments.pipeline import prepare, train_and_score
from mgdmkit.mining import zero_shot_logits
from mgdmkit.plots.look import INK, LINES

SEEDS = Path("results/story_runs.csv")
ROWS = {"zero-shot CLIP": "zero-shot CLIP", "k0": "k = 0", "k3-top": "k = 3, hard", "k3-random": "k = 3, random"}


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
    ax.set(xlabel=f"Top-1 in percent, N = {n}", title=f"{count} seeds, bar: mean")


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
        label: Its first test clip is shown.
    """
    prepared = prepare(root, preset)
    test = prepared.manifest.table.query("split == 'test'").reset_index()
    clip = int(test.index[test["label"] == label][0])
    part, trained = prepared.features.split("test"), train_and_score(prepared, 3)
    zero_shot = zero_shot_logits(part.frame_features, part.text_features, part.logit_scale)
    with torch.no_grad():
        own = part.text_features[part.labels[clip]][None, None]  # (1, 1, D)
        attention = trained.model.cpu()(part.frame_features[clip : clip + 1], own).attention[0, 0]  # (T,)

    plots.style()
    figure = plt.figure(figsize=(9.6, 4.6), layout="constrained")
    strip, panels = figure.subfigures(2, 1, height_ratios=[1, 1.7])
    pictures = read_segments(prepared.manifest.path.parent / test["path"][clip], len(attention))
    title = f"a test clip, “{label}”: every other frame, and how much each counts for a trained MGDM"
    plots.frames(strip.subplots(1, len(attention) // 2), pictures[::2], attention[::2], title=title)
    for ax, (name, logits) in zip(
        (axes := panels.subplots(1, 3)), {"frozen CLIP": zero_shot, "MGDM, k = 3": trained.logits}.items(), strict=False
    ):
        best, classes = logits[clip].softmax(dim=0).topk(4)
        plots.predictions(ax, [part.classes[c] for c in classes.tolist()], best, label, title=name)
        ax.set_xlabel("score")
    seeds(axes[2], pd.read_csv(SEEDS))
    plots.save(figure, out, dpi=180)
    print(f"figure: {out}.png and .svg")


if __name__ == "__main__":
    tyro.cli(main)
