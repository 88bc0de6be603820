"""mgdmkit: a teaching and replication kit for MGDM, video recognition with augmented hard negatives."""

import os
from importlib import import_module

# Threads that wait for one another give the core back instead of spinning: with a second program on the machine the
# spinning costs up to forty times (benchmarks/contention.py). It counts only before torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"

_HOME = {
    "MGDM": "model",
    "MGDMConfig": "config",
    "MGDMOutput": "model",
    "Negatives": "mining",
    "TrainConfig": "config",
    "augmented_negative_loss": "loss",
    "augmented_targets": "loss",
    "load_run": "evaluation.recognizer",
    "mine_negatives": "mining",
    "random_negatives": "mining",
    "select": "mining",
}
"""Where each public name is. It is fetched when it is asked for: torch and open_clip take seconds, and `mgdm --help`
needs neither."""
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"mgdmkit.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOME]
