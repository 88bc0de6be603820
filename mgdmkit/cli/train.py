"""`mgdm train ...` on cached features and `mgdm finetune ...` on clips, each as the paper does and small."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import tyro

from mgdmkit.cli.shared import Clip, Decoders, Device, OfficialSplit, Pretrained, Prompt, done
from mgdmkit.config import SMALL_FINETUNE, SMALL_MODEL, SMALL_TRAIN, Config, FineTuneConfig, MGDMConfig, TrainConfig

train_app = tyro.extras.SubcommandApp()
finetune_app = tyro.extras.SubcommandApp()
Flat = tyro.conf.OmitArgPrefixes


@dataclass(frozen=True)
class Run:
    """The options that `mgdm train` and `mgdm finetune` share."""

    out: Path  # Folder of the run.
    mined: Path | None = None  # The CSV made by `mgdm mine`; not needed for k = 0 or random negatives.
    corpus: Path | None = None
    """The corpus that was mined: random negatives are drawn from all of it, whatever was excluded from mining. Mined
    ones bring their labels."""
    official_split: OfficialSplit = None
    device: Device = "auto"

    def labels(self) -> tuple[str, ...]:
        """The corpus; without it what the mined negatives name."""
        from mgdmkit.data.corpus import read_corpus
        from mgdmkit.mining import negative_names

        return read_corpus(self.corpus).labels if self.corpus else negative_names(self.mined) if self.mined else ()

    def check_negatives(self, training: TrainConfig, labels: int, classes: int, features: Path | str) -> None:
        """`ValueError` with the command that mines what is missing: any negatives, or labels for k of them."""
        if self.mined is None and training.k and training.negatives != "random":
            out = features.parent / "negatives.csv" if isinstance(features, Path) else "NEGATIVES.csv"
            raise ValueError(
                f"k={training.k} {training.negatives} negatives need mined ones: give --mined {out}, made by "
                f"`mgdm mine --features {features} --out {out}`"
            )
        if training.k >= labels:
            what, others = "classes" if labels == classes else "labels", "other" if labels == 2 else "others"
            raise ValueError(
                f"k={training.k}: {labels} {what} have {labels - 1} {others}; give --k {labels - 1} or less, or mine "
                f"more labels: `mgdm mine --features {features} --corpus CORPUS --out NEW.csv`"
            )

    def negatives(self, ids: Sequence[str], labels: Sequence[str], own, clip_fingerprint: str | None):
        """The mined negatives of clips by their ids, as indices of `labels`; `own` are the clips' true ones."""
        from mgdmkit.mining import load_negatives

        return load_negatives(self.mined, ids, labels, own, clip_fingerprint) if self.mined else None


Common = Annotated[Run, tyro.conf.arg(name="")]


def train_features(features: Path, run: Common, model: Flat[MGDMConfig], training: Flat[TrainConfig]) -> None:
    """Train one model on cached features; one folder of them serves all three official splits.

    Args:
        features: Folder made by `mgdm features`.
        model: The model.
        training: How it is trained.
    """
    from mgdmkit.clip.features import corpus_texts, load_features, read_clips, read_recipe
    from mgdmkit.evaluation.official_split import split_in_force
    from mgdmkit.evaluation.recognizer import write_labels
    from mgdmkit.runs.processes import is_main
    from mgdmkit.training.loop import Videos, train

    model, training = map(_checked, (model, training))
    clips = read_clips(features, run.official_split)
    names = [name for name in ("train", "val") if name in {"train", *clips["split"]}]  # without "train" it says so
    parts = {name: load_features(features, run.official_split, name) for name in names}
    cached = parts["train"]
    D, T = cached.text_features.shape[1], cached.frame_features.shape[1]
    for field, own in (("dim", D), ("frames", T)):
        if getattr(model, field) not in (own, getattr(MGDMConfig(), field)):
            raise ValueError(f"--{field} {getattr(model, field)}: the features have {own}; leave --{field} out")
    texts = corpus_texts(features, run.labels())
    run.check_negatives(training, len(texts.labels), len(cached.classes), features)
    videos = {name: Videos(part.frame_features, part.labels) for name, part in parts.items()}
    train(
        replace(model, frames=T).for_backbone(D, cached.logit_scale),
        training,
        videos["train"],
        texts.text_features,
        run.out,
        negatives=run.negatives(
            list(cached.clips["id"]), texts.labels, videos["train"].labels, cached.clip_fingerprint
        ),
        validation=videos.get("val"),
        classes=len(cached.classes),
        official_split=run.official_split or split_in_force(clips),
        device=run.device,
    )
    if is_main():
        write_labels(run.out, read_recipe(features))
    tested = "test" in set(clips["split"])
    done("run", run.out, *(("evaluate", "--features", features, "--run", run.out) if tested else ()))


