"""Frame and text features on disk: computed once, checked for ever after.

A feature folder holds
    features.json             what made it: backbone, manifest, frames, sampling, prompt, classes; precision unless fp32
    clips.csv                 id, label and split of each row; split1, split2, ... where the manifest has them
    text.safetensors          text_features (C, D)
    labels.safetensors        one (D,) per label that is no class, once a corpus with it was mined; named by the label
    frames-00000.safetensors  frame_features (n, T, D) of the first clips, and so on
Shards are written as they are finished, so an interrupted run continues after the last whole one, with any number
of processes; several share the missing ones. A folder made by anything else is refused: features of two backbones
can't be told apart by their shape.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm.auto import tqdm

from mgdmkit.clip.backbone import FrozenClip
from mgdmkit.config import write_text_atomic
from mgdmkit.data.corpus import PROMPT, mining_corpus, prompts
from mgdmkit.data.manifest import Manifest, official_splits, take_official_split
from mgdmkit.data.video import VideoError, read_segments
from mgdmkit.runs.folder import FolderError, claim, read_json, reading, save_tensors
from mgdmkit.runs.processes import barrier, is_main, local_cores, main_first, rank, world_size

RECIPE = ("clip", "clip_fingerprint", "frames", "prompt", "classes", "logit_scale")
"""What features.json says at least."""
_AGAIN = "give the same `mgdm features` command again: it keeps what is whole and makes the rest"
SHARD_SIZE = 256  # clips per file: seconds to minutes of work, which is what an interruption can cost


@dataclass(frozen=True)
class Features:
    """What a feature folder holds, in memory."""

    frame_features: Tensor
    """(N, T, D) raw CLIP image embeddings."""
    text_features: Tensor
    """(C, D) raw CLIP text embeddings of the classes' prompt sentences."""
    clips: pd.DataFrame
    """N rows: id, label, split, and split1, split2, ... of a dataset with several official splits."""
    classes: tuple[str, ...]
    logit_scale: float
    """The backbone's 1/tau."""

    @property
    def labels(self) -> Tensor:
        """(N,) class indices."""
        index = {name: i for i, name in enumerate(self.classes)}
        return torch.tensor([index[label] for label in self.clips["label"]])

    def rows(self, split: str) -> np.ndarray:
        """Which rows are the clips of one split; perhaps none."""
        return (self.clips["split"] == split).to_numpy().nonzero()[0]

    def split(self, name: str) -> "Features":
        """The clips of one split; `FolderError` lists the splits there are when it is empty."""
        rows = self.rows(name)
        if not len(rows):
            raise FolderError(f"no clip is in split {name!r}; there are {sorted(set(self.clips['split']))}")
        clips = self.clips.iloc[rows].reset_index(drop=True)
        return replace(self, frame_features=self.frame_features[rows], clips=clips)


class _ClipFrames(Dataset):
    """Decodes and preprocesses T frames of each clip of a batch; runs in workers, beside the encoder."""

    def __init__(self, paths: Sequence[Path], T: int, preprocess, batch_size: int):
        self.batches = [paths[start : start + batch_size] for start in range(0, len(paths), batch_size)]
        self.T, self.preprocess = T, preprocess

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, i: int) -> Tensor:
        """(b, T, 3, S, S)"""
        clips = (read_segments(path, self.T, mode="center") for path in self.batches[i])  # uint8 (T, H, W, 3)
        return torch.stack([torch.stack([self.preprocess(Image.fromarray(frame)) for frame in clip]) for clip in clips])


def load_batches(batches: Dataset, workers: int, prefetch: int = 2) -> Iterator[Any]:
    """Every batch in order, made by `workers` processes, each `prefetch` ahead; their `VideoError` is raised as it is.

    Raised in a worker it would arrive with a traceback as its message, and keep the workers: until a garbage
    collection that waits five seconds for each.
    """
    options = {"batch_size": None, "num_workers": workers, "prefetch_factor": prefetch if workers else None}
    for batch in DataLoader(range(len(batches)), collate_fn=partial(_batch_or_error, batches), **options):
        if isinstance(batch, VideoError):
            raise batch
        yield batch


def _batch_or_error(batches: Dataset, i: int) -> Any:
    try:
        return batches[i]
    except VideoError as error:
        return error


