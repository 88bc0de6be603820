"""What the commands share. The files beside this one hold some each; `main.py` puts them together.

A command imports what it needs when it runs, so that `--help` need not wait for it.
"""

import shlex
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

# Options that several commands share carry their help here; other options are explained in their command's docstring.
Clip = Annotated[
    str, arg(help="small (comes with the kit), a folder made by `mgdm clip`, or an open_clip model such as ViT-L-14.")
]
Decoders = Annotated[int | None, arg(help="Processes that decode; one per core, at most 8, when not given.")]
Device = Annotated[str, arg(help="auto, cpu, cuda or mps.")]
OfficialSplit = Annotated[Literal[1, 2, 3] | None, arg(help="Take split1, split2 or split3 of the clips as split.")]
Precision = Annotated[
    Literal["fp32", "bf16", "fp16"],
    arg(help="Precision of the encoder; bf16 and fp16 are for GPUs, fp16 for CUDA only. A folder keeps to one."),
]
Pretrained = Annotated[
    str | None, arg(help="With an open_clip model: a pretrained tag such as openai, or the path of a checkpoint.")
]
Prompt = Annotated[str, arg(help="The sentence around a label.")]


def done(what: str, path: Path, *following: object) -> None:
    """The last line of every command; below it the words of the one that usually follows, if there is one."""
    print(f"{what}: {path}")
    if following:
        print("next: mgdm", shlex.join(map(str, following)))
