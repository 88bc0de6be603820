"""Manifests: what is read, and what is refused."""

import os

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
        (
            "id,path,label,split\na,é.mp4,x,train\n",
            "is not UTF-8 text: line 2 is b'a,.xe9.mp4,x,train'; in cp1252 .* it would be 'a,é",
        ),
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


def test_tables_as_people_save_them(tmp_path):
    path = tmp_path / "m.csv"
    forms = [
        "sep=;\nID; Path ;Label;Split;;\n1;a, b.mp4;café;Train;;\n;;;;;\n",
        "Id\tPATH\tlabel \tsplit\n1\ta, b.mp4\tcafé\ttraining\n",
        ',id,path,label,split\n0,1,"a, b.mp4",café,train\n',
        'id, path, label, split\n1, "a, b.mp4", café, train\n',
        ',,,\n\nid,path,label,split\r1,"a, b.mp4",café,train\r',
    ]
    for text in forms:
        for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"):
            path.write_bytes(text.encode(encoding))
            if encoding in ("utf-16-le", "utf-16-be") and text.startswith(",,,"):
                continue
            (row,) = read_manifest(path).table.to_dict("records")
            assert row == {"id": "1", "path": "a, b.mp4", "label": "café", "split": "train"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,path,label,split,\na,a.mp4,x, y,train\n", "line 2: 4 columns, but 5 in the row"),
        ("id,path,split,label\na,a.mp4,train,x, y\n", "line 2: 4 columns, but 5 in the row"),
        ('id,path,label,split\na,a.mp4,"x,train\nb,b.mp4,y,train\n', "unexpected end of data; mend the quotes"),
        ("id,path,label,split\n\na,a.mp4,x,tra", "line 3: split 'tra' is none of train, val, test, unused"),
        ("id,path,label,split\na,a.mp4,x\0,train\n", "line 2 holds a NUL character"),
        ("id,path,label,split,Split\na,a.mp4,x,train,train\n", "more than one column 'split'"),
        ("id;path;name;split\na;a.mp4;x;train\n", "lacks the columns label; .* has 'id', 'path', 'name', 'split'"),
        ("id,path,label,split\na,v/../a.mp4,x,train\nb,a.mp4,y,test\n", "the path 'a.mp4' stands in more than one"),
    ],
)
def test_a_row_that_cannot_be_read_is_never_skipped(tmp_path, text, message):
    (tmp_path / "m.csv").write_bytes(text.encode())
    with pytest.raises(ManifestError, match=rf"m\.csv.* {message}|m\.csv,? {message}"):
        read_manifest(tmp_path / "m.csv")


@pytest.mark.parametrize(
    ("other", "shown"),
    [("walking", "'Walking' and 'walking'"), ("CAFÉ", "'CAFÉ' and 'café'"), ("push up", "'push up' and 'push_up'"),
     ("cafe\u0301", r"'cafe\\u0301' and 'caf\\xe9'")],
)  # fmt: skip
def test_labels_that_clip_reads_alike_are_refused(tmp_path, other, shown):
    rows = [{**ROWS[0], "label": label} for label in ("Walking", "café", "push_up", other)]
    rows = [{**row, "id": f"{i}", "path": f"{i}.mp4"} for i, row in enumerate(rows)]
    with pytest.raises(ManifestError, match=rf"m\.csv: the labels {shown} say the same to CLIP"):
        written(tmp_path, rows)
    assert written(tmp_path, rows[:3]).is_file()


def test_a_name_that_is_no_utf8_is_told(tmp_path):
    with pytest.raises(ManifestError, match=r"the name of b'v/caf.xe9\.mp4' is not UTF-8.*convmv"):
        written(tmp_path, [{**ROWS[0], "path": os.fsdecode(b"v/caf\xe9.mp4")}])


def test_paths_under_the_manifest_are_written_relative(tmp_path):
    rows = [
        {**ROWS[0], "path": str(tmp_path / "data" / "v" / "a.mp4")},
        {**ROWS[1], "path": str(tmp_path / "b.mp4")},
    ]
    path = write_manifest(tmp_path / "data" / "m.csv", rows)
    assert list(read_manifest(path).table["path"]) == ["v/a.mp4", str(tmp_path / "b.mp4")]
    assert [str(clip) for clip in read_manifest(path).video_paths] == [row["path"] for row in rows]
    assert [clip.name for clip in path.parent.iterdir()] == ["m.csv"], "no temporary file is left"
