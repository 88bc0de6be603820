"""Grids of trainings over seeds, as one tidy table: which negatives, how many of them, does it matter?

Every row of a grid sees the same videos; runs with the same seed start from the same weights and see the videos in
the same order. Runs that are finished are loaded, so an interrupted grid continues.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from mgdmkit.config import write_text_atomic
from mgdmkit.evaluate import Scores, score
from mgdmkit.mining import zero_shot_logits
from mgdmkit.pipeline import Prepared, run_name, train_and_score

Variant = tuple[int, str]
"""k and which negatives."""

K_GRID: tuple[Variant, ...] = ((0, "top"), (3, "top"), (7, "top"), (3, "random"))
"""No negatives, the hardest 3 and 7, and 3 random ones: the control that tells *hard* from *more*."""


def table_row(run: str, k: int | str, negatives: str, seed: int | str, scores: Scores) -> dict[str, Any]:
    """One row of a table of scores; shares are percentages with two digits."""
    top1, top5 = scores.top1, scores.top5
    shares = {"top1": top1.value, "top1_low": top1.low, "top1_high": top1.high, "top5": top5.value}
    percentages = {name: round(100 * share, 2) for name, share in shares.items()}
    return {"run": run, "k": k, "negatives": negatives, "seed": seed, "N": top1.n, **percentages}


def zero_shot_row(prepared: Prepared, split: str = "test") -> dict[str, Any]:
    """Frozen CLIP without any training."""
    part = prepared.features.split(split)
    return table_row(
        "zero-shot CLIP", "", "", "", score(zero_shot_logits(part.frame_features, part.text_features), part.labels)
    )


def run_grid(
    prepared: Prepared, variants: Iterable[Variant], seeds: int, out: Path, *, split: str = "test", device: str = "auto"
) -> pd.DataFrame:
    """Train every variant with seeds 0 .. seeds - 1, score it, and rewrite the table after each run.

    Args:
        out: the CSV; its first row is zero-shot CLIP.
    """
    rows = [zero_shot_row(prepared, split)]
    for seed in range(seeds):
        for k, negatives in variants:
            trained = train_and_score(prepared, k, negatives=negatives, seed=seed, split=split, device=device)
            name = run_name(k, negatives, seed).rsplit("-seed", 1)[0]
            rows.append(table_row(name, k, negatives if k else "", seed, trained.scores))
            write_text_atomic(out, pd.DataFrame(rows).to_csv(index=False))
    return pd.DataFrame(rows)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Mean and sample standard deviation of Top-1 over the seeds of each run, in the table's order."""
    groups = table.groupby("run", sort=False)["top1"]
    return pd.DataFrame(
        {"seeds": groups.size(), "top1_mean": groups.mean().round(2), "top1_std": groups.std().round(2)}
    )
