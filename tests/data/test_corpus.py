"""Label texts and prompts, label lists on disk and their unions."""

import pytest

from mgdmkit.data.cards import DATASETS, dataset_classes
from mgdmkit.data.corpus import (
    Corpus,
    label_list,
    label_text,
    mining_corpus,
    normalise,
    prompts,
    read_corpus,
    union,
    write_corpus,
)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ApplyEyeMakeup", "apply eye makeup"),
        ("TaiChi", "tai chi"),
        ("YoYo", "yo yo"),
        ("brush_hair", "brush hair"),
        ("opening a fridge", "opening a fridge"),
        ("TVShow", "tv show"),
        ("  two__words ", "two words"),
        ("Élan", "élan"),
    ],
)
def test_label_text(name, text):
    assert label_text(name) == text


def test_normalised_labels_compare_across_datasets():
    assert normalise("PullUps") == normalise("pull ups") == normalise("pull_ups")
    assert normalise("Yo-Yo!") == normalise("yo yo") == "yoyo"
    assert normalise("golf") != normalise("golf driving")
    assert normalise("की") != normalise("का"), "vowel signs are no punctuation"


def test_prompts():
    assert prompts(["a {b}", "c"]) == ["This is a video about a {b}", "This is a video about c"]
    assert prompts(["c"], "{}!") == ["c!"]
    for template in ("no place", "{} and {}"):
        with pytest.raises(ValueError, match="exactly once"):
            prompts(["c"], template)


def test_the_union_of_the_papers_datasets():
    lists = [label_list((row.label for row in dataset_classes(name)), name) for name in DATASETS]
    corpus = union(*lists)
    assert sum(len(part.labels) for part in lists) == 552 and len(corpus.labels) == 530
    raw = union(*(label_list((row.name for row in dataset_classes(name)), name) for name in DATASETS))
    assert raw.sources == corpus.sources, "the files' own spelling is of the same words"
    of = dict(zip(*corpus, strict=True))
    assert of["archery"] == ("ucf101", "kinetics400") and of["fencing"] == ("ucf101", "hmdb51")
    assert of["apply eye makeup"] == ("ucf101",)
    assert {name: len(part.labels) for name, part in zip(DATASETS, lists, strict=True)} == {
        name: sum(name in sources for sources in corpus.sources) for name in DATASETS
    }


def test_a_union_keeps_the_first_spelling_and_every_source():
    corpus = union(label_list(["PullUps", "golf", "!"], "a"), label_list(["pull_ups", "pullups", "?", "Golf"], "b"))
    assert corpus.labels == ("PullUps", "golf", "!", "pullups", "?")
    assert corpus.sources == (("a", "b"), ("a", "b"), ("a",), ("b",), ("b",))
    assert union(corpus, corpus) == corpus


def test_the_classes_come_first_and_are_never_added_again():
    classes = ["shotput", "Yo-Yo", "archery"]
    corpus = mining_corpus(classes, ["abseiling", "shot put", "Archery", "yo yo", "abseiling", "zumba"])
    assert corpus == ("shotput", "Yo-Yo", "archery", "abseiling", "zumba")
    assert mining_corpus(classes, ()) == tuple(classes)


def test_csv_and_text_files_are_read(tmp_path):
    corpus = union(label_list(['a, "b"', "élan"], "x"), label_list(["Élan", "c"], "y"))
    path = write_corpus(tmp_path / "corpus.csv", corpus)
    assert path.read_text(encoding="utf-8").splitlines()[2] == "élan,x;y"
    assert read_corpus(path) == corpus
    (tmp_path / "mine.csv").write_text("note,label\nfirst,jump\n,run\n,\n", encoding="utf-8-sig")
    assert read_corpus(tmp_path / "mine.csv") == Corpus(("jump", "run"), (("mine",), ("mine",)))
    (tmp_path / "mine.txt").write_text("a, b\r\n\r\n  jump \r\nJump\r\n", encoding="utf-8-sig")
    assert read_corpus(tmp_path / "mine.txt").labels == ("a, b", "jump")


def test_what_is_no_corpus_is_told(tmp_path):
    path = tmp_path / "c.csv"
    with pytest.raises(FileNotFoundError, match=r"no file at .*c\.csv; make it with `mgdm corpus --datasets "):
        read_corpus(path)
    path.write_text("name;text\na;b\n")
    with pytest.raises(ValueError, match=r"c\.csv lacks the column 'label'; its first line has 'name', 'text'"):
        read_corpus(path)
    path.write_text("label\n")
    with pytest.raises(ValueError, match="holds no label"):
        read_corpus(path)
    path.write_text("note,label\nfirst,jump\nsecond,\n")
    with pytest.raises(ValueError, match=r"c\.csv, line 3: the label is empty"):
        read_corpus(path)
    path.write_text("label\njump, and run\n")
    with pytest.raises(ValueError, match=r"line 2: 1 columns, but 2 in the row 'jump, and run'"):
        read_corpus(path)
    path.write_bytes("label\nélan\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"c\.csv is not UTF-8"):
        read_corpus(path)
