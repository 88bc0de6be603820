"""How fast does this machine read clips and encode frames? The measured inputs of benchmarks/scale.py.

    OMP_NUM_THREADS=1 python benchmarks/throughput.py --videos path/to/clips --out results/throughput.json
    python benchmarks/throughput.py --device cuda --batch 64

Reading, on one core: `read_segments` of 16 frames decodes a whole clip, and CLIP's preprocessing makes 224 x 224 of
the 16. Processor time of this process, which other programs do not lengthen. Besides the clips given, one that is
drawn here: H.264, 340 x 256, 300 frames, 0.53 MB, the average size of a clip of the 135 GB copies of Kinetics-400.

Encoding, on one device: CLIP's image encoder with random weights, forward, and forward with backward, on pictures that
are there already. Its GFLOP/s over the device's peak is the utilisation that a table of costs needs.
"""

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import open_clip
import torch
import tyro
from PIL import Image

from mgdmkit.data.video import read_segments
from mgdmkit.evaluation.complexity import parts
from mgdmkit.files import write_text_atomic
from mgdmkit.runs.processes import autocast_dtype

T, SIDE = 16, 224
SUFFIXES = {".avi", ".mp4", ".mkv", ".webm"}
WIDTH, HEIGHT, FRAMES, BITS = 340, 256, 300, 424_000  # 424 kbit/s for 10 s: 0.53 MB


def draw_clip(path: Path) -> Path:
    """A textured field that drifts and flickers, so that every frame costs the decoder something."""
    rng = np.random.default_rng(0)
    field = np.asarray(Image.fromarray(rng.integers(0, 255, (40, 60, 3), np.uint8)).resize((2 * WIDTH, 2 * HEIGHT)))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"g": "250"})
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = WIDTH, HEIGHT, "yuv420p", BITS
        for t in range(FRAMES):
            noise = rng.integers(0, 12, (HEIGHT, WIDTH, 1), np.uint8)
            picture = field[t // 2 : t // 2 + HEIGHT, t : t + WIDTH] // 2 + noise
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
        container.mux(stream.encode())
    return path


def reading(paths: list[Path], repeats: int) -> dict[str, Any]:
    """Median milliseconds of processor time a clip, and what a core does in a second."""
    preprocess = open_clip.image_transform((SIDE, SIDE), is_train=False)
    decode, prepare, frames = [], [], []
    for path in paths:
        with av.open(str(path)) as container:
            frames.append(sum(1 for _ in container.decode(video=0)))
        decode.append(min(_cpu_seconds(lambda path=path: read_segments(path, T)) for _ in range(repeats)))
        taken = [Image.fromarray(frame) for frame in read_segments(path, T)]
        prepare.append(min(_cpu_seconds(lambda taken=taken: [preprocess(frame) for frame in taken]) for _ in range(2)))
    return {
        "clips": len(paths),
        "mb_per_clip": round(sum(path.stat().st_size for path in paths) / len(paths) / 1e6, 3),
        "frames_per_clip": round(statistics.mean(frames), 1),
        "decode_ms_per_clip": round(1000 * statistics.mean(decode), 1),
        "preprocess_ms_per_clip": round(1000 * statistics.mean(prepare), 1),
        "decoded_frames_per_core_second": round(sum(frames) / sum(decode)),
        "clips_per_core_second": round(len(paths) / (sum(decode) + sum(prepare)), 2),
    }


def encoding(model: str, batch: int, device: str, steps: int) -> dict[str, Any]:
    """Frames and GFLOP a second of the image encoder; a step back costs twice a step forward."""
    where = torch.device(device)
    encoder = open_clip.create_model(model, pretrained=None, device=where).visual
    pictures = torch.randn(batch, 3, SIDE, SIDE, device=where)
    dtype, gflop = autocast_dtype("auto", where), 2 * parts(model, frames=1)["gmac"][0]

    def forward() -> torch.Tensor:
        with torch.autocast(where.type, dtype, enabled=dtype is not None):
            return encoder(pictures)

    def there_and_back() -> None:
        forward().float().square().mean().backward()

    with torch.no_grad():
        ahead = batch / _device_seconds(forward, where, steps)
    both = batch / _device_seconds(there_and_back, where, steps)
    return {
        "model": model,
        "device": torch.cuda.get_device_name(where)
        if where.type == "cuda"
        else f"CPU, {torch.get_num_threads()} thread",
        "precision": str(dtype or torch.float32).removeprefix("torch."),
        "batch": batch,
        "frames_per_second": {"forward": round(ahead, 2), "forward and backward": round(both, 2)},
        "gflops": {"forward": round(ahead * gflop), "forward and backward": round(both * 3 * gflop)},
    }


def _cpu_seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def _device_seconds(work: Callable[[], object], where: torch.device, steps: int) -> float:
    """Median over `steps`, after one to warm up."""
    seconds = []
    for _ in range(1 + steps):
        started = time.perf_counter()
        work()
        if where.type == "cuda":
            torch.cuda.synchronize(where)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[1:])


def main(
    videos: Path | None = None,
    clips: int = 30,
    repeats: int = 3,
    model: str = "ViT-L-14",
    batch: int = 2,
    steps: int = 3,
    device: str = "cpu",
    out: Path | None = None,
) -> None:
    """Measure, print, and write JSON.

    Args:
        videos: A folder of clips of your own, read beside the drawn one.
        clips: How many of them, spread over the folder.
        repeats: Readings of each clip; the fastest counts.
        model: An open_clip model.
        batch: Frames that the encoder takes at once.
        steps: Steps of the encoder; 0 leaves it out.
        device: cpu or cuda.
        out: The JSON to write.
    """
    found: dict[str, Any] = {"cores": os.cpu_count(), "torch": torch.__version__}
    with tempfile.TemporaryDirectory() as folder:
        found["drawn clip"] = reading([draw_clip(Path(folder) / "drawn.mp4")], repeats)
    if videos:
        paths = sorted(path for path in videos.rglob("*") if path.suffix in SUFFIXES)
        if not paths:
            raise SystemExit(f"no {', '.join(sorted(SUFFIXES))} below {videos}; name another folder, or leave it out")
        found["own clips"] = reading(paths[:: max(1, len(paths) // clips)][:clips], repeats)
    if steps:
        found["encoder"] = encoding(model, batch, device, steps)
    print(json.dumps(found, indent=1))
    if out:
        write_text_atomic(out, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    tyro.cli(main)
