"""Small feature folders with classes of the paper's datasets, and the paper's recipes made small."""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch

from mgdmkit.clip.features import SAMPLING
from mgdmkit.data.cards import dataset_classes
from mgdmkit.files import write_text_atomic
from mgdmkit.replication.recipes import RECIPES
from mgdmkit.replication.rows import corpus_labels
from mgdmkit.runs.folder import save_tensors

D, T = 16, 4
SMALL = {
    "frames = 16 ": f"frames = {T} ",
    "temporal_layers = 6 ": "temporal_layers = 1 ",
    "semantic_layers = 2": "semantic_layers = 1",
    "epochs = 20 ": "epochs = 2 ",
    "warmup_epochs = 5.0 ": "warmup_epochs = 0.0 ",
    "batch_size = 32 ": "batch_size = 8 ",
    "lr = 5e-5 ": "lr = 3e-3 ",
}


def small_recipes(folder: Path, **more: str) -> Path:
    """A copy of the kit's recipes with a small model and a short training."""
    for path in RECIPES.rglob("*.toml"):
        text = path.read_text(encoding="utf-8")
        if path.name == "paper.toml":
            for old, new in {**SMALL, **more}.items():
                assert old in text, f"{path} no longer has {old!r}"
                text = text.replace(old, new)
        write_text_atomic(folder / path.relative_to(RECIPES), text)
    return folder


def first_labels(dataset: str, n: int) -> list[str]:
    return [row.label for row in dataset_classes(dataset)[:n]]


def feature_folder(
    folder: Path, dataset: str, classes: int = 6, splits: Sequence[str] = ("train",) * 4 + ("test",) * 2, **columns
) -> Path:
    """What `mgdm features` leaves, for the first classes of a dataset: frames near their label's text, and all texts.

    Args:
        splits: of each class' clips.
        columns: split1, split2, split3, each as `splits`, and then no `split` but the first of them counts.
    """
    generator = torch.Generator().manual_seed(0)
    labels = sorted(first_labels(dataset, classes))
    others = [label for label in corpus_labels(("kinetics400", "hmdb51", "ucf101")) if label not in labels]
    texts = torch.randn(classes, D, generator=generator)
    of_class = torch.arange(classes).repeat_interleave(len(splits))
    frames = texts[of_class][:, None] + 4 * torch.randn(len(of_class), T, D, generator=generator)
    names = [f"{labels[c]}_{i}" for c in range(classes) for i in range(len(splits))]
    table = {"id": names, "label": [labels[c] for c in of_class], "split": list(splits) * classes}
    table |= {name: list(values) * classes for name, values in columns.items()}
    recipe = {"clip": "nowhere", "pretrained": None, "clip_fingerprint": "0", "precision": "fp32", "logit_scale": 100.0}
    recipe |= {"prompt": "This is a video about {}", "classes": labels, "frames": T, "sampling": SAMPLING}
    recipe |= {"clips_fingerprint": "0", "clips_per_shard": 256}
    write_text_atomic(folder / "features.json", json.dumps(recipe))
    write_text_atomic(folder / "clips.csv", pd.DataFrame(table).to_csv(index=False))
    save_tensors(folder / "text.safetensors", {"text_features": texts})
    encoded = torch.randn(len(others), D, generator=generator)
    save_tensors(folder / "labels.safetensors", {label: v.clone() for label, v in zip(others, encoded, strict=True)})
    save_tensors(folder / "frames-00000.safetensors", {"frame_features": frames})
    return folder
