"""What the two temperatures do inside a training: the numbers behind `results/temperatures.csv`.

    mgdm experiment grid temperatures --out results/temperatures.csv --workers 2
    python benchmarks/temperatures.py --out results/temperatures_inside.csv

For each pair of temperatures, k = 0 and 3, before and after training, on the batches of the training's first epoch:

    scale                what the head's 1/tau is
    spread               standard deviation of a video's logits over the texts of its batch
    attention            entropy of eq. 15 with the video's own label as guide, in nats; 16 frames alike give 2.77
    twin_in_batch        share of the videos whose hardest label (the first that was mined) is among the batch's texts
    reverse_gradient     of the gradient that pushes a video away from texts (dL/d logits), the share that falls on the
                         label of its reversed action, for the videos that have one

Means over the videos and the seeds.
"""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import torch
import tyro
from torch import Tensor
from tqdm import tqdm

from mgdmkit.config import TrainConfig
from mgdmkit.experiments.grids import variant
from mgdmkit.experiments.pipeline import Prepared, prepare
from mgdmkit.files import write_text_atomic
from mgdmkit.loss import augmented_negative_loss, augmented_targets
from mgdmkit.model import MGDM
from mgdmkit.runs.trained import new_model
from mgdmkit.stickactions.catalogue import REVERSED
from mgdmkit.training.loop import choose_groups

CELLS = {
    "CLIP's own": {},
    "attention 0.01": {"attention_temperature": 0.01},
    "loss 100": {"logit_scale": 100.0},
    "both fixed": {"temperatures": "fixed"},
}


def batches(prepared: Prepared, k: int, seed: int) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Rows (b,), frames (b, T, D), labels (b,) and groups (b, 1 + k) of the first epoch, as `fit` draws them."""
    videos, config = prepared.videos("train"), TrainConfig(k=k, seed=seed)
    groups = choose_groups(config, videos.labels, len(prepared.texts.labels), prepared.negatives_of("train"))
    order = torch.randperm(len(videos), generator=torch.Generator().manual_seed(seed * 100_003))
    for rows in order.split(config.batch_size):
        yield rows, videos.frame_features[rows], videos.labels[rows], groups[rows]


def look(model: MGDM, prepared: Prepared, k: int, seed: int) -> dict[str, float]:
    """The means over the videos."""
    names, texts = prepared.features.classes, prepared.texts.text_features
    reverse = torch.tensor([names.index(REVERSED[name]) if name in REVERSED else -1 for name in names])
    hardest = prepared.negatives_of("train").indices[:, 0]
    found: dict[str, list[Tensor]] = {"spread": [], "attention": [], "twin_in_batch": [], "reverse_gradient": []}
    for rows, frames, labels, groups in batches(prepared, k, seed):
        output = model(frames, texts[groups])
        logits = output.logits.detach().requires_grad_()
        augmented_negative_loss(logits, augmented_targets(labels, groups)).backward()
        push = logits.grad.clamp(min=0).flatten(1)  # (b, l g): a positive gradient lowers the logit
        columns, mirror = groups.flatten()[None, :], reverse[labels]
        on_reverse = (push * (columns == mirror[:, None])).sum(dim=1) / push.sum(dim=1)
        attention = output.attention[torch.arange(len(labels)), torch.arange(len(labels))]
        attention = attention[:, 0] if attention.ndim == 3 else attention  # the own label guides
        found["spread"].append(logits.detach().flatten(1).std(dim=1))
        found["attention"].append(torch.special.entr(attention.detach()).sum(dim=-1))
        found["twin_in_batch"].append((columns == hardest[rows][:, None]).any(dim=1).float())
        found["reverse_gradient"].append(on_reverse[mirror >= 0])
    return {name: torch.cat(parts).mean().item() for name, parts in found.items()}


def main(
    root: Path = Path("runs/demo"),
    out: Path = Path("results/temperatures_inside.csv"),
    preset: str = "demo",
    seeds: int = 5,
) -> None:
    """Look into the runs of the grid and write the table.

    Args:
        root: Where the grid's runs lie; what is missing is trained.
        out: The CSV to write.
        preset: The preset of that root.
        seeds: Of each run.
    """
    torch.set_num_threads(1)
    prepared, rows = prepare(root, preset), []
    for name, options in tqdm(CELLS.items(), desc="temperatures"):
        for k in (0, 3):
            for seed in range(seeds):
                trained = variant(k=k, **options).run(prepared, seed, quiet=True, watch=False).model.cpu().eval()
                for when, model in (("start", new_model(trained.config, seed).eval()), ("end", trained)):
                    scale = model.logit_scale.exp().item()
                    rows.append({"temperatures": name, "k": k, "when": when, "seed": seed, "scale": scale})
                    rows[-1] |= look(model, prepared, k, seed)
    table = pd.DataFrame(rows).groupby(["temperatures", "k", "when"], sort=False).mean().drop(columns="seed")
    table.insert(0, "seeds", seeds)
    write_text_atomic(out, table.round(4).to_csv())
    print(table.round(3).to_string())
    print(f"table: {out}")


if __name__ == "__main__":
    tyro.cli(main)
