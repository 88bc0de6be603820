"""Everything that only a GPU can answer, in one go: speed, memory, and whether it computes what a processor does.

    python benchmarks/gpu.py --out results/gpu.json                           # a CUDA card, at most 8 minutes
    python benchmarks/gpu.py --device cpu --tiny --out runs/gpu_rehearsal.json   # a rehearsal, about a minute

Random weights and random pictures: their values change no time. Nothing is downloaded. The JSON is written after every
case, so what was measured before an interruption is kept. A case that does not fit in memory, fails or has no time left
is recorded with its reason, and the next one follows. `--parts encoding finetune` runs only these.

On a machine without network, carry what it lacks as wheels; torch and torchvision are taken as they are (2.6 or newer):

    pip download --no-deps --dest wheels open_clip_torch ftfy wcwidth decord av tyro docstring-parser typeguard
    pip install --no-deps --no-index --find-links wheels open_clip_torch ftfy wcwidth decord av tyro \\
        docstring-parser typeguard
    PYTHONPATH=. python benchmarks/gpu.py --out results/gpu.json

For another Python add to the first line `--only-binary :all: --python-version 3.12 --platform manylinux_2_28_x86_64
--platform manylinux2014_x86_64`. There `pip check` names what else is missing, and the last part needs pytest.

What the JSON holds
    state         "finished", "interrupted", or "running" where the process was killed
    parts         name -> state ("done", "out of time", "interrupted", "failed", "not run"), seconds, cases
    cases         name -> numbers, or {"skipped": the reason}
    share         useful work over time over the best product of two large matrices that `card` measured in this
                  precision. Useful: 2 FLOP a multiply-add, forward once and backward twice; activations that
                  checkpointing computes again are time, not work
    peak_gib      torch.cuda.max_memory_allocated of the case, inputs included; null on a processor
    b             clips of a step; where it is not the one that was asked for, `too_large` lists those that did not fit
    step_ms       median step of the kit's own loop: loss, backward, clipping, AdamW. Pixels lie on the GPU already,
                  but in the case "pixels copied", where they come from ordinary memory
    overhead_percent   what MGDM's two modules add to a fine-tuning step whose text side is CLIP's alone
    problems      every case that was skipped, and what disagrees, is not finite or does not learn
    error, tolerance   relative difference between CPU and GPU, and what is allowed; `agrees` compares the two
"""

import faulthandler
import gc
import json
import math
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # before torch: the profiler complains where there is no GPU

import loss_form
import open_clip
import torch
import torch.distributed as dist
import tyro
from torch import Tensor, nn

from mgdmkit.clip import load_clip
from mgdmkit.clip.small import SMALL, small_config
from mgdmkit.config import FineTuneConfig, MGDMConfig, TrainConfig
from mgdmkit.evaluation.complexity import count
from mgdmkit.files import write_text_atomic
from mgdmkit.loss import augmented_negative_loss, augmented_targets
from mgdmkit.mining import random_negatives
from mgdmkit.replication.plan import module_gmac
from mgdmkit.runs import processes
from mgdmkit.runs.trained import load_model, new_model, read_history
from mgdmkit.training.finetuning import FineTuned, finetune_groups
from mgdmkit.training.loop import Videos, _train_epoch, train
from mgdmkit.training.optim import parameter_groups

ROOT = Path(__file__).resolve().parent.parent
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
CLASSES = 400
AROUND = 15  # seconds of the total for imports before, and writing after, the parts
RING_AGAIN = 5.0  # seconds after which a part that has used up its time is told so once more
FOR_TESTS = 75  # seconds that the parts leave to `pytest -m cuda`

# Relative differences between two devices that are allowed. On a processor float32 is 300 times nearer to float64 than
# "fp32" and "training" say; tests/test_gpu_benchmark.py sees to it that it is at least 10 times.
TOLERANCE = {
    "features": 1e-4,
    "features, TF32": 5e-3,  # cuDNN's convolutions take TF32 by default: ten bits, 1e-3, in the patch embedding
    "features, bf16": 5e-2,
    "features, fp16": 1e-2,
    "gathered": 1e-4,
    "fp32": 1e-3,
    "fp64": 1e-9,
    "training": 1e-3,
}

Result = dict[str, Any]
Case = tuple[str, Callable[[], Result]]


class OutOfTime(BaseException):
    """A part has used up its time. No `Exception`, so that nothing on the way takes it for a failure and goes on."""


