"""Does training the small CLIP's image encoder along with MGDM help, and do hard negatives then?

    python benchmarks/finetune_small.py --out results/finetune_small.csv --workers 2

Trainings on StickActions with the same epochs, seeds and negatives, from the same weights, scored on the test split.
Three ways to train: on cached features of frozen CLIP; on random frames of each segment with frozen CLIP (`image`,
k = 3 alone), which shows what new frames by themselves do; and with the whole image encoder trained (`none`). Epochs
cost some forty times those on cached features, so there are few: what is compared is young.
"""

from itertools import product
from pathlib import Path

import pandas as pd
import torch
import tyro
from torch import Tensor
from tqdm import tqdm

from mgdmkit.config import SMALL_FINETUNE, SMALL_MODEL, SMALL_TRAIN, FineTuneConfig, MGDMConfig, TrainConfig
from mgdmkit.data.manifest import Manifest, read_manifest
from mgdmkit.evaluation.scores import score
from mgdmkit.experiments.pipeline import prepare
from mgdmkit.experiments.variants import compare, correct, difference
from mgdmkit.files import write_text_atomic
from mgdmkit.inference import predict
from mgdmkit.pool import pool
from mgdmkit.training.finetuning import finetune, finetuned_features
from mgdmkit.training.loop import train

AGAINST = {
    ("cached", 0): (),
    ("cached", 3): (("cached", 0),),
    ("image", 3): (("cached", 3),),
    ("none", 0): (("cached", 0),),
    ("none", 3): (("image", 3), ("none", 0)),
}
"""What is trained (what stays frozen, k), and with which of the others it is compared."""


def logits_of(root: Path, work: Path, freeze: str, k: int, seed: int, epochs: int) -> Tensor:
    """(N, C) of the test split, by a training that is done now, or was."""
    torch.set_num_threads(1)
    prepared = prepare(root, quiet=True)
    clip = prepared.clip
    out = work / f"{freeze}-k{k}-epochs{epochs}-seed{seed}"
    frames = prepared.features.frame_features.shape[1]
    model = MGDMConfig(frames=frames, **SMALL_MODEL).for_backbone(clip.dim, clip.logit_scale)
    config = TrainConfig(k=k, seed=seed, **{**SMALL_TRAIN, "epochs": epochs, "warmup_epochs": epochs / 10})
    options = {"negatives": prepared.negatives_of("train"), "device": "cpu", "quiet": True}
    if freeze == "cached":
        texts, test = prepared.features.text_features, prepared.videos("test")
        network = train(model, config, prepared.videos("train"), texts, out, **options)
        return predict(network, test.frame_features, texts)
    finetuning = FineTuneConfig(freeze=freeze, **SMALL_FINETUNE)
    tuned = finetune(model, config, finetuning, clip, split(root, "train"), out, workers=0, **options)
    features = finetuned_features(out, split(root, "test"), workers=0, quiet=True)
    return predict(tuned.mgdm, features.frame_features[:], features.text_features)


def split(root: Path, name: str) -> Manifest:
    """The clips of one split."""
    return read_manifest(root / "stickactions" / "manifest.csv", name)


def row(name: tuple[str, int], found: list[Tensor], labels: Tensor) -> dict[str, object]:
    """Means over the seeds, in percent."""
    top1 = torch.tensor([100 * score(logits, labels).top1.value for logits in found], dtype=torch.double)
    spread = round(top1.std().item(), 2) if len(found) > 1 else ""
    return {
        "frozen": name[0],
        "k": name[1],
        "seeds": len(found),
        "N": len(labels),
        "top1_mean": round(top1.mean().item(), 2),
        "top1_std": spread,
        "top1_seeds": " ".join(f"{x:.2f}" for x in top1.tolist()),
    }


def compared(name: tuple[str, int], other: tuple[str, int], logits: dict, labels: Tensor) -> dict[str, object]:
    """The row of `name`, and how it differs from `other` in Top-1 and Top-5."""
    ours, theirs = logits[name], logits[other]
    top5 = difference(correct(ours, labels, best=5), correct(theirs, labels, best=5))
    return (
        row(name, ours, labels)
        | {"against": f"{other[0]}, k = {other[1]}", **compare(correct(ours, labels), correct(theirs, labels))}
        | {f"top5_{key}": value for key, value in top5.items()}
    )


def main(
    out: Path,
    root: Path = Path("runs/demo"),
    work: Path = Path("runs/finetune_small"),
    epochs: int = 8,
    seeds: int = 5,
    workers: int = 1,
) -> None:
    """Train, score, compare, write and print.

    Args:
        out: The CSV to write.
        root: Where clips, features and negatives of the demo preset lie; what is missing is made.
        work: Folder of the runs; a finished one is loaded, an interrupted one continues.
        epochs: Epochs of each training.
        seeds: Trainings of each kind.
        workers: Processes that train, one core each.
    """
    labels = prepare(root, quiet=True).labels_of("test")
    jobs = list(product(range(seeds), AGAINST))
    with pool(workers) as trainers:
        running = [trainers.submit(logits_of, root, work, *name, seed, epochs) for seed, name in jobs]
        found = [job.result() for job in tqdm(running, desc="trainings", unit="run")]
    logits = {name: [of for (_, own), of in zip(jobs, found, strict=True) if own == name] for name in AGAINST}
    rows = []
    for name, others in AGAINST.items():
        rows += [compared(name, other, logits, labels) for other in others] or [row(name, logits[name], labels)]
    table = pd.DataFrame(rows)
    write_text_atomic(out, table.to_csv(index=False))
    shown = ["frozen", "k", "top1_mean", "top1_std", "against", "difference", "low", "high"]
    print(table[shown].to_string(index=False, na_rep=""))
    print(f"table: {out}")


if __name__ == "__main__":
    tyro.cli(main)
