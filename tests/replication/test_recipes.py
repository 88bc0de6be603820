"""The recipes say what the paper says, each row differs from its neighbours as its name tells, mistakes are refused."""

import dataclasses
import json
import shutil

import pytest

from mgdmkit.config import FineTuneConfig, MGDMConfig, TrainConfig
from mgdmkit.data.cards import DATASETS
from mgdmkit.replication.recipes import (
    FULL,
    K_ROWS,
    MODULE_ROWS,
    RECIPES,
    TABLE_DATASET,
    Printed,
    Recipe,
    read_recipe,
    table_recipes,
    unlike_the_kit,
)

# Tables 1-3 of the paper, a line for each k: Kinetics-400, HMDB51, UCF101.
TABLES_1_TO_3 = """
0     85.9 96.6  79.0 96.8  96.3 99.7
3-top 86.6 97.3  81.4 95.8  97.5 99.7
5-top 86.9 97.7  81.7 96.0  97.8 99.7
7-top 87.3 97.9  82.2 96.0  98.1 99.7
9-top 87.3 97.9  82.0 96.1  98.2 99.7
3-bot 86.1 97.2  79.7 96.5  96.9 99.4
"""
TABLE_7 = """
without-representer   83.7 76.6 96.5
without-discriminator 86.2 80.1 97.3
7-top                 87.3 82.2 98.1
"""
ALL = [(dataset, row) for dataset in DATASETS for row in dict.fromkeys(K_ROWS + MODULE_ROWS)]


def lines(table: str) -> list[list[str]]:
    return [line.split() for line in table.strip().splitlines()]


@pytest.mark.parametrize("table", [1, 2, 3])
def test_tables_1_to_3_are_the_papers(table):
    recipes = table_recipes(table, TABLE_DATASET[table])
    columns = slice(2 * table - 1, 2 * table + 1)
    expected = [(row[0], *map(float, row[columns])) for row in lines(TABLES_1_TO_3)]
    assert [(recipe.row, *recipe.printed(table).to_dict().values()) for recipe in recipes] == expected


def test_table_7_is_the_papers():
    for column, dataset in enumerate(("kinetics400", "hmdb51", "ucf101"), start=1):
        expected = [(row[0], Printed(float(row[column]))) for row in lines(TABLE_7)]
        assert [(recipe.row, recipe.printed(7)) for recipe in table_recipes(7, dataset)] == expected


@pytest.mark.parametrize(("dataset", "row"), ALL)
def test_a_row_is_what_its_name_says_and_the_papers_recipe_otherwise(dataset, row):
    recipe = read_recipe(dataset, row)
    k, _, kind = row.partition("-")
    switches = {f"{module}": row != f"without-{module}" for module in ("representer", "discriminator")}
    expected = {"k": int(k), "negatives": kind or "top"} if k.isdigit() else {"k": 7, "negatives": "top"}
    assert recipe.model == MGDMConfig(temporal_layers=6, semantic_layers=2, dim=768, frames=16, **switches)
    assert recipe.train == TrainConfig(
        epochs=20, batch_size=32, lr=5e-5, weight_decay=0.2, warmup_epochs=5.0, **expected
    )
    assert recipe.finetune == FineTuneConfig(grad_checkpointing=True)
    assert (recipe.clip, recipe.pretrained, recipe.paper_batch) == ("ViT-L-14", "openai", 256)
    own = dataset == "kinetics400"
    assert (recipe.scored, len(recipe.corpus)) == (("val", 1) if own else ("test", 3)) and dataset in recipe.corpus


def test_every_file_is_read_by_some_row():
    files = {path.relative_to(RECIPES).as_posix() for path in RECIPES.rglob("*.toml")}
    assert files == {"paper.toml", *(f"{d}.toml" for d in DATASETS), *(f"{d}/{row}.toml" for d, row in ALL)}


@pytest.mark.parametrize("row", [FULL, "without-representer"])
def test_the_resolved_recipe_is_json_that_gives_it_back(row):
    recipe = read_recipe("ucf101", row)
    assert Recipe.from_dict(json.loads(recipe.to_text())) == recipe
    assert recipe.to_text() != dataclasses.replace(recipe, clip="ViT-B-16").to_text()


