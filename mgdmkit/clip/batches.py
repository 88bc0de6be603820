"""Batches of pictures, made by worker processes beside the work that takes them."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from mgdmkit.data.video import VideoError
from mgdmkit.pool import end_with_parent


def load_batches(make: Callable[[Any], Any], items: Sequence, workers: int, prefetch: int = 2) -> Iterator[Any]:
    """`make(item)` of every item in order, by `workers` processes, each `prefetch` ahead; 0 of them work here.

    A `VideoError` is raised as it is. Raised in a worker it would arrive with a traceback as its message, and keep the
    workers: until a garbage collection that waits five seconds for each. Tensors travel as arrays, through a pipe: as
    such they would need room in /dev/shm, of which a container has 64 MB.
    """
    options = {"batch_size": None, "num_workers": workers, "prefetch_factor": prefetch if workers else None}
    options |= {"collate_fn": partial(_made_or_error, make), "worker_init_fn": end_with_parent}
    for batch in DataLoader(items, **options):
        if isinstance(batch, VideoError):
            raise batch
        yield _each(batch, _Parcel, _Parcel.open)


def _made_or_error(make: Callable[[Any], Any], item: Any) -> Any:
    try:
        return _each(make(item), Tensor, _Parcel.of)
    except VideoError as error:
        return error


class _Parcel(NamedTuple):
    """A tensor as an array in the order of its memory: pickled as it is, another order would be lost, and convolutions
    round by it."""

    array: np.ndarray
    order: list[int]
    """Which dimension of the tensor each of the array's is."""

    @classmethod
    def of(cls, tensor: Tensor) -> "_Parcel":
        order = sorted(range(tensor.ndim), key=tensor.stride, reverse=True)
        return cls(tensor.permute(order).numpy(), order)

    def open(self) -> Tensor:
        return torch.from_numpy(self.array).permute([self.order.index(d) for d in range(len(self.order))])


def _each(batch: Any, kind: type, change: Callable) -> Any:
    """A batch, or each part of one in several, changed where it is of a kind."""
    if isinstance(batch, kind):
        return change(batch)
    return tuple(_each(part, kind, change) for part in batch) if isinstance(batch, tuple) else batch


def in_two_parts(preprocess: Callable) -> tuple[Callable[[Image.Image], Tensor], Callable[[Tensor], Tensor]]:
    """A preprocessing as what makes bytes of a picture, for workers, and what is left, for whole batches of them.

    A byte travels between processes four times as fast as a float, and the result is the same to the bit. One that does
    not end as open_clip's do is left to the workers.
    """
    from torchvision import transforms  # here: reading features needs no pictures, and this takes two seconds

    steps = getattr(preprocess, "transforms", ())
    if len(steps) < 2 or not isinstance(steps[-2], transforms.ToTensor):
        return preprocess, lambda pictures: pictures
    *cut, _, normalise = steps
    return transforms.Compose([*cut, _as_bytes]), lambda pictures: normalise(pictures.float().div(255))


def _as_bytes(picture: Image.Image) -> Tensor:
    """uint8 (3, S, S)"""
    return torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1).contiguous()
