"""mgdmkit: a teaching and replication kit for MGDM, video recognition with augmented hard negatives."""

from mgdmkit.config import MGDMConfig, TrainConfig
from mgdmkit.loss import augmented_negative_loss, augmented_targets
from mgdmkit.mining import Negatives, mine_negatives, random_negatives, select
from mgdmkit.model import MGDM, MGDMOutput

__version__ = "0.1.0"
__all__ = [
    "MGDM",
    "MGDMConfig",
    "MGDMOutput",
    "Negatives",
    "TrainConfig",
    "augmented_negative_loss",
    "augmented_targets",
    "load_run",
    "mine_negatives",
    "random_negatives",
    "select",
]


def __getattr__(name: str):
    if name == "load_run":  # brings open_clip along: seconds that `import mgdmkit` alone need not take
        from mgdmkit.evaluation.recognizer import load_run

        return load_run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
