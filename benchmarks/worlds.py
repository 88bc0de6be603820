"""Does it hold on another world? StickActions from another seed, and with two and ten times the training clips.

    python benchmarks/worlds.py --out results/worlds.csv --workers 2

k = 0 and k = 3 for each world, with as many steps of the optimiser as in the demo, so that what differs is how many
clips a class shows: a regulariser's gain would shrink with them. Clips, features and runs lie under the root.
"""

from pathlib import Path

import pandas as pd
import tyro

from mgdmkit.clip.backbone import load_clip
from mgdmkit.clip.features import extract_features
from mgdmkit.clip.small import SMALL
from mgdmkit.config import SMALL_TRAIN
from mgdmkit.data.manifest import read_manifest
from mgdmkit.experiments.grids import variant
from mgdmkit.experiments.pipeline import DEPTH, OWN, Prepared, mine_to_csv, prepare
from mgdmkit.experiments.variants import Against, run_grid
from mgdmkit.files import write_text_atomic
from mgdmkit.stickactions.dataset import StickActionsConfig, generate

WORLDS = {
    "another seed, 12 clips per class": StickActionsConfig(seed=1),
    "another seed, 24 clips per class": StickActionsConfig(seed=1, train_per_class=24),
    "another seed, 120 clips per class": StickActionsConfig(seed=1, train_per_class=120),
}
OF_DEMO = StickActionsConfig().train_per_class


def world(root: Path, config: StickActionsConfig, workers: int) -> Prepared:
    """Its clips, features and negatives, made or found."""
    manifest = read_manifest(generate(root / "stickactions", config, workers))
    features = extract_features(manifest, load_clip(SMALL), root / "features", workers=workers)
    mine_to_csv(features, root / "negatives.csv", DEPTH)
    return prepare(root, OWN)


def main(out: Path, root: Path = Path("runs/worlds"), seeds: int = 5, workers: int = 1) -> None:
    """Make the worlds, train and compare.

    Args:
        out: The CSV to write.
        root: Where the worlds lie, a folder each.
        seeds: Trainings of each k in each world.
        workers: Processes that draw and train, one core each.
    """
    tables = []
    for name, config in WORLDS.items():
        place = root / f"seed{config.seed}-{config.train_per_class}"
        prepared = world(place, config, workers)
        epochs = SMALL_TRAIN["epochs"] * OF_DEMO // config.train_per_class
        none, three = variant(k=0, epochs=epochs), variant(k=3, epochs=epochs)
        rows = [Against(none, none), Against(three, none)]
        table = run_grid(prepared, rows, seeds, place / "grid.csv", workers=workers).summary
        table.insert(0, "world", name)
        tables.append(table)
        write_text_atomic(out, pd.concat(tables).to_csv(index=False))
    shown = ["world", "run", "seeds", "N", "top1_mean", "top1_std", "difference", "low", "high", "mcnemar_p"]
    print(pd.concat(tables)[shown].to_string(index=False, na_rep=""))
    print(f"table: {out}")


if __name__ == "__main__":
    tyro.cli(main)
