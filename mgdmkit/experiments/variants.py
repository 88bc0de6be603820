"""Trainings over seeds as tidy tables: each variant against another, on the same videos and from the same weights.

Every row of a grid sees the same videos; runs with the same seed start from the same weights and see the videos in
the same order. Runs that are finished are loaded, so an interrupted grid continues. `grids.py` holds the grids.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor
from tqdm.auto import tqdm

from mgdmkit.config import check_counts
from mgdmkit.evaluation.confidence import calibration, true_margins
from mgdmkit.evaluation.scores import Scores, label_rank, mcnemar, paired_difference, score
from mgdmkit.experiments.pipeline import Prepared, Trained, run_name, stored, train_and_score
from mgdmkit.files import write_text_atomic
from mgdmkit.inference import Inference
from mgdmkit.mining import zero_shot_logits
from mgdmkit.pool import pool
from mgdmkit.runs.folder import FolderError
from mgdmkit.runs.processes import local_cores
from mgdmkit.runs.trained import read_history, share_done


@dataclass(frozen=True)
class Variant:
    """One row of a grid: what is trained, and how it is tested."""

    k: int = 0
    negatives: str = "top"
    model: dict[str, Any] = field(default_factory=dict)
    """What differs from the small model."""
    training: dict[str, Any] = field(default_factory=dict)
    """What differs from the preset's training."""
    inference: Inference | None = None

    @property
    def changes(self) -> dict[str, Any]:
        """Everything that differs from the default training and testing."""
        return {**self.model, **self.training, **({"inference": self.inference} if self.inference else {})}

    @property
    def words(self) -> str:
        """`guide=each, context=joint`, or `default`."""
        return ", ".join(f"{key}={value}" for key, value in self.changes.items()) or "default"

    @property
    def name(self) -> str:
        """`k3-top`, or with changes `k3-top-lr=0.001`."""
        return "-".join([run_name(self.k, self.negatives), *(f"{key}={value}" for key, value in self.changes.items())])

    def run(self, prepared: Prepared, seed: int, split: str = "test", **options: Any) -> Trained:
        """Train (or load) and score; variants that differ in `inference` alone share one training.

        Args:
            options: device, quiet and watch, as `train_and_score` takes them.
        """
        options["name"] = self.folder(prepared, seed).name
        own = {name: getattr(self, name) for name in ("k", "negatives", "model", "training", "inference")}
        return train_and_score(prepared, seed=seed, split=split, **own, **options)

    def folder(self, prepared: Prepared, seed: int) -> Path:
        """Where its training lies."""
        return prepared.root / "runs" / f"{dataclasses.replace(self, inference=None).name}-seed{seed}"


def distinct(variants: Iterable[Variant]) -> list[Variant]:
    """Those of different names, in order."""
    return list({variant.name: variant for variant in variants}.values())


class Against(NamedTuple):
    """A row of a grid, and the row that it is compared with."""

    variant: Variant
    other: Variant


class Tables(NamedTuple):
    """What a grid leaves; percentages where a column does not say otherwise."""

    summary: pd.DataFrame
    """A row a comparison: the variant's means over its seeds, and how Top-1 and Top-5 differ from the other's."""
    runs: pd.DataFrame
    """A row per training: scores, calibration and margins."""
    classes: pd.DataFrame | None = None
    """A row a variant and class: Top-1 over all seeds, and how confusable the class is for frozen CLIP."""
    reliability: pd.DataFrame | None = None
    """A row a variant and bin of confidence: videos of all seeds, mean confidence, accuracy."""
    curves: pd.DataFrame | None = None
    """A row per epoch of a training: run, seed, epoch (from 1), loss, val_top1."""


def run_grid(
    prepared: Prepared,
    grid: Sequence[Against],
    seeds: int,
    out: Path,
    *,
    split: str = "test",
    curves: bool = False,
    detail: bool = False,
    workers: int = 1,
) -> Tables:
    """Train every variant with seeds 0 .. seeds - 1, score and compare them; zero-shot CLIP comes first.

    Args:
        out: the CSV of the summary. `<stem>_runs.csv` beside it grows with each run; the other tables come at the end.
        curves: also write the validation score of every epoch.
        detail: also write classes and reliability.
        workers: processes that train beside one another, on one core each.
    """
    beside = {name: out.with_name(f"{out.stem}_{name}.csv") for name in Tables._fields[1:]}
    variants = [row.variant for row in grid]
    runs, logits = train_grid(prepared, variants, seeds, beside["runs"], split=split, watch=curves, workers=workers)
    labels = prepared.labels_of(split)
    tables = Tables(
        _summary(grid, runs, logits, labels),
        runs,
        _per_class(prepared, logits, labels, split) if detail else None,
        _reliability(logits, labels) if detail else None,
        _curves(prepared, variants, seeds) if curves else None,
    )
    write_text_atomic(out, tables.summary.to_csv(index=False))
    for name in ("classes", "reliability", "curves"):  # the runs are written as they end
        if (table := getattr(tables, name)) is not None:
            write_text_atomic(beside[name], table.to_csv(index=False))
    return tables


