"""One row of a table: a dataset up to the training, then a run of a recipe, with or without CLIP in training.

ROOT/features/                                     of all clips, by frozen CLIP
ROOT/negatives-<corpus>.csv                        mined in the recipes' corpus
ROOT/runs/<training>-<split>-<corpus>-<row>-.../   one run, with row.json, and result.json once it is scored
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from mgdmkit.clip.backbone import FrozenClip, load_clip
from mgdmkit.clip.features import (
    Features,
    corpus_texts,
    encode_texts,
    extract_features,
    load_features,
    missing_texts,
    read_recipe,
)
from mgdmkit.clip.later import open_clip
from mgdmkit.clip.small import SMALL
from mgdmkit.clip.weights import base_name
from mgdmkit.data.cards import dataset_classes
from mgdmkit.data.corpus import label_list, mining_corpus, normalise, union
from mgdmkit.data.exclusions import locate, read_exclusions
from mgdmkit.data.manifest import read_manifest
from mgdmkit.evaluation.recognizer import write_labels
from mgdmkit.evaluation.scores import score
from mgdmkit.experiments import pipeline
from mgdmkit.experiments.pipeline import DEPTH, OWN, mine_to_csv
from mgdmkit.files import write_text_atomic
from mgdmkit.inference import predict
from mgdmkit.mining import zero_shot_logits
from mgdmkit.replication.options import Options
from mgdmkit.replication.recipes import Recipe, unlike_the_kit
from mgdmkit.replication.sources import Source
from mgdmkit.runs.folder import claim
from mgdmkit.runs.processes import is_main, main_first, map_rows, world_size
from mgdmkit.training.finetuning import finetune, finetuned_features
from mgdmkit.training.loop import train

UNTRAINED = "untrained"
"""Of frozen CLIP's own scores."""


@dataclass(frozen=True, kw_only=True)
class Prepared(pipeline.Prepared):
    """A dataset of the paper up to the training."""

    source: Source
    clip: FrozenClip | None = None
    """None for a source that is features."""


def prepare(source: Source, recipe: Recipe, root: Path, options: Options) -> Prepared:
    """Features, texts of the corpus and mined negatives of a dataset under `root`, made or loaded."""
    folder, clip = source.features_folder(root), None
    if source.is_features:
        made = read_recipe(folder)
        if (made["frames"], made["prompt"]) != (recipe.model.frames, recipe.prompt):
            raise ValueError(
                f"{folder} has {made['frames']} frames per clip and the prompt {made['prompt']!r}, the recipe "
                f"{recipe.model.frames} and {recipe.prompt!r}; make features anew with `mgdm features`"
            )
        if _is_another_clip(made, recipe):
            raise ValueError(
                f"{folder} was made by the CLIP {made['clip']} {made['pretrained'] or ''}, the recipe's is "
                f"{recipe.clip} {recipe.pretrained or ''}; make features anew with `mgdm features`"
            )
        features = load_features(folder)
    else:
        clip = load_clip(recipe.clip, recipe.pretrained, options.device, precision=features_precision(recipe))
        every = read_manifest(source.path)  # as it is: one folder serves all official splits
        asked = {"frames": recipe.model.frames, "prompt": recipe.prompt}
        features = extract_features(every, clip, folder, **asked, workers=options.workers)
    features = source.in_force(features)
    labels = mining_corpus(features.classes, corpus_labels(recipe.corpus))
    with main_first():
        if missing_texts(folder, labels):
            encode_texts(folder, labels, clip or load_clip(recipe.clip, recipe.pretrained, options.device))
    texts, ids = corpus_texts(folder, labels), list(features.clips["id"])
    excluded = locate(read_exclusions(*options.exclude), labels, ids, list(features.clips["label"]))
    mined = root / f"negatives-{recipe.corpus_name}.csv"
    negatives = mine_to_csv(features, mined, DEPTH, corpus=texts, excluded=excluded)
    return Prepared(root, OWN, features, negatives, clip=clip, corpus=texts, source=source)


def _is_another_clip(made: dict[str, Any], recipe: Recipe) -> bool:
    """Whether a feature folder names another CLIP than a recipe; of a folder or file of weights no name tells."""
    one, other = base_name(made["clip"]), base_name(recipe.clip)
    if not all(name == SMALL or open_clip.list_pretrained_tags_by_model(name) for name in (one, other)):
        return False
    known = open_clip.list_pretrained_tags_by_model(other)
    tags = {tag for tag in (made["pretrained"], recipe.pretrained) if tag in known}
    return one != other or len(tags) > 1


def features_precision(recipe: Recipe) -> str:
    """What frozen CLIP computes in: the training's precision, fp32 where that is left to the device."""
    return "fp32" if recipe.train.precision == "auto" else recipe.train.precision


def corpus_labels(datasets: Sequence[str]) -> tuple[str, ...]:
    """The union of the datasets' label lists."""
    return union(*(label_list((row.label for row in dataset_classes(name)), name) for name in datasets)).labels


def run_folder(recipe: Recipe, official_split: int | None, root: Path, training: str, seed: int) -> Path:
    """Where a run of a recipe lies: `frozen-split1-union-7-top-seed0`; nothing untrained has a corpus."""
    split = f"split{official_split}-" if official_split else ""
    corpus = "" if training == UNTRAINED else f"{recipe.corpus_name}-"
    return root / "runs" / f"{training}-{split}{corpus}{recipe.row}-seed{seed}"


