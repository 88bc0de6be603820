"""However a command is stopped, no process of it goes on, and nothing half-written is left for the next."""

import signal
import subprocess
import sys
import time

import psutil
import pytest

COMMANDS = {
    "toy": "toy --out {out} --train 40 --workers 2",
    "notebooks": "notebooks --preset smoke --only 01 --out {out}",
    "clip": "clip --out {out} --steps 100000 --batch-size 8 --workers 2",
}
STOPS = {"Ctrl-C": ["SIGINT"], "Ctrl-C twice": ["SIGINT", "SIGINT"], "TERM": ["SIGTERM"], "KILL": ["SIGKILL"]}
# What a shell starts behind it ignores Ctrl-C.
MGDM = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from mgdmkit.cli.main import main; main()"
)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")
@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("command", COMMANDS)
def test_no_process_goes_on(command, stop, tmp_path):
    words = COMMANDS[command].format(out=tmp_path / "out").split()
    parent = psutil.Popen([sys.executable, "-c", MGDM, *words], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    until = time.monotonic() + 200
    while not _works(command, parent, tmp_path / "out"):
        assert time.monotonic() < until and parent.poll() is None
        time.sleep(0.1)
    family = [parent, *parent.children(recursive=True)]
    for sent in STOPS[stop]:
        parent.send_signal(getattr(signal, sent))
        time.sleep(0.2)
    _, alive = psutil.wait_procs(family, timeout=15)  # seconds on an idle machine
    for process in alive:
        process.kill()
    assert len(family) >= 3 and not alive


def _works(command, parent, out):
    if command != "clip":
        return len(list(out.rglob("*.mp4"))) > 2
    return len(parent.children()) >= 2 and sum(parent.cpu_times()[:2]) > 8  # imports take less
