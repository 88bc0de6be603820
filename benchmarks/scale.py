"""What the full Kinetics-400 run costs, from counted work, published and measured speeds, and stated assumptions.

    python benchmarks/scale.py                        # print the table
    python benchmarks/scale.py --write docs/scale.md  # put it between the markers of the page
    python benchmarks/scale.py --gpu H100 --cores 16

Time = work / (peak x utilisation x GPUs), or core-seconds / cores where reading clips takes longer.
"""

import json
from pathlib import Path
from typing import Any, Literal, NamedTuple

import tyro

from mgdmkit.evaluation.complexity import parts
from mgdmkit.files import write_text_atomic

ROOT = Path(__file__).resolve().parent.parent
CLIP, T, D, CLASSES, K = "ViT-L-14", 16, 768, 400, 7
TRAIN, VAL, EPOCHS, BATCH = 234_619, 19_761, 20, 32  # the paper's; BATCH on each GPU
LAYERS, WIDTH, TOKENS = 24, 1024, 257  # of ViT-L/14's image encoder, 224 x 224
GIGA, TERA, HOUR = 1e9, 1e12, 3600
START, END = "<!-- table: python benchmarks/scale.py --write docs/scale.md -->", "<!-- end of table -->"

# Dense TFLOP/s as NVIDIA's data sheets print them (V100 SXM2, A100 SXM, H100 SXM): half precision, fp32.
PEAK = {"V100": (125, 15.7), "A100": (312, 19.5), "H100": (989, 67)}
# Training of ViT-L/14 with its text encoder on A100s: pairs per second of all GPUs, and GPUs; the fastest and the
# slowest row of github.com/LAION-AI/scaling-laws-openclip/blob/main/trained_models_info.csv for this model.
PUBLISHED = {"fast": (35524.82252, 200), "slow": (27861.91926, 384)}
# Assumed, the hours are in inverse proportion. The bound is 1: a product of two 10240 x 10240 matrices in fp32 takes
# 0.11 s on an A100 (PyTorch's documentation, notes/cuda), 19.5 TFLOP/s; a network reaches less than its products.
FP32_UTILISATION = {"fast": 0.8, "slow": 0.4}
COPY_GB = 135  # clips on disk; PaddleVideo's docs/en/dataset/k400.md, for a copy of just these counts


class Work(NamedTuple):
    """One step of the run."""

    name: str
    flop: float
    half: bool
    """Half precision, else fp32."""
    clips_read: int


def gmac(table, part: str) -> float:
    """1e9 multiply-adds of a row of `complexity.parts` for one video."""
    return float(table.loc[table["part"].str.startswith(part), "gmac"].sum())


def steps() -> list[Work]:
    """The steps, in 2 FLOP a multiply-add; a pass backwards costs two passes forwards."""
    train, test = parts(CLIP, T, K), parts(CLIP, T, 0, classes=CLASSES)
    image, text = gmac(train, "image") * 2 * GIGA, gmac(train, "text") * 2 * GIGA / (1 + K)
    pairs = BATCH * 8 * gmac(train, "attention") * 2 * GIGA  # each video meets the groups of all 8 GPUs
    module = (gmac(train, "temporal") + gmac(train, "semantic")) * 2 * GIGA + pairs
    scored = sum(gmac(test, name) for name in ("temporal", "attention", "semantic")) * 2 * GIGA
    encoded = (TRAIN + VAL) * image + CLASSES * text
    tuned, evaluation = EPOCHS * TRAIN * (image + module), VAL * (image + scored)
    return [
        Work("`features`: encode every clip", encoded, False, TRAIN + VAL),
        Work("the same with `--precision bf16`", encoded, True, TRAIN + VAL),
        Work("`mine`: one matrix product", 2 * (TRAIN + VAL) * D * (T + CLASSES), False, 0),
        Work(f"`train`: {EPOCHS} epochs on cached features", EPOCHS * TRAIN * 3 * module, True, 0),
        Work(f"`finetune`: {EPOCHS} epochs from clips", 3 * tuned, True, EPOCHS * TRAIN),
        Work("the same with `--grad-checkpointing`", 4 * tuned, True, EPOCHS * TRAIN),
        Work("and scoring `val` after each epoch", EPOCHS * evaluation, False, EPOCHS * VAL),
        Work("`evaluate` a fine-tuned run", evaluation, False, VAL),
    ]


def utilisation() -> dict[str, float]:
    """What the published trainings made of the A100's peak, activations that are computed twice not counted."""
    table = parts(CLIP, 1, 0)
    flop = 3 * 2 * GIGA * (gmac(table, "image") + gmac(table, "text"))  # one pair, forward and backward
    return {name: rate / gpus * flop / (PEAK["A100"][0] * TERA) for name, (rate, gpus) in PUBLISHED.items()}


