"""Trainings over seeds as tables: the whole job on a dataset, variants against each other, grids, the shortcut audit.

May import everything that trains and scores. The tables of the paper are for `mgdmkit.replication`.
"""

from mgdmkit.experiments.grids import (
    READINGS,
    adaptive_grid,
    batch_grid,
    compare_readings,
    curves_grid,
    depth_grid,
    k_grid,
    learning_curves,
    modules_grid,
    recipe_grid,
)
from mgdmkit.experiments.pipeline import DEPTH, OWN, Prepared, Trained, mine_to_csv, prepare, train_and_score
from mgdmkit.experiments.tables import curve_rows, read_grid, read_table, seed_differences, styled, verdict
from mgdmkit.experiments.variants import (
    Against,
    Tables,
    Variant,
    compare,
    correct,
    reading,
    run_grid,
    summary,
    table_row,
    train_grid,
    zero_shot_row,
)

__all__ = [
    "DEPTH",
    "OWN",
    "READINGS",
    "Against",
    "Prepared",
    "Tables",
    "Trained",
    "Variant",
    "adaptive_grid",
    "batch_grid",
    "compare",
    "compare_readings",
    "correct",
    "curve_rows",
    "curves_grid",
    "depth_grid",
    "k_grid",
    "learning_curves",
    "mine_to_csv",
    "modules_grid",
    "prepare",
    "read_grid",
    "read_table",
    "reading",
    "recipe_grid",
    "run_grid",
    "seed_differences",
    "styled",
    "summary",
    "table_row",
    "train_and_score",
    "train_grid",
    "verdict",
    "zero_shot_row",
]
