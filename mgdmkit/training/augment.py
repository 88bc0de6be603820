"""How a clip on disk becomes the pixels that an image encoder sees: at random for training, fixed for testing.

Training takes one random frame of each of T equal segments and one random crop of them all; testing the centre frame
of each segment and the CLIP's own preprocessing, as cached features are made. What is drawn for a clip is a function
of (seed, epoch, clip), whatever the batch and the worker.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mgdmkit.clip.backbone import FrozenClip
from mgdmkit.clip.batches import load_batches
from mgdmkit.clip.features import pixels
from mgdmkit.config import FineTuneConfig
from mgdmkit.data.manifest import Manifest
from mgdmkit.data.video import read_segments

RATIO = (0.8, 1.25)  # width to height of a crop, before it is made square
SHORT_SIDE = 256 / 224  # of the decoded frame, in multiples of the CLIP's picture


class RandomView:
    """T frames of a clip, decoded and cropped at random, and flipped if asked: alike in all T frames."""

    def __init__(self, size: tuple[int, int], frames: int, config: FineTuneConfig):
        from torchvision.transforms import v2  # here: it takes two seconds that training on features has no use for

        self.frames = frames
        self.short_side = round(SHORT_SIDE * min(size))
        scale, bicubic = (config.crop_scale, 1.0), v2.InterpolationMode.BICUBIC
        crop = v2.RandomResizedCrop(size, scale=scale, ratio=RATIO, interpolation=bicubic, antialias=True)
        self.transform = v2.Compose([crop, v2.RandomHorizontalFlip()]) if config.flip else crop

    def __call__(self, path: Path, seed: int) -> Tensor:
        """uint8 (T, 3, S, S), the same for the same seed; `VideoError` as `read_segments`."""
        generator = torch.Generator().manual_seed(seed)
        frames = torch.from_numpy(read_segments(path, self.frames, "random", generator, self.short_side))
        with torch.random.fork_rng(devices=[]):  # torchvision draws from the global generator only
            torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
            return self.transform(frames.permute(0, 3, 1, 2))


class Clips:
    """The clips of a manifest as a training set of pixels, drawn anew in each epoch, and as a test set.

    Args:
        manifest: one split of it; `labels` (N,) are indices into its classes.
        clip: whose picture size, mean and deviation the pixels get.
        frames: T, frames of a clip.
        seed: with epoch and clip it decides what is drawn.
        workers: processes that decode, see `load_batches`.
    """

    def __init__(
        self,
        manifest: Manifest,
        clip: FrozenClip,
        frames: int,
        config: FineTuneConfig = FineTuneConfig(),  # noqa: B008 - frozen
        *,
        seed: int = 0,
        workers: int | None = None,
    ):
        self.labels = label_indices(manifest)
        self.paths, self.frames, self.seed = manifest.video_paths, frames, seed
        self.preprocess, cfg = clip.preprocess, clip.model.visual.preprocess_cfg
        size = cfg["size"]
        size = (size, size) if isinstance(size, int) else tuple(size)
        self.view, self.none = RandomView(size, frames, config), torch.empty(0, frames, 3, *size)
        self.mean, self.std = (torch.tensor(cfg[name]).view(3, 1, 1) for name in ("mean", "std"))
        self.workers = workers

    def __len__(self) -> int:
        return len(self.paths)

    def batches(self, order: list[Tensor], epoch: int) -> Iterator[Tensor]:
        """Training: for each tensor of b clip indices normalised pixels (b, T, 3, S, S)."""
        for pictures in load_batches(partial(self._views, epoch), order, self.workers):
            # Normalised here, since workers pass on a byte four times as fast as a float.
            yield (pictures.float() / 255 - self.mean) / self.std

    def centre_batches(self, rows: Tensor, batch_size: int = 8) -> Iterator[Tensor]:
        """Testing: normalised pixels (b, T, 3, S, S) of the clips of these rows, as `extract_features` makes them."""
        read = partial(pixels, T=self.frames, preprocess=self.preprocess)
        batches = [[self.paths[row] for row in batch] for batch in rows.split(batch_size)]
        return load_batches(read, batches, self.workers) if len(rows) else iter([self.none])

    def _views(self, epoch: int, batch: Tensor) -> Tensor:
        views = [self.view(self.paths[clip], _seed(self.seed, epoch, clip)) for clip in batch.tolist()]
        return torch.stack(views) if views else self.none


def label_indices(manifest: Manifest) -> Tensor:
    """(N,) each clip's index into the manifest's classes."""
    index = {name: i for i, name in enumerate(manifest.classes)}
    return torch.tensor([index[label] for label in manifest.table["label"]])


def _seed(seed: int, epoch: int, clip: int) -> int:
    """63 bits that differ for each clip in each epoch of each run."""
    return int(np.random.SeedSequence((seed, epoch, clip)).generate_state(1, np.uint64)[0] >> 1)
