"""What filling a table would run, what is missing, and what it would cost. Nothing is written, and of the data only
lists are read.

Costs are multiply-adds (`evaluation/complexity.py`). A training step is taken as three forward passes: the forward
pass, the gradients of the activations, and those of the weights. The optimiser is left out; decoding is told apart, in
hours of a processor core.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from huggingface_hub import constants, try_to_load_from_cache

from mgdmkit.clip.features import clips_done
from mgdmkit.clip.later import open_clip
from mgdmkit.clip.small import SMALL
from mgdmkit.clip.weights import activation_doubt, openai_download
from mgdmkit.config import MGDMConfig
from mgdmkit.data.cards import dataset_card
from mgdmkit.data.corpus import mining_corpus
from mgdmkit.evaluation.complexity import SEMANTIC, module_parts, parts
from mgdmkit.replication.job import check_job
from mgdmkit.replication.options import Options
from mgdmkit.replication.recipes import Recipe, unlike_the_kit
from mgdmkit.replication.rows import batch_note, corpus_labels, run_folder
from mgdmkit.replication.sources import Source, manifest_command

TFLOPS = {"fine-tuned": (94.0, 37.0), "frozen": (0.1,)}
"""What a machine is taken to reach, in 1e12 operations a second, two for a multiply-add. To train CLIP, too, an A100 in
bf16 at the best and the least of the published utilisations in `docs/scale.md`; without it two cores in fp32."""
DECODING = 0.136  # seconds of one core to read a clip, measured: `results/throughput.json`
WEIGHT_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
SCORED_TOGETHER = 64  # videos that share the discriminator's pass over the classes, see `predict`


def plan(
    table: int,
    recipes: Sequence[Recipe],
    source: Source,
    out: Path,
    options: Options,
    *,
    tflops: float | None = None,
    again: bool = False,
) -> str:
    """The plan of a table for one dataset and official split, as text; of one that is not there, for all of it.

    Args:
        recipes: the rows to run.
        tflops: 1e12 operations a second that the machine reaches; `TFLOPS` when not given.
        again: another split of the dataset was planned before: it has told the recipes, and made the features.
    Raises:
        ValueError, FolderError: as `reproduce_table` would.
    """
    recipe, rates = recipes[0], TFLOPS[options.training] if tflops is None else (tflops,)
    if min(rates) <= 0:
        raise ValueError(f"tflops must be positive, not {tflops}")
    check_job(source, recipes, out, options)
    clips = {split: source.count(split) for split in ("train", recipe.scored)} | {"classes": len(source.classes)}
    lines = [] if again else [_told(recipe, options) for recipe in recipes]
    split = f", official split {source.official_split}" if source.official_split else ""
    title = f"Table {table}, {dataset_card(recipe.dataset)['title']}{split}, {options.training}"
    lines += [f"{title}: a dry run, nothing is written", _data_line(source, recipe, clips)]
    if note := batch_note(recipe):
        cure = f"torchrun on more GPUs or --batch-size {recipe.paper_batch} makes it the paper's"
        lines.append(f"{note[0].upper()}{note[1:]}; {cure}")
    lines += [*missing(source, recipe), ""]
    try:
        costs = [] if again else [_encoding(source, recipe, out)]
        costs += [_training(source, recipe, out, clips, options) for recipe in recipes]
        lines.append(_cost_table(costs, rates))
    except ValueError as error:  # of a backbone that can't be counted
        lines.append(f"no estimate of the cost: {error}")
    return "\n".join(lines)


def _told(recipe: Recipe, options: Options) -> str:
    unlike = unlike_the_kit(recipe, frozen=options.frozen)
    title = f"# {recipe.dataset}/{recipe.row}" + (f", other than the kit's in {unlike}" if unlike else "")
    return f"{title}\n{recipe.to_text()}\n"


def missing(source: Source, recipe: Recipe) -> list[str]:
    """A line for each thing that isn't there: the manifest, clips of it, weights of CLIP."""
    found = []
    if source.absent:
        cure = manifest_command(recipe.dataset, source.path)
        found.append(f"missing: {source.path or 'the data, --data'}; `{cure}` makes it")
    elif not source.is_features:
        paths = source.manifest().video_paths
        if absent := [path for path in paths if not path.is_file()]:
            found.append(f"missing: {len(absent):,} of {len(paths):,} clips, first {absent[0]}")
    if not source.is_features:
        found += _missing_weights(recipe.clip, recipe.pretrained)
    return found


def _missing_weights(clip: str, pretrained: str | None) -> list[str]:
    """As `load_clip` would look for them, but without loading or downloading anything."""
    if doubt := activation_doubt(clip, pretrained):
        return [f"to be decided: {doubt}"]
    if clip == SMALL or Path(clip).is_dir() or (pretrained and Path(pretrained).is_file()):
        return []
    tag = open_clip.get_pretrained_cfg(clip, pretrained) if pretrained and clip in open_clip.list_models() else None
    if not tag:
        return [f"missing: {clip!r} with weights {pretrained!r} is neither there nor known; see `mgdm features --help`"]
    repository = str(tag.get("hf_hub", "")).strip("/")
    if repository and any(isinstance(try_to_load_from_cache(repository, name), str) for name in WEIGHT_FILES):
        return []
    if openai_download(clip, pretrained):
        return []
    return [f"missing: the weights {pretrained!r} of {clip} are not in {constants.HF_HUB_CACHE}: they'd be downloaded"]


