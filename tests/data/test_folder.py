"""How a folder of clips becomes a manifest."""

import csv
import json
from collections import Counter

import pytest
from conftest import write_video
from shell import mgdm

from mgdmkit.data.folder import manifest_from_folder
from mgdmkit.data.manifest import ManifestError, read_manifest, write_manifest


def listed(*args, **options):
    checked = manifest_from_folder(*args, **options)
    return checked.rows, checked.summary


def folder_of_clips(root, classes=("BrushHair", "tai_chi"), groups=5, per_group=2, above=""):
    for name in classes:
        folder = root / above / name
        folder.mkdir(parents=True)
        for group in range(groups):
            for c in range(per_group):
                clip = folder / f"v_{name}_g{group:02d}_c{c}([!#&;).AVI"
                clip.write_text(f"{above} {clip.name}")  # no two alike, none empty
    return root


def test_own_split_is_stratified_seeded_and_keeps_groups(tmp_path):
    videos = folder_of_clips(tmp_path / "v", groups=10)
    options = {"val_fraction": 0.1, "test_fraction": 0.3, "group_regex": r"_g(\d+)_"}
    rows, summary = listed(videos, **options)
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


def numbered_clips(root, names):
    for label in ("Archery", "Surfing"):
        (root / label).mkdir(parents=True)
        for name in names:
            (root / label / name.format(label)).write_text(f"{label} {name}", encoding="utf-8")
    return root


def test_test_clips_cut_from_a_training_clips_recording_are_told(tmp_path):
    videos = numbered_clips(tmp_path, [f"v_{{}}_g{group:02}_c{c:02}.avi" for group in range(8) for c in (1, 4)])
    rows, summary = listed(videos)
    sides = {row["id"]: row["split"] for row in rows}
    other = {name: name[:-1] + {"1": "4", "4": "1"}[name[-1]] for name in sides}
    shared = [name for name in sides if sides[name] == "test" and sides[other[name]] == "train"]
    assert len(shared) >= 2
    told, cure = summary.splitlines()[1], r"(.*?)[0-9]+[^0-9]*\."
    assert told == (
        f"{len(shared)} of 8 test clips have the name of a training clip of their class but for the last number, "
        f"first {shared[0]} and {other[shared[0]]}: if such clips are cut from one recording, the score is too high; "
        f"--group-regex '{cure}' keeps them on one side"
    )
    rows, summary = listed(videos, group_regex=cure)
    assert summary == "32 clips of 2 classes: 24 train, 8 test"
    sides = {row["id"]: row["split"] for row in rows}
    assert all(sides[name] == sides[other[name]] for name in sides), "what is named there mends it"


@pytest.mark.parametrize(
    "name",
    ["{{}}_{0:03}.mp4", "{0}.mp4", "IMG_{0:04}.MOV", "walk{1}.mp4", "rec{0:02}_c04.mp4", "id{0}_000001_000011.mp4"],
)
def test_clips_that_are_merely_numbered_share_no_recording(tmp_path, name):
    videos = numbered_clips(tmp_path, [name.format(i, "abcdefghijklmnop"[i]) for i in range(16)])
    assert manifest_from_folder(videos).summary == "32 clips of 2 classes: 24 train, 8 test"


def test_given_lists_decide_and_what_is_left_out_is_said(tmp_path):
    videos = folder_of_clips(tmp_path / "v", groups=2, per_group=1)
    (videos / "BrushHair" / "notes.txt").touch()
    train = tmp_path / "train.txt"
    train.write_text("BrushHair/v_BrushHair_g00_c0([!#&;).AVI 1\nBrushHair/gone.avi 1\n")
    test = tmp_path / "test.txt"
    test.write_text("tai_chi/v_tai_chi_g01_c0([!#&;).AVI")  # no newline at the end
    rows, summary = listed(videos, train_list=train, test_list=test, label_style="raw")
    assert [(row["label"], row["split"]) for row in rows] == [("BrushHair", "train"), ("tai_chi", "test")]
    assert "1 of 2 entries of train.txt are not in the folder" in summary
    assert "2 clips are in no list" in summary
    assert "1 file or folder left out, which is no clip of a class: BrushHair/notes.txt" in summary
    assert "1 class has no train clip: 'tai_chi'" in summary
    assert "1 class has 1 clip, which is trained on and never tested; add one: 'BrushHair'" in summary
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
    rows, summary = listed(videos)
    assert summary == "6 clips of 2 classes: 4 train, 2 test"
    assert len({row["id"] for row in rows}) == 6, "equal file names get ids of their own"


def test_every_class_of_two_clips_is_tested(tmp_path):
    rows, summary = listed(folder_of_clips(tmp_path / "v", groups=2, per_group=1), test_fraction=0.1)
    assert summary == "4 clips of 2 classes: 2 train, 2 test"
    assert Counter((row["label"], row["split"]) for row in rows).most_common(1)[0][1] == 1


