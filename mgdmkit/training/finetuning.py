"""Fine-tuning: MGDM behind CLIP's image encoder, trained together on clips (section 3.1 of the paper).

The loop, schedule and loss are those of `loop.py`; only the inputs are pixels that are decoded and cropped anew in
each epoch. The text encoder is frozen and has read every label once. A run folder holds, beside what `train` leaves,
`labels.json` and `clip/`: the whole tuned CLIP in open_clip's own form. It is a CLIP like any other: `load_clip` and
`mgdm features --clip RUN/clip` take it, and the run's `model.safetensors` belongs to its frame features.
"""

import copy
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mgdmkit.clip.backbone import FrozenClip, load_clip
from mgdmkit.clip.features import Features, extract_features
from mgdmkit.clip.later import open_clip
from mgdmkit.clip.small import SMALL, small_config
from mgdmkit.clip.weights import open_clip_name
from mgdmkit.config import FineTuneConfig, MGDMConfig, TrainConfig
from mgdmkit.data.corpus import PROMPT, mining_corpus, prompts
from mgdmkit.data.manifest import Manifest
from mgdmkit.evaluation.recognizer import write_labels
from mgdmkit.evaluation.scores import score
from mgdmkit.files import write_text_atomic
from mgdmkit.inference import predict
from mgdmkit.mining import Negatives
from mgdmkit.model import MGDM, MGDMOutput
from mgdmkit.runs import processes
from mgdmkit.runs.folder import fingerprint, save_tensors
from mgdmkit.runs.processes import autocast_dtype, choose_device
from mgdmkit.runs.trained import load_model, new_model, read_run
from mgdmkit.training.augment import Clips
from mgdmkit.training.loop import begin, choose_groups, finish, fit
from mgdmkit.training.optim import parameter_groups

POSITIONS = ("frame_positions", "positional_embedding", "pos_embed")  # ours, open_clip's, timm's


class FineTuned(nn.Module):
    """CLIP's image encoder and MGDM as one network, from pixels to logits."""

    def __init__(self, image_encoder: nn.Module, mgdm: MGDM):
        super().__init__()
        self.image_encoder, self.mgdm = image_encoder, mgdm

    def forward(self, pixels: Tensor, *others: Any) -> MGDMOutput:
        """Normalised pixels (b, T, 3, S, S) in place of frame features; the others as `MGDM.forward` takes them."""
        return self.mgdm(self.encode(pixels), *others)

    def encode(self, pixels: Tensor) -> Tensor:
        """(b, T, 3, S, S) -> (b, T, D) raw frame features."""
        if not len(pixels):  # one of several processes without a clip: open_clip's encoders need at least one picture
            return self.encode(pixels.new_zeros(1, *pixels.shape[1:]))[:0]
        return self.image_encoder(pixels.flatten(0, 1)).unflatten(0, pixels.shape[:2])

    def train(self, mode: bool = True) -> "FineTuned":
        """A frozen image encoder stays in evaluation mode: its dropout or statistics must not move either."""
        super().train(mode)
        self.image_encoder.train(mode and any(p.requires_grad for p in self.image_encoder.parameters()))
        return self

    @property
    def logit_scale(self) -> nn.Parameter:
        return self.mgdm.logit_scale

    def clamp_logit_scale(self) -> None:
        self.mgdm.clamp_logit_scale()

    @torch.no_grad()
    def frame_features(self, clips: Clips) -> Tensor:
        """(N, T, D) on the CPU: the centre frames of all clips as the image encoder sees them now, in fp32."""

        def encode(rows: Tensor) -> Tensor:
            return torch.cat([self.encode(pixels.to(device)).float().cpu() for pixels in clips.centre_batches(rows)])

        device, was_training = self.logit_scale.device, self.training
        self.eval()
        features = processes.map_rows(encode, torch.arange(len(clips)))
        self.train(was_training)
        return features


def set_trainable(image_encoder: nn.Module, freeze: str | int) -> None:
    """Let all ("none"), nothing ("image") or the last n blocks, last norm and projection of an image encoder train.

    `ValueError` for a number that the encoder does not have, or an encoder that is not CLIP's own transformer.
    """
    image_encoder.requires_grad_(freeze == "none")
    if isinstance(freeze, str):
        return
    blocks = getattr(getattr(image_encoder, "transformer", None), "resblocks", None)
    if blocks is None:
        raise ValueError(f"freeze={freeze} counts blocks of CLIP's own vision transformer; choose 'image' or 'none'")
    if freeze > len(blocks):
        raise ValueError(f"freeze={freeze}: the image encoder has {len(blocks)} blocks; 'none' trains all of it")
    for part in (*blocks[-freeze:], image_encoder.ln_post):
        part.requires_grad_(True)
    if image_encoder.proj is not None:
        image_encoder.proj.requires_grad_(True)


def finetune_groups(network: FineTuned, config: TrainConfig, finetuning: FineTuneConfig) -> list[dict[str, Any]]:
    """MGDM at the schedule's learning rate, CLIP's weights at `clip_lr_ratio` of it; decay as in `parameter_groups`."""
    both = ((network.mgdm, 1.0), (network.image_encoder, finetuning.clip_lr_ratio))
    groups = [parameter_groups(part, config.weight_decay, lr_ratio=ratio, positions=POSITIONS) for part, ratio in both]
    return [group for of_part in groups for group in of_part if group["params"]]