def row_pmac(recipe: Recipe, clips: dict[str, int], frozen: bool) -> float:
    """1e15 multiply-adds of training and scoring one run.

    Args:
        clips: of the splits train and `recipe.scored`, and "classes".
        frozen: on cached features, without CLIP's image encoder.
    """
    frames, b = recipe.model.frames, recipe.train.batch_size
    clip = _clip_gmac(recipe.clip, frames)
    model = replace(recipe.model, dim=round(1e9 * clip["attention over frames (eq. 15)"] / frames))  # T x D of one text
    step = 3 * module_gmac(model, recipe.train.k, groups=b, together=b)
    look = module_gmac(model, 0, groups=clips["classes"], together=SCORED_TOGETHER)
    if not frozen:
        # What a step of the image encoder is worth in forward passes, at most: with some blocks frozen it is less.
        passes = 1 if recipe.finetune.freeze == "image" else 3 + recipe.finetune.grad_checkpointing
        step += passes * clip["image encoder"]
        look += clip["image encoder"]
    return (step * clips["train"] * recipe.train.epochs + look * clips[recipe.scored]) / 1e6


@cache
def module_gmac(model: MGDMConfig, k: int, *, groups: int, together: int) -> float:
    """1e9 multiply-adds of MGDM's modules for one video that meets `groups` groups of 1 + k texts.

    Args:
        together: videos that share the discriminator's pass over the groups.
    """
    rows = module_parts(model, k, groups)
    return sum(row.macs / (together if row.name == SEMANTIC else 1) for row in rows) / 1e9


@cache
def _clip_gmac(clip: str, frames: int) -> pd.Series:
    """Part -> 1e9 multiply-adds for one video and one text; `ValueError` for a CLIP that can't be counted."""
    return parts(clip, frames, k=0).set_index("part")["gmac"]


class Cost(NamedTuple):
    """Of what is left to do of one piece of work; `states` are those of its runs: finished, begun or to run."""

    name: str
    pmac: float  # 1e15 multiply-adds
    decoded: int  # clips that are read
    states: str = ""


def _encoding(source: Source, recipe: Recipe, out: Path) -> Cost:
    """Features of the clips that have none yet, and the texts of the corpus."""
    left, gmac = 0, _clip_gmac(recipe.clip, recipe.model.frames)
    if not source.is_features:
        left = len(source.table) - clips_done(out / recipe.dataset / "features", len(source.table))
    texts = len(mining_corpus(source.classes, corpus_labels(recipe.corpus))) if left else 0
    pmac = (gmac["image encoder"] * left + gmac["text encoder"] * texts) / 1e6
    return Cost("features of all clips", pmac, left)


def _training(source: Source, recipe: Recipe, out: Path, clips: dict[str, int], options: Options) -> Cost:
    """Of the seeds of a row that are not finished."""
    states = []
    for seed in range(options.seeds):
        run = run_folder(recipe, source.official_split, out / recipe.dataset, options.training, seed)
        finished, begun = (run / "result.json").is_file(), (run / "config.json").is_file()
        states.append("finished" if finished else "begun" if begun else "to run")
    left = options.seeds - states.count("finished")
    decoded = 0 if options.frozen else recipe.train.epochs * clips["train"] + clips[recipe.scored]
    return Cost(recipe.row, left * row_pmac(recipe, clips, options.frozen), left * decoded, ", ".join(states))


def _data_line(source: Source, recipe: Recipe, clips: dict[str, int]) -> str:
    scored = f"{clips[recipe.scored]:,} {recipe.scored}"
    counts = f"{clips['train']:,} train and {scored} clips of {clips['classes']} classes"
    if source.absent:
        return f"the whole dataset has {counts}"
    unlike = source.unlike_the_paper(recipe.scored)
    return f"{source.path}: {counts}" + (f"\nnot comparable with the paper's figures: {unlike}" if unlike else "")


def _cost_table(costs: Sequence[Cost], rates: Sequence[float]) -> str:
    """A line for each piece of work, and one for all."""
    decoded = sum(cost.decoded for cost in costs)
    lines = [f"{'':24}{'PMAC':>12}" + "".join(f"{f'h at {rate:g}':>12}" for rate in rates)]
    for cost in (*costs, Cost("together", sum(cost.pmac for cost in costs), decoded)):
        hours = "".join(f"{2 * cost.pmac * 1e15 / (rate * 1e12) / 3600:12.2g}" for rate in rates)
        lines.append(f"{cost.name:24}{cost.pmac:12.4g}{hours}  {cost.states}".rstrip())
    lines += [
        "PMAC: 1e15 multiply-adds; h at R: hours at R e12 operations a second. Give your machine's with --tflops.",
        f"Not in it: decoding {decoded:,} clips, {decoded * DECODING / 3600:.2g} hours of one core at "
        f"{1000 * DECODING:.0f} ms per clip, shared by those that decode; and the optimiser's steps.",
    ]
    return "\n".join(lines)
