"""Manifests: what is read, and what is refused."""

import pytest

from mgdmkit.data.manifest import ManifestError, read_manifest, write_manifest

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