def test_what_is_no_clip_is_said(tmp_path):
    videos = folder_of_clips(tmp_path, groups=2)
    for name in ("top.avi", "BrushHair/._x.avi", "tai_chi/deep/x.avi", "nothing/readme.txt", ".trash/x.avi"):
        (videos / name).parent.mkdir(exist_ok=True)
        (videos / name).write_text(name)
    rows, summary = listed(videos)
    assert len(rows) == 9 and {row["label"] for row in rows} == {"brush hair", "tai chi"}
    told = "4 files or folders left out, which are no clip of a class: .trash, BrushHair/._x.avi, nothing, top.avi"
    assert told in summary.splitlines()
    for i in range(2):
        (videos / f"{i}.txt").touch()
    told = "6 files or folders left out, which are no clip of a class, first .trash"
    assert told in manifest_from_folder(videos).summary.splitlines(), "of many only the first"
    assert "1 clips lie in folders of their class folder, first tai_chi/deep/x.avi, and are of that class" in summary


def test_a_class_may_be_called_train(tmp_path):
    rows, _ = listed(folder_of_clips(tmp_path, classes=("train", "car", "bus")))
    assert Counter(row["label"] for row in rows) == {"train": 10, "car": 10, "bus": 10}


def test_clips_below_class_folders_are_the_class_or_refused(tmp_path):
    folder_of_clips(tmp_path, classes=("day1", "day2"), groups=1, above="walking")
    with pytest.raises(ManifestError, match=r"first walking/day1/.*whose folders are the classes, such as .*/walking"):
        manifest_from_folder(tmp_path)
    folder_of_clips(tmp_path, classes=("running",), groups=1)
    rows, summary = listed(tmp_path)
    assert Counter(row["label"] for row in rows) == {"walking": 4, "running": 2}
    assert "4 clips lie in folders of their class folder, first walking/day1/" in summary
    folder_of_clips(tmp_path, groups=1, above="Train")
    with pytest.raises(ManifestError, match="holds the split folder 'Train' beside 'running', which has clips"):
        manifest_from_folder(tmp_path)


def test_split_folders_by_other_names(tmp_path):
    for above in ("Training", "Validation", "test"):
        folder_of_clips(tmp_path / "v", groups=1, per_group=1, above=above)
    rows, _ = listed(tmp_path / "v")
    assert Counter(row["split"] for row in rows) == {"train": 2, "val": 2, "test": 2}


@pytest.mark.parametrize("option", [{"test_fraction": 0.5}, {"val_fraction": 0.1}, {"group_regex": "(g)"}, {"seed": 1}])
def test_options_of_a_drawn_split_are_refused_beside_a_given_one(tmp_path, option):
    videos = folder_of_clips(tmp_path / "v")
    message = rf"--{next(iter(option)).replace('_', '-')} has no effect where "
    with pytest.raises(ManifestError, match=message + "lists give the splits"):
        manifest_from_folder(videos, train_list=tmp_path / "l.txt", **option)
    for above in ("train", "test"):
        folder_of_clips(tmp_path / "s", above=above)
    with pytest.raises(ManifestError, match=message + "the folders test, train give the splits"):
        manifest_from_folder(tmp_path / "s", **option)


def test_one_clip_in_two_splits_or_classes_is_told(tmp_path):
    for above in ("train", "test"):
        folder_of_clips(tmp_path, groups=1, above=above)
    _, second, third, *others = sorted(tmp_path.rglob("*.AVI"))
    for i, clip in enumerate(others):
        clip.write_bytes(b"." * 70_000 + bytes([i]))  # of one size and one head
    assert "copy" not in manifest_from_folder(tmp_path).summary
    third.write_bytes(b"x" * 80_000)
    others[-1].unlink()
    others[-1].symlink_to(third)  # test/tai_chi and train/tai_chi
    summary = manifest_from_folder(tmp_path).summary
    told = f"1 clip has a copy in another split: {third} (tai chi, test) and {others[-1]} (tai chi, train): a score on"
    assert told in summary
    others[0].write_bytes(b"y")
    second.write_bytes(b"y")  # test/BrushHair and test/tai_chi
    checked = manifest_from_folder(tmp_path)
    summary = checked.summary
    told = (
        f"1 clip has a copy in another class: {second} (brush hair, test) and {others[0]} (tai chi, test): the two la"
    )
    assert "1 clip has a copy in another split" in summary and told in summary
    assert [len(group) for group in checked.copies] == [2, 2]


