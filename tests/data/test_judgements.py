"""False negatives in a CSV: saved at once, whole, in the form that mining obeys, and taken back again."""

import csv

import pytest
import torch

from mgdmkit.data.exclusions import NearPair, write_near
from mgdmkit.data.judgements import COLUMNS, Judgements

NAMES = ("golf", "golf driving", "run", "PullUps")


def lines(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


@pytest.fixture
def judgements(tmp_path):
    return Judgements(tmp_path / "new" / "false.csv")


def test_a_mark_is_saved_at_once_and_read_as_an_exclusion(judgements):
    assert not judgements.path.exists() and judgements.exclusions() == []
    judgements.mark("golf", "golf driving", note=" a part,\n of the other ")
    judgements.mark("golf", "run", "clip 3")
    assert lines(judgements.path) == [
        list(COLUMNS),
        ["golf", "golf driving", "yes", "", "a part, of the other"],
        ["golf", "run", "yes", "clip 3", ""],
    ]
    assert [exclusion[:3] for exclusion in judgements.exclusions()] == [
        ("golf", "golf driving", ""),
        ("golf", "run", "clip 3"),
    ]
    assert [path.name for path in judgements.path.parent.iterdir()] == ["false.csv"], "no temporary file stays"


def test_marks_are_found_for_their_clip_and_for_both_classes(judgements):
    judgements.mark("golf", "Golf-driving")
    judgements.mark("golf", "run", "clip 3")
    assert judgements.marked("golf", "clip 3") == {"Golf-driving": "classes", "run": "clip"}
    assert judgements.marked("golf", "clip 4") == {"Golf-driving": "classes"}
    assert judgements.marked("golf driving", "clip 5") == {"golf": "classes"}
    assert judgements.marked("run", "clip 3") == {"golf": "clip"}, "a row names two labels, in either order"


def test_undo_goes_back_step_by_step_and_unmark_can_be_undone(judgements):
    judgements.mark("golf", "golf driving")
    judgements.mark("golf", "run", "clip 3")
    judgements.unmark("golf", "run", "clip 3")
    assert len(judgements.exclusions()) == 1
    assert judgements.undo() == "'run' for 'clip 3'"
    assert judgements.exclusions()[1].clip == "clip 3"
    judgements.undo()
    assert judgements.undo() == "'golf driving' for 'golf'"
    assert lines(judgements.path) == [list(COLUMNS)]
    with pytest.raises(ValueError, match="nothing was marked since"):
        judgements.undo()


def test_a_list_of_near_duplicates_is_continued_with_all_that_is_in_it(tmp_path):
    pairs = [NearPair("golf", "golf driving", 0.95), NearPair("run", "golf", 0.9), NearPair("run", "PullUps", 0.9)]
    path = write_near(tmp_path / "near.csv", pairs)
    path.write_text(path.read_text().replace("run,golf,0.9000,", "run,golf,0.9000,no"))
    judgements = Judgements(path)
    judgements.mark("golf driving", "golf", note="seen")
    judgements.mark("golf", "PullUps")
    header, *rows = lines(path)
    assert header == ["label_a", "label_b", "similarity", "exclude", "id", "note"]
    assert ["golf driving", "golf", "0.9500", "yes", "", "seen"] in rows and len(rows) == 4
    with pytest.raises(ValueError, match=r"near\.csv says no to 'golf' and 'run'"):
        judgements.mark("golf", "run")
    judgements.undo()
    judgements.undo()
    assert ["golf", "golf driving", "0.9500", "", "", ""] in lines(path), "undecided, as before"


def test_what_others_write_meanwhile_stays(judgements):
    judgements.mark("golf", "golf driving")
    with judgements.path.open("a") as file:
        file.write("run,PullUps,yes,,by hand\n")
    judgements.mark("golf", "run", "clip 3")
    assert len(judgements.exclusions()) == 3
    judgements.path.write_text(judgements.path.read_text().replace("clip 3", "clip 4"))
    with pytest.raises(ValueError, match=r"'run' .* was changed meanwhile"):
        judgements.undo()
    assert len(judgements.exclusions()) == 3


def test_what_can_not_be_marked_says_why(judgements):
    judgements.mark("golf", "run")
    with pytest.raises(ValueError, match="'golf' is the true label"):
        judgements.mark("golf", "Golf!")
    with pytest.raises(ValueError, match="'RUN' is marked already for 'golf'"):
        judgements.mark("golf", "RUN")
    with pytest.raises(ValueError, match="'PullUps' is not marked for 'clip 3'"):
        judgements.unmark("golf", "PullUps", "clip 3")
    judgements.unmark("golf", "run", "clip 3")
    assert judgements.exclusions() == [], "of a clip without a mark of its own that of the classes is taken back"


def test_a_file_that_contradicts_itself_is_refused_on_opening(tmp_path):
    path = tmp_path / "false.csv"
    path.write_text("label_a,label_b,exclude\nrun,golf,yes\ngolf,run,no\n")
    with pytest.raises(ValueError, match=r"line 3 says no to a pair that has yes in .*line 2"):
        Judgements(path)


def test_false_negatives_among_the_mined_ones(judgements):
    judgements.mark("golf", "golf driving")
    judgements.mark("run", "PullUps", "c")
    mined, own = torch.tensor([[1, 2], [0, 3], [3, 1], [3, 0]]), torch.tensor([0, 1, 2, 2])
    false = judgements.false_negatives(mined, own, NAMES, ["a", "b", "c", "d"])
    assert false.tolist() == [[True, False], [True, False], [True, False], [False, False]]
