"""UCF101 from its official lists: the real ones where they are, else written anew from the kit's copy."""

import csv
import json
from collections import Counter
from pathlib import Path

import pytest
from conftest import write_video

from mgdmkit.data.cards import dataset_classes, dataset_file
from mgdmkit.data.manifest import ManifestError, read_manifest
from mgdmkit.data.official import build_manifest, summary
from mgdmkit.data.ucf101 import group_split, ucf101_clips

COUNTS = {"split1": (9537, 3783), "split2": (9586, 3734), "split3": (9624, 3696)}


@pytest.fixture
def lists(tmp_path) -> Path:
    """All seven official files, below one more folder, as the archive unpacks."""
    folder = tmp_path / "lists" / "ucfTrainTestlist"
    folder.mkdir(parents=True)
    numbers = {row.name: row.index + 1 for row in dataset_classes("ucf101")}
    (folder / "classInd.txt").write_text("".join(f"{number} {name}\n" for name, number in numbers.items()))
    with dataset_file("ucf101", "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for n in (1, 2, 3):
        for split in ("train", "test"):
            paths = [row["path"] for row in rows if row[f"split{n}"] == split]
            lines = [f"{path} {numbers[path.split('/')[0]]}" if split == "train" else path for path in paths]
            (folder / f"{split}list0{n}.txt").write_text("\n".join(lines))  # no newline at the end
    return folder.parent


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"a clip")


def check_all(clips):
    assert len(clips) == 13320 and len({clip.id for clip in clips}) == 13320
    for column, (train, test) in COUNTS.items():
        assert Counter(clip.splits[column] for clip in clips) == {"train": train, "test": test}
    for clip in clips:
        group = int(clip.id.split("_g")[1][:2])
        assert list(clip.splits.values()) == [group_split(group, number) for number in (1, 2, 3)]


def test_the_kits_copy_is_what_the_real_lists_say(shared_data):
    real = ucf101_clips(shared_data / "ucf101_official")
    check_all(real.clips)
    assert real == ucf101_clips()


def test_lists_below_another_folder_and_without_a_last_newline(lists):
    official = ucf101_clips(lists)
    check_all(official.clips)
    assert official == ucf101_clips()
    odd = [clip for clip in official.clips if clip.path.startswith("HandstandPushups/")]
    assert odd[0].id == "v_HandStandPushups_g01_c01" and {clip.label for clip in odd} == {"handstand pushups"}
    raw = ucf101_clips(lists, "raw").clips
    assert {clip.label for clip in raw} == {row.name for row in dataset_classes("ucf101")}


def test_the_group_rule():
    tested = {number: [g for g in range(1, 26) if group_split(g, number) == "test"] for number in (1, 2, 3)}
    assert tested == {1: list(range(1, 8)), 2: list(range(8, 15)), 3: list(range(15, 22))}


CLIP = "Archery/v_Archery_g01_c01.avi"
DAMAGE = [
    ("testlist01.txt", CLIP, "Archery/v_Archery_g08_c01.avi", "split 1 tests groups 1 to 7"),
    ("trainlist02.txt", f"{CLIP} 3", f"{CLIP} 4", "line .*has the number 4, but classInd.txt gives 3 to Archery"),
    ("trainlist02.txt", f"{CLIP} 3\n", "", "is in no list of split2"),
    ("trainlist03.txt", f"{CLIP} 3\n", f"{CLIP} 3\n{CLIP} 3\n", "line .*is listed in split3 already"),
    ("testlist01.txt", CLIP, "Archery/v_Biking_g01_c01.avi", "is in the folder of another class, Archery"),
    ("testlist01.txt", CLIP, "Arching/v_Arching_g01_c01.avi", "names a class that is not in classInd.txt"),
    ("testlist01.txt", CLIP, "Archery/one.avi", "is not of the form"),
    ("classInd.txt", "3 Archery\n", "3 Biking\n", "is not UCF101's class list: 101 classes, .*'3', 'Biking'"),
]


