"""Worker processes that end with the program that started them, and how many the machine can bear."""

import _thread
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection
from typing import Any

from mgdmkit import files

PATIENCE = 3
"""Seconds until a worker that computes without coming back to Python is ended from beside."""


def cores() -> int:
    """Processor cores that this process may run on: in a container those it is bound to; quotas are not seen."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def pool(workers: int, initializer: Callable[..., None] | None = None, *initargs: Any) -> Iterator[ProcessPoolExecutor]:
    """A pool of spawned processes for the block; at its end they have finished, after an error they are ended at once.

    Spawned, not forked: the caller may run threads (torch, a notebook), which do not survive a fork. Ctrl-C reaches the
    caller alone, who leaves the block. A caller that is killed closes its end of a pipe, and with that its workers end.
    """
    context = get_context("spawn")
    theirs, ours = context.Pipe(duplex=False)
    executor = ProcessPoolExecutor(workers, context, _begin, (theirs, initializer, initargs))
    try:
        yield executor
        executor.shutdown()
    finally:
        ours.close()
        executor.shutdown(cancel_futures=True)
        theirs.close()


def end_with_parent(worker: int = 0) -> None:
    """For a worker that something else has started, such as one of a DataLoader: torch looks every five seconds."""

    def wait() -> None:
        parent_process().join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _begin(parent: Connection, initializer: Callable[..., None] | None, initargs: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    if initializer:
        initializer(*initargs)


def _end_with(parent: Connection) -> None:
    try:
        parent.recv()  # nothing is ever sent
    except (EOFError, OSError):
        # The thread that writes has to end it: beside it, a file could be begun between the removal and the end.
        _thread.interrupt_main(signal.SIGTERM)
        until = time.monotonic() + PATIENCE
        while files.begun and time.monotonic() < until:
            time.sleep(0.01)
        _end()


def _end(*_: object) -> None:
    for temporary in tuple(files.begun):
        temporary.unlink(missing_ok=True)
    os._exit(1)
