"""Training the small CLIP from scratch, contrastively, on stills and their captions.

The loss is eq. 5-9 with k = 0 on pictures instead of videos: pictures of a batch that share a caption are positives of
one another. No picture is shown twice: stick stills are rendered anew for every step, real frames drawn and cropped.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from mgdmkit.clip.backbone import FrozenClip, load_clip
from mgdmkit.clip.batches import load_batches
from mgdmkit.clip.later import open_clip
from mgdmkit.clip.small import new_small_clip, save_small_clip, small_config
from mgdmkit.config import Config
from mgdmkit.data.corpus import PROMPT
from mgdmkit.data.manifest import Manifest
from mgdmkit.data.video import read_segments
from mgdmkit.loss import augmented_negative_loss, augmented_targets
from mgdmkit.runs.folder import claim, load_checkpoint, save_checkpoint
from mgdmkit.runs.processes import choose_device, threads_for
from mgdmkit.runs.trained import write_history
from mgdmkit.stickactions.dataset import DATASET_VERSION, render_still
from mgdmkit.training.optim import Diverged, learning_rate, parameter_groups

CHECKPOINT_EVERY = 100  # steps: what an interruption can cost


@dataclass(frozen=True)
class PretrainConfig(Config):
    """How the small CLIP is trained."""

    steps: int = 600
    """Steps of the optimiser."""
    batch_size: int = 128
    """Pictures with their captions per step."""
    lr: float = 1.5e-3
    """Peak learning rate of AdamW; linear warm-up over the first tenth, then cosine to 0."""
    weight_decay: float = 0.1
    """AdamW weight decay, on matrices only."""
    seed: int = 0
    """Seeds the weights and the choice of pictures."""

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "lr"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")


class StickStills:
    """Fresh StickActions stills with captions: item i is a batch, a function of (seed, i) alone."""

    def __init__(self, config: PretrainConfig):
        if config.batch_size < 2:
            raise ValueError("batch_size=1: one caption has no other to be told apart from; give at least 2")
        self.seed, self.batch_size = config.seed, config.batch_size
        self.image_size = small_config()["model_cfg"]["vision_cfg"]["image_size"]
        self.fingerprint = f"StickActions {DATASET_VERSION}"

    def __getitem__(self, i: int) -> tuple[Tensor, list[str]]:
        numbers = range(i * self.batch_size, (i + 1) * self.batch_size)
        stills = [render_still("train", self.seed, number, self.image_size) for number in numbers]
        pictures = torch.stack([torch.from_numpy(picture) for picture, _ in stills])  # (n, S, S, 3)
        captions = [caption for _, caption in stills]
        # A third only says its first clause, in the prompt: the text encoder must have read sentences of this kind.
        captions[::3] = [PROMPT.format(caption.split(",")[0]) for caption in captions[::3]]
        return pictures.permute(0, 3, 1, 2), captions


CLASS_CAPTIONS = ("a photo of {}", "a video frame of {}", "this is a video about {}", "people doing {}", "{}")


class ClipStills:
    """Random frames, randomly cropped, of random training clips; the captions are made of the class names."""

    def __init__(self, manifest: Manifest, config: PretrainConfig, frames_per_clip: int = 16):
        from torchvision.transforms.v2 import RandomResizedCrop  # here, as in augment.py

        if config.batch_size <= frames_per_clip:
            raise ValueError(
                f"batch_size={config.batch_size}: {frames_per_clip} pictures of a batch are of one clip with one "
                f"caption, which has no other to be told apart from; give at least {frames_per_clip + 1}"
            )
        if len(held := sorted(set(manifest.table["label"]))) < 2:
            raise ValueError(f"{manifest.path}: its clips are all of {held[0]!r}; captions of two classes are needed")
        self.paths, self.labels = manifest.video_paths, list(manifest.table["label"])
        self.seed, self.batch_size, self.frames_per_clip = config.seed, config.batch_size, frames_per_clip
        size = small_config()["model_cfg"]["vision_cfg"]["image_size"]
        self.short_side = round(1.25 * size)
        self.crop = RandomResizedCrop(size, scale=(0.4, 1.0), ratio=(0.8, 1.25), antialias=True)
        self.fingerprint = f"manifest {manifest.fingerprint()}"

    def __getitem__(self, i: int) -> tuple[Tensor, list[str]]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + i)
        clips = -(-self.batch_size // self.frames_per_clip)
        chosen = torch.randint(len(self.paths), (clips,), generator=generator).tolist()
        # One wording a batch: two wordings of one class would be pushed apart.
        wording = CLASS_CAPTIONS[int(torch.randint(len(CLASS_CAPTIONS), (), generator=generator))]
        pictures, captions = [], []
        for clip in chosen:
            frames = read_segments(self.paths[clip], self.frames_per_clip, "random", generator, self.short_side)
            with torch.random.fork_rng(devices=[]):  # the crop knows only the global generator
                torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
                pictures += [self.crop(torch.from_numpy(frame).permute(2, 0, 1)) for frame in frames]
            captions += [wording.format(self.labels[clip])] * self.frames_per_clip
        return torch.stack(pictures[: self.batch_size]), captions[: self.batch_size]


def pretrain(
    stills: StickStills | ClipStills,
    config: PretrainConfig,
    out: Path,
    *,
    device: str = "auto",
    workers: int = 1,
    quiet: bool = False,
) -> FrozenClip:
    """Train the small CLIP and leave it in `out`, in open_clip's own form (`local-dir:<out>`).

    A finished training is loaded, an interrupted one continues from its last checkpoint.

    Args:
        workers: processes that render or decode beside the training.
    Raises:
        FolderError: when `out` holds a CLIP trained otherwise.
    """
    recipe = {"config": config.to_dict(), "stills": stills.fingerprint, "model": small_config()}
    claim(out / "clip_training.json", recipe)
    if (out / "open_clip_model.safetensors").is_file():
        (out / "checkpoint.pt").unlink(missing_ok=True)  # of a death after the last step
        return load_clip(str(out))
    where = choose_device(device)
    model = new_small_clip(config.seed).to(where).train()
    groups = parameter_groups(model, config.weight_decay)
    optimizer = torch.optim.AdamW(groups, lr=config.lr, betas=(0.9, 0.98), eps=1e-6)
    progress = load_checkpoint(out / "checkpoint.pt", model, optimizer)
    first, history = progress.get("step", 0), progress.get("history", [])
    tokenizer = open_clip.tokenizer.SimpleTokenizer(context_length=model.context_length)
    batches = load_batches(stills.__getitem__, range(first, config.steps), workers, prefetch=4)
    bar = tqdm(batches, desc="small CLIP", initial=first, total=config.steps, unit="step", disable=quiet)
    with threads_for(model):
        for step, (pictures, captions) in enumerate(bar, start=first):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, config.steps, config.steps // 10, config.lr)
            loss = contrastive_loss(model, normalise(pictures.to(where)), tokenizer(captions).to(where))
            if not loss.isfinite():
                raise Diverged(f"step {step + 1} of {config.steps}", f"the loss is {loss.item()}", group["lr"])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            model.logit_scale.data.clamp_(max=torch.tensor(100.0).log().item())
            if step % 20 == 0 or step == config.steps - 1:
                losses = {"loss": loss.item(), "chance": chance_loss(captions)}
                history.append({"step": step, **losses, "logit_scale": model.logit_scale.exp().item()})
                bar.set_postfix(loss=f"{loss.item():.2f}")
            if (step + 1) % CHECKPOINT_EVERY == 0:
                save_checkpoint(out / "checkpoint.pt", model, optimizer, step=step + 1, history=history)
    if not all(parameter.isfinite().all() for parameter in model.parameters()):
        raise Diverged("the last step", "it left weights that are no numbers", config.lr)
    write_history(out, history)
    save_small_clip(model, out)
    (out / "checkpoint.pt").unlink(missing_ok=True)
    return load_clip(str(out))


def contrastive_loss(model: nn.Module, pictures: Tensor, tokens: Tensor) -> Tensor:
    """Eq. 5-9 with k = 0: equal captions are one class. (n, 3, S, S) and (n, L) -> scalar."""
    _, caption_ids = tokens.unique(dim=0, return_inverse=True)
    image_features = model.encode_image(pictures, normalize=True)
    text_features = model.encode_text(tokens, normalize=True)
    logits = model.logit_scale.exp() * image_features @ text_features.T
    return augmented_negative_loss(logits[:, :, None], augmented_targets(caption_ids, caption_ids[:, None]))


def chance_loss(captions: Sequence[str]) -> float:
    """`contrastive_loss` of a model that finds all pictures and captions alike; equal captions are one class."""
    n, times = len(captions), Counter(captions)
    return sum(math.log(n / times[caption]) for caption in captions) / n


def normalise(pictures: Tensor) -> Tensor:
    """uint8 (n, 3, S, S) -> float, with the mean and deviation of the small CLIP's preprocessing."""
    preprocess = small_config()["preprocess_cfg"]
    mean, std = (pictures.new_tensor(preprocess[key], dtype=torch.float32).view(3, 1, 1) for key in ("mean", "std"))
    return (pictures.float() / 255 - mean) / std
