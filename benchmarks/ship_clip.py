"""Put a trained small CLIP into the package, as `load_clip("small")` opens it.

    mgdm clip --out runs/clip
    python benchmarks/ship_clip.py --clip runs/clip

Writes `mgdmkit/clip/small.safetensors` and, beside it, what trained the weights: every later step of StickActions is
measured on this file.
"""

import json
from pathlib import Path

import open_clip
import tyro
from safetensors.torch import load_file
from tqdm import tqdm

from mgdmkit.clip.backbone import load_clip
from mgdmkit.clip.small import SMALL, TRAINING, WEIGHTS, pack, small_config
from mgdmkit.data.corpus import prompts
from mgdmkit.files import write_text_atomic
from mgdmkit.runs.folder import read_json
from mgdmkit.stickactions.dataset import LABELS
from mgdmkit.training.pretraining import PretrainConfig, StickStills


def words(config: PretrainConfig) -> set[int]:
    """The tokens of every caption of a training, and of the labels."""
    context = small_config()["model_cfg"]["text_cfg"]["context_length"]
    tokenizer = open_clip.tokenizer.SimpleTokenizer(context_length=context)
    stills = StickStills(config)
    ids = set(tokenizer(prompts(LABELS)).flatten().tolist())
    for i in tqdm(range(config.steps), desc="captions", unit="step"):
        ids |= set(tokenizer(stills[i][1]).flatten().tolist())
    return ids


def main(clip: Path) -> None:
    """Write the weights and their record.

    Args:
        clip: A folder made by `mgdm clip` from StickActions stills.
    """
    made = read_json(clip / "clip_training.json", "make it with `mgdm clip`", keys=("config", "stills"))
    pack(load_file(clip / "open_clip_model.safetensors"), words(PretrainConfig.from_dict(made["config"])))
    history = [json.loads(line) for line in (clip / "history.jsonl").read_text(encoding="utf-8").splitlines()]
    shipped = load_clip(SMALL)
    record = {"config": made["config"], "stills": made["stills"], "fingerprint": shipped.fingerprint}
    write_text_atomic(TRAINING, json.dumps({**record, "history": history}, indent=1) + "\n")
    print(f"{WEIGHTS}: {WEIGHTS.stat().st_size / 1e6:.2f} MB, 1/tau {shipped.logit_scale:.3f}, {shipped.fingerprint}")


if __name__ == "__main__":
    tyro.cli(main)
