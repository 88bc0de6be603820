"""The kit beside what others do for the same job, on the same data in one run.

    OMP_NUM_THREADS=1 python benchmarks/peers.py --out results/peers.csv

Four parts. Features are random, the sizes real: b = 32 videos of T = 16 frames.

    head        a training step at k = 0: forward, loss, backward, AdamW. Ours, BIKE's video concept spotting and
                ActionCLIP's transformer, with the same blocks over the frames
    negatives   a training step at k = 7: ours, the literal form of eq. 4-9, and a loss as NegCLIP's with k more texts
    mining      `mine_negatives`, a matrix product with `topk`, and the time to decode and encode the same videos
    reading     16 frames of an AVI, an MP4, a 720p clip and a film of 10 minutes: `read_segments`, decord,
                torchcodec and OpenCV. Frames carry their number, so that wrong ones can be counted

Peers' heads are written here from their papers, around the blocks of `model.transformer`. Readers that are not
installed are left out: pip install torchcodec opencv-python-headless. torchcodec also needs FFmpeg's libraries.

Cases in turn, medians of the repeats. `ms` is the clock, `processor_ms` the processor time of this process, which
other programs lengthen less; `times_ours` is a ratio of the latter.
"""

import copy
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import open_clip
import pandas as pd
import torch
import torch.nn.functional as F
import tyro
from loss_form import kl_rows
from PIL import Image
from torch import Tensor, nn

from mgdmkit.config import MGDMConfig
from mgdmkit.data.video import read_segments, segment_indices
from mgdmkit.files import write_text_atomic
from mgdmkit.loss import augmented_negative_loss, augmented_targets
from mgdmkit.mining import mine_negatives
from mgdmkit.model import MGDM, weighted_frames

T, K, DEPTH, WORDS, SIDE = 16, 7, 9, 8, 224


class Row(NamedTuple):
    part: str
    case: str
    name: str
    ms: float
    processor_ms: float
    wrong_frames: int | None
    times_ours: float
    note: str


class Film(NamedTuple):
    case: str
    suffix: str
    codec: str
    width: int
    height: int
    frames: int
    options: dict[str, str]


class Sizes(NamedTuple):
    heads: Sequence[tuple[int, int, int]]  # D, blocks over the frames, classes
    batch: int
    mined: tuple[int, int, int]  # videos, labels, D
    encoder: str
    films: Sequence[Film]


AVI, H264, FAST = {"bf": "2", "g": "12"}, {"bf": "2"}, {"bf": "2", "preset": "superfast"}
FULL = Sizes(
    ((512, 6, 400), (128, 2, 60)),
    32,
    (2000, 400, 512),
    "ViT-B-32",
    (
        Film("AVI, MPEG-4, 320 x 240, 250 frames", ".avi", "mpeg4", 320, 240, 250, AVI),
        Film("MP4, H.264, 320 x 240, 250 frames", ".mp4", "libx264", 320, 240, 250, H264),
        Film("MP4, H.264, 1280 x 720, 150 frames", ".mp4", "libx264", 1280, 720, 150, FAST),
        Film("10 minutes, H.264, 160 x 120, 15000 frames", ".mp4", "libx264", 160, 120, 15_000, FAST),
    ),
)
TINY_FILMS = [film._replace(case=film.codec, width=160, height=120, frames=60) for film in FULL.films[:2]]
TINY = Sizes([(64, 1, 20)], 4, (30, 20, 64), "ViT-S-32-alt", TINY_FILMS)


def in_turn(runs: dict[str, Callable[[], Any]], repeats: int) -> dict[str, tuple[float, float]]:
    """Name -> median milliseconds on the clock and of processor time, after one call to warm up."""
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for _ in range(1 + repeats):
        for name, run in runs.items():
            clock, processor = time.perf_counter(), time.process_time()
            run()
            seconds[name].append((time.perf_counter() - clock, time.process_time() - processor))
    return {name: tuple(1000 * statistics.median(c) for c in zip(*s[1:], strict=True)) for name, s in seconds.items()}