def extract_features(
    manifest: Manifest,
    clip: FrozenClip,
    out: Path,
    *,
    frames: int = 16,
    prompt: str = PROMPT,
    batch_size: int = 8,
    workers: int | None = None,
    quiet: bool = False,
) -> Features:
    """Encode every clip of a manifest (the centre frame of each of T segments) and every class' sentence.

    Args:
        frames: T, frames per clip.
        prompt: the sentence around a label, with one `{}`.
        batch_size: clips per pass through the image encoder.
        workers: processes that decode; None takes one per core (its share of the cores under torchrun), at most 8.
    Raises:
        FolderError: when `out` was made by another backbone, precision, manifest, number of frames or prompt, or no
            longer says by which.
        VideoError: naming the clip that can't be read; whole shards before it are kept.
        ValueError: for a prompt without its one `{}`, or no frames; nothing is written.
    """
    sentences = prompts(manifest.classes, prompt)
    if frames < 1:
        raise ValueError(f"frames={frames}: at least one frame of a clip is needed")
    recipe = {
        "clip": clip.name,
        "pretrained": clip.pretrained,
        "clip_fingerprint": clip.fingerprint,
        "manifest_fingerprint": manifest.fingerprint(),
        "frames": frames,
        "sampling": "center of each of T equal segments",
        "prompt": prompt,
        "classes": list(manifest.classes),
        "logit_scale": clip.logit_scale,
    }
    if clip.precision != "fp32":  # named only then, so that older folders, all of fp32, are still continued
        recipe["precision"] = clip.precision
    columns = ["id", "label", "split", *official_splits(list(manifest.table))]
    with main_first():
        # The CLIP may move, its fingerprint may not.
        claim(out / "features.json", recipe, ignore=("clip", "pretrained"), work=("*.safetensors",))
        if is_main():
            write_text_atomic(out / "clips.csv", manifest.table[columns].to_csv(index=False))
        if not _is_whole(out / "text.safetensors", sentences, "text_features"):
            save_tensors(out / "text.safetensors", {"text_features": clip.encode_text(sentences)})
    paths = manifest.video_paths
    missing = [shard for shard in _shards(out, len(paths)) if not _is_whole(*shard)]
    barrier()  # all have seen the same shards missing before anybody writes one
    todo = missing[rank() :: world_size()]
    total = sum(len(rows) for _, rows in todo)
    workers = min(8, local_cores()) if workers is None else workers
    with tqdm(total=total, desc="features", unit="clip", disable=quiet or not total or not is_main()) as bar:
        for path, rows in todo:
            decoded = _ClipFrames([paths[row] for row in rows], frames, clip.preprocess, batch_size)
            parts = []
            for pictures in load_batches(decoded, workers):  # (b, T, 3, S, S)
                parts.append(clip.encode_image(pictures.flatten(0, 1)).unflatten(0, (-1, frames)))
                bar.update(len(pictures))
            save_tensors(path, {"frame_features": torch.cat(parts)})
    barrier()
    return load_features(out)


def load_features(folder: Path, official_split: int | None = None) -> Features:
    """Read a feature folder; `FolderError` when it is missing, not finished or damaged.

    A clip's features are the same in every official split: `official_split=2` takes `split2` as `split`, so that one
    folder serves all three of UCF101 or HMDB51. `ManifestError` when the clips have no such column.
    """
    recipe = read_recipe(folder)
    clips = take_official_split(_read_clips(folder, recipe["classes"]), official_split, folder / "clips.csv")
    shards, texts = _shards(folder, len(clips)), folder / "text.safetensors"
    bad = [path for path, rows in shards if not _is_whole(path, rows)]
    bad += [] if _is_whole(texts, recipe["classes"], "text_features") else [texts]
    if bad:
        state = "damaged, or clips.csv is" if bad[0].exists() else "missing"
        raise FolderError(
            f"the features at {folder} are not finished: {len(bad)} parts are missing or damaged, first {bad[0].name} "
            f"({state}); {_AGAIN}"
        )
    frame_features = torch.cat([load_file(path)["frame_features"] for path, _ in shards])
    text_features = load_file(texts)["text_features"]
    return Features(frame_features, text_features, clips, tuple(recipe["classes"]), recipe["logit_scale"])


