"""The grids of `mgdm experiment`: which variants, and which each is compared with."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from mgdmkit.config import SMALL_TRAIN, TrainConfig, check_choice, check_counts, write_text_atomic
from mgdmkit.experiments.pipeline import Prepared
from mgdmkit.experiments.variants import Against, Variant, compare, correct, reading, train_ahead, train_grid
from mgdmkit.mining import EASIEST_OF
from mgdmkit.runs.trained import read_history

PAPER_K = (0, 3, 5, 7, 9)


def k_grid(ks: Sequence[int], depth: int, labels: int, guide: str = "positive") -> list[Against]:
    """Tables 1-3: each k against k = 0; and against as many of the hardest the paper's "3 (bot)" and random negatives.

    Random ones are the control that the paper lacks: is it *hard* labels that act, or merely *more* of them?

    Args:
        ks: the first is what the others are compared with.
        depth: how many negatives are mined for a video; what needs more is left out.
        labels: how many there are.
        guide: a reading of eq. 15 for all rows; without negatives it makes no difference.
    """
    if not ks or min(ks) < 0 or ks[0] > depth:
        raise ValueError(f"ks={tuple(ks)}: name what to compare, first a k from 0 to {depth}, the depth of the mining")
    options = {} if guide == "positive" else {"guide": guide}
    hardest = {k: reading(options if k else {}, k) for k in ks if k <= depth}
    rows = [Against(variant, hardest[ks[0]]) for variant in hardest.values()]
    if depth >= EASIEST_OF and 3 in hardest:
        rows.append(Against(reading(options, 3, "bot"), hardest[3]))
    return rows + [Against(reading(options, k, "random"), hardest[k]) for k in (3, 7) if k in hardest and k < labels]


def adaptive_grid(k: int = EASIEST_OF, margins: Iterable[float] = (1.0, 2.0, 4.0)) -> list[Against]:
    """Negatives chosen per video, within a margin and at most k, against the fixed k = 3 of about the same number.

    A margin below 0 takes only labels that CLIP prefers to the positive.
    """
    rows = [Variant(k, "adaptive", training={} if m == TrainConfig.margin else {"margin": m}) for m in margins]
    return [Against(variant, Variant(3)) for variant in (Variant(0), Variant(3), *rows)]


def modules_grid(k: int = 7) -> list[Against]:
    """Table 7: the model without one of its modules, against the whole; then the two against each other.

    The last is the paper's claim: whoever loses more without the representer than without the discriminator scores
    higher without the discriminator.
    """
    whole = Variant(k)
    representer, discriminator = (Variant(k, model={name: False}) for name in ("representer", "discriminator"))
    with_whole = [Against(variant, whole) for variant in (whole, representer, discriminator)]
    return [*with_whole, Against(discriminator, representer)]


def batch_grid(
    sizes: Iterable[int] = (8, 32, 128), ks: Iterable[int] = (0, 3), match: Literal["steps", "epochs"] = "steps"
) -> list[Against]:
    """Does k matter when the batch already holds every class? Each k against k = 0 with the same batches.

    Args:
        match: what all sizes have in common. With as many optimiser steps a larger batch sees more epochs, with as
            many epochs it takes fewer steps; what shows in both is not owed to the length of the training.
    """
    check_choice("match", match, ("steps", "epochs"))
    usual, rows = TrainConfig.batch_size, []
    for size in sizes:
        check_counts(size=size)
        training = {"batch_size": size} if size != usual else {}
        if training and match == "steps":
            share = size / usual
            epochs, warmup = round(SMALL_TRAIN["epochs"] * share), SMALL_TRAIN["warmup_epochs"] * share
            training |= {"epochs": epochs, "warmup_epochs": warmup}
        variants = [Variant(k, training=training) for k in ks]
        rows += [Against(variant, variants[0]) for variant in variants]
    return rows


def recipe_grid() -> list[Against]:
    """For the validation split: how fast and how long the small model learns, with and without negatives."""
    rows = []
    for epochs, lr in ((40, 1e-3), (40, 3e-3), (80, 1e-3), (80, 3e-3), (80, 6e-3), (160, 1e-3), (160, 3e-3)):
        variants = [Variant(k, training={"lr": lr, "epochs": epochs, "warmup_epochs": epochs / 10}) for k in (0, 3)]
        rows += [Against(variant, variants[0]) for variant in variants]
    return rows


def depth_grid() -> list[Against]:
    """For the validation split: blocks of the representer and the discriminator, the paper's 6 + 2 the largest."""
    rows = []
    for temporal, semantic in ((1, 1), (2, 2), (4, 2), (6, 2)):
        model = {"temporal_layers": temporal, "semantic_layers": semantic} if (temporal, semantic) != (2, 2) else {}
        variants = [Variant(k, model=model) for k in (0, 3)]
        rows += [Against(variant, variants[0]) for variant in variants]
    return rows


