"""Every choice of a run, as frozen dataclasses: contradictions raise, and so do unknown keys."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args, get_origin

NegativeKind = Literal["top", "bot", "random", "adaptive"]
# The readings of the loss; `loss.py` says what each value does.
Target = Literal["normalized", "softmax10"]
EmptyColumns = Literal["drop", "uniform", "mask"]
T2vMean = Literal["nonempty", "all"]


def check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    """Raises `ValueError` naming the option, its value and the choices unless `value` is one of them."""
    if value not in allowed:
        raise ValueError(f"{name}={value!r} is not an option; choose one of {', '.join(map(repr, allowed))}")


def check_counts(**counts: int) -> None:
    """Raises `ValueError` naming the first of the options that is not at least 1."""
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name} must be at least 1, not {count}")


@dataclass(frozen=True)
class Config:
    """What all configurations share: options that take a few words only, and unknown keys as errors."""

    def __post_init__(self) -> None:
        for name, allowed in self.choices().items():
            check_choice(name, getattr(self, name), allowed)

    @classmethod
    def choices(cls) -> dict[str, tuple[str, ...]]:
        """Option -> the words that it takes, the default first; those whose type is a `Literal`."""
        fields = dataclasses.fields(cls)
        return {field.name: get_args(field.type) for field in fields if get_origin(field.type) is Literal}

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    def _refuse_without_effect(self, beside: str, *options: str) -> None:
        """`ValueError` for options other than by default: they would name a run after something it does not do.

        Args:
            beside: the choice that leaves them without effect.
        """
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        if changed := [name for name in options if getattr(self, name) != defaults[name]]:
            values = ", ".join(f"{name}={getattr(self, name)!r}" for name in changed)
            raise ValueError(f"{values} has no effect with {beside}; leave it out")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Build the configuration from a dictionary; `ValueError` for a key that is not a field."""
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"{cls.__name__} has no field {', '.join(unknown)}; it has {', '.join(sorted(known))}")
        return cls(**values)


FIXED = {"logit_scale": 100.0, "attention_temperature": 0.01}
"""The two temperatures of `temperatures="fixed"`: those of OpenAI's CLIP, where both come from its learned 1/tau."""


