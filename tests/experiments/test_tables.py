"""The tables of an experiment come back as they were written; a missing one is named with its command."""

import re

import pandas as pd
import pytest

from mgdmkit.cli.experiments import app
from mgdmkit.experiments.tables import curve_rows, option, read_grid, read_table, seed_differences, styled, verdict

PARTS = ("k", "k_runs", "k_classes", "k_reliability")


def write(folder, name, **columns):
    pd.DataFrame(columns).to_csv(folder / f"{name}.csv", index=False)


def test_the_tables_of_a_grid(tmp_path):
    for place, name in enumerate(PARTS):
        write(tmp_path, name, run=["k0"], place=[place])
    found = read_grid(tmp_path, "k")
    assert [table["place"].item() for table in found[:4]] == [0, 1, 2, 3] and found.curves is None
    (tmp_path / "k_classes.csv").unlink()
    assert read_grid(tmp_path, "k").classes is None


@pytest.mark.parametrize("missing", PARTS[:2])
def test_a_missing_table_is_named_with_the_command_of_its_grid(tmp_path, missing):
    for name in PARTS:
        if name != missing:
            write(tmp_path, name, run=["k0"])
    command = "mgdm experiment grid k --out results/k.csv"
    with pytest.raises(FileNotFoundError, match=rf"{missing}\.csv.*{re.escape(command)}"):
        read_grid(tmp_path, "k")


def test_a_table_of_ones_own_is_read_too(tmp_path):
    write(tmp_path, "mine", run=["k0"], top1=[None])
    assert read_table(tmp_path, "mine")["top1"].isna().all()
    with pytest.raises(FileNotFoundError, match=r"other\.csv"):
        read_table(tmp_path, "other")


def test_the_command_that_a_message_names_exists(capsys):
    with pytest.raises(SystemExit) as stopped:
        app.cli(args=["grid", "k", "--help"])
    assert stopped.value.code == 0 and "--out" in capsys.readouterr().out


RUNS = pd.DataFrame(
    {
        "run": ["zero-shot CLIP", "k0", "k3-top", "k0", "k3-top"],
        "k": [None, 0, 3, 0, 3],
        "negatives": [None, None, "top", None, "top"],
        "seed": [None, 0, 0, 1, 1],
        "top1": [47.0, 60.0, 61.0, 62.0, 65.0],
        "top1_low": [43.0, 56.0, 57.0, 58.0, 61.0],
        "top1_high": [51.0, 64.0, 65.0, 66.0, 69.0],
    }
)


def test_a_curve_has_each_seed_and_the_interval_of_one_run():
    assert curve_rows(RUNS) == [("k = 0", 0, [60, 62], 57, 65), ("hardest", 3, [61, 65], 59, 67)]


def test_differences_pair_the_seeds():
    assert seed_differences(RUNS, "k3-top", "k0").tolist() == [1, 3]
    assert seed_differences(RUNS.iloc[::-1], "k0", "k3-top").tolist() == [-1, -3]
    with pytest.raises(KeyError, match=r"no run 'k7-top'.*k0, k3-top"):
        seed_differences(RUNS, "k7-top", "k0")


def test_an_option_has_its_value_in_each_row():
    table = pd.DataFrame(
        {"changes": [None, "default", "batch_size=8, epochs=20, warmup_epochs=2.0", "discriminator=False, guide=each"]}
    )
    assert option(table, "batch_size").tolist() == [32, 32, 8, 32]
    assert option(table, "epochs").tolist() == [80, 80, 20, 80]
    assert option(table, "guide").tolist() == ["positive"] * 3 + ["each"]
    assert option(table, "discriminator").tolist() == [True] * 3 + [False]
    with pytest.raises(KeyError, match="batch"):
        option(table, "batch")


def test_a_verdict_needs_all_seeds():
    assert verdict(pd.Series([1, 3]), 1) == "holds" and verdict(pd.Series([1, 3]), -1) == "reversed"
    assert verdict(pd.Series([1, -3]), 1) == verdict(pd.Series([1, 0]), 1) == verdict(pd.Series([0, -1]), 1) == "open"


def test_a_table_for_a_page_has_short_numbers_and_no_nan():
    row = {"run": ["zero-shot CLIP", "k3-top"], "top1_mean": [47.04, 58.39], "top1_std": [None, 2.18]}
    row |= {
        "top5_mean": [97.5, 96.73],
        "against": [None, "k0"],
        "difference": [None, -4.611],
        "low": [None, -8.1],
        "high": [None, -1.2],
    }
    page = styled(pd.DataFrame(row | {"mcnemar_p": [None, 0.0423]}), "a caption").to_html()
    assert "a caption" in page and ">-4.6<" in page and ">0.042<" in page and "nan" not in page.lower()
