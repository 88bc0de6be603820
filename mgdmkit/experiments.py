"""Grids of trainings over seeds, as tidy tables: k, the recipe, the readings, the shortcut audit.

Every row of a grid sees the same videos; runs with the same seed start from the same weights and see the videos in
the same order. Runs that are finished are loaded, so an interrupted grid continues.
"""

import dataclasses
import multiprocessing
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from tqdm.auto import tqdm

from mgdmkit.config import MGDMConfig, check_counts, write_text_atomic
from mgdmkit.evaluate import Scores, blind_accuracy, label_rank, paired_difference, score
from mgdmkit.inference import Inference
from mgdmkit.mining import select, zero_shot_logits
from mgdmkit.pipeline import Prepared, Trained, prepare, run_name, train_and_score
from mgdmkit.train import new_model


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
    def name(self) -> str:
        """`k3-top`, or with changes `k3-top-lr=0.001`."""
        return "-".join([run_name(self.k, self.negatives), *(f"{key}={value}" for key, value in self.changes.items())])

    def run(self, prepared: Prepared, seed: int, split: str = "test", quiet: bool = False) -> Trained:
        """Train (or load) and score; variants that differ in `inference` alone share one training."""
        trained_as = dataclasses.replace(self, inference=None)
        return train_and_score(
            prepared,
            self.k,
            negatives=self.negatives,
            seed=seed,
            split=split,
            quiet=quiet,
            model=self.model,
            training=self.training,
            inference=self.inference,
            name=f"{trained_as.name}-seed{seed}",
        )


K_GRID = (Variant(0), Variant(3), Variant(7), Variant(3, "random"))
"""No negatives, the hardest 3 and 7, and 3 random ones: the control that tells *hard* from *more*."""

RECIPE_GRID = tuple(
    Variant(k, training={"lr": lr, "epochs": epochs, "warmup_epochs": epochs / 10})
    for epochs, lr in ((40, 1e-3), (40, 3e-3), (80, 1e-3), (80, 3e-3), (80, 6e-3), (160, 1e-3), (160, 3e-3))
    for k in (0, 3)
)
"""For the validation split: how fast and how long the small model learns, with and without negatives."""

READINGS: tuple[dict[str, Any], ...] = (
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
"""One departure from the defaults each; the third is the lineage's softmax(10 Q) in both of its effects."""


def reading(options: dict[str, Any], k: int) -> Variant:
    """A variant that differs from the default with k hard negatives in `options`, wherever they belong."""
    options = dict(options)
    inference = options.pop("inference", None)
    of_model = {f.name for f in dataclasses.fields(MGDMConfig)}
    model = {key: value for key, value in options.items() if key in of_model}
    training = {key: value for key, value in options.items() if key not in of_model}
    return Variant(k, model=model, training=training, inference=inference)


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
    prepared: Prepared,
    variants: Sequence[Variant],
    seeds: int,
    out: Path,
    *,
    split: str = "test",
    workers: int = 1,
) -> pd.DataFrame:
    """Train every variant with seeds 0 .. seeds - 1, score it, and rewrite the table after each run.

    Args:
        out: the CSV; its first row is zero-shot CLIP.
        workers: processes that train beside one another, on one core each.
    """
    return _run_grid(prepared, variants, seeds, out, split, workers)[0]


def _run_grid(
    prepared: Prepared, variants: Sequence[Variant], seeds: int, out: Path, split: str, workers: int
) -> tuple[pd.DataFrame, dict[str, list[torch.Tensor]]]:
    """The table, and by the variants' names the logits (N, C) of each seed."""
    check_counts(seeds=seeds, workers=workers)
    jobs = [(variant, seed) for seed in range(seeds) for variant in variants]
    _train_ahead(prepared, jobs, workers)
    rows, logits = [zero_shot_row(prepared, split)], {variant.name: [] for variant in variants}
    for variant, seed in jobs:
        trained = variant.run(prepared, seed, split)
        logits[variant.name].append(trained.logits)
        rows.append(table_row(variant.name, variant.k, variant.negatives if variant.k else "", seed, trained.scores))
        write_text_atomic(out, pd.DataFrame(rows).to_csv(index=False))
    return pd.DataFrame(rows), logits


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Mean and sample standard deviation of Top-1 over the seeds of each run, in the table's order."""
    groups = table.groupby("run", sort=False)["top1"]
    return pd.DataFrame(
        {"seeds": groups.size(), "top1_mean": groups.mean().round(2), "top1_std": groups.std().round(2)}
    )