def test_copies_in_two_classes_contradict_and_are_all_listed(tmp_path):
    videos, out = folder_of_clips(tmp_path / "v", groups=2, per_group=1), tmp_path / "m.csv"
    first, _, *more = sorted(videos.rglob("*.AVI"))
    command = f"manifest folder --videos {videos} --out {out}"
    assert mgdm(command).status == 0 and not (tmp_path / "m.copies.csv").exists()
    for clip in more:
        clip.write_bytes(first.read_bytes())
    told = mgdm(command + " --test-fraction 0").out
    pair = f"{first} (brush hair, train) and {more[0]} (tai chi, train)"
    assert (
        f"1 clip has a copy in another class: {pair}: the two labels contradict each other; delete one of each" in told
    )
    assert f"all copies: {tmp_path / 'm.copies.csv'}" in told
    with (tmp_path / "m.copies.csv").open(newline="") as file:
        rows = [(row["copy"], row["path"], row["label"], row["split"]) for row in csv.DictReader(file)]
    assert rows == [
        ("1", str(first), "brush hair", "train"),
        *[("1", str(clip), "tai chi", "train") for clip in more],
    ]
    for i, clip in enumerate(more):
        clip.write_text(str(i))
    assert mgdm(command).status == 0 and not (tmp_path / "m.copies.csv").exists(), "an old list does not stay"


def test_empty_and_damaged_clips_are_left_out_by_name(tmp_path):
    for i in range(3):
        for name in ("a", "b"):
            (tmp_path / "v" / name).mkdir(parents=True, exist_ok=True)
            write_video(tmp_path / "v" / name / f"{name}{i}.mp4", 3 + i)
    empty, bad = tmp_path / "v" / "a" / "x.mp4", tmp_path / "v" / "b" / "y.mp4"
    empty.touch()
    bad.write_bytes(b"no video")
    command = f"manifest folder --videos {tmp_path}/v --out {tmp_path}/m.csv"
    told = mgdm(command).out
    assert told[0].startswith("7 clips of 2 classes") and f"1 clip left out: {empty} (empty, 0 bytes)" in told
    told = mgdm(command + " --probe --workers 1").out
    assert told[0].startswith("6 clips of 2 classes")
    assert told[1].startswith(f"2 clips left out: {empty} (empty, 0 bytes), {bad} (unreadable: ")
    assert f"all left out: {tmp_path / 'm.missing.csv'}" in told
    assert (tmp_path / "m.missing.csv").read_text().count("\n") == 3
    report = json.loads((tmp_path / "m.report.json").read_text())
    assert report["videos"] == f"{tmp_path}/v" and report["problems"] == {"empty": 1, "unreadable": 1}


def test_classes_of_one_clip_are_told(tmp_path):
    folder_of_clips(tmp_path, classes=("run",), groups=2)
    for name in ("jump", "walk"):
        folder_of_clips(tmp_path, classes=(name,), groups=1, per_group=1)
    told = manifest_from_folder(tmp_path).summary.splitlines()
    assert told[1:] == ["2 classes have 1 clip each, which is trained on and never tested; add one: 'jump', 'walk'"]
    assert len(manifest_from_folder(tmp_path, test_fraction=0).summary.splitlines()) == 1


def test_a_folder_without_two_filled_classes_says_what_to_move(tmp_path):
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_text(name)
    told = (
        rf"^2 clips lie directly in {tmp_path}; move each into a folder named for its class: mkdir {tmp_path}/CLASS &"
    )
    with pytest.raises(ManifestError, match=told):
        manifest_from_folder(tmp_path)
    folder_of_clips(tmp_path / "v", classes=("run",))
    (tmp_path / "v" / "jump").mkdir()
    told = rf"^only {tmp_path}/v/run holds clips that can be used; put clips into the other class folders: jump$"
    with pytest.raises(ManifestError, match=told):
        manifest_from_folder(tmp_path / "v")


def test_helpful_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder of videos"):
        manifest_from_folder(tmp_path / "nothing")
    folder_of_clips(tmp_path / "one", classes=("a",))
    with pytest.raises(ManifestError, match="at least two classes"):
        manifest_from_folder(tmp_path / "one")
    folder_of_clips(tmp_path / "same", classes=("brush_hair", "BrushHair"))
    with pytest.raises(ManifestError, match="'BrushHair' and 'brush_hair' both give 'brush hair'"):
        manifest_from_folder(tmp_path / "same")
    assert len(manifest_from_folder(tmp_path / "same", label_style="raw").rows) == 20
    videos = folder_of_clips(tmp_path / "v")
    with pytest.raises(ManifestError, match="finds no group"):
        manifest_from_folder(videos, group_regex="_x(.)")
    with pytest.raises(ManifestError, match="nothing to train on"):
        manifest_from_folder(videos, test_fraction=1.0)


def test_official_split_1_of_the_real_clips(shared_data):
    lists = shared_data / "ucf101_official"
    rows, summary = listed(
        shared_data / "ucf101_6", train_list=lists / "trainlist01.txt", test_list=lists / "testlist01.txt"
    )
    assert summary.startswith("300 clips of 6 classes: 216 train, 84 test")
    assert {row["label"] for row in rows} >= {"playing piano", "horse race"}
    for row in rows:
        group = int(row["id"].split("_g")[1][:2])
        assert row["split"] == ("test" if group <= 7 else "train")
