"""The grid: one row a run, the same videos in every row, finished runs loaded, the table complete after each run."""

import pandas as pd
import pytest
import torch

from mgdmkit import mine_negatives
from mgdmkit.experiments import run_grid, summary, table_row
from mgdmkit.features import Features
from mgdmkit.pipeline import Prepared

CLASSES = tuple(f"action {i:02d}" for i in range(12))


@pytest.fixture
def prepared(tmp_path):
    """Random features of 12 classes, as `prepare` would leave them."""
    generator = torch.Generator().manual_seed(0)
    splits = ["train"] * 24 + ["val"] * 12 + ["test"] * 12
    clips = pd.DataFrame({"id": [f"c{i}" for i in range(48)], "label": CLASSES * 4, "split": splits})
    texts = torch.randn(12, 16, generator=generator)
    frames = texts.repeat(4, 1)[:, None] + torch.randn(48, 4, 16, generator=generator)
    features = Features(frames, texts, clips, CLASSES, 100.0)
    negatives = mine_negatives(frames, texts, features.labels, 9)
    return Prepared(tmp_path, "smoke", None, None, features, negatives)


VARIANTS = ((0, "top"), (3, "top"), (3, "random"))


def test_one_row_a_run_and_the_same_videos_in_each(prepared, tmp_path):
    out = tmp_path / "results" / "k.csv"
    table = run_grid(prepared, VARIANTS, 2, out, device="cpu")
    assert list(table["run"]) == ["zero-shot CLIP", *["k0", "k3-top", "k3-random"] * 2]
    assert set(table["N"]) == {12}
    assert (table["top1_low"] <= table["top1"]).all() and (table["top1"] <= table["top5"]).all()
    on_disk = pd.read_csv(out, keep_default_na=False)
    assert list(on_disk["run"]) == list(table["run"]) and on_disk["top1"].tolist() == table["top1"].tolist()
    scores = table[table["run"] != "zero-shot CLIP"].set_index(["run", "seed"])["top1"]
    assert len(scores.index.unique()) == 6


def test_a_second_call_loads_every_run(prepared, tmp_path, monkeypatch):
    first = run_grid(prepared, VARIANTS, 1, tmp_path / "k.csv", device="cpu")
    monkeypatch.setattr("mgdmkit.train._train_epoch", lambda *a, **k: pytest.fail("retrained"))
    again = run_grid(prepared, VARIANTS, 1, tmp_path / "k.csv", device="cpu")
    pd.testing.assert_frame_equal(first, again)


def test_an_interrupted_grid_keeps_its_finished_rows(prepared, tmp_path, monkeypatch):
    import mgdmkit.experiments as module

    original = module.train_and_score

    def fail_on_random(*args, **options):
        if options["negatives"] == "random":
            raise KeyboardInterrupt
        return original(*args, **options)

    monkeypatch.setattr(module, "train_and_score", fail_on_random)
    with pytest.raises(KeyboardInterrupt):
        run_grid(prepared, VARIANTS, 1, tmp_path / "k.csv", device="cpu")
    assert list(pd.read_csv(tmp_path / "k.csv")["run"]) == ["zero-shot CLIP", "k0", "k3-top"]


def test_summary_is_the_mean_and_sample_deviation_over_seeds():
    table = pd.DataFrame({"run": ["a", "b", "a", "b"], "top1": [10.0, 1.0, 14.0, 3.0]})
    result = summary(table)
    assert result.loc["a"].tolist() == [2, 12.0, 2.83] and list(result.index) == ["a", "b"]


def test_shares_become_percentages():
    from mgdmkit.evaluate import score

    row = table_row("r", 3, "top", 0, score(torch.eye(6), torch.tensor([0, 1, 2, 3, 5, 4])))
    assert row["top1"] == 66.67 and row["N"] == 6 and row["top5"] == 66.67
