"""How rows are run, apart from their recipes. These are options of `mgdm reproduce`; their texts here are its help."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mgdmkit.config import Config


@dataclass(frozen=True)
class Options(Config):
    """How rows are trained. What None leaves as it is in the recipes changes them, see `Recipe.changed`."""

    frozen: bool = False
    """Leave CLIP as it is and train on cached features; without it CLIP is also trained, as in the paper."""
    corpus: Literal[None, "own", "union"] = None
    """Mine the dataset's own labels, or the union of the three datasets' labels. When not given, the recipes decide:
    the union for HMDB51 and UCF101. Runs of both may share OUT."""
    recipes: Path | None = None
    """Recipes other than the kit's: a changed copy of its folder."""
    workers: int | None = None
    """Processes that decode; one per core, at most 8, when not given."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""
    rows: tuple[str, ...] = ()
    """Only these rows, such as 0 3-top; all of them when not given."""
    seeds: int = 1
    """Training runs of each row."""
    exclude: tuple[Path, ...] = ()
    """CSVs made by `mgdm near`, decided by hand, of labels that are not mined for each other."""
    clip: str | None = None
    """Instead of the recipes' ViT-L-14: a model of open_clip, or a folder made by `mgdm clip`."""
    pretrained: str | None = None
    """With an open_clip model: a pretrained tag such as openai, or the path of a checkpoint."""
    batch_size: int | None = None
    """Videos that a process contrasts with one another, 32 in the recipes. A video is contrasted with the
    texts of its batch, so a size other than the paper's 256 on all GPUs makes another row."""
    accumulate: int | None = None
    """Batches per step of the optimiser. This does not add texts to contrast a video with."""
    precision: Literal[None, "auto", "bf16", "fp16", "fp32"] = None
    """Precision of training and features: bf16, fp16 (CUDA only) or fp32; auto trains in bf16 on CUDA and keeps
    features in fp32. Fine-tuned runs are scored in fp32."""
    grad_checkpointing: bool | None = None
    """Compute CLIP's activations twice, as the recipes do; False: a quarter less work, several times the memory."""

    @property
    def training(self) -> str:
        return "frozen" if self.frozen else "fine-tuned"
