"""From a corpus to a run, by the shell commands and a CLIP of fresh weights: mined, decided upon, trained with."""

import csv
import sys
from pathlib import Path

import pytest
from conftest import write_video
from narrow_clip import narrow_clip  # noqa: F401

import mgdmkit.training.loop
from mgdmkit import mine_negatives
from mgdmkit.cli.main import main
from mgdmkit.clip.backbone import FrozenClip, load_clip
from mgdmkit.clip.features import corpus_texts, extract_features, load_features
from mgdmkit.clip.small import new_small_clip, save_small_clip
from mgdmkit.data.manifest import read_manifest, write_manifest
from mgdmkit.mining import load_negatives

CLASSES = ("clap", "shotput", "wave")
EXTRA = ("hop", "shot put", "Wave", "skip", "zumba")
CORPUS = (*CLASSES, "hop", "skip", "zumba")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A CLIP of fresh weights, its features of nine clips, and a list of more labels."""
    root = tmp_path_factory.mktemp("made")
    clip = load_clip(str(save_small_clip(new_small_clip(0), root / "clip").parent))
    rows = []
    for i in range(9):
        path = write_video(root / f"{i}.mp4", 4 + 3 * i)
        rows.append({"id": f"v{i}", "path": path.name, "label": CLASSES[i % 3], "split": "train" if i < 6 else "val"})
    manifest = read_manifest(write_manifest(root / "data.csv", rows))
    extract_features(manifest, clip, root / "features", frames=2, workers=0, quiet=True)
    (root / "extra.txt").write_text("\n".join(EXTRA))
    return root


@pytest.fixture
def mgdm(made, tmp_path, monkeypatch, capsys):
    """Runs `mgdm <command>` in this process, {made} and {out} being folders; gives the printed lines or the mistake."""

    def run(command: str) -> list[str]:
        words = [word.format(made=made, out=tmp_path) for word in command.split()]
        monkeypatch.setattr(sys, "argv", ["mgdm", *words])
        try:
            main()
        except SystemExit as end:
            assert end.code == 2
            return capsys.readouterr().err.splitlines()
        return capsys.readouterr().out.splitlines()

    return run


MINE = "mine --features {made}/features --out {out}/n.csv --corpus {made}/extra.txt"
TRAIN = "train small --features {made}/features --k 3 --epochs 1 --warmup-epochs 0 --batch-size 3 --device cpu "


def mined(path: Path) -> dict[str, list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        _, *rows = csv.reader(file)
    return {row[0]: [cell.rpartition(":")[0] for cell in row[4:-1]] for row in rows}


def test_a_corpus_is_mined_and_trained_with(mgdm, made, tmp_path, monkeypatch):
    lines = mgdm(MINE + " --clip {made}/clip")
    assert lines[-2] == f"negatives: {tmp_path / 'n.csv'}" and lines[0].startswith("6 labels: 3 classes")
    negatives = mined(tmp_path / "n.csv")
    for i in range(9):
        assert sorted([CLASSES[i % 3], *negatives[f"v{i}"]]) == sorted(CORPUS), "all five others, and no spelling twice"

    monkeypatch.setattr(FrozenClip, "encode_text", lambda *args: pytest.fail("CLIP is not needed again"))
    assert mgdm(MINE)[-2] == f"negatives: {tmp_path / 'n.csv'}"
    seen = spy(monkeypatch, "predict")
    assert mgdm(TRAIN + "--mined {out}/n.csv --out {out}/run")[-1] == f"run: {tmp_path / 'run'}"
    assert [len(texts) for _, _, texts in seen] == [3], "validation is among the classes only"
    cached, texts = load_features(made / "features"), corpus_texts(made / "features", EXTRA)
    assert texts.labels == CORPUS
    found = load_negatives(tmp_path / "n.csv", list(cached.clips["id"]), texts.labels, cached.labels)
    expected = mine_negatives(cached.frame_features, texts.text_features, cached.labels, 5)
    assert found.indices.equal(expected.indices) and (found.indices >= len(CLASSES)).any()


def spy(monkeypatch, name: str) -> list[tuple]:
    """The arguments of each call that training makes of a function."""
    calls, original = [], getattr(mgdmkit.training.loop, name)
    monkeypatch.setattr(mgdmkit.training.loop, name, lambda *args: (calls.append(args), original(*args))[1])
    return calls


def test_random_negatives_are_drawn_from_the_corpus_where_one_is_given(mgdm, made, tmp_path, monkeypatch):
    drawn = spy(monkeypatch, "random_negatives")
    mgdm(MINE)
    mgdm(TRAIN + "--negatives random --corpus {made}/extra.txt --out {out}/a")
    mgdm(TRAIN.replace("--k 3", "--k 2") + "--negatives random --out {out}/b")
    assert [num_labels for _, num_labels, *_ in drawn] == [6, 3]


def test_a_persons_decisions_are_obeyed(mgdm, made, tmp_path):
    mgdm("corpus --lists {made}/extra.txt --out {out}/corpus.csv")
    near = "near --corpus {out}/corpus.csv --clip {made}/clip --out {out}/near.csv --threshold -1"
    assert mgdm(near)[0] == "5 labels, 10 pairs to decide on"
    assert "exists and may hold decisions" in mgdm(near)[0]
    (tmp_path / "own.csv").write_text(
        "id,label_a,label_b,similarity,exclude,note\n,wave,Hop,,yes,\nv0,skip,clap,0.9,yes,seen\n,clap,polo,,yes,\n"
    )
    lines = mgdm(MINE + " --exclude {out}/near.csv {out}/own.csv --depth 4")
    assert "excluded: 1 pairs of labels, and 1 labels of single clips" in lines
    assert lines[2].startswith("without effect: 1 exclusions") and lines[2].endswith("own.csv, line 4:")
    assert lines[3] == "  'clap' and 'polo'"
    negatives = mined(tmp_path / "n.csv")
    for i in range(9):
        own = CLASSES[i % 3]
        assert ("hop" in negatives[f"v{i}"]) <= (own != "wave") and own not in negatives[f"v{i}"]
    assert "hop" not in negatives["v2"] and sorted(negatives["v2"]) == ["clap", "shotput", "skip", "zumba"]
    assert "skip" not in negatives["v0"] and len(negatives["v0"]) == 4
    before = (tmp_path / "n.csv").read_bytes()
    (message,) = mgdm(MINE + " --exclude {out}/own.csv")
    assert "depth=5: the exclusions leave 4 of 6 labels to the video v0; mine with depth=4 or less" in message
    assert (tmp_path / "n.csv").read_bytes() == before


MISTAKES = {
    "corpus --out {out}/c.csv": "say what the corpus is made of",
    "corpus --lists {out}/none.txt --out {out}/c.csv": "{out}/none.txt",
    MINE.replace("{made}/extra", "{out}/more") + " --clip {out}/other": "was made by {made}",
    MINE.replace("{made}/extra", "{out}/more") + " --clip {out}": "{out} holds no CLIP",
    TRAIN + "--out {out}/r --negatives random --corpus {out}/more.txt": "no text features of 1 labels, first 'polo'",
    TRAIN + "--out {out}/r --mined {out}/edited.csv": "no text features of 1 labels, first 'polo'",
    TRAIN + "--out {out}/r --mined {out}/spelt.csv": "'Wave', a negative of 'v0', is not a label of this corpus",
}


@pytest.mark.parametrize("command", MISTAKES)
def test_a_mistake_is_one_message_and_nothing_is_written(command, mgdm, made, tmp_path):
    save_small_clip(new_small_clip(1), tmp_path / "other")
    (tmp_path / "more.txt").write_text("polo")
    mgdm(MINE)
    text = (tmp_path / "n.csv").read_text()
    (tmp_path / "edited.csv").write_text(text.replace("hop:", "polo:"))
    (tmp_path / "spelt.csv").write_text(text.replace("wave:", "Wave:"))
    before = {path for folder in (made, tmp_path) for path in folder.rglob("*")}
    (message,) = mgdm(command)
    assert message.startswith("mgdm: ") and MISTAKES[command].format(made=made, out=tmp_path) in message
    assert {path for folder in (made, tmp_path) for path in folder.rglob("*")} == before
