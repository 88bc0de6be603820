"""A finished run as a recogniser of videos: any clip, and any labels, not only those of its training (section 3.2).

The model sees a clip through CLIP, so a run has to know its CLIP, the prompt and the classes: `labels.json` in its
folder, which the training commands write. Another CLIP would give features of the same shape and another meaning;
its fingerprint tells, and `load_run` refuses it.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mgdmkit.clip.backbone import ClipWeightsError, FrozenClip, load_clip
from mgdmkit.clip.features import SAMPLING
from mgdmkit.data.corpus import prompts
from mgdmkit.data.tables import write_rows
from mgdmkit.data.video import read_segments, segment_indices
from mgdmkit.files import write_text_atomic
from mgdmkit.inference import Inference, predict
from mgdmkit.model import MGDM
from mgdmkit.runs.folder import FolderError, check_sha256, read_json, reading, record_sha256
from mgdmkit.runs.trained import load_model, read_run

Clip = str | Path | np.ndarray
"""A video file, or frames uint8 (F, H, W, 3), RGB, with any F >= 1."""


class Prediction(NamedTuple):
    """The best labels of one clip, best first."""

    labels: tuple[str, ...]
    scores: tuple[float, ...]
    """Softmax of the logits over all labels that were asked for: shares that compare these labels with one another. A
    clip that shows none of them still has a best one."""


@dataclass(frozen=True)
class Recognizer:
    """A trained model with all it needs to look at a clip; made by `load_run`."""

    model: MGDM
    clip: FrozenClip
    classes: tuple[str, ...]
    """The labels of the training."""
    prompt: str
    """The sentence around a label, with one `{}`."""
    k: int
    """Negatives in a group of the training, and of `inference="rerank"`."""
    _texts: dict[tuple[str, ...], Tensor] = field(default_factory=dict, repr=False)

    def classify(
        self,
        clips: Clip | Sequence[Clip],
        labels: Sequence[str] | None = None,
        top: int = 5,
        *,
        inference: Inference | None = None,
    ) -> Prediction | list[Prediction]:
        """The `top` best labels of a clip, as a `Prediction`; of a sequence of clips, a list of them.

        Args:
            clips: video files, or frames; of either the centre frame of each of T equal segments is seen.
            labels: at least two labels, each of which goes into the run's prompt; the classes when not given.
            top: how many labels to name; all of them, if there are fewer.
            inference: which labels share a sequence, see `inference.predict`.
        Raises:
            VideoError: naming the file that can't be read.
            ValueError: for frames, labels, a `top` or an inference that can't be, or scores that are not finite.
        """
        labels = self.classes if labels is None else tuple(labels)
        if top < 1:
            raise ValueError(f"top={top}: at least one label must be named")
        if single := isinstance(clips, Clip):
            clips = [clips]
        if not len(clips):
            return []
        text_features = self.text_features(labels)  # first: a mistake in the labels should not cost the decoding
        frame_features = torch.stack([self.frame_features(clip) for clip in clips])
        logits = predict(self.model, frame_features, text_features, inference=inference, k=self.k)  # (N, C)
        check_scores(logits, ["an array of frames" if isinstance(clip, np.ndarray) else str(clip) for clip in clips])
        scores, order = logits.softmax(dim=1).sort(descending=True, stable=True)  # equal ones in the labels' order
        found = [
            Prediction(tuple(labels[i] for i in best), tuple(values))
            for best, values in zip(order[:, :top].tolist(), scores[:, :top].tolist(), strict=True)
        ]
        return found[0] if single else found

    def frame_features(self, clip: Clip) -> Tensor:
        """(T, D) raw CLIP embeddings of the frames of one clip, as `clip.extract_features` makes them."""
        T = self.model.config.frames
        if not isinstance(clip, np.ndarray):
            frames = read_segments(clip, T)
        elif clip.ndim == 4 and clip.shape[3] == 3 and clip.dtype == np.uint8 and len(clip):
            frames = clip[segment_indices(len(clip), T)]
        else:
            raise ValueError(f"the frames of a clip must be uint8 (F, H, W, 3), RGB, not {clip.dtype} {clip.shape}")
        return self.clip.encode_image(torch.stack([self.clip.preprocess(Image.fromarray(frame)) for frame in frames]))

    def text_features(self, labels: Sequence[str]) -> Tensor:
        """(n, D) raw CLIP embeddings of the labels' prompt sentences; encoded once for each list of labels."""
        labels = tuple(labels)
        if len(set(labels)) < max(2, len(labels)) or not all(label.strip() for label in labels):
            raise ValueError(f"labels must be at least two texts, none empty and none twice, not {list(labels)[:20]}")
        if labels not in self._texts:
            self._texts[labels] = self.clip.encode_text(prompts(labels, self.prompt))
        return self._texts[labels]


