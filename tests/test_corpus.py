"""Label texts and prompts."""

import pytest

from mgdmkit.corpus import label_text, normalise, prompts


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