def run_row(recipe: Recipe, prepared: Prepared, seed: int, options: Options) -> Path:
    """Train and score one run, or load it, and return its folder with `result.json`.

    `FolderError` when the folder holds a run with other settings.
    """
    folder = run_folder(recipe, prepared.source.official_split, prepared.root, options.training, seed)
    with main_first():
        record_settings(folder, recipe, options)
    recipe = replace(recipe, train=replace(recipe.train, seed=seed))
    run = _run_frozen if options.frozen else _run_finetuned
    logits = run(recipe, prepared, folder, options)  # also where a result is there: it has to be of this very run
    own = {
        "corpus": recipe.corpus_name,
        "batch": recipe.train.batch_size * world_size(),
        "paper_batch": recipe.paper_batch,
        "batch_note": batch_note(recipe),
        "precision": recipe.train.precision,
        "unlike_the_recipe": unlike_the_kit(recipe, frozen=options.frozen),
        "exclude": exclusions(options.exclude),
        "exclude_files": list(map(str, options.exclude)),
    }
    _write_result(folder, logits, recipe, prepared, options.training, own)
    return folder


def record_settings(run: Path, recipe: Recipe, options: Options) -> None:
    """Write a run's `row.json`: all that decides it but seed, split and data. `FolderError` where it says otherwise."""
    shared = {"training": options.training, "exclude": exclusions(options.exclude), "processes": world_size()}
    made = recipe.in_force(frozen=options.frozen) | shared
    claim(run / "row.json", made, ignore=("clip", "pretrained"))  # may move, the fingerprint in config.json may not


def exclusions(paths: Sequence[Path]) -> str:
    """What was decided to exclude, "none" or a count and a checksum: of the decisions, wherever their files lie."""
    pairs = [(sorted((normalise(e.label_a), normalise(e.label_b))), e.clip) for e in read_exclusions(*paths)]
    if not pairs:
        return "none"
    digest = hashlib.sha256(json.dumps(sorted(pairs)).encode()).hexdigest()[:16]
    return f"pairs: {len(pairs)}, sha256: {digest}"


def batch_note(recipe: Recipe) -> str:
    """What another batch than the paper's, on all processes, means for a row; "" for the paper's."""
    batch, paper = recipe.train.batch_size * world_size(), recipe.paper_batch
    if batch == paper:
        return ""
    less = "fewer" if batch < paper else "more"
    meets = f"a video meets the groups of {less} others, so that this is not the paper's row"
    return f"batches of {batch} videos, {paper} in the paper: {meets}"


def _run_frozen(recipe: Recipe, prepared: Prepared, folder: Path, options: Options) -> Tensor:
    features, texts = prepared.features, prepared.texts.text_features
    scored, C = prepared.videos(recipe.scored), len(features.classes)
    model = train(
        recipe.model.for_backbone(texts.shape[1], features.logit_scale),
        recipe.train,
        prepared.videos("train"),
        texts,
        folder,
        negatives=prepared.negatives_of("train"),
        classes=C,
        official_split=prepared.source.official_split,
        device=options.device,
    )
    if is_main():
        write_labels(folder, read_recipe(prepared.source.features_folder(prepared.root)))
    return map_rows(lambda frames: predict(model, frames, texts[:C]), scored.frame_features)


def _run_finetuned(recipe: Recipe, prepared: Prepared, folder: Path, options: Options) -> Tensor:
    network = finetune(
        recipe.model.for_backbone(prepared.texts.text_features.shape[1], prepared.clip.logit_scale),
        recipe.train,
        recipe.finetune,
        prepared.clip,
        prepared.source.manifest("train"),
        folder,
        negatives=prepared.negatives_of("train"),
        corpus=prepared.texts.labels,
        official_split=prepared.source.official_split,
        prompt=recipe.prompt,
        workers=options.workers,
        device=options.device,
    )
    cached = scored_features(folder, recipe, prepared.source, options)
    return map_rows(lambda frames: predict(network.mgdm, frames, cached.text_features), cached.frame_features)


def scored_features(run: Path, recipe: Recipe, source: Source, options: Options) -> Features:
    """Of the clips that are scored, as the CLIP of a fine-tuned run sees them."""
    clips = source.manifest(recipe.scored)
    return finetuned_features(run, clips, workers=options.workers, device=options.device)


def score_zero_shot(prepared: Prepared, recipe: Recipe) -> None:
    """Frozen CLIP without any training, as a run of its own."""
    part = prepared.features.split(recipe.scored)
    recipe = replace(recipe, row="zero-shot", train=replace(recipe.train, seed=0))
    folder = run_folder(recipe, prepared.source.official_split, prepared.root, UNTRAINED, 0)
    logits = zero_shot_logits(part.frame_features, part.text_features)
    _write_result(folder, logits, recipe, prepared, UNTRAINED, {})


def _write_result(
    folder: Path, logits: Tensor, recipe: Recipe, prepared: Prepared, training: str, own: dict[str, Any]
) -> None:
    """The scores of a run, and what a table has to say about them, `own` of a trained run alone; shares in percent."""
    source, features = prepared.source, prepared.features
    scores = score(logits, prepared.labels_of(recipe.scored))
    result: dict[str, Any] = {
        "dataset": source.dataset,
        "row": recipe.row,
        "training": training,
        "official_split": source.official_split,
        "scored": recipe.scored,
        "seed": recipe.train.seed,
        "clip": f"{recipe.clip} {recipe.pretrained}" if recipe.pretrained else recipe.clip,
        "features_precision": read_recipe(source.features_folder(prepared.root))["precision"],
        **own,
        "N": scores.top1.n,
        "unlike_the_paper": source.unlike_the_paper(recipe.scored),
        **{name: 100 * getattr(scores, name).value for name in ("top1", "top5")},
    }
    if is_main():
        scores.to_json(folder / f"scores-{recipe.scored}.json", features.classes)
        write_text_atomic(folder / "result.json", json.dumps(result, indent=1) + "\n")
