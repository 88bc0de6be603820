"""Memory that a command takes for each byte of its features, which lie in files that it maps.

    OMP_NUM_THREADS=1 python benchmarks/memory.py

Random features in the form of a feature folder, in two sizes. The share is the difference of the two peaks over the
difference of the two sizes, so that what Python and torch take for themselves is not in it. A peak is that of the
anonymous memory (RssAnon, read every few milliseconds; Linux): mapped pages are not in it, the system takes them back
where others need the room.
"""

import io
import shutil
import sys
import tempfile
import time
from contextlib import redirect_stdout, suppress
from multiprocessing import get_context
from pathlib import Path

import torch
import tyro

from mgdmkit.cli.main import main as mgdm
from mgdmkit.clip.features import SHARD_SIZE
from mgdmkit.data.cards import dataset_classes
from mgdmkit.files import write_text_atomic
from mgdmkit.replication.recipes import RECIPES
from mgdmkit.runs.folder import save_tensors

T, D, VAL_EVERY = 16, 768, 13  # as of Kinetics-400 by ViT-L/14: a clip in 13 is of `val`
GB = 1e9
RECIPE = """\
{"clip": "ViT-L-14", "pretrained": "openai", "clip_fingerprint": "random", "frames": 16, "logit_scale": 100,
"prompt": "This is a video about {}", "classes": ["%s"]}
"""
# Neither blocks nor negatives: what is computed is of no matter here.
PLAIN = "--epochs 1 --warmup-epochs 0 --k 0 --no-representer --no-discriminator"
GRID = "epochs=1 representer=false discriminator=false"
ROW = "k = 0\nepochs = 1\nwarmup_epochs = 0.0\n\n[model]\nrepresenter = false\ndiscriminator = false\n"
COMMANDS = {
    "mine": "mine --features {root}/features --out {root}/negatives.csv",
    "train": f"train paper --features {{root}}/features --out {{root}}/run {PLAIN}",
    "evaluate": "evaluate --features {root}/features --run {root}/run --split val",
    "experiment": "experiment grid --preset own --root {root} --out {root}/grid.csv --seeds 1 --split val "
    f"--vary {GRID}",
    "reproduce": "reproduce --table 1 --rows 0 --frozen --data {root}/features --recipes {root}/recipes "
    "--out {root}/tables",
}
"""In their order: each finds what those before it made."""


def write_features(root: Path, clips: int) -> float:
    """Random features of as many clips under `root`, and the recipes to train on them; their size in GB."""
    classes = [row.label for row in dataset_classes("kinetics400")]
    folder, generator = root / "features", torch.Generator().manual_seed(0)
    write_text_atomic(folder / "features.json", RECIPE % '", "'.join(classes))
    lines = [f"{i},{classes[i % len(classes)]},{'train' if i % VAL_EVERY else 'val'}\n" for i in range(clips)]
    write_text_atomic(folder / "clips.csv", "".join(["id,label,split\n", *lines]))
    save_tensors(folder / "text.safetensors", {"text_features": torch.randn(len(classes), D, generator=generator)})
    for i in range(clips // SHARD_SIZE):
        frames = torch.randn(SHARD_SIZE, T, D, generator=generator)
        save_tensors(folder / f"frames-{i:05d}.safetensors", {"frame_features": frames})
    row = shutil.copytree(RECIPES, root / "recipes") / "kinetics400" / "0.toml"
    row.write_text(row.read_text(encoding="utf-8").replace("k = 0\n", ROW), encoding="utf-8")
    return clips * T * D * 4 / GB


def peak(command: str) -> float:
    """GB of anonymous memory that `mgdm <command>` takes at most, in a fork of this process."""
    process = get_context("fork").Process(target=_run, args=(command,))
    process.start()
    highest = 0
    while process.is_alive():
        with suppress(OSError):  # it ended in between
            for line in Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8").splitlines():
                if line.startswith("RssAnon:"):
                    highest = max(highest, int(line.split()[1]))
        time.sleep(0.005)
    if process.exitcode:
        raise SystemExit(f"this failed: mgdm {command}")
    return highest * 1024 / GB


def _run(command: str) -> None:
    sys.argv[1:] = command.split()
    with redirect_stdout(io.StringIO()):
        mgdm()


def main(clips: tuple[int, int] = (2048, 10240)) -> None:
    """Print a row for each command.

    Args:
        clips: How many there are in the smaller and in the larger folder; shards are full, so multiples of 256.
    """
    with tempfile.TemporaryDirectory() as folder:
        roots = [Path(folder) / str(n) for n in clips]
        sizes = [write_features(root, n) for root, n in zip(roots, clips, strict=True)]
        print(f"{'':12}" + "".join(f"{f'{size:.2f} GB':>9}" for size in sizes) + "    share")
        for name, command in COMMANDS.items():
            low, high = (peak(command.format(root=root)) for root in roots)
            print(f"{name:12}{low:9.2f}{high:9.2f}{(high - low) / (sizes[1] - sizes[0]):9.2f}", flush=True)


if __name__ == "__main__":
    tyro.cli(main)