@dataclass(frozen=True)
class Sizes:
    """How large everything is."""

    products: tuple[int, ...] = (4096, 8192, 16384)
    encoders: tuple[str, ...] = ("ViT-B-16", "ViT-L-14")
    pictures: tuple[int, ...] = (64, 256, 1024)
    pictures_fp32: int = 256
    tuned: str = "ViT-L-14"
    clips: tuple[int, ...] = (32, 16, 8, 4, 2)  # the first that fits
    head_batch: int = 256
    model: MGDMConfig = field(default_factory=MGDMConfig)
    k: int = 7
    steps: int = 6
    seconds: float = 1.0  # of one timing
    loss_ks: tuple[int, ...] = (0, 7)
    loss_memory_share: float = 0.6  # of the card's memory, for the literal form
    loss_gb: float = 4.0  # on a processor
    epochs: int = 10  # of the small model
    half_epochs: int = 3  # each writes a checkpoint of 0.7 GB
    half_videos: int = 32  # of each class
    half_lr: float = 1e-4
    compiler: str = "inductor"


# "eager" goes through torch.compile without a C++ compiler, which would take minutes.
TINY = Sizes(
    products=(64, 128),
    encoders=(SMALL,),
    pictures=(2,),
    pictures_fp32=2,
    tuned=SMALL,
    clips=(2, 1),
    head_batch=4,
    model=MGDMConfig(dim=128, frames=2, temporal_layers=1, semantic_layers=1),
    k=2,
    steps=2,
    seconds=0.02,
    loss_ks=(0,),
    loss_gb=0.05,
    epochs=3,
    half_epochs=6,
    half_videos=8,
    half_lr=1e-3,
    compiler="eager",
)


@dataclass
class Bench:
    """One run: its device and sizes, what it has found so far, and the file that holds it."""

    device: torch.device
    sizes: Sizes
    out: Path
    deadline: float
    report: Result = field(default_factory=dict)

    @property
    def cuda(self) -> bool:
        return self.device.type == "cuda"

    def left(self) -> float:
        """Seconds until all has to be over."""
        return self.deadline - time.perf_counter()

    def found(self, part: str, case: str) -> Result:
        """What an earlier case measured; `ValueError` where it did not."""
        result = self.report["parts"].get(part, {}).get("cases", {}).get(case, {"skipped": "not run"})
        if "skipped" in result:
            raise ValueError(f"needs {part}, {case}: {result['skipped']}")
        return result

    def share(self, gflop: float, seconds: float, precision: str) -> float | None:
        """Of the card's best product in this precision; fp16 runs as fast as bf16. None where `card` has failed."""
        try:
            best = self.found("card", f"product {precision.replace('fp16', 'bf16')}")["tflops"]
        except ValueError:
            return None
        return round(gflop / 1000 / seconds / best, 3)

    def write(self) -> None:
        write_text_atomic(self.out, json.dumps(self.report, indent=1) + "\n")


# ---- measuring ------------------------------------------------------------------------------------------------


def call_seconds(run: Callable[[], Any], device: torch.device, seconds: float) -> list[float]:
    """Times of calls, for about `seconds` and at least three; two calls before them warm up."""
    for _ in range(2):
        run()
    taken, start = [], time.perf_counter()
    while len(taken) < 3 or time.perf_counter() - start < seconds:
        taken.append(loss_form.seconds(run, device.type))
    return taken


def peak_gib(device: torch.device) -> float | None:
    """The most that tensors held since `clean`."""
    return round(torch.cuda.max_memory_allocated() / 2**30, 2) if device.type == "cuda" else None


