"""The small CLIP: a 3-layer ViT on 64 x 64 pixels and a 2-layer text encoder, and the trained one that the kit brings.

It stands in for a pretrained CLIP where none can be had. `load_clip("small")` opens the one that comes with the
package, so that everybody measures on the same features; `mgdm clip` trains another. The file is small because it
holds half-precision weights, and of the 49,408 rows of the token table only those of StickActions' words. The other
rows are random: no training has seen their words.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from mgdmkit.clip.later import open_clip
from mgdmkit.files import write_text_atomic
from mgdmkit.runs.folder import load_tensors, reading, save_tensors

SMALL = "small"
"""The name under which `load_clip` opens it."""
CONFIG = Path(__file__).with_name("small.json")
"""Its open_clip configuration."""
WEIGHTS = Path(__file__).with_name("small.safetensors")
TRAINING = Path(__file__).with_name("small_training.json")
"""What trained the weights, with the losses and the fingerprint."""

TOKENS = "token_embedding.weight"


def small_config() -> dict[str, Any]:
    """`model_cfg` and `preprocess_cfg`, as open_clip writes them."""
    return json.loads(CONFIG.read_text(encoding="utf-8"))


def new_small_clip(seed: int = 0) -> nn.Module:
    """The small CLIP with fresh weights, in training mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return open_clip.CLIP(**small_config()["model_cfg"])


def save_small_clip(model: nn.Module, folder: Path) -> Path:
    """Write the small CLIP as a folder that `load_clip` and open_clip's `local-dir:` read; weights last."""
    write_text_atomic(folder / "open_clip_config.json", CONFIG.read_text(encoding="utf-8"))
    return save_tensors(folder / "open_clip_model.safetensors", model.state_dict())


def shipped_fingerprint() -> str:
    """What `load_clip("small").fingerprint` says, without the seconds that it takes."""
    return json.loads(TRAINING.read_text(encoding="utf-8"))["fingerprint"]


def shipped_weights() -> dict[str, Tensor]:
    """The state dict of the small CLIP that comes with the package, in float32."""
    with reading(WEIGHTS, "install mgdmkit again"):
        packed = load_tensors(WEIGHTS)
    rows, ids = packed.pop(TOKENS).float(), packed.pop(f"{TOKENS}.ids").long()
    sizes = small_config()["model_cfg"]["text_cfg"]
    # Whole numbers, which every processor draws alike, with the deviation of open_clip's fresh rows.
    shape, generator = (sizes["vocab_size"], sizes["width"]), torch.Generator().manual_seed(0)
    table = torch.randint(-(2**15), 2**15, shape, generator=generator).float() * (0.02 * 3**0.5 / 2**15)
    table[ids] = rows
    return {name: tensor.float() for name, tensor in packed.items()} | {TOKENS: table}


def pack(weights: dict[str, Tensor], token_ids: Iterable[int], path: Path = WEIGHTS) -> Path:
    """Write the file of `shipped_weights`: the state dict of a trained small CLIP, of whose token table some rows."""
    ids = torch.tensor(sorted(set(token_ids)), dtype=torch.int32)
    packed = {name: tensor.half() for name, tensor in weights.items()}
    packed[TOKENS], packed[f"{TOKENS}.ids"] = packed[TOKENS][ids.long()], ids
    return save_tensors(path, packed)


def difference_from_shipped(weights: dict[str, Tensor]) -> float:
    """The largest difference of a weight from the shipped one's, both in half precision, words never seen aside."""
    ids = load_file(WEIGHTS)[f"{TOKENS}.ids"].long()
    apart = 0.0
    for name, shipped in shipped_weights().items():
        own = weights[name].cpu()
        own, shipped = (own[ids], shipped[ids]) if name == TOKENS else (own, shipped)
        apart = max(apart, (own.half().float() - shipped).abs().max().item())
    return apart