def train_clips(
    manifest: Path,
    clip: Clip,
    run: Common,
    model: Flat[MGDMConfig],
    training: Flat[TrainConfig],
    finetuning: Flat[FineTuneConfig],
    pretrained: Pretrained = None,
    prompt: Prompt = "This is a video about {}",
    workers: Decoders = None,
) -> None:
    """Train one model together with CLIP's image encoder, which starts from --clip, on the clips themselves.

    No cached features are needed: the frames are decoded again in every epoch, and this CLIP reads the labels once.
    The hard negatives are those that `mgdm mine` found on features of the same CLIP before fine-tuning. The run
    keeps the tuned CLIP as OUT/clip; `mgdm evaluate --run OUT --manifest FILE` scores it.

    Args:
        manifest: The clips; train clips are trained on, val clips, if there are any, scored after each epoch.
        model: The model.
        training: How it is trained.
        finetuning: Which part of CLIP is trained, and how clips are drawn.
    """
    from mgdmkit.clip.backbone import load_clip
    from mgdmkit.data.corpus import mining_corpus
    from mgdmkit.data.manifest import read_manifest
    from mgdmkit.evaluation.official_split import split_in_force
    from mgdmkit.training.augment import label_indices
    from mgdmkit.training.finetuning import finetune

    model, training, finetuning = map(_checked, (model, training, finetuning))
    backbone = load_clip(clip, pretrained, device=run.device)
    if model.dim not in (backbone.dim, MGDMConfig().dim):
        raise ValueError(f"--dim {model.dim}: this CLIP has {backbone.dim}; leave --dim out")
    split = partial(read_manifest, manifest, official_split=run.official_split)
    every = split().table
    clips, validation = split("train"), split("val") if "val" in set(every["split"]) else None
    corpus = run.labels()
    labels = mining_corpus(clips.classes, corpus)
    run.check_negatives(training, len(labels), len(clips.classes), "FEATURES")
    finetune(
        model.for_backbone(backbone.dim, backbone.logit_scale),
        training,
        finetuning,
        backbone,
        clips,
        run.out,
        negatives=run.negatives(list(clips.table["id"]), labels, label_indices(clips), backbone.fingerprint),
        corpus=corpus,
        validation=validation,
        official_split=run.official_split or split_in_force(every),
        prompt=prompt,
        workers=workers,
        device=run.device,
    )
    tested = "test" in set(every["split"])
    done("run", run.out, *(("evaluate", "--manifest", manifest, "--run", run.out) if tested else ()))


def _unchecked(config: Config) -> Config:
    """The same options in a class that takes any value, for tyro: it would tell a mistake by names of its own."""

    class Unchecked(type(config)):
        def __post_init__(self) -> None:
            pass

    return Unchecked(**config.to_dict())


def _checked(unchecked: Config) -> Config:
    """The real class of it, whose `ValueError` is told as it is."""
    return type(unchecked).__base__(**unchecked.to_dict())


PAPER = MGDMConfig(), TrainConfig(), FineTuneConfig()
SMALL = MGDMConfig(**SMALL_MODEL), TrainConfig(k=3, **SMALL_TRAIN), FineTuneConfig(**SMALL_FINETUNE)
CACHED, TUNED = (inspect.getdoc(function).partition("\n\nArgs:")[0] for function in (train_features, train_clips))
HOW = {
    "paper": "As the paper does, for a pretrained CLIP: 6 + 2 blocks, k = 7, 20 epochs at a small learning rate.",
    "small": "A small model, for a small CLIP or few clips: 2 + 2 blocks, k = 3, 80 epochs at a larger learning rate.",
}
for (name, how), configs in zip(HOW.items(), (PAPER, SMALL), strict=True):
    model, training, finetuning = map(_unchecked, configs)
    train_app.command(partial(train_features, model=model, training=training), name=name, help=f"{how} {CACHED}")
    tuned = partial(train_clips, model=model, training=training, finetuning=finetuning)
    finetune_app.command(tuned, name=name, help=f"{how} {TUNED}")
