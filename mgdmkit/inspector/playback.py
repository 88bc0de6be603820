"""Any clip as bytes that a browser plays: the file itself where it can, else H.264 without sound, made in memory."""

import io
from fractions import Fraction
from pathlib import Path
from typing import Literal, NamedTuple

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream
from PIL import Image

from mgdmkit.data.video import count_frames, opened, read_frames

ENOUGH_FRAMES = 300  # 10 seconds at 30 a second; of a longer clip as many, evenly spread, at the clip's own pace
SHORT_SIDE = 240  # pixels
LARGEST_FILE = 1_000_000  # bytes: a notebook server lets about a megabyte a second through to the browser
ANIMATED_FRAMES = 48


class Playable(NamedTuple):
    """A clip for a browser."""

    data: bytes
    kind: Literal["mp4", "webm", "webp"]
    """webp is an animated picture, where no H.264 encoder is at hand."""


def playable(path: Path | str) -> Playable:
    """The clip for a browser; silent. `VideoError` for one that can't be read."""
    path = Path(path)
    with opened(path) as (container, stream):
        kind, rate = _played_as(path, container, stream), float(stream.average_rate or 25)
    if kind and path.stat().st_size <= LARGEST_FILE:
        return Playable(path.read_bytes(), kind)
    count = count_frames(path)
    n = min(count, ENOUGH_FRAMES)
    frames = read_frames(path, [i * count // n for i in range(n)], short_side=SHORT_SIDE)
    pace = rate * n / count
    try:
        return Playable(h264(frames, pace), "mp4")
    except (av.FFmpegError, ValueError):  # a build of FFmpeg without libx264
        return Playable(animation(frames, pace), "webp")


def h264(frames: np.ndarray, rate: float) -> bytes:
    """Frames uint8 (n, H, W, 3) as an MP4, `rate` of them a second; an odd last row or column is cut off."""
    H, W = (side // 2 * 2 for side in frames.shape[1:3])
    file, rate = io.BytesIO(), Fraction(max(rate, 0.1)).limit_denominator(1000)
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate, options={"preset": "veryfast", "crf": "26"})
        stream.width, stream.height, stream.pix_fmt = W, H, "yuv420p"
        for frame in np.ascontiguousarray(frames[:, :H, :W]):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return file.getvalue()


def animation(frames: np.ndarray, rate: float) -> bytes:
    """Frames uint8 (n, H, W, 3), `rate` of them a second, as an animated WebP of fewer frames and the same length."""
    step = -(-len(frames) // ANIMATED_FRAMES)
    pictures = [Image.fromarray(frame) for frame in frames[::step]]
    file = io.BytesIO()
    pause = max(20, round(1000 * step / rate))  # milliseconds
    pictures[0].save(file, "WEBP", save_all=True, append_images=pictures[1:], duration=pause, loop=0, quality=70)
    return file.getvalue()


def _played_as(path: Path, container: InputContainer, stream: VideoStream) -> str:
    """What browsers play a file as; "" for not at all, or with sound."""
    codec = stream.codec_context
    if len(container.streams) > 1:
        return ""
    if "mp4" in container.format.name and codec.name == "h264" and codec.pix_fmt in ("yuv420p", "yuvj420p"):
        return "mp4"
    return "webm" if path.suffix.lower() == ".webm" and codec.name in ("vp8", "vp9", "libvpx", "libvpx-vp9") else ""