def load_run(
    folder: Path | str, *, clip: FrozenClip | Path | str | None = None, pretrained: str | None = None, device="auto"
) -> Recognizer:
    """The recogniser of a run folder, made by `mgdm train`, `mgdm finetune` or `experiments.train_and_score`.

    Args:
        clip: the run's CLIP, open or as `load_clip` takes it; where it was at training, if not given.
        pretrained: with the name of an open_clip model: a tag, or the path of a checkpoint.
        device: auto, cpu, cuda or mps.
    Raises:
        FolderError: when the folder holds no finished run, does not know its CLIP, or `clip` is another one.
        ClipWeightsError: when the CLIP is no longer where it was.
    """
    folder = Path(folder)
    model, made = load_model(folder, device), _read_labels(folder)
    if not isinstance(clip, FrozenClip):
        clip = _open_clip(folder, made["clip"], clip, pretrained, device)
    if clip.fingerprint != made["clip"]["fingerprint"]:
        raise FolderError(
            f"{folder} was trained on features of {made['clip']['name']} ({made['clip']['fingerprint']}); {clip.name} "
            f"({clip.fingerprint}) is another CLIP, and what it sees means nothing to this run: give the same weights"
        )
    return Recognizer(model, clip, tuple(made["classes"]), made["prompt"], read_run(folder)["train"]["k"])


def write_labels(run: Path, recipe: Mapping[str, Any]) -> Path:
    """Write a run's `labels.json`: its classes, its prompt and its CLIP.

    Args:
        recipe: of the features that it was trained on, as `clip.features.read_recipe` gives it: classes, prompt, clip,
            clip_fingerprint, pretrained; and clips_fingerprint, which a fine-tuned run does not have.
    """
    name, pretrained = recipe["clip"], recipe["pretrained"]
    held = {
        "classes": list(recipe["classes"]),
        "prompt": recipe["prompt"],
        "clip": {
            "name": _seen_from(run, name),
            "pretrained": pretrained and _seen_from(run, pretrained),
            "fingerprint": recipe["clip_fingerprint"],
        },
        "clips_fingerprint": recipe.get("clips_fingerprint"),
    }
    path = run / "labels.json"
    write_text_atomic(path, json.dumps(held, indent=2, ensure_ascii=False) + "\n")
    record_sha256(path)
    return path


class OtherEvaluation(NamedTuple):
    """Features that a run can be scored on, though they are not what it was trained for."""

    told: str
    """What is other, in words."""
    name: str
    """8 hex digits of it, for a file beside the run's own scores."""


