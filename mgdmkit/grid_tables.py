"""What `mgdm experiment` left in a folder, read again; a table that is missing is named with the command that makes it.

The project keeps the tables of its own experiments in `results/`: they took hours, the notebooks that show them take
a minute.
"""

from pathlib import Path

import pandas as pd

from mgdmkit.experiments import Tables

OPTIONS = {
    "k": "k",
    "k_each": "k --guide each",
    "modules": "modules",
    "curves": "curves --seeds 3",
    "batch": "batch --seeds 3",
    "adaptive_val": "adaptive --split val --seeds 1 --margins 1 2 4",
}
"""How each table in `results/` was asked for."""


def read_grid(folder: Path | str, name: str) -> Tables:
    """The four tables of `run_grid`, e.g. `k.csv`, `k_runs.csv`, `k_classes.csv` and `k_reliability.csv`.

    Raises:
        FileNotFoundError: naming the file that is missing and the command that makes it.
    """
    summary = read_table(folder, name)
    beside = (read_table(folder, f"{name}_{part}", of=name) for part in ("runs", "classes", "reliability"))
    return Tables(summary, *beside)


def read_table(folder: Path | str, name: str, of: str | None = None) -> pd.DataFrame:
    """One CSV of the folder, by its name without the ending; empty cells are NaN.

    Args:
        of: the table that its command is named after; `name` when not given.
    Raises:
        FileNotFoundError: as `read_grid`.
    """
    path, table = Path(folder) / f"{name}.csv", of or name
    if not path.is_file():
        command = f"mgdm experiment {OPTIONS.get(table, '...')} --out results/{table}.csv --workers 2"
        raise FileNotFoundError(
            f"no table at {path}; a checkout of the project has it in results/, and `{command}` makes it anew"
        )
    return pd.read_csv(path)
