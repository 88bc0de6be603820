"""Worker processes: they work, an error ends them, and so does the end of the program that started them."""

import signal
import subprocess
import sys
import time

import psutil
import pytest

from mgdmkit import files
from mgdmkit.pool import pool


def test_what_a_worker_returns_and_raises_comes_back():
    with pool(2) as workers:
        assert list(workers.map(abs, [-1, -2, 3])) == [1, 2, 3]
        with pytest.raises(ValueError, match="invalid literal"):
            workers.submit(int, "x").result()


def test_an_error_ends_busy_workers_at_once():
    started = time.monotonic()
    with pytest.raises(ZeroDivisionError), pool(1) as workers:
        workers.submit(abs, 1).result()
        workers.submit(time.sleep, 60)
        time.sleep(0.5)
        raise ZeroDivisionError
    assert time.monotonic() - started < 30


def _write_for_ever(folder, i):
    while True:
        with files.atomic(folder / str(i)) as temporary:
            temporary.unlink()
            temporary.write_text("x" * 1000, encoding="utf-8")


def test_an_error_leaves_no_file_half_written(tmp_path):
    for _ in range(5):
        with pytest.raises(ZeroDivisionError), pool(2) as workers:
            for i in range(2):
                workers.submit(_write_for_ever, tmp_path, i)
            while len([path for path in tmp_path.iterdir() if path.suffix != ".tmp"]) < 2:
                time.sleep(0.01)
            raise ZeroDivisionError
        assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1"]


BUSY = """
import signal
import sys
import time
from pathlib import Path

from mgdmkit.pool import pool

def work(folder, i):
    (Path(folder) / str(i)).touch()
    time.sleep(300)

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored by what a shell starts behind it
    with pool(2) as workers:
        list(workers.map(work, [sys.argv[1]] * 9, range(9)))
"""


@pytest.mark.slow
@pytest.mark.parametrize("sent", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_no_worker_outlives_its_parent(tmp_path, sent):
    (tmp_path / "busy.py").write_text(BUSY, encoding="utf-8")
    begun = tmp_path / "begun"
    begun.mkdir()
    parent = psutil.Popen([sys.executable, tmp_path / "busy.py", begun], stderr=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while len(list(begun.iterdir())) < 2:
        assert time.monotonic() < until and parent.poll() is None
        time.sleep(0.1)
    workers = parent.children(recursive=True)
    parent.send_signal(getattr(signal, sent))
    _, alive = psutil.wait_procs([parent, *workers], timeout=15)  # at once on an idle machine
    for process in alive:
        process.kill()
    assert len(workers) >= 2 and not alive
