"""Any clip as bytes that a browser plays: the file itself where it can, else H.264 without sound, made in memory."""

import io
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Literal, NamedTuple

import av
import numpy as np
from PIL import Image

from mgdmkit.data.video import count_frames, read_frames

ENOUGH_FRAMES = 300  # 10 seconds at 30 a second; of a longer clip as many, evenly spread, at the clip's own pace
SHORT_SIDE = 240  # pixels
LARGEST_FILE = 1_000_000  # bytes: a notebook server lets about a megabyte a second through to the browser
ANIMATED_FRAMES = 48
UNPLAYED = "", 25.0  # no way to play it, and a rate as good as any: whoever reads its frames hears what is wrong


class Playable(NamedTuple):
    """A clip for a browser."""

    data: bytes
    kind: Literal["mp4", "webm", "webp"]
    """webp is an animated picture, where no H.264 encoder is at hand."""


def playable(path: Path | str) -> Playable:
    """The clip for a browser; silent. `VideoError` for one that can't be read."""
    path, kind, rate = Path(path), *_probe(path)
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
    H, W = frames.shape[1:3]
    file, rate = io.BytesIO(), Fraction(max(rate, 0.1)).limit_denominator(1000)
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate, options={"preset": "veryfast", "crf": "26"})
        stream.width, stream.height, stream.pix_fmt = W // 2 * 2, H // 2 * 2, "yuv420p"
        for number, frame in enumerate(frames[:, : H // 2 * 2, : W // 2 * 2]):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            picture.pts, picture.time_base = number, 1 / rate
            container.mux(stream.encode(picture))
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


def _probe(path: Path) -> tuple[str, float]:
    """What browsers play it as, "" for not at all, and its frames per second; UNPLAYED where it cannot be read."""
    if not path.is_file():  # FFmpeg would wait for ever at a named pipe
        return UNPLAYED
    with suppress(av.FFmpegError, OSError), av.open(str(path.absolute()), metadata_errors="replace") as container:
        for stream in container.streams.video[:1]:
            codec, rate = stream.codec_context, float(stream.average_rate or 25)
            mp4 = "mp4" in container.format.name and codec.name == "h264" and codec.pix_fmt in ("yuv420p", "yuvj420p")
            webm = path.suffix.lower() == ".webm" and codec.name in ("vp8", "vp9", "libvpx", "libvpx-vp9")
            silent = len(container.streams) == 1
            return "mp4" if mp4 and silent else "webm" if webm and silent else "", rate
    return UNPLAYED
