"""Kinetics-400 from its CSV files: names of files, layouts of copies, and rows that make trouble."""

from pathlib import Path

import pytest

from mgdmkit.data.cards import dataset_card
from mgdmkit.data.kinetics400 import doubts, kinetics400_clips
from mgdmkit.data.manifest import ManifestError, read_manifest
from mgdmkit.data.official import build_manifest, summary

HEADER = "label,youtube_id,time_start,time_end,split,is_cc\n"
TRAIN = [
    "passing American football (in game),-0abcdefghi,1,11,train,0\n",
    '"massaging person\'s head",_id_with_us_,120,130,train,1\n',
    "air drumming,AbCdEfGhIjK,0,10,train,0\n",
]
VAL = ["air drumming,aBcDeFgHiJk,7,17,val,0\n", "yoga,zzzzzzzzzzz,3,13,val,0\n"]
IDS = ["aBcDeFgHiJk_000007_000017", "AbCdEfGhIjK_000000_000010", "_id_with_us__000120_000130",
       "-0abcdefghi_000001_000011", "zzzzzzzzzzz_000003_000013"]  # fmt: skip


def write(folder: Path, **files: list[str]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, rows in files.items():
        (folder / f"{name}.csv").write_text(HEADER + "".join(rows))
    return folder


@pytest.mark.parametrize("names", [("train", "val"), ("train", "validate"), ("kinetics-400_train", "kinetics400_val")])
def test_rows_become_clips(tmp_path, names):
    official = kinetics400_clips(write(tmp_path / "a", **dict(zip(names, (TRAIN, VAL), strict=True))).parent)
    assert official.dataset == "kinetics400" and official.notes == doubts({"train": 3, "val": 2}, 4)
    assert {clip.id: (clip.label, clip.splits) for clip in official.clips} == {
        IDS[0]: ("air drumming", {"split": "val"}),
        IDS[1]: ("air drumming", {"split": "train"}),
        IDS[2]: ("massaging person's head", {"split": "train"}),
        IDS[3]: ("passing American football (in game)", {"split": "train"}),
        IDS[4]: ("yoga", {"split": "val"}),
    }
    assert len({clip.id for clip in official.clips}) == 5, "ids differ in case only"


@pytest.mark.parametrize(
    "layout",
    [
        "{label}/{id}.mp4",
        "{label}/{short}.mkv",
        "{under}/{id}.webm",
        "{split}/{under}/{short}.mp4",
        "{id}.mp4",
        "{short}.avi",
    ],
)
def test_layouts(tmp_path, layout):
    official = kinetics400_clips(write(tmp_path / "a", train=TRAIN, validate=VAL))
    for clip in official.clips[:4]:
        words = {"label": clip.label, "under": clip.label.replace(" ", "_"), "split": clip.splits["split"]}
        path = tmp_path / "v" / layout.format(id=clip.id, short=clip.short_name, **words)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(clip.id.encode())
    checked = build_manifest(official, tmp_path / "v", tmp_path / "k.csv")
    manifest = read_manifest(tmp_path / "k.csv")
    assert list(manifest.table.columns) == ["id", "path", "label", "split"]
    assert [path.read_bytes().decode() for path in manifest.video_paths] == list(manifest.table["id"])
    lines = summary(official, checked, tmp_path / "k.csv").splitlines()
    assert lines[:2] == ["Kinetics-400: 4 of 5 clips found, of 3 of 400 classes", "split: 3 of 3 train, 1 of 2 val"]
    assert lines[2].startswith("1 clips cannot be used (1 missing), first yoga/zzzzzzzzzzz_000003_000013.mp4 (missing)")


def test_a_file_named_by_its_video_serves_one_clip_only(tmp_path):
    rows = ["yoga,zzzzzzzzzzz,3,13,train,0\n", "yoga,zzzzzzzzzzz,50,60,train,0\n"]
    official = kinetics400_clips(write(tmp_path / "a", train=rows, val=VAL[:1]))
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "zzzzzzzzzzz.mp4").write_bytes(b"a clip")
    checked = build_manifest(official, tmp_path / "v", tmp_path / "k.csv")
    assert [row["id"] for row in checked.rows] == ["zzzzzzzzzzz_000003_000013"]
    assert checked.notes[-1] == "1 clips are missing, since the one file of their name is another clip's"


def test_rows_that_are_left_out_are_counted(tmp_path):
    folder = write(tmp_path / "a", train=[*TRAIN, TRAIN[0], VAL[1].replace(",val,", ",train,")], val=VAL)
    (folder / "test.csv").write_text("youtube_id,time_start,time_end,split\nabcdefghijk,1,11,test\n")
    official = kinetics400_clips(folder)
    assert len(official.clips) == 5
    assert official.notes[:2] == ["1 rows of test.csv have no label and were left out", "2 rows list a clip again and"
                                  " were left out"]  # fmt: skip
    assert next(clip for clip in official.clips if clip.id == IDS[4]).splits == {"split": "val"}
    (folder / "val.csv").unlink()
    assert kinetics400_clips(folder).notes[0] == f"no val.csv in {folder}"


