"""How a folder of clips becomes a manifest."""

from collections import Counter

import pytest

from mgdmkit.data.folder import manifest_from_folder
from mgdmkit.data.manifest import ManifestError, read_manifest, write_manifest


def folder_of_clips(root, classes=("BrushHair", "tai_chi"), groups=5, per_group=2, above=""):
    for name in classes:
        folder = root / above / name
        folder.mkdir(parents=True)
        for group in range(groups):
            for c in range(per_group):
                (folder / f"v_{name}_g{group:02d}_c{c}([!#&;).AVI").touch()
    return root


def test_own_split_is_stratified_seeded_and_keeps_groups(tmp_path):
    videos = folder_of_clips(tmp_path / "v", groups=10)
    options = {"val_fraction": 0.1, "test_fraction": 0.3, "group_regex": r"_g(\d+)_"}
    rows, summary = manifest_from_folder(videos, **options)
    assert summary == "40 clips of 2 classes: 24 train, 4 val, 12 test"
    assert {row["label"] for row in rows} == {"brush hair", "tai chi"}
    assert all((tmp_path / row["path"]).is_file() for row in rows)
    sides = {}
    for row in rows:
        sides.setdefault(row["id"].split("_g")[1][:2], set()).add(row["split"])
    for label in ("brush hair", "tai chi"):
        assert Counter(row["split"] for row in rows if row["label"] == label) == {"train": 12, "val": 2, "test": 6}
    assert all(len(splits) == 1 for splits in sides.values())
    (videos.parent / "elsewhere").mkdir()
    again = manifest_from_folder(folder_of_clips(tmp_path / "elsewhere" / "v", groups=10), **options).rows
    assert [row["split"] for row in again] == [row["split"] for row in rows], "the same wherever it lies"
    assert manifest_from_folder(videos, **options, seed=1).rows != rows
    assert read_manifest(write_manifest(tmp_path / "m.csv", rows)).classes == ("brush hair", "tai chi")


def test_given_lists_decide_and_what_is_left_out_is_said(tmp_path):
    videos = folder_of_clips(tmp_path / "v", groups=2, per_group=1)
    (videos / "BrushHair" / "notes.txt").touch()
    train = tmp_path / "train.txt"
    train.write_text("BrushHair/v_BrushHair_g00_c0([!#&;).AVI 1\nBrushHair/gone.avi 1\n")
    test = tmp_path / "test.txt"
    test.write_text("tai_chi/v_tai_chi_g01_c0([!#&;).AVI")  # no newline at the end
    rows, summary = manifest_from_folder(videos, train_list=train, test_list=test, label_style="raw")
    assert [(row["label"], row["split"]) for row in rows] == [("BrushHair", "train"), ("tai_chi", "test")]
    assert "1 of 2 entries of train.txt are not in the folder" in summary
    assert "2 clips are in no list" in summary
    assert "1 files or folders that are no clips or have none were left out, first BrushHair/notes.txt" in summary
    assert "1 classes have no test clip, first 'BrushHair'" in summary
    train.write_text(train.read_text(), encoding="utf-8-sig")  # as an editor on Windows saves it
    assert manifest_from_folder(videos, train_list=train, test_list=test, label_style="raw").rows == rows
    test.write_text("nothing/there.avi\n")
    with pytest.raises(ManifestError, match=r"none of its 1 entries.*BrushHair/v_"):
        manifest_from_folder(videos, train_list=train, test_list=test)
    test.write_text(train.read_text())
    with pytest.raises(ManifestError, match="also in the train list"):
        manifest_from_folder(videos, train_list=train, test_list=test)


def test_folders_above_the_classes_are_the_splits(tmp_path):
    folder_of_clips(tmp_path / "v", groups=1, above="train")
    videos = folder_of_clips(tmp_path / "v", groups=1, per_group=1, above="test")
    rows, summary = manifest_from_folder(videos)
    assert summary == "6 clips of 2 classes: 4 train, 2 test"
    assert len({row["id"] for row in rows}) == 6, "equal file names get ids of their own"


def test_every_class_of_two_clips_is_tested(tmp_path):
    rows, summary = manifest_from_folder(folder_of_clips(tmp_path / "v", groups=2, per_group=1), test_fraction=0.1)
    assert summary == "4 clips of 2 classes: 2 train, 2 test"
    assert Counter((row["label"], row["split"]) for row in rows).most_common(1)[0][1] == 1


def test_what_is_no_clip_is_said(tmp_path):
    videos = folder_of_clips(tmp_path, groups=2)
    for name in ("top.avi", "BrushHair/._x.avi", "tai_chi/deep/x.avi", "nothing/readme.txt", ".trash/x.avi"):
        (videos / name).parent.mkdir(exist_ok=True)
        (videos / name).touch()
    rows, summary = manifest_from_folder(videos)
    assert len(rows) == 8 and {row["label"] for row in rows} == {"brush hair", "tai chi"}
    assert "5 files or folders that are no clips" in summary


def test_a_class_may_be_called_train(tmp_path):
    rows, _ = manifest_from_folder(folder_of_clips(tmp_path, classes=("train", "car", "bus")))
    assert Counter(row["label"] for row in rows) == {"train": 10, "car": 10, "bus": 10}


def test_helpful_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder of videos"):
        manifest_from_folder(tmp_path / "nothing")
    folder_of_clips(tmp_path / "one", classes=("a",))
    with pytest.raises(ManifestError, match="at least two classes"):
        manifest_from_folder(tmp_path / "one")
    folder_of_clips(tmp_path / "same", classes=("brush_hair", "BrushHair"))
    with pytest.raises(ManifestError, match="'BrushHair' and 'brush_hair' both give the label 'brush hair'"):
        manifest_from_folder(tmp_path / "same")
    assert len(manifest_from_folder(tmp_path / "same", label_style="raw").rows) == 20
    videos = folder_of_clips(tmp_path / "v")
    with pytest.raises(ManifestError, match="finds no group"):
        manifest_from_folder(videos, group_regex="_x(.)")
    with pytest.raises(ManifestError, match="nothing to train on"):
        manifest_from_folder(videos, test_fraction=1.0)


def test_official_split_1_of_the_real_clips(shared_data):
    lists = shared_data / "ucf101_official"
    rows, summary = manifest_from_folder(
        shared_data / "ucf101_6", train_list=lists / "trainlist01.txt", test_list=lists / "testlist01.txt"
    )
    assert summary.startswith("300 clips of 6 classes: 216 train, 84 test")
    assert {row["label"] for row in rows} >= {"playing piano", "horse race"}
    for row in rows:
        group = int(row["id"].split("_g")[1][:2])
        assert row["split"] == ("test" if group <= 7 else "train")
