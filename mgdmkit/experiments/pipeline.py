"""The main job on the embedded dataset: clips, features by the small CLIP, negatives, training, scores.

Every step is the library call that a user's own folder needs too; what a preset already left on disk is taken from
there. Notebooks and experiments share this file, so that they speak of the same numbers.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from torch import Tensor
from tqdm.auto import tqdm

from mgdmkit.clip.backbone import FrozenClip, load_clip
from mgdmkit.clip.features import (
    CorpusTexts,
    Features,
    corpus_texts,
    extract_features,
    finished_features,
    load_features,
    read_recipe,
)
from mgdmkit.clip.small import SMALL, shipped_fingerprint
from mgdmkit.config import SMALL_MODEL, SMALL_TRAIN, MGDMConfig, TrainConfig, check_choice
from mgdmkit.data.exclusions import Excluded
from mgdmkit.data.manifest import Manifest, read_manifest
from mgdmkit.evaluation.recognizer import write_labels
from mgdmkit.evaluation.scores import Scores, score
from mgdmkit.inference import Inference, predict
from mgdmkit.mining import (
    Negatives,
    load_negatives,
    mine_negatives,
    negative_names,
    save_negatives,
)
from mgdmkit.model import MGDM
from mgdmkit.runs.processes import barrier, gather, is_main, local_cores, shard
from mgdmkit.stickactions.dataset import StickActionsConfig, generate
from mgdmkit.training.loop import Videos, train

DEPTH = 9
"""Negatives mined per video: all that any k of the paper needs."""


@dataclass(frozen=True)
class Preset:
    """How much work a preset asks for."""

    dataset: StickActionsConfig
    training: dict[str, Any] = field(default_factory=dict)
    """What differs from `SMALL_TRAIN`."""


PRESETS = {
    # Seconds: for tests, where only the path counts and every score is poor.
    "smoke": Preset(
        StickActionsConfig(train_per_class=2, val_per_class=1, test_per_class=1, size=64),
        {"epochs": 2, "warmup_epochs": 0.0},
    ),
    # Minutes on two cores: what the README promises.
    "demo": Preset(StickActionsConfig()),
    # An hour: more clips.
    "full": Preset(StickActionsConfig(train_per_class=40, val_per_class=10, test_per_class=20)),
}


OWN = "own"
"""The preset of one's own videos: features and negatives that the shell made."""


@dataclass(frozen=True)
class Prepared:
    """Everything up to the training; the frame features stay in their files."""

    root: Path
    preset: str
    features: Features
    negatives: Negatives
    """For every clip of the features, in their order; indices into the labels of `texts`."""
    manifest: Manifest | None = None
    """The videos; None when only features were loaded."""
    corpus: CorpusTexts | None = None
    """What the negatives are from; None: the classes."""

    @cached_property
    def clip(self) -> FrozenClip | None:
        """The small CLIP, loaded when first asked for: few lessons encode. None for own videos."""
        return None if self.preset == OWN else load_clip(SMALL)

    @property
    def texts(self) -> CorpusTexts:
        """The n labels of training with their text features: the C classes first, then what else was mined."""
        return self.corpus or CorpusTexts(self.features.classes, self.features.text_features)

    def videos(self, split: str) -> Videos:
        part = self.features.split(split)
        return Videos(part.frame_features, part.labels)

    def labels_of(self, split: str) -> Tensor:
        return self.features.labels[self.features.rows(split)]

    def negatives_of(self, split: str) -> Negatives:
        rows = self.features.rows(split)
        return Negatives(*(tensor[rows] for tensor in self.negatives))


def prepare(root: Path | str, preset: str = "demo", *, workers: int | None = None, quiet: bool = False) -> Prepared:
    """Make, or load, StickActions, its features by the small CLIP, and mined negatives under `root`.

    With the preset "own" nothing is made: `root` holds `features` and `negatives.csv`, made by `mgdm features` and
    `mgdm mine` from any videos, with any corpus. Of a corpus only the labels that were mined for a clip are known
    here, so these and the classes are what random negatives are drawn from.

    Raises:
        FolderError: when `root` holds another preset's files, or own features lack the text of a mined label.
        FileNotFoundError: when own features or negatives are not there.
    """
    check_choice("preset", preset, (*PRESETS, OWN))
    root = Path(root)
    if preset == OWN:
        return stored(root, preset)
    chosen = PRESETS[preset]
    with one_at_a_time(root, "clips and features", quiet):
        manifest = read_manifest(generate(root / "stickactions", chosen.dataset, workers=workers or local_cores()))
        features = finished_features(root / "features", manifest, shipped_fingerprint())
        if features is None:
            features = extract_features(manifest, load_clip(SMALL), root / "features", workers=workers, quiet=quiet)
        negatives = mine_to_csv(features, root / "negatives.csv", DEPTH)
    return Prepared(root, preset, features, negatives, manifest)