def as_rows(part: str, case: str, times: dict[str, tuple[float, float]], notes: dict[str, str]) -> Iterator[Row]:
    """The first of `times` is ours."""
    ours = next(iter(times.values()))[1]
    for name, (ms, processor) in times.items():
        yield Row(part, case, name, ms, processor, None, processor / ours, notes.get(name, ""))


# Heads and losses. Each takes a model, for its blocks over the frames and its temperature, and a batch.


class Batch(NamedTuple):
    frames: Tensor  # (b, T, D)
    texts: Tensor  # (b, g, D), a group of 1 + k texts per video, its own first
    text_labels: Tensor  # (b, g)
    words: Tensor  # (b, w, D), the words of each video's own text


Loss = Callable[[MGDM, Batch], Tensor]


def draw_batch(b: int, dim: int, classes: int, k: int) -> Batch:
    """Random embeddings of length about 10, as CLIP's; videos resemble their labels."""
    generator = torch.Generator().manual_seed(0)
    draw = partial(torch.randn, generator=generator)
    corpus = draw(classes, dim)
    labels = torch.rand(b, classes, generator=generator).argsort(dim=1)[:, : 1 + k]
    frames = draw(b, T, dim) + corpus[labels[:, :1]]
    return Batch(frames * 10 / dim**0.5, corpus[labels] * 10 / dim**0.5, labels, draw(b, WORDS, dim))


def unit(x: Tensor) -> Tensor:
    return F.normalize(x, dim=-1)


def ours(model: MGDM, batch: Batch) -> Tensor:
    logits = model(batch.frames, batch.texts).logits
    return augmented_negative_loss(logits, augmented_targets(batch.text_labels[:, 0], batch.text_labels))


def literal(model: MGDM, batch: Batch) -> Tensor:
    """Eq. 4-9 as printed: 1 + k copies of each video, V for every pair. The blocks still see each video once."""
    g = batch.texts.shape[1]
    f_d = model.representer.encode(batch.frames).repeat_interleave(g, dim=0)  # (b g, T, D)
    A = model.representer.attend(f_d, batch.texts[:, 0].repeat_interleave(g, dim=0))
    V, E = weighted_frames(f_d, A), model.discriminator(batch.texts).flatten(0, 1)  # (b g, l g, D), (l g, D)
    sims = torch.einsum("rcd,cd->rc", unit(V), unit(E)) * model.logit_scale.exp()
    Q = (batch.text_labels[:, 0].repeat_interleave(g)[:, None] == batch.text_labels.flatten()).float()
    return (kl_rows(sims, Q).mean() + kl_rows(sims.T, Q.T)[Q.any(dim=0)].mean()) / 2


def symmetric_kl(logits: Tensor, labels: Tensor) -> Tensor:
    """Of ActionCLIP and BIKE: KL in both directions, and videos of one class share their targets. (b, b)."""
    Q = (labels[:, None] == labels).float()
    return (kl_rows(logits, Q).mean() + kl_rows(logits.T, Q.T).mean()) / 2


def bike(model: MGDM, batch: Batch, words: bool = False) -> Tensor:
    """Video concept spotting: a word's softmax over the frames, averaged over words, weighs the frames.

    The paper takes the words of the label. Without `words` the whole text stands for them, as in ours.
    """
    frames, texts = unit(model.representer.encode(batch.frames)), unit(batch.texts[:, 0])
    concepts = unit(batch.words) if words else texts[:, None]  # (l, w, D)
    saliency = (torch.einsum("btd,lwd->blwt", frames, concepts) / 0.01).softmax(dim=-1).mean(dim=2)
    videos = torch.einsum("blt,btd->bld", saliency, frames)
    return symmetric_kl(torch.einsum("bld,ld->bl", videos, texts) * model.logit_scale.exp(), batch.text_labels[:, 0])


def actionclip(model: MGDM, batch: Batch) -> Tensor:
    """One vector per video: positions, blocks, the residual, the mean over time."""
    videos = unit(model.representer.encode(batch.frames).mean(dim=1))
    logits = videos @ unit(batch.texts[:, 0]).T * model.logit_scale.exp()
    return symmetric_kl(logits, batch.text_labels[:, 0])


