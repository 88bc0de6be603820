"""A few clips of four classes with features that can be solved by eye, and what the inspector needs beside them."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch
from conftest import write_video

from mgdmkit.clip.features import Features
from mgdmkit.config import MGDMConfig
from mgdmkit.data.manifest import Manifest
from mgdmkit.mining import Negatives, mine_negatives
from mgdmkit.runs.trained import new_model

T, D = 4, 8
CLASSES = ("golf", "golf driving", "run", "sit <down>")
CONFIG = MGDMConfig(dim=D, frames=T, temporal_layers=1, semantic_layers=1, heads=1, temperatures="fixed")


def small_features(N: int = 6, seed: int = 0) -> Features:
    """N clips, their classes in turn; to CLIP every second one looks like the next class, and then like its own."""
    texts = torch.eye(4, D) + 0.1
    own = torch.arange(N) % 4
    seen = torch.where(torch.arange(N) % 2 == 1, (own + 1) % 4, own)
    noise = torch.randn(N, T, D, generator=torch.Generator().manual_seed(seed))
    table = {
        "id": [f"clip_{i:05d}" for i in range(N)],
        "label": [CLASSES[c] for c in own],
        "split": ["train" if i % 3 == 0 else "test" for i in range(N)],
    }
    frames = (texts[seen] + texts[own] / 2)[:, None] + 0.05 * noise
    return Features(frames, texts, pd.DataFrame(table), CLASSES, 20.0)


def small_negatives(features: Features, depth: int = 3) -> Negatives:
    return mine_negatives(features.frame_features, features.text_features, features.labels, depth, logit_scale=20.0)


def small_manifest(features: Features, folder: Path, clips: int = 0) -> Manifest:
    """A manifest of all clips, of which the first few exist as files."""
    table = features.clips.assign(path=[f"{clip}.avi" for clip in features.clips["id"]])
    folder.mkdir(parents=True, exist_ok=True)
    for path in table["path"][:clips]:
        write_video(folder / path, 12, "mpeg4")
    return Manifest(folder / "manifest.csv", table, CLASSES)


def small_model(seed: int = 0, **options):
    return new_model(replace(CONFIG, **options), seed)