def stored(root: Path, preset: str) -> Prepared:
    """The features and negatives that lie under a root, without a look at videos or CLIP; errors as for `prepare`."""
    features = load_features(root / "features")
    mined, ids = root / "negatives.csv", list(features.clips["id"])
    corpus = corpus_texts(root / "features", negative_names(mined))
    negatives = load_negatives(mined, ids, corpus.labels, features.labels, features.clip_fingerprint)
    return Prepared(root, preset, features, negatives, corpus=corpus)


@contextmanager
def one_at_a_time(root: Path, name: str, quiet: bool) -> Iterator[None]:
    """A block that another program under the same root waits for, with a clock: then what it asks for is there."""
    if not is_main():  # of processes that work together the first waits for all
        yield
        return
    file = root / ".locks" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    lock, told = FileLock(file), f"another program is making {name}; waiting"
    with tqdm(desc=told, bar_format="{desc}: {elapsed}", delay=1, leave=False, disable=quiet) as clock:
        while not lock.is_locked:
            with suppress(Timeout):
                lock.acquire(timeout=1)
            clock.update()
    try:
        yield
    finally:
        lock.release()


def mine_to_csv(
    features: Features, path: Path, depth: int, *, corpus: CorpusTexts | None = None, excluded: Excluded | None = None
) -> Negatives:
    """Mine every clip of a feature folder and write the CSV, unless it is there and the very same.

    Of several processes each mines its own share of the clips, the first writes, and all return all of it.

    Args:
        corpus: what to mine, from `corpus_texts`; the classes when not given.
        excluded: what is not to be mined, from `locate`.
    """
    corpus, excluded = corpus or CorpusTexts(features.classes, features.text_features), excluded or Excluded([], [], [])
    ids, labels = list(features.clips["id"]), features.labels
    mined = mine_negatives(
        features.frame_features,
        corpus.text_features,
        labels,
        depth,
        logit_scale=features.logit_scale,
        exclude=excluded.pairs,
        exclude_for_video=excluded.of_clips,
        names=ids,
        rows=shard(len(ids)),
    )
    negatives = Negatives(*(gather(part, len(ids)) for part in mined))
    if is_main():
        save_negatives(path, negatives, ids, labels, corpus.labels, features.clip_fingerprint)
    barrier()  # it is there for all
    return negatives


@dataclass(frozen=True)
class Trained:
    """One trained model with its scores."""

    name: str
    folder: Path
    model: MGDM
    logits: Tensor
    """(N, C) of the split that was scored."""
    scores: Scores


def run_name(k: int, negatives: str) -> str:
    """`k3-top`, or `k0`; a run's folder adds its seed, as in `k3-top-seed0`."""
    return f"k{k}-{negatives}" if k else "k0"


def train_and_score(
    prepared: Prepared,
    k: int,
    *,
    negatives: str = "top",
    seed: int = 0,
    split: str = "test",
    device: str = "auto",
    quiet: bool = False,
    watch: bool = True,
    model: dict[str, Any] | None = None,
    training: dict[str, Any] | None = None,
    inference: Inference | None = None,
    name: str | None = None,
) -> Trained:
    """Train (or load) one MGDM under `root/runs` and score it on a split.

    Args:
        watch: score the validation split after each epoch, for the history; it decides nothing and takes a tenth of the
            time.
        model, training: what differs from the small model and the preset's training.
        inference: how it is tested, see `predict`.
        name: the run's folder; needed when `model` or `training` are given, so that runs stay apart.
    """
    D, T = prepared.features.text_features.shape[1], prepared.features.frame_features.shape[1]
    model_config = MGDMConfig(frames=T, **{**SMALL_MODEL, **(model or {})})
    model_config = model_config.for_backbone(D, prepared.features.logit_scale)
    of_preset = {} if prepared.preset == OWN else PRESETS[prepared.preset].training
    options = {**SMALL_TRAIN, **of_preset, **(training or {})}
    config = TrainConfig(k=k, negatives=negatives, seed=seed, **options)
    name = name or f"{run_name(k, config.negatives)}-seed{seed}"
    folder = prepared.root / "runs" / name
    watch = watch and "val" in set(prepared.features.clips["split"])  # own videos need not have any
    with one_at_a_time(prepared.root, name, quiet):
        network = train(
            model_config,
            config,
            prepared.videos("train"),
            prepared.texts.text_features,
            folder,
            negatives=prepared.negatives_of("train"),
            validation=prepared.videos("val") if watch else None,
            classes=len(prepared.features.classes),
            device=device,
            quiet=quiet,
        )
        if (prepared.root / "features").is_dir():  # features that never were on disk have no CLIP to name
            # The features of own videos name where their CLIP was when they were made.
            moved = {"clip": prepared.clip.name} if prepared.preset == OWN and prepared.clip else {}
            write_labels(folder, read_recipe(prepared.root / "features") | moved)
        videos = prepared.videos(split)
        logits = predict(network, videos.frame_features, prepared.features.text_features, inference=inference, k=k)
        scores = score(logits, videos.labels)
        tested = f"{split}-{inference}" if inference else split
        scores.to_json(folder / f"scores-{tested}.json", prepared.features.classes)
    return Trained(name, folder, network, logits, scores)
