"""Checks of somebody's own table, official splits from manifest to features, and the commands of both."""

import csv
import json
import sys
from pathlib import Path

import pytest
from conftest import write_video
from narrow_clip import narrow_clip  # noqa: F401

from mgdmkit.cli.main import main
from mgdmkit.clip.backbone import load_clip
from mgdmkit.clip.features import extract_features, load_features
from mgdmkit.clip.small import new_small_clip, save_small_clip
from mgdmkit.data.check import check_manifest, file_problems
from mgdmkit.data.manifest import ManifestError, read_manifest, write_manifest

SPLITS = [("train", "test", "unused"), ("test", "train", "train"), ("unused", "train", "test")]


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("clips")
    return [write_video(folder / f"[{i}] #&;.avi", 6 + i, "mpeg4") for i in range(3)]


@pytest.fixture
def rows(clips) -> list[dict[str, str]]:
    return [
        {"id": f"c{i}", "path": str(path), "label": f"l{i % 2}", "split": splits[0]}
        | dict(zip(("split1", "split2", "split3"), splits, strict=True))
        for i, (path, splits) in enumerate(zip(clips, SPLITS, strict=True))
    ]


def mgdm(monkeypatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["mgdm", *map(str, words)])
    try:
        main()
    except SystemExit as end:
        return end.code or 0
    return 0


def test_official_splits_of_a_manifest(rows, tmp_path):
    path = write_manifest(tmp_path / "m.csv", rows)
    for number in (1, 2, 3):
        assert list(read_manifest(path, official_split=number).table["split"]) == [own[number - 1] for own in SPLITS]
    assert list(read_manifest(path, "train", official_split=2).table["id"]) == ["c1", "c2"]
    assert list(read_manifest(path, "unused").table["id"]) == ["c2"]
    with pytest.raises(ManifestError, match=r"m\.csv has no column 'split4' \(it has split1, split2, split3\)"):
        read_manifest(path, official_split=4)
    with pytest.raises(ManifestError, match="split2 'dev' is none of train, val, test, unused"):
        write_manifest(tmp_path / "n.csv", [{**row, "split2": "dev"} for row in rows])
    lines = path.read_text().replace(",split,split1", ",other,split1")
    path.write_text(lines)
    with pytest.raises(ManifestError, match="lacks the columns split; it has split1, split2, split3: choose one"):
        read_manifest(path)
    path.write_text(lines.replace(",split3", ",split2"))
    with pytest.raises(ManifestError, match="more than one column 'split2'"):
        read_manifest(path)
    write_manifest(path, [{key: row[key] for key in ("id", "path", "label", "split")} for row in rows])
    with pytest.raises(ManifestError, match="it has no official splits"):
        read_manifest(path, official_split=1)


def test_one_feature_folder_serves_all_official_splits(rows, tmp_path):
    clip = load_clip(str(save_small_clip(new_small_clip(0), tmp_path / "clip").parent))
    manifest = read_manifest(write_manifest(tmp_path / "m.csv", rows))
    whole = extract_features(manifest, clip, tmp_path / "f", frames=2, workers=0, quiet=True)
    for number in (1, 2, 3):
        features = load_features(tmp_path / "f", official_split=number)
        for split in sorted({own[number - 1] for own in SPLITS}):
            wanted = [i for i, own in enumerate(SPLITS) if own[number - 1] == split]
            part = features.split(split)
            assert list(part.clips["id"]) == [f"c{i}" for i in wanted]
            assert part.frame_features.equal(whole.frame_features[wanted]) and part.classes == ("l0", "l1")
    assert whole.split("train").clips["id"].tolist() == ["c0"]
    with pytest.raises(ManifestError, match=r"clips\.csv has no column 'split5'"):
        load_features(tmp_path / "f", official_split=5)


def test_problems_of_files(clips, tmp_path):
    empty, cut = tmp_path / "empty.avi", tmp_path / "cut.avi"
    empty.touch()
    cut.write_bytes(clips[0].read_bytes()[:2000])
    paths = [clips[0], None, tmp_path / "none.avi", tmp_path, empty, cut, clips[1]]
    looked = ["", "missing", "missing", "missing", "empty, 0 bytes", "", ""]
    assert file_problems(paths) == looked
    probed = file_problems(paths, probe=True, workers=3, quiet=True)
    assert probed[:5] + probed[6:] == looked[:5] + looked[6:]
    assert probed[5].startswith(f"unreadable: {cut}")


def test_a_table_whose_clips_are_all_there(rows, tmp_path):
    path = write_manifest(tmp_path / "m.csv", rows)
    checked = check_manifest(path, probe=True, quiet=True)
    assert (len(checked.rows), checked.problems, checked.probed) == (3, [], True)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["m.csv"], "nothing is written without `out`"


