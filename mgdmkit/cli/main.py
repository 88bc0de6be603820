"""`mgdm ...`, also `python -m mgdmkit ...`: the library from a shell.

Every command shows its progress, continues what was interrupted, and ends with a line that says where its result is;
many add the command that usually follows. Under torchrun processes share `features`, `train`, `finetune`, `evaluate`
and `reproduce`, see docs/scale.md.
"""

import difflib
import errno
import io
import os
import sys
import warnings
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

import tyro

from mgdmkit.cli import data, experiments, manifest, reproduce, score, train

# Under torchrun; others are for the first process alone.
SHARED = ("features", "mine", "train", "finetune", "evaluate", "reproduce")


def doctor(folder: tyro.conf.Positional[Path | None] = None) -> None:
    """Check this machine: versions, device, decoders, disk, CLIP weights, and what to do about each problem.

    Args:
        folder: Check what the kit wrote there instead: features, runs, a CLIP, the videos of StickActions, or all of a
            demo. Says which files are damaged or missing, and how to make them again.
    """
    from mgdmkit.cli.doctor import print_report, report

    if folder is None:
        sys.exit(print_report(report()))
    from mgdmkit.cli.verify import verify

    sys.exit(print_report(verify(folder)))


# In the order of a whole job.
COMMANDS = {
    "toy": data.toy,
    "manifest": manifest.app,
    "clip": data.clip,
    "features": data.features,
    "corpus": data.corpus,
    "near": data.near,
    "mine": data.mine,
    "train": train.train_app,
    "finetune": train.finetune_app,
    "evaluate": score.evaluate,
    "predict": score.predict,
    "experiment": experiments.app,
    "reproduce": reproduce.reproduce,
    "complexity": experiments.complexity,
    "notebooks": experiments.notebooks,
    "doctor": doctor,
}
OF_SEVERAL = {
    "manifest": "List the clips of a folder or dataset in a CSV.",
    "train": "Train MGDM on stored features.",
    "finetune": "Train CLIP's image encoder along with MGDM.",
    "experiment": "Train grids of variants over seeds and compare them.",
}
"""What the commands are for that are several."""


def main() -> None:
    """Run one command; a mistake of the user ends in one message and status 2, not in a traceback."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file name that is no UTF-8 can be printed, too
        sys.stdout.reconfigure(errors="backslashreplace")
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            if os.environ.get("WORLD_SIZE", "1") == "1" or {"-h", "--help"} & set(sys.argv):
                _run()
            else:
                _run_together()
        except KeyboardInterrupt as stop:
            sys.exit(f"stopped{': ' if str(stop) else ''}{stop}; the same command continues")
        except Exception as error:  # not in the clause: what it imports takes seconds, which --help need not wait for
            message = _out_of_memory(error) or _system_says(error)
            ours = type(error).__module__.startswith("mgdmkit.")  # each of these says what to do
            if not (message or ours or isinstance(error, (ValueError, OSError))):
                raise
            _refuse(f"{message or error}{_more_like_it(error)}")


def _refuse(message: str) -> NoReturn:
    print(f"mgdm: {message}", file=sys.stderr)
    sys.exit(2)


def _run() -> None:
    asked, app = sys.argv[1] if sys.argv[1:] else "", tyro.extras.SubcommandApp()
    if asked and not asked.startswith("-") and asked not in COMMANDS:
        near = difflib.get_close_matches(asked, COMMANDS, n=1, cutoff=0.5)
        did = f"did you mean `mgdm {near[0]}`?" if near else f"there are {', '.join(COMMANDS)}"
        _refuse(f"there is no command {asked!r}; {did}")
    _refuse_missing(sys.argv[2:])
    for name, command in COMMANDS.items():
        # The list of all commands has their first paragraphs, the help of each all of it.
        first = None if asked in COMMANDS else (command.__doc__ or "").partition("\n\n")[0]
        app.command(command, name=name, help=OF_SEVERAL.get(name, first))
    app.cli(prog="mgdm", description=__doc__)


INPUTS = {
    "--manifest": "no manifest at {0}; `mgdm manifest folder --videos DIR --out {0}` makes one",
    "--features": "no features at {0}; make them with `mgdm features --manifest MANIFEST.csv --clip CLIP --out {0}`",
    "--mined": "no mined negatives at {0}; make them with `mgdm mine --features FEATURES --out {0}`",
}


def _refuse_missing(words: Sequence[str]) -> None:
    """What the commands would say of a missing input, before they have imported anything."""
    if {"-h", "--help"} & set(words):
        return
    for option, path in pairwise(words):
        if option in INPUTS and not Path(path).exists():
            _refuse(INPUTS[option].format(path))


def _run_together() -> None:
    """As one of torchrun's processes; what they can't share the first one does, while the others wait."""
    from mgdmkit.runs.processes import barrier, processes

    with processes() as rank:
        if rank == 0 or (sys.argv[1:2] and sys.argv[1] in SHARED):
            _run()
        barrier()


def _show_warning(message, category, filename, lineno, file=None, line=None) -> None:
    """The kit's own warnings in one line, without the place in the source that others are told with."""
    if category.__module__.startswith("mgdmkit."):
        text = f"mgdm: note: {message}\n"
    else:
        text = warnings.formatwarning(message, category, filename, lineno, line)
    (file or sys.stderr).write(text)


