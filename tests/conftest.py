"""Small real video files of every kind that matters, each frame carrying its own number."""

import os
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

BLOCK = 32  # pixels: a block of one grey level survives any lossy codec
HEIGHT, WIDTH = 3 * BLOCK, 5 * BLOCK


def numbered_frame(number: int) -> np.ndarray:
    """RGB (96, 160, 3): ten bits of `number` as black and white blocks above a strip from red (left) to blue."""
    bits = [number >> bit & 1 for bit in range(10)]
    image = np.zeros((3, 5, 3), np.uint8)
    image[:2] = 255 * np.array(bits, np.uint8).reshape(2, 5, 1)
    image[2, 0], image[2, 4] = (220, 30, 30), (30, 30, 220)
    return image.repeat(BLOCK, 0).repeat(BLOCK, 1)


def read_number(image: np.ndarray) -> int:
    """The number in one frame made by `numbered_frame`."""
    blocks = image.reshape(3, BLOCK, 5, BLOCK, 3)[:2, 8:24, :, 8:24].mean((1, 3, 4)) > 127
    return sum(int(on) << bit for bit, on in enumerate(blocks.flatten()))


def write_video(
    path: Path, frames: int, codec: str = "libx264", *, muxer=None, size=None, when=lambda number: number, **options
) -> Path:
    """Encode `frames` numbered frames at 25 a second; `options` go to the encoder, `muxer` to the container.

    `when(number)` is the tick, of 1/25 s, at which a frame is shown.
    """
    with av.open(str(path), "w", options=muxer or {}) as container:
        stream = container.add_stream(codec, rate=25, options={k: str(v) for k, v in options.items()})
        stream.height, stream.width = size or (HEIGHT, WIDTH)
        stream.pix_fmt, stream.bit_rate = "yuv420p", 1_000_000
        for number in range(frames):
            image = numbered_frame(number)
            image = image.repeat(stream.width // WIDTH, 1)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = when(number), Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    if codec == "libsvtav1" and hasattr(os, "sched_setscheduler"):
        # For root this encoder gives the process a real-time priority. A browser that a later test starts inherits it,
        # and lets nobody else compute.
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return path


def write_sound(path: Path) -> Path:
    """Half a second of silence and no picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        for _ in range(8):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate = 16000
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def set_display_matrix(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """Write a, b, c, d of the display matrix into the track header of an MP4, as a telephone does."""
    data = path.read_bytes()
    identity = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    a, b, c, d = (value << 16 for value in matrix)
    at = data.index(identity, data.index(b"tkhd"))
    path.write_bytes(data[:at] + struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30) + data[at + 36 :])
    return path


def set_edit_list(path: Path, first: int, frames: int) -> Path:
    """Let an MP4's edit list show `frames` frames from frame `first` on, as trimming without encoding does."""
    data = path.read_bytes()
    at = data.index(b"elst") + 12  # past name, version and number of entries: duration, media time
    _, shift = struct.unpack_from(">ii", data, at)
    with av.open(str(path)) as container:
        ticks = int(Fraction(1, 25) / container.streams.video[0].time_base)
    entry = struct.pack(">ii", frames * 1000 // 25, shift + first * ticks)  # the film's clock has 1000 ticks
    path.write_bytes(data[:at] + entry + data[at + 8 :])
    return path


def claim_frames(path: Path, frames: int) -> Path:
    """Let the header of an AVI claim another number of frames."""
    data = bytearray(path.read_bytes())
    struct.pack_into("<i", data, data.index(b"avih") + 8 + 16, frames)
    struct.pack_into("<i", data, data.index(b"strh") + 8 + 32, frames)
    path.write_bytes(bytes(data))
    return path


@pytest.fixture(scope="session")
def videos(tmp_path_factory) -> dict[str, tuple[Path, range]]:
    """name -> (file, the numbers that its frames carry). Read only: copy a file before damaging it."""
    folder = tmp_path_factory.mktemp("videos")
    b_frames = {"bf": 2, "g": 12}
    fragments, at_front = {"movflags": "frag_keyframe+empty_moov"}, {"movflags": "faststart"}
    edited = write_video(folder / "edited.mp4", 100, **b_frames)
    claiming = write_video(folder / "claiming.avi", 48, "mpeg4", **b_frames)
    return {
        "mp4": (write_video(folder / "a.mp4", 48, muxer=at_front, **b_frames), range(48)),
        "mp4 in fragments": (write_video(folder / "b.mp4", 48, muxer=fragments, **b_frames), range(48)),
        "mp4 with edit list": (set_edit_list(edited, first=20, frames=50), range(20, 70)),
        "avi": (write_video(folder / "c.avi", 48, "mpeg4", bf=0, g=12), range(48)),
        "avi with B-frames": (write_video(folder / "d.avi", 100, "mpeg4", **b_frames), range(100)),
        "avi claiming more": (claim_frames(claiming, 49), range(48)),
        "mkv": (write_video(folder / "e.mkv", 48, **b_frames), range(48)),
        "webm": (write_video(folder / "f.webm", 48, "libvpx", g=12), range(48)),
        "one frame": (write_video(folder / "g.mp4", 1), range(1)),
        "odd name": (write_video(folder / "[i] (1)! #%03d & é跳;.avi", 20, "mpeg4"), range(20)),
    }


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real clips beside the project; the test is skipped where it is absent."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no real clips: ../shared/data is absent")
    return folder


LONGEST = ("test_notebooks.py", "test_solutions.py", "test_wheel.py", "test_site.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: of two processes neither then waits for the other at the end."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))
