"""Frame and text features on disk: computed once, checked for ever after.

A feature folder holds
    features.json             what made it: CLIP, precision, clips, frames, sampling, prompt, classes, clips per shard
    clips.csv                 id, label and split of each row; split1, split2, ... where the manifest has them
    text.safetensors          text_features (C, D)
    labels.safetensors        one (D,) per label that is no class, once a corpus with it was mined; named by the label
    frames-00000.safetensors  frame_features (n, T, D) of the first clips, and so on
    sha256.json               of each of these files, checked when it is read
Shards are written as they are finished, so an interrupted run continues after the last whole one, with any number
of processes; several share the missing ones. A folder made by anything else is refused: features of two backbones
can't be told apart by their shape.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from functools import partial
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from PIL import Image
from safetensors import SafetensorError, safe_open
from torch import Tensor
from tqdm.auto import tqdm

from mgdmkit.clip.backbone import FrozenClip
from mgdmkit.clip.batches import in_two_parts, load_batches
from mgdmkit.data.corpus import PROMPT, mining_corpus, prompts
from mgdmkit.data.manifest import SPLITS, UNUSED, Manifest, official_splits, take_official_split
from mgdmkit.data.video import read_segments
from mgdmkit.files import write_text_atomic
from mgdmkit.runs.folder import (
    RECORDS,
    FolderError,
    check_sha256,
    claim,
    load_tensors,
    read_json,
    reading,
    record_sha256,
    save_tensors,
)
from mgdmkit.runs.processes import barrier, is_main, local_cores, main_first, rank, threads_for, world_size

RECIPE = (
    *("clip", "pretrained", "clip_fingerprint", "precision", "logit_scale", "prompt", "classes"),
    *("clips_fingerprint", "clips_per_shard", "frames", "sampling"),
)
"""What features.json says."""
SAMPLING = "center of each of T equal segments"
"""Which frames of a clip are seen."""
HEAD = 16_384
"""Bytes at the beginning of a file that, with its size, say which clip it is, wherever it lies."""
MAY_DIFFER = ("clip", "pretrained", "clips_fingerprint", "clips_per_shard")
"""What `claim` does not compare: a CLIP may move, its fingerprint may not; of the clips more is told."""
OWN = ("clips.csv", "sha256.json", "scores-*.json", "confusion-*.csv")
"""What may lie in a folder of features before features.json does."""
_AGAIN = "give the same `mgdm features` command again: it keeps what is whole and makes the rest"
SHARD_SIZE = 256
"""Clips per shard at most: seconds to minutes of work, which is what an interruption can cost."""
SMALL_SHARD = 32
"""Clips per shard of a small set: of 300 clips an interruption must not cost 256."""


class MappedFrames:
    """(N, T, D) frame features that stay in their files: an index or a slice copies the rows it names, `[:]` all."""

    def __init__(self, files: Sequence[Tensor]):
        self.files = files
        self.shape = torch.Size([sum(map(len, files)), *files[0].shape[1:]])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> Tensor:
        """What a tensor gives for the same index, which may name rows alone."""
        rows, size = torch.arange(len(self))[rows], len(self.files[0])  # every file but the last holds as many
        found = torch.empty(*rows.shape, *self.shape[1:])
        for i in (rows // size).unique():
            here = rows // size == i
            found[here] = self.files[i][rows[here] % size]
        return found


@dataclass(frozen=True)
class Features:
    """What a feature folder holds."""

    frame_features: Tensor | MappedFrames
    """(N, T, D) raw CLIP image embeddings; of a split in memory, of a whole folder left in its files."""
    text_features: Tensor
    """(C, D) raw CLIP text embeddings of the classes' prompt sentences."""
    clips: pd.DataFrame
    """N rows: id, label, split, and split1, split2, ... of a dataset with several official splits."""
    classes: tuple[str, ...]
    logit_scale: float
    """The backbone's 1/tau."""
    clip_fingerprint: str | None = None
    """Whose features they are; None where they never were on disk."""

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
        rows = _rows(self.clips, name)
        return replace(self, frame_features=self.frame_features[rows], clips=_at(self.clips, rows))


def _rows(clips: pd.DataFrame, split: str) -> np.ndarray:
    rows = (clips["split"] == split).to_numpy().nonzero()[0]
    if not len(rows):
        raise FolderError(f"no clip is in split {split!r}; there are {sorted(set(clips['split']))}")
    return rows


def _at(clips: pd.DataFrame, rows: np.ndarray) -> pd.DataFrame:
    return clips.iloc[rows].reset_index(drop=True)