def finetune(
    model_config: MGDMConfig,
    config: TrainConfig,
    finetuning: FineTuneConfig,
    clip: FrozenClip,
    training: Manifest,
    out: Path,
    *,
    negatives: Negatives | None = None,
    corpus: Sequence[str] = (),
    validation: Manifest | None = None,
    official_split: int | None = None,
    prompt: str = PROMPT,
    workers: int | None = None,
    device: str = "auto",
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
    quiet: bool = False,
) -> FineTuned:
    """Train MGDM and, as far as it is not frozen, a copy of CLIP's image encoder; as `train`, from clips.

    Args:
        clip: where the image encoder starts; it is not changed. It also encodes the labels, once.
        training, validation: the clips, each a split of a manifest.
        negatives: mined for the training clips; their indices are those of `mining_corpus(classes, corpus)`.
        corpus: further labels that were mined; without it, the classes.
        official_split: whose training clips these are, see `train`.
        prompt: the sentence around a label.
        workers: processes that decode; None takes one per core, at most 8.
    Raises:
        FolderError: when `out` holds a run of another configuration, CLIP or manifest.
        ValueError: for a `freeze` that the image encoder does not have.
        VideoError: naming the clip that can't be read.
    """
    labels = mining_corpus(training.classes, corpus)
    clips = Clips(training, clip, model_config.frames, finetuning, seed=config.seed, workers=workers)
    group_labels = choose_groups(config, clips.labels, len(labels), negatives)
    recipe = {
        "model": model_config.to_dict(),
        "train": config.to_dict(),
        "finetune": finetuning.to_dict(),
        "clip": {"name": clip.name, "pretrained": clip.pretrained, "fingerprint": clip.fingerprint},
        "prompt": prompt,
        "labels": list(labels),
        "official_split": official_split,
        "data": f"{training.fingerprint()}-{fingerprint(group_labels)}",
    }
    autocast_dtype(config.precision, choose_device(device))  # before the folder is claimed, as the next: they may raise
    image_encoder = copy.deepcopy(clip.model.visual)
    set_trainable(image_encoder, finetuning.freeze)
    image_encoder.set_grad_checkpointing(finetuning.grad_checkpointing)
    # The CLIP may move, its fingerprint may not; checkpointing changes memory and time, not what is learned.
    if begin(out, recipe, free=("clip.name", "clip.pretrained", "finetune.grad_checkpointing")):
        tuned = tuned_clip(out, device)
        _write_labels(out, tuned, training.classes, prompt)
        return FineTuned(tuned.model.visual, load_model(out, device)).eval()
    network = FineTuned(image_encoder, new_model(model_config, config.seed)).to(choose_device(device))
    text_features = clip.encode_text(prompts(labels, prompt))

    def top1() -> float:
        features = network.frame_features(tested)
        return score(predict(network.mgdm, features, text_features[: len(training.classes)]), tested.labels).top1.value

    tested = Clips(validation, clip, model_config.frames, workers=workers) if validation else None
    hooks = {"validate": top1 if validation else None, "on_epoch": on_epoch, "quiet": quiet}
    groups = finetune_groups(network, config, finetuning)
    fit(network, groups, config, clips, group_labels, text_features, out, **hooks)
    if processes.is_main():
        _save_clip(clip, network.image_encoder, out / "clip")
        finish(out, network.mgdm)
        _write_labels(out, tuned_clip(out), training.classes, prompt)
    processes.barrier()
    return network.eval()


def _write_labels(run: Path, tuned: FrozenClip, classes: Sequence[str], prompt: str) -> None:
    """What `evaluation.load_run` needs to know of a fine-tuned run, whose CLIP is its own."""
    if processes.is_main():
        own = {"clip": str(run / "clip"), "pretrained": None, "clip_fingerprint": tuned.fingerprint}
        write_labels(run, {"classes": classes, "prompt": prompt, **own})


def is_finetuned(run: Path) -> bool:
    """Does a run folder hold a CLIP of its own?"""
    return (run / "config.json").is_file() and "finetune" in read_run(run)


def tuned_clip(run: Path, device: str = "cpu") -> FrozenClip:
    """The CLIP of a fine-tuned run: its image encoder as trained, its text encoder as it was."""
    return load_clip(str(run / "clip"), device=device)


def finetuned_features(
    run: Path, manifest: Manifest, *, workers: int | None = None, device: str = "cpu", quiet: bool = False
) -> Features:
    """Features of clips as a fine-tuned run sees them, for `predict` with its `load_model`; kept in the run folder."""
    made = read_run(run)
    out = run / f"features-{manifest.fingerprint()}"
    options = {"frames": made["model"]["frames"], "prompt": made["prompt"], "workers": workers, "quiet": quiet}
    return extract_features(manifest, tuned_clip(run, device), out, **options)


def _save_clip(clip: FrozenClip, image_encoder: nn.Module, folder: Path) -> None:
    """Write `clip` with another image encoder as a folder that `load_clip` and open_clip's `local-dir:` read."""
    tuned = {f"visual.{name}": tensor for name, tensor in image_encoder.state_dict().items()}
    write_text_atomic(folder / "open_clip_config.json", json.dumps(_open_clip_config(clip), indent=2) + "\n")
    save_tensors(folder / "open_clip_model.safetensors", clip.model.state_dict() | tuned)


def _open_clip_config(clip: FrozenClip) -> dict[str, Any]:
    if clip.name == SMALL:
        return small_config()
    if Path(clip.name).is_dir():
        return json.loads((Path(clip.name) / "open_clip_config.json").read_text(encoding="utf-8"))
    model = open_clip.get_model_config(open_clip_name(clip.name))
    # Of a model that OpenAI's weights have turned to QuickGELU, its name does not tell.
    if any(isinstance(module, open_clip.transformer.QuickGELU) for module in clip.model.modules()):
        model["quick_gelu"] = True
    held = clip.model.visual.preprocess_cfg
    preprocess = {name: held[name] for name in ("mean", "std", "interpolation", "resize_mode")}
    return {"model_cfg": model, "preprocess_cfg": preprocess}