def clean(device: torch.device) -> None:
    """Give back what the last case held, also after it ran out of memory, and count the peak anew."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.init()  # without it there are no statistics to reset
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def first_that_fits(batches: tuple[int, ...], run: Callable[[int], Result], device: torch.device) -> Result:
    """`run(b)` of the first b that fits in memory, with the larger ones that did not; else OutOfMemoryError."""
    too_large = []
    for b in batches:
        try:
            return run(b) | ({"too_large": too_large} if too_large else {})
        except torch.OutOfMemoryError:
            if b == batches[-1]:
                raise
        too_large.append(b)  # outside the handler, whose traceback keeps the tensors
        clean(device)
    raise ValueError("no batch size was given")


def autocast(precision: str, device: torch.device) -> torch.autocast:
    dtype = processes.autocast_dtype(precision, device)
    return torch.autocast(device.type, dtype, enabled=dtype is not None)


@dataclass
class OneBatch:
    """A training set that gives the same inputs again and again, and notes when the loop asks for them."""

    inputs: Tensor  # (b, ...)
    labels: Tensor  # (N,)
    device: torch.device
    asked: list[float] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, order: list[Tensor], epoch: int) -> Iterator[Tensor]:
        for batch in order:
            if self.device.type == "cuda":
                torch.cuda.synchronize()
            self.asked.append(time.perf_counter())
            yield self.inputs[: len(batch)]


def training_steps(
    network: nn.Module, groups: list[dict], config: TrainConfig, inputs: Tensor, dim: int, steps: int, compiler: str
) -> tuple[float, float]:
    """Median seconds of a step of the kit's own loop, and the mean loss. `compiler`: of torch.compile; "" for none."""
    where, b = network.logit_scale.device, len(inputs)
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(CLASSES, (b * (steps + 3),), generator=generator)
    texts = torch.randn(CLASSES, dim, generator=generator).to(where)
    group_labels = torch.cat([labels[:, None], random_negatives(labels, CLASSES, config.k, generator)], dim=1)
    videos = OneBatch(inputs, labels, where)
    optimizer = torch.optim.AdamW(groups, lr=config.lr, fused=True)
    scaler = torch.amp.GradScaler(where.type, enabled=config.precision == "fp16")
    trained = torch.compile(network, backend=compiler) if compiler else network
    network.train()
    line = _train_epoch(trained, optimizer, scaler, config, 0, videos, group_labels, texts)
    # Left out: the first two steps, which compile and allocate, and the last, whose end nobody notes.
    taken = [end - start for start, end in pairwise(videos.asked)][2:]
    if not math.isfinite(line["loss"]):
        raise ValueError(f"the loss is {line['loss']}")
    return statistics.median(taken), line["loss"]


def step_config(sizes: Sizes, b: int, precision: str) -> TrainConfig:
    return TrainConfig(k=sizes.k, batch_size=b, epochs=1, warmup_epochs=0.0, precision=precision)


# ---- card -----------------------------------------------------------------------------------------------------


def card(bench: Bench) -> Iterator[Case]:
    """What the machine is, and the rate that every share refers to."""
    yield "machine", lambda: machine(bench.device)
    for precision in DTYPES:
        yield f"product {precision}", partial(product, bench, precision)


def machine(device: torch.device) -> Result:
    about = {"torch": torch.__version__, "python": platform.python_version(), "open_clip": open_clip.__version__}
    if device.type != "cuda":
        return {"device": "cpu", "threads": torch.get_num_threads(), **about}
    card = torch.cuda.get_device_properties(device)
    memory = {"memory_gib": round(card.total_memory / 2**30, 1), "free_gib": round(free_bytes() / 2**30, 1)}
    return {
        "device": card.name,
        **memory,
        "capability": f"{card.major}.{card.minor}",
        "cuda": torch.version.cuda,
    } | about


def free_bytes() -> int:
    return torch.cuda.mem_get_info()[0]


def product(bench: Bench, precision: str) -> Result:
    """The best rate of square products; fp32 is what torch takes by default, without TF32."""
    best = {}
    for size in bench.sizes.products:
        a, b = (torch.randn(size, size, device=bench.device, dtype=DTYPES[precision]) for _ in range(2))
        seconds = min(call_seconds(lambda a=a, b=b: a @ b, bench.device, bench.sizes.seconds))
        best[size] = 2 * size**3 / seconds / 1e12
    size = max(best, key=best.get)
    return {"tflops": float(f"{best[size]:.4g}"), "size": size}


# ---- encoding -------------------------------------------------------------------------------------------------


def image_encoder(name: str, device: torch.device) -> nn.Module:
    """An image encoder of open_clip with random weights, made where it will be used."""
    config = small_config()["model_cfg"] if name == SMALL else open_clip.get_model_config(name)
    torch.manual_seed(0)
    with torch.device(device):
        return open_clip.CLIP(**config).visual


def picture_gmac(encoder: nn.Module, device: torch.device) -> float:
    """1e9 multiply-adds for one picture."""
    pixels = torch.zeros(1, 3, *encoder.image_size, device=device)
    return count(encoder, lambda: encoder(pixels)).macs / 1e9


