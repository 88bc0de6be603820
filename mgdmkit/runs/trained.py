"""What a training left in its folder, read again (the model, what made it, its history), and where a model starts."""

import json
from pathlib import Path
from typing import Any

import torch

from mgdmkit.config import MGDMConfig
from mgdmkit.files import write_text_atomic
from mgdmkit.model import MGDM
from mgdmkit.runs.folder import FolderError, did_you_mean, load_tensors, read_json, reading
from mgdmkit.runs.processes import choose_device

ANEW = "put back a good copy, or train into another folder with `mgdm train small --features FEATURES --out RUN`"
"""The cure for what only a new training writes."""


def new_model(config: MGDMConfig, seed: int) -> MGDM:
    """The untrained model that every run with this seed starts from."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MGDM(config)


def load_model(run: Path, device: str = "cpu") -> MGDM:
    """The trained model of a run folder, ready for inference; `FolderError` without one, or for damaged files."""
    path = run / "model.safetensors"
    if not path.is_file():
        cure = did_you_mean(sorted(found.parent for found in run.glob("*/model.safetensors")))
        cure = cure or f"; train it with `mgdm train small --features FEATURES --mined NEGATIVES.csv --out {run}`"
        raise FolderError(f"{run} holds no trained model (model.safetensors){cure}")
    made = read_run(run)
    with reading(run / "config.json", ANEW):
        model = MGDM(MGDMConfig.from_dict(made["model"]))
    with reading(path, "put back a good copy, or delete it and give the command that trained it: it trains anew"):
        model.load_state_dict(load_tensors(path))
    return model.to(choose_device(device)).eval()


def read_run(run: Path) -> dict[str, Any]:
    """What a run folder was made with: {"model": ..., "train": ..., "official_split": ..., "data": its fingerprint}.

    `FolderError` when its `config.json` is missing or damaged, or from before the temperatures were the backbone's.
    """
    made = read_json(run / "config.json", ANEW, keys=("model", "train", "official_split"))
    if "temperatures" not in made["model"]:
        raise FolderError(
            f"{run} was trained when the kit fixed the two temperatures to those of OpenAI's CLIP, whatever the CLIP; "
            f"now they are the CLIP's own, so that the run compares with no other: train it anew, into another folder"
        )
    return made


def read_history(run: Path) -> list[dict[str, Any]]:
    """One line per finished epoch: epoch, loss, lr, logit_scale, seconds, and val_top1 if there was one.

    `FolderError` when it is missing or damaged.
    """
    path = run / "history.jsonl"
    with reading(path, ANEW):
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write_history(run: Path, history: list[dict[str, Any]]) -> None:
    """Write what `read_history` reads."""
    write_text_atomic(run / "history.jsonl", "".join(json.dumps(line) + "\n" for line in history))


def is_finished(run: Path) -> bool:
    """Whether a training has come to its end; what a death after it left behind is removed.

    `FolderError` when the history of a finished training is missing or damaged.
    """
    if not (run / "model.safetensors").is_file():
        return False
    read_history(run)
    (run / "checkpoint.pt").unlink(missing_ok=True)
    return True


def share_done(run: Path) -> float:
    """How much of a training is over, from 0 to 1."""
    if (run / "model.safetensors").is_file():
        return 1.0
    try:
        epochs = json.loads((run / "config.json").read_text(encoding="utf-8"))["train"]["epochs"]
        return (run / "history.jsonl").read_text(encoding="utf-8").count("\n") / (epochs + 1)  # the model comes last
    except FileNotFoundError:
        return 0.0
