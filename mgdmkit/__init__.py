"""mgdmkit: a teaching and replication kit for MGDM, video recognition with augmented hard negatives."""

__version__ = "0.1.0"
