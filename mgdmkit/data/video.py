"""Which frames of a clip to take, and how to get exactly those.

A clip is decoded with PyAV from its first frame on, and frames are counted: right by construction. The usual reader of
this field, decord's `get_batch`, seeks, and silently returns other frames on AVI files with B-frames (all of HMDB51
that was tried) and on MP4 files with an edit list; `decord_frames` is here to show it. In a clip seeking would hardly
pay, as T frames spread over it touch nearly every group of pictures (docs/performance.md has times). In a film of
`LONG` frames or more it does: there the kit seeks by timestamps, where that gives the same frames.

Each call opens and closes the file with one decoding thread; for more cores take `DataLoader` workers, a clip each.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import pairwise
from operator import index as as_int
from pathlib import Path
from typing import Literal, get_args

import av
import numpy as np
import torch
from av.container import InputContainer
from av.video.frame import PictureType
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from PIL import Image

from mgdmkit.config import check_choice

Mode = Literal["center", "random"]

_MEND = "replace the file, or leave the clip out"


class VideoError(Exception):
    """A video that cannot be read whole; the message names the file, the cause and what to do."""


def segment_indices(
    num_frames: int, T: int, mode: Mode = "center", generator: torch.Generator | None = None
) -> list[int]:
    """T frame indices in order, one from each of T equal segments of a clip of N = `num_frames` frames.

    Segment i starts at frame s = floor(i N / T) and ends before frame floor((i + 1) N / T); it holds frame s alone
    where these are the same, so that a clip with N < T repeats frames. Of the n frames in a segment "center" takes
    s + floor(n / 2) and "random" each with the same chance, by exactly T draws from `generator`.
    `ValueError` for no frames, no segments, an unknown mode, or "random" without a generator.
    """
    if num_frames < 1:
        raise ValueError(f"a clip of {num_frames} frames has no segments")
    return _indices(num_frames, _places(T, mode, generator))


def _places(T: int, mode: Mode, generator: torch.Generator | None) -> list[float]:
    """For each segment the place in it, in [0, 1): this does not depend on the number of frames."""
    if T < 1:
        raise ValueError(f"T={T}: at least one segment is needed")
    check_choice("mode", mode, get_args(Mode))
    if mode == "center":
        return [0.5] * T
    if generator is None:
        raise ValueError("mode='random' needs a torch.Generator, so that the run can be repeated")
    return torch.rand(T, generator=generator, dtype=torch.float64).tolist()


def _indices(num_frames: int, places: list[float]) -> list[int]:
    starts = [i * num_frames // len(places) for i in range(len(places) + 1)]
    segments = zip(pairwise(starts), places, strict=True)
    return [start + int(place * max(1, stop - start)) for (start, stop), place in segments]


def count_frames(path: Path | str) -> int:
    """How many frames can really be decoded, whatever the container says; nothing is converted to RGB.

    `VideoError` if the file is missing, a directory, empty, corrupt, truncated, or has no video stream. A cut-off
    AVI, MKV/WebM or MP4 is known by what its header declares, to within 2 frames or 2% of it; the headers of other
    containers, and of an MP4 in fragments, do not tell.
    """
    with closing(_decode(path)) as frames:
        return sum(1 for _ in frames)


def read_frames(path: Path | str, indices: Sequence[int], short_side: int | None = None) -> np.ndarray:
    """Exactly the frames `indices`, in that order, repeats allowed: uint8 (n, H, W, 3), RGB, as a player turns them.

    `short_side`: pixels of the shorter side after an antialiased bicubic resize that keeps the frame's aspect.
    Decoding stops after the last frame asked for, so damage behind it is not seen.
    `IndexError` for an index below 0 or beyond the last frame; `VideoError` as for `count_frames`.
    """
    indices = [as_int(i) for i in indices]
    if not indices:
        raise ValueError(f"{path}: no frame indices given")
    found, _ = _collect(path, indices, short_side, last=max(indices))
    if absent := [i for i in indices if i not in found]:
        raise IndexError(f"{path}: frame {absent[0]} is not there; it has {count_frames(path)} frames, counted from 0")
    return _stack(path, found, indices)


def read_segments(
    path: Path | str,
    T: int,
    mode: Mode = "center",
    generator: torch.Generator | None = None,
    short_side: int | None = None,
) -> np.ndarray:
    """The frames of `segment_indices(count_frames(path), T, mode, generator)`, read and returned by `read_frames`.

    uint8 (T, H, W, 3), in one pass where the two calls would decode twice: packets are counted without decoding,
    the frames that this count asks for are kept while the clip is decoded to its end, and only if there were more
    or fewer frames than packets is it decoded once more. `VideoError` as for `count_frames`.

    Of a film of at least `LONG` frames only what is needed is decoded, and damage elsewhere in it is not seen.
    """
    places = _places(T, mode, generator)
    guess = max(1, _count_packets(path))
    indices = _indices(guess, places)
    if guess >= LONG and (found := _seek(path, indices, short_side)):
        return _stack(path, found, indices)
    found, count = _collect(path, indices, short_side)
    if count != guess:
        indices = _indices(count, places)
        found, _ = _collect(path, indices, short_side)
    return _stack(path, found, indices)


def decord_frames(path: Path | str, indices: Sequence[int]) -> np.ndarray:
    """What decord's `get_batch` returns, uint8 (n, H, W, 3). For comparison only: these can be other frames."""
    import decord

    return decord.VideoReader(str(path), num_threads=1).get_batch(list(indices)).asnumpy()


