"""The training loop (section 3.1 of the paper), and training MGDM on cached features of frozen CLIP with it.

`fit` is one plain loop for both ways to train: `train` here gives it cached frame features and MGDM, `finetuning.py`
clips on disk and MGDM behind CLIP's image encoder. Everything random comes from (seed, epoch), so a run that was
interrupted continues to the same bits on a CPU.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from mgdmkit.config import MGDMConfig, TrainConfig
from mgdmkit.evaluation.scores import score
from mgdmkit.inference import predict
from mgdmkit.loss import augmented_negative_loss, augmented_targets
from mgdmkit.mining import Negatives, adaptive, random_negatives, select
from mgdmkit.model import MGDM
from mgdmkit.runs import processes
from mgdmkit.runs.folder import claim, fingerprint, load_checkpoint, save_checkpoint, save_tensors
from mgdmkit.runs.processes import autocast_dtype, choose_device
from mgdmkit.runs.trained import is_finished, load_model, new_model, write_history
from mgdmkit.training.augment import Clips
from mgdmkit.training.optim import Diverged, learning_rate, parameter_groups


@dataclass(frozen=True)
class Videos:
    """Cached features of some videos: what the model sees of them. `Clips` are a training set with other `batches`."""

    frame_features: Tensor
    """(N, T, D)"""
    labels: Tensor
    """(N,) indices into the classes."""

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, order: list[Tensor], epoch: int) -> Iterator[Tensor]:
        """For each tensor of b video indices the network's input, (b, T, D); the same in every epoch."""
        return (self.frame_features[batch] for batch in order)


def choose_groups(config: TrainConfig, labels: Tensor, num_labels: int, mined: Negatives | None) -> Tensor:
    """(N, 1 + k) label indices of each video's texts, its own label first; -1 where an adaptive group has none.

    Random ones are drawn from all labels but the video's own: exclusions, which `mgdm mine` obeys, don't reach them.
    """
    if config.k == 0:
        return labels[:, None]
    if config.negatives == "random":
        generator = torch.Generator().manual_seed(config.seed)
        negatives = random_negatives(labels, num_labels, config.k, generator)
    elif mined is None:
        raise ValueError(
            f"k={config.k} {config.negatives} negatives need mined ones, which "
            f"`mgdm mine --features FEATURES --out NEGATIVES.csv` makes"
        )
    elif config.negatives == "adaptive":
        negatives = adaptive(mined, config.k, config.margin)
    else:
        negatives = select(mined, config.k, config.negatives)
    return torch.cat([labels[:, None], negatives], dim=1)


def train(
    model_config: MGDMConfig,
    config: TrainConfig,
    training: Videos,
    text_features: Tensor,
    out: Path,
    *,
    negatives: Negatives | None = None,
    validation: Videos | None = None,
    classes: int | None = None,
    official_split: int | None = None,
    device: str = "auto",
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
    quiet: bool = False,
) -> MGDM:
    """Train one model and leave `config.json`, `history.jsonl` and `model.safetensors` in `out`.

    A finished run is loaded, an interrupted one continues from its last epoch. The last epoch is the model:
    the validation score is written beside the loss and decides nothing here.

    Args:
        training: the training videos, (N, T, D).
        text_features: (n, D) text embeddings of the labels, raw; the classes first.
        negatives: what `mine_negatives` found for the training videos; needed for k > 0 unless random.
        classes: C <= n, how many of the labels are classes that a video can belong to; None: all.
        official_split: whose training clips these are, where the dataset has several; kept in `config.json`, so that
            nobody tests the run on the clips of another one.
        on_epoch: called with each line of the history, after the epoch's checkpoint is on disk.
    Raises:
        FolderError: when `out` holds a run of another configuration or other data, or a damaged one.
        Diverged: the loss or the weights are no numbers any more.
    """
    autocast_dtype(config.precision, choose_device(device))  # before the folder is claimed: both may raise
    group_labels = choose_groups(config, training.labels, len(text_features), negatives)
    recipe = {
        "model": model_config.to_dict(),
        "train": config.to_dict(),
        "official_split": official_split,
        "data": fingerprint(training.frame_features, group_labels, text_features),
    }
    if begin(out, recipe):
        return load_model(out, device)
    model = new_model(model_config, config.seed).to(choose_device(device))
    groups = parameter_groups(model, config.weight_decay)

    def top1() -> float:
        texts = text_features[:classes]
        logits = processes.map_rows(lambda frames: predict(model, frames, texts), validation.frame_features)
        return score(logits, validation.labels).top1.value

    validate = top1 if validation is not None and len(validation) else None
    hooks = {"validate": validate, "on_epoch": on_epoch, "quiet": quiet}
    with processes.threads_for(model):
        fit(model, groups, config, training, group_labels, text_features, out, **hooks)
    if processes.is_main():
        finish(out, model)
    processes.barrier()
    return model.eval()


def begin(out: Path, recipe: dict[str, Any], free: Sequence[str] = ()) -> bool:
    """Claim a run's folder, but for the keys of the recipe that are free; whether its training has come to its end."""
    several = {"processes": processes.world_size()} if processes.world_size() > 1 else {}
    work = ("model.safetensors", "checkpoint.pt", "history.jsonl")
    with processes.main_first():
        claim(out / "config.json", recipe | several, ignore=free, work=work)
    return is_finished(out)


def finish(out: Path, model: MGDM) -> None:
    """Write the model of the last epoch, which is the end of a training."""
    save_tensors(out / "model.safetensors", model.state_dict())
    (out / "checkpoint.pt").unlink(missing_ok=True)


