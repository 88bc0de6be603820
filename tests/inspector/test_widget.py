"""The inspector without a browser: its controls answer, judge, export, and survive what is broken."""

import csv
import html
import json
import re
import threading
import time

import pytest
from small_inspector import small_features, small_manifest, small_model, small_negatives

import mgdmkit.inspector.widget as module
from mgdmkit import plots
from mgdmkit.data.exclusions import locate, read_exclusions
from mgdmkit.inspector.widget import HardNegativeInspector
from mgdmkit.mining import mine_negatives

pytest.importorskip("ipywidgets")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ipywidgets")


@pytest.fixture(autouse=True, scope="module")
def style():
    plots.style()


def make(folder, N=6, clips=6, runs=("a",), **options):
    features = small_features(N)
    models = {name: small_model(seed) for seed, name in enumerate(runs)}
    options = {"judgements": folder / "out" / "false.csv"} | options
    return HardNegativeInspector(
        small_manifest(features, folder, clips), features, small_negatives(features), models, **options
    )


def said(inspector) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", inspector.controls.message.value))


def shown(inspector) -> dict[str, str]:
    c = inspector.controls
    return {name: getattr(c, name).value for name in ("strip", "rankings", "space", "words", "heading")}


def test_walking_through_what_matches(tmp_path):
    inspector = make(tmp_path, split="test")
    c = inspector.controls
    assert inspector.rows.tolist() == [1, 2, 4, 5] and inspector.view.clip == "clip_00001"
    assert c.previous.disabled and not c.next.disabled and "Video 1 of 4" in c.position.value
    c.next.click()
    assert inspector.view.row == 2 == c.matches.value
    c.matches.value = 5
    assert inspector.view.row == 5 and c.next.disabled
    c.next.click()
    assert inspector.view.row == 5
    c.label.value = "golf driving"
    assert inspector.rows.tolist() == [1, 5] and inspector.view.row == 5, "still among them, so it stays"
    c.split.value, c.text.value = "", "00000"
    assert len(inspector.rows) == 0 and inspector.view is None and "No video matches" in said(inspector)
    assert set(shown(inspector).values()) == {""} and c.mark.disabled
    for button in (c.next, c.mark, c.undo, c.save_png):
        button.click()
    assert "nothing to draw" in said(inspector)
    c.k.value, c.text.value = 2, ""
    assert inspector.rows.tolist() == [1, 5] and "No video" not in said(inspector)
    c.label.value, c.show.value = "", "misread"
    assert inspector.rows.tolist() == [1, 3, 5]


def test_each_control_changes_what_it_is_about_and_nothing_else(tmp_path):
    inspector = make(tmp_path, runs=("a", "b"))
    c = inspector.controls

    def changed(control, value):
        before = shown(inspector)
        control.value = value
        return {name for name, now in shown(inspector).items() if now != before[name]}

    assert changed(c.k, 1) == {"rankings", "space", "words"}
    assert changed(c.run, "b") == {"strip", "space"}
    assert changed(c.chosen, inspector.view.negatives[0]) >= {"strip", "rankings", "space"}
    assert changed(c.matches, 3) == {"strip", "rankings", "space", "words", "heading"}
    c.which.value = "bot"
    assert "needs negatives mined to depth 9" in said(inspector), "of 4 classes there are 3"
    c.which.value = "top"
    assert said(inspector) == ""
    assert c.chosen.options[0][0].startswith("true label: ") and len(c.chosen.options) == 4


def test_twenty_thousand_videos_are_a_page_of_fifty(tmp_path):
    inspector = make(tmp_path, N=20_000, clips=0)
    c = inspector.controls
    sizes = [len(json.dumps(widget.get_state(), default=str)) for widget in vars(c).values()]
    assert len(inspector.rows) == 20_000 and len(c.matches.options) == 50
    assert max(sizes) < 300_000, "the pictures are the largest"
    c.matches.value = 49
    c.next.click()
    assert inspector.view.row == 50 and c.matches.options[0][1] == 50 and c.matches.value == 50
    c.previous.click()
    assert inspector.view.row == 49 and c.matches.options[0][1] == 0
    c.text.value = "golf 19"
    assert all("19" in name for name, _ in c.matches.options) and 50 < len(inspector.rows) < 20_000
    c.show.value = "broken"
    ranks = inspector.inspection.ranks("a")
    assert len(ranks) == 20_000 and (ranks[inspector.rows] > 0).all()


def test_a_judgement_is_saved_obeyed_by_mining_and_undone(tmp_path):
    inspector = make(tmp_path)
    c, path = inspector.controls, inspector.judgements.path
    assert c.mark.disabled, "the true label is chosen"
    worst = inspector.view.negatives[0]
    c.chosen.value, c.note.value = worst, "seen"
    c.mark.click()
    name = inspector.view.labels[worst]
    assert path.read_text().splitlines()[1] == f"golf,{name},yes,clip_00000,seen"
    assert "--exclude" in said(inspector) and c.mark.description == "Take the mark back" and c.note.value == ""
    assert "1 of 18 mined negatives" in c.summary.value and "single videos: 1" in c.summary.value
    assert "judged false" in c.words.value
    features = inspector.inspection.features
    ids, labels = list(features.clips["id"]), list(features.clips["label"])
    excluded = locate(read_exclusions(path), features.classes, ids, labels)
    again = mine_negatives(
        features.frame_features, features.text_features, features.labels, 2, exclude_for_video=excluded.of_clips
    )
    assert worst not in again.indices[0]
    c.mark.click()
    assert read_exclusions(path) == [] and c.mark.description == "Mark as false negative"
    c.scope.value = "classes"
    c.mark.click()
    assert path.read_text().splitlines()[1] == f"golf,{name},yes,,"
    assert re.search(r"[2-9] of 18 mined negatives.*class pairs: 1", c.summary.value), "of each clip of the two classes"
    c.undo.click()
    assert read_exclusions(path) == [] and "Undone" in said(inspector) and "0 of 18" in c.summary.value
    for _ in range(3):
        c.undo.click()
    assert "nothing was marked" in said(inspector)
    assert make(tmp_path).controls.summary.value == c.summary.value, "opened anew it reads the file"


