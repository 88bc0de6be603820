"""StickActions: the kit's embedded dataset. Drawn stick people at work in six places, as real video files.

60 actions, ten in each place. 48 of them form 24 pairs that are each other's reverse, so a single frame tells
the place and the pose but not the action: what a frozen image-text model sees is exactly what it lacks.

`generate` writes H.264 files and a manifest; `render_still` draws fresh captioned pictures, as many as wanted,
to train a small image-text model on. Every picture follows from (seed, split, index) alone.
"""

from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from mgdmkit.config import Config
from mgdmkit.files import atomic, keep_text, sha256
from mgdmkit.pool import pool
from mgdmkit.stickactions.captions import caption
from mgdmkit.stickactions.catalogue import LABELS, scene_of
from mgdmkit.stickactions.clips import SPLITS, STILLS, Camera, clip_of, film, moment, sample_clip

DATASET_VERSION = 1  # of the pictures: raise it whenever the same seed draws something else
HASHES = "SHA256SUMS"  # of the videos, as `sha256sum -c` reads it
COLUMNS = ("id", "path", "label", "split", "scene")


@dataclass(frozen=True)
class StickActionsConfig(Config):
    """How much to generate, and from which seed."""

    seed: int = 0  # another seed draws other people, colours, speeds and camera moves
    train_per_class: int = 12  # clips of each of the 60 labels to train on
    val_per_class: int = 4  # clips of each label to choose settings with; they vary as the training clips do
    test_per_class: int = 10  # clips of each label to measure on; clothes, bodies, speeds and rooms are others
    size: int = 128  # height and width of the video in pixels, even
    fps: int = 12  # frames per second; a clip has 23 to 45 frames

    def __post_init__(self) -> None:
        for name in ("seed", "train_per_class", "val_per_class", "test_per_class"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 0")
        if not 32 <= self.size <= 1024 or self.size % 2:
            raise ValueError(f"size={self.size} must be even and from 32 to 1024: H.264 halves the colour planes")
        if not 1 <= self.fps <= 120:
            raise ValueError(f"fps={self.fps} must be from 1 to 120")


def render_clip(label: str, split: str, seed: int, index: int, size: int = 128) -> np.ndarray:
    """The frames of a clip, uint8 (F, size, size, 3): what `generate` encodes. `ValueError` as `clip_of`."""
    return film(clip_of(label, split, seed, index), size)


def render_still(split: str, seed: int, index: int, size: int = 64) -> tuple[np.ndarray, str]:
    """One moment of a clip that is in no manifest, uint8 (size, size, 3), and a caption of what it shows."""
    rng = np.random.default_rng([seed, STILLS, SPLITS.index(split), index])
    clip = sample_clip(LABELS[int(rng.integers(len(LABELS)))], split, rng)
    # Stillness before and after the motion is cut short: it looks the same in every frame.
    frame = int(rng.integers(clip.before - 2, clip.before + clip.motion + 2))
    seen = moment(clip, frame)
    return Camera(clip, size, still=True).shoot(frame, seen), caption(clip, seen, rng)


# ---- video files ----------------------------------------------------------------------------------------------


def encode(frames: np.ndarray, path: Path, fps: int) -> None:
    """Write uint8 (F, H, W, 3) as H.264 in MP4; the file appears whole or not at all."""
    with atomic(path) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        # One thread: the bytes must not depend on the machine's number of cores.
        options = {"crf": "18", "preset": "veryfast", "threads": "1"}
        stream = container.add_stream("libx264", rate=fps, options=options)
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())


def _rows(config: StickActionsConfig) -> list[dict[str, Any]]:
    """The manifest, in the order in which it is written, and the `index` of each clip."""
    rows = []
    for split in SPLITS:
        for label in LABELS:
            slug = label.replace(" ", "_")
            for index in range(getattr(config, f"{split}_per_class")):
                name = f"{slug}_{split}_{index:03d}"
                path = f"videos/{split}/{slug}/{name}.mp4"
                row = {"id": name, "path": path, "label": label, "split": split, "scene": scene_of(label)}
                rows.append(row | {"index": index})
    return rows


def _make(root: Path, config: StickActionsConfig, row: dict[str, Any]) -> None:
    frames = render_clip(row["label"], row["split"], config.seed, row["index"], config.size)
    encode(frames, root / row["path"], config.fps)


def _is_whole(root: Path, config: StickActionsConfig, row: dict[str, Any], hashes: dict[str, str]) -> bool:
    """Whether a video is there as it was made; one without a hash, from an interrupted run, is decoded."""
    path = root / row["path"]
    if path.is_dir():
        raise ValueError(f"{path} is a folder where a video should be; delete it")
    if not path.is_file():
        return False
    if row["path"] in hashes:
        return sha256(path) == hashes[row["path"]]
    try:
        with av.open(str(path)) as container:
            frames = sum(1 for _ in container.decode(video=0))
    except (av.FFmpegError, IndexError):
        return False
    return frames == clip_of(row["label"], row["split"], config.seed, row["index"]).frames


def _hashes(root: Path) -> dict[str, str]:
    """Path -> sha256, of the videos of a finished dataset."""
    file = root / HASHES
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else ()
    return {path: digest for digest, _, path in (line.partition("  ") for line in lines)}


def generate(root: Path, config: StickActionsConfig, workers: int = 2) -> Path:
    """Make every video and the manifest under `root`, and return the manifest's path.

    Files that are whole stay, so an interrupted run goes on where it stopped; damaged ones are made anew. `FolderError`
    if `root` was made with another configuration, or does not say with which.
    """
    from mgdmkit.runs.folder import claim  # here: the processes that draw need not wait for torch

    root = Path(root)
    record = {"dataset": "StickActions", "version": DATASET_VERSION, "config": config.to_dict()}
    claim(root / "stickactions.json", record, work=("manifest.csv", "videos"))
    rows, hashes = _rows(config), _hashes(root)
    left = [row for row in rows if not _is_whole(root, config, row, hashes)]
    make = partial(_make, root, config)
    with pool(workers) if workers > 1 and len(left) > 1 else nullcontext() as drawers:
        made = drawers.map(make, left, chunksize=8) if drawers else map(make, left)
        for _ in tqdm(made, "StickActions", len(left), unit="clip", disable=not left):
            pass
    manifest = root / "manifest.csv"
    for row in left:
        hashes.pop(row["path"], None)  # of the damaged file
    digests = {row["path"]: hashes.get(row["path"]) or sha256(root / row["path"]) for row in rows}
    keep_text(root / HASHES, "".join(f"{digest}  {path}\n" for path, digest in digests.items()))
    keep_text(manifest, pd.DataFrame(rows, columns=COLUMNS).to_csv(index=False))
    return manifest
