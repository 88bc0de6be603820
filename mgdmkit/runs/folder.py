"""What every result folder of the kit does: say what made it, refuse anything else, continue after a stop.

All writes are atomic (a temporary file, then a rename), and nothing that is read can run code.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mgdmkit.files import atomic, sha256, write_text_atomic

CHECKSUMS = "sha256.json"
"""In every folder with tensors, beside its recipe: the sha256 of each of them, by name. A flipped bit, or the file of
another folder, has the right shape."""


RECORDS = {
    "features.json": "features",
    "config.json": "a run",
    "clip_training.json": "a CLIP",
    "stickactions.json": "the videos of StickActions",
}
"""What a folder says of what made it, by the name of the file; a folder holds one of them."""


class FolderError(RuntimeError):
    """A folder is missing, unfinished, damaged, or holds something else; the message says what to do."""


def claim(path: Path, recipe: dict[str, Any], *, ignore: Sequence[str] = (), work: Sequence[str] = ()) -> None:
    """Write `recipe` as JSON to `path`, or check that it is what the file already says.

    Args:
        recipe: everything that decides the folder's content; values may be dictionaries.
        ignore: keys that are kept for the reader and not compared.
        work: patterns of the files that are made by the recipe, which must not be there without it.
    Raises:
        FolderError: listing the differences, or when the file is damaged or has gone; nothing is changed.
    """
    anew = "take another folder, or delete this one to make it anew"
    if not path.is_file():
        if orphans := [file.name for pattern in work for file in sorted(path.parent.glob(pattern))]:
            raise FolderError(
                f"{path.parent} holds {orphans[0]}, but {path.name}, which says what it was made with, is missing: "
                f"put it back, {anew}"
            )
        if others := [name for name in RECORDS if name != path.name and (path.parent / name).exists()]:
            raise FolderError(f"{path.parent} holds {RECORDS[others[0]]} ({others[0]}); take another folder")
        write_text_atomic(path, json.dumps(recipe, indent=2, ensure_ascii=False) + "\n")
        return
    held, asked = flat(read_json(path, f"put back a good copy, {anew}")), flat(recipe)
    keys = [key for key in {**asked, **held} if key not in ignore and held.get(key) != asked.get(key)]
    if keys:
        parts = [f"{key} is {_shown(held, key)} there, {_shown(asked, key)} here" for key in keys]
        raise FolderError(f"{path.parent} holds something else: {'; '.join(parts)[:800]}. {anew.capitalize()}")


def did_you_mean(paths: Iterable[Path | str]) -> str:
    """For the end of a message: the paths that may have been meant, if any."""
    names = [str(path) for path in paths]
    return f"; did you mean {' or '.join(names[:5])}?" if names else ""


def _shown(held: dict[str, Any], key: str) -> str:
    return repr(held[key]) if key in held else "not named"


def flat(recipe: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Without dictionaries inside: {"train": {"lr": 1}} -> {"train.lr": 1}."""
    found: dict[str, Any] = {}
    for key, value in recipe.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return found


def read_json(path: Path, cure: str, keys: Iterable[str] = ()) -> dict[str, Any]:
    """An object that the kit wrote as JSON, with `keys` at least; errors as in `reading`."""
    with reading(path, cure):
        held = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(held, dict):
            raise ValueError("it holds no JSON object")
        if missing := [key for key in keys if key not in held]:
            raise ValueError(f"it lacks {missing[0]!r}")
    return held


@contextmanager
def reading(path: Path, cure: str) -> Iterator[None]:
    """What is wrong with a file that the block reads becomes a `FolderError`: path, cause, and `cure`, what to do."""
    try:
        yield
    except (FileNotFoundError, PermissionError) as error:  # safetensors says "not found" of what it may not read
        if isinstance(error, PermissionError) or path.exists():
            raise FolderError(f"{path} may not be read: permission denied; ask its owner for it") from error
        raise FolderError(f"{path} is missing; {cure}") from error
    except (ValueError, TypeError, KeyError, SafetensorError, RuntimeError) as error:
        if lacks_memory(error):
            raise
        raise FolderError(f"{path} is damaged ({cause(error)}); {cure}") from error


def lacks_memory(error: Exception) -> bool:
    """Did memory run out, of the machine or of a GPU? Then nothing is wrong with what was read."""
    told = bool(re.search("out of memory|annot allocate|can't alloc", str(error)))
    return isinstance(error, MemoryError) or (told and isinstance(error, RuntimeError | OSError))


def cause(error: Exception) -> str:
    """What an error says, in one line of at most 300 characters."""
    first, *rest = str(error).strip().splitlines() or [type(error).__name__]
    if first.endswith(":") and rest:  # as torch begins, before it says which weights
        first = f"{first} {rest[0].strip()}"
    return first if len(first) <= 300 else f"{first[:300]}..."


def save_tensors(path: Path, tensors: dict[str, Tensor]) -> Path:
    """Write tensors as safetensors, atomically, and their sha256 into the folder's `CHECKSUMS`."""
    with atomic(path) as temporary:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, temporary)
        # Before the file has its name: after a death here it is missing, or the old one, and made anew in both cases.
        record_sha256(path, temporary)
    return path


def load_tensors(path: Path) -> dict[str, Tensor]:
    """What `save_tensors` wrote; `ValueError` as for `check_sha256`, and what `reading` knows."""
    check_sha256(path)
    return load_file(path)


def record_sha256(path: Path, content: Path | None = None) -> None:
    """Keep the sha256 of a file, or of what it is about to hold, in its folder's `CHECKSUMS`."""
    held = _checksums(path.parent) | {path.name: sha256(content or path)}
    write_text_atomic(path.with_name(CHECKSUMS), json.dumps(held, indent=1, sort_keys=True) + "\n")


def check_sha256(path: Path) -> None:
    """`ValueError` for a file that is not what was written; one that no record names is taken as it is."""
    recorded = _checksums(path.parent).get(path.name)
    if recorded is not None and recorded != sha256(path):
        raise ValueError(f"it is not what was written, by its sha256 in {CHECKSUMS}")


def _checksums(folder: Path) -> dict[str, Any]:
    path = folder / CHECKSUMS
    if not path.is_file():
        return {}
    return read_json(path, "put back a good copy, or delete it: then the files beside it are taken without a check")


def save_checkpoint(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, **progress: Any) -> None:
    """Write model, optimiser and where the work stands, atomically; `progress` holds plain values."""
    with atomic(path) as temporary:
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), **progress}, temporary)


def load_checkpoint(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Restore `save_checkpoint`'s model and optimiser in place and return the progress; {} without a file."""
    if not path.is_file():
        return {}
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        model.load_state_dict(state.pop("model"))
        optimizer.load_state_dict(state.pop("optimizer"))
    except Exception as error:
        if isinstance(error, PermissionError) or lacks_memory(error):
            raise
        raise FolderError(f"the checkpoint {path} is damaged; delete it to start anew") from error
    return state


def fingerprint(*tensors: Tensor) -> str:
    """16 hex digits of a sha256 over shapes, types and values."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(f"{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()[:16]
