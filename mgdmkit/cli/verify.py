"""Is a folder whole? What the kit wrote there against the sums that it kept: `mgdm doctor FOLDER`. Needs no torch."""

import json
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError, safe_open

from mgdmkit.cli.doctor import Check
from mgdmkit.files import sha256

AGAIN = {
    "features.json": "give the command that made the features again: it computes what is damaged, and nothing else",
    "stickactions.json": "give the command that drew the clips again: it draws what is damaged, and nothing else",
    "clip_training.json": "put back a good copy, or delete this folder and train with `mgdm clip` again",
    "config.json": "put back a good copy, or delete the file and give the command that made it again",
}
"""How the files of a folder are made anew, by the record that stands beside them."""


def verify(root: Path) -> list[Check]:
    """Everything under `root` that the kit can check, and one line for each file that is damaged or missing.

    `FileNotFoundError` where there is no such folder.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"{root} is no folder; name one that the kit wrote, such as runs/demo")
    files = sorted(path for path in root.rglob("*") if path.is_file())
    sums = dict(_recorded(files))
    found = [check for path in files for check in _read(path)]
    found += [check for path, digest in sums.items() for check in _compared(path, digest)]
    tensors = [path for path in files if path.suffix == ".safetensors" and path not in sums]
    found += [check for path in tensors for check in _header(path)]
    bad = len({check.name for check in found})
    whole = Check(str(root), "ok", f"{len(files)} files, {len(sums)} of them with a sum; {bad or 'none'} with a fault")
    return [whole, *found]


def _recorded(files: list[Path]) -> Iterator[tuple[Path, str]]:
    for path in files:
        if path.name == "sha256.json":
            try:
                held = json.loads(path.read_text(encoding="utf-8"))
            except ValueError:
                continue  # told by `_read`
            if isinstance(held, dict):
                yield from ((path.with_name(name), str(digest)) for name, digest in held.items())
        elif path.name == "SHA256SUMS":
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                digest, _, name = line.partition("  ")
                yield path.parent / name, digest


def _read(path: Path) -> Iterator[Check]:
    if path.suffix == ".tmp" and path.name.startswith("."):
        yield Check(str(path), "warn", "begun by a program that ended, or still written", "delete it if none runs")
    if path.suffix not in (".json", ".jsonl", ".csv"):
        return
    try:
        text = path.read_text(encoding="utf-8")
        for document in [text] if path.suffix == ".json" else text.splitlines() if path.suffix == ".jsonl" else []:
            held = json.loads(document)
            if path.name == "sha256.json" and not isinstance(held, dict):
                raise ValueError("it holds no names with their sums")
    except (ValueError, OSError) as error:
        yield _fault(path, f"damaged ({error})")


def _compared(path: Path, digest: str) -> Iterator[Check]:
    try:
        if sha256(path) != digest:
            yield _fault(path, "not what was written, by its sum")
    except FileNotFoundError:
        yield _fault(path, "missing")
    except OSError as error:
        yield _fault(path, f"cannot be read ({error.strerror})")


def _header(path: Path) -> Iterator[Check]:
    """Without a sum: opening it compares its length with what its header promises."""
    try:
        with safe_open(path, "numpy"):
            pass
    except (SafetensorError, OSError):
        yield _fault(path, "cut, or no file of tensors")


def _fault(path: Path, found: str) -> Check:
    record = next(
        (name for folder in (path.parent, *path.parents) for name in AGAIN if (folder / name).is_file()), "config.json"
    )
    return Check(str(path), "fail", found, AGAIN[record])
