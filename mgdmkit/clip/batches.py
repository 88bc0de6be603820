"""Batches of pictures, made by worker processes beside the work that takes them."""

import pickle
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from mgdmkit.data.video import VideoError
from mgdmkit.pool import end_with_parent
from mgdmkit.runs.processes import local_cores


def load_batches(
    make: Callable[[Any], Any], items: Sequence, workers: int | None = None, prefetch: int = 2
) -> Iterator[Any]:
    """`make(item)` of every item in order, by worker processes, each `prefetch` ahead.

    A `VideoError` is raised as it is. Raised in a worker it would arrive with a traceback as its message, and keep the
    workers: until a garbage collection that waits five seconds for each.

    Args:
        workers: how many; None takes one per core (its share of the cores under torchrun), at most 8. 0: made here.
    """
    workers = min(8, local_cores()) if workers is None else workers
    if not workers:
        yield from map(make, items)
        return
    options = {"batch_size": None, "num_workers": workers, "prefetch_factor": prefetch}
    options |= {"collate_fn": partial(_pickled, make), "worker_init_fn": end_with_parent}
    for batch in DataLoader(items, **options):
        if isinstance(batch, VideoError):
            raise batch
        yield pickle.loads(batch)


def _pickled(make: Callable[[Any], Any], item: Any) -> bytes | VideoError:
    """Bytes, which travel through a pipe: tensors as such would need /dev/shm, of which a container has 64 MB."""
    try:
        return pickle.dumps(make(item), protocol=pickle.HIGHEST_PROTOCOL)
    except VideoError as error:
        return error


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
    cut = transforms.Compose([*cut, transforms.PILToTensor()])
    return cut, lambda pictures: normalise(pictures.contiguous().float().div(255))
