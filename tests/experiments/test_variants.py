"""The grid: one row a run, the same videos in every row, finished runs loaded, the table complete after each run."""

import signal
import subprocess
import sys
import time
import tomllib

import pandas as pd
import psutil
import pytest
import torch

from mgdmkit import mine_negatives
from mgdmkit.clip.features import Features
from mgdmkit.evaluation.scores import blind_accuracy, mcnemar, paired_difference, score
from mgdmkit.experiments.audit import audit
from mgdmkit.experiments.grids import GRIDS, about, named_grid, product, variant
from mgdmkit.experiments.pipeline import Prepared, prepare
from mgdmkit.experiments.variants import Against, Variant, compare, correct, run_grid, summary, table_row, train_grid
from mgdmkit.runs.folder import FolderError
from mgdmkit.runs.trained import new_model

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
    table, _ = train_grid(prepared, VARIANTS, 2, out)
    assert list(table["run"]) == ["zero-shot CLIP", *["k0", "k3-top", "k3-random"] * 2]
    assert set(table["N"]) == {12}
    assert (table["top1_low"] <= table["top1"]).all() and (table["top1"] <= table["top5"]).all()
    on_disk = pd.read_csv(out, keep_default_na=False)
    assert list(on_disk["run"]) == list(table["run"]) and on_disk["top1"].tolist() == table["top1"].tolist()
    scores = table[table["run"] != "zero-shot CLIP"].set_index(["run", "seed"])["top1"]
    assert len(scores.index.unique()) == 6


def test_a_second_call_loads_every_run(prepared, tmp_path, monkeypatch):
    first, _ = train_grid(prepared, VARIANTS, 1, tmp_path / "k.csv")
    monkeypatch.setattr("mgdmkit.training.loop._train_epoch", lambda *a, **k: pytest.fail("retrained"))
    again, _ = train_grid(prepared, VARIANTS, 1, tmp_path / "k.csv")
    pd.testing.assert_frame_equal(first, again)


def test_an_interrupted_grid_keeps_its_finished_rows(prepared, tmp_path, monkeypatch):
    original = Variant.run

    def fail_on_random(self, *args, **options):
        if self.negatives == "random":
            raise KeyboardInterrupt
        return original(self, *args, **options)

    monkeypatch.setattr(Variant, "run", fail_on_random)
    with pytest.raises(KeyboardInterrupt):
        train_grid(prepared, VARIANTS, 1, tmp_path / "k.csv")
    assert list(pd.read_csv(tmp_path / "k.csv")["run"]) == ["zero-shot CLIP", "k0", "k3-top"]


def test_the_summary_compares_each_row_with_its_own_other(prepared, tmp_path):
    k0, k3, random = VARIANTS
    grid = [Against(k0, k0), Against(k3, k0), Against(random, k3)]
    tables = run_grid(prepared, grid, 2, tmp_path / "k.csv", detail=True)
    rows, labels = tables.summary.set_index("run"), prepared.videos("test").labels
    assert list(rows.index) == ["zero-shot CLIP", "k0", "k3-top", "k3-random"]
    assert rows["against"].isna().tolist() == [True, True, False, False]
    logits = {v.name: [v.run(prepared, seed).logits for seed in (0, 1)] for v in VARIANTS}
    right, among5 = ({name: correct(found, labels, best) for name, found in logits.items()} for best in (1, 5))
    for ours, theirs in (("k3-top", "k0"), ("k3-random", "k3-top")):
        expected = paired_difference(right[ours], right[theirs])
        assert rows["against"][ours] == theirs
        found = rows.loc[ours, ["difference", "low", "high"]].tolist()
        assert found == pytest.approx([100 * x for x in expected], abs=1e-3)
        of_top5 = rows.loc[ours, ["top5_difference", "top5_low", "top5_high"]].tolist()
        expected = paired_difference(among5[ours], among5[theirs])
        assert of_top5 == pytest.approx([100 * x for x in expected], abs=1e-3)
        assert of_top5[0] == pytest.approx(rows["top5_mean"][ours] - rows["top5_mean"][theirs], abs=0.02)
    means = tables.runs.groupby("run")[["top1", "nll", "ece", "margin"]].mean()
    assert rows["nll_mean"]["k0"] == pytest.approx(means["nll"]["k0"], abs=1e-4)
    assert set(tables.classes["run"]) == set(rows.index) and len(tables.classes) == 4 * 12
    of_k0 = tables.classes[tables.classes["run"] == "k0"]
    assert (of_k0["top1"] * of_k0["N"]).sum() / 12 == pytest.approx(rows["top1_mean"]["k0"], abs=0.02)
    assert tables.reliability.groupby("run")["n"].sum().to_dict() == {
        "zero-shot CLIP": 12,
        "k0": 24,
        "k3-top": 24,
        "k3-random": 24,
    }
    assert tables.curves is None and not (tmp_path / "k_curves.csv").exists()
    for name, table in zip(("k", "k_runs", "k_classes", "k_reliability"), tables[:4], strict=True):
        assert len(pd.read_csv(tmp_path / f"{name}.csv")) == len(table)


