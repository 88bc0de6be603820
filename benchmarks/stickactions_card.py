"""What StickActions and the small CLIP are like: is there something to learn, and is it learnable?

    python benchmarks/stickactions_card.py --root runs/demo --out results/stickactions_card.json

Prints and writes: zero-shot Top-1 and Top-10 of the frozen small CLIP, the share of test videos whose five hardest
negatives are all of the video's own scene, and the test score of a linear probe on the T frame features (its weight
decay chosen on the validation split).
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
import tyro
from torch import Tensor

from mgdmkit.clip.features import Features
from mgdmkit.evaluation.scores import label_rank, wilson
from mgdmkit.experiments.pipeline import Prepared, prepare
from mgdmkit.files import write_text_atomic
from mgdmkit.mining import zero_shot_logits
from mgdmkit.stickactions.dataset import scene_of


def probe_input(part: Features, mean: Tensor | None = None, std: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """(N, T*D) unit frame features side by side, standardised by the training clips' mean and deviation."""
    x = F.normalize(part.frame_features, dim=-1).flatten(1)
    mean, std = (x.mean(0), x.std(0) + 1e-6) if mean is None else (mean, std)
    return (x - mean) / std, mean, std


def fit_probe(x: Tensor, labels: Tensor, classes: int, decay: float) -> tuple[Tensor, Tensor]:
    """Multinomial logistic regression by L-BFGS: weights (T*D, C) and biases (C,)."""
    weight = torch.zeros(x.shape[1], classes, requires_grad=True)
    bias = torch.zeros(classes, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(x @ weight + bias, labels) + decay * weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return weight.detach(), bias.detach()


def linear_probe(prepared: Prepared) -> tuple[float, int]:
    """The weight decay that validation prefers, and the number of test videos that this probe gets right."""
    train, val, test = (prepared.features.split(split) for split in ("train", "val", "test"))
    x, mean, std = probe_input(train)
    best = (-1, 0.0, None)
    for decay in (1e-4, 1e-3, 1e-2):
        weight, bias = fit_probe(x, train.labels, len(train.classes), decay)
        right = int(((probe_input(val, mean, std)[0] @ weight + bias).argmax(1) == val.labels).sum())
        if right > best[0]:
            best = (right, decay, (weight, bias))
    weight, bias = best[2]
    hits = (probe_input(test, mean, std)[0] @ weight + bias).argmax(1) == test.labels
    return best[1], int(hits.sum())


def main(
    root: Path = Path("runs/demo"), out: Path = Path("results/stickactions_card.json"), preset: str = "demo"
) -> None:
    """Measure and write the card.

    Args:
        root: Where `make demo` left, or leaves, data, weights and features.
        out: The JSON file to write.
        preset: The preset of that root.
    """
    prepared = prepare(root, preset)
    test = prepared.features.split("test")
    n = len(test.clips)
    rank = label_rank(zero_shot_logits(test.frame_features, test.text_features), test.labels)
    scenes = [scene_of(name) for name in prepared.features.classes]
    hardest = prepared.negatives_of("test").indices[:, :5].tolist()
    own_scene = sum(
        all(scenes[j] == scenes[label] for j in row) for row, label in zip(hardest, test.labels.tolist(), strict=True)
    )
    decay, right = linear_probe(prepared)
    card = {
        "N": n,
        "zero_shot_top1": wilson(int((rank < 1).sum()), n),
        "zero_shot_top10": wilson(int((rank < 10).sum()), n),
        "own_scene_in_top5_negatives": wilson(own_scene, n),
        "linear_probe_top1": wilson(right, n),
    }
    for name, value in card.items():
        print(f"{name:30} {value}")
    details = {"linear_probe_decay": decay, "preset": preset, "clip_fingerprint": prepared.clip.fingerprint}
    values = {name: value._asdict() if name != "N" else value for name, value in card.items()}
    write_text_atomic(out, json.dumps({**values, **details}, indent=1) + "\n")
    print(f"card: {out}")


if __name__ == "__main__":
    tyro.cli(main)