def negclip(model: MGDM, batch: Batch) -> Tensor:
    """Cross entropy over own texts and all negatives; back from text to video over own texts only."""
    videos = unit(model.representer.encode(batch.frames).mean(dim=1))
    texts = unit(torch.cat([batch.texts[:, 0], batch.texts[:, 1:].flatten(0, 1)]))  # (b + b k, D)
    logits, own = videos @ texts.T * model.logit_scale.exp(), torch.arange(len(videos))
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits[:, : len(videos)].T, own)) / 2


def head_model(dim: int, layers: int, discriminator: bool = True) -> MGDM:
    """With 0 layers there are no blocks at all."""
    torch.manual_seed(0)
    discriminator = discriminator and layers > 0
    config = MGDMConfig(dim, T, max(1, layers), discriminator=discriminator, temperatures="fixed")
    model = MGDM(config)
    if not layers:
        model.representer.blocks = nn.Identity()
    return model


def training_step(loss: Loss, model: MGDM, batch: Batch) -> Callable[[], None]:
    model = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5)

    def step() -> None:
        optimizer.zero_grad()
        loss(model, batch).backward()
        optimizer.step()

    return step


HEAD_NOTES = {
    "ours": "2 blocks over the texts besides; V is not made",
    "ours, no discriminator": "the parts of BIKE's head; V is not made",
    "BIKE": "a vector for each pair of video and text; the text stands for its words",
    f"BIKE, {WORDS} words": "the same, with the words of the text",
    "ActionCLIP": "one vector per video: no attention of texts over frames",
    "literal": "1 + k copies of each video, a vector for each pair",
    "NegCLIP-style": "one vector per video; cross entropy, negatives in one direction",
}


def heads(sizes: Sizes, repeats: int) -> Iterator[Row]:
    """A training step at k = 0."""
    for dim, layers, classes in sizes.heads:
        batch = draw_batch(sizes.batch, dim, classes, 0)
        whole, plain = head_model(dim, layers), head_model(dim, layers, discriminator=False)
        forms = {"ours": (ours, whole), "ours, no discriminator": (ours, plain), "BIKE": (bike, plain)}
        forms |= {f"BIKE, {WORDS} words": (partial(bike, words=True), plain), "ActionCLIP": (actionclip, plain)}
        steps = {name: training_step(loss, model, batch) for name, (loss, model) in forms.items()}
        yield from as_rows("head", f"k = 0, D = {dim}, {layers} blocks", in_turn(steps, repeats), HEAD_NOTES)


def negatives(sizes: Sizes, repeats: int) -> Iterator[Row]:
    """A training step at k = 7, with blocks and without."""
    for dim, layers, classes in [*sizes.heads, (sizes.heads[0][0], 0, sizes.heads[0][2])]:
        batch = draw_batch(sizes.batch, dim, classes, K)
        whole, plain = head_model(dim, layers), head_model(dim, layers, discriminator=False)
        torch.testing.assert_close(ours(whole, batch), literal(whole, batch), rtol=1e-4, atol=0)
        forms = {"ours": (ours, whole), "ours, no discriminator": (ours, plain)} if layers else {"ours": (ours, plain)}
        forms |= {"literal": (literal, whole), "NegCLIP-style": (negclip, plain)}
        steps = {name: training_step(loss, model, batch) for name, (loss, model) in forms.items()}
        case = f"k = {K}, D = {dim}, " + (f"{layers} blocks" if layers else "no blocks")
        yield from as_rows("negatives", case, in_turn(steps, repeats), HEAD_NOTES)


def matrix_product(features: Tensor, texts: Tensor, labels: Tensor) -> Tensor:
    """(N, depth) the best wrong labels, and nothing else."""
    videos = unit(unit(features).mean(dim=1)) if features.ndim == 3 else unit(features)
    scores = videos @ unit(texts).T
    scores[torch.arange(len(labels)), labels] = -torch.inf
    return scores.topk(DEPTH, dim=1).indices