def encoding(bench: Bench) -> Iterator[Case]:
    """Pictures a second through frozen encoders, as `mgdm features` runs them; reading clips is left out."""
    sizes = bench.sizes
    for name in sizes.encoders:
        for n in sizes.pictures:
            yield f"{name}, bf16, {n}", partial(encode, bench, name, "bf16", n)
        yield f"{name}, fp32, {sizes.pictures_fp32}", partial(encode, bench, name, "fp32", sizes.pictures_fp32)


@torch.no_grad()
def encode(bench: Bench, name: str, precision: str, n: int) -> Result:
    encoder = image_encoder(name, bench.device).eval()
    gflop = 2 * n * picture_gmac(encoder, bench.device)
    pixels = torch.randn(n, 3, *encoder.image_size, device=bench.device)
    with autocast(precision, bench.device):
        seconds = statistics.median(call_seconds(lambda: encoder(pixels), bench.device, bench.sizes.seconds))
    return {
        "images_per_s": round(n / seconds, 1),
        "share": bench.share(gflop, seconds, precision),
        "peak_gib": peak_gib(bench.device),
        "gflop_per_image": round(gflop / n, 2),
    }


# ---- fine-tuning ----------------------------------------------------------------------------------------------


class Step(NamedTuple):
    """One way to take a fine-tuning step."""

    precision: str = "bf16"
    checkpointing: bool = False
    modules: bool = True  # False: the mean of the frames against raw texts, the backbone alone
    copied: bool = False  # pixels from ordinary memory, as the kit's loop gets them
    compiler: str = ""


PLAIN, RECOMPUTED = "bf16", "bf16, checkpointing"


def finetuning(bench: Bench) -> Iterator[Case]:
    """Steps of the whole network, with all weights trained."""
    yield PLAIN, partial(finetune_fitting, bench, Step())
    yield RECOMPUTED, partial(finetune_fitting, bench, Step(checkpointing=True))
    yield (
        "bf16, backbone alone",
        lambda: finetune_step(bench, Step(modules=False), bench.found("finetuning", PLAIN)["b"]),
    )
    yield "MGDM over the backbone", lambda: overhead(bench)
    yield "fp16, checkpointing", partial(finetune_fitting, bench, Step("fp16", checkpointing=True))
    yield f"{RECOMPUTED}, pixels copied", partial(finetune_fitting, bench, Step(checkpointing=True, copied=True))


def compiled(bench: Bench) -> Iterator[Case]:
    """The same with torch.compile, at the batch that fitted without it."""
    for name, checkpointing in ((PLAIN, False), (RECOMPUTED, True)):
        step = Step(checkpointing=checkpointing, compiler=bench.sizes.compiler)
        yield f"{name}, compiled", partial(compiled_step, bench, step, name)


def compiled_step(bench: Bench, step: Step, eager: str) -> Result:
    """A compiled step beside the eager one of the same batch, where there is one."""
    before = bench.report["parts"]["finetuning"]["cases"].get(eager, {})
    try:
        found = finetune_fitting(bench, step, before.get("b"))
    finally:
        torch.compiler.reset()  # what it keeps would lie in memory beside the next case
    if found["b"] == before.get("b"):
        found["speedup"] = round(before["step_ms"] / found["step_ms"], 3)
    return found


def overhead(bench: Bench) -> Result:
    full, alone = (bench.found("finetuning", case) for case in (PLAIN, "bf16, backbone alone"))
    return {"overhead_percent": round(100 * (full["step_ms"] / alone["step_ms"] - 1), 2), "b": full["b"]}


def finetune_fitting(bench: Bench, step: Step, largest: int | None = None) -> Result:
    """The step with the largest batch that fits."""
    batches = tuple(b for b in bench.sizes.clips if b <= (largest or max(bench.sizes.clips)))
    return first_that_fits(batches, partial(finetune_step, bench, step), bench.device)