def test_missing_clips_are_an_error_or_left_out(rows, clips, tmp_path):
    rows[1]["path"] = "gone.avi"
    path = write_manifest(tmp_path / "m.csv", rows)
    with pytest.raises(ManifestError, match=r"1 of 3 clips cannot be used, first .*gone\.avi \(missing\); --out FILE"):
        check_manifest(path)
    out = tmp_path / "sub" / "n.csv"
    check_manifest(path, out, official_split=2)
    table = read_manifest(out).table
    assert list(table["id"]) == ["c0", "c2"] and list(table["split"]) == ["test", "train"]
    assert list(table["split1"]) == ["train", "unused"], "the official splits stay"
    with (out.parent / "n.missing.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == [{"id": "c1", "path": "gone.avi", "label": "l1", "problem": "missing"}]
    report = json.loads((out.parent / "n.report.json").read_text())
    assert report["found"] == 2 and report["classes_without_clips"] == ["l1"] and report["official_split"] == 2
    (tmp_path / "gone.avi").write_bytes(clips[1].read_bytes())
    check_manifest(path, out)
    assert not (out.parent / "n.missing.csv").exists(), "an old list does not stay"
    for row in rows:
        row["path"] = Path(row["path"]).name + ".gone"
    with pytest.raises(ManifestError, match=r"3 of 3 clips cannot be used.*relative to the manifest's folder"):
        check_manifest(write_manifest(path, rows), out)


def test_the_csv_command(rows, tmp_path, monkeypatch, capsys):
    path = write_manifest(tmp_path / "m.csv", rows)
    assert mgdm(monkeypatch, "manifest", "csv", "--manifest", path, "--official-split", 3) == 0
    out = capsys.readouterr().out.splitlines()
    assert out == ["3 clips of 2 classes: 1 train, 1 test, 1 unused", f"manifest: {path}"]
    write_manifest(path, [*rows, {**rows[0], "id": "x", "path": "x.avi"}])
    assert mgdm(monkeypatch, "manifest", "csv", "--manifest", path) == 2
    assert "x.avi (missing); --out FILE keeps the others" in capsys.readouterr().err
    assert mgdm(monkeypatch, "manifest", "csv", "--manifest", path, "--out", tmp_path / "n.csv") == 0
    assert "1 clip left out: x.avi (missing)" in capsys.readouterr().out


def test_the_ucf101_command(tmp_path, monkeypatch, capsys):
    for group in ("01", "08", "15"):
        write_video(tmp_path / f"v_YoYo_g{group}_c01.avi", 5, "mpeg4")
    words = ["manifest", "ucf101", "--videos", tmp_path, "--out", tmp_path / "m.csv", "--labels", "raw"]
    assert mgdm(monkeypatch, *words, "--official-split", 2, "--probe", "--workers", 1) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "UCF101: 3 of 13,320 clips found, of 1 of 101 classes" and out[-1] == f"manifest: {tmp_path}/m.csv"
    table = read_manifest(tmp_path / "m.csv").table
    assert list(table["split"]) == ["train", "test", "train"] and set(table["label"]) == {"YoYo"}
    assert mgdm(monkeypatch, *words[:-2], "--annotations", tmp_path) == 2
    assert "lacks 7 of the 7 official lists, first classInd.txt" in capsys.readouterr().err


def test_the_hmdb51_and_kinetics400_commands(tmp_path, monkeypatch, capsys):
    (tmp_path / "a").mkdir()
    (tmp_path / "v").mkdir()
    common = ["--videos", tmp_path / "v", "--annotations", tmp_path / "a", "--out", tmp_path / "m.csv"]
    assert mgdm(monkeypatch, "manifest", "hmdb51", *common, "--labels", "words") == 2
    assert "lacks 153 of the 153 official lists, first brush_hair_test_split1.txt" in capsys.readouterr().err
    row = "label,youtube_id,time_start,time_end,split\nyoga,zzzzzzzzzzz,3,13,validate\n"
    (tmp_path / "a" / "validate.csv").write_text(row)
    assert mgdm(monkeypatch, "manifest", "kinetics400", *common) == 2
    assert "holds none of the 1 clips of Kinetics-400. It has no video file." in capsys.readouterr().err
    write_video(tmp_path / "v" / "zzzzzzzzzzz.mp4", 5)
    assert mgdm(monkeypatch, "manifest", "kinetics400", *common, "--probe") == 0
    assert "split: 1 of 1 val" in capsys.readouterr().out
    assert list(read_manifest(tmp_path / "m.csv", "val").table["id"]) == ["zzzzzzzzzzz_000003_000013"]


def test_a_manifest_is_never_replaced_by_its_usable_clips(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("id,path,label,split\na,gone.avi,x,train\n", encoding="utf-8")
    before = path.read_bytes()
    with pytest.raises(ManifestError, match="is the manifest itself"):
        check_manifest(path, out=tmp_path / "." / "m.csv")
    assert path.read_bytes() == before
