"""Writing files so that a death, a full disk or a second program leaves nothing that could be believed."""

import errno
import glob
import hashlib
import os
import platform
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

ABANDONED = 24 * 3600
"""Seconds after which a temporary file that another machine or container has begun counts as left behind."""


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to: it becomes `path` when all went well, and is removed when not.

    The new file may be read and written by whom the umask says, whatever wrote it. What dead programs began for the
    same path is removed.

    Raises:
        OSError: what the system says, with the path; also where a writer told a full disk in words of its own.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        if _is_left_behind(left):
            left.unlink(missing_ok=True)
    temporary = path.with_name(f".{path.name}.{_here()}-{os.getpid()}.tmp")
    begun.add(temporary)
    try:
        temporary.touch()
        mode = temporary.stat().st_mode & 0o777
        yield temporary
        temporary.chmod(mode)  # safetensors writes a file that nobody else may read
        temporary.replace(path)
    except OSError as error:
        if error.filename in (None, str(temporary), temporary):
            raise OSError(error.errno, error.strerror or str(error), str(path)) from error
        raise
    except Exception as error:
        full = shutil.disk_usage(path.parent).free < 2**16
        if full or "No space left" in str(error) or "writer failed writing" in str(error).lower():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)
        begun.discard(temporary)


begun: set[Path] = set()
"""What this process is writing, for who has to end it at once."""


def write_text_atomic(path: Path, text: str) -> None:
    """Write `text` to `path` so that a reader sees the old file or the whole new one, never a part."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def keep_text(path: Path, text: str) -> None:
    """`write_text_atomic`, unless the file is there and the very same."""
    if not path.is_file() or path.read_bytes() != text.encode():
        write_text_atomic(path, text)


def sha256(path: Path) -> str:
    """64 hex digits over what a file holds."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def _here() -> str:
    """8 hex digits that two machines, or two containers with the same process numbers, do not share."""
    told = [platform.node()]
    with suppress(OSError):  # Linux has both
        told.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
        told.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:8]


def _is_left_behind(temporary: Path) -> bool:
    here, _, process = temporary.name.removesuffix(".tmp").rpartition(".")[2].partition("-")
    try:
        if here == _here() and process.isdigit() and os.name == "posix":
            os.kill(int(process), 0)
            return False
        return time.time() - temporary.stat().st_mtime > ABANDONED
    except OSError as error:  # its process is gone; not: another user's, or the file just renamed or removed
        return isinstance(error, ProcessLookupError)
