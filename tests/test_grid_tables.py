"""The tables of an experiment come back as they were written; a missing one is named with its command."""

import re

import pandas as pd
import pytest

from mgdmkit.cli_experiments import app
from mgdmkit.grid_tables import OPTIONS, read_grid, read_table

PARTS = ("k", "k_runs", "k_classes", "k_reliability")


def write(folder, name, **columns):
    pd.DataFrame(columns).to_csv(folder / f"{name}.csv", index=False)


def test_the_four_tables_of_a_grid(tmp_path):
    for place, name in enumerate(PARTS):
        write(tmp_path, name, run=["k0"], place=[place])
    assert [table["place"].item() for table in read_grid(tmp_path, "k")] == [0, 1, 2, 3]


@pytest.mark.parametrize("missing", PARTS)
def test_a_missing_table_is_named_with_the_command_of_its_grid(tmp_path, missing):
    for name in PARTS:
        if name != missing:
            write(tmp_path, name, run=["k0"])
    command = "mgdm experiment k --out results/k.csv"
    with pytest.raises(FileNotFoundError, match=rf"{missing}\.csv.*{re.escape(command)}"):
        read_grid(tmp_path, "k")


def test_a_table_of_ones_own_is_read_too(tmp_path):
    write(tmp_path, "mine", run=["k0"], top1=[None])
    assert read_table(tmp_path, "mine")["top1"].isna().all()
    with pytest.raises(FileNotFoundError, match=r"other\.csv"):
        read_table(tmp_path, "other")


@pytest.mark.parametrize("options", OPTIONS.values())
def test_the_commands_exist(options, capsys):
    with pytest.raises(SystemExit) as stopped:
        app.cli(args=[*options.split(), "--help"])
    assert stopped.value.code == 0 and "--out" in capsys.readouterr().out