def finetune_step(bench: Bench, step: Step, b: int) -> Result:
    encoder, sizes = image_encoder(bench.sizes.tuned, bench.device), bench.sizes
    encoder.set_grad_checkpointing(step.checkpointing)
    gmac, size, dim = picture_gmac(encoder, bench.device), encoder.image_size, encoder.output_dim
    parts = {} if step.modules else {"representer": False, "discriminator": False}
    model = replace(sizes.model, **parts).for_backbone(dim, 100.0)
    network = FineTuned(encoder, new_model(model, seed=0)).to(bench.device)
    config = step_config(sizes, b, step.precision)
    groups = finetune_groups(network, config, FineTuneConfig(grad_checkpointing=step.checkpointing))
    clean(bench.device)  # counting has left something
    pixels = torch.randn(b, model.frames, 3, *size, device="cpu" if step.copied else bench.device)
    seconds, loss = training_steps(network, groups, config, pixels, dim, sizes.steps, step.compiler)
    gflop = 2 * 3 * b * (model.frames * gmac + module_gmac(model, sizes.k, groups=b, together=b))
    return {
        "b": b,
        "frames": model.frames,
        "step_ms": round(1000 * seconds, 1),
        "clips_per_s": round(b / seconds, 2),
        "share": bench.share(gflop, seconds, step.precision),
        "peak_gib": peak_gib(bench.device),
        "loss": round(loss, 4),
    }


# ---- the head, and the loss -----------------------------------------------------------------------------------


def head(bench: Bench) -> Iterator[Case]:
    """MGDM alone, on features that lie on the GPU."""
    for precision in DTYPES:
        yield precision, partial(head_step, bench, precision)


def head_step(bench: Bench, precision: str) -> Result:
    sizes, b = bench.sizes, bench.sizes.head_batch
    model = sizes.model.for_backbone(sizes.model.dim, 100.0)
    network, config = new_model(model, seed=0).to(bench.device), step_config(sizes, b, precision)
    torch.manual_seed(0)
    features = torch.randn(b, model.frames, model.dim, device=bench.device)
    groups = parameter_groups(network, config.weight_decay)
    # A step takes milliseconds: more of them.
    seconds, loss = training_steps(network, groups, config, features, model.dim, 5 * sizes.steps, "")
    gflop = 2 * 3 * b * module_gmac(model, sizes.k, groups=b, together=b)
    return {
        "b": b,
        "k": sizes.k,
        "step_ms": round(1000 * seconds, 2),
        "steps_per_s": round(1 / seconds, 1),
        "share": bench.share(gflop, seconds, precision),
        "peak_gib": peak_gib(bench.device),
        "loss": round(loss, 4),
    }


def loss_forms(bench: Bench) -> Iterator[Case]:
    """Rows repeated as printed, against the library's form: `benchmarks/loss_form.py`, whose fields these are."""
    sizes = bench.sizes
    gb = sizes.loss_memory_share * free_bytes() / 1e9 if bench.cuda else sizes.loss_gb
    for k in sizes.loss_ks:
        for b, literal in loss_form.batches(k, gb).items():
            yield f"k = {k}, b = {b}", partial(loss_form.measure, b, k, literal, bench.device.type, 3)


# ---- agreement ------------------------------------------------------------------------------------------------

SMALL_MODEL = MGDMConfig(dim=128, frames=4, temporal_layers=2, semantic_layers=2, temperatures="fixed")


def agreement(bench: Bench) -> Iterator[Case]:
    """The same computation on the CPU and on the device."""
    for name in ("features", "features, TF32", "features, bf16", "features, fp16"):
        yield name, partial(compare_features, bench.device, name)
    for name, dtype in (("fp32", torch.float32), ("fp64", torch.float64)):
        yield f"loss and gradients, {name}", partial(compare_gradients, bench.device, dtype, TOLERANCE[name])
    yield "a training", partial(compare_trainings, bench.device, bench.sizes.epochs)


def agrees(error: float, tolerance: float) -> Result:
    return {"error": float(f"{error:.2e}"), "tolerance": tolerance, "agrees": error <= tolerance}


def relative(found: Tensor, expected: Tensor) -> float:
    """Size of the difference over the size of what is expected."""
    found, expected = found.detach().double().cpu(), expected.detach().double().cpu()
    return ((found - expected).norm() / expected.norm()).item()