def fit(
    network: nn.Module,
    groups: list[dict[str, Any]],
    config: TrainConfig,
    training: Videos | Clips,
    group_labels: Tensor,
    text_features: Tensor,
    out: Path,
    *,
    validate: Callable[[], float] | None = None,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
    quiet: bool = False,
) -> None:
    """Train a network in place to its last epoch; each epoch leaves `history.jsonl` and `checkpoint.pt` in `out`.

    W processes split each global batch of W x `batch_size` videos, so that they learn what one process would with that
    `batch_size`. The last batch of an epoch holds what is left, and a process may then have nothing to encode.

    Args:
        network: MGDM, or what has its `logit_scale`, `clamp_logit_scale` and `forward(inputs, texts, gather)`; on its
            device, and with the same weights in each process.
        groups: the parameters to train, as `parameter_groups` makes them.
        group_labels: (N, g) label indices of each video's texts, the positive first.
        text_features: (n, D) text embeddings of the labels, raw.
        validate: gives the Top-1 of the network as it stands; called after each epoch.
    """
    where = network.logit_scale.device
    text_features = text_features.to(where)
    optimizer = torch.optim.AdamW(groups, lr=config.lr, betas=(0.9, 0.999), fused=True)
    dtype = autocast_dtype(config.precision, where)
    scaler = torch.amp.GradScaler(where.type, enabled=dtype is torch.float16)  # does nothing where not enabled
    progress = load_checkpoint(out / "checkpoint.pt", network, optimizer)
    scaler.load_state_dict(progress.get("scaler") or scaler.state_dict())
    history = progress.get("history", [])
    if history and processes.is_main():
        write_history(out, history)  # a death may have come between the checkpoint and its line
    trained = torch.compile(network) if config.compile else network  # the same parameters
    shown = {"desc": out.name, "unit": "epoch", "initial": len(history), "total": config.epochs}
    bar = tqdm(range(len(history), config.epochs), disable=quiet or not processes.is_main(), **shown)
    for epoch in bar:
        network.train()
        line = _train_epoch(trained, optimizer, scaler, config, epoch, training, group_labels, text_features)
        if validate:
            line["val_top1"] = validate()
        bar.set_postfix({name: f"{line[name]:.3f}" for name in ("loss", "val_top1") if name in line})
        history.append(line)
        if processes.is_main():
            save_checkpoint(out / "checkpoint.pt", network, optimizer, scaler=scaler.state_dict(), history=history)
            write_history(out, history)
        processes.barrier()
        if on_epoch:
            on_epoch(line)


def _train_epoch(network, optimizer, scaler, config, epoch, training, group_labels, text_features) -> dict[str, Any]:
    started = time.perf_counter()
    generator = torch.Generator().manual_seed(config.seed * 100_003 + epoch)
    batches = torch.randperm(len(training), generator=generator).split(config.batch_size * processes.world_size())
    inputs = training.batches([batch[processes.shard(len(batch))] for batch in batches], epoch)
    steps = math.ceil(len(batches) / config.accumulate)
    total = 0.0
    for step in range(steps):
        lr = learning_rate(epoch * steps + step, config.epochs * steps, round(config.warmup_epochs * steps), config.lr)
        for group in optimizer.param_groups:
            group["lr"] = lr * group["lr_ratio"]
        optimizer.zero_grad(set_to_none=True)
        part = batches[step * config.accumulate : (step + 1) * config.accumulate]
        videos = sum(map(len, part))
        for batch in part:
            loss = _loss(network, next(inputs), training.labels[batch], group_labels[batch], text_features, config)
            loss = loss * (len(batch) / videos)
            scaler.scale(loss).backward()
            total += loss.item() * videos
            if not math.isfinite(total):
                raise Diverged(f"epoch {epoch + 1}", f"the loss of step {step + 1} of {steps} is {loss.item()}", lr)
        processes.average_gradients(network.parameters())  # before unscale_, so that all see the same overflow
        scaler.unscale_(optimizer)
        if config.clip_grad_norm:
            nn.utils.clip_grad_norm_(network.parameters(), config.clip_grad_norm)
        scaler.step(optimizer)
        scaler.update()
        network.clamp_logit_scale()
    if not all(parameter.isfinite().all() for parameter in network.parameters()):
        raise Diverged(f"epoch {epoch + 1}", "the last step left weights that are no numbers", lr)
    return {
        "epoch": epoch,
        "loss": total / len(training),
        "lr": lr,
        "logit_scale": network.logit_scale.exp().item(),
        "seconds": round(time.perf_counter() - started, 3),
    }


def _loss(network, inputs, labels, texts, text_features, config) -> Tensor:
    """The loss of one batch: labels (b,), label indices of the groups (b, g), network inputs (b, ...).

    With several processes labels and groups are those of the global batch, and inputs this process' share of it.
    """
    where, own, gather = text_features.device, processes.shard(len(labels)), processes.gatherer(len(labels))
    inputs, labels, texts = inputs.to(where), labels.to(where), texts.to(where)
    absent = texts < 0 if config.negatives == "adaptive" else None  # (b, g)
    dtype = autocast_dtype(config.precision, where)
    with torch.autocast(where.type, dtype, enabled=dtype is not None):
        text_features = text_features[texts[own].clamp(min=0)]  # where a text is absent, any
        logits = network(inputs, text_features, gather, None if absent is None else absent[own]).logits  # (b, l, g)
    return augmented_negative_loss(
        logits,
        augmented_targets(labels, texts),
        target=config.target,
        empty_columns=config.empty_columns,
        t2v_mean=config.t2v_mean,
        absent=absent,
    )
