"""Tables of the paper from small data: each row trained as its recipe says, resumed, tabulated, priced, refused."""

import csv
import json
import os
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from conftest import write_video
from narrow_clip import narrow_clip  # noqa: F401
from shell import mgdm
from tiny_data import D, feature_folder, first_labels, small_recipes

import mgdmkit.replication.job
from mgdmkit.clip.features import load_features
from mgdmkit.clip.small import new_small_clip, save_small_clip
from mgdmkit.data.manifest import write_manifest
from mgdmkit.evaluation.recognizer import load_run
from mgdmkit.evaluation.scores import score, wilson
from mgdmkit.inference import predict
from mgdmkit.mining import HEADER, select
from mgdmkit.replication.figure import PANELS, vectors
from mgdmkit.replication.job import reproduce_table
from mgdmkit.replication.options import Options
from mgdmkit.replication.plan import module_gmac, plan, row_pmac
from mgdmkit.replication.recipes import K_ROWS, MODULE_ROWS, Recipe, read_recipe, table_recipes
from mgdmkit.replication.rows import corpus_labels, prepare
from mgdmkit.replication.sources import dataset_of, open_sources
from mgdmkit.replication.tables import results, write_comparison, write_table
from mgdmkit.runs.folder import FolderError
from mgdmkit.runs.trained import load_model, read_run
from mgdmkit.training.finetuning import is_finetuned

FROZEN = Options(frozen=True, device="cpu")
SPLIT1, SPLIT2 = (
    ("train", "train", "test", "train", "train", "test"),
    ("test", "train", "train", "train", "train", "train"),
)


def table(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype={"row": str})


@pytest.fixture(scope="module")
def recipes(tmp_path_factory) -> Path:
    return small_recipes(tmp_path_factory.mktemp("recipes"))


@pytest.fixture(scope="module")
def hmdb(tmp_path_factory) -> Path:
    return feature_folder(tmp_path_factory.mktemp("hmdb"), "hmdb51")


@pytest.fixture(scope="module")
def ucf(tmp_path_factory) -> Path:
    return feature_folder(tmp_path_factory.mktemp("ucf"), "ucf101", 8, split1=SPLIT1, split2=SPLIT2)


@pytest.fixture(scope="module")
def filled(hmdb, recipes, tmp_path_factory) -> Path:
    """A folder with Table 2, two seeds. Read only."""
    out = tmp_path_factory.mktemp("filled")
    path = reproduce_table(2, open_sources(hmdb), out, replace(FROZEN, recipes=recipes, seeds=2))
    assert path == out / "table2.csv"
    return out


def test_a_table_has_the_papers_rows_with_ours_beside(filled):
    found = table(filled / "table2.csv")
    assert list(found["row"]) == ["zero-shot", *K_ROWS]
    printed = [recipe.printed(2) for recipe in table_recipes(2, "hmdb51")]
    assert list(found["paper_top1"])[1:] == [p.top1 for p in printed]
    assert list(found["paper_top5"])[1:] == [p.top5 for p in printed]
    assert set(found["N"]) == {12} and list(found["seeds"]) == [1, *[2] * 6]
    assert ((found["top1_low"] <= found["top1"]) & (found["top1"] <= found["top1_high"])).all()
    assert (found["top1"] <= found["top5"]).all() and found["top1"].nunique() > 1
    assert set(found["unlike_the_paper"]) == {"24 of 3,570 train clips, 12 of 1,530 test clips, 6 of 51 classes"}


def test_the_figures_are_those_of_the_runs_on_exactly_the_test_clips(filled, hmdb):
    row = table(filled / "table2.csv").set_index("row").loc["7-top"]
    test = load_features(hmdb).split("test")
    scores = []
    for seed, run in enumerate(row["runs"].split("; ")):
        assert run == f"hmdb51/runs/frozen-union-7-top-seed{seed}"
        logits = predict(load_model(filled / run), test.frame_features, test.text_features)
        scores.append(score(logits, test.labels))
    top1 = [100 * s.top1.value for s in scores]
    assert row["top1"] == pytest.approx(sum(top1) / 2, abs=0.006)
    assert row["top1_sd"] == pytest.approx(abs(top1[0] - top1[1]) / 2**0.5, abs=0.006)
    assert row["top5"] == pytest.approx(50 * sum(s.top5.value for s in scores), abs=0.006)
    interval = wilson(round(sum(top1) / 200 * 12), 12)
    assert (row["top1_low"], row["top1_high"]) == pytest.approx((100 * interval.low, 100 * interval.high), abs=0.006)


