"""How long the kit takes to start: processor seconds of each way in, in a process of its own.

    OMP_NUM_THREADS=1 python benchmarks/startup.py

The median of several starts, user and system time together, so that other work on the machine does not count. The
first row is Python alone.
"""

import os
import statistics
import subprocess
import sys
from typing import NamedTuple

import tyro

HELP = "import sys; from mgdmkit.cli.main import main; sys.argv[:] = ['mgdm', {}]; main()"
WAYS = {
    "python": "pass",
    "import mgdmkit": "import mgdmkit",
    "from mgdmkit import MGDM": "from mgdmkit import MGDM",
    "from mgdmkit import load_run": "from mgdmkit import load_run",
    "import mgdmkit.experiments": "import mgdmkit.experiments",
    "mgdm --help": HELP.format("'--help'"),
    "mgdm mine --help": HELP.format("'mine', '--help'"),
}


class Start(NamedTuple):
    seconds: float
    modules: int
    """How many were imported."""


def start(code: str) -> Start:
    count = f"import atexit, sys; atexit.register(lambda: print(len(sys.modules), file=sys.stderr)); {code}"
    before = os.times()
    ended = subprocess.run([sys.executable, "-c", count], capture_output=True, text=True, check=True)
    after = os.times()
    seconds = after.children_user + after.children_system - before.children_user - before.children_system
    return Start(seconds, int(ended.stderr.split()[-1]))


def main(repeats: int = 5) -> None:
    """Print a row for each way in.

    Args:
        repeats: Starts of each; the first is left out, as it may have to compile.
    """
    print(f"{'':30} {'seconds':>7} {'modules':>7}")
    for name, code in WAYS.items():
        starts = [start(code) for _ in range(repeats + 1)][1:]
        print(f"{name:30} {statistics.median(s.seconds for s in starts):7.2f} {starts[0].modules:7}")


if __name__ == "__main__":
    tyro.cli(main)
