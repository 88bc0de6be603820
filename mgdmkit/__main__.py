"""`mgdm ...`, also `python -m mgdmkit ...`: the library from a shell.

Every command shows its progress, continues what was interrupted, and ends with a line that says where its result is.
Under torchrun processes share `features`, `train`, `finetune`, `evaluate` and `reproduce`, see docs/scale.md.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

import tyro

from mgdmkit.config import SMALL_FINETUNE, SMALL_MODEL, SMALL_TRAIN, FineTuneConfig, MGDMConfig, TrainConfig

app = tyro.extras.SubcommandApp()
manifest_app = tyro.extras.SubcommandApp()
train_app = tyro.extras.SubcommandApp()
finetune_app = tyro.extras.SubcommandApp()
experiment_app = tyro.extras.SubcommandApp()
Flat = tyro.conf.OmitArgPrefixes
ROOT = Path("runs/demo")
# Under torchrun; others are for the first process alone.
SHARED = ("features", "train", "finetune", "evaluate", "reproduce")


def done(what: str, path: Path) -> None:
    """The last line of every command."""
    print(f"{what}: {path}")


@app.command
def toy(out: Path, seed: int = 0, train: int = 12, val: int = 4, test: int = 10, workers: int = 2) -> None:
    """Write StickActions, the embedded dataset: real video files and their manifest.

    Args:
        out: Folder for the videos and manifest.csv.
        seed: Another seed gives other clips.
        train: Training clips per class.
        val: Validation clips per class.
        test: Test clips per class.
        workers: Processes that render.
    """
    from mgdmkit.stickactions import StickActionsConfig, generate

    config = StickActionsConfig(seed=seed, train_per_class=train, val_per_class=val, test_per_class=test)
    done("dataset", generate(out, config, workers=workers))


@manifest_app.command
def folder(
    videos: Path,
    out: Path,
    val_fraction: float = 0.0,
    test_fraction: float = 0.25,
    group_regex: str | None = None,
    train_list: Path | None = None,
    val_list: Path | None = None,
    test_list: Path | None = None,
    labels: Literal["words", "raw"] = "words",
    seed: int = 0,
) -> None:
    """Make a manifest of a folder that holds a folder of clips per class (or train/ val/ test/ above them).

    Args:
        videos: The folder of class folders.
        out: The manifest to write, a CSV with id, path, label and split.
        val_fraction: Share of each class for validation, when no lists are given.
        test_fraction: Share of each class for testing, when no lists are given.
        group_regex: Clips whose names agree in this pattern's first group stay on one side of the split, as in
            '_g([0-9]+)_' for UCF101.
        train_list: A file of training clips, one Class/clip.avi per line, instead of an own split.
        val_list: A file of validation clips.
        test_list: A file of test clips.
        labels: Label from the folder's name: split into words ("ApplyEyeMakeup" -> "apply eye makeup"), or raw.
        seed: Seeds the own split.
    """
    from mgdmkit.manifest import write_manifest
    from mgdmkit.manifest_folder import manifest_from_folder

    rows, summary = manifest_from_folder(
        videos,
        val_fraction=val_fraction,
        test_fraction=test_fraction,
        group_regex=group_regex,
        train_list=train_list,
        val_list=val_list,
        test_list=test_list,
        seed=seed,
        label_style=labels,
    )
    write_manifest(out, rows)
    print(summary)
    done("manifest", out)


@manifest_app.command
def ucf101(
    videos: Path,
    out: Path,
    annotations: Path | None = None,
    labels: Literal["words", "raw"] = "words",
    official_split: Literal[1, 2, 3] = 1,
    probe: bool = False,
    workers: int | None = None,
) -> None:
    """Make the manifest of UCF101 from its official lists; clips that are not there are listed beside it.

    Args:
        videos: The unpacked videos: Class/v_Class_g01_c01.avi, or all clips in one folder.
        out: The manifest to write, a CSV with id, path, label, split1, split2, split3 and split.
        annotations: The unpacked official lists, classInd.txt and the rest; without them, the kit's copy of them.
        labels: Class names split into words ("ApplyEyeMakeup" -> "apply eye makeup"), or raw.
        official_split: Which of the three is written as split; all three are kept.
        probe: Decode every file whole, and leave out what is damaged.
        workers: Threads that decode; one per core, at most 16, when not given.
    """
    from mgdmkit.manifest_ucf101 import ucf101_clips

    _official_manifest(ucf101_clips(annotations, labels), videos, out, official_split, probe, workers)


@manifest_app.command
def hmdb51(
    videos: Path,
    annotations: Path,
    out: Path,
    labels: Literal["words", "raw"] = "words",
    official_split: Literal[1, 2, 3] = 1,
    probe: bool = False,
    workers: int | None = None,
) -> None:
    """Make the manifest of HMDB51 from its official split files; clips that are not there are listed beside it.

    Args:
        videos: The unpacked videos: class_name/clip.avi, or all clips in one folder.
        annotations: The unpacked split files, class_name_test_split1.txt and so on, 153 of them.
        out: The manifest to write, a CSV with id, path, label, split1, split2, split3 and split.
        labels: Class names split into words ("brush_hair" -> "brush hair"), or raw.
        official_split: Which of the three is written as split; all three are kept.
        probe: Decode every file whole, and leave out what is damaged.
        workers: Threads that decode; one per core, at most 16, when not given.
    """
    from mgdmkit.manifest_hmdb51 import hmdb51_clips

    _official_manifest(hmdb51_clips(annotations, labels), videos, out, official_split, probe, workers)


@manifest_app.command
def kinetics400(videos: Path, annotations: Path, out: Path, probe: bool = False, workers: int | None = None) -> None:
    """Make the manifest of a copy of Kinetics-400 from its CSV files; clips that are not there are listed beside it.

    Args:
        videos: The unpacked videos, flat or in a folder per class, as id.mp4 or id_000001_000011.mp4.
        annotations: Folder of train.csv, val.csv or validate.csv, and test.csv if wanted.
        out: The manifest to write, a CSV with id, path, label and split (train, val, test).
        probe: Decode every file whole, and leave out what is damaged.
        workers: Threads that decode; one per core, at most 16, when not given.
    """
    from mgdmkit.manifest_kinetics import kinetics400_clips

    _official_manifest(kinetics400_clips(annotations), videos, out, 1, probe, workers)


def _official_manifest(official, videos: Path, out: Path, official_split: int, probe: bool, workers: int | None):
    from mgdmkit.manifest_official import build_manifest, summary

    checked = build_manifest(official, videos, out, official_split=official_split, probe=probe, workers=workers)
    print(summary(official, checked, out))
    done("manifest", out)


@manifest_app.command(name="csv")
def csv_(
    manifest: Path,
    out: Path | None = None,
    official_split: Literal[1, 2, 3] | None = None,
    probe: bool = False,
    workers: int | None = None,
) -> None:
    """Check a manifest, your own or a made one: its columns, its entries, and whether its clips are there.

    Args:
        manifest: A CSV with id, path (relative to it, or absolute), label and split (train, val, test, unused).
        out: Write the usable clips as a manifest here, and list the others beside it; without it, one clip that is
            missing or damaged is an error.
        official_split: Take split1, split2 or split3 as split.
        probe: Decode every file whole.
        workers: Threads that decode; one per core, at most 16, when not given.
    """
    from mgdmkit.manifest_check import check_manifest, split_counts

    checked = check_manifest(manifest, out, official_split=official_split, probe=probe, workers=workers)
    counts = ", ".join(f"{n:,} {split}" for split, n in split_counts(checked.rows, "split").items())
    print(f"{len(checked.rows):,} clips of {checked.report()['classes']} classes: {counts}")
    if checked.problems:
        first = checked.problems[0]
        print(f"{len(checked.problems):,} clips left out, first {first['path']} ({first['problem']})")
    done("manifest", out or manifest)


@app.command
def clip(
    out: Path,
    manifest: Path | None = None,
    official_split: Literal[1, 2, 3] | None = None,
    steps: int = 600,
    batch_size: int = 128,
    lr: float = 1.5e-3,
    seed: int = 0,
    device: str = "auto",
    workers: int = 1,
) -> None:
    """Train the small CLIP from scratch: on StickActions stills, or on the training clips of a manifest.

    Args:
        out: Folder of the CLIP, in open_clip's own form.
        manifest: Take frames of this manifest's training clips and captions from its labels; without it, fresh
            StickActions stills with their captions.
        official_split: Take split1, split2 or split3 of the manifest as split. Each split needs a CLIP of its own: this
            one has seen clips that another split tests.
        steps: Steps of the optimiser.
        batch_size: Pictures per step.
        lr: Peak learning rate.
        seed: Seeds weights and pictures.
        device: auto, cpu, cuda or mps.
        workers: Processes that render or decode beside the training.
    """
    from mgdmkit.manifest import read_manifest
    from mgdmkit.pretrain import ClipStills, PretrainConfig, StickStills, pretrain

    if official_split and not manifest:
        raise ValueError("--official-split is of a --manifest; StickActions has a single split")
    config = PretrainConfig(steps=steps, batch_size=batch_size, lr=lr, seed=seed)
    clips = read_manifest(manifest, "train", official_split=official_split) if manifest else None
    stills = ClipStills(clips, config) if clips else StickStills(config)
    pretrain(stills, config, out, device=device, workers=workers)
    done("small CLIP", out)


@app.command
def features(
    manifest: Path,
    clip: str,
    out: Path,
    pretrained: str | None = None,
    frames: int = 16,
    prompt: str = "This is a video about {}",
    batch_size: int = 8,
    workers: int | None = None,
    device: str = "auto",
) -> None:
    """Encode every clip of a manifest and every class' sentence with a frozen CLIP.

    Args:
        manifest: The clips.
        clip: A folder made by `mgdm clip`, or an open_clip model such as ViT-L-14.
        out: Folder of the features.
        pretrained: With an open_clip model: a pretrained tag such as openai, or the path of a checkpoint.
        frames: Frames per clip, T.
        prompt: The sentence around a label.
        batch_size: Clips per pass of the encoder.
        workers: Processes that decode; one per core, at most 8, when not given.
        device: auto, cpu, cuda or mps.
    """
    from mgdmkit.clip import load_clip
    from mgdmkit.features import extract_features
    from mgdmkit.manifest import read_manifest
    from mgdmkit.train import choose_device

    backbone = load_clip(clip, pretrained, device=str(choose_device(device)))
    options = {"frames": frames, "prompt": prompt, "batch_size": batch_size, "workers": workers}
    result = extract_features(read_manifest(manifest), backbone, out, **options)
    print(f"{len(result.clips)} clips x {frames} frames x {result.text_features.shape[1]}")
    done("features", out)


@app.command
def corpus(
    out: Path,
    datasets: tuple[Literal["ucf101", "hmdb51", "kinetics400"], ...] = (),
    lists: tuple[Path, ...] = (),
    labels: Literal["words", "raw"] = "words",
) -> None:
    """Write a corpus of labels to mine: the union of label lists, where labels of the same words are one.

    Args:
        out: The CSV to write: label, sources. Rows may be deleted or added by hand.
        datasets: Datasets whose classes to take.
        lists: Own label lists: text files with a label on each line, or CSVs with a column label.
        labels: How a dataset's labels are written: as words, or raw, as its files and folders spell them.
    """
    from mgdmkit.corpus import label_list, read_corpus, union, write_corpus
    from mgdmkit.datasets import dataset_classes

    field = {"words": "label", "raw": "name"}[labels]
    parts = [label_list((getattr(row, field) for row in dataset_classes(name)), name) for name in datasets]
    parts += [read_corpus(path) for path in lists]
    if not parts:
        raise ValueError("name what the corpus is made of: --datasets, --lists, or both")
    merged = union(*parts)
    print(f"{sum(len(part.labels) for part in parts)} rows, {len(merged.labels)} distinct labels")
    done("corpus", write_corpus(out, merged))


@app.command
def near(
    corpus: Path,
    clip: str,
    out: Path,
    pretrained: str | None = None,
    threshold: float = 0.9,
    top: int = 200,
    prompt: str = "This is a video about {}",
    device: str = "auto",
) -> None:
    """List the labels of a corpus that may say the same, by the similarity of their sentences to CLIP.

    In the column exclude write yes where two labels must not be mined for each other, then give the file to `mgdm
    mine --exclude`. A label that no dataset should be trained against is better deleted from the corpus.

    Args:
        corpus: A CSV made by `mgdm corpus`, or a text file with a label on each line.
        clip: A folder made by `mgdm clip`, or an open_clip model such as ViT-L-14.
        out: The CSV to write: label_a, label_b, similarity, exclude. It must not exist yet.
        pretrained: With an open_clip model: a pretrained tag such as openai, or the path of a checkpoint.
        threshold: Least cosine of a pair; spellings of the same words are listed anyhow.
        top: Pairs to list at most, the most similar ones.
        prompt: The sentence around a label.
        device: auto, cpu, cuda or mps.
    """
    from mgdmkit.clip import load_clip
    from mgdmkit.corpus import prompts, read_corpus
    from mgdmkit.exclusions import keep_decisions, near_duplicates, write_near
    from mgdmkit.train import choose_device

    labels = read_corpus(corpus).labels
    keep_decisions(out)  # before the work
    texts = load_clip(clip, pretrained, device=str(choose_device(device))).encode_text(prompts(labels, prompt))
    pairs = near_duplicates(labels, texts, threshold=threshold, top=top)
    print(f"{len(labels)} labels, {len(pairs)} pairs to decide on")
    done("near-duplicates", write_near(out, pairs))


@app.command
def mine(
    features: Path,
    out: Path,
    depth: int | None = None,
    corpus: Path | None = None,
    exclude: tuple[Path, ...] = (),
    clip: str | None = None,
    pretrained: str | None = None,
    device: str = "auto",
) -> None:
    """Mine the labels that frozen CLIP most confuses with each clip's own (eq. 10-12).

    Args:
        features: Folder made by `mgdm features`.
        out: The CSV to write: clip, label and its rank, then label:score, hardest first.
        depth: Negatives per clip; 9, or as many as there are other labels, when not given.
        corpus: Labels to mine beside the classes: a CSV made by `mgdm corpus`, or a text file of labels.
        exclude: CSVs made by `mgdm near`, decided by hand: pairs with exclude = yes are not mined for each other. A
            column id keeps a row to one clip.
        clip: The CLIP that made the features, for labels that it has not read yet; where it was then, if not given.
        pretrained: With an open_clip model: a pretrained tag such as openai, or the path of a checkpoint.
        device: auto, cpu, cuda or mps.
    """
    from mgdmkit.clip import load_clip
    from mgdmkit.corpus import mining_corpus, read_corpus
    from mgdmkit.exclusions import locate, read_exclusions
    from mgdmkit.features import corpus_texts, encode_texts, load_features, missing_texts, read_recipe
    from mgdmkit.pipeline import DEPTH, mine_to_csv
    from mgdmkit.train import choose_device

    cached = load_features(features)
    labels = mining_corpus(cached.classes, read_corpus(corpus).labels if corpus else ())
    excluded = locate(read_exclusions(*exclude), labels, list(cached.clips["id"]), list(cached.clips["label"]))
    if missing_texts(features, labels):
        made_by = read_recipe(features)
        backbone = (clip, pretrained) if clip else (made_by["clip"], pretrained or made_by.get("pretrained"))
        encode_texts(features, labels, load_clip(*backbone, device=str(choose_device(device))))
    depth = min(DEPTH, len(labels) - 1) if depth is None else depth
    negatives = mine_to_csv(cached, out, depth, corpus=corpus_texts(features, labels), excluded=excluded)
    if corpus:
        print(f"{len(labels)} labels: {len(cached.classes)} classes and what else {corpus} offers")
    if exclude:
        print(f"excluded: {len(excluded.pairs)} pairs of labels, and {len(excluded.of_clips)} labels of single clips")
    if excluded.unused:
        a, b, of_clip, where = excluded.unused[0]
        print(f"without effect: {len(excluded.unused)} exclusions of labels or clips that are not here, first {where}:")
        print(f"  {a!r} and {b!r}" + (f" of {of_clip!r}" if of_clip else ""))
    right = (negatives.positive_rank == 0).float().mean()
    print(f"{len(cached.clips)} clips; frozen CLIP ranks the true label first for {100 * right:.1f}% of them")
    done("negatives", out)


def _train(
    features: Path,
    out: Path,
    mined: Path | None = None,
    corpus: Path | None = None,
    official_split: Literal[1, 2, 3] | None = None,
    device: str = "auto",
    model: Flat[MGDMConfig] = MGDMConfig(),  # noqa: B008 - frozen
    training: Flat[TrainConfig] = TrainConfig(),  # noqa: B008 - frozen
) -> None:
    """Train one model on cached features.

    Args:
        features: Folder made by `mgdm features`.
        out: Folder of the run.
        mined: The CSV made by `mgdm mine`; not needed for k = 0 or random negatives.
        corpus: The corpus that was mined: random negatives are drawn from all of it, whatever was excluded from mining.
            Mined ones bring their labels.
        official_split: Take split1, split2 or split3 of the clips as split; one feature folder serves all three.
        device: auto, cpu, cuda or mps.
        model: The model.
        training: The training.
    """
    from mgdmkit.corpus import read_corpus
    from mgdmkit.distributed import is_main
    from mgdmkit.features import corpus_texts, load_features, read_recipe
    from mgdmkit.mining import load_negatives, negative_names
    from mgdmkit.official_split import split_in_force
    from mgdmkit.recognizer import write_labels
    from mgdmkit.train import Videos, train

    cached = load_features(features, official_split)
    D, T = cached.text_features.shape[1], cached.frame_features.shape[1]
    for field, own in (("dim", D), ("frames", T)):
        if getattr(model, field) not in (own, getattr(MGDMConfig(), field)):
            raise ValueError(f"--{field} {getattr(model, field)}: the features have {own}; leave --{field} out")
    parts = {name: cached.split(name) for name in ("train", "val") if name in set(cached.clips["split"])}
    if "train" not in parts:
        cached.split("train")  # raises, and lists the splits there are
    labels = read_corpus(corpus).labels if corpus else negative_names(mined) if mined else ()
    texts, ids = corpus_texts(features, labels), list(parts["train"].clips["id"])
    negatives = load_negatives(mined, ids, texts.labels, parts["train"].labels) if mined else None
    videos = {name: Videos(part.frame_features, part.labels) for name, part in parts.items()}
    train(
        replace(model, dim=D, frames=T),
        training,
        videos["train"],
        texts.text_features,
        out,
        negatives=negatives,
        validation=videos.get("val"),
        classes=len(cached.classes),
        official_split=official_split or split_in_force(cached.clips),
        device=device,
    )
    if is_main():
        write_labels(out, read_recipe(features))
    done("run", out)


def _train_with(model: MGDMConfig, training: TrainConfig) -> Callable[..., None]:
    def command(
        features: Path,
        out: Path,
        mined: Path | None = None,
        corpus: Path | None = None,
        official_split: Literal[1, 2, 3] | None = None,
        device: str = "auto",
        model: Flat[MGDMConfig] = model,
        training: Flat[TrainConfig] = training,
    ) -> None:
        _train(features, out, mined, corpus, official_split, device, model, training)

    command.__doc__ = _train.__doc__
    return command


train_app.command(_train, name="paper")
train_app.command(_train_with(MGDMConfig(**SMALL_MODEL), TrainConfig(k=3, **SMALL_TRAIN)), name="small")


def _finetune_with(model: MGDMConfig, training: TrainConfig, finetuning: FineTuneConfig) -> Callable[..., None]:
    def command(
        manifest: Path,
        clip: str,
        out: Path,
        pretrained: str | None = None,
        mined: Path | None = None,
        corpus: Path | None = None,
        official_split: Literal[1, 2, 3] | None = None,
        prompt: str = "This is a video about {}",
        workers: int | None = None,
        device: str = "auto",
        model: Flat[MGDMConfig] = model,
        training: Flat[TrainConfig] = training,
        finetuning: Flat[FineTuneConfig] = finetuning,
    ) -> None:
        """Train one model together with CLIP's image encoder, on the clips themselves.

        No cached features are needed: the frames are decoded anew in every epoch, and this CLIP reads the labels once.
        The hard negatives are those that `mgdm mine` found on features of the same CLIP, before its tuning. The run
        keeps the tuned CLIP as OUT/clip; `mgdm evaluate --run OUT --manifest FILE` scores it.

        Args:
            manifest: The clips; train clips are trained on, val clips, if there are any, scored after each epoch.
            clip: Where the image encoder starts: a folder made by `mgdm clip`, or an open_clip model such as ViT-L-14.
            out: Folder of the run.
            pretrained: With an open_clip model: a pretrained tag such as openai, or the path of a checkpoint.
            mined: The CSV made by `mgdm mine`; not needed for k = 0 or random negatives.
            corpus: The corpus that was mined: random negatives are drawn from all of it, whatever was excluded from
                mining. Mined ones bring their labels.
            official_split: Take split1, split2 or split3 of the manifest as split.
            prompt: The sentence around a label.
            workers: Processes that decode; one per core, at most 8, when not given.
            device: auto, cpu, cuda or mps.
            model: The model.
            training: The training.
            finetuning: What of CLIP trains, and how clips are drawn.
        """
        from mgdmkit.augment import label_indices
        from mgdmkit.clip import load_clip
        from mgdmkit.corpus import mining_corpus, read_corpus
        from mgdmkit.distributed import is_main
        from mgdmkit.finetune import finetune, tuned_clip
        from mgdmkit.manifest import read_manifest
        from mgdmkit.mining import load_negatives, negative_names
        from mgdmkit.official_split import split_in_force
        from mgdmkit.recognizer import write_labels
        from mgdmkit.train import choose_device

        backbone = load_clip(clip, pretrained, device=str(choose_device(device)))
        if model.dim not in (backbone.dim, MGDMConfig().dim):
            raise ValueError(f"--dim {model.dim}: this CLIP has {backbone.dim}; leave --dim out")
        split = partial(read_manifest, manifest, official_split=official_split)
        every = split().table
        clips, validation = split("train"), split("val") if "val" in set(every["split"]) else None
        labels = read_corpus(corpus).labels if corpus else negative_names(mined) if mined else ()
        names, ids = mining_corpus(clips.classes, labels), list(clips.table["id"])
        finetune(
            replace(model, dim=backbone.dim),
            training,
            finetuning,
            backbone,
            clips,
            out,
            negatives=load_negatives(mined, ids, names, label_indices(clips)) if mined else None,
            corpus=labels,
            validation=validation,
            official_split=official_split or split_in_force(every),
            prompt=prompt,
            workers=workers,
            device=device,
        )
        if is_main():
            own = {"clip": str(out / "clip"), "clip_fingerprint": tuned_clip(out).fingerprint}
            write_labels(out, {"classes": clips.classes, "prompt": prompt, **own})
        done("run", out)

    return command


_small_finetune = MGDMConfig(**SMALL_MODEL), TrainConfig(k=3, **SMALL_TRAIN), FineTuneConfig(**SMALL_FINETUNE)
finetune_app.command(_finetune_with(MGDMConfig(), TrainConfig(), FineTuneConfig()), name="paper")
finetune_app.command(_finetune_with(*_small_finetune), name="small")


@app.command
def evaluate(
    features: Path | None = None,
    run: Path | None = None,
    manifest: Path | None = None,
    split: str = "test",
    official_split: Literal[1, 2, 3] | None = None,
    inference: Literal["single", "rerank", "joint"] | None = None,
    device: str = "auto",
) -> None:
    """Score a run, or frozen CLIP without one, on exactly the clips of a split.

    Args:
        features: Folder made by `mgdm features`; of the run's own CLIP (RUN/clip) for one made by `mgdm finetune`.
        run: Folder made by `mgdm train` or `mgdm finetune`; without it, zero-shot CLIP is scored.
        manifest: Instead of features, for a run made by `mgdm finetune`: the clips, which its own CLIP then encodes.
        split: The split to score.
        official_split: Take split1, split2 or split3 of the clips as split. A run is tested on the one that it was
            trained on, which need not be given; another one is refused.
        inference: What a class shares the discriminator's sequence with. After --context group: nothing (single), or
            the video's other best classes, as many as the run's k (rerank). After --context joint: all (joint).
        device: auto, cpu, cuda or mps.
    """
    from mgdmkit.distributed import is_main, map_rows
    from mgdmkit.evaluate import score
    from mgdmkit.inference import predict
    from mgdmkit.mining import zero_shot_logits
    from mgdmkit.train import load_model, read_run

    if run is None:
        cached = _features_for(None, features, manifest, split, official_split, device)
        logits, path = zero_shot_logits(cached.frame_features, cached.text_features), features
        name = f"split{official_split}-{split}" if official_split else split
    else:
        model, k, path = load_model(run, device), read_run(run)["train"]["k"], run
        cached = _features_for(run, features, manifest, split, official_split, device)
        options = {"text_features": cached.text_features, "inference": inference, "k": k}
        logits = map_rows(lambda frames: predict(model, frames, **options), cached.frame_features)
        name = f"{split}-{inference}" if inference else split
    name = f"scores-{name}.json"
    scores = score(logits, cached.labels)
    print(f"Top-1 {scores.top1}\nTop-5 {scores.top5}")
    if is_main():
        scores.to_json(path / name, cached.classes)
    done("scores", path / name)


def _features_for(run, features, manifest, split: str, official_split: int | None, device: str):
    from mgdmkit.features import load_features
    from mgdmkit.finetune import check_features, finetuned_features, is_finetuned
    from mgdmkit.manifest import read_manifest, take_official_split
    from mgdmkit.official_split import split_to_score

    if (features is None) == (manifest is None):
        raise ValueError("give either --features or, for a run made by `mgdm finetune`, --manifest")
    if features:
        if run:
            check_features(run, features)
        cached = load_features(features)
        number = split_to_score(run, cached.clips, official_split) if run else official_split
        clips = take_official_split(cached.clips, number, features / "clips.csv")
        return replace(cached, clips=clips).split(split)
    if not run or not is_finetuned(run):
        raise ValueError("--manifest is for a --run made by `mgdm finetune`, which has its own CLIP; give --features")
    clips = read_manifest(manifest, official_split=official_split).table
    number = split_to_score(run, clips, official_split)
    return finetuned_features(run, read_manifest(manifest, split, official_split=number), device=device)


@experiment_app.command
def k(out: Path, root: Path = ROOT, preset: str = "demo", seeds: int = 3, workers: int = 1) -> None:
    """No negatives, 3 and 7 hard ones, 3 random ones, on the test split of StickActions.

    Args:
        out: The CSV to write, a row for each run.
        root: Where data, weights, features and runs live; what is missing is made.
        preset: smoke, demo or full; own: the root holds features/ and negatives.csv of your own videos.
        seeds: Trainings of each variant.
        workers: Processes that train, one core each.
    """
    from mgdmkit.experiments import K_GRID, run_grid, summary
    from mgdmkit.pipeline import prepare

    print(summary(run_grid(prepare(root, preset), K_GRID, seeds, out, workers=workers)).to_string())
    done("table", out)


@experiment_app.command
def recipe(out: Path, root: Path = ROOT, preset: str = "demo", seeds: int = 2, workers: int = 1) -> None:
    """Learning rate and epochs of the small recipe, on the validation split of StickActions.

    Args:
        out: The CSV to write, a row for each run.
        root: Where data, weights, features and runs live; what is missing is made.
        preset: smoke, demo or full; own: the root holds features/ and negatives.csv of your own videos.
        seeds: Trainings of each variant.
        workers: Processes that train, one core each.
    """
    from mgdmkit.experiments import RECIPE_GRID, run_grid, summary
    from mgdmkit.pipeline import prepare

    table = run_grid(prepare(root, preset), RECIPE_GRID, seeds, out, split="val", workers=workers)
    print(summary(table).to_string())
    done("table", out)


@experiment_app.command
def readings(
    out: Path, root: Path = ROOT, preset: str = "demo", seeds: int = 3, negatives: int = 3, workers: int = 1
) -> None:
    """Each reading of the paper against the default, paired over the test videos of StickActions and the seeds.

    Args:
        out: The CSV to write, a row for each reading; the runs go beside it, to NAME_runs.csv.
        root: Where data, weights, features and runs live; what is missing is made.
        preset: smoke, demo or full; own: the root holds features/ and negatives.csv of your own videos.
        seeds: Trainings of each reading.
        negatives: k, hard negatives in a group.
        workers: Processes that train, one core each.
    """
    from mgdmkit.experiments import compare_readings
    from mgdmkit.pipeline import prepare

    print(compare_readings(prepare(root, preset), negatives, seeds, out, workers=workers).to_string(index=False))
    done("table", out)


@experiment_app.command
def blind(
    out: Path, root: Path = ROOT, preset: str = "demo", seeds: int = 3, negatives: int = 3, workers: int = 1
) -> None:
    """Shortcut audit: can the positive be told from its group without the video? On the test split of StickActions.

    Args:
        out: The CSV to write: context, guide, trained or not, blindfold, seed, accuracy with its interval, chance.
        root: Where data, weights, features and runs live; what is missing is made.
        preset: smoke, demo or full; own: the root holds features/ and negatives.csv of your own videos.
        seeds: Trainings of each variant.
        negatives: k, hard negatives in a group.
        workers: Processes that train, one core each.
    """
    from mgdmkit.experiments import audit
    from mgdmkit.pipeline import prepare

    print(audit(prepare(root, preset), negatives, seeds, out, workers=workers).to_string(index=False))
    done("table", out)


@app.command
def notebooks(out: Path = Path("runs/demo"), preset: Literal["smoke", "demo", "full"] = "demo", only: str = "") -> None:
    """Execute the notebooks in order and write a page with their scores and figures.

    Args:
        out: Folder of everything that the notebooks make.
        preset: How much work: smoke (seconds), demo (minutes), full (an hour).
        only: Numbers of the notebooks to run, such as "00,05"; all of them when empty.
    """
    from mgdmkit.headless import run_all

    chosen = [number.strip() for number in only.split(",") if number.strip()] or None
    done("results", run_all(Path("notebooks"), out, preset, chosen))


@app.command
def complexity(
    clip: str = "ViT-L-14",
    frames: int = 16,
    k: int = 7,
    temporal_layers: int = 6,
    semantic_layers: int = 2,
    out: Path | None = None,
) -> None:
    """Count multiply-adds and parameters (Table 8), as the paper counts and in truth; needs no weights.

    Args:
        clip: An open_clip model whose towers are CLIP's transformers, or a folder made by `mgdm clip`.
        frames: Frames per video, T.
        k: Negatives per video.
        temporal_layers: Blocks of the video representer.
        semantic_layers: Blocks of the semantic discriminator.
        out: Write the first table as a CSV, too.
    """
    from mgdmkit.complexity import PAPER_TABLE8, SEEN_BY_THE_PAPER, added, parts, splits, table8
    from mgdmkit.config import write_text_atomic

    def show(title: str, rows) -> None:
        print(title, rows.to_string(index=False, float_format="{:.6f}".format), sep="\n")

    depth = {"temporal_layers": temporal_layers, "semantic_layers": semantic_layers}
    table, share = table8(clip, frames, **depth, ks=sorted({0, k})), parts(clip, frames, k, **depth)
    blocks, more = temporal_layers + semantic_layers, added(share)
    show(f"{clip}, one video of {frames} frames: 1e9 multiply-adds (gmac), 1e6 parameters (mparams)", table)
    printed = "; ".join(f"{model} {gmac} G, {mparams} M" for model, (gmac, mparams) in PAPER_TABLE8.items())
    print(f"The paper prints, for ViT-L-14 and 16 frames: {printed}\n{SEEN_BY_THE_PAPER}\n")
    show(f"The parts of MGDM, k = {k}", share)
    print(
        f"The modules add {more['modules']:.3f}% to CLIP with one prompt ({more['paper']:.3f}% as the paper counts),\n"
        f"{k} more prompts {more['prompts']:.3f}%, unless text embeddings are cached.\n"
    )
    show(f"Splits of {blocks} blocks, as the paper counts; fits: as the paper prints", splits(clip, blocks, frames))
    if out:
        write_text_atomic(out, table.to_csv(index=False))
        done("table", out)


@app.command
def predict(
    videos: tyro.conf.Positional[tuple[Path, ...]],
    run: Path,
    labels: Path | None = None,
    top: int = 5,
    inference: Literal["single", "rerank", "joint"] | None = None,
    out: Path | None = None,
    clip: str | None = None,
    pretrained: str | None = None,
    device: str = "auto",
) -> None:
    """Say what video files show: the best labels of each, with their scores.

    A score is a softmax over all labels, so it compares them with one another: a clip that shows none of them still
    has a best one. A file that can't be read is told, and the others go on; the exit status is then 2.

    Args:
        videos: The video files.
        run: Folder made by `mgdm train` or `mgdm finetune`.
        labels: Labels instead of the run's classes: a text file with a label on each line, or a CSV made by `mgdm
            corpus`. They need not have been trained on.
        top: Labels to name for each clip.
        inference: What a label shares the discriminator's sequence with, see `mgdm evaluate --help`.
        out: The CSV to write, too: video, rank, label, score.
        clip: The run's CLIP, if it is no longer where it was at training.
        pretrained: With an open_clip model: a pretrained tag such as openai, or the path of a checkpoint.
        device: auto, cpu, cuda or mps.
    """
    from mgdmkit.corpus import read_corpus
    from mgdmkit.recognizer import load_run, predictions_csv
    from mgdmkit.video import VideoError

    if not videos:
        raise ValueError("name the video files: mgdm predict --run DIR clip.mp4 ...")
    names = read_corpus(labels).labels if labels else None
    recognizer = load_run(run, clip=clip, pretrained=pretrained, device=device)
    found, failed = {}, 0
    for video in videos:
        try:
            found[video] = recognizer.classify(video, names, top, inference=inference)
        except VideoError as error:
            print(f"mgdm: {error}", file=sys.stderr, flush=True)
            failed += 1
            continue
        rows = zip(*found[video], strict=True)
        print(video, *(f"  {100 * score:5.1f}%  {label}" for label, score in rows), sep="\n", flush=True)
    if out and found:
        done("table", predictions_csv(out, found))
    if failed:
        print(f"mgdm: {failed} of {len(videos)} clips could not be read", file=sys.stderr)
        sys.exit(2)


@app.command
def reproduce(
    out: Path,
    table: Literal[1, 2, 3, 4, 5, 6, 7] | None = None,
    figure: Literal[5] | None = None,
    data: tuple[Path, ...] = (),
    frozen: bool = False,
    rows: tuple[str, ...] = (),
    seeds: int = 1,
    clip: str | None = None,
    pretrained: str | None = None,
    official_split: Literal[1, 2, 3] | None = None,
    datasets: tuple[Literal["ucf101", "hmdb51", "kinetics400"], ...] = (),
    recipes: Path | None = None,
    exclude: tuple[Path, ...] = (),
    clips: tuple[str, ...] = (),
    workers: int | None = None,
    device: str = "auto",
    dry_run: bool = False,
    tflops: float | None = None,
) -> None:
    """Fill a table of the paper, or draw its Figure 5: features, mining, training and scores, row by row.

    Tables 1, 2 and 3 are of Kinetics-400, HMDB51 and UCF101, Table 7 is of any of them. Tables 4, 5 and 6 set finished
    runs in OUT beside the figures that the paper cites, Figure 5 draws them. After each row OUT/table<N>.csv and .md
    are written anew. `recipes/` holds what each row is.

    Args:
        out: Folder of features, runs and tables; several tables and datasets may share it.
        table: The table to fill.
        figure: The figure to draw.
        data: Manifests made by `mgdm manifest ucf101`, `hmdb51` or `kinetics400`; for Table 7 and Figure 5 one for each
            dataset. With --frozen a folder made by `mgdm features` will do.
        frozen: Leave CLIP as it is and train on cached features; without it CLIP is trained, too, as in the paper.
        rows: Some rows only, such as 0 3-top; all of them when not given.
        seeds: Trainings of each row.
        clip: Instead of the recipes' ViT-L-14: a model of open_clip, or a folder made by `mgdm clip`.
        pretrained: With an open_clip model: a pretrained tag such as openai, or the path of a checkpoint.
        official_split: Take split1, split2 or split3 of the data as split; 1 when not given, where there are such.
        datasets: The dataset of each of the data, where their labels leave it open.
        recipes: Other recipes than the kit's: a changed copy of its folder.
        exclude: CSVs made by `mgdm near`, decided by hand, of labels that are not mined for each other.
        clips: For Figure 5: the id of the clip of each dataset; the first scored one when not given.
        workers: Processes that decode; one per core, at most 8, when not given.
        device: auto, cpu, cuda or mps.
        dry_run: Print every row in full, what is missing and what it would cost; nothing is written.
        tflops: For that: 1e12 operations a second that your machine reaches.
    """
    from mgdmkit.datasets import DATASETS
    from mgdmkit.recipes import TABLE_DATASET
    from mgdmkit.reproduce import Options, job_recipes, reproduce_table
    from mgdmkit.reproduce_data import open_source
    from mgdmkit.reproduce_figure import figure5
    from mgdmkit.reproduce_plan import plan
    from mgdmkit.reproduce_tables import CITING, write_comparison

    if (table is None) == (figure is None):
        raise ValueError("give either --table N or --figure 5")
    if dry_run and (figure or table in CITING):
        raise ValueError("--dry-run is for tables 1, 2, 3 and 7; the others take seconds and train nothing")
    if table in CITING:
        write_comparison(table, out)
        return done("table", out / f"table{table}.md")
    if not data and not dry_run:
        raise ValueError("give --data, the manifest of the videos; with --dry-run it may be left out")
    names = (TABLE_DATASET[table],) if table in TABLE_DATASET else datasets or (None,) * len(data) or DATASETS
    if data and len(names) != len(data):
        raise ValueError(f"{len(data)} manifests for {len(names)} datasets; give one for each")
    options = Options(frozen, exclude, workers, device)
    sources = [open_source(path, name, official_split) for path, name in zip(data, names, strict=bool(data))]
    if figure:
        return done("figure", figure5(sources, out, clips=clips, folder=recipes, options=options))
    chosen = {"rows": rows, "folder": recipes, "clip": clip, "pretrained": pretrained}
    if dry_run:
        for source, name in zip(sources or [None] * len(names), names, strict=True):
            job = job_recipes(table, source.dataset if source else name, source, **chosen)
            print(plan(table, job, source, out, seeds=seeds, options=options, tflops=tflops))
        return None
    reproduce_table(table, sources, out, seeds=seeds, options=options, **chosen)
    done("table", out / f"table{table}.md")


@app.command
def doctor() -> None:
    """Check this machine: versions, device, decoders, disk, CLIP weights, and what to do about each problem."""
    from mgdmkit.doctor import main as run_checks

    sys.exit(run_checks())


app.command(manifest_app, name="manifest")
app.command(train_app, name="train")
app.command(finetune_app, name="finetune")
app.command(experiment_app, name="experiment")


def main() -> None:
    """Run one command; a mistake of the user ends in one message and status 2, not in a traceback."""
    try:
        if int(os.environ.get("WORLD_SIZE", 1)) > 1:
            _run_together()
        else:
            _run()
    except KeyboardInterrupt:
        sys.exit("stopped; the same command continues")
    except Exception as error:  # not in the clause: what it imports takes seconds, which --help need not wait for
        if isinstance(error, _user_errors()):
            print(f"mgdm: {error}", file=sys.stderr)
            sys.exit(2)
        raise


def _run() -> None:
    app.cli(prog="mgdm", description=__doc__)


def _run_together() -> None:
    """As one of torchrun's processes; what they can't share the first one does, while the others wait."""
    from mgdmkit.distributed import barrier, processes

    with processes() as rank:
        if rank == 0 or (sys.argv[1:2] and sys.argv[1] in SHARED):
            _run()
        barrier()


def _user_errors() -> tuple[type[Exception], ...]:
    from mgdmkit.clip import ClipWeightsError
    from mgdmkit.headless import NotebookError
    from mgdmkit.runfolder import FolderError
    from mgdmkit.video import VideoError

    return (ValueError, OSError, ClipWeightsError, FolderError, NotebookError, VideoError)


if __name__ == "__main__":
    main()