@pytest.fixture
def own(tmp_path):
    """A copy of the recipes, to be changed."""
    return shutil.copytree(RECIPES, tmp_path / "recipes")


def test_own_recipes_and_own_rows(own):
    (own / "hmdb51" / "7-random.toml").write_text('[train]\nk = 7\nnegatives = "random"\nepochs = 3\nwarmup_epochs = 0')
    (recipe,) = table_recipes(2, "hmdb51", ("7-random",), own)
    assert (recipe.train.negatives, recipe.train.epochs, recipe.train.lr) == ("random", 3, 5e-5)
    assert recipe.printed(2) is None and recipe.row == "7-random"
    assert read_recipe("hmdb51", "7-top", own) == read_recipe("hmdb51", "7-top")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[train]\nlearning_rate = 1", "TrainConfig has no field learning_rate"),
        ("[modell]\ndim = 8", "Recipe has no field modell"),
        ("[train]\nk = -1", "k must not be negative"),
        ("[train]\nk = 'seven'", "7-top.toml over hmdb51.toml and paper.toml"),
        ("model = 3", "7-top.toml over hmdb51.toml and paper.toml"),
        ("[paper.table2]\ntop1 = 822", "top1=822 is not a percentage"),
        ("corpus = ['imagenet']", "dataset='imagenet' is not an option"),
        ("corpus = []", "corpus is empty"),
        ("scored = 'train'", "scored='train' is not an option"),
        ("dataset = 'ucf101'", "is of ucf101, row 7-top"),
        ("[train\nk = 7", "7-top.toml is not TOML"),
    ],
)
def test_a_mistake_in_a_recipe_names_the_file(own, text, told):
    (own / "hmdb51" / "7-top.toml").write_text(text)
    with pytest.raises(ValueError, match=r"hmdb51.7-top\.toml") as error:
        read_recipe("hmdb51", "7-top", own)
    assert told in str(error.value)


def test_what_a_recipe_changes_is_told_with_the_kits_value(own):
    recipe = read_recipe("ucf101", "7-top")
    assert unlike_the_kit(recipe, frozen=False) == ""
    seeded = dataclasses.replace(recipe, train=dataclasses.replace(recipe.train, seed=3))
    assert unlike_the_kit(seeded, frozen=False) == ""
    (own / "ucf101" / "7-top.toml").write_text("scored = 'val'\ncorpus = ['ucf101']\n[finetune]\nflip = true\n")
    changed = read_recipe("ucf101", "7-top", own)
    told = "scored=val (test), corpus=own (union)"
    assert unlike_the_kit(changed, frozen=True) == told
    assert unlike_the_kit(changed, frozen=False) == f"{told}, finetune.flip=True (False)"
    (own / "ucf101" / "mine.toml").write_text("[train]\nk = 2\n")
    assert unlike_the_kit(read_recipe("ucf101", "mine", own), frozen=True) == "train.k=2 (7)"


def test_a_missing_key_is_named(own):
    text = (own / "paper.toml").read_text()
    (own / "paper.toml").write_text(text.replace("paper_batch = 256", "# paper_batch = 256"))
    with pytest.raises(ValueError, match=r"missing 1 required positional argument: 'paper_batch'"):
        read_recipe("hmdb51", "7-top", own)


def test_unknown_rows_datasets_and_tables_are_refused(own):
    with pytest.raises(FileNotFoundError, match=r"no recipe at .*hmdb51.7\.toml; .* has 0, 3-bot, 3-top, .*without"):
        read_recipe("hmdb51", "7")
    with pytest.raises(FileNotFoundError, match=r"no recipe at .*nowhere.paper\.toml; .* has no row"):
        read_recipe("hmdb51", "7-top", own / "nowhere")
    with pytest.raises(ValueError, match="dataset='imagenet' is not an option"):
        read_recipe("imagenet", "7-top")
    with pytest.raises(ValueError, match="table 8 has no recipes; tables 1, 2, 3, 7 have"):
        table_recipes(8, "hmdb51")