@pytest.mark.parametrize(("name", "old", "new", "message"), DAMAGE)
def test_a_damaged_list_is_named(lists, name, old, new, message):
    path = lists / "ucfTrainTestlist" / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ManifestError, match=message):
        ucf101_clips(lists)


def test_lists_that_are_cut_off_or_absent(lists):
    for path in (lists / "ucfTrainTestlist").iterdir():  # a class less in all of them: nothing contradicts itself
        if path.name != "classInd.txt":
            lines = path.read_text().splitlines(keepends=True)
            path.write_text("".join(line for line in lines if not line.startswith("YoYo/")))
    with pytest.raises(ManifestError, match=r"split1 has 9,\d+ train, .* UCF101 has 9,537 train, 3,783 test; get the"):
        ucf101_clips(lists)
    (lists / "ucfTrainTestlist" / "testlist03.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks 1 of the 7 official lists, first testlist03\.txt"):
        ucf101_clips(lists)
    with pytest.raises(FileNotFoundError, match=r"no folder of official lists at .*classInd\.txt.*crcv"):
        ucf101_clips(lists / "nowhere")


@pytest.mark.parametrize("layout", ["{0}/{1}.avi", "{1}.avi", "UCF-101/{0}/{1}.mp4"])
def test_layouts_and_what_is_missing(tmp_path, layout):
    names = [("Archery", "v_Archery_g01_c01"), ("HandstandPushups", "v_HandStandPushups_g20_c02")]
    touch(*(tmp_path / "v" / layout.format(*name) for name in names))
    touch(tmp_path / "v" / "Archery" / "._v_Archery_g02_c01.avi", tmp_path / "v" / "notes.txt")
    official, out = ucf101_clips(), tmp_path / "ucf.csv"
    checked = build_manifest(official, tmp_path / "v", out, official_split=3)
    manifest = read_manifest(out)
    assert list(manifest.table["id"]) == [name for _, name in names]
    assert list(manifest.table["split"]) == list(manifest.table["split3"]) == ["train", "test"]
    assert list(manifest.table["split1"]) == ["test", "train"] and all(path.is_file() for path in manifest.video_paths)
    assert manifest.table["path"][0] == "v/" + layout.format(*names[0]), "relative, so that both can move"
    lines = summary(official, checked, out).splitlines()
    assert lines[0] == "UCF101: 2 of 13,320 clips found, of 2 of 101 classes"
    assert lines[1] == "split1: 1 of 9,537 train, 1 of 3,783 test"
    told = "13,318 clips cannot be used (13,318 missing), first ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi (missing)"
    assert lines[4].startswith(told)
    report = json.loads((tmp_path / "ucf.report.json").read_text())
    assert (report["found"], report["left_out"], len(report["classes_without_clips"])) == (2, 13318, 99)
    assert report["listed_per_split"]["split2"] == {"train": 9586, "test": 3734} and not report["probed"]
    with (tmp_path / "ucf.missing.csv").open(newline="") as file:
        missing = list(csv.DictReader(file))
    assert len(missing) == 13318 and {row["problem"] for row in missing} == {"missing"}
    assert not {row["id"] for row in missing} & {name for _, name in names}


def test_a_clip_in_the_folder_of_another_class_is_refused(tmp_path):
    touch(tmp_path / "Biking" / "v_Archery_g01_c01.avi")
    with pytest.raises(ManifestError, match=r"lies in the folder 'Biking', but .* in 'Archery'.*wrong label"):
        build_manifest(ucf101_clips(), tmp_path, tmp_path / "ucf.csv")
    touch(tmp_path / "Archery" / "v_Archery_g01_c01.avi", tmp_path / "more" / "Archery" / "v_Archery_g01_c01.avi")
    checked = build_manifest(ucf101_clips(), tmp_path, tmp_path / "ucf.csv")
    assert [row["path"] for row in checked.rows] == [str(tmp_path / "Archery" / "v_Archery_g01_c01.avi")]
    assert checked.notes == ["1 clips have more than one file; the first by name was taken"]