def _read_clips(folder: Path, classes: Sequence[str]) -> pd.DataFrame:
    path = folder / "clips.csv"
    with reading(path, _AGAIN):
        clips = pd.read_csv(path, dtype=str, keep_default_na=False)
        if missing := [name for name in ("id", "label", "split") if name not in clips]:
            raise ValueError(f"it lacks the column {missing[0]!r}")
        if unknown := sorted(set(clips["label"]) - set(classes)):
            raise ValueError(f"the label {unknown[0]!r} is none of the classes in features.json")
        if clips.empty:
            raise ValueError("it lists no clip")
    return clips


class CorpusTexts(NamedTuple):
    """A corpus to mine, and the texts that training sees: labels and targets are indices into it."""

    labels: tuple[str, ...]
    """n labels, the C classes first."""
    text_features: Tensor
    """(n, D) raw CLIP text embeddings of their prompt sentences."""


def corpus_texts(folder: Path, labels: Iterable[str] = ()) -> CorpusTexts:
    """The classes of a feature folder followed by what else `labels` offers (`mining_corpus`), with their texts.

    `FolderError` when a label was never encoded for this folder (`encode_texts`).
    """
    classes = read_recipe(folder)["classes"]
    corpus = mining_corpus(classes, labels)
    if missing := missing_texts(folder, corpus):
        raise FolderError(
            f"{folder} has no text features of {len(missing)} labels, first {missing[0]!r}; they are made by "
            f"`mgdm mine --features {folder} --corpus FILE`, where FILE lists them"
        )
    others = _other_texts(folder)
    with reading(folder / "text.safetensors", _AGAIN):
        own = load_file(folder / "text.safetensors")["text_features"]
    return CorpusTexts(corpus, torch.cat([own, *(others[label][None] for label in corpus[len(classes) :])]))


def missing_texts(folder: Path, labels: Iterable[str]) -> list[str]:
    """Those of the labels that are no class of the folder and not encoded yet."""
    there = {*read_recipe(folder)["classes"], *_other_texts(folder)}
    return [label for label in labels if label not in there]


def encode_texts(folder: Path, labels: Iterable[str], clip: FrozenClip) -> None:
    """Encode what `missing_texts` finds, in the folder's own prompt and precision, and keep it in the folder.

    `FolderError` when `clip` is not the backbone that made the folder.
    """
    recipe = read_recipe(folder)
    if clip.fingerprint != recipe["clip_fingerprint"]:
        raise FolderError(
            f"{folder} was made by {recipe['clip']} ({recipe['clip_fingerprint']}), not by {clip.name} "
            f"({clip.fingerprint}); their features can't be compared: give the same --clip and --pretrained"
        )
    missing, clip = missing_texts(folder, labels), replace(clip, precision=recipe.get("precision", "fp32"))
    encoded = clip.encode_text(prompts(missing, recipe["prompt"])) if missing else ()
    new = {label: vector.clone() for label, vector in zip(missing, encoded, strict=True)}
    save_tensors(folder / "labels.safetensors", _other_texts(folder) | new)


def _other_texts(folder: Path) -> dict[str, Tensor]:
    try:
        return load_file(folder / "labels.safetensors")
    except (FileNotFoundError, SafetensorError):  # damaged: encoded again
        return {}


def read_recipe(folder: Path) -> dict[str, Any]:
    """What a feature folder was made with, features.json; `FolderError` when there is none, or it is damaged."""
    path, cure = folder / "features.json", f"make them with `mgdm features --out {folder}`"
    if not path.is_file():
        raise FolderError(f"no features at {folder}; {cure}")
    # Nothing else says which CLIP they are of, so that they can't be continued.
    return read_json(path, f"put back a good copy, or delete {folder} and {cure}", keys=RECIPE)


def _shards(folder: Path, n: int) -> list[tuple[Path, range]]:
    """The files of n clips' frame features, there or not, and which rows stand in each."""
    rows = [range(n)[start : start + SHARD_SIZE] for start in range(0, n, SHARD_SIZE)]
    return [(folder / f"frames-{i:05d}.safetensors", of_file) for i, of_file in enumerate(rows)]


def _is_whole(path: Path, rows: Sequence, name: str = "frame_features") -> bool:
    """Is a file there, with so many rows? One that something else than us has damaged is computed again."""
    try:
        with safe_open(path, "pt") as file:
            return file.get_slice(name).get_shape()[0] == len(rows)
    except (FileNotFoundError, SafetensorError):
        return False
