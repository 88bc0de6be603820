"""Trainings over seeds as tables: the whole job on a dataset, variants against each other, grids, the shortcut audit.

May import everything that trains and scores. The tables of the paper are for `mgdmkit.replication`.
"""

from mgdmkit.experiments.grids import named_grid, product, variant
from mgdmkit.experiments.pipeline import DEPTH, OWN, Prepared, Trained, mine_to_csv, prepare, train_and_score
from mgdmkit.experiments.tables import curve_rows, option, read_grid, read_table, seed_differences, styled, verdict
from mgdmkit.experiments.variants import (
    Against,
    Tables,
    Variant,
    compare,
    correct,
    run_grid,
    summary,
    table_row,
    train_ahead,
    train_grid,
    zero_shot_row,
)