@contextmanager
def convolutions(tf32: bool) -> Iterator[None]:
    """Let cuDNN's convolutions use TF32, as torch does by default, or not."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = tf32
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def compare_features(device: torch.device, name: str) -> Result:
    """Pictures and texts through the small CLIP that comes with the package; the largest error of a row counts."""
    here, there = load_clip(SMALL), load_clip(SMALL, device=str(device))
    there = replace(there, precision=name[-4:] if name[-4:] in ("bf16", "fp16") else "fp32")
    pictures = torch.rand(8, 3, *here.model.visual.image_size, generator=torch.Generator().manual_seed(0))
    sentences = ["a person opens a door", "a person closes a door", "jump"]
    with convolutions("TF32" in name):
        pairs = [(there.encode_image(pictures), here.encode_image(pictures))]
    pairs.append((there.encode_text(sentences), here.encode_text(sentences)))
    rows = [relative(*row) for found, expected in pairs for row in zip(found, expected, strict=True)]
    return agrees(max(rows), TOLERANCE[name])


def loss_and_gradients(
    device: torch.device, dtype: torch.dtype, gather: Callable[[Tensor], Tensor] | None = None
) -> dict[str, Tensor]:
    """The loss of one batch of 12 with k = 3, and the gradient of every weight. Keys' biases have none but rounding."""
    generator = torch.Generator().manual_seed(1)
    groups = torch.rand(12, 9, generator=generator).argsort(dim=1)[:, :4]
    frames = torch.randn(12, SMALL_MODEL.frames, SMALL_MODEL.dim, generator=generator, dtype=torch.float64)
    texts = torch.randn(9, SMALL_MODEL.dim, generator=generator, dtype=torch.float64)
    frames = frames + 0.5 * texts[groups[:, :1]]
    model = new_model(replace(SMALL_MODEL, temperatures="backbone").for_backbone(128, 20.0), seed=0).to(device, dtype)
    groups, frames, texts = groups.to(device), frames.to(device, dtype), texts.to(device, dtype)
    loss = augmented_negative_loss(model(frames, texts[groups], gather).logits, augmented_targets(groups[:, 0], groups))
    loss.backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if not name.endswith("in_proj_bias")}
    return {"loss": loss.detach(), **gradients}


def compare_gradients(device: torch.device, dtype: torch.dtype, tolerance: float) -> Result:
    """The largest relative error among the loss and all gradients."""
    here, there = loss_and_gradients(torch.device("cpu"), dtype), loss_and_gradients(device, dtype)
    errors = {name: relative(there[name], here[name]) for name in here}
    worst = max(errors, key=errors.get)
    return agrees(errors[worst], tolerance) | {"loss_error": float(f"{errors['loss']:.2e}"), "worst": worst}


def synthetic_videos(model: MGDMConfig, classes: int = 12, each: int = 8) -> tuple[Videos, Tensor]:
    """Frames that resemble their label's text, and the texts."""
    generator = torch.Generator().manual_seed(0)
    labels, texts = torch.arange(classes).repeat(each), torch.randn(classes, model.dim, generator=generator)
    frames = torch.randn(len(labels), model.frames, model.dim, generator=generator)
    return Videos(texts[labels][:, None] + 2 * frames, labels), texts


def losses(
    model: MGDMConfig,
    device: str,
    precision: str,
    epochs: int,
    out: Path,
    *,
    lr: float = 3e-4,
    each: int = 8,
    **options,
) -> list[float]:
    """The loss of each epoch of a training by `training.loop`, which leaves its run in `out`."""
    recipe = {"k": 3, "negatives": "random", "batch_size": 24, "warmup_epochs": 1.0}
    videos, texts = synthetic_videos(model, each=each)
    config = TrainConfig(**recipe, epochs=epochs, lr=lr, precision=precision)
    train(model, config, videos, texts, out, device=device, quiet=True, **options)
    return [line["loss"] for line in read_history(out)]


def compare_trainings(device: torch.device, epochs: int) -> Result:
    """The largest relative difference of an epoch's loss; the small model, in fp32."""
    with tempfile.TemporaryDirectory() as folder:
        here = losses(SMALL_MODEL, "cpu", "fp32", epochs, Path(folder) / "cpu")
        there = losses(SMALL_MODEL, str(device), "fp32", epochs, Path(folder) / "device")
    errors = [abs(b - a) / a for a, b in zip(here, there, strict=True)]
    return agrees(max(errors), TOLERANCE["training"]) | {"loss_cpu": here[-1], "loss_device": there[-1]}


# ---- half precision, NCCL, tests ------------------------------------------------------------------------------


def precisions(bench: Bench) -> Iterator[Case]:
    """Trainings in half precision, of the paper's model as far as sizes go."""
    for precision in ("fp32", "bf16", "fp16"):
        yield precision, partial(half_training, bench, precision)


