"""The grid: one row a run, the same videos in every row, finished runs loaded, the table complete after each run."""

import pandas as pd
import pytest
import torch

from mgdmkit import mine_negatives
from mgdmkit.evaluate import blind_accuracy, score
from mgdmkit.experiments import READINGS, Variant, audit, compare_readings, reading, run_grid, summary, table_row
from mgdmkit.features import Features
from mgdmkit.pipeline import Prepared, prepare
from mgdmkit.train import new_model

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
    return Prepared(tmp_path, "smoke", features, negatives)


VARIANTS = (Variant(0), Variant(3), Variant(3, "random"))


def test_one_row_a_run_and_the_same_videos_in_each(prepared, tmp_path):
    out = tmp_path / "results" / "k.csv"
    table = run_grid(prepared, VARIANTS, 2, out)
    assert list(table["run"]) == ["zero-shot CLIP", *["k0", "k3-top", "k3-random"] * 2]
    assert set(table["N"]) == {12}
    assert (table["top1_low"] <= table["top1"]).all() and (table["top1"] <= table["top5"]).all()
    on_disk = pd.read_csv(out, keep_default_na=False)
    assert list(on_disk["run"]) == list(table["run"]) and on_disk["top1"].tolist() == table["top1"].tolist()
    scores = table[table["run"] != "zero-shot CLIP"].set_index(["run", "seed"])["top1"]
    assert len(scores.index.unique()) == 6


def test_a_second_call_loads_every_run(prepared, tmp_path, monkeypatch):
    first = run_grid(prepared, VARIANTS, 1, tmp_path / "k.csv")
    monkeypatch.setattr("mgdmkit.train._train_epoch", lambda *a, **k: pytest.fail("retrained"))
    again = run_grid(prepared, VARIANTS, 1, tmp_path / "k.csv")
    pd.testing.assert_frame_equal(first, again)


def test_an_interrupted_grid_keeps_its_finished_rows(prepared, tmp_path, monkeypatch):
    original = Variant.run

    def fail_on_random(self, *args, **options):
        if self.negatives == "random":
            raise KeyboardInterrupt
        return original(self, *args, **options)

    monkeypatch.setattr(Variant, "run", fail_on_random)
    with pytest.raises(KeyboardInterrupt):
        run_grid(prepared, VARIANTS, 1, tmp_path / "k.csv")
    assert list(pd.read_csv(tmp_path / "k.csv")["run"]) == ["zero-shot CLIP", "k0", "k3-top"]


def test_summary_is_the_mean_and_sample_deviation_over_seeds():
    table = pd.DataFrame({"run": ["a", "b", "a", "b"], "top1": [10.0, 1.0, 14.0, 3.0]})
    result = summary(table)
    assert result.loc["a"].tolist() == [2, 12.0, 2.83] and list(result.index) == ["a", "b"]


def test_shares_become_percentages():
    row = table_row("r", 3, "top", 0, score(torch.eye(6), torch.tensor([0, 1, 2, 3, 5, 4])))
    assert row["top1"] == 66.67 and row["N"] == 6 and row["top5"] == 66.67


def test_a_variant_is_named_after_all_it_changes():
    assert Variant(3).name == "k3-top" and Variant(0).name == "k0"
    changed = reading({"context": "joint", "t2v_mean": "all"}, 7)
    assert changed.model == {"context": "joint"} and changed.training == {"t2v_mean": "all"}
    assert changed.name == "k7-top-context=joint-t2v_mean=all"


def test_every_reading_is_compared_with_the_default_on_the_same_videos(prepared, tmp_path):
    table = compare_readings(prepared, 3, 2, tmp_path / "readings.csv")
    assert list(table["reading"][:2]) == ["default", "target=softmax10"] and len(table) == 1 + len(READINGS)
    assert (table[["difference", "low", "high"]].iloc[0] == 0).all()
    assert (table["low"] <= table["difference"]).all() and (table["difference"] <= table["high"]).all()
    default = table["top1_mean"][0]
    assert table["difference"].tolist() == pytest.approx((table["top1_mean"] - default).tolist(), abs=0.011)
    runs = pd.read_csv(tmp_path / "readings_runs.csv")
    assert len(runs) == 1 + 2 * len(table) and set(runs["N"]) == {12}
    folders = {path.name for path in (prepared.root / "runs").iterdir()}
    assert len(folders) == 2 * (len(table) - 1), "rerank is another test of the default training"
    assert (prepared.root / "runs" / "k3-top-seed0" / "scores-test-rerank.json").is_file()


def test_the_audit_looks_before_and_after_training(prepared, tmp_path):
    table = audit(prepared, 3, 1, tmp_path / "blind.csv")
    assert len(table) == 4 * 2 * 3 and set(table["chance"]) == {25.0} and set(table["N"]) == {12}
    assert set(zip(table["context"], table["guide"], strict=True)) == {
        ("group", "positive"),
        ("group", "each"),
        ("joint", "positive"),
        ("joint", "each"),
    }
    assert pd.read_csv(tmp_path / "blind.csv")["accuracy"].tolist() == table["accuracy"].tolist()
    videos = prepared.videos("test")
    groups = torch.cat([videos.labels[:, None], prepared.negatives_of("test").indices[:, :3]], dim=1)
    trained = Variant(3).run(prepared, 0).model
    for row, model in ((0, new_model(trained.config, 0)), (3, trained)):
        expected = blind_accuracy(model, videos.frame_features, prepared.features.text_features, groups, "none")
        assert table["accuracy"][row] == round(100 * expected.value, 2) and bool(table["trained"][row]) == (row == 3)


@pytest.mark.parametrize(("seeds", "k", "workers"), [(0, 3, 1), (1, 0, 1), (1, 3, 0)])
def test_nothing_is_trained_for_a_count_of_zero(prepared, tmp_path, seeds, k, workers):
    for make in (compare_readings, audit):
        with pytest.raises(ValueError, match="must be at least 1, not 0"):
            make(prepared, k, seeds, tmp_path / "t.csv", workers=workers)
    assert not (prepared.root / "runs").exists()


@pytest.mark.slow
def test_two_processes_leave_what_one_would(tmp_path):
    alone, beside = (prepare(tmp_path / name, "smoke", quiet=True) for name in ("alone", "beside"))
    one = run_grid(alone, VARIANTS, 1, tmp_path / "one.csv")
    two = run_grid(beside, VARIANTS, 1, tmp_path / "two.csv", workers=2)
    assert list(one["run"]) == list(two["run"]) and set(one["N"]) == set(two["N"])
    assert all((beside.root / "runs" / f"{variant.name}-seed0" / "model.safetensors").is_file() for variant in VARIANTS)