def test_nothing_there_says_what_to_do(tmp_path):
    def message() -> str:
        with pytest.raises(ManifestError, match=r"holds none of the 13,320 clips of UCF101") as raised:
            build_manifest(ucf101_clips(), tmp_path, tmp_path / "ucf.csv")
        assert not (tmp_path / "ucf.csv").exists()
        return str(raised.value)

    assert "It has no video file. Give --videos the folder that holds ApplyEyeMakeup/v_ApplyEyeMakeup_g01" in message()
    (tmp_path / "UCF101.rar").touch()
    assert "unpack UCF101.rar" in message()
    touch(tmp_path / "a" / "other.mp4")
    assert "1 other video files, first a/other.mp4" in message()
    (tmp_path / "v_YoYo_g01_c01.avi").touch()
    with pytest.raises(ManifestError, match=r"not one clip of .* can be used, first .*v_YoYo_g01_c01\.avi \(empty"):
        build_manifest(ucf101_clips(), tmp_path, tmp_path / "ucf.csv")
    with pytest.raises(FileNotFoundError, match="no folder of videos"):
        build_manifest(ucf101_clips(), tmp_path / "nowhere", tmp_path / "ucf.csv")


def test_probing_finds_what_a_look_does_not(tmp_path):
    good, cut, empty = (tmp_path / "v" / f"v_Archery_g0{i}_c01.avi" for i in (1, 2, 3))
    touch(good)
    write_video(good, 20, "mpeg4")
    cut.write_bytes(good.read_bytes()[: good.stat().st_size * 2 // 3])
    empty.touch()
    found = build_manifest(ucf101_clips(), tmp_path / "v", tmp_path / "ucf.csv")
    assert [row["id"] for row in found.rows] == [good.stem, cut.stem], "a file of 0 bytes is seen without opening it"
    probed = build_manifest(ucf101_clips(), tmp_path / "v", tmp_path / "ucf.csv", probe=True, workers=2, quiet=True)
    assert [row["id"] for row in probed.rows] == [good.stem] and probed.probed
    problems = {row["id"]: row["problem"] for row in probed.problems}
    assert problems[cut.stem].startswith("unreadable: ") and str(cut) in problems[cut.stem]
    assert problems[empty.stem] == "empty, 0 bytes"
    counts = {"missing": 13317, "empty": 1, "unreadable": 1}
    assert json.loads((tmp_path / "ucf.report.json").read_text())["problems"] == counts
    told = "13,319 clips cannot be used (13,317 missing, 1 empty, 1 unreadable), first "
    assert told in summary(ucf101_clips(), probed, tmp_path / "ucf.csv")
    assert list(read_manifest(tmp_path / "ucf.csv").table["id"]) == [good.stem]


def test_the_real_clips(shared_data, tmp_path):
    official = ucf101_clips(shared_data / "ucf101_official")
    checked = build_manifest(official, shared_data / "ucf101_6", tmp_path / "ucf.csv")
    assert (len(checked.rows), len(checked.problems)) == (300, 13020)
    lines = summary(official, checked, tmp_path / "ucf.csv").splitlines()
    assert lines[0] == "UCF101: 300 of 13,320 clips found, of 6 of 101 classes"
    for number in (1, 2, 3):
        table = read_manifest(tmp_path / "ucf.csv", official_split=number).table
        assert table["split"].value_counts().to_dict() == {"train": 216, "test": 84}


def test_real_clips_are_whole(shared_data, tmp_path):
    real = sorted((shared_data / "ucf101_6" / "Surfing").iterdir())[:4]
    (tmp_path / "Surfing").mkdir()
    for path in real:
        (tmp_path / "Surfing" / path.name).symlink_to(path)
    checked = build_manifest(ucf101_clips(), tmp_path, tmp_path / "ucf.csv", probe=True, quiet=True)
    assert [row["id"] for row in checked.rows] == [path.stem for path in real]