def compare_readings(prepared: Prepared, k: int, seeds: int, out: Path, *, workers: int = 1) -> pd.DataFrame:
    """Each reading against the default, on the same test videos and seeds.

    Args:
        out: the CSV to write, with a row for each reading; the runs go to a CSV beside it, `<stem>_runs.csv`.
    Returns:
        reading, k, seeds, N, top1_mean, top1_std, then Top-1 against the default's: difference, low, high (95%
        bootstrap over seeds and videos). All in percent.
    """
    check_counts(k=k)
    variants = {_words(options): reading(options, k) for options in ({}, *READINGS)}
    runs, labels = out.with_name(f"{out.stem}_runs.csv"), prepared.videos("test").labels
    _, logits = _run_grid(prepared, list(variants.values()), seeds, runs, "test", workers)
    correct = {
        name: torch.stack([label_rank(of_seed, labels) == 0 for of_seed in logits[variant.name]])
        for name, variant in variants.items()
    }  # (S, N) each
    rows = []
    for name, right in correct.items():
        top1 = 100 * right.double().mean(dim=1)
        versus = [round(100 * x, 3) + 0.0 for x in paired_difference(right, correct["default"])]
        spread = top1.std().item() if seeds > 1 else float("nan")
        rows.append((name, k, seeds, len(labels), round(top1.mean().item(), 2), round(spread, 2), *versus))
    columns = ["reading", "k", "seeds", "N", "top1_mean", "top1_std", "difference", "low", "high"]
    table = pd.DataFrame(rows, columns=columns)
    write_text_atomic(out, table.to_csv(index=False))
    return table


def _words(options: dict[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in options.items()) or "default"


AUDITED: tuple[dict[str, Any], ...] = (
    {},
    {"guide": "each"},
    {"context": "joint"},
    {"context": "joint", "guide": "each"},
)
"""Who could give the positive away: its group in the discriminator, all groups, or the text that guides the frames."""


def audit(prepared: Prepared, k: int, seeds: int, out: Path, *, workers: int = 1) -> pd.DataFrame:
    """Blind accuracy (see `blind_accuracy`) on the test videos before and after training.

    Returns:
        context, guide, trained, blindfold, seed, N, accuracy, low, high, chance; the last four in percent.
    """
    check_counts(k=k, seeds=seeds, workers=workers)
    variants = [reading(options, k) for options in AUDITED]
    jobs = [(variant, seed) for seed in range(seeds) for variant in variants]
    _train_ahead(prepared, jobs, workers)
    videos, texts = prepared.videos("test"), prepared.texts.text_features
    groups = torch.cat([videos.labels[:, None], select(prepared.negatives_of("test"), k)], dim=1)
    rows = []
    for variant, seed in tqdm(jobs, desc="audit", unit="model"):
        trained = variant.run(prepared, seed).model.cpu()
        untrained = new_model(trained.config, seed)
        for model in (untrained, trained):
            for blindfold in ("none", "zeros", "other"):
                found = blind_accuracy(model, videos.frame_features, texts, groups, blindfold, seed=seed)
                shares = [round(100 * x, 2) for x in (*found[:3], 1 / (1 + k))]
                config = trained.config
                rows.append((config.context, config.guide, model is trained, blindfold, seed, found.n, *shares))
        columns = ["context", "guide", "trained", "blindfold", "seed", "N", "accuracy", "low", "high", "chance"]
        table = pd.DataFrame(rows, columns=columns)
        write_text_atomic(out, table.to_csv(index=False))
    return table


def _train_ahead(prepared: Prepared, jobs: Iterable[tuple[Variant, int]], workers: int) -> None:
    """Train the jobs in processes of their own; who asks for one of them afterwards finds it finished.

    A model of this size can't use two cores, two trainings can.
    """
    if workers < 2:
        return  # they are trained when they are asked for
    trainings = {(dataclasses.replace(variant, inference=None).name, seed): (variant, seed) for variant, seed in jobs}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _load_once, (prepared.root, prepared.preset)) as pool:
        running = [pool.submit(_train_one, *job) for job in trainings.values()]
        for future in tqdm(running, desc="trainings", unit="run"):
            future.result()


def _load_once(root: Path, preset: str) -> None:
    global _prepared
    torch.set_num_threads(1)
    _prepared = prepare(root, preset, quiet=True)


def _train_one(variant: Variant, seed: int) -> None:
    variant.run(_prepared, seed, quiet=True)