def mining(sizes: Sizes, repeats: int, clip: Path) -> Iterator[Row]:
    """The same features, and the time that decoding and encoding as many clips takes."""
    (N, n, dim), draw = sizes.mined, partial(torch.randn, generator=torch.Generator().manual_seed(0))
    frames, texts, labels = draw(N, T, dim), draw(n, dim), torch.arange(N) % n
    notes = {
        "ours": "also ranks and scores of the true labels; ties by label",
        "matrix product": "`topk`: best wrong labels only",
        "decode": "16 frames of the MP4 below, times N",
        "encode": f"{sizes.encoder}, random weights, 16 frames times N",
    }
    encoder = open_clip.create_model(sizes.encoder).visual.eval()
    preprocess = open_clip.image_transform((SIDE, SIDE), is_train=False)
    pictures = torch.stack([preprocess(Image.fromarray(frame)) for frame in read_segments(clip, T)])
    with torch.no_grad():
        one = in_turn({"decode": lambda: read_segments(clip, T), "encode": lambda: encoder(pictures)}, 2)
        for what, features in {"frames": frames, "one vector per video": unit(unit(frames).mean(dim=1))}.items():
            runs = {
                "ours": lambda features=features: mine_negatives(features, texts, labels, DEPTH),
                "matrix product": lambda features=features: matrix_product(features, texts, labels),
            }
            same = (runs["ours"]().indices == runs["matrix product"]()).float().mean()
            assert same > 0.999, (
                "other negatives were mined"
            )  # scores that are equal but for rounding may change places
            times = in_turn(runs, repeats)
            if features is frames:
                times |= {name: (N * ms, N * processor) for name, (ms, processor) in one.items()}
            yield from as_rows("mining", f"N = {N}, n = {n}, D = {dim}, {what}", times, notes)


# Reading.