def pixels(clips: Sequence[Path], T: int, preprocess: Callable[[Image.Image], Tensor]) -> Tensor:
    """(b, T, 3, S, S) the centre frames of b clips, as `preprocess` gives them."""
    found = (read_segments(path, T, mode="center") for path in clips)  # uint8 (T, H, W, 3)
    return torch.stack([torch.stack([preprocess(Image.fromarray(frame)) for frame in clip]) for clip in found])


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
        FolderError: when `out` was made by another backbone, precision, number of frames or prompt, of other clips
            (their ids, labels, splits and files count, not where they lie), or no longer says by which.
        VideoError: naming the clip that can't be read; whole shards before it are kept.
        KeyboardInterrupt: saying how many clips are done.
        ValueError: for a prompt without its one `{}`, or no frames; nothing is written.
    """
    sentences = prompts(manifest.classes, prompt)
    if frames < 1:
        raise ValueError(f"frames={frames}: at least one frame of a clip is needed")
    recipe = {
        "clip": clip.name,
        "pretrained": clip.pretrained,
        "clip_fingerprint": clip.fingerprint,
        "precision": clip.precision,
        "clips_fingerprint": _clips_fingerprint(manifest),
        "frames": frames,
        "sampling": SAMPLING,
        "prompt": prompt,
        "classes": list(manifest.classes),
        "logit_scale": clip.logit_scale,
        "clips_per_shard": clips_per_shard(len(manifest.table)),
    }
    with main_first():
        _begin(out, recipe, manifest)
        if not _is_whole(out / "text.safetensors", (len(sentences),), "text_features"):
            save_tensors(out / "text.safetensors", {"text_features": clip.encode_text(sentences)})
    paths, ids = manifest.video_paths, list(manifest.table["id"])
    missing = [(path, rows) for path, rows in _shards(out, len(paths)) if not _is_whole(path, (len(rows), frames))]
    barrier()  # all have seen the same shards missing before anybody writes one
    todo = missing[rank() :: world_size()]
    total = sum(len(rows) for _, rows in todo)
    workers = min(8, local_cores()) if workers is None else workers
    shown = {"desc": "features", "unit": "clip", "disable": quiet or not total or not is_main()}
    try:
        with threads_for(clip.model), tqdm(total=total, **shown) as bar:
            for path, rows, features in _encoded(todo, paths, clip, frames, batch_size, workers, bar):
                clip.check_finite(features, [ids[row] for row in rows])
                save_tensors(path, {"frame_features": features})
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(f"{clips_done(out, len(paths))} of {len(paths)} clips are done") from stop
    barrier()
    if is_main() and world_size() > 1:  # each process recorded its own files, perhaps over another's record
        for path, _ in missing:
            record_sha256(path)
    barrier()
    return load_features(out)


def finished_features(
    folder: Path, manifest: Manifest, clip_fingerprint: str, *, frames: int = 16, prompt: str = PROMPT
) -> Features | None:
    """What `extract_features` would leave as it is, without the CLIP; None where it has something to do or to say."""
    asked = {"clip_fingerprint": clip_fingerprint, "clips_fingerprint": _clips_fingerprint(manifest)}
    asked |= {"frames": frames, "prompt": prompt}
    with suppress(FolderError):
        return load_features(folder) if asked.items() <= read_recipe(folder).items() else None
    return None


def _begin(out: Path, recipe: dict[str, Any], manifest: Manifest) -> None:
    """Claim a folder for these features and list its clips; errors as for `extract_features`."""
    _refuse_strangers(out)
    claim(out / "features.json", recipe, ignore=MAY_DIFFER, work=("*.safetensors",))
    _refuse_other_clips(out, recipe["clips_fingerprint"], manifest)
    if is_main():
        columns = ["id", "label", "split", *official_splits(list(manifest.table))]
        write_text_atomic(out / "clips.csv", manifest.table[columns].to_csv(index=False))
        record_sha256(out / "clips.csv")


def _refuse_strangers(out: Path) -> None:
    """`FolderError` where new features would lie among files of another kind; hidden ones don't count."""
    if (out / "features.json").is_file() or not out.is_dir():
        return
    expected = (*OWN, *RECORDS, "*.safetensors", ".*")
    names = sorted(path.name for path in out.iterdir())
    if others := [name for name in names if not any(fnmatch(name, pattern) for pattern in expected)]:
        raise FolderError(
            f"{out} holds something else ({', '.join(others[:3])}); take a folder of its own, such as "
            f"--out {out / 'features'}"
        )


def _refuse_other_clips(out: Path, clips_fingerprint: str, manifest: Manifest) -> None:
    """`FolderError` where a folder is of other clips than the manifest's."""
    if read_recipe(out)["clips_fingerprint"] == clips_fingerprint:
        return
    with reading(out / "clips.csv", _AGAIN):
        held = pd.read_csv(out / "clips.csv", dtype=str, keep_default_na=False)
        there, here = (list(zip(t["id"], t["label"], t["split"], strict=True)) for t in (held, manifest.table))
    first = next((one or other for one, other in zip_longest(there, here) if one != other), None)
    differ = f"first difference {first[0]}" if first else "with another file under the same name"
    raise FolderError(
        f"{out} holds features of other clips: {len(there)} clips there, {len(here)} here, {differ}. Take another "
        f"folder, or delete this one to make it anew"
    )