READINGS: tuple[dict[str, Any], ...] = (
    {"temperatures": "fixed"},
    {"target": "softmax10"},
    {"empty_columns": "uniform"},
    {"target": "softmax10", "empty_columns": "uniform"},
    {"empty_columns": "mask"},
    {"t2v_mean": "all"},
    {"similarity": "dot_text_normalized"},
    {"attention": "dot"},
    {"guide": "each"},
    {"context": "joint"},
    {"inference": "rerank"},
    {"frame_positions": False},
)
"""One departure from the defaults each; the fourth is the lineage's softmax(10 Q) in both of its effects."""


def compare_readings(prepared: Prepared, k: int, seeds: int, out: Path, *, workers: int = 1) -> pd.DataFrame:
    """Each reading against the default, on the same test videos and seeds.

    Args:
        out: the CSV to write, with a row for each reading; the runs go to a CSV beside it, `<stem>_runs.csv`.
    Returns:
        reading, k, seeds, N, top1_mean, top1_std, then Top-1 against the default's: difference, low, high (95%
        bootstrap over seeds and videos). All in percent.
    """
    check_counts(k=k)
    variants = {words(options): reading(options, k) for options in ({}, *READINGS)}
    runs, labels = out.with_name(f"{out.stem}_runs.csv"), prepared.videos("test").labels
    _, logits = train_grid(prepared, list(variants.values()), seeds, runs, workers=workers)
    right = {name: correct(logits[variant.name], labels) for name, variant in variants.items()}
    rows = []
    for name, of_reading in right.items():
        top1 = 100 * of_reading.double().mean(dim=1)
        spread = top1.std().item() if seeds > 1 else math.nan
        versus = compare(of_reading, right["default"])
        row = {"reading": name, "k": k, "seeds": seeds, "N": len(labels), "top1_mean": round(top1.mean().item(), 2)}
        rows.append(row | {"top1_std": round(spread, 2)} | {key: versus[key] for key in ("difference", "low", "high")})
    table = pd.DataFrame(rows)
    write_text_atomic(out, table.to_csv(index=False))
    return table


def words(options: dict[str, Any]) -> str:
    """`guide=each, context=joint`, or `default`."""
    return ", ".join(f"{key}={value}" for key, value in options.items()) or "default"


def curves_grid(epochs: int, ks: Iterable[int] = (0, 3)) -> list[Variant]:
    """Long trainings: whether negatives buy speed or a higher ceiling shows only well past convergence."""
    training = {"epochs": epochs, "warmup_epochs": SMALL_TRAIN["warmup_epochs"]}
    rows = [Variant(k, training=training) for k in ks]
    return [*rows, Variant(3, model={"guide": "each"}, training=training)]


def learning_curves(
    prepared: Prepared, variants: Sequence[Variant], seeds: int, out: Path, *, workers: int = 1
) -> pd.DataFrame:
    """Validation Top-1 after each epoch of each training.

    Args:
        out: the CSV to write: run, seed, epoch (from 1), loss, val_top1 in percent. The test split is not read.
    """
    check_counts(seeds=seeds, workers=workers)
    jobs = [(variant, seed) for seed in range(seeds) for variant in variants]
    train_ahead(prepared, jobs, workers, watch=True)
    parts = []
    for variant, seed in jobs:
        history = pd.DataFrame(read_history(variant.run(prepared, seed, "val").folder))
        columns = {"run": variant.name, "seed": seed, "epoch": history["epoch"] + 1, "loss": history["loss"].round(4)}
        parts.append(pd.DataFrame({**columns, "val_top1": (100 * history["val_top1"]).round(2)}))
        table = pd.concat(parts)
        write_text_atomic(out, table.to_csv(index=False))
    return table