def draw_film(path: Path, film: Film) -> Path:
    """Drifting texture under two rows of eight black and white blocks, the bits of the frame's number.

    The texture starts anew whenever it has drifted by its height or width: a cut, where H.264 sets a keyframe.
    """
    width, height = film.width, film.height
    noise = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    field = np.asarray(Image.fromarray(noise).resize((2 * width, 2 * height)))
    with av.open(str(path), "w") as container:
        stream = container.add_stream(film.codec, rate=25, options=film.options)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = width, height, "yuv420p", 8 * width * height
        for number in range(film.frames):
            top, left = number % height, number % width
            picture = field[top : top + height, left : left + width].copy()
            bits = np.array([255 * (number >> bit & 1) for bit in range(16)], np.uint8).reshape(2, 8)
            blocks = bits.repeat(height // 8, 0).repeat(width // 8, 1)
            picture[: len(blocks)] = blocks[:, :, None]
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def read_number(image: np.ndarray) -> int:
    """The number in one frame of `draw_film`."""
    h, w = image.shape[0] // 8, image.shape[1] // 8
    blocks = image[: 2 * h, : 8 * w].reshape(2, h, 8, w, 3)[:, h // 4 : -h // 4, :, w // 4 : -w // 4]
    return sum(int(on) << bit for bit, on in enumerate((blocks.mean((1, 3, 4)) > 127).flatten()))


def with_decord(path: Path) -> Sequence[np.ndarray]:
    import decord

    reader = decord.VideoReader(str(path), num_threads=1)
    return reader.get_batch(segment_indices(len(reader), T)).asnumpy()


def with_torchcodec(path: Path, seek_mode: str = "exact") -> Sequence[np.ndarray]:
    from torchcodec.decoders import VideoDecoder

    decoder = VideoDecoder(str(path), dimension_order="NHWC", num_ffmpeg_threads=1, seek_mode=seek_mode)
    return decoder.get_frames_at(segment_indices(len(decoder), T)).data.numpy()


def with_opencv(path: Path, seek: bool = True) -> Sequence[np.ndarray]:
    """By `set(CAP_PROP_POS_FRAMES)`, or by `grab` from the first frame on. What cannot be read is missing."""
    import cv2

    cv2.setNumThreads(1)
    film = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    found, at = [], 0
    for wanted in segment_indices(int(film.get(cv2.CAP_PROP_FRAME_COUNT)), T):
        if seek:
            film.set(cv2.CAP_PROP_POS_FRAMES, wanted)
        while not seek and at < wanted and film.grab():
            at += 1
        there, image = film.read()
        at += 1
        if there:
            found.append(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
    film.release()
    return found


READERS: dict[str, tuple[Callable[[Path], Sequence[np.ndarray]], str, str]] = {
    "ours": (lambda path: read_segments(path, T), "av", "PyAV; checks the whole file; seeks in a long one"),
    "decord": (with_decord, "decord", "seeks"),
    "torchcodec": (with_torchcodec, "torchcodec", "lists all packets, then seeks"),
    "torchcodec, approximate": (partial(with_torchcodec, seek_mode="approximate"), "torchcodec", "seeks by the header"),
    "OpenCV, seeking": (with_opencv, "opencv-python-headless", "seeks, once a frame"),
    "OpenCV, in sequence": (partial(with_opencv, seek=False), "opencv-python-headless", "decodes to the last wanted"),
}


def usable(clip: Path) -> list[str]:
    """The readers that are there; why others are left out is printed."""
    found = []
    for name, (read, package, _) in READERS.items():
        try:
            read(clip)
            found.append(name)
        except ImportError:
            print(f"{name}: left out; pip install {package}")
        except (OSError, RuntimeError) as error:  # installed, but FFmpeg's libraries are not
            print(f"{name}: left out; {package} does not work here: {str(error).strip().splitlines()[0]}")
    return found


def errors(images: Sequence[np.ndarray], frames: int) -> list[int]:
    """By how many frames each of those that came is off."""
    return [abs(read_number(image) - i) for image, i in zip(images, segment_indices(frames, T), strict=False)]


def reading(sizes: Sizes, repeats: int, clips: list[Path]) -> Iterator[Row]:
    names = usable(clips[1])
    for film, clip in zip(sizes.films, clips, strict=True):
        came: dict[str, Sequence[np.ndarray]] = {}
        notes = {name: READERS[name][2] for name in names}

        def read(name: str, clip: Path = clip, came: dict = came, notes: dict = notes) -> None:
            try:
                came[name] = READERS[name][0](clip)
            except RuntimeError as error:
                came[name], notes[name] = [], f"fails: {str(error).strip().splitlines()[0]}"

        times = in_turn({name: partial(read, name) for name in names}, repeats)
        for row in as_rows("reading", film.case, times, notes):
            off = errors(came[row.name], film.frames)
            note = row.note + (f"; up to {max(off)} frames off" if any(off) else "")
            yield row._replace(wrong_frames=T - off.count(0), note=note)


def main(repeats: int = 3, tiny: bool = False, out: Path = Path("results/peers.csv")) -> None:
    """Measure all parts, print the tables and write one.

    Args:
        repeats: Timed runs of each; the median counts.
        tiny: Sizes that take seconds and say nothing, to try it out.
        out: The CSV to write.
    """
    sizes = TINY if tiny else FULL
    print(f"{torch.get_num_threads()} thread(s), torch {torch.__version__}")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        clips = [draw_film(Path(folder) / f"{i}{film.suffix}", film) for i, film in enumerate(sizes.films)]
        parts = heads(sizes, repeats), negatives(sizes, repeats)
        for part in (*parts, mining(sizes, repeats, clips[1]), reading(sizes, repeats, clips)):
            rows += (found := list(part))
            print(pd.DataFrame(found).drop(columns=["part", "note"]).round(2).to_string(index=False), flush=True)
    table = pd.DataFrame(rows).round({"ms": 2, "processor_ms": 2, "times_ours": 2}).astype({"wrong_frames": "Int64"})
    write_text_atomic(out, table.to_csv(index=False))
    print(f"table: {out}")


if __name__ == "__main__":
    tyro.cli(main)
