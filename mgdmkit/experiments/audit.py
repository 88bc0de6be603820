"""The shortcut audit: can a model tell the positive from its group without looking at the video?"""

from pathlib import Path

import pandas as pd
import torch
from tqdm.auto import tqdm

from mgdmkit.config import check_counts
from mgdmkit.evaluation.scores import blind_accuracy
from mgdmkit.experiments.grids import variant
from mgdmkit.experiments.pipeline import Prepared
from mgdmkit.experiments.variants import train_ahead
from mgdmkit.files import write_text_atomic
from mgdmkit.mining import select
from mgdmkit.runs.trained import new_model

AUDITED = ({}, {"guide": "each"}, {"context": "joint"}, {"context": "joint", "guide": "each"})
"""Who could give the positive away: its group in the discriminator, all groups, or the text that guides the frames."""


def audit(prepared: Prepared, k: int, seeds: int, out: Path, *, workers: int = 1) -> pd.DataFrame:
    """Blind accuracy (see `blind_accuracy`) on the test videos before and after training.

    Returns:
        context, guide, trained, blindfold, seed, N, accuracy, low, high, chance; the last four in percent.
    """
    check_counts(k=k, seeds=seeds, workers=workers)
    variants = [variant(k=k, **options) for options in AUDITED]
    jobs = [(row, seed) for seed in range(seeds) for row in variants]
    train_ahead(prepared, jobs, workers, watch=False)
    videos, texts = prepared.videos("test"), prepared.texts.text_features
    groups = torch.cat([videos.labels[:, None], select(prepared.negatives_of("test"), k)], dim=1)
    rows = []
    for row, seed in tqdm(jobs, desc="audit", unit="model"):
        trained = row.run(prepared, seed).model.cpu()
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