def check_features(run: Path, recipe: Mapping[str, Any], where: Path) -> OtherEvaluation | None:
    """Whether features are what a run sees; None where they ask of it what it was trained for.

    Args:
        recipe: of the features in the folder `where`, see `clip.features.read_recipe`.
    Raises:
        FolderError: for another CLIP, another number of frames or another sampling.
    """
    made, frames = _read_labels(run), read_run(run)["model"]["frames"]
    clip = made["clip"]
    given = f"--clip {_from_run(run, clip['name'])}"
    given += f" --pretrained {_from_run(run, clip['pretrained'])}" if clip["pretrained"] else ""
    again = f"make them with `mgdm features --manifest MANIFEST.csv {given} --out OTHER`"
    if recipe["clip_fingerprint"] != clip["fingerprint"]:
        raise FolderError(
            f"{run} sees through the CLIP {clip['name']} ({clip['fingerprint']}), {where} was made by {recipe['clip']} "
            f"({recipe['clip_fingerprint']}): another CLIP, whose features mean nothing to this run; {again}"
        )
    if (recipe["frames"], recipe["sampling"]) != (frames, SAMPLING):
        raise FolderError(
            f"{run} sees {frames} frames of a clip ({SAMPLING}), {where} holds {recipe['frames']} "
            f"({recipe['sampling']}); {again}"
        )
    asked = {key: recipe[key] for key in ("classes", "prompt", "clips_fingerprint")}
    told = []
    if made["classes"] != asked["classes"]:
        other = [label for label in asked["classes"] if label not in made["classes"]]
        first = f", first {other[0]!r}" if other else ""
        n, own_n = len(asked["classes"]), len(made["classes"])
        told.append(
            f"none of these {n} classes was trained{first}; the run was trained on {own_n} others"
            if len(other) == n
            else f"{n} classes, {len(other)} of them new{first}, for the run's {own_n}"
        )
    if made["prompt"] != asked["prompt"]:
        told.append(f"the prompt {asked['prompt']!r} for {made['prompt']!r}")
    if not told and made["clips_fingerprint"] not in (None, asked["clips_fingerprint"]):
        told.append("clips, labels or splits that are not those of the features that it was trained on")
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:8]
    return OtherEvaluation("; ".join(told), digest) if told else None


def check_scores(logits: Tensor, names: Sequence[str]) -> None:
    """`ValueError` naming the first clip whose logits (N, C) are not finite."""
    if len(bad := (~logits.isfinite().all(dim=1)).nonzero()):
        raise ValueError(
            f"the scores of {names[int(bad[0])]!r} are not finite (NaN or infinity), nor are those of {len(bad) - 1} "
            f"other clips: the model has diverged, or its weights are damaged; train it anew, into another folder"
        )


def check_writable(path: Path) -> None:
    """`OSError` naming the file where `predictions_csv` could not write it: better before the work than after."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name the CSV to write, such as {path / 'predictions.csv'}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise type(error)(f"{path} can't be written ({error.strerror or error}); name another file") from error


def predictions_csv(path: Path, found: Mapping[Path, Prediction]) -> Path:
    """Write the predictions of some videos as a CSV: video, rank (from 1), label, score."""
    rows = [
        (video, rank, label, f"{score:.6g}")
        for video, prediction in found.items()
        for rank, (label, score) in enumerate(zip(*prediction, strict=True), start=1)
    ]
    return write_rows(path, ("video", "rank", "label", "score"), rows)


def _read_labels(run: Path) -> dict[str, Any]:
    path = run / "labels.json"
    cure = (
        f"it names the classes and the CLIP of the run. Give the command that trained {run} again: it trains nothing "
        f"anew and writes it (after `train` in Python: evaluation.write_labels)"
    )
    held = read_json(path, cure, keys=("classes", "prompt", "clip", "clips_fingerprint"))
    with reading(path, cure):
        held["clip"] = {key: held["clip"][key] for key in ("name", "pretrained", "fingerprint")}
        check_sha256(path)
    return held


def _open_clip(run: Path, made: dict[str, Any], clip: Path | str | None, pretrained: str | None, device) -> FrozenClip:
    if clip:
        return load_clip(str(clip), pretrained, device)
    name, weights = _from_run(run, made["name"]), made["pretrained"]
    try:
        return load_clip(name, pretrained or (weights and _from_run(run, weights)), device)
    except ClipWeightsError as error:
        moved = "/" in name and not Path(name).exists()
        why = "is not there, seen from the run" if moved else f"can't be opened: {error}"
        raise ClipWeightsError(
            f"{run} was trained with the CLIP {name} (fingerprint {made['fingerprint']}), which {why}. If it lies "
            f"elsewhere now, say where: --clip FOLDER, or --clip MODEL --pretrained TAG_OR_FILE"
        ) from error


def _seen_from(run: Path, name: str) -> str:
    """A folder or file as a path from the run's folder, so that both can move together; a model or tag as it is."""
    if not Path(name).exists():
        return name
    try:
        return Path(os.path.relpath(name, run)).as_posix()
    except ValueError:  # another drive, on Windows
        return Path(name).resolve().as_posix()


def _from_run(run: Path, name: str) -> str:
    return str(run / name) if (run / name).exists() else name