ZERO_SHOT = "zero-shot CLIP"


def train_grid(
    prepared: Prepared,
    variants: Sequence[Variant],
    seeds: int,
    out: Path,
    *,
    split: str = "test",
    watch: bool = False,
    workers: int = 1,
) -> tuple[pd.DataFrame, dict[str, list[Tensor]]]:
    """The table of the runs, rewritten after each, and by the variants' names the logits (N, C) of each seed."""
    check_counts(seeds=seeds, workers=workers)
    jobs = [(variant, seed) for seed in range(seeds) for variant in distinct(variants)]
    train_ahead(prepared, jobs, workers, watch=watch)
    part, labels = prepared.features.split(split), prepared.labels_of(split)
    zero_shot = zero_shot_logits(part.frame_features, part.text_features, part.logit_scale)
    logits = {ZERO_SHOT: [zero_shot]}
    rows = [table_row(ZERO_SHOT, "", "", "", score(zero_shot, labels))]
    rows[0] |= beyond_top1(zero_shot, labels, part.logit_scale)
    for variant, seed in jobs:
        trained = variant.run(prepared, seed, split, watch=watch)
        logits.setdefault(variant.name, []).append(trained.logits)
        row = table_row(variant.name, variant.k, variant.negatives if variant.k else "", seed, trained.scores)
        rows.append(row | beyond_top1(trained.logits, labels, trained.model.logit_scale.exp().item()))
        write_text_atomic(out, pd.DataFrame(rows).to_csv(index=False))
    return pd.DataFrame(rows), logits


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
        ZERO_SHOT, "", "", "", score(zero_shot_logits(part.frame_features, part.text_features), part.labels)
    )


def beyond_top1(logits: Tensor, labels: Tensor, logit_scale: float) -> dict[str, float]:
    """nll in nats, ece in percent, and the median margin, a difference of cosines."""
    found = calibration(logits, labels)
    margin = true_margins(logits, labels, logit_scale).median().item()
    return {"nll": round(found.nll, 4), "ece": round(100 * found.ece, 2), "margin": round(margin, 5)}


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Mean and sample standard deviation of Top-1 over the seeds of each run, in the table's order."""
    groups = table.groupby("run", sort=False)["top1"]
    return pd.DataFrame(
        {"seeds": groups.size(), "top1_mean": groups.mean().round(2), "top1_std": groups.std().round(2)}
    )


def correct(logits: Sequence[Tensor], labels: Tensor, best: int = 1) -> Tensor:
    """(S, N) is the label of video n among the `best` highest scores with seed s."""
    return torch.stack([label_rank(of_seed, labels) < best for of_seed in logits])


def compare(ours: Tensor, theirs: Tensor) -> dict[str, float]:
    """Top-1 of one variant minus another's, of (S, N) tables of what is right.

    difference, low, high: points, with the 95% bootstrap interval over seeds and videos; seeds_better: how many seeds
    gain; mcnemar_p: the exact test on the videos, the median of the seeds' p, since seeds share their videos.
    """
    p = torch.tensor([mcnemar(a, b) for a, b in zip(ours, theirs, strict=True)], dtype=torch.double)
    better = int((ours.sum(dim=1) > theirs.sum(dim=1)).sum())
    # The median of an even number of seeds is between two: the mean of both.
    tests = {"seeds_better": better, "mcnemar_p": float(f"{p.quantile(0.5).item():.3g}")}
    return difference(ours, theirs) | tests


def difference(ours: Tensor, theirs: Tensor) -> dict[str, float]:
    """difference, low, high of `compare`, alone."""
    points = [round(100 * x, 3) + 0.0 for x in paired_difference(ours, theirs)]
    return dict(zip(("difference", "low", "high"), points, strict=True))


