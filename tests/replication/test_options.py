"""The options of `mgdm reproduce`: what each changes and where it is written down, and that none is ignored."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from conftest import write_video
from shell import mgdm
from tiny_data import feature_folder, first_labels, small_recipes

from mgdmkit.cli.reproduce import CITED, DRY_RUN, FIGURE, TABLES, TAKEN
from mgdmkit.clip.small import new_small_clip, save_small_clip
from mgdmkit.data.manifest import write_manifest
from mgdmkit.replication.job import check_settings, reproduce_table
from mgdmkit.replication.options import Options
from mgdmkit.replication.recipes import UNION, read_recipe
from mgdmkit.replication.rows import exclusions
from mgdmkit.replication.sources import open_sources
from mgdmkit.replication.tables import results, write_comparison
from mgdmkit.runs.folder import FolderError
from mgdmkit.runs.trained import read_run

FROZEN = Options(frozen=True, device="cpu")
SPLITS = {
    "split1": ("train", "train", "test", "train", "train", "test"),
    "split2": ("test", "train", "train", "train", "train", "train"),
    "split3": ("train", "test", "train", "test", "train", "train"),
}


@pytest.fixture(scope="module")
def recipes(tmp_path_factory) -> Path:
    return small_recipes(tmp_path_factory.mktemp("recipes"))


@pytest.fixture(scope="module")
def hmdb(tmp_path_factory) -> Path:
    return feature_folder(tmp_path_factory.mktemp("hmdb"), "hmdb51")


def result(out: Path, run: str) -> dict:
    return json.loads((out / "hmdb51" / "runs" / run / "result.json").read_text(encoding="utf-8"))


# ---- what a run does otherwise than its recipe


def test_options_reach_the_recipe_and_nothing_else():
    recipe = read_recipe("hmdb51", "7-top")
    assert recipe.changed(Options()) == recipe and recipe.changed(Options(corpus="union")) == recipe
    clip = {"clip": "ViT-B-32", "pretrained": "openai"}
    given = {"batch_size": 8, "accumulate": 4, "precision": "fp16", "grad_checkpointing": False}
    changed = recipe.changed(Options(corpus="own", **clip, **given))
    train = replace(recipe.train, batch_size=8, accumulate=4, precision="fp16")
    tuning = replace(recipe.finetune, grad_checkpointing=False)
    assert changed == replace(recipe, train=train, finetune=tuning, corpus=("hmdb51",), **clip)
    assert changed.paper_batch == 256, "the paper's stays the paper's"
    kinetics = read_recipe("kinetics400", "7-top").changed(Options(corpus="union"))
    assert kinetics.corpus == UNION == recipe.corpus and (kinetics.corpus_name, changed.corpus_name) == ("union", "own")
    with pytest.raises(ValueError, match="batch_size must be positive"):
        recipe.changed(Options(batch_size=0))
    with pytest.raises(ValueError, match="corpus='all' is not an option"):
        Options(corpus="all")


def test_a_smaller_batch_is_told_in_result_and_table(hmdb, recipes, tmp_path):
    command = "reproduce --table 2 --frozen --data {hmdb} --recipes {recipes} --out {out} --rows 0 --device cpu"
    paths = {"hmdb": hmdb, "recipes": recipes, "out": tmp_path}
    ended = mgdm(command + " --batch-size 4 --accumulate 2 --precision bf16", **paths)
    assert ended.status == 0, ended.err
    made = result(tmp_path, "frozen-union-0-seed0")
    told = made["unlike_the_recipe"]
    for change in ("train.batch_size=4 (32)", "train.accumulate=2 (1)", "train.precision=bf16 (auto)"):
        assert change in told.split(", ")
    assert (made["batch"], made["paper_batch"], made["precision"], made["corpus"]) == (4, 256, "bf16", "union")
    assert made["batch_note"].startswith("batches of 4 videos, 256 in the paper") and made["exclude"] == "none"
    train = read_run(tmp_path / "hmdb51" / "runs" / "frozen-union-0-seed0")["train"]
    assert (train["batch_size"], train["accumulate"], train["precision"]) == (4, 2, "bf16")
    page = (tmp_path / "table2.md").read_text(encoding="utf-8")
    assert "- Batches of 4 videos, 256 in the paper: " in page and "not the paper's row." in page
    assert f"- Other than in the kit's recipe, whose value stands in brackets: {told}." in page
    row = pd.read_csv(tmp_path / "table2.csv", dtype={"row": str}).set_index("row").loc["0"]
    assert row["unlike_the_recipe"] == told and "not the paper's" in row["batch_note"]

    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    again = mgdm(command + " --batch-size 8", **paths)
    assert again.status == 2 and "train.batch_size is 4 there, 8 here" in again.err
    further = mgdm(command + " --batch-size 8 --accumulate 2 --precision bf16 --seeds 2", **paths)
    assert further.status == 2 and "train.batch_size is 4 there, 8 here" in further.err
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before, "refused before any work"
    mgdm(command.replace("--rows 0", "--rows 3-top") + " --batch-size 8", **paths)
    page = (tmp_path / "table2.md").read_text(encoding="utf-8")
    assert "- 0: batches of 4 videos" in page and "- 3 (top): batches of 8 videos" in page


def test_the_papers_batch_has_no_note(hmdb, recipes, tmp_path):
    options = replace(FROZEN, batch_size=256, rows=("0",), recipes=recipes)
    reproduce_table(2, open_sources(hmdb), tmp_path, options)
    assert result(tmp_path, "frozen-union-0-seed0")["batch_note"] == ""
    assert "atches of" not in (tmp_path / "table2.md").read_text(encoding="utf-8")


def test_a_note_stands_in_the_cited_tables_too(hmdb, recipes, tmp_path):
    reproduce_table(2, open_sources(hmdb), tmp_path, replace(FROZEN, rows=("7-top",), recipes=recipes))
    write_comparison(5, tmp_path)
    page = (tmp_path / "table5.md").read_text(encoding="utf-8")
    assert "- Batches of 8 videos, 256 in the paper: " in page


def test_all_that_other_recipes_change_is_told_in_every_table(hmdb, tmp_path):
    other = small_recipes(tmp_path / "recipes", **{"weight_decay = 0.2 ": "weight_decay = 0.3 "})
    (other / "hmdb51" / "2-top.toml").write_text("[train]\nk = 2\n", encoding="utf-8")
    top = other / "hmdb51" / "7-top.toml"
    text = top.read_text(encoding="utf-8").replace("82.2", "99.9") + "[finetune]\nflip = true\n"
    top.write_text(text, encoding="utf-8")
    out, rows = tmp_path / "out", ("7-top", "2-top")
    reproduce_table(2, open_sources(hmdb), out, replace(FROZEN, rows=rows, recipes=other))
    model = "model.frames=4 (16), model.temporal_layers=1 (6), model.semantic_layers=1 (2)"
    training = "train.lr=0.003 (5e-05), train.weight_decay=0.3 (0.2)"
    table, page = pd.read_csv(out / "table2.csv", dtype={"row": str}), (out / "table2.md").read_text(encoding="utf-8")
    table = table.set_index("row")
    for row in rows:
        told = result(out, f"frozen-union-{row}-seed0")["unlike_the_recipe"]
        assert model in told and all(part in told for part in training.split(", ")) and "batch_size=8 (32)" in told
        assert "finetune" not in told and "seed" not in told and told == table.loc[row, "unlike_the_recipe"]
        assert told in page
    assert "train.k=2 (7)" in page and "train.k=" not in table.loc["7-top", "unlike_the_recipe"]
    assert table.loc["7-top", "paper_top1"] == 82.2 and "99.9" not in page, "what is printed does not change"
    write_comparison(5, out)
    compared = (out / "table5.md").read_text(encoding="utf-8")
    assert f"brackets: {table.loc['7-top', 'unlike_the_recipe']}." in compared
    assert "unlike_the_recipe" in (out / "table5.csv").read_text(encoding="utf-8").splitlines()[0]


def test_recipes_that_changed_since_are_refused(hmdb, tmp_path):
    folder = small_recipes(tmp_path / "recipes")
    run = {"rows": ("3-top",), "recipes": folder}
    reproduce_table(2, open_sources(hmdb), tmp_path / "out", replace(FROZEN, **run))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*") if "out" in path.parts}
    small_recipes(folder, **{"weight_decay = 0.2 ": "weight_decay = 0.3 "})
    with pytest.raises(FolderError, match=r"train\.weight_decay is 0\.2 there, 0\.3 here"):
        reproduce_table(2, open_sources(hmdb), tmp_path / "out", replace(FROZEN, seeds=2, **run))
    assert {path: path.stat().st_mtime_ns for path in before} == before


# ---- the corpus


def test_own_labels_stand_beside_the_union(hmdb, recipes, tmp_path):
    for corpus in ("own", None):
        options = replace(FROZEN, corpus=corpus, rows=("3-top",), recipes=recipes)
        reproduce_table(2, open_sources(hmdb), tmp_path, options)
    own, union = (result(tmp_path, f"frozen-{corpus}-3-top-seed0") for corpus in ("own", "union"))
    assert (own["corpus"], union["corpus"]) == ("own", "union")
    assert "corpus=own (union)" in own["unlike_the_recipe"] and "corpus=" not in union["unlike_the_recipe"]
    root = tmp_path / "hmdb51"
    mined = {corpus: (root / f"negatives-{corpus}.csv").read_text(encoding="utf-8") for corpus in ("own", "union")}
    labels = set(first_labels("kinetics400", 400)) - set(first_labels("hmdb51", 51))
    assert any(f",{label}:" in mined["union"] for label in labels)
    assert not any(f",{label}:" in mined["own"] for label in labels)
    found = pd.read_csv(tmp_path / "table2.csv", dtype={"row": str})
    trained = found[found["row"] == "3-top"].set_index("corpus")
    assert set(trained.index) == {"own", "union"} and trained.loc["own", "runs"] != trained.loc["union", "runs"]
    page = (tmp_path / "table2.md").read_text(encoding="utf-8")
    assert "## HMDB51: frozen, own labels" in page and "## HMDB51: frozen, union of labels" in page
    assert page.count("| zero-shot CLIP |") == 2 and len(list(root.glob("runs/untrained-*"))) == 1


# ---- exclusions


def exclude(path: Path, *pairs: tuple[str, str]) -> Path:
    rows = [{"label_a": a, "label_b": b, "exclude": "yes"} for a, b in pairs]
    pd.DataFrame(rows, columns=["label_a", "label_b", "exclude"]).to_csv(path, index=False)
    return path


def test_exclusions_are_written_down_and_checked_before_negatives_are_replaced(hmdb, recipes, tmp_path):
    first, second = first_labels("hmdb51", 2)
    file, out = exclude(tmp_path / "near.csv", (first, second)), tmp_path / "out"
    sources, given = open_sources(hmdb), replace(FROZEN, exclude=(file,), rows=("3-top",), recipes=recipes)
    reproduce_table(2, sources, out, given)
    made = result(out, "frozen-union-3-top-seed0")
    assert made["exclude"] == exclusions([file]) and made["exclude"].startswith("pairs: 1, sha256: ")
    assert made["exclude_files"] == [str(file)]
    assert "- Not mined for each other, pairs: 1, sha256" in (out / "table2.md").read_text(encoding="utf-8")

    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    for other in ((), (exclude(tmp_path / "other.csv", (first, "zumba")),)):
        for row in ("3-top", "5-top"):  # its own run, and one that would share the negatives
            with pytest.raises(FolderError, match=r"was trained with other exclusions \(pairs: 1, sha256: \w+\) than"):
                reproduce_table(2, sources, out, replace(given, exclude=other, rows=(row,)))
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    moved = shutil.copy(file, tmp_path / "moved.csv")
    reproduce_table(2, sources, out, replace(given, exclude=(moved,)))


def test_the_checksum_is_of_what_was_decided(tmp_path):
    one, turned = (
        exclude(tmp_path / "a.csv", ("golf", "golf driving")),
        exclude(tmp_path / "b.csv", ("Golf_Driving", "golf")),
    )
    other = exclude(tmp_path / "c.csv", ("golf", "golf putting"))
    assert exclusions([one]) == exclusions([turned]) != exclusions([other])
    assert exclusions([one, other]) == exclusions([other, one])
    assert exclusions([]) == exclusions([exclude(tmp_path / "d.csv")]) == "none"


# ---- official splits


def test_a_dataset_without_official_splits_is_taken_once_beside_another(recipes, tmp_path):
    ucf = feature_folder(tmp_path / "ucf", "ucf101", 8, **SPLITS)
    kinetics = feature_folder(tmp_path / "kinetics", "kinetics400", 8, ("train", "train", "val"))
    command = "reproduce --table 7 --frozen --recipes {recipes} --out {out} --rows 7-top --dry-run --official-split 1 2"
    paths = {"ucf": ucf, "kinetics": kinetics, "recipes": recipes, "out": tmp_path / "out"}
    both = mgdm(f"{command} --data {{ucf}} {{kinetics}}", **paths)
    assert both.status == 0, both.err
    titles = [line.removesuffix(", frozen: a dry run, nothing is written") for line in both.out if "a dry run" in line]
    assert titles == ["Table 7, UCF101, official split 1", "Table 7, UCF101, official split 2", "Table 7, Kinetics-400"]
    alone = mgdm(f"{command} --data {{kinetics}}", **paths)
    assert alone.status == 2 and "Kinetics-400 has one split; leave it out" in alone.err


def test_several_official_splits_have_their_rows_and_their_mean(recipes, tmp_path):
    ucf = feature_folder(tmp_path / "ucf", "ucf101", 8, **SPLITS)
    command = "reproduce --table 3 --frozen --data {ucf} --recipes {recipes} --out {out} --rows 0 7-top --device cpu"
    paths = {"ucf": ucf, "recipes": recipes, "out": tmp_path / "out"}
    ended = mgdm(command + " --official-split 1 2 3", **paths)
    assert ended.status == 0, ended.err
    rows = pd.read_csv(tmp_path / "out" / "table3.csv", dtype={"row": str})
    means = pd.read_csv(tmp_path / "out" / "table3-splits.csv", dtype={"row": str}).set_index("row")
    assert list(means.index) == ["zero-shot", "0", "7-top"] and set(means["splits"]) == {"1, 2, 3"}
    for row in means.index:
        own = rows[(rows["row"] == row)].set_index("official_split")
        assert sorted(own.index) == [1, 2, 3] and [own.loc[i, "N"] for i in (1, 2, 3)] == [16, 8, 16]
        assert means.loc[row, "top1"] == pytest.approx(own["top1"].mean(), abs=0.006)
        assert means.loc[row, "top5"] == pytest.approx(own["top5"].mean(), abs=0.006)
        assert means.loc[row, "N"] == 40 and means.loc[row, "top1_of_splits"].count(", ") == 2
    page = (tmp_path / "out" / "table3.md").read_text(encoding="utf-8")
    title = "## UCF101: frozen, mean of official splits, union of labels"
    assert title in page and page.index(title) > page.index("## UCF101: frozen, official split 3, union of labels")
    assert f"| 7 (top) | 98.1 | 99.7 | {means.loc['7-top', 'top1']:.2f} |" in page
    compared = write_comparison(6, tmp_path / "out")
    assert [name.partition("(")[2] for name in compared["method"][-4:]] == [
        *(f"frozen, official split {i}, union of labels)" for i in (1, 2, 3)),
        "frozen, mean of official splits 1, 2, 3, union of labels)",
    ]
    assert compared["top1"].iloc[-1] == means.loc["7-top", "top1"]
    planned = mgdm(command + " --official-split 1 2 3 --dry-run --clip ViT-B-32 --pretrained openai", **paths)
    assert planned.status == 0, planned.err
    assert sum(line == "{" for line in planned.out) == 2, "each recipe once"
    assert sum(line.endswith("finished") for line in planned.out) == 6


def test_one_split_has_no_mean(hmdb, recipes, tmp_path):
    reproduce_table(2, open_sources(hmdb), tmp_path, replace(FROZEN, rows=("0",), recipes=recipes))
    assert not (tmp_path / "table2-splits.csv").exists()
    assert "mean of" not in (tmp_path / "table2.md").read_text(encoding="utf-8")


# ---- no option is ignored

VALUES = {
    "data": "none.csv",
    "rows": "0",
    "seeds": "2",
    "official_split": "1",
    "corpus": "own",
    "exclude": "near.csv",
    "clip": "ViT-B-32",
    "pretrained": "openai",
    "batch_size": "8",
    "accumulate": "2",
    "precision": "bf16",
    "datasets": "ucf101",
    "recipes": "recipes",
    "clips": "a",
    "workers": "1",
    "device": "cpu",
    "grad_checkpointing": "True",
    "tflops": "1",
}
MODES = {
    TABLES: "--table 7 --data none.csv",
    DRY_RUN: "--table 7 --data none.csv --dry-run",
    CITED: "--table 5",
    FIGURE: "--figure 5 --data none.csv",
}
OPTIONS = set.union(*TAKEN.values())
IDLE = [(name, mode) for mode in MODES for name in sorted(OPTIONS - TAKEN[mode])]


def test_every_option_says_where_it_has_an_effect():
    told = set(re.findall(r"--([a-z][a-z-]+)", "\n".join(mgdm("reproduce --help").out)))
    of_no_mode = {"help", "out", "table", "figure", "dry-run", "no-dry-run", "no-frozen"}
    assert told - of_no_mode == {name.replace("_", "-") for name in OPTIONS}
    assert len(IDLE) > 25 and not TAKEN[CITED]


@pytest.mark.parametrize(("name", "mode"), IDLE)
def test_an_option_without_effect_is_refused(name, mode, tmp_path):
    option = f"--{name.replace('_', '-')}"
    command = f"reproduce --out {tmp_path}/out {MODES[mode]} {option} {VALUES.get(name, '')}"
    ended = mgdm(command)
    assert ended.status == 2 and f"{option} has no effect with {mode}" in ended.err, command
    assert not (tmp_path / "out").exists()


FEATURES = "--table 7 --data {hmdb} --frozen"
CONDITIONAL = {
    "--table 2 --data m.csv --datasets hmdb51": "--datasets: the table is of hmdb51",
    "--table 2 --data m.csv --pretrained openai": "--pretrained: it goes with --clip",
    "--table 2 --dry-run --official-split 2": "--official-split: without --data",
    f"{FEATURES} --grad-checkpointing False": "--grad-checkpointing: --frozen trains no image encoder",
    f"{FEATURES} --workers 2": "--workers: no video is decoded",
    "--figure 5 --data m.csv --frozen --workers 2": "--workers: no video is decoded",
    "--figure 5 --data m.csv --frozen --device cpu": "--device: nothing is computed",
    "--figure 5 --data m.csv --official-split 1 2": "--figure 5 shows the runs of one --official-split",
}


@pytest.mark.parametrize("command", CONDITIONAL)
def test_an_option_that_another_one_makes_idle_is_refused(command, hmdb, tmp_path):
    ended = mgdm("reproduce --out {out} " + command, hmdb=hmdb, out=tmp_path / "out")
    assert ended.status == 2 and CONDITIONAL[command] in ended.err
    assert not (tmp_path / "out").exists()


# ---- from videos


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("videos")
    save_small_clip(new_small_clip(), root / "clip")
    small_recipes(root / "recipes", **{"epochs = 20 ": "epochs = 1 "})
    rows = []
    for i, label in enumerate(first_labels("hmdb51", 4)):
        for j, split in enumerate(("train", "test")):
            path = write_video(root / f"{i}_{j}.mp4", 5 + 3 * i + j)
            rows.append({"id": path.stem, "path": str(path), "label": label, "split": split})
    write_manifest(root / "m.csv", rows)
    return root


COMMON = "--data {root}/m.csv --out {out} --clip {root}/clip --recipes {root}/recipes --workers 0 --device cpu --rows 0"


def test_a_small_gpus_options_reach_features_and_fine_tuning(videos, tmp_path):
    command, paths = f"reproduce --table 2 {COMMON}", {"root": videos, "out": tmp_path}
    more = " --grad-checkpointing False --precision bf16 --batch-size 2 --corpus own"
    ended = mgdm(command + more, **paths)
    assert ended.status == 0, ended.err
    made = json.loads((tmp_path / "hmdb51" / "features" / "features.json").read_text(encoding="utf-8"))
    assert made["precision"] == "bf16"
    run = read_run(tmp_path / "hmdb51" / "runs" / "fine-tuned-own-0-seed0")
    assert (run["finetune"]["grad_checkpointing"], run["train"]["batch_size"]) == (False, 2)
    assert len(run["labels"]) == 51 and run["train"]["precision"] == "bf16"
    told = result(tmp_path, "fine-tuned-own-0-seed0")
    assert "finetune.grad_checkpointing=False (True)" in told["unlike_the_recipe"]
    assert told["features_precision"] == "bf16"
    assert "- Features computed in bf16." in (tmp_path / "table2.md").read_text(encoding="utf-8")

    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    again = mgdm(command + more.replace("False", "True"), **paths)
    assert again.status == 2 and "finetune.grad_checkpointing is False there, True here" in again.err
    fp32 = mgdm(command + " --frozen", **paths)
    assert fp32.status == 2 and "was computed in bf16, and fp32 is wanted here; give --precision bf16" in fp32.err
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    planned = mgdm(command + more + " --dry-run", **paths)
    assert planned.status == 0 and "Not in it: decoding 0 clips" in " ".join(planned.out)


def test_a_dry_run_says_how_many_clips_it_leaves_out(videos, tmp_path):
    command, paths = f"reproduce --table 2 {COMMON} --dry-run --seeds 3", {"root": videos, "out": tmp_path}
    tuned, frozen = (mgdm(command + more, **paths) for more in ("", " --frozen"))
    assert (tuned.status, frozen.status) == (0, 0), tuned.err
    each = 1 * 4 + 4  # an epoch of four training clips, then four that are scored
    hours = f"{(8 + 3 * each) * 0.136 / 3600:.2g}"
    assert f"Not in it: decoding {8 + 3 * each} clips, {hours} hours of one core at 136 ms" in "\n".join(tuned.out)
    assert "Not in it: decoding 8 clips" in "\n".join(frozen.out), "for the features, once"
    assert "torchrun on more GPUs or --batch-size 256 makes it the paper's" in "\n".join(tuned.out)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["result.json", "row.json"])
@pytest.mark.parametrize("text", ['{"row": ', "{}", "[]"])
def test_a_damaged_file_of_a_run_is_named_with_a_cure(tmp_path, name, text):
    path = tmp_path / "ucf101" / "runs" / "frozen" / name
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FolderError, match=rf"{name}.*delete .*give the command again"):
        if name == "result.json":
            results(tmp_path)
        else:
            check_settings(tmp_path / "ucf101", [read_recipe("ucf101", "0")], Options())