def test_a_comparison_names_the_median_p_of_the_seeds():
    ours, theirs = torch.rand(2, 3, 40, generator=torch.Generator().manual_seed(0)) > 0.4
    found = compare(ours, theirs)
    assert found["mcnemar_p"] == pytest.approx(sorted(map(mcnemar, ours, theirs))[1], rel=0.01)
    assert found["seeds_better"] == sum(int(a.sum() > b.sum()) for a, b in zip(ours, theirs, strict=True))


def names(grid):
    return [row.variant.name for row in grid.rows]


def test_the_grids_of_the_paper():
    k = named_grid("k", 9, 60)
    assert names(k) == ["k0", "k3-top", "k5-top", "k7-top", "k9-top", "k3-bot", "k3-random", "k7-random"]
    assert [row.other.name for row in k.rows] == ["k0"] * 5 + ["k3-top", "k3-top", "k7-top"]
    pairs = [(row.variant.model, row.other.model) for row in named_grid("modules", 9, 60).rows]
    representer, discriminator = {"representer": False}, {"discriminator": False}
    assert pairs == [({}, {}), (representer, {}), (discriminator, {}), (discriminator, representer)]


def test_every_named_grid_can_be_read_and_compares_like_with_like():
    grids = tomllib.loads(GRIDS.read_text(encoding="utf-8"))
    assert len(about().splitlines()) == len(grids)
    for name in grids:
        grid = named_grid(name, 9, 60)
        assert {row.other.name for row in grid.rows} <= set(names(grid)), f"{name} compares with a row it lacks"
        assert len(grid.rows) == len(grids[name]["rows"])
    with pytest.raises(ValueError, match="grid='ks' is not an option; choose one of 'k', 'story'"):
        named_grid("ks", 9, 60)


def test_rows_that_few_labels_cannot_have_are_left_out():
    few = named_grid("k", 5, 6)
    assert names(few) == ["k0", "k3-top", "k5-top", "k3-random"]
    with pytest.raises(ValueError, match="no row of the grid 'modules' can be made of 6 labels, 5 of them mined"):
        named_grid("modules", 5, 6)


def test_batches_of_all_sizes_take_as_many_steps():
    for row, other in named_grid("batch_steps", 9, 60).rows:
        size, epochs = row.training.get("batch_size", 32), row.training.get("epochs", 80)
        assert epochs / size == 80 / 32
        random = other.negatives == "random"
        assert row.k == 0 or ((other.k == 0 or random) and other.training == row.training)


def test_all_combinations_of_options_are_compared_with_the_first():
    grid = product(["k=0,3", "lr=0.003,1e-3", "guide=each"])
    first, *others = names(grid)
    assert first == "k0-guide=each" and others == [
        "k0-guide=each-lr=0.001",
        "k3-top-guide=each",
        "k3-top-guide=each-lr=0.001",
    ]
    assert {row.other.name for row in grid.rows} == {first}
    assert names(product(["discriminator=true,false"])) == ["k0", "k0-discriminator=False"]


@pytest.mark.parametrize(
    ("vary", "told"),
    [
        ("k", "names no values"),
        ("k=", "names no values"),
        ("depth=2", "depth is no option of a grid"),
        ("k=-1", "negative"),
    ],
)
def test_options_that_do_not_exist_are_refused(vary, told):
    with pytest.raises(ValueError, match=told):
        product([vary])


def test_learning_curves_are_written_beside_the_grid(prepared, tmp_path):
    rows = [Against(variant(k=k, epochs=20), variant(epochs=20)) for k in (0, 3)]
    table = run_grid(prepared, rows, 1, tmp_path / "long.csv", split="val", curves=True).curves
    assert len(table) == 2 * 20 and table["epoch"].max() == 20
    assert set(pd.read_csv(tmp_path / "long_curves.csv")) == {"run", "seed", "epoch", "loss", "val_top1"}
    assert not list(prepared.root.glob("runs/*/scores-test*")) and list(prepared.root.glob("runs/*/scores-val.json"))
    run_grid(prepared, [Against(Variant(0), Variant(0))], 1, tmp_path / "unwatched.csv")
    with pytest.raises(FolderError, match="k0-seed0 was trained without a look at the validation split"):
        run_grid(prepared, [Against(Variant(0), Variant(0))], 1, tmp_path / "unwatched.csv", curves=True)