LESS_MEMORY = {
    "clip": "a smaller --batch-size, with another --out",
    "features": "a smaller --batch-size, which continues this folder; or --precision bf16, with another --out",
    "mine": "a smaller --corpus, --device cpu, or a machine with more",
    "experiment": "fewer --workers: each holds the clips that it trains on",
    "train": "a smaller --batch-size or --k, or --precision bf16: each makes another run, so give another --out",
    "finetune": "--grad-checkpointing, with which this run continues; or --freeze N (only the last N blocks train), a "
    "smaller --batch-size or --k, or --precision bf16: each makes another run, so give another --out",
    "reproduce": "--frozen, or what `mgdm reproduce --help` has for less memory",
}
"""What each command can do where memory runs out."""


def _out_of_memory(error: Exception) -> str | None:
    """What to do where memory ran out; None for any other error."""
    from mgdmkit.runs.folder import cause, lacks_memory

    # As the system does where memory runs out; of an error in a worker torch says "in DataLoader worker process".
    if isinstance(error, BrokenExecutor) or "DataLoader worker (pid" in str(error):
        fewer = "--only with one lesson" if sys.argv[1] == "notebooks" else "--workers 1"
        return f"a worker process was killed, most likely because memory ran out ({cause(error)}); try {fewer}"
    if not lacks_memory(error):
        return None
    cure = LESS_MEMORY.get(sys.argv[1], "--device cpu, or a machine with more")
    return f"not enough memory ({cause(error)}); try {cure}"


CURES = {
    errno.ENOSPC: "no space left on its disk; free some, and the same command continues",
    errno.EDQUOT: "no space left for this user; free some, and the same command continues",
    errno.EACCES: "permission denied; ask its owner for it, or take another path",
    errno.EPERM: "permission denied; ask its owner for it, or take another path",
    errno.EROFS: "its disk is read-only; choose another path",
    errno.EISDIR: "it is a folder where a file is wanted",
    errno.ENOTDIR: "a part of this path is a file where a folder is wanted",
    errno.EEXIST: "it is a file where a folder is wanted",
    errno.ENAMETOOLONG: "this name is too long for its disk; choose a shorter one",
    errno.EMFILE: "too many open files; raise the limit with `ulimit -n`",
}


def _system_says(error: Exception) -> str | None:
    """Path, cause and cure of an error of the system; None for any other."""
    if "unable to write to file </torch" in str(error):
        return "no space left on /dev/shm, through which processes pass pictures; try --workers 1"
    if not isinstance(error, OSError) or error.errno not in CURES:
        return None
    return f"{error.filename2 or error.filename or sys.argv[1]}: {CURES[error.errno]}"


def _more_like_it(error: Exception) -> str:
    """How to find all clips that cannot be read where the first of many ended a command."""
    from mgdmkit.data.video import VideoError

    if not isinstance(error, VideoError) or sys.argv[1] not in ("clip", "features", "finetune", "experiment"):
        return ""
    return (
        ". `mgdm manifest csv --manifest MANIFEST --probe --out NEW.csv` lists all clips like it, and writes a "
        "manifest without them"
    )
