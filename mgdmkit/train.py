"""Training MGDM on cached features: one plain loop (section 3.1 of the paper, on frozen CLIP).

Everything random comes from (seed, epoch), so a run that was interrupted continues to the same bits on a CPU.
"""

import hashlib
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from tqdm.auto import tqdm

from mgdmkit.config import MGDMConfig, TrainConfig, write_text_atomic
from mgdmkit.evaluate import score
from mgdmkit.inference import predict
from mgdmkit.loss import augmented_negative_loss, augmented_targets
from mgdmkit.mining import Negatives, random_negatives, select
from mgdmkit.model import MGDM
from mgdmkit.runfolder import FolderError, claim, load_checkpoint, save_checkpoint, save_tensors


@dataclass(frozen=True)
class Videos:
    """Cached features of some videos: what the model sees of them."""

    frame_features: Tensor
    """(N, T, D)"""
    labels: Tensor
    """(N,) indices into the classes."""

    def __len__(self) -> int:
        return len(self.labels)


def choose_device(device: str = "auto") -> torch.device:
    """ "auto" takes CUDA, then Apple's MPS, then the CPU; `ValueError` for a device that is not there."""
    if device == "auto":
        names = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
        device = next((name for name, there in names.items() if there), "cpu")
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {device!r} is not to be had here; choose auto, cpu, cuda or mps") from error