def half_training(bench: Bench, precision: str) -> Result:
    """No NaN in any loss or weight; `learns`: the last epoch's loss is below the first's."""
    sizes, device = bench.sizes, str(bench.device)
    model = replace(sizes.model, temperatures="fixed")
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder)
        found = losses(model, device, precision, sizes.half_epochs, run, lr=sizes.half_lr, each=sizes.half_videos)
        weights = load_model(run).parameters()
        finite = all(map(math.isfinite, found)) and all(bool(weight.isfinite().all()) for weight in weights)
    return {"finite": finite, "learns": found[-1] < found[0], "losses": [round(loss, 5) for loss in found]}


@contextmanager
def one_process(device: torch.device) -> Iterator[str]:
    """A group of one process with the backend that `processes.processes` would take; yields its name."""
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    with tempfile.TemporaryDirectory() as folder:
        dist.init_process_group(backend, init_method=f"file://{folder}/store", rank=0, world_size=1)
        try:
            yield backend
        finally:
            dist.destroy_process_group()


def nccl(bench: Bench) -> Iterator[Case]:
    """The path of several processes, taken by one."""
    yield "gather", partial(compare_gathered, bench.device)


def compare_gathered(device: torch.device) -> Result:
    """Loss and gradients with what `processes` sends between processes, against those without."""
    alone = loss_and_gradients(device, torch.float32)
    with one_process(device) as backend:
        # `processes.gather` would step aside for a single process; this is what it calls for several.
        gathered = loss_and_gradients(
            device, torch.float32, gather=lambda rows: processes._Gather.apply(rows, len(rows))
        )
        flat = torch.cat([value.flatten() for value in gathered.values()])
        summed = flat.clone()
        dist.all_reduce(summed)
        dist.all_reduce(torch.zeros(1))  # the barrier, which goes through the CPU
    errors = [relative(gathered[name], alone[name]) for name in alone] + [relative(summed, flat)]
    return agrees(max(errors), TOLERANCE["gathered"]) | {"backend": backend}


def cuda_tests(bench: Bench) -> Iterator[Case]:
    """`pytest -m cuda`, in a process of its own."""
    yield "pytest -m cuda", partial(run_pytest, bench)


def run_pytest(bench: Bench) -> Result:
    """Its last line, and the names of what failed."""
    # One file has them all: collecting the others would need what only they import. Warnings of another torch or of a
    # driver are no errors here.
    options = ["-m", "cuda", "-rfE", "-W", "default", "-p", "no:cacheprovider", "tests/test_cuda.py"]
    command = [sys.executable, "-m", "pytest", *options]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))}
    captured = {"cwd": ROOT, "env": environment, "capture_output": True, "text": True}
    ran = subprocess.run(command, timeout=max(1.0, bench.left()), check=False, **captured)
    lines = (ran.stdout.strip() or ran.stderr.strip()).splitlines()
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    return {"exit": ran.returncode, "outcome": lines[-1] if lines else "", "failed": failed}


# ---- all of it ------------------------------------------------------------------------------------------------

# The most seconds of each, of 8 minutes. First what nothing can replace; compiling, the slowest, comes late.
PARTS: dict[str, tuple[Callable[[Bench], Iterator[Case]], float]] = {
    "card": (card, 30),
    "agreement": (agreement, 60),
    "finetuning": (finetuning, 150),
    "encoding": (encoding, 70),
    "head": (head, 30),
    "loss": (loss_forms, 50),
    "precision": (precisions, 45),
    "nccl": (nccl, 30),
    "compiled": (compiled, 150),
    "tests": (cuda_tests, 120),
}


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """`OutOfTime` in the block after some seconds; where there is no such signal (Windows), never."""

    def ring(*_: Any) -> None:
        raise OutOfTime

    if not hasattr(signal, "SIGALRM"):
        yield
        return
    before = signal.signal(signal.SIGALRM, ring)
    # Again and again, since Python drops what is raised in a finaliser, and a compiler runs many.
    signal.setitimer(signal.ITIMER_REAL, max(0.01, seconds), RING_AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def run_case(run: Callable[[], Result]) -> Result:
    """Its numbers, or why there are none."""
    try:
        return run()
    except torch.OutOfMemoryError as error:
        return {"skipped": f"does not fit in memory: {first_line(error)}"}
    except Exception as error:
        return {"skipped": f"{type(error).__name__}: {first_line(error)}"}


def first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [""])[0][:300]