def test_summary_is_the_mean_and_sample_deviation_over_seeds():
    table = pd.DataFrame({"run": ["a", "b", "a", "b"], "top1": [10.0, 1.0, 14.0, 3.0]})
    result = summary(table)
    assert result.loc["a"].tolist() == [2, 12.0, 2.83] and list(result.index) == ["a", "b"]


def test_shares_become_percentages():
    row = table_row("r", 3, "top", 0, score(torch.eye(6), torch.tensor([0, 1, 2, 3, 5, 4])))
    assert row["top1"] == 66.67 and row["N"] == 6 and row["top5"] == 66.67


def test_a_variant_is_named_after_all_it_changes():
    assert Variant(3).name == "k3-top" and Variant(0).name == "k0" and Variant(3).words == "default"
    changed = variant(context="joint", t2v_mean="all", k=7, guide="positive")
    assert changed.model == {"context": "joint"} and changed.training == {"t2v_mean": "all"}
    assert changed.name == "k7-top-context=joint-t2v_mean=all" and changed.words == "context=joint, t2v_mean=all"


def test_a_variant_of_other_length_warms_up_for_a_tenth_of_it():
    assert variant(epochs=240).training == {"epochs": 240, "warmup_epochs": 24.0}
    assert variant(lr=3e-3, epochs=80).training == {}, "the defaults share one training"


def test_rerank_is_another_test_of_the_default_training(prepared, tmp_path):
    rows = [Against(row, Variant(3)) for row in (Variant(3), variant(k=3, inference="rerank"))]
    table = run_grid(prepared, rows, 2, tmp_path / "readings.csv").summary.set_index("changes")
    assert table["difference"]["inference=rerank"] == pytest.approx(
        table["top1_mean"]["inference=rerank"] - table["top1_mean"]["default"], abs=0.02
    )
    assert {path.name for path in (prepared.root / "runs").iterdir()} == {"k3-top-seed0", "k3-top-seed1"}
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
    with pytest.raises(ValueError, match="must be at least 1, not 0"):
        audit(prepared, k, seeds, tmp_path / "t.csv", workers=workers)
    if k:
        with pytest.raises(ValueError, match="must be at least 1, not 0"):
            run_grid(prepared, [Against(Variant(k), Variant(k))], seeds, tmp_path / "t.csv", workers=workers)
    assert not (prepared.root / "runs").exists()


@pytest.mark.slow
def test_two_processes_leave_what_one_would(tmp_path):
    alone, beside = (prepare(tmp_path / name, "smoke", quiet=True) for name in ("alone", "beside"))
    one, _ = train_grid(alone, VARIANTS, 1, tmp_path / "one.csv")
    two, _ = train_grid(beside, VARIANTS, 1, tmp_path / "two.csv", workers=2)
    assert list(one["run"]) == list(two["run"]) and set(one["N"]) == set(two["N"])
    assert all((beside.root / "runs" / f"{variant.name}-seed0" / "model.safetensors").is_file() for variant in VARIANTS)


LONG = """
import sys
from mgdmkit.experiments.pipeline import prepare
from mgdmkit.experiments.variants import Variant, train_ahead

if __name__ == "__main__":
    import signal
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored by what a shell starts behind it
    jobs = [(Variant(k, training={"epochs": 100_000, "warmup_epochs": 1.0}), 0) for k in (0, 3)]
    train_ahead(prepare(sys.argv[1], "smoke", quiet=True), jobs, 2)
"""


@pytest.mark.slow
@pytest.mark.parametrize("sent", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_no_training_goes_on_behind_a_parent_that_ended(tmp_path, sent):
    prepare(tmp_path, "smoke", quiet=True)
    (tmp_path / "long.py").write_text(LONG, encoding="utf-8")
    parent = psutil.Popen([sys.executable, tmp_path / "long.py", tmp_path], stderr=subprocess.DEVNULL)
    runs = [tmp_path / "runs" / f"{name}-epochs=100000-warmup_epochs=1.0-seed0" for name in ("k0", "k3-top")]
    until = time.monotonic() + 300
    while not all((run / "history.jsonl").is_file() for run in runs):
        assert time.monotonic() < until and parent.poll() is None
        time.sleep(0.2)
    workers = parent.children(recursive=True)
    parent.send_signal(getattr(signal, sent))
    _, alive = psutil.wait_procs([parent, *workers], timeout=20)
    for process in alive:
        process.kill()
    assert len(workers) >= 2 and not alive
