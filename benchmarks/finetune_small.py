"""Does it help to train the small CLIP's image encoder along with MGDM?

    OMP_NUM_THREADS=1 python benchmarks/finetune_small.py --root runs/demo --out results/finetune_small.json

Trainings on StickActions with the same epochs, seed, negatives and start, scored on the *validation* split: cached
features of the frozen CLIP; the frozen CLIP on random frames and crops (`image`), which shows what those alone do; and
the whole image encoder trained (`none`). Both for each `crop_scale`: 1 leaves the frame whole, 0.4 is the default for
a large CLIP. `root` holds what `make demo` has made and is only read. Differences are paired over the videos; with one
seed they hold nothing of the chance of training.
"""

import json
from functools import partial
from pathlib import Path

import torch
import tyro
from torch import Tensor

from mgdmkit.clip.backbone import load_clip
from mgdmkit.clip.features import load_features
from mgdmkit.config import (
    SMALL_FINETUNE,
    SMALL_MODEL,
    SMALL_TRAIN,
    FineTuneConfig,
    MGDMConfig,
    TrainConfig,
)
from mgdmkit.data.manifest import read_manifest
from mgdmkit.evaluation.scores import label_rank, paired_difference, score
from mgdmkit.files import write_text_atomic
from mgdmkit.inference import predict
from mgdmkit.mining import load_negatives
from mgdmkit.runs.trained import read_history
from mgdmkit.training.augment import label_indices
from mgdmkit.training.finetuning import finetune, finetuned_features
from mgdmkit.training.loop import Videos, train


def main(
    root: Path = Path("runs/demo"),
    work: Path = Path("runs/finetune_small"),
    out: Path = Path("results/finetune_small.json"),
    epochs: int = 6,
    k: int = 3,
    seed: int = 0,
    crop_scales: tuple[float, ...] = (SMALL_FINETUNE["crop_scale"],),
    workers: int = 0,
) -> None:
    """Train, score, print and write.

    Args:
        root: Folder of the demo: stickactions, clip, features and negatives.csv.
        work: Folder of the runs; a finished one is loaded.
        out: The JSON file to write.
        epochs: Epochs of each training.
        k: Hard negatives.
        seed: Seed of each training.
        crop_scales: The smallest crops to try, as shares of the frame.
        workers: Processes that decode.
    """
    manifests = {split: read_manifest(root / "stickactions" / "manifest.csv", split) for split in ("train", "val")}
    clip, cached = load_clip(str(root / "clip")), load_features(root / "features")
    ids, labels = list(manifests["train"].table["id"]), label_indices(manifests["train"])
    negatives = load_negatives(root / "negatives.csv", ids, cached.classes, labels)
    model = MGDMConfig(frames=cached.frame_features.shape[1], **SMALL_MODEL).for_backbone(clip.dim, clip.logit_scale)
    config = TrainConfig(k=k, seed=seed, **{**SMALL_TRAIN, "epochs": epochs, "warmup_epochs": 1.0})
    tested = cached.split("val")

    def from_cache() -> Tensor:
        part = cached.split("train")
        videos = Videos(part.frame_features, part.labels)
        network = train(model, config, videos, cached.text_features, work / "cached", negatives=negatives, device="cpu")
        return predict(network, tested.frame_features, tested.text_features)

    def from_clips(freeze: str, crop_scale: float) -> Tensor:
        run, finetuning = work / name, FineTuneConfig(freeze=freeze, crop_scale=crop_scale)
        options = {"negatives": negatives, "workers": workers, "device": "cpu"}
        network = finetune(model, config, finetuning, clip, manifests["train"], run, **options)
        features = finetuned_features(run, manifests["val"], workers=workers)
        return predict(network.mgdm, features.frame_features[:], features.text_features)

    arms = {"cached": from_cache}
    for scale in crop_scales:
        for freeze in ("image", "none"):
            arms[f"{freeze}-crop{scale}"] = partial(from_clips, freeze, scale)
    rows, right = [], {}
    for name, logits_of in arms.items():
        logits = logits_of()
        right[name] = (label_rank(logits, tested.labels) == 0)[None]
        rows.append(row(name, logits, tested.labels, work / name, right))
        print(json.dumps(rows[-1]), flush=True)
    options = f"--epochs {epochs} --k {k} --seed {seed} --crop-scales {' '.join(map(str, crop_scales))}"
    card = {
        "command": f"benchmarks/finetune_small.py {options}",
        "split": "val",
        "clip": clip.fingerprint,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "train": config.to_dict(),
        "model": model.to_dict(),
        "runs": rows,
    }
    write_text_atomic(out, json.dumps(card, indent=1) + "\n")
    print(f"table: {out}")


def row(name: str, logits: Tensor, labels: Tensor, run: Path, right: dict[str, Tensor]) -> dict[str, object]:
    """Scores of one training, in percent, and its difference from the first one."""
    scores = score(logits, labels)
    difference = paired_difference(right[name], right["cached"])
    return {
        "run": name,
        "top1": [round(100 * x, 1) for x in scores.top1[:3]],
        "top5": [round(100 * x, 1) for x in scores.top5[:3]],
        "videos": len(labels),
        "top1_minus_cached": [round(100 * x, 1) for x in difference],
        "last_loss": round(read_history(run)[-1]["loss"], 4),
    }


if __name__ == "__main__":
    tyro.cli(main)
