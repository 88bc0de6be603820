"""What a right answer has to be in 01, videos and CLIP."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import av
import torch.nn.functional as F
from torch import Tensor

from mgdmkit.data import decord_frames, read_frames, segment_indices
from mgdmkit.experiments import Prepared
from mgdmkit.mining import zero_shot_logits


def exercise1(answer: tuple[int, int]) -> None:
    first, last = answer
    assert first == 5 * 100 // 16, "The first frame is off: a segment begins at floor(i N / T), and i counts from 0."
    assert last != 6 * 100 // 16, "That frame is the first one of the next segment."
    assert last == 6 * 100 // 16 - 1, "The last frame is off: where does the next segment begin?"


def exercise2(answer: Mapping[int, float], prepared: Prepared) -> None:
    test, texts = prepared.videos("test"), prepared.features.text_features
    assert set(answer) == {1, 2, 4, 8, 16}, "One share for each of 1, 2, 4, 8 and 16 frames is wanted."
    assert all(0 <= share <= 1 for share in answer.values()), "Shares between 0 and 1 are wanted, not percent."
    for count, share in sorted(answer.items()):
        few = zero_shot_logits(test.frame_features[:, :: 16 // count], texts)
        right = (few.argmax(dim=1) == test.labels).float().mean()
        assert abs(share - right) < 0.006, f"With {count} of the 16 frames Top-1 is another. Start at the first frame."


def exercise3(answer: tuple[int, int, str], folder: Path) -> None:
    *right, error = answer
    wanted = segment_indices(100, 16)
    for name, codec, hits in zip(("plain.avi", "numbered.mp4"), ("mpeg4", "h264"), right, strict=True):
        film = folder / name
        assert film.is_file(), f"{name} is missing: write it into the folder of `film`."
        assert _codec(film) == codec, f"{name} is coded with {_codec(film)}, not with {codec}."
        assert _numbers(read_frames(film, [0, 50, 99])) == [0, 50, 99], f"{name}: its frames must carry their numbers."
        assert hits == sum(map(int.__eq__, _numbers(decord_frames(film, wanted)), wanted)), (
            f"{name}: compare decord's 16 frames with those asked for, one by one."
        )
    assert not _has_b_frames(folder / "plain.avi"), "plain.avi still has B-frames: bf is an option of the stream."
    try:
        read_frames(folder / "numbered.mp4", [100])
    except IndexError as raised:
        assert error == type(raised).__name__, "Ask for frame 100: which class of error is raised?"


def exercise4(answer: Tensor, prepared: Prepared) -> None:
    test, texts = prepared.videos("test"), prepared.features.text_features
    frames, size = test.frame_features, (len(test.labels), len(texts))
    assert tuple(answer.shape) == size, f"One score per clip and label is wanted, {size}, not {tuple(answer.shape)}."
    best = (F.normalize(frames, dim=-1) @ F.normalize(texts, dim=-1).T).amax(dim=1)
    mean = zero_shot_logits(frames, texts)
    same, as_mean = ((answer.argmax(dim=1) == other.argmax(dim=1)).float().mean() for other in (best, mean))
    assert same > 0.99 or as_mean < 0.99, "These rank the labels as the mean of the frames does."
    assert same > 0.99, "The best labels are others. Bring frames and labels to length 1, then look for the largest."


def _codec(film: Path) -> str:
    with av.open(str(film)) as container:
        return container.streams.video[0].codec_context.name


def _has_b_frames(film: Path) -> bool:
    with av.open(str(film)) as container:
        return any(frame.pict_type == av.video.frame.PictureType.B for frame in container.decode(video=0))


def _numbers(frames: Iterable[Any]) -> list[int]:
    """The number that each frame of the lesson's film carries."""
    return [round((pixels.mean(axis=(0, 2)) > 135).sum() / 2) for pixels in frames]
