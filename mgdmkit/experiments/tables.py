"""What `mgdm experiment` left in a folder, read again; a table that is missing is named with the command that makes it.

The project keeps the tables of its own experiments in `results/`: they took hours, the notebooks that show them take
a minute.
"""

from pathlib import Path
from typing import Any

import pandas as pd
from pandas.io.formats.style import Styler

from mgdmkit.experiments.grids import SMALL, option_value
from mgdmkit.experiments.variants import Tables


def read_grid(folder: Path | str, name: str) -> Tables:
    """The tables of `run_grid`: `k.csv`, `k_runs.csv`, and what else that grid has written.

    Raises:
        FileNotFoundError: naming the file that is missing and the command that makes it.
    """
    summary, runs = read_table(folder, name), read_table(folder, f"{name}_runs", of=name)
    beside = {part: Path(folder) / f"{name}_{part}.csv" for part in ("classes", "reliability", "curves")}
    return Tables(summary, runs, **{part: pd.read_csv(path) for part, path in beside.items() if path.is_file()})


def read_table(folder: Path | str, name: str, of: str | None = None) -> pd.DataFrame:
    """One CSV of the folder, by its name without the ending; empty cells are NaN.

    Args:
        of: the grid that it belongs to; `name` when not given.
    Raises:
        FileNotFoundError: as `read_grid`.
    """
    path, grid = Path(folder) / f"{name}.csv", of or name
    if not path.is_file():
        command = f"mgdm experiment grid {grid} --out results/{grid}.csv --workers 2"
        raise FileNotFoundError(
            f"no table at {path}; a checkout of the project has it in results/, and `{command}` makes it again"
        )
    return pd.read_csv(path)


def option(table: pd.DataFrame, name: str) -> pd.Series:
    """The value of an option, such as "batch_size", in each row of a summary: what `changes` says, else the default.

    Raises:
        KeyError: for what is no option of a grid.
    """
    default = SMALL[name]

    def of_row(changes: str) -> Any:
        given = dict(change.split("=", 1) for change in changes.split(", ") if "=" in change)
        return option_value(given[name]) if name in given else default

    return table["changes"].fillna("").map(of_row).rename(name)


SERIES = {"top": "hardest", "bot": "ranks 7-9", "random": "random", "adaptive": "adaptive"}


def curve_rows(runs: pd.DataFrame) -> list[tuple[str, int, list[float], float, float]]:
    """Rows for `plots.k_curve`: series, k, each seed's Top-1, and the mean 95% interval of one run, in percent."""
    rows = []
    for _, part in runs.dropna(subset="k").groupby("run", sort=False):
        negatives, k = part["negatives"].iloc[0], int(part["k"].iloc[0])
        low, high = part["top1_low"].mean(), part["top1_high"].mean()
        rows.append((SERIES[negatives] if k else "k = 0", k, list(part["top1"]), low, high))
    return rows


def seed_differences(runs: pd.DataFrame, one: str, other: str, metric: str = "top1") -> pd.Series:
    """One variant minus another, in points, for each seed: these start from the same weights.

    Raises:
        KeyError: for a variant that is not in the table.
    """
    by_seed = runs.dropna(subset="seed").pivot(index="seed", columns="run", values=metric)
    if missing := [name for name in (one, other) if name not in by_seed]:
        raise KeyError(f"the table has no run {missing[0]!r}; it has {', '.join(by_seed)}")
    return by_seed[one] - by_seed[other]


def verdict(differences: pd.Series, sign: int) -> str:
    """`holds` where each seed's difference has the claimed sign (1 or -1), `reversed` where each has the other one.

    Else `open`. Of S fair tosses all fall alike once in 2^(S - 1).
    """
    if (sign * differences > 0).all():
        return "holds"
    return "reversed" if (sign * differences < 0).all() else "open"


def styled(summary: pd.DataFrame, caption: str) -> Styler:
    """A grid's summary for a page: one digit, the difference with its interval, p (the median of the seeds')."""
    scores, compared = ["top1_mean", "top1_std", "top5_mean"], ["difference", "low", "high"]
    columns = ["run", *scores, "against", *compared, "mcnemar_p"]
    digits = {name: "{:.1f}" for name in (*scores, *compared)} | {"mcnemar_p": "{:.3f}"}
    return summary[columns].style.format(digits, na_rep="").hide(axis="index").set_caption(caption)