@dataclass(frozen=True)
class MGDMConfig(Config):
    """The model of section 2.3-2.4 of the paper. The defaults are the paper's, on CLIP ViT-L/14."""

    dim: int = 768
    """D, the width of CLIP's joint embedding: 768 for ViT-L/14. Commands take it from the features or the CLIP."""
    frames: int = 16
    """T, frames per video; `mgdm train` takes it from the features."""
    temporal_layers: int = 6
    """M_v, transformer blocks of the video representer; 6 + 2 fits the paper's Table 8."""
    semantic_layers: int = 2
    """M_t, transformer blocks of the semantic discriminator."""
    heads: int | None = None
    """Attention heads of every block; None means D/64, as in CLIP."""
    mlp_ratio: int = 4
    """Width of a block's MLP, in multiples of D."""
    representer: bool = True
    """False replaces the video representer by the mean of the frames (Table 7)."""
    discriminator: bool = True
    """False replaces the semantic discriminator by the raw text embeddings (Table 7)."""
    frame_positions: bool = True
    """Learned positions of the frames; not in eq. 13, but in the code bases that the paper builds on."""
    attention: Literal["cosine", "dot"] = "cosine"
    """What the softmax over frames of eq. 15 sees. The print multiplies without normalising (`dot`); the code bases
    that the paper builds on take the cosine over `attention_temperature`, nearly the same at CLIP's raw norms of 10."""
    guide: Literal["positive", "each"] = "positive"
    """Whose attention makes V (eq. 15): the group's positive text for all its columns, or each text for its own."""
    context: Literal["group", "joint"] = "group"
    """What one text of eq. 17 sees in training: its own group, or all l*g texts of the batch as one sequence."""
    similarity: Literal["cosine", "dot_text_normalized"] = "cosine"
    """Eq. 4 prints a plain product. `dot_text_normalized`: only the text has length 1, as in BIKE, so that a longer
    V gives larger logits."""
    temperatures: Literal["backbone", "fixed"] = "backbone"
    """Where the two temperatures below come from. In the code bases that the paper builds on both are CLIP's own:
    `backbone` takes the scale that this CLIP has learned. `fixed`: 100 and 0.01, those of OpenAI's weights."""
    logit_scale: float | None = None
    """Start of the learned 1/tau of eq. 7-8, at most 100, as in CLIP; None: what `temperatures` says."""
    attention_temperature: float | None = None
    """Temperature of the softmax of eq. 15 under `attention="cosine"`; None: what `temperatures` says."""

    def __post_init__(self) -> None:
        super().__post_init__()
        sizes = ("dim", "frames", "temporal_layers", "semantic_layers", "mlp_ratio")
        check_counts(**{name: getattr(self, name) for name in sizes})
        if self.heads is not None and self.heads < 1:
            raise ValueError(f"heads must be at least 1, not {self.heads}; None takes D/64")
        if self.dim % self.num_heads:
            raise ValueError(f"dim={self.dim} does not divide into {self.num_heads} heads; set heads")
        # A depth is let through, since the small model brings one also where a module is switched off.
        if not self.representer:
            options = ("attention", "attention_temperature", "guide", "frame_positions")
            self._refuse_without_effect("representer=False", *options)
        if not self.discriminator:
            self._refuse_without_effect("discriminator=False", "context")
        if self.attention == "dot":
            self._refuse_without_effect("attention='dot'", "attention_temperature")
        for name, fixed in FIXED.items():
            value = getattr(self, name)
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise ValueError(f"{name} must be positive, not {value}")
            if self.temperatures == "fixed" and value not in (None, fixed):
                raise ValueError(f"{name}={value} contradicts temperatures='fixed', which is {fixed}")
        if self.logit_scale is not None and self.logit_scale > 100:
            raise ValueError(f"logit_scale must lie in (0, 100], not {self.logit_scale}")
        if self.temperatures == "fixed":
            self._fill(**FIXED)

    def _fill(self, logit_scale: float, attention_temperature: float) -> None:
        """Set the temperatures that are not given; the plain product and the mean of the frames have none in eq. 15."""
        if self.logit_scale is None:
            object.__setattr__(self, "logit_scale", logit_scale)  # the dataclass is frozen
        if self.attention_temperature is None and self.representer and self.attention == "cosine":
            object.__setattr__(self, "attention_temperature", attention_temperature)

    def for_backbone(self, dim: int, logit_scale: float) -> Self:
        """The same model on a given CLIP: with its width, and its temperatures where none are given.

        The one place that decides the temperatures.

        Args:
            dim: D of the CLIP.
            logit_scale: the 1/tau that the CLIP has learned, at most 100.
        """
        config = dataclasses.replace(self, dim=dim)
        config._fill(logit_scale, 1 / logit_scale)
        return config

    def check_temperatures(self, *names: str) -> None:
        """`ValueError` for a temperature that nothing has decided yet."""
        if missing := [name for name in names if getattr(self, name) is None]:
            raise ValueError(
                f"{missing[0]} is not known: take the CLIP's own with config.for_backbone(dim, logit_scale), give a "
                f"number, or choose temperatures='fixed', which is that of OpenAI's weights"
            )

    @property
    def num_heads(self) -> int:
        """The number of heads in force: `heads`, or D/64 (at least 1)."""
        return self.heads or max(1, self.dim // 64)


@dataclass(frozen=True)
class TrainConfig(Config):
    """One training run. The defaults are the paper's recipe where it states one."""

    k: int = 7
    """Mined negatives per video; a group has 1 + k texts."""
    negatives: NegativeKind = "top"
    """Which k: the hardest (top), ranks 7-9 of the mined ones (bot), any other labels (random), or of the k hardest
    those within `margin` (adaptive), so that a video that CLIP is sure of has fewer."""
    margin: float = 2.0
    """How far below the positive an adaptive negative may lie: log of the ratio of CLIP's scores."""
    epochs: int = 20
    """Passes over the training videos."""
    batch_size: int = 32
    """Videos that are contrasted with one another; their texts are the batch's own groups."""
    accumulate: int = 1
    """Batches per step of the optimiser, which takes the mean of their gradients. That smooths a step, but does not
    give a video the negatives of a bigger batch: each batch is contrasted within itself."""
    lr: float = 5e-5
    """Peak learning rate of AdamW; small models trained from scratch need more, about 1e-3."""
    weight_decay: float = 0.2
    """AdamW weight decay, on matrices only: not on biases, norms, positions or the logit scale."""
    warmup_epochs: float = 5.0
    """Linear warm-up, counted in epochs and applied per step; then cosine to 0."""
    clip_grad_norm: float = 1.0
    """Gradients are scaled down to this norm; 0 switches it off."""
    target: Target = "normalized"
    """How a 0/1 row of Q becomes a distribution (see `loss.py`)."""
    empty_columns: EmptyColumns = "drop"
    """What a text column without a video of its class does in the text-to-video term (see `loss.py`)."""
    t2v_mean: T2vMean = "nonempty"
    """Over which columns the text-to-video term is averaged (see `loss.py`)."""
    seed: int = 0
    """Seeds the initialisation, the order of the videos and the random negatives."""
    precision: Literal["auto", "bf16", "fp16", "fp32"] = "auto"
    """Autocast of the network; the loss itself is in fp32. auto: bf16 on CUDA, else fp32. fp16 scales the loss, on
    CUDA only."""
    compile: bool = False
    """torch.compile: a slow first step, faster ones after it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.negatives != "adaptive":
            self._refuse_without_effect(f"negatives={self.negatives!r}", "margin")
        if self.empty_columns == "uniform":  # then every column has a target
            self._refuse_without_effect("empty_columns='uniform'", "t2v_mean")
        for name in ("epochs", "batch_size", "accumulate", "lr"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")
        for name in ("k", "weight_decay", "warmup_epochs", "clip_grad_norm"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, but is {getattr(self, name)}")
        if self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs={self.warmup_epochs} must be less than epochs={self.epochs}")


@dataclass(frozen=True)
class FineTuneConfig(Config):
    """What training on clips adds to `TrainConfig`: how much of CLIP learns, and what is drawn anew each epoch."""

    freeze: Literal["image", "none"] | int = "none"
    """What of CLIP's image encoder stays as it is: all (image), nothing (none), or all but its last n blocks, its last
    norm and its projection. The text encoder is always frozen."""
    clip_lr_ratio: float = 0.1
    """Learning rate of CLIP's weights, as a share of `lr`."""
    grad_checkpointing: bool = False
    """Compute the image encoder's activations again in the backward pass: less memory, about a third more time."""
    crop_scale: float = 0.4
    """The smallest random crop, as a share of the frame's area; 1 takes nearly the whole frame."""
    flip: bool = False
    """Mirror half of the clips. It makes left and right one class, so leave it off where labels tell them apart."""

    def __post_init__(self) -> None:
        if isinstance(self.freeze, str):
            check_choice("freeze", self.freeze, ("image", "none"))
        elif isinstance(self.freeze, bool) or self.freeze < 1:
            raise ValueError(f"freeze={self.freeze!r} must be 'image', 'none', or how many last blocks train, from 1")
        if not 0 < self.clip_lr_ratio <= 1:
            raise ValueError(f"clip_lr_ratio must lie in (0, 1], not {self.clip_lr_ratio}; freeze='image' trains none")
        if self.freeze == "image":
            self._refuse_without_effect("freeze='image'", "clip_lr_ratio", "grad_checkpointing")
        if not 0 < self.crop_scale <= 1:
            raise ValueError(f"crop_scale must lie in (0, 1], not {self.crop_scale}")


# What the small model uses instead of the paper's recipe, from results/recipe.csv: the validation split of StickActions
# asks for even more epochs, which `make demo` has no time for; a higher lr gained nothing.
SMALL_MODEL: dict[str, Any] = {"temporal_layers": 2, "semantic_layers": 2}
SMALL_TRAIN: dict[str, Any] = {"lr": 3e-3, "epochs": 80, "warmup_epochs": 8.0}
# The small CLIP has never seen a crop: at 0.4 of the area its zero-shot score on StickActions falls from 51% to 15%.
SMALL_FINETUNE: dict[str, Any] = {"crop_scale": 1.0}
