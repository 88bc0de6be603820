"""`mgdm ...`, also `python -m mgdmkit ...`: the library from a shell.

Every command shows its progress, continues what was interrupted, and ends with a line that says where its result is;
many add the command that usually follows. Under torchrun processes share `features`, `train`, `finetune`, `evaluate`
and `reproduce`, see docs/scale.md.
"""

import errno
import io
import os
import sys
import warnings
from concurrent.futures import BrokenExecutor
from pathlib import Path

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


app = tyro.extras.SubcommandApp()
# In the order of a whole job.
app.command(data.toy)
app.command(manifest.app, name="manifest")
app.command(data.clip)
app.command(data.features)
app.command(data.corpus)
app.command(data.near)
app.command(data.mine)
app.command(train.train_app, name="train")
app.command(train.finetune_app, name="finetune")
app.command(score.evaluate)
app.command(score.predict)
app.command(experiments.app, name="experiment")
app.command(reproduce.reproduce)
app.command(experiments.complexity)
app.command(experiments.notebooks)
app.command(doctor)


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
            message = message or (str(error) if isinstance(error, _user_errors()) else None)
            if message is None:
                raise
            print(f"mgdm: {message}{_more_like_it(error)}", file=sys.stderr)
            sys.exit(2)


def _run() -> None:
    app.cli(prog="mgdm", description=__doc__)


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
    if isinstance(error, BrokenExecutor) or (
        isinstance(error, RuntimeError) and "DataLoader worker (pid" in str(error)
    ):
        return f"a worker process was killed, most likely because memory ran out ({cause(error)}); try --workers 1"
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
    if not isinstance(error, OSError) or error.errno not in CURES:
        if "unable to write to file </torch" in str(error):
            return "no space left on /dev/shm, through which processes pass pictures; try --workers 1"
        return None
    path = error.filename2 or error.filename
    if isinstance(path, bytes):
        path = os.fsdecode(path)
    return f"{path or sys.argv[1]}: {CURES[error.errno]}"


def _more_like_it(error: Exception) -> str:
    """How to find all clips that cannot be read where the first of many ended a command."""
    from mgdmkit.data.video import VideoError

    if not isinstance(error, VideoError) or sys.argv[1] not in ("clip", "features", "finetune", "experiment"):
        return ""
    return (
        ". `mgdm manifest csv --manifest MANIFEST --probe --out NEW.csv` lists all clips like it, and writes a "
        "manifest without them"
    )


def _user_errors() -> tuple[type[Exception], ...]:
    from mgdmkit.cli.headless import NotebookError
    from mgdmkit.clip.backbone import ClipWeightsError
    from mgdmkit.data.video import VideoError
    from mgdmkit.runs.folder import FolderError
    from mgdmkit.training.optim import Diverged

    return (ValueError, OSError, ClipWeightsError, Diverged, FolderError, NotebookError, VideoError)
