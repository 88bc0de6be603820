"""Manifests: what is read, what is refused, and how a folder becomes one."""

from collections import Counter

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
    def fingerprint(rows=ROWS):
        return read_manifest(written(tmp_path, rows)).fingerprint()

    with pytest.raises(FileNotFoundError, match=r"m\.csv lists 3 clips that are not there, first .*a1\.mp4"):
        fingerprint()
    for name in ("v/a1.mp4", "v/a, [2].mp4", "v/é#;.mp4", "v/y.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"12345")
    first = fingerprint()
    assert fingerprint() == first
    assert fingerprint(ROWS[::-1]) != first, "the order of the rows is the order of the features"
    for column, value in (("label", "b"), ("split", "val"), ("id", "x"), ("path", "v/y.mp4")):
        assert fingerprint([*ROWS[:2], {**ROWS[2], column: value}]) != first
    (tmp_path / "v" / "a1.mp4").write_bytes(b"123456")
    assert fingerprint() != first, "a file was replaced"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": "a1"}, "the id 'a1' stands in more than one row"),
        ({"path": "v/a1.mp4"}, "the path 'v/a1.mp4' stands"),
        ({"path": "./v/a1.mp4"}, "the path './v/a1.mp4' stands"),
        ({"label": " "}, "line 4: the label is empty"),
        ({"split": "dev"}, "split 'dev' is none of train, val, test"),
    ],
)
def test_bad_rows_are_named(tmp_path, change, message):
    rows = [*ROWS[:2], {**ROWS[2], **change}]
    with pytest.raises(ManifestError, match=message):
        written(tmp_path, rows)
    assert not list(tmp_path.iterdir()), "what cannot be read is not written"
    lines = [",".join(f'"{value}"' for value in row.values()) for row in rows]
    (tmp_path / "m.csv").write_text("\n".join(["id,path,label,split", *lines]), encoding="utf-8")
    with pytest.raises(ManifestError, match=message):
        read_manifest(tmp_path / "m.csv")


def test_missing_file_and_columns(tmp_path):
    with pytest.raises(FileNotFoundError, match="mgdm manifest folder"):
        read_manifest(tmp_path / "m.csv")
    (tmp_path / "m.csv").write_text("id,path\n1,2\n")
    with pytest.raises(ManifestError, match="lacks the columns label, split"):
        read_manifest(tmp_path / "m.csv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "lacks the columns id, path, label, split"),
        ("id,path,label,split\n", "lists no clip"),
        ("id,path,label,split\na,a.mp4\n", "4 columns, but 2 in the row 'a,a.mp4'"),
        ("id,path,label,split\na,a.mp4,x, y,train\n", "4 columns, but 5 in the row"),
        ("id,path,label,split\na,é.mp4,x,train\n", "not a CSV in UTF-8"),
    ],
)
def test_what_is_no_manifest(tmp_path, text, message):
    (tmp_path / "m.csv").write_text(text, encoding="latin-1")
    with pytest.raises(ManifestError, match=rf"m\.csv.* {message}|m\.csv: {message}"):
        read_manifest(tmp_path / "m.csv")


def test_a_manifest_from_a_spreadsheet(tmp_path):
    """A byte order mark, other line ends, more columns, blanks behind a label, and words that pandas drops."""
    text = "id,path,label,split,note\r\n1,a.mp4,x ,train,\r\n2,b.mp4,x,train,NA\r\n\r\n3,c.mp4,null,test,\r\n"
    (tmp_path / "m.csv").write_bytes(text.encode("utf-8-sig"))
    manifest = read_manifest(tmp_path / "m.csv")
    assert manifest.classes == ("null", "x")
    assert list(manifest.table["id"]) == ["1", "2", "3"] and list(manifest.table["note"]) == ["", "NA", ""]


def test_paths_under_the_manifest_are_written_relative(tmp_path):
    rows = [
        {**ROWS[0], "path": str(tmp_path / "data" / "v" / "a.mp4")},
        {**ROWS[1], "path": str(tmp_path / "b.mp4")},
    ]
    path = write_manifest(tmp_path / "data" / "m.csv", rows)
    assert list(read_manifest(path).table["path"]) == ["v/a.mp4", str(tmp_path / "b.mp4")]
    assert [str(clip) for clip in read_manifest(path).video_paths] == [row["path"] for row in rows]
    assert [clip.name for clip in path.parent.iterdir()] == ["m.csv"], "no temporary file is left"


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