def table(gpu: str, cores: int, seconds_per_clip: float) -> str:
    """Markdown: work, core-hours of reading, the cores a GPU with which reading keeps up at the fast utilisation, and
    the time on 1 and 8 GPUs at the fast and the slow one."""
    half, single = PEAK[gpu]
    lines = ["| step | PFLOP | core-hours to read | cores to keep up | 1 GPU | 8 GPUs |", "|---|---|---|---|---|---|"]
    for work in steps():
        peak, share = (half, utilisation()) if work.half else (single, FP32_UTILISATION)
        rates = [peak * share[name] for name in ("fast", "slow")]
        reading = work.clips_read * seconds_per_clip / HOUR
        needed = reading / (work.flop / (rates[0] * TERA) / HOUR)
        cells = []
        for gpus in (1, 8):
            hours = [max(work.flop / (rate * TERA * gpus) / HOUR, reading / (cores * gpus)) for rate in rates]
            cells.append(" to ".join(dict.fromkeys(map(show, hours))))
        lines.append(
            f"| {work.name} | {work.flop / 1e15:,.5g} | {reading:,.1f} | {needed:.1f} | {cells[0]} | {cells[1]} |"
        )
    return "\n".join(lines)


def show(hours: float) -> str:
    for unit, size in (("h", 1), ("min", 1 / 60), ("s", 1 / HOUR)):
        if hours >= size:
            value = hours / size
            return f"{value:.0f} {unit}" if value >= 10 else f"{value:.1f} {unit}"
    return "< 1 s"


def inputs(gpu: str, cores: int, seconds_per_clip: float) -> str:
    share, (half, single) = utilisation(), PEAK[gpu]
    return (
        f"{gpu}: {half} TFLOP/s in half precision, {single} in fp32 (data sheet). Utilisation in half precision "
        f"{share['fast']:.2f} to {share['slow']:.2f} (published, for the A100), in fp32 {FP32_UTILISATION['fast']} to "
        f"{FP32_UTILISATION['slow']} (**assumed**). Reading a clip: {1000 * seconds_per_clip:.0f} ms of a core "
        f"(measured); {cores} cores a GPU (**assumed**)."
    )


def sizes() -> str:
    """Disk and memory: a list in Markdown."""
    clips, values = TRAIN + VAL, (TRAIN + VAL) * T * D
    frames = BATCH * T
    block = 34 * TOKENS * frames * WIDTH  # bytes, half precision and no stored attention: Korthikanti et al. 2022
    kept = 4 * TOKENS * frames * WIDTH * LAYERS + block  # the fp32 residual stream, and one block at a time
    mine = {row.part: row.mparams for row in parts(CLIP, T, K).itertuples()}
    trained = mine["image encoder"] + sum(mine[name] for name in mine if "blocks" in name)  # 1e6 parameters
    return "\n".join(
        [
            f"- clips: about {COPY_GB} GB for {clips:,} (published), {1000 * COPY_GB / clips:.2f} MB each",
            f"- features: {clips:,} x {T} x {D} x 4 bytes = {4 * values / GIGA:.1f} GB in fp32, as stored, and with "
            f"32 frames twice that; each process of `train` holds those of its splits, {4 * values / GIGA:.1f} GB at "
            f"most, so {8 * 4 * values / GIGA:.0f} GB for 8 on one machine; `mine` holds 1,024 clips at a time",
            f"- a checkpoint of `finetune`: weights and two moments, {trained:.0f} M x 12 bytes = "
            f"{trained * 12 / 1000:.1f} GB",
            f"- GPU memory of `finetune` at {BATCH} clips per GPU: activations of about 34 bytes x {TOKENS} tokens x "
            f"{frames} frames x {WIDTH} x {LAYERS} blocks = {LAYERS * block / GIGA:.0f} GB; with "
            f"`--grad-checkpointing` about {kept / GIGA:.0f} GB; and {trained * 16 / 1000:.1f} GB for weights, "
            f"gradients and moments (estimated, not measured)",
        ]
    )


def page(gpu: str, cores: int, measured: dict[str, Any]) -> str:
    reading = measured["drawn clip"]
    seconds = (reading["decode_ms_per_clip"] + reading["preprocess_ms_per_clip"]) / 1000
    return "\n\n".join([inputs(gpu, cores, seconds), table(gpu, cores, seconds), sizes()])


def main(
    gpu: Literal["V100", "A100", "H100"] = "A100",
    cores: int = 8,
    throughput: Path = ROOT / "results" / "throughput.json",
    write: Path | None = None,
) -> None:
    """Print the table, or put it into a page.

    Args:
        gpu: Which peaks to take.
        cores: Processor cores a GPU.
        throughput: What benchmarks/throughput.py wrote.
        write: A Markdown page with the two markers.
    """
    text = page(gpu, cores, json.loads(throughput.read_text(encoding="utf-8")))
    if write is None:
        print(text)
        return
    before, _, rest = write.read_text(encoding="utf-8").partition(START)
    if END not in rest:
        raise SystemExit(f"{write} lacks the two lines between which the table goes: {START} and {END}")
    write_text_atomic(write, f"{before}{START}\n\n{text}\n\n{END}{rest.partition(END)[2]}")
    print(f"table: {write}")


if __name__ == "__main__":
    tyro.cli(main)