def test_a_test_set_of_which_no_clip_is_there_is_told_as_that(tmp_path):
    """Kinetics' own test.csv has labels: its 38,685 clips are no clips that cannot be used."""
    row = "yoga,ttttttttttt,1,11,test,0\n"
    official = kinetics400_clips(write(tmp_path / "a", train=TRAIN, val=VAL, test=[row]))
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / f"{IDS[0]}.mp4").write_bytes(b"a clip")
    checked = build_manifest(official, tmp_path / "v", tmp_path / "k.csv")
    assert len(checked.problems) == 4
    lines = summary(official, checked, tmp_path / "k.csv").splitlines()
    assert lines[0] == "Kinetics-400: 1 of 5 clips found, of 1 of 400 classes"
    assert lines[1] == "split: 0 of 3 train, 1 of 2 val"
    assert "test.csv lists 1 clips, of which none is there: Kinetics' own test set was left out" in lines
    (tmp_path / "v" / "ttttttttttt.mp4").write_bytes(b"another")
    checked = build_manifest(official, tmp_path / "v", tmp_path / "k.csv")
    assert "1 of 1 test" in summary(official, checked, tmp_path / "k.csv")


def test_the_real_validation_list(shared_data):
    official = kinetics400_clips(shared_data / "kinetics400_annotations")
    assert len(official.clips) == 18_009 and len({clip.label for clip in official.clips}) == 400
    assert official.clips[0].splits == {"split": "val"}
    assert official.notes[0].startswith("no train.csv") and official.notes[1].startswith("val lists 18,009 clips")


def test_a_labelled_test_set_is_taken(tmp_path):
    row = VAL[0].replace(",val,", ",test,").replace("aBc", "xxx")
    clips = kinetics400_clips(write(tmp_path / "a", train=TRAIN, test=[row])).clips
    assert [clip.splits["split"] for clip in clips].count("test") == 1


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            "air drummin,abcdefghijk,1,11,train,0\n",
            r"line 5: 'air drummin' is no class of .* nearest is 'air drumming'",
        ),
        ("yoga,abcdefghijk,one,11,train,0\n", "'one' is not a time"),
        ("yoga,abcdefghijk\n", "line 5: 6 columns, but 2 in the row"),
        ("yoga,abcdefghijk,,11,train,0\n", "'' is not a time"),
        ("yoga,abcdefghijk,11,1,train,0\n", "the clip goes from second 11 to 1"),
        ("yoga,abcdefghijk,-1,11,train,0\n", "the clip goes from second -1 to 11"),
        ("yoga,abcdefghijk,nan,11,train,0\n", "'nan' is not a time"),
        ("yoga,,1,11,train,0\n", "the youtube_id is empty"),
        ("yoga,abcdefghijk,1,11,val,0\n", "the split is 'val' in a file of the train split"),
        (",abcdefghijk,1,11,train,0\n", "'' is no class"),
    ],
)
def test_a_bad_row_is_named(tmp_path, row, message):
    with pytest.raises(ManifestError, match=message):
        kinetics400_clips(write(tmp_path / "a", train=[*TRAIN, row], val=VAL))


def test_files_that_are_not_the_annotations(tmp_path):
    folder = write(tmp_path / "a", classes=[])
    with pytest.raises(FileNotFoundError, match=r"neither train\.csv nor val\.csv"):
        kinetics400_clips(folder)
    write(folder, val=VAL, validate=VAL)
    with pytest.raises(ManifestError, match="could be the val annotations"):
        kinetics400_clips(folder)
    (folder / "validate.csv").unlink()
    (folder / "val.csv").write_text("video,label\n1,yoga\n")
    with pytest.raises(ValueError, match=r"val\.csv lacks the column 'youtube_id'; its first line.*'video', 'label'"):
        kinetics400_clips(folder)
    (folder / "val.csv").write_text(HEADER)
    with pytest.raises(ManifestError, match="list no clip with a label"):
        kinetics400_clips(folder)


def test_a_clip_in_the_folder_of_another_class_is_refused(tmp_path):
    official = kinetics400_clips(write(tmp_path / "a", train=TRAIN, val=VAL))
    (tmp_path / "v" / "air_drumming").mkdir(parents=True)
    (tmp_path / "v" / "air_drumming" / f"{IDS[4]}.mp4").touch()
    with pytest.raises(
        ManifestError, match="lies in the folder 'air_drumming', but the official files put it in 'yoga"
    ):
        build_manifest(official, tmp_path / "v", tmp_path / "k.csv")


@pytest.mark.parametrize("known", dataset_card("kinetics400")["known_counts"])
def test_lists_with_known_counts_raise_no_doubt(known):
    counts = {split: known[split] for split in ("train", "val") if split in known}
    assert counts and doubts({**counts, "test": 7}, classes=400) == []


def test_lists_that_were_cut_are_told_of_and_taken(tmp_path):
    told = doubts({"train": 234_619, "val": 10_000}, classes=399)
    assert told[0].startswith("val lists 10,000 clips, none of the known counts (19,906, the annotation files of")
    assert "19,761, the paper's copy" in told[0] and told[0].endswith("is it whole?")
    assert told[1:] == ["the lists name 399 of 400 classes: are they whole?"]
    assert [note.split()[0] for note in doubts({"train": 234_618, "val": 19_761}, classes=400)] == ["train"]
    official = kinetics400_clips(write(tmp_path / "a", train=TRAIN, val=VAL))
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / f"{IDS[0]}.mp4").write_bytes(b"a clip")
    lines = summary(official, build_manifest(official, tmp_path / "v", tmp_path / "k.csv"), tmp_path / "k.csv")
    assert "train lists 3 clips, none of the known counts" in lines and "name 4 of 400 classes" in lines
