"""How long the inspector takes to answer: 20,000 videos of 400 classes, two runs, one core.

    OMP_NUM_THREADS=1 python benchmarks/inspector.py --out results/inspector.json

Times are medians of seconds of one core (of the process, so other work on the machine does not count), and in units of
drawing an empty matplotlib figure of the same size, which another machine scales alike.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import tyro
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mgdmkit import plots
from mgdmkit.clip.features import Features
from mgdmkit.config import MGDMConfig
from mgdmkit.data.manifest import Manifest
from mgdmkit.files import write_text_atomic
from mgdmkit.inspector import figure as drawing
from mgdmkit.inspector import playback
from mgdmkit.inspector.widget import HardNegativeInspector
from mgdmkit.mining import mine_negatives
from mgdmkit.runs.trained import new_model

T, D = 16, 128


def make(folder: Path, videos: int, classes: int) -> HardNegativeInspector:
    """An inspector of random features, whose first ten clips exist."""
    generator = torch.Generator().manual_seed(0)
    own, texts = torch.arange(videos) % classes, torch.randn(classes, D, generator=generator)
    frames = texts[own][:, None] + 12 * torch.randn(videos, T, D, generator=generator)
    labels = tuple(f"action number {c}" for c in range(classes))
    table = {"id": [f"clip_{i:05d}" for i in range(videos)], "label": [labels[c] for c in own], "split": "test"}
    table = pd.DataFrame(table)
    clip = playback.h264(np.random.default_rng(0).integers(0, 255, (64, 96, 128, 3), np.uint8), 25)
    for name in table["id"][:10]:
        (folder / f"{name}.mp4").write_bytes(clip)
    manifest = Manifest(folder / "manifest.csv", table.assign(path=table["id"] + ".mp4"), labels)
    features = Features(frames, texts, table, labels, 100.0)
    negatives = mine_negatives(frames, texts, own, 9)
    config = MGDMConfig(dim=D, frames=T, temporal_layers=2, semantic_layers=2, heads=2, temperatures="fixed")
    runs = {f"k = {seed}": new_model(config, seed) for seed in (0, 3)}
    return HardNegativeInspector(manifest, features, negatives, runs, judgements=folder / "false.csv")


def seconds(action: Callable[[], object], repeats: int) -> float:
    """Median of processor seconds."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        action()
        times.append(time.process_time() - start)
    return statistics.median(times)


def empty_figure() -> bytes:
    """Axes without anything in them, of the size of the rankings."""
    figure = Figure(figsize=(drawing.WIDTH, drawing.RANKINGS))
    FigureCanvasAgg(figure)
    figure.subplots()
    return drawing.encode(figure)


def main(out: Path | None = None, videos: int = 20_000, classes: int = 400, repeats: int = 9) -> None:
    """Measure, print, and write JSON.

    Args:
        out: The file to write; only printed when not given.
        videos: Videos in the manifest.
        classes: Classes, which are the labels that are ranked, too.
        repeats: Of which the median is taken.
    """
    torch.set_num_threads(1)
    plots.style()
    with tempfile.TemporaryDirectory() as folder:
        inspector = make(Path(folder), videos, classes)
        c = inspector.controls

        def other(control, first, second) -> Callable[[], None]:
            def change() -> None:
                control.value = second if control.value == first else first

            return change

        def choose_label() -> None:
            c.chosen.value = inspector.view.negatives[0] if c.chosen.value == inspector.view.own else inspector.view.own

        unit = seconds(empty_figure, repeats)
        start = time.process_time()
        inspector.inspection.ranks("k = 0")
        scoring = time.process_time() - start
        found = {
            "whole picture": seconds(lambda: drawing.encode(inspector.figure()), repeats),
            "next video": seconds(c.next.click, repeats),
            "k": seconds(other(c.k, 3, 4), repeats),
            "chosen label": seconds(choose_label, repeats),
            "text search": seconds(other(c.text, "clip_0", "action 7"), repeats),
            "filter": seconds(other(c.show, "all", "misread"), repeats),
        }
    result = {
        "command": f"benchmarks/inspector.py --videos {videos} --classes {classes} --repeats {repeats}",
        "videos": videos,
        "classes": classes,
        "seconds": {name: round(value, 3) for name, value in found.items()},
        "empty_figures": {name: round(value / unit, 1) for name, value in found.items()},
        "seconds_to_score_all_videos_once": round(scoring, 1),
    }
    print(json.dumps(result, indent=2))
    if out:
        write_text_atomic(out, json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    tyro.cli(main)