@contextmanager
def opened(path: Path | str) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container and its first video stream; whatever fails while they are open is a `VideoError`."""
    path = Path(path)
    try:
        # FFmpeg would wait for ever at a named pipe, and tells little of a directory or an empty file.
        if not path.is_file():
            raise VideoError(f"{path} is {'not a file' if path.exists() else 'missing'}; {_MEND}")
        if not path.stat().st_size:
            raise VideoError(f"{path} is empty (0 bytes); {_MEND}")
        # Absolute, lest FFmpeg take "a:b.avi" for an address.
        with av.open(str(path.absolute()), metadata_errors="replace") as container:
            cover = av.stream.Disposition.attached_pic  # the picture in a sound file
            streams = [stream for stream in container.streams.video if not stream.disposition & cover]
            if not streams:
                raise VideoError(f"{path} has no video stream, or has lost its header; {_MEND}")
            if streams[0].codec_context is None:
                raise VideoError(f"{path}: PyAV has no decoder for its codec; convert it to H.264")
            streams[0].codec_context.thread_count = 1
            yield container, streams[0]
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"{path} cannot be read ({error.strerror or error}); {_MEND}") from error


def _decode(path: Path | str) -> Iterator[av.VideoFrame]:
    """All frames in the order shown; who reads to the end gets a `VideoError` if the file is damaged or cut off."""
    with opened(path) as (container, stream):
        rate = float(stream.average_rate or stream.guessed_rate or 25)
        declared, count, end = _declared_frames(container, stream, rate), 0, 0.0
        for packet in container.demux():
            end = max(end, _end(packet))  # of any stream, since sound may outlast the picture
            if packet.stream.index != stream.index:
                continue
            try:
                frames = None if packet.is_corrupt else packet.decode()
            except av.FFmpegError:  # no decoder takes it
                frames = None
            if frames is None:
                raise VideoError(f"{path} is damaged or cut off: {_counts(count, declared)}; {_MEND}")
            for frame in frames:
                yield frame
                count += 1
        # Encoders round, and some AVI writers count a frame that they never wrote.
        if not count or _is_cut(declared, end * rate):
            raise VideoError(f"{path} is truncated: {_counts(count, declared)}; {_MEND}")


def _end(packet: av.Packet) -> float:
    """When what a packet holds is over, in seconds; 0 if it holds nothing."""
    if packet.dts is None or not packet.size:
        return 0.0
    start = packet.dts if packet.pts is None else packet.pts
    return float((start + (packet.duration or 0)) * packet.time_base)


def _is_cut(declared: float, frames: float) -> bool:
    return declared - frames > max(2, 0.02 * declared)


def _counts(count: int, declared: float) -> str:
    return f"{count} frames can be decoded" + (f", its header declares {round(declared)}" if declared else "")


def _declared_frames(container: InputContainer, stream: VideoStream, rate: float) -> float:
    """What the header promises; 0 if nothing that can be relied on: a transport stream's duration is an estimate.

    For AVI that is its count of frames (FFmpeg estimates the duration anew when the index at the end is lost), else
    duration x frame rate (an MP4's count would include the frames that its edit list hides).
    """
    if not container.format.name.startswith(("avi", "matroska", "mov")):
        return 0.0
    if container.format.name == "avi" and stream.frames:
        return float(stream.frames)
    return (container.duration or 0) / av.time_base * rate


def _count_packets(path: Path | str) -> int:
    with opened(path) as (container, stream):
        return sum(bool(packet.size) and not packet.is_discard for packet in container.demux(stream))


LONG = 3000
"""Frames from which a film is read by seeking: two minutes at 25 a second."""
SOUGHT = ("h264", "hevc", "mpeg4", "vp9", "av1")
"""Codecs with one frame shown per packet, each under its packet's timestamp."""


def _seek(path: Path | str, indices: Sequence[int], short_side: int | None) -> dict[int, np.ndarray] | None:
    """The frames `indices` of a film by seeking; None where that would not pay, or could give other frames.

    Demultiplexing gives the timestamp of every frame, and in order they are its indices. Decoding begins at the
    keyframe *before* the last one, as frames behind a keyframe may lean on what comes before it (open groups of
    pictures), and goes on until a frame has exactly the timestamp that is wanted.
    """
    with opened(path) as (container, stream):
        if not container.format.name.startswith(("matroska", "mov")) or stream.codec.canonical_name not in SOUGHT:
            return None
        stamps, keys, end, rate = [], [], 0.0, float(stream.average_rate or stream.guessed_rate or 25)
        for packet in container.demux():
            end = max(end, _end(packet))
            if packet.stream.index == stream.index and packet.size and not packet.is_discard:
                if packet.pts is None or packet.is_corrupt:
                    return None
                stamps.append(packet.pts)
                keys += [packet.pts] if packet.is_keyframe else []
        stamps, keys = sorted(stamps), sorted(keys)
        if len({*stamps}) < len(stamps) or _is_cut(_declared_frames(container, stream, rate), end * rate):
            return None
        begins = {i: keys[max(0, bisect_right(keys, stamps[i]) - 2)] for i in indices if keys}
        if sum(i - bisect_left(stamps, key) for i, key in begins.items()) > len(stamps) / 2 or not begins:
            return None
        return _decode_from(container, stream, stamps, begins, short_side)


def _decode_from(
    container: InputContainer, stream: VideoStream, stamps: list[int], begins: dict[int, int], short_side: int | None
) -> dict[int, np.ndarray] | None:
    found, at, matrix, whole, reformatter = {}, None, None, False, VideoReformatter()
    frames: Iterator[av.VideoFrame] = iter(())
    for index, key in sorted(begins.items()):
        if at is None or key > at:
            container.seek(key, stream=stream)
            frames, whole = container.decode(stream), False
        for frame in frames:
            at = frame.pts
            # Without it the decoder has begun at a gradual refresh, which never gives quite the same pixels.
            whole = whole or (at == key and frame.pict_type == PictureType.I)
            if matrix is None:
                matrix = bytes(frame.side_data.get("DISPLAYMATRIX", b""))
            if at is None or at >= stamps[index]:
                break
        if at != stamps[index] or not whole:
            return None
        found[index] = _picture(frame, reformatter, matrix, short_side)
    return found


def _picture(frame: av.VideoFrame, reformatter: VideoReformatter, matrix: bytes, short_side: int | None) -> np.ndarray:
    # One thread: a pool that a parent process has not yet let go would hang its forked children.
    rgb = reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray()
    return _resize(_upright(rgb, matrix), short_side)


def _collect(
    path: Path | str, indices: Sequence[int], short_side: int | None, last: int | None = None
) -> tuple[dict[int, np.ndarray], int]:
    """Those of the frames `indices` that exist, by index, and how many frames were decoded (all, or up to `last`)."""
    if short_side is not None and short_side < 1:
        raise ValueError(f"short_side={short_side} must be at least 1 pixel")
    wanted, found, reformatter = set(indices), {}, VideoReformatter()
    with closing(_decode(path)) as frames:
        for i, frame in enumerate(frames):
            if i == 0:  # of one frame only: asking a frame for its side data keeps it alive until a collection
                matrix = bytes(frame.side_data.get("DISPLAYMATRIX", b""))
            if i in wanted:
                found[i] = _picture(frame, reformatter, matrix, short_side)
            if i == last:
                break
    return found, i + 1  # a file without a frame is a `VideoError`


def _stack(path: Path | str, found: dict[int, np.ndarray], indices: list[int]) -> np.ndarray:
    if len(sizes := {image.shape[:2] for image in found.values()}) > 1:
        raise VideoError(f"{path}: the frame size changes on the way ({sorted(sizes)}); convert it to one size")
    return np.stack([found[i] for i in indices])


def _upright(image: np.ndarray, matrix: bytes) -> np.ndarray:
    """(H, W, 3) with the file's display matrix applied: quarter turns and mirrors, as phones write them."""
    if not matrix:
        return image
    # Pixel (x, y) is shown at (a x + c y, b x + d y), but for a shift.
    a, b, _, c, d, *_ = np.frombuffer(matrix, np.int32)
    if abs(b) > abs(a):
        image, a, d = image.transpose(1, 0, 2), c, b
    return np.ascontiguousarray(image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def _resize(image: np.ndarray, short_side: int | None) -> np.ndarray:
    height, width = image.shape[:2]
    if short_side is None or min(height, width) == short_side:
        return image
    scale = short_side / min(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
