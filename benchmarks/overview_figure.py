"""The README's picture: a test clip, the labels that frozen CLIP confuses with its own, and what training changes.

python benchmarks/overview_figure.py --root runs/demo --out results/figures/overview
"""

from pathlib import Path

import matplotlib.pyplot as plt
import tyro

from mgdmkit import plots
from mgdmkit.data.video import read_segments
from mgdmkit.evaluation.scores import score
from mgdmkit.experiments.pipeline import prepare, train_and_score
from mgdmkit.mining import zero_shot_logits


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
    part, mined = prepared.features.split("test"), prepared.negatives_of("test")
    zero_shot = zero_shot_logits(part.frame_features, part.text_features, part.logit_scale)
    results = {"zero-shot CLIP": score(zero_shot, part.labels)}
    results |= {f"MGDM, k = {k}": train_and_score(prepared, k).scores for k in (0, 3)}

    plots.style()
    figure = plt.figure(figsize=(6.9, 4.2), layout="constrained")
    strip, panels = figure.subfigures(2, 1, height_ratios=[1, 2.3])
    pictures = read_segments(prepared.manifest.path.parent / test["path"][clip], 8)
    plots.frames(strip.subplots(1, 8), pictures, title=f"a test clip: {label}")
    left, right = panels.subplots(1, 2, width_ratios=[1.2, 1])
    names = [part.classes[c] for c in mined.indices[clip, :5].tolist()]
    own = float(zero_shot[clip].softmax(dim=0)[part.labels[clip]])
    plots.negatives(left, label, names, mined.scores[clip, :5], int(mined.positive_rank[clip]), own)
    rows = [(name, *(100 * x for x in result.top1[:3])) for name, result in results.items()]
    plots.scores(right, rows)
    right.set_xlabel(f"Top-1 in percent (N = {len(test)})")
    plots.save(figure, out, dpi=180)
    print(f"figure: {out}.png and .svg")


if __name__ == "__main__":
    tyro.cli(main)