@pytest.mark.parametrize("row", K_ROWS)
def test_a_run_is_its_recipe(filled, recipes, row):
    recipe = read_recipe("hmdb51", row, recipes)
    for seed in range(2):
        made = read_run(filled / "hmdb51" / "runs" / f"frozen-union-{row}-seed{seed}")
        assert made["train"] == {**recipe.train.to_dict(), "seed": seed}
        assert made["model"] == recipe.model.for_backbone(D, 100.0).to_dict(), "the scale of these features"


def test_negatives_come_from_the_corpus_of_the_recipe(hmdb, recipes, tmp_path):
    def mined(dataset, folder):
        (recipe,) = table_recipes(7, dataset, ("7-top",), recipes)
        source = open_sources(folder)[0]
        prepared = prepare(source, recipe, tmp_path / dataset, FROZEN)
        names = {prepared.texts.labels[i] for i in prepared.negatives.indices.flatten().tolist()}
        return prepared, names

    _, names = mined("hmdb51", hmdb)
    union = corpus_labels(("kinetics400", "hmdb51", "ucf101"))
    assert len(union) == 530 and names <= set(union) and not names <= set(corpus_labels(("hmdb51",)))
    splits = ("train", "train", "train", "val")
    prepared, names = mined("kinetics400", feature_folder(tmp_path / "k", "kinetics400", splits=splits))
    assert len(prepared.texts.labels) == 400 and names <= set(corpus_labels(("kinetics400",)))
    hardest = select(prepared.negatives, 3)
    with (tmp_path / "kinetics400" / "negatives-own.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    cells = rows[0][len(HEADER) : len(HEADER) + 3]
    assert [cell.rsplit(":", 1)[0] for cell in cells] == [prepared.texts.labels[i] for i in hardest[0].tolist()]


def test_what_is_finished_is_loaded_and_the_table_comes_out_alike(filled, hmdb, recipes, monkeypatch):
    before = (filled / "table2.csv").read_bytes(), (filled / "table2.md").read_bytes()
    weights = {path: path.stat().st_mtime_ns for path in filled.rglob("model.safetensors")}
    monkeypatch.setattr(torch.Tensor, "backward", lambda *args: pytest.fail("trained again"))
    reproduce_table(2, open_sources(hmdb), filled, replace(FROZEN, recipes=recipes, seeds=2))
    assert ((filled / "table2.csv").read_bytes(), (filled / "table2.md").read_bytes()) == before
    assert {path: path.stat().st_mtime_ns for path in filled.rglob("model.safetensors")} == weights


def test_the_table_grows_with_the_rows_and_an_interrupted_one_goes_on(hmdb, recipes, tmp_path, monkeypatch):
    run_row, calls = mgdmkit.replication.job.run_row, []

    def stops(recipe, *args):
        calls.append(recipe.row)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return run_row(recipe, *args)

    monkeypatch.setattr(mgdmkit.replication.job, "run_row", stops)
    with pytest.raises(KeyboardInterrupt):
        reproduce_table(2, open_sources(hmdb), tmp_path, replace(FROZEN, recipes=recipes))
    part = table(tmp_path / "table2.csv").set_index("row")
    assert list(part.index[part["N"].notna()]) == ["zero-shot", "0", "3-top"]
    assert part.loc["9-top", "paper_top1"] == 82.0 and pd.isna(part.loc["9-top", "top1"])
    text = (tmp_path / "table2.md").read_text(encoding="utf-8")
    assert "| 9 (top) | 82.0 | 96.1 |  |  |  |  |  |  |" in text and "12 of 1,530 test clips" in text
    reproduce_table(2, open_sources(hmdb), tmp_path, replace(FROZEN, recipes=recipes))
    assert table(tmp_path / "table2.csv")["N"].notna().all() and calls[3:] == list(K_ROWS)


def test_some_rows_and_a_row_of_ones_own(hmdb, recipes, tmp_path):
    own = small_recipes(tmp_path / "recipes")
    (own / "hmdb51" / "2-random.toml").write_text('[train]\nk = 2\nnegatives = "random"\n', encoding="utf-8")
    reproduce_table(2, open_sources(hmdb), tmp_path, replace(FROZEN, rows=("2-random", "0"), recipes=own))
    found = table(tmp_path / "table2.csv").set_index("row")
    assert list(found.index) == ["zero-shot", *K_ROWS, "2-random"]
    assert list(found.index[found["N"].notna()]) == ["zero-shot", "0", "2-random"]
    assert pd.isna(found.loc["2-random", "paper_top1"])
    assert "| 2 (random) |  |  |" in (tmp_path / "table2.md").read_text(encoding="utf-8")


def test_table_7_has_a_column_for_each_dataset_and_shares_runs_with_table_2(filled, hmdb, ucf, recipes, tmp_path):
    sources = [*open_sources(hmdb), *open_sources(ucf)]
    reproduce_table(2, sources[:1], tmp_path, replace(FROZEN, rows=("7-top",), recipes=recipes))
    shared = tmp_path / "hmdb51" / "runs" / "frozen-union-7-top-seed0" / "model.safetensors"
    before = shared.stat().st_mtime_ns
    reproduce_table(7, sources[:1], tmp_path, replace(FROZEN, recipes=recipes))
    reproduce_table(7, sources[1:], tmp_path, replace(FROZEN, recipes=recipes))
    assert shared.stat().st_mtime_ns == before
    found = table(tmp_path / "table7.csv")
    trained = found[found["row"] != "zero-shot"]
    assert sorted(zip(trained["dataset"], trained["row"], strict=True)) == sorted(
        (dataset, row) for dataset in ("hmdb51", "ucf101") for row in MODULE_ROWS
    )
    assert trained["N"].notna().all() and trained["paper_top5"].isna().all()
    without = load_model(tmp_path / "hmdb51" / "runs" / "frozen-union-without-representer-seed0")
    assert not without.config.representer and without.config.discriminator
    lines = (tmp_path / "table7.md").read_text(encoding="utf-8").splitlines()
    assert lines[2] == "| Top-1 | UCF101: frozen, official split 1, union of labels | HMDB51: frozen, union of labels |"
    assert next(line for line in lines if line.startswith("| without video representer |")).count("(paper ") == 2


def test_official_splits_have_their_own_runs_and_share_the_features(ucf, recipes, tmp_path):
    for split in (1, 2):
        reproduce_table(3, open_sources(ucf, splits=(split,)), tmp_path, replace(FROZEN, rows=("0",), recipes=recipes))
    found = table(tmp_path / "table3.csv").query("row == '0'").set_index("official_split")
    assert (found.loc[1, "N"], found.loc[2, "N"]) == (16, 8)
    assert found.loc[1, "runs"] != found.loc[2, "runs"]
    assert "40 of 9,586 train clips, 8 of 3,734 test clips" in found.loc[2, "unlike_the_paper"]
    assert open_sources(ucf)[0].official_split == 1 and not (tmp_path / "ucf101" / "features").exists()


def test_a_folder_with_other_runs_is_refused(filled, hmdb, recipes, tmp_path):
    other = small_recipes(tmp_path / "recipes", **{"lr = 5e-5 ": "lr = 1e-2 "})
    with pytest.raises(FolderError, match=r"train\.lr is 0\.003 there, 0\.01 here"):
        reproduce_table(2, open_sources(hmdb), filled, replace(FROZEN, rows=("0",), recipes=other))


# ---- which dataset, and whether it is all of it


def test_the_dataset_is_told_by_its_labels(hmdb, ucf, tmp_path):
    assert (open_sources(hmdb)[0].dataset, open_sources(ucf)[0].dataset) == ("hmdb51", "ucf101")
    assert dataset_of(["Apply_Eye_Makeup", "ArCherY"], tmp_path) == "ucf101"
    with pytest.raises(ValueError, match="those of ucf101 and of kinetics400; say which with --datasets"):
        dataset_of(["archery"], tmp_path)
    assert dataset_of(["archery"], tmp_path, "kinetics400") == "kinetics400"
    with pytest.raises(
        ValueError,
        match=r"'archery' \(1 of 2 labels\) is no class of HMDB51; .* `mgdm manifest ucf101\|hmdb51\|kinetics400`",
    ):
        dataset_of(["archery", "brush hair"], tmp_path)
    with pytest.raises(ValueError, match=r"'brush hair' \(1 of 2 labels\) is no class of UCF101"):
        dataset_of(["archery", "brush hair"], tmp_path, "ucf101")


def manifest_of(path: Path, dataset: str, counts: dict[str, int], classes: int) -> Path:
    labels, rows = first_labels(dataset, classes), []
    for split, n in counts.items():
        rows += [(f"{split}{i}", f"{split}{i}.avi", labels[i % classes], split) for i in range(n)]
    pd.DataFrame(rows, columns=["id", "path", "label", "split"]).to_csv(path, index=False)
    return path


@pytest.mark.parametrize(
    ("counts", "classes", "told"),
    [
        ({"train": 3570, "test": 1530}, 51, ""),
        ({"train": 3570, "test": 1529}, 51, "3,570 of 3,570 train clips, 1,529 of 1,530 test clips, 51 of 51 classes"),
        ({"train": 3570, "test": 1530}, 50, "3,570 of 3,570 train clips, 1,530 of 1,530 test clips, 50 of 51 classes"),
    ],
)
def test_a_whole_dataset_is_told_from_a_part(tmp_path, counts, classes, told):
    source = open_sources(manifest_of(tmp_path / "m.csv", "hmdb51", counts, classes))[0]
    assert source.unlike_the_paper("test") == told


def test_what_cannot_be_run_is_refused_before_any_work(hmdb, recipes, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(ValueError, match="holds features; fine-tuning needs the manifest of the videos"):
        reproduce_table(2, open_sources(hmdb), out, Options(recipes=recipes))
    manifest = manifest_of(tmp_path / "m.csv", "hmdb51", {"train": 8}, 4)
    with pytest.raises(ValueError, match=r"no clip in split 'test', which the recipe needs; it has train"):
        reproduce_table(2, open_sources(manifest), out, replace(FROZEN, recipes=recipes))
    with pytest.raises(ValueError, match=r"has 4 frames per clip .* the recipe 16"):
        reproduce_table(2, open_sources(hmdb), out, FROZEN)
    own = small_recipes(tmp_path / "recipes")
    (own / "hmdb51" / "8-frames.toml").write_text("[model]\nframes = 8\n", encoding="utf-8")
    with pytest.raises(
        ValueError, match="the rows 0, 8-frames differ in clip, prompt, corpus, scored, frames or precision"
    ):
        reproduce_table(2, open_sources(hmdb), out, replace(FROZEN, rows=("0", "8-frames"), recipes=own))
    assert not list(out.rglob("*.safetensors")) and not list(out.glob("*.csv"))


# ---- Tables 4-6


def test_the_cited_tables_stand_without_runs_and_take_ours_in(filled, tmp_path):
    sizes = {4: 17, 5: 10, 6: 10}
    for number, methods in sizes.items():
        cited = write_comparison(number, tmp_path)
        assert len(cited) == methods and cited["method"].is_unique and cited["N"].isna().all()
        assert cited["method"].iloc[-1] == "MGDM"
        recipe = read_recipe({4: "kinetics400", 5: "hmdb51", 6: "ucf101"}[number], "7-top")
        assert tuple(cited[["top1", "top5"]].iloc[-1]) == tuple(recipe.printed(number - 3).to_dict().values())
        text = (tmp_path / f"table{number}.md").read_text(encoding="utf-8")
        assert f"`mgdm reproduce --table {number - 3} --rows 7-top" in text
    ours = write_comparison(5, filled).iloc[-1]
    row = table(filled / "table2.csv").set_index("row").loc["7-top"]
    assert ours["method"] == "MGDM, this kit (frozen, union of labels)" and (ours["top1"], ours["N"]) == (
        row["top1"],
        12,
    )
    text = (filled / "table5.md").read_text(encoding="utf-8")
    assert "| TSM | ImageNet + Kinetics-400 | 16 x 224² | 73.5 | 94.3 |  |  |" in text
    assert "**Not comparable with the others:** 24 of 3,570" in text


# ---- the plan


def test_the_cost_of_the_modules_is_that_of_their_products():
    model = read_recipe("hmdb51", "7-top").model
    W, l, g = 768, 32, 8  # model.dim, groups, texts in each
    temporal = 6 * (12 * 16 * W**2 + 2 * 16**2 * W)
    semantic = 2 * (12 * g * W**2 + 2 * g**2 * W)
    pairs = l * 16 * W + l * g * 16 * W + 16 * 16 * (W + l)  # eq. 15 for each guide, eq. 4 for each text, |V|
    assert module_gmac(model, 7, groups=l, together=l) * 1e9 == pytest.approx(temporal + semantic + pairs)


def test_the_cost_of_a_row_counts_clips_epochs_and_what_trains():
    recipe = read_recipe("hmdb51", "7-top")
    clips = {"train": 1000, "test": 0, "classes": 51}
    tuned, frozen = row_pmac(recipe, clips, frozen=False), row_pmac(recipe, clips, frozen=True)
    image = 16 * (24 * (12 * 257 * 1024**2 + 2 * 257**2 * 1024) + 256 * 1024 * 588 + 1024 * 768)  # ViT-L/14, 16 frames
    passes = 4  # forward, forward again for the activations that were not kept, and backward for twice a forward
    assert tuned - frozen == pytest.approx(passes * image * 1000 * 20 / 1e15, rel=1e-6)
    assert row_pmac(recipe, {**clips, "train": 2000}, True) == pytest.approx(2 * frozen)
    without = read_recipe("hmdb51", "without-representer")
    assert row_pmac(without, clips, frozen=True) < 0.3 * frozen
    wider = Recipe.from_dict({**recipe.to_dict(), "clip": "ViT-B-32"})
    assert row_pmac(wider, clips, frozen=True) / frozen == pytest.approx((512 / 768) ** 2, rel=0.02)
    scored = {**clips, "train": 0, "test": 100}
    assert row_pmac(recipe, scored, frozen=False) > image * 100 / 1e15 > row_pmac(recipe, scored, frozen=True)


def test_a_dry_run_prints_every_row_and_writes_nothing(filled, hmdb, recipes, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in filled.rglob("*")}
    common = (
        "reproduce --table 2 --out {out} --dry-run --frozen --recipes {recipes} --clip ViT-B-32 --pretrained openai"
    )
    ended = mgdm(common + " --data {hmdb} --seeds 3", out=filled, hmdb=hmdb, recipes=recipes)
    assert (ended.status, ended.err) == (0, "")
    assert {path: path.stat().st_mtime_ns for path in filled.rglob("*")} == before
    text = "\n".join(ended.out)
    starts = [i for i, line in enumerate(ended.out) if line == "{"]
    found = [Recipe.from_dict(json.loads("\n".join(ended.out[i : ended.out.index("}", i) + 1]))) for i in starts]
    assert [recipe.row for recipe in found] == list(K_ROWS) and {recipe.clip for recipe in found} == {"ViT-B-32"}
    assert "24 train and 12 test clips of 6 classes" in text and "24 of 3,570 train clips" in text
    assert sum(line.endswith("finished, finished, to run") for line in ended.out) == 6
    assert "missing" not in text, "features need neither videos nor weights"
    nothing = mgdm(common + " --tflops 2", out=tmp_path / "none", recipes=recipes)
    assert (nothing.status, nothing.err) == (0, "") and not (tmp_path / "none").exists()
    text = "\n".join(nothing.out)
    manifest = "`mgdm manifest hmdb51 --videos DIR --annotations DIR --out"
    assert f"missing: the data, --data; {manifest} FILE`" in text and "whole dataset has 3,570 train" in text
    assert "h at 2\n" in text and "h at 0.1" not in text
    absent = tmp_path / "absent.csv"
    planned = mgdm(
        common + " --data {absent} --official-split 1 2 3", out=tmp_path / "n", recipes=recipes, absent=absent
    )
    assert (planned.status, planned.err) == (0, "")
    text = "\n".join(planned.out)
    assert text.count(f"missing: {absent}; {manifest} {absent}` makes it") == 1
    assert "whole dataset has 3,570 train" in text and text.count("together") == 1


def test_the_plan_names_missing_clips_and_weights_and_halves_hours_with_twice_the_rate(tmp_path):
    source = open_sources(manifest_of(tmp_path / "m.csv", "hmdb51", {"train": 8, "test": 4}, 4))[0]
    recipes = table_recipes(2, "hmdb51", ("0",))

    def hours(text):
        return float(next(line for line in text.splitlines() if line.startswith("together")).split()[2])

    slow, fast = (plan(2, recipes, source, tmp_path, Options(), tflops=rate) for rate in (0.001, 0.002))
    assert f"missing: 12 of 12 clips, first {tmp_path / 'train0.avi'}" in slow
    assert hours(slow) == pytest.approx(2 * hours(fast), rel=0.06)
    heads = next(line for line in plan(2, recipes, source, tmp_path, Options()).splitlines() if "PMAC" in line)
    assert heads.split() == "PMAC h at 94 h at 37".split(), "the range of what is published"
    weights = tmp_path / "weights.pt"
    weights.write_bytes(b"somebody's")
    doubtful = Recipe.from_dict({**recipes[0].to_dict(), "pretrained": str(weights)})
    assert f"to be decided: {weights} does not tell its activation" in plan(2, [doubtful], source, tmp_path, Options())
    (unknown,) = table_recipes(2, "hmdb51", ("0",))
    unknown = Recipe.from_dict({**unknown.to_dict(), "clip": str(tmp_path / "clip"), "pretrained": None})
    text = plan(2, [unknown], source, tmp_path, Options())
    assert "is neither there nor known" in text and "no estimate of the cost" in text
    shipped = Recipe.from_dict({**unknown.to_dict(), "clip": "small"})
    assert "'small'" not in plan(2, [shipped], source, tmp_path, Options()).partition("no estimate")[0]
    with pytest.raises(ValueError, match="tflops must be positive"):
        plan(2, recipes, source, tmp_path, Options(), tflops=0)


# ---- the command, from videos


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    """A folder with a manifest of twelve clips of four classes of HMDB51, a narrow CLIP, and recipes for it."""
    root = tmp_path_factory.mktemp("videos")
    save_small_clip(new_small_clip(), root / "clip")
    small_recipes(root / "recipes", **{"epochs = 20 ": "epochs = 1 "})
    rows = []
    for i, label in enumerate(first_labels("hmdb51", 4)):
        for j, split in enumerate(("train", "train", "test")):
            path = write_video(root / f"{i}_{j}.mp4", 5 + 3 * i + j)
            splits = {"split1": split, "split2": split, "split3": split}
            rows.append({"id": path.stem, "path": str(path), "label": label, "split": split, **splits})
    write_manifest(root / "m.csv", rows)
    return root


COMMON = "--data {root}/m.csv --out {root}/out --clip {root}/clip --recipes {root}/recipes --workers 0 --device cpu"


@pytest.fixture(scope="module")
def commands(videos) -> Path:
    """Two rows fine-tuned and one frozen, by the command."""
    for more in ("--rows 0 7-top", "--rows 7-top --frozen"):
        ended = mgdm(f"reproduce --table 2 {COMMON} {more}", root=videos)
        assert ended.status == 0, ended.err
        assert ended.out[-1] == f"table: {videos / 'out' / 'table2.md'}"
    return videos / "out"


def test_fine_tuned_and_frozen_runs_stand_in_one_table(commands, videos):
    found = pd.DataFrame(results(commands)).query("training != 'untrained'")
    assert sorted(zip(found["training"], found["row"], strict=True)) == [
        ("fine-tuned", "0"),
        ("fine-tuned", "7-top"),
        ("frozen", "7-top"),
    ]
    assert set(found["N"]) == {4} and set(found["official_split"]) == {1}
    tuned = commands / "hmdb51" / "runs" / "fine-tuned-split1-union-7-top-seed0"
    assert is_finetuned(tuned) and not is_finetuned(commands / "hmdb51" / "runs" / "frozen-split1-union-7-top-seed0")
    made = read_run(tuned)
    assert len(made["labels"]) == 530 and made["train"]["k"] == 7 and made["model"]["dim"] == 128
    text = (commands / "table2.md").read_text(encoding="utf-8")
    assert "## HMDB51: fine-tuned, official split 1, union of labels" in text and "## HMDB51: frozen, official" in text
    assert text.count("CLIP is frozen here and trained in the paper") == 1
    assert (
        f"CLIP: {videos / 'clip'}." in text
        and "- Batches of 8 videos, 256 in the paper: a video meets the groups of fewer others" in text
    )


@pytest.mark.parametrize("run", ["fine-tuned-split1-union-7-top-seed0", "frozen-split1-union-7-top-seed0"])
def test_a_run_recognises_clips(commands, videos, run):
    found = load_run(commands / "hmdb51" / "runs" / run).classify(videos / "0_0.mp4", top=4)
    assert sorted(found.labels) == sorted(first_labels("hmdb51", 4))


def test_the_command_given_twice_computes_nothing_anew(commands, videos, monkeypatch):
    before = (commands / "table2.csv").read_bytes()
    monkeypatch.setattr(torch.Tensor, "backward", lambda *args: pytest.fail("trained again"))
    ended = mgdm(f"reproduce --table 2 {COMMON} --rows 7-top", root=videos)
    assert ended.status == 0 and (commands / "table2.csv").read_bytes() == before


@pytest.mark.parametrize("kind", ["", " --frozen"])
def test_figure_5_is_drawn_from_finished_runs(commands, videos, kind):
    ended = mgdm(
        "reproduce --figure 5 --data {root}/m.csv --out {root}/out --recipes {root}/recipes --clips 2_2" + kind,
        root=videos,
    )
    assert (ended.status, ended.out[-1]) == (0, f"figure: {commands / 'figure5.png'}")
    assert (commands / "figure5.png").read_bytes().startswith(b"\x89PNG")
    points = pd.read_csv(commands / "figure5.csv")
    assert list(dict.fromkeys(points["panel"])) == list(PANELS) and set(points["clip"]) == {"2_2"}
    assert len(points) == 8 and points.query("true")["class"].nunique() == 1
    assert points.groupby("panel")["true"].sum().tolist() == [1, 1] and points["x"].between(-1, 1).all()
    left, right = (points.query("panel == @panel")[["x", "y"]].to_numpy() for panel in PANELS)
    assert abs(left - right).max() > 1e-4, "the discriminator moves the texts"


def test_the_vectors_of_figure_5_are_those_that_the_scores_compare(commands, videos):
    run = commands / "hmdb51" / "runs" / "frozen-split1-union-7-top-seed0"
    features = load_features(commands / "hmdb51" / "features").split("test")
    V, raw, discriminated = vectors(run, features.frame_features[1], features.text_features)
    logits = predict(load_model(run), features.frame_features[1:2], features.text_features)[0]
    scale = load_model(run).logit_scale.exp()
    torch.testing.assert_close(torch.cosine_similarity(V, discriminated) * scale, logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(raw, features.text_features)


MISTAKES = {
    "--out {out}": "give either --table N or --figure 5",
    "--out {out} --table 2 --figure 5": "give either --table N or --figure 5",
    "--out {out} --table 2": "give --data, the manifest of the videos",
    "--out {out} --figure 5": "give --data, the manifest of the videos",
    "--out {out} --table 5 --dry-run": "--dry-run is for tables 1, 2, 3 and 7",
    "--out {out} --table 2 --data {root}/m.csv {root}/m.csv": "2 manifests for 1 datasets",
    "--out {out} --table 3 --data {root}/m.csv": "'brush hair' (4 of 4 labels) is no class of UCF101",
    "--out {out} --table 2 --data {out}/none.csv": (
        "with `mgdm manifest hmdb51 --videos DIR --annotations DIR --out {out}/none.csv`"
    ),
    "--out {out} --table 7 --data {out}/none.csv": "`mgdm manifest ucf101|hmdb51|kinetics400 --videos DIR",
    "--out {out} --table 2 --data {root}/m.csv --rows 4-top": "hmdb51/4-top.toml; ",
    "--out {out} --figure 5 --data {root}/m.csv": "`mgdm reproduce --table 2 --rows 7-top --data {root}/m.csv --out",
    "--out {out} --figure 5 --data {root}/m.csv --official-split 2 --corpus own --recipes {root}/recipes --frozen": (
        "--out {out} --official-split 2 --corpus own --recipes {root}/recipes --frozen`"
    ),
    "--out {root}/out --figure 5 --data {root}/m.csv --corpus own": (
        "--official-split 1 --corpus own --clip {root}/clip`"
    ),
    "--out {out} --table 2 --data {root}/m.csv --clip {root}/clip --pretrained openai": "leave --pretrained openai out",
    "--out {out} --table 2 --data {root}/m.csv --clip {root}/clip --pretrained openai --dry-run": (
        "{root}/clip is a folder, which has its own weights; leave --pretrained openai out"
    ),
    "--out {out} --table 2 --clip {root}/clip --pretrained openai --dry-run": "leave --pretrained openai out",
    "--out {root}/out --figure 5 --data {root}/m.csv --frozen --clips no": "'no' is none of the 4 scored clips",
    "--out {out} --figure 5 --data {root}/m.csv --clips a b": "2 clips for 1 datasets",
}


@pytest.mark.parametrize("command", MISTAKES)
def test_a_mistake_is_one_message(command, commands, videos, tmp_path):
    ended = mgdm("reproduce " + command, root=videos, out=tmp_path)
    assert ended.status == 2 and MISTAKES[command].format(root=videos, out=tmp_path) in ended.err
    assert ended.err.count("mgdm: ") == 1 and list(tmp_path.iterdir()) == []


def test_help_names_what_one_needs():
    ended = mgdm("reproduce --help")
    text = " ".join(" ".join(ended.out).split())
    assert ended.status == 0 and text.startswith("usage: mgdm reproduce")
    options = ("--table", "--figure", "--data", "--frozen", "--rows", "--seeds", "--dry-run", "--recipes", "--out")
    assert [word for word in options if word not in text] == []


def test_two_processes_fill_one_table(hmdb, recipes, tmp_path):
    command = f"reproduce --table 2 --data {hmdb} --out {tmp_path} --recipes {recipes} --frozen --rows 0 --device cpu"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "mgdmkit"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    ended = subprocess.run([*torchrun, *command.split()], capture_output=True, text=True, timeout=300, env=environment)
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert ended.stdout.splitlines() == [f"table: {tmp_path / 'table2.md'}"], "one process prints"
    row = table(tmp_path / "table2.csv").set_index("row").loc["0"]
    assert (row["N"], row["batch"], row["paper_batch"]) == (12, 16, 256)


def test_the_benchmark_of_the_frozen_rows_times_real_steps(tmp_path):
    benchmark = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "frozen_cost.py"))
    benchmark["main"]((64,), (0, 3, 5, 7, 9), ("fp32",), steps=1, size=128, out=tmp_path / "cost.json")
    card = json.loads((tmp_path / "cost.json").read_text(encoding="utf-8"))
    assert [row["k"] for row in card["rows"]] == [0, 3, 5, 7, 9]
    assert all(row["step_s"] > 0 and 0 < row["share"] < 1.5 and row["checkpoint_s"] >= 0 for row in card["rows"])
    k0, k9 = card["rows"][0], card["rows"][-1]
    blocks = 12 * 64**2 + 2 * 16 * 64  # a token of a temporal block, in multiply-adds
    six_blocks_forward_and_backward = 2 * 3 * 32 * 6 * 16 * blocks / 1e9  # two FLOP a multiply-add, three passes
    assert six_blocks_forward_and_backward < k0["step_gflop"] + 0.05 < k9["step_gflop"]
    seconds = sum(20 * (112 * row["step_s"] + row["checkpoint_s"]) for row in [*card["rows"], card["rows"][1]])
    assert card["hours_of_table_2"] == {"64 fp32": pytest.approx(seconds / 3600, abs=0.006)}


def test_a_table_without_any_run_is_the_papers(tmp_path):
    found = write_table(1, ["kinetics400"], tmp_path)
    assert list(found["row"]) == list(K_ROWS) and found["N"].isna().all()
    assert "Kinetics-400: no finished run yet" in (tmp_path / "table1.md").read_text(encoding="utf-8")


def test_real_clips_of_ucf101(shared_data, tmp_path):
    for path in (shared_data / "ucf101_6").glob("*/v_*_g0[189]_*.avi"):  # group 1 is tested in split 1
        (tmp_path / path.parent.name).mkdir(exist_ok=True)
        (tmp_path / path.parent.name / path.name).symlink_to(path)
    made = mgdm("manifest ucf101 --videos {o} --out {o}/m.csv", o=tmp_path)
    assert made.status == 0, made.err
    save_small_clip(new_small_clip(), tmp_path / "clip")
    small_recipes(tmp_path / "recipes")
    command = "reproduce --table 3 --data {o}/m.csv --clip {o}/clip --recipes {o}/recipes --out {o}/t3 --frozen"
    ended = mgdm(command + " --rows 3-bot --workers 0 --device cpu", o=tmp_path)
    assert ended.status == 0, ended.err
    row = table(tmp_path / "t3" / "table3.csv").set_index("row").loc["3-bot"]
    assert row["N"] == 12 and row["paper_top1"] == 96.9
    assert row["unlike_the_paper"] == "24 of 9,537 train clips, 12 of 3,783 test clips, 6 of 101 classes"


def test_no_seed_makes_no_table(tmp_path):
    ended = mgdm(f"reproduce --table 3 --data none.csv --out {tmp_path} --seeds 0")
    assert ended.status == 2 and "seeds must be at least 1, not 0" in " ".join(ended.err.split())
    assert list(tmp_path.iterdir()) == []
