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
    "mine_negatives",
    "random_negatives",
    "select",
]