def choose_negatives(config: TrainConfig, labels: Tensor, num_labels: int, mined: Negatives | None) -> Tensor:
    """(N, k) label indices of the negatives that a run trains with."""
    if config.k == 0:
        return torch.empty(len(labels), 0, dtype=torch.long)
    if config.negatives == "random":
        return random_negatives(labels, num_labels, config.k, torch.Generator().manual_seed(config.seed))
    if mined is None:
        raise ValueError(f"k={config.k} {config.negatives} negatives need mined ones; run `mgdm mine` first")
    return select(mined, config.k, config.negatives)


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Weight decay for matrices; none for biases, norms, frame positions and the logit scale."""
    decayed, free = [], []
    for name, parameter in model.named_parameters():
        (free if parameter.ndim < 2 or name.endswith("frame_positions") else decayed).append(parameter)
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0.0}]


def learning_rate(step: int, steps: int, warmup_steps: int, peak: float) -> float:
    """Linear warm-up to `peak`, then a half cosine to 0, for steps 0 .. steps - 1."""
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup_steps) / max(1, steps - warmup_steps)))


def train(
    model_config: MGDMConfig,
    config: TrainConfig,
    training: Videos,
    text_features: Tensor,
    out: Path,
    *,
    negatives: Negatives | None = None,
    validation: Videos | None = None,
    device: str = "auto",
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
    quiet: bool = False,
) -> MGDM:
    """Train one model and leave `config.json`, `history.jsonl` and `model.safetensors` in `out`.

    A finished run is loaded, an interrupted one continues from its last epoch. The last epoch is the model:
    the validation score is written beside the loss and decides nothing here.

    Args:
        training: the training videos, (N, T, D).
        text_features: (C, D) text embeddings of the classes, raw.
        negatives: what `mine_negatives` found for the training videos; needed for k > 0 unless random.
        on_epoch: called with each line of the history, after the epoch's checkpoint is on disk.
    Raises:
        FolderError: when `out` holds a run of another configuration or other data.
    """
    negative_labels = choose_negatives(config, training.labels, len(text_features), negatives)
    group_labels = torch.cat([training.labels[:, None], negative_labels], dim=1)  # (N, g), the positive first
    data = _fingerprint(training.frame_features, group_labels, text_features)
    claim(out / "config.json", {"model": model_config.to_dict(), "train": config.to_dict(), "data": data})
    model = new_model(model_config, config.seed)
    if (out / "model.safetensors").is_file():
        model.load_state_dict(load_file(out / "model.safetensors"))
        return model.to(choose_device(device)).eval()
    where = choose_device(device)
    model.to(where).train()
    optimizer = torch.optim.AdamW(parameter_groups(model, config.weight_decay), lr=config.lr, betas=(0.9, 0.999))
    history = load_checkpoint(out / "checkpoint.pt", model, optimizer).get("history", [])

    epochs = range(len(history), config.epochs)
    bar = tqdm(epochs, initial=len(history), total=config.epochs, desc=out.name, unit="epoch", disable=quiet)
    for epoch in bar:
        line = _train_epoch(model, optimizer, config, epoch, training, group_labels, text_features.to(where))
        if validation is not None and len(validation):
            logits = predict(model, validation.frame_features, text_features)
            line["val_top1"] = score(logits, validation.labels).top1.value
        bar.set_postfix({name: f"{line[name]:.3f}" for name in ("loss", "val_top1") if name in line})
        history.append(line)
        save_checkpoint(out / "checkpoint.pt", model, optimizer, history=history)
        write_text_atomic(out / "history.jsonl", "".join(json.dumps(line) + "\n" for line in history))
        if on_epoch:
            on_epoch(line)
    save_tensors(out / "model.safetensors", model.state_dict())
    (out / "checkpoint.pt").unlink(missing_ok=True)
    return model.eval()


def _train_epoch(model, optimizer, config, epoch, training, group_labels, text_features) -> dict[str, Any]:
    started, where = time.perf_counter(), text_features.device
    generator = torch.Generator().manual_seed(config.seed * 100_003 + epoch)
    batches = torch.randperm(len(training), generator=generator).split(config.batch_size)
    total = 0.0
    for i, batch in enumerate(batches):
        lr = learning_rate(
            epoch * len(batches) + i,
            config.epochs * len(batches),
            round(config.warmup_epochs * len(batches)),
            config.lr,
        )
        for group in optimizer.param_groups:
            group["lr"] = lr
        texts = group_labels[batch].to(where)  # (l, g) with l = b
        with torch.autocast(where.type, torch.bfloat16, enabled=config.bf16 and where.type == "cuda"):
            logits = model(training.frame_features[batch].to(where), text_features[texts]).logits
        loss = augmented_negative_loss(
            logits,
            augmented_targets(training.labels[batch].to(where), texts),
            target=config.target,
            empty_columns=config.empty_columns,
            t2v_mean=config.t2v_mean,
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if config.clip_grad_norm:
            nn.utils.clip_grad_norm_(model.parameters(), config.clip_grad_norm)
        optimizer.step()
        model.clamp_logit_scale()
        total += loss.item() * len(batch)
    return {
        "epoch": epoch,
        "loss": total / len(training),
        "lr": lr,
        "logit_scale": model.logit_scale.exp().item(),
        "seconds": round(time.perf_counter() - started, 3),
    }


def load_model(run: Path, device: str = "cpu") -> MGDM:
    """The trained model of a run folder, ready for inference."""
    if not (run / "model.safetensors").is_file():
        raise FolderError(f"{run} holds no trained model (model.safetensors); train it with `mgdm train --out {run}`")
    model = MGDM(MGDMConfig.from_dict(read_run(run)["model"]))
    model.load_state_dict(load_file(run / "model.safetensors"))
    return model.to(choose_device(device)).eval()


def read_run(run: Path) -> dict[str, Any]:
    """What a run folder was made with: {"model": ..., "train": ..., "data": its fingerprint}."""
    return json.loads((run / "config.json").read_text(encoding="utf-8"))


def read_history(run: Path) -> list[dict[str, Any]]:
    """One line per finished epoch: epoch, loss, lr, logit_scale, seconds, and val_top1 if there was one."""
    return [json.loads(line) for line in (run / "history.jsonl").read_text(encoding="utf-8").splitlines()]


def _fingerprint(*tensors: Tensor) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(f"{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()[:16]


def new_model(config: MGDMConfig, seed: int) -> MGDM:
    """The untrained model that every run with this seed starts from."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MGDM(config)