def _summary(grid: Sequence[Against], runs: pd.DataFrame, logits: dict[str, list[Tensor]], labels: Tensor):
    means = runs.groupby("run", sort=False)[["top1", "top5", "nll", "ece", "margin"]].mean()
    spread = runs.groupby("run", sort=False)["top1"].std()
    right = {name: correct(found, labels) for name, found in logits.items()}
    among5 = {name: correct(found, labels, best=5) for name, found in logits.items()}
    rows = []
    for name, variant, other in [(ZERO_SHOT, None, None), *((row.variant.name, *row) for row in grid)]:
        row = {
            "run": name,
            "changes": variant.words if variant else "",
            "k": variant.k if variant else "",
            "negatives": variant.negatives if variant and variant.k else "",
            "seeds": len(right[name]) if variant else "",
            "N": len(labels),
            "top1_mean": round(means["top1"][name], 2),
            "top1_std": round(spread[name], 2),
            **{f"{column}_mean": round(means[column][name], 5) for column in ("top5", "nll", "ece", "margin")},
        }
        if other and other.name != name:
            row |= {"against": other.name, **compare(right[name], right[other.name])}
            row |= {f"top5_{key}": x for key, x in difference(among5[name], among5[other.name]).items()}
        rows.append(row)
    return pd.DataFrame(rows)


def _per_class(prepared: Prepared, logits: dict[str, list[Tensor]], labels: Tensor, split: str) -> pd.DataFrame:
    """Confusable: the share of a class's training videos for which frozen CLIP prefers another label."""
    training = prepared.labels_of("train")
    misread = (prepared.negatives_of("train").positive_rank > 0).double()
    rows = []
    for name, found in logits.items():
        right = correct(found, labels).double()
        for c, label in enumerate(prepared.features.classes):
            own = labels == c
            if own.any():
                confusable = round(100 * misread[training == c].mean().item(), 2)
                top1 = round(100 * right[:, own].mean().item(), 2)
                rows.append((name, label, len(found), int(own.sum()), top1, confusable))
    return pd.DataFrame(rows, columns=["run", "label", "seeds", "N", "top1", "confusable"])


def _reliability(logits: dict[str, list[Tensor]], labels: Tensor) -> pd.DataFrame:
    rows = []
    for name, found in logits.items():
        bins = calibration(torch.cat(found), labels.repeat(len(found))).bins
        for i, (n, confidence, accuracy) in enumerate(bins.tolist()):
            rows.append((name, i, int(n), round(100 * confidence, 2), round(100 * accuracy, 2)))
    return pd.DataFrame(rows, columns=["run", "bin", "n", "confidence", "accuracy"])


def _curves(prepared: Prepared, variants: Sequence[Variant], seeds: int) -> pd.DataFrame:
    parts = []
    for variant, seed in itertools.product(distinct(variants), range(seeds)):
        history = pd.DataFrame(read_history(variant.folder(prepared, seed)))
        if "val_top1" not in history:
            raise FolderError(
                f"{variant.folder(prepared, seed)} was trained without a look at the validation split, so that it has "
                f"no curve; delete it to train it anew"
            )
        columns = {"run": variant.name, "seed": seed, "epoch": history["epoch"] + 1, "loss": history["loss"].round(4)}
        parts.append(pd.DataFrame({**columns, "val_top1": (100 * history["val_top1"]).round(2)}))
    return pd.concat(parts)


def train_ahead(
    prepared: Prepared, jobs: Iterable[tuple[Variant, int]], workers: int | None = None, *, watch: bool = True
) -> None:
    """Train the jobs in processes of their own; who asks for one of them afterwards finds it finished.

    A model of this size can't use two cores, two trainings can.

    Args:
        workers: processes, one core each; None: one per core. With one alone nothing is done here.
        watch: see `train_and_score`.
    """
    todo = {
        variant.folder(prepared, seed): (variant, seed) for variant, seed in jobs
    }  # one for what differs in its test
    todo = {folder: job for folder, job in todo.items() if share_done(folder) < 1}
    workers = min(workers or local_cores(), len(todo))
    if workers < 2:
        return  # they are trained when they are asked for
    with (
        pool(workers, _load_once, prepared.root, prepared.preset) as trainers,
        tqdm(total=len(todo), desc=f"{len(todo)} trainings, {workers} at once", bar_format=BAR) as bar,
    ):
        running = {trainers.submit(_train_one, *job, watch): folder for folder, job in todo.items()}
        while running:
            ended, _ = wait(running, timeout=1, return_when=FIRST_COMPLETED)
            for future in ended:
                future.result()
                del running[future]
            bar.n = len(todo) - sum(1 - share_done(folder) for folder in running.values())
            bar.refresh()


BAR = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"


def _load_once(root: Path, preset: str) -> None:
    global _prepared
    torch.set_num_threads(1)
    _prepared = stored(root, preset)  # who asks has prepared it; to train takes no CLIP, whose import takes seconds


def _train_one(variant: Variant, seed: int, watch: bool) -> None:
    variant.run(_prepared, seed, quiet=True, watch=watch)
