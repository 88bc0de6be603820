"""Manifests: what is read, what is refused, and how a folder becomes one."""

import pytest

from mgdmkit.manifest import ManifestError, manifest_from_folder, read_manifest, write_manifest

ROWS = [
    {"id": "a1", "path": "v/a1.mp4", "label": "b", "split": "train"},
    {"id": "a2", "path": "v/a, [2].mp4", "label": "a", "split": "test"},
    {"id": "a3", "path": "v/é#;.mp4", "label": "a", "split": "train"},
]


def written(tmp_path, rows=ROWS):
    return write_manifest(tmp_path / "m.csv", rows)


def test_round_trip_classes_and_paths(tmp_path):
    manifest = read_manifest(written(tmp_path))
    assert manifest.table.to_dict("records") == ROWS
    assert manifest.classes == ("a", "b")
    assert manifest.video_paths[1] == tmp_path / "v" / "a, [2].mp4"


def test_a_split_keeps_all_classes(tmp_path):
    manifest = read_manifest(written(tmp_path), split="test")
    assert list(manifest.table["id"]) == ["a2"] and manifest.classes == ("a", "b")
    with pytest.raises(ManifestError, match=r"no clip in split 'val'; it has test, train"):
        read_manifest(tmp_path / "m.csv", split="val")


def test_fingerprint_follows_the_content(tmp_path):
    first = read_manifest(written(tmp_path)).fingerprint()
    assert read_manifest(written(tmp_path)).fingerprint() == first
    for column, value in (("label", "b"), ("split", "val"), ("id", "x"), ("path", "y")):
        changed = [*ROWS[:2], {**ROWS[2], column: value}]
        assert read_manifest(written(tmp_path, changed)).fingerprint() != first


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": "a1"}, "the id 'a1' stands in more than one row"),
        ({"path": "v/a1.mp4"}, "the path 'v/a1.mp4' stands"),
        ({"label": " "}, "line 4: the label is empty"),
        ({"split": "dev"}, "split 'dev' is none of train, val, test"),
    ],
)
def test_bad_rows_are_named(tmp_path, change, message):
    with pytest.raises(ManifestError, match=message):
        read_manifest(written(tmp_path, [*ROWS[:2], {**ROWS[2], **change}]))


def test_missing_file_and_columns(tmp_path):
    with pytest.raises(FileNotFoundError, match="mgdm manifest folder"):
        read_manifest(tmp_path / "m.csv")
    (tmp_path / "m.csv").write_text("id,path\n1,2\n")
    with pytest.raises(ManifestError, match="lacks the columns label, split"):
        read_manifest(tmp_path / "m.csv")


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
        sides.setdefault((row["label"], row["id"].split("_g")[1][:2]), set()).add(row["split"])
    assert all(len(splits) == 1 for splits in sides.values())
    assert manifest_from_folder(videos, **options).rows == rows
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
    assert "2 clips are in no list" in summary and "1 files are no videos" in summary
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


def test_helpful_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder of videos"):
        manifest_from_folder(tmp_path / "nothing")
    folder_of_clips(tmp_path / "one", classes=("a",))
    with pytest.raises(ManifestError, match="at least two classes"):
        manifest_from_folder(tmp_path / "one")
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