def test_a_file_of_judgements_that_is_spoilt_meanwhile_is_reported(tmp_path):
    inspector = make(tmp_path)
    inspector.judgements.path.parent.mkdir()
    inspector.judgements.path.write_text("label_a,label_b,exclude\ngolf,run,perhaps\n")
    inspector.controls.next.click()
    assert "line 2: exclude is 'perhaps'" in said(inspector)


def test_a_clip_that_is_missing_or_corrupt_is_named_and_the_rest_goes_on(tmp_path):
    inspector = make(tmp_path, clips=2)
    c = inspector.controls
    (tmp_path / "clip_00001.avi").write_bytes(b"RIFF nonsense")
    for row, cause in ((1, "clip_00001.avi"), (2, "clip_00002.avi is missing")):
        c.matches.value = row
        assert cause in html.unescape(c.strip.value) and "role='alert'" in c.strip.value
        assert (
            "<img" in c.rankings.value and "<img" in c.space.value and "can't be played" in c.player.children[0].value
        )
    assert len(inspector.save_picture().read_bytes()) > 5000, "with the cause in the place of the frames"
    c.matches.value = 0
    assert "<img" in c.strip.value and c.player.children[0].format == "mp4"


def test_a_run_that_is_not_there_is_reported_inside(tmp_path):
    features = small_features()
    manifest, runs = small_manifest(features, tmp_path), {"lost": tmp_path / "lost"}
    inspector = HardNegativeInspector(
        manifest, features, small_negatives(features), runs, judgements=tmp_path / "f.csv"
    )
    c = inspector.controls
    assert "The run lost is left out" in said(inspector) and "mgdm train" in said(inspector)
    assert "<img" in c.rankings.value and [value for _, value in c.show.options] == ["all", "misread", "below"]
    c.next.click()
    assert "The run lost is left out" in said(inspector), "that holds for the next video, too"


def test_exports_are_files_with_what_is_shown(tmp_path):
    inspector = make(tmp_path, exports=tmp_path / "pictures")
    c = inspector.controls
    c.show.value = "misread"
    for button in (c.save_png, c.save_svg, c.save_csv):
        button.click()
        assert "Saved" in said(inspector)
    c.next.click()
    assert "Saved" not in said(inspector), "that was another video"
    folder = tmp_path / "pictures"
    assert sorted(path.name for path in folder.iterdir()) == [
        "inspector-clip_00001.png",
        "inspector-clip_00001.svg",
        "selection.csv",
    ]
    assert (folder / "inspector-clip_00001.png").read_bytes().startswith(b"\x89PNG")
    assert "CLIP: the true label is 2nd" in (folder / "inspector-clip_00001.svg").read_text()
    with (folder / "selection.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == ["clip_00001", "clip_00003", "clip_00005"] and rows[0]["rank_a"] != ""


def test_every_control_is_named_and_texts_from_files_are_escaped(tmp_path):
    inspector = make(tmp_path)
    c = inspector.controls
    for name, widget in vars(c).items():
        if hasattr(widget, "description") and type(widget).__name__ not in ("HTML", "Box"):
            assert widget.description and (widget.tooltip or name == "mark"), name
    c.matches.value = 3
    everything = c.words.value + c.heading.value + c.rankings.value + c.strip.value
    assert "sit &lt;down&gt;" in everything and "<down>" not in everything


def test_controls_that_answer_in_two_threads_wait_for_one_another(tmp_path, monkeypatch):
    inspector = make(tmp_path)
    c, order, find = inspector.controls, [], inspector.inspection.find

    def slow(question):
        order.append("begins")
        time.sleep(0.05)
        order.append("ends")
        return find(question)

    monkeypatch.setattr(inspector.inspection, "find", slow)
    changes = [threading.Thread(target=setattr, args=(c.text, "value", "golf"))]
    changes += [threading.Thread(target=setattr, args=(c.show, "value", "misread"))]
    for thread in changes:
        thread.start()
    for thread in changes:
        thread.join()
    assert order == ["begins", "ends", "begins", "ends"]
    assert inspector.rows.tolist() == [1, 5] and c.matches.value == inspector.view.row


def test_nothing_is_decoded_twice(tmp_path, monkeypatch):
    read, read_segments = [], module.read_segments

    def counted(path, *arguments, **options):
        read.append(path.name)
        return read_segments(path, *arguments, **options)

    monkeypatch.setattr(module, "read_segments", counted)
    inspector = make(tmp_path)
    c = inspector.controls
    c.next.click()
    c.previous.click()
    c.k.value = 1
    inspector.figure()
    assert read == ["clip_00000.avi", "clip_00001.avi"]
