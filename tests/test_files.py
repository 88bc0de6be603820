"""Writing files: their mode, temporary names, what dead programs left, and a disk that is full."""

import errno
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import torch
from shell import mgdm

from mgdmkit import files
from mgdmkit.files import atomic, write_text_atomic
from mgdmkit.runs.folder import FolderError, load_tensors, reading, save_checkpoint, save_tensors

ON_POSIX = pytest.mark.skipif(os.name != "posix", reason="modes and process numbers are those of POSIX")


@ON_POSIX
@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077])
def test_a_new_file_may_be_read_by_whom_the_umask_says(umask, tmp_path):
    before = os.umask(umask)
    try:
        write_text_atomic(tmp_path / "text", "a")
        save_tensors(tmp_path / "tensors", {"a": torch.ones(2)})
        layer = torch.nn.Linear(2, 2)
        save_checkpoint(tmp_path / "checkpoint", layer, torch.optim.SGD(layer.parameters()))
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o666 & ~umask}


def left(path: Path, here: str, process: int) -> Path:
    temporary = path.with_name(f".{path.name}.{here}-{process}.tmp")
    temporary.write_text("half", encoding="utf-8")
    return temporary


@ON_POSIX
def test_what_a_dead_program_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path):
    path = tmp_path / "model [1].safetensors"
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    gone, lives = left(path, files._here(), dead.pid), left(path, files._here(), os.getppid())
    elsewhere, long_ago = left(path, "01234567", 1), left(path, "89abcdef", 1)
    os.utime(long_ago, (time.time() - 2 * files.ABANDONED,) * 2)
    other = left(tmp_path / "another", files._here(), dead.pid)
    write_text_atomic(path, "whole")
    assert not gone.exists() and not long_ago.exists()
    assert lives.exists() and elsewhere.exists() and other.exists() and path.read_text(encoding="utf-8") == "whole"


def test_two_containers_with_one_process_number_write_under_two_names(tmp_path, monkeypatch):
    with atomic(tmp_path / "a") as one:
        monkeypatch.setattr(files, "_here", lambda: "another1")
        with atomic(tmp_path / "a") as two:
            assert one != two
            two.write_text("two", encoding="utf-8")
        one.write_text("one", encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_nothing_is_left_of_a_failure(tmp_path):
    write_text_atomic(tmp_path / "a", "old")
    with pytest.raises(ZeroDivisionError), atomic(tmp_path / "a") as temporary:
        temporary.write_text("new", encoding="utf-8")
        raise ZeroDivisionError
    assert [path.read_text(encoding="utf-8") for path in tmp_path.iterdir()] == ["old"]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("I/O error: No space left on device (os error 28)"),
        RuntimeError("[enforce fail at inline_container.cc:664] . PytorchStreamWriter failed writing file data/0"),
    ],
)
def test_a_full_disk_is_told_with_the_path_whatever_the_writer_says(error, tmp_path):
    with pytest.raises(OSError) as told, atomic(tmp_path / "a"):
        raise error
    assert told.value.errno == errno.ENOSPC and told.value.filename == str(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of 300 KB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", place], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small disk needs a right that this user has not")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a tmpfs")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_command_on_a_full_disk_is_one_line_with_path_and_cure(small_disk, workers):
    ended = mgdm(f"toy --out {{out}} --train 1 --val 1 --test 1 --workers {workers}", out=small_disk / "toy")
    assert ended.status == 2
    last = ended.err.strip().splitlines()[-1]
    assert str(small_disk) in last and "no space left on its disk; free some" in last and "Traceback" not in ended.err
    assert not list(small_disk.rglob("*.tmp"))


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a tmpfs")
def test_tensors_and_checkpoints_on_a_full_disk(small_disk):
    layer = torch.nn.Linear(400, 400)
    with pytest.raises(OSError, match=r"model"):
        save_tensors(small_disk / "model", layer.state_dict())
    with pytest.raises(OSError, match=r"checkpoint"):
        save_checkpoint(small_disk / "checkpoint", layer, torch.optim.SGD(layer.parameters()))
    assert list(small_disk.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="becomes another user")
def test_what_another_user_may_not_read_is_told_as_that():
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are closed to other users
        Path(folder).chmod(0o755)
        path = save_tensors(Path(folder) / "a.safetensors", {"a": torch.ones(2)})
        path.with_name("sha256.json").unlink()
        path.chmod(0o600)
        try:
            os.seteuid(65534)
            told = r"a\.safetensors may not be read: permission denied"
            with pytest.raises(FolderError, match=told), reading(path, "delete it"):
                load_tensors(path)
        finally:
            os.seteuid(0)