def _encoded(
    shards: Sequence[tuple[Path, range]],
    paths: Sequence[Path],
    clip: FrozenClip,
    T: int,
    batch_size: int,
    workers: int,
    bar: tqdm,
) -> Iterator[tuple[Path, range, Tensor]]:
    """Each shard with its frame features (n, T, D); the workers decode the next one while this one is encoded."""
    cut, rest = in_two_parts(clip.preprocess)
    batches = [rows[start : start + batch_size] for _, rows in shards for start in range(0, len(rows), batch_size)]
    clips = [[paths[row] for row in batch] for batch in batches]
    decoded = load_batches(partial(pixels, T=T, preprocess=cut), clips, workers)
    with closing(decoded) as loaded:  # the workers end also where we are stopped
        for path, rows in shards:
            parts = []
            for pictures in islice(loaded, -(-len(rows) // batch_size)):  # (b, T, 3, S, S)
                images = rest(pictures.flatten(0, 1).to(clip.device))
                parts.append(clip.encode_image(images).unflatten(0, (-1, T)))
                bar.update(len(pictures))
            yield path, rows, torch.cat(parts)


def clips_per_shard(n: int) -> int:
    """Of a new folder for n clips: `SMALL_SHARD` for some thousand, then more, so that there are about 64 files."""
    return min(SHARD_SIZE, SMALL_SHARD * max(1, n // 2048))


def clips_done(folder: Path, n: int) -> int:
    """How many of n clips have their features in a folder, finished or not."""
    shards = _shards(folder, n) if (folder / "features.json").is_file() else []
    return sum(len(rows) for path, rows in shards if path.is_file())


def _clips_fingerprint(manifest: Manifest) -> str:
    """16 hex digits of a sha256 over ids, labels, splits, and size and head of the files, in order."""

    def content(path: Path) -> str:
        with path.open("rb") as file:
            return f"{path.stat().st_size} {hashlib.sha256(file.read(HEAD)).hexdigest()}"

    table = manifest.table[["id", "label", "split"]].assign(content=list(map(content, manifest.files())))
    return hashlib.sha256(table.to_csv(index=False, lineterminator="\n").encode()).hexdigest()[:16]


def load_features(folder: Path, official_split: int | None = None, split: str | None = None) -> Features:
    """Read a feature folder, or the clips of one split; `FolderError` when it is missing, not finished or damaged.

    The files are mapped. Of a split the rows are copied, of a whole folder only what is taken of `frame_features`, see
    `MappedFrames`. A clip's features are the same in every official split: `official_split=2` takes `split2` as
    `split`, so that one folder serves all three of UCF101 or HMDB51. `ManifestError` when there is no such column.
    """
    recipe, clips = read_recipe(folder), read_clips(folder, official_split)
    rows = np.arange(len(clips)) if split is None else _rows(clips, split)
    texts = folder / "text.safetensors"
    files = [(path, held, np.isin(held, rows).any()) for path, held in _shards(folder, len(clips))]
    bad = [path for path, held, used in files if not _is_whole(path, (len(held), recipe["frames"]), check=used)]
    bad += [] if _is_whole(texts, (len(recipe["classes"]),), "text_features") else [texts]
    if bad:
        state = "damaged, or clips.csv is" if bad[0].exists() else "missing"
        raise FolderError(
            f"the features at {folder} are not finished: {len(bad)} parts are missing or damaged, first {bad[0].name} "
            f"({state}); {_AGAIN}"
        )
    text_features = _finite(load_tensors(texts)["text_features"], recipe["classes"], texts)
    mapped = [_mapped(path) for path, *_ in files]
    for (path, held, used), frames in zip(files, mapped, strict=True):
        if used:
            _finite(frames, clips["id"].iloc[held], path)
    frame_features = MappedFrames(mapped)
    if split is not None:
        frame_features, clips = frame_features[rows], _at(clips, rows)
    made_by = recipe["logit_scale"], recipe["clip_fingerprint"]
    return Features(frame_features, text_features, clips, tuple(recipe["classes"]), *made_by)


def _mapped(path: Path) -> Tensor:
    with safe_open(path, "pt") as file:
        return file.get_tensor("frame_features")


def _finite(features: Tensor, names: Sequence[str], path: Path) -> Tensor:
    """Features (n, ...) as they are; `FolderError` names the file and whose are not finite."""
    low, high = features.flatten(1).aminmax(dim=1)  # both are NaN where one is; isfinite of all would copy them
    bad = (~(low.isfinite() & high.isfinite())).nonzero()
    if len(bad):
        raise FolderError(
            f"{path} holds numbers that are not finite (NaN or infinity), first of {list(names)[int(bad[0])]!r}; "
            f"delete the file, make sure of the CLIP's weights, and {_AGAIN}"
        )
    return features


def read_clips(folder: Path, official_split: int | None = None) -> pd.DataFrame:
    """The clips of a feature folder, a row each: id, label, split; errors as for `load_features`."""
    path, classes = folder / "clips.csv", read_recipe(folder)["classes"]
    with reading(path, _AGAIN):
        clips = pd.read_csv(path, dtype=str, keep_default_na=False)
        if missing := [name for name in ("id", "label", "split") if name not in clips]:
            raise ValueError(f"it lacks the column {missing[0]!r}")
        if unknown := sorted(set(clips["label"]) - set(classes)):
            raise ValueError(f"the label {unknown[0]!r} is not one of the classes in features.json")
        if clips.empty:
            raise ValueError("it lists no clip")
        for column in ("split", *official_splits(list(clips))):
            if unknown := sorted(set(clips[column]) - {*SPLITS, UNUSED}):
                raise ValueError(f"{column} {unknown[0]!r} is none of {', '.join((*SPLITS, UNUSED))}")
        if clips["id"].duplicated().any():
            raise ValueError(f"{clips['id'][clips['id'].duplicated()].iloc[0]!r} stands in more than one row")
        check_sha256(path)
    return take_official_split(clips, official_split, path)


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
            f"`mgdm mine --features {folder} --corpus FILE --out NEGATIVES.csv`, where FILE lists them"
        )
    others = _other_texts(folder)
    with reading(folder / "text.safetensors", _AGAIN):
        own = _finite(load_tensors(folder / "text.safetensors")["text_features"], classes, folder / "text.safetensors")
    more = corpus[len(classes) :]
    if not more:
        return CorpusTexts(corpus, own)
    encoded = _finite(torch.stack([others[label] for label in more]), more, folder / "labels.safetensors")
    return CorpusTexts(corpus, torch.cat([own, encoded]))


def missing_texts(folder: Path, labels: Iterable[str]) -> list[str]:
    """Those of the labels that are no class of the folder and not encoded yet."""
    there = {*read_recipe(folder)["classes"], *_other_texts(folder)}
    return [label for label in labels if label not in there]


RESERVED = "__metadata__"


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
    missing = missing_texts(folder, labels)
    if RESERVED in missing:
        raise ValueError(f"the label {RESERVED!r} is a name that files of tensors keep for themselves; change it")
    clip = replace(clip, precision=recipe["precision"])
    encoded = clip.encode_text(prompts(missing, recipe["prompt"])) if missing else ()
    new = {label: vector.clone() for label, vector in zip(missing, encoded, strict=True)}
    save_tensors(folder / "labels.safetensors", _other_texts(folder) | new)


def _other_texts(folder: Path) -> dict[str, Tensor]:
    try:
        return load_tensors(folder / "labels.safetensors")
    except (FileNotFoundError, SafetensorError, ValueError):  # damaged: encoded again
        return {}


def read_recipe(folder: Path) -> dict[str, Any]:
    """What a feature folder was made with, features.json; `FolderError` when there is none, or it is damaged."""
    path = folder / "features.json"
    cure = f"make them with `mgdm features --manifest MANIFEST.csv --clip CLIP --out {folder}`"
    if not path.is_file():
        raise FolderError(f"no features at {folder}; {cure}")
    # Nothing else says which CLIP they are of, so that they can't be continued.
    return read_json(path, f"put back a good copy, or delete {folder} and {cure}", keys=RECIPE)


def _shards(folder: Path, n: int) -> list[tuple[Path, range]]:
    """The files of n clips' frame features, there or not, and which rows stand in each."""
    size = read_recipe(folder)["clips_per_shard"]
    rows = [range(n)[start : start + size] for start in range(0, n, size)]
    return [(folder / f"frames-{i:05d}.safetensors", of_file) for i, of_file in enumerate(rows)]


def _is_whole(path: Path, shape: tuple[int, ...], name: str = "frame_features", *, check: bool = True) -> bool:
    """Is a file there, of a shape that begins so? One that something else than us has damaged is computed again.

    Args:
        check: its content, too, by the recorded sha256.
    """
    try:
        path.open("rb").close()  # safetensors calls what it may not read missing
        with safe_open(path, "pt") as file:
            whole = tuple(file.get_slice(name).get_shape()[: len(shape)]) == shape
        if whole and check:
            check_sha256(path)
    except (FileNotFoundError, SafetensorError, ValueError):
        return False
    return whole
