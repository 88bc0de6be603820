"""`mgdm train ...` on cached features and `mgdm finetune ...` on clips, each as the paper does and small."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

import tyro

from mgdmkit.cli.shared import done
from mgdmkit.config import SMALL_FINETUNE, SMALL_MODEL, SMALL_TRAIN, Config, FineTuneConfig, MGDMConfig, TrainConfig

train_app = tyro.extras.SubcommandApp()
finetune_app = tyro.extras.SubcommandApp()
Flat = tyro.conf.OmitArgPrefixes


def _unchecked(config: Config) -> Config:
    """The same options in a class that takes any value, for tyro: it would tell a mistake by names of its own.

    The commands make the real class of it, whose `ValueError` is told as it is.
    """

    class Unchecked(type(config)):
        def __post_init__(self) -> None:
            pass

    return Unchecked(**config.to_dict())


def _train_with(model: MGDMConfig, training: TrainConfig) -> Callable[..., None]:
    model, training = map(_unchecked, (model, training))

    def command(
        features: Path,
        out: Path,
        mined: Path | None = None,
        corpus: Path | None = None,
        official_split: Literal[1, 2, 3] | None = None,
        device: str = "auto",
        model: Flat[type(model)] = model,
        training: Flat[type(training)] = training,
    ) -> None:
        """Train one model on cached features.

        Args:
            features: Folder made by `mgdm features`.
            out: Folder of the run.
            mined: The CSV made by `mgdm mine`; not needed for k = 0 or random negatives.
            corpus: The corpus that was mined: random negatives are drawn from all of it, whatever was excluded from
                mining. Mined ones bring their labels.
            official_split: Take split1, split2 or split3 of the clips as split; one feature folder serves all three.
            device: auto, cpu, cuda or mps.
            model: The model.
            training: The training.
        """
        from mgdmkit.clip.features import corpus_texts, load_features, read_recipe
        from mgdmkit.data.corpus import read_corpus
        from mgdmkit.evaluation.official_split import split_in_force
        from mgdmkit.evaluation.recognizer import write_labels
        from mgdmkit.mining import load_negatives, negative_names
        from mgdmkit.runs.processes import is_main
        from mgdmkit.training.loop import Videos, train

        model, training = MGDMConfig.from_dict(model.to_dict()), TrainConfig.from_dict(training.to_dict())
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
            replace(model, frames=T).for_backbone(D, cached.logit_scale),
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

    return command


def _finetune_with(model: MGDMConfig, training: TrainConfig, finetuning: FineTuneConfig) -> Callable[..., None]:
    model, training, finetuning = map(_unchecked, (model, training, finetuning))

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
        model: Flat[type(model)] = model,
        training: Flat[type(training)] = training,
        finetuning: Flat[type(finetuning)] = finetuning,
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
        from mgdmkit.clip.backbone import load_clip
        from mgdmkit.data.corpus import mining_corpus, read_corpus
        from mgdmkit.data.manifest import read_manifest
        from mgdmkit.evaluation.official_split import split_in_force
        from mgdmkit.mining import load_negatives, negative_names
        from mgdmkit.runs.processes import choose_device
        from mgdmkit.training.augment import label_indices
        from mgdmkit.training.finetuning import finetune

        model, training = MGDMConfig.from_dict(model.to_dict()), TrainConfig.from_dict(training.to_dict())
        finetuning = FineTuneConfig.from_dict(finetuning.to_dict())
        backbone = load_clip(clip, pretrained, device=str(choose_device(device)))
        if model.dim not in (backbone.dim, MGDMConfig().dim):
            raise ValueError(f"--dim {model.dim}: this CLIP has {backbone.dim}; leave --dim out")
        split = partial(read_manifest, manifest, official_split=official_split)
        every = split().table
        clips, validation = split("train"), split("val") if "val" in set(every["split"]) else None
        labels = read_corpus(corpus).labels if corpus else negative_names(mined) if mined else ()
        names, ids = mining_corpus(clips.classes, labels), list(clips.table["id"])
        finetune(
            model.for_backbone(backbone.dim, backbone.logit_scale),
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
        done("run", out)

    return command


_small = MGDMConfig(**SMALL_MODEL), TrainConfig(k=3, **SMALL_TRAIN)
train_app.command(_train_with(MGDMConfig(), TrainConfig()), name="paper")
train_app.command(_train_with(*_small), name="small")
finetune_app.command(_finetune_with(MGDMConfig(), TrainConfig(), FineTuneConfig()), name="paper")
finetune_app.command(_finetune_with(*_small, FineTuneConfig(**SMALL_FINETUNE)), name="small")
