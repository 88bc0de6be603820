"""HMDB51 from its official split files: a tree of full size, with the names that make trouble."""

from collections import Counter
from pathlib import Path

import pytest
from hmdb51_lists import NAMES, TAGS, clips_of, tag, write_splits

from mgdmkit.data.hmdb51 import hmdb51_clips
from mgdmkit.data.manifest import ManifestError, read_manifest
from mgdmkit.data.official import build_manifest, summary


@pytest.fixture
def splits(tmp_path) -> Path:
    return write_splits(tmp_path)


def test_counts_tags_and_names(splits):
    clips = hmdb51_clips(splits).clips
    assert len(clips) == 6766 and len({clip.id for clip in clips}) == 6766
    for column in ("split1", "split2", "split3"):
        assert Counter(clip.splits[column] for clip in clips) == {"train": 3570, "test": 1530, "unused": 1666}
    first = next(clip for clip in clips if clip.path == f"brush_hair/{clips_of('brush_hair')[1]}")
    assert first.label == "brush hair" and first.id == "#20_Rhythm_[1]_brush_hair_f_cm_np1_le_bad_1"
    assert list(first.splits.values()) == [TAGS[tag(1, number)] for number in (1, 2, 3)]
    assert {clip.label for clip in hmdb51_clips(splits, "raw").clips} == set(NAMES)


def test_the_real_split_files(shared_data):
    clips = hmdb51_clips(shared_data / "hmdb51_official").clips
    assert len(clips) == 6766 and len({clip.id for clip in clips}) == 6766
    for column in ("split1", "split2", "split3"):
        assert Counter(clip.splits[column] for clip in clips) == {"train": 3570, "test": 1530, "unused": 1666}


def test_the_label_is_the_file_names_in_the_classes_that_are_mixed_up(splits):
    for clip in hmdb51_clips(splits).clips:
        name = next(name for name in sorted(NAMES, key=len, reverse=True) if f"_{name}_f_" in clip.id)
        assert (clip.class_name, clip.label) == (name, name.replace("_", " "))


@pytest.mark.parametrize("layout", ["{0}/{1}", "{0}/{0}/{1}", "{1}"])
def test_odd_names_are_found_in_every_layout(splits, layout):
    videos = splits / "hmdb51_org"
    wanted = {
        layout.format(name, clips_of(name)[i]): (name.replace("_", " "), TAGS[tag(i, 2)])
        for name in ("kick", "kick_ball", "sword", "sword_exercise")
        for i in (0, 1, 2, 40, 60)
    }
    for path in wanted:
        (videos / path).parent.mkdir(parents=True, exist_ok=True)
        (videos / path).write_bytes(b"a clip")
    official = hmdb51_clips(splits)
    checked = build_manifest(official, videos, splits / "h.csv", official_split=2)
    table = read_manifest(splits / "h.csv").table
    assert set(table["split"]) == {"train", "test", "unused"} and (table["split"] == table["split2"]).all()
    found = {row.path.removeprefix("hmdb51_org/"): (row.label, row.split) for row in table.itertuples()}
    assert found == wanted
    lines = summary(official, checked, splits / "h.csv").splitlines()
    assert lines[2] == "split2: 12 of 3,570 train, 4 of 1,530 test, 4 of 1,666 unused"


def test_a_kick_in_the_folder_of_kick_ball_is_refused(splits):
    path = splits / "v" / "kick_ball" / clips_of("kick")[0]
    path.parent.mkdir(parents=True)
    path.touch()
    with pytest.raises(ManifestError, match=r"lies in the folder 'kick_ball', but the official files put it in 'kick'"):
        build_manifest(hmdb51_clips(splits), splits / "v", splits / "h.csv")


def test_two_classes_may_use_one_file_name(splits):
    for number in (1, 2, 3):
        for name in ("wave", "walk"):
            path = splits / "testTrainMulti_7030_splits" / f"{name}_test_split{number}.txt"
            path.write_text(path.read_text().replace(clips_of(name)[0], "same.avi"))
    twins = [clip for clip in hmdb51_clips(splits).clips if clip.path.endswith("/same.avi")]
    assert [clip.id for clip in twins] == ["walk/same", "wave/same"]
    for clip in twins:
        (splits / "v" / clip.class_name).mkdir(parents=True)
        (splits / "v" / clip.path).write_bytes(b"a clip")
    rows = build_manifest(hmdb51_clips(splits), splits / "v", splits / "h.csv").rows
    assert [(row["label"], Path(row["path"]).parent.name) for row in rows] == [("walk", "walk"), ("wave", "wave")]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (" 1 ", " 3 ", r"kick_test_split2\.txt, line \d+: .* is not of the form 'name\.avi 0\|1\|2'"),
        (" 1 ", "", "is not of the form"),
        (" 1 ", " 0 ", "split2 has 3,569 train, 1,530 test, 1,667 unused clips, HMDB51 has 3,570 train"),
        ("_kick_f_cm_np1_le_bad_7.avi", "_kick_f_cm_np1_le_bad_6.avi", r"kick/.*_7\.avi is in no list of split2"),
        ("_kick_f_cm_np1_le_bad_10.avi", "_kick_f_cm_np1_le_bad_5.avi", r"line 11: .*_5\.avi is listed in split2 "),
    ],
)
def test_a_damaged_split_file_is_named(splits, old, new, message):
    path = splits / "testTrainMulti_7030_splits" / "kick_test_split2.txt"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ManifestError, match=message):
        hmdb51_clips(splits)


def test_absent_and_unknown_split_files(splits):
    folder = splits / "testTrainMulti_7030_splits"
    (folder / "juggle_test_split1.txt").write_text("a.avi 1\n")
    with pytest.raises(ManifestError, match="'juggle', which is no class"):
        hmdb51_clips(splits)
    (folder / "wave_test_split3.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks 1 of the 153 official lists, first wave_test_split3\.txt"):
        hmdb51_clips(splits)
    (folder / "kick_test_split1.txt").write_bytes(b"caf\xe9.avi 1\n")
    (folder / "wave_test_split3.txt").write_text("")
    (folder / "juggle_test_split1.txt").unlink()
    with pytest.raises(ValueError, match=r"kick_test_split1\.txt is not UTF-8 text"):
        hmdb51_clips(splits)
