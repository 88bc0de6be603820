"""Lists of clips in the forms of the field: one clip for a line, or a refusal."""

from pathlib import Path

import pytest

from mgdmkit.data.folder import manifest_from_folder
from mgdmkit.data.lists import ListReader
from mgdmkit.data.manifest import ManifestError

V = Path("/videos")
CLIPS = ["Archery/v_A_g01.avi", "Archery/a b.mp4", "Archery/a, c.avi", "Archery/a.avi",
         "tai chi/[x] (1)!.avi", "tai chi/day1/d.avi", "tai chi/caf\u00e9.avi", "tai chi/7.avi",
         "Archery/same.avi", "tai chi/same.avi"]  # fmt: skip


@pytest.fixture(scope="module")
def reader():
    return ListReader({V / path: V / path.split("/")[0] for path in CLIPS})


@pytest.mark.parametrize(
    ("line", "clip"),
    [
        ("Archery/v_A_g01.avi", 0),
        ("Archery/v_A_g01.avi 3", 0),
        ("Archery/v_A_g01.avi\t3", 0),
        ("Archery/v_A_g01.avi,3", 0),
        ("Archery/v_A_g01.avi; 3", 0),
        ("Archery/v_A_g01 120 3", 0),
        ("Archery/v_A_g01,3", 0),
        ('"Archery/v_A_g01.avi",3', 0),
        ("'Archery/v_A_g01.avi' 3", 0),
        ("3,Archery/v_A_g01.avi", 0),
        ("./Archery/v_A_g01.avi 3", 0),
        ("/data/ucf/videos/Archery/v_A_g01.avi 3", 0),
        ("videos/Archery/v_A_g01.avi", 0),
        ("D:\\ucf\\Archery\\v_A_g01.avi 3", 0),
        ("Archery/v_A_g01.mp4", 0),
        ("v_A_g01 120 3", 0),
        ("/ssd/frames/v_A_g01 120 3", 0),
        ("Archery/a b.mp4 3", 1),
        ("Archery/a b 120 3", 1),
        ("Archery/a, c.avi 3", 2),
        ('"Archery/a, c.avi",3', 2),
        ("Archery/a, c.avi,3", 2),
        ("Archery/a.avi archery", 3),
        ("tai chi/[x] (1)!.avi tai chi", 4),
        ("tai chi/day1/d.avi", 5),
        ("tai chi/cafe\u0301.avi 1", 6),
        ("tai chi/same.avi", 9),
        ("path,label", None),
        ("Archery/gone.avi 7", None),
        ("Archery/gone.avi,7", None),
        ("Archery/a z.avi 3", None),
        ("Archery/a, z.avi 3", None),
        ("tai chi/v_A_g01.avi", None),
    ],
)
def test_a_line_names_its_clip(reader, line, clip):
    assert reader.clip(line, "l.txt, line 1") == (None if clip is None else V / CLIPS[clip])


def test_a_line_that_may_name_two_is_refused(reader):
    with pytest.raises(ManifestError, match=r"l\.txt, line 4: 'same\.avi 3' may be /videos/Archery/same.avi or /vid"):
        reader.clip("same.avi 3", "l.txt, line 4")


def test_a_list_in_utf16_and_one_that_names_nothing(tmp_path):
    for path in CLIPS:
        (tmp_path / "v" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "v" / path).write_text(path)
    path = tmp_path / "train.txt"
    path.write_bytes("path,label\r\nArchery/a.avi,0\r\ntai chi/caf\u00e9.avi,1\r\n".encode("utf-16"))
    checked = manifest_from_folder(tmp_path / "v", train_list=path)
    rows, summary = checked.rows, checked.summary
    assert [row["path"].removeprefix(f"{tmp_path}/v/") for row in rows] == [CLIPS[3], CLIPS[6]]
    assert "line 1 of train.txt, 'path,label', looks like a heading and was left out" in summary.splitlines()
    path.write_text("notes\nArchery/a.avi,0\n")
    told = "1 of 2 entries of train.txt are not in the folder: 'notes'"
    assert told in manifest_from_folder(tmp_path / "v", train_list=path).summary.splitlines(), "a word, but no heading"
    path.write_text("video7 0\n")
    told = r"none of its 1 entries is in the folder. One of them is 'video7 0', a clip there is 'Archery/a b.mp4'; an"
    with pytest.raises(ManifestError, match=told):
        manifest_from_folder(tmp_path / "v", train_list=path)
    path.write_bytes(b"tai chi/caf\xe9.avi\n")
    with pytest.raises(ValueError, match=r"train\.txt is not UTF-8 text.*in cp1252 .*caf\u00e9.*iconv -f"):
        manifest_from_folder(tmp_path / "v", train_list=path)