def run_part(bench: Bench, name: str, limit: float) -> None:
    """All cases of a part, each on disk as soon as it is over."""
    part = bench.report["parts"][name]
    part["state"], started, case = "running", time.perf_counter(), ""
    bench.write()
    try:
        with time_limit(limit):
            for case, run in PARTS[name][0](bench):
                clean(bench.device)
                part["cases"][case] = {"skipped": "was running"}  # what a killed process leaves
                bench.write()
                part["cases"][case] = run_case(run)
                bench.write()
                show(name, case, part["cases"][case])
        part["state"] = "done"
    except OutOfTime:
        part["state"] = "out of time"
        if part["cases"].get(case) == {"skipped": "was running"}:
            part["cases"][case] = {"skipped": f"not finished within the {limit:.0f} s of its part"}
            show(name, case, part["cases"][case])
    except KeyboardInterrupt:
        part["state"] = "interrupted"
        raise
    except Exception as error:
        part["state"], part["reason"] = "failed", f"{type(error).__name__}: {first_line(error)}"
    finally:
        part["seconds"] = round(time.perf_counter() - started, 1)
        bench.write()


def show(part: str, case: str, result: Result) -> None:
    print(f"{part:<11} {case:<36} " + "  ".join(f"{name} {value}" for name, value in result.items()), flush=True)


def problems(report: Result) -> list[str]:
    """What was left out, disagrees or is not finite."""
    found = []
    for name, part in report["parts"].items():
        if "reason" in part:
            found.append(f"{name}: {part['reason']}")
        for case, result in part["cases"].items():
            wrong = [key for key in ("agrees", "finite", "learns") if result.get(key) is False]
            if "skipped" in result or wrong or result.get("exit"):
                reason = result.get("skipped") or result.get("outcome") or f"{', '.join(wrong)}: no"
                found.append(f"{name}, {case}: {reason}")
    return found


def run_all(bench: Bench, names: tuple[str, ...]) -> None:
    """Every part within its limit and what is left of the total."""
    bench.report |= {"state": "running", "seconds": None}
    bench.report["parts"] = {name: {"state": "not run", "seconds": 0.0, "cases": {}} for name in PARTS}
    started = time.perf_counter()
    total = bench.left()
    for name in names:
        kept = 0 if name == "tests" or "tests" not in names else min(FOR_TESTS, 0.2 * total)
        limit = min(PARTS[name][1], bench.left() - kept)
        if limit < 1:
            bench.report["parts"][name]["reason"] = "no time is left"
            continue
        run_part(bench, name, limit)
        bench.report["seconds"] = round(time.perf_counter() - started, 1)
    bench.report["state"] = "finished"


def main(
    minutes: float = 8,
    device: str = "cuda",
    tiny: bool = False,
    parts: tuple[str, ...] = tuple(PARTS),
    out: Path = Path("results/gpu.json"),
) -> None:
    """Measure everything, print each case and write it.

    Args:
        minutes: The most that all of it takes.
        device: cuda; cpu for a rehearsal.
        tiny: Small sizes, to see that everything runs.
        parts: Which parts, in their order here.
        out: The JSON file to write.
    """
    if unknown := set(parts) - set(PARTS):
        raise SystemExit(f"no part is called {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("torch finds no CUDA card; --device cpu --tiny rehearses")
    deadline = time.perf_counter() + 60 * minutes - AROUND
    bench = Bench(torch.device(device), TINY if tiny else Sizes(), out, deadline)
    bench.report |= {"tiny": tiny, "minutes": minutes, "device": device}
    # Where a call never comes back to Python no signal helps: the process ends, the file is as the last case left it.
    faulthandler.dump_traceback_later(max(0.0, bench.left()) + AROUND / 2, exit=True, file=sys.__stderr__)
    try:
        run_all(bench, tuple(name for name in PARTS if name in parts))
    except KeyboardInterrupt:
        bench.report["state"] = "interrupted"
        raise SystemExit(f"interrupted; what was measured is in {out}") from None
    finally:
        faulthandler.cancel_dump_traceback_later()
        bench.report["problems"] = problems(bench.report)
        bench.write()
    print("\n".join(["", *bench.report["problems"]]))
    print(f"{bench.report['seconds']} s; {out}")


if __name__ == "__main__":
    tyro.cli(main)
