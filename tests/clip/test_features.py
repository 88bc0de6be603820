"""Features on disk: they are those of the asked-for frames, survive interruptions and damage, and do not mix."""

import shutil
import sys
from multiprocessing import active_children
from pathlib import Path

import pytest
import torch
from conftest import write_video
from narrow_clip import narrow_clip  # noqa: F401
from PIL import Image

import mgdmkit.clip.features as module
from mgdmkit.clip.backbone import FrozenClip, load_clip
from mgdmkit.clip.batches import in_two_parts, load_batches
from mgdmkit.clip.features import (
    corpus_texts,
    encode_texts,
    extract_features,
    load_features,
    missing_texts,
)
from mgdmkit.clip.small import new_small_clip, save_small_clip
from mgdmkit.clip.weights import ClipWeightsError
from mgdmkit.data.manifest import Manifest, read_manifest, write_manifest
from mgdmkit.data.video import VideoError, read_segments
from mgdmkit.runs.folder import FolderError, load_tensors, save_tensors

T = 3
SPLITS = ("train", "train", "test", "val", "train")


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> FrozenClip:
    """A small CLIP with fresh weights: what it sees is of no matter here."""
    return load_clip(str(save_small_clip(new_small_clip(0), tmp_path_factory.mktemp("clip")).parent))


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> list[dict[str, str]]:
    """Five clips of 5 to 21 numbered frames, of two classes and three splits, not in the order of the classes."""
    folder = tmp_path_factory.mktemp("clips")
    paths = [write_video(folder / f"{i}.mp4", 5 + 4 * i) for i in range(5)]
    return [
        {"id": f"clip {i}", "path": path.as_posix(), "label": "jump" if i % 2 else "walk", "split": SPLITS[i]}
        for i, path in enumerate(paths)
    ]


def manifest_of(rows, folder: Path) -> Manifest:
    return read_manifest(write_manifest(folder / "manifest.csv", rows))


@pytest.fixture
def manifest(rows, tmp_path) -> Manifest:
    return manifest_of(rows, tmp_path)


@pytest.fixture
def encoded(monkeypatch) -> list[int]:
    """How many pictures each call of the image encoder was given."""
    calls, original = [], FrozenClip.encode_image
    monkeypatch.setattr(
        FrozenClip, "encode_image", lambda clip, images: (calls.append(len(images)), original(clip, images))[1]
    )
    return calls


def extract(manifest, clip, out, **options):
    return extract_features(
        manifest, clip, out, **{"frames": T, "workers": 0, "quiet": True, "batch_size": 2, **options}
    )


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_they_are_the_encoded_frames_of_every_clip(manifest, clip, rows, tmp_path):
    features = extract(manifest, clip, tmp_path / "f", prompt="a film of {}")
    assert features.frame_features.shape == (5, T, 128) and features.frame_features[:].dtype == torch.float32
    for row, found in zip(rows, features.frame_features, strict=True):
        frames = [clip.preprocess(Image.fromarray(frame)) for frame in read_segments(row["path"], T)]
        expected = torch.cat([clip.encode_image(frame[None]) for frame in frames])
        assert torch.allclose(found, expected, atol=1e-4)
        assert not torch.allclose(found, expected.flip(0), atol=1e-2), "the test can tell the order of frames"
    assert torch.allclose(features.text_features, clip.encode_text(["a film of jump", "a film of walk"]), atol=1e-4)
    assert features.classes == ("jump", "walk") and features.labels.tolist() == [1, 0, 1, 0, 1]
    assert features.clips.to_dict("records") == [{key: row[key] for key in ("id", "label", "split")} for row in rows]
    assert features.logit_scale == clip.logit_scale


def test_workers_batches_and_shards_do_not_change_them(manifest, clip, tmp_path, monkeypatch):
    whole = extract(manifest, clip, tmp_path / "whole", batch_size=5)
    monkeypatch.setattr(module, "SHARD_SIZE", 2)
    parts = extract(manifest, clip, tmp_path / "parts", batch_size=1, workers=1)
    assert torch.allclose(whole.frame_features[:], parts.frame_features[:], atol=1e-4)
    assert sorted(path.name for path in (tmp_path / "parts").glob("frames-*")) == [
        f"frames-0000{i}.safetensors" for i in range(3)
    ]


def test_what_is_loaded_is_what_was_computed(manifest, clip, tmp_path, encoded):
    first = extract(manifest, clip, tmp_path / "f")
    before = content(tmp_path / "f")
    encoded.clear()
    for again in (load_features(tmp_path / "f"), extract(manifest, clip, tmp_path / "f")):
        assert torch.equal(first.frame_features[:], again.frame_features[:])
        assert torch.equal(first.text_features, again.text_features)
        assert again.clips.equals(first.clips) and again.labels.equal(first.labels)
        assert (again.classes, again.logit_scale) == (first.classes, first.logit_scale)
    assert encoded == [] and content(tmp_path / "f") == before


def test_an_interrupted_run_keeps_whole_shards_and_computes_the_rest(manifest, clip, tmp_path, monkeypatch, encoded):
    monkeypatch.setattr(module, "SHARD_SIZE", 2)
    whole = extract(manifest, clip, tmp_path / "whole")
    counting = FrozenClip.encode_image

    def stopped_in_the_second_shard(clip, images):
        if len(encoded) == 1:
            raise KeyboardInterrupt
        return counting(clip, images)

    encoded.clear()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(FrozenClip, "encode_image", stopped_in_the_second_shard)
        extract(manifest, clip, tmp_path / "parts")
    assert [path.name for path in (tmp_path / "parts").glob("*frames-*")] == ["frames-00000.safetensors"]
    told = (
        r"not finished: 2 parts are missing or damaged, first frames-00001.* \(missing\); give the same `mgdm features`"
    )
    with pytest.raises(FolderError, match=told):
        load_features(tmp_path / "parts")
    encoded.clear()
    parts = extract(manifest, clip, tmp_path / "parts")
    assert encoded == [2 * T, 1 * T], "the clips of the whole shard are not encoded again"
    assert torch.equal(whole.frame_features[:], parts.frame_features[:])
    assert content(tmp_path / "whole") == content(tmp_path / "parts")


@pytest.fixture
def many(rows, tmp_path) -> Manifest:
    """Seventy clips: copies of the five, over and over."""
    paths = [shutil.copy(rows[i % 5]["path"], tmp_path / f"{i}.mp4").as_posix() for i in range(70)]
    return manifest_of([{**rows[i % 5], "id": f"clip {i}", "path": path} for i, path in enumerate(paths)], tmp_path)


def test_a_small_set_loses_little_by_ctrl_c_and_says_what_is_kept(many, clip, tmp_path, monkeypatch, encoded):
    read = []

    def stopped_at_the_fortieth(path, *args, **options):
        read.append(path)
        if len(read) == 40:
            raise KeyboardInterrupt
        return read_segments(path, *args, **options)

    options = {"frames": 1, "batch_size": 8}
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt, match=r"^32 of 70 clips are done$"):
        patch.setattr(module, "read_segments", stopped_at_the_fortieth)
        extract(many, clip, tmp_path / "parts", **options)
    encoded.clear()
    extract(many, clip, tmp_path / "parts", **options)
    assert encoded == [8, 8, 8, 8, 6], "those after the first 32"
    extract(many, clip, tmp_path / "whole", **options)
    assert content(tmp_path / "parts") == content(tmp_path / "whole")


@pytest.mark.parametrize("n, size", [(1, 32), (300, 32), (4095, 32), (4096, 64), (13_320, 192), (254_380, 256)])
def test_clips_per_shard(n, size):
    assert module.clips_per_shard(n) == size


def test_a_damaged_shard_is_computed_again(manifest, clip, tmp_path, monkeypatch, encoded):
    monkeypatch.setattr(module, "SHARD_SIZE", 2)
    whole = extract(manifest, clip, tmp_path / "f").frame_features[:]  # the files are about to be written over
    shard = tmp_path / "f" / "frames-00001.safetensors"
    for damaged in (shard.read_bytes()[:-100], b"", (tmp_path / "f" / "frames-00002.safetensors").read_bytes()):
        shard.write_bytes(damaged)
        with pytest.raises(
            FolderError, match=r"1 parts are .*, first frames-00001\.safetensors \(damaged, or .*\); give"
        ):
            load_features(tmp_path / "f")
        encoded.clear()
        assert torch.equal(extract(manifest, clip, tmp_path / "f").frame_features[:], whole)
        assert encoded == [2 * T]


@pytest.mark.parametrize("damage", [lambda whole: whole[:-100], lambda whole: b""])
def test_damaged_texts_are_told_and_computed_again(manifest, clip, tmp_path, damage):
    whole = extract(manifest, clip, tmp_path / "f").text_features.clone()  # not a view of the file
    path = tmp_path / "f" / "text.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(FolderError, match=r"first text\.safetensors \(damaged, .*; give the same `mgdm features`"):
        load_features(tmp_path / "f")
    with pytest.raises(
        FolderError, match=r"text\.safetensors is damaged \(.+\); give the same `mgdm features` command"
    ):
        corpus_texts(tmp_path / "f")
    assert torch.equal(extract(manifest, clip, tmp_path / "f").text_features, whole)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda text: "", "is damaged (No columns"),
        (lambda text: text.replace("label", "lable"), "is damaged (it lacks the column 'label')"),
        (lambda text: text[: text.index("jump") + 2], "is damaged (the label 'ju' is not one of the classes"),
        (lambda text: text.splitlines()[0], "is damaged (it lists no clip)"),
        (lambda text: text + '"', "is damaged (Error tokenizing"),
        (None, "is missing"),
    ],
)
def test_a_damaged_list_of_clips_is_told_and_written_again(manifest, clip, tmp_path, damage, told):
    whole = extract(manifest, clip, tmp_path / "f")
    path = tmp_path / "f" / "clips.csv"
    path.write_text(damage(path.read_text())) if damage else path.unlink()
    with pytest.raises(FolderError) as caught:
        load_features(tmp_path / "f")
    assert str(caught.value).startswith(f"{path} {told}")
    assert "give the same `mgdm features` command again" in str(caught.value)
    assert extract(manifest, clip, tmp_path / "f").clips.equals(whole.clips)


@pytest.mark.parametrize("text", ["{", "[]", "{}", None])
def test_features_that_no_longer_say_their_clip_are_left_alone(manifest, clip, tmp_path, text):
    """Were they continued, those of two backbones could be mixed."""
    extract(manifest, clip, tmp_path / "f")
    path = tmp_path / "f" / "features.json"
    path.write_text(text) if text else path.unlink()
    before = content(tmp_path / "f")
    with pytest.raises(FolderError, match=r"features\.json is damaged .*delete .*f and make them|no features at"):
        load_features(tmp_path / "f")
    with pytest.raises(FolderError, match=r"features\.json|holds something else"):
        extract(manifest, clip, tmp_path / "f")
    assert content(tmp_path / "f") == before


def other_clip(folder: Path) -> FrozenClip:
    return load_clip(str(save_small_clip(new_small_clip(1), folder / "other").parent))


# The reason that is given -> what is asked for instead: clips, backbone, options.
REFUSED = {
    "clip_fingerprint is": lambda rows, clip, folder: (rows, other_clip(folder), {}),
    "prompt is 'This is a video about {}' there, 'a {}' here": lambda rows, clip, _: (rows, clip, {"prompt": "a {}"}),
    "frames is 3 there, 4 here": lambda rows, clip, _: (rows, clip, {"frames": 4}),
    "5 clips there, 4 here, first difference clip 4": lambda rows, clip, _: (rows[:4], clip, {}),
    "classes is": lambda rows, clip, _: ([{**row, "label": row["label"] + "ing"} for row in rows], clip, {}),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_a_folder_made_by_anything_else_is_refused(reason, manifest, rows, clip, tmp_path):
    extract(manifest, clip, tmp_path / "f")
    before = content(tmp_path / "f")
    (tmp_path / "new").mkdir()
    its_rows, its_clip, options = REFUSED[reason](rows, clip, tmp_path)
    with pytest.raises(FolderError) as caught:
        extract(manifest_of(its_rows, tmp_path / "new"), its_clip, tmp_path / "f", **options)
    assert reason in str(caught.value) and "Take another folder" in str(caught.value)
    assert content(tmp_path / "f") == before


def test_a_clip_folder_may_move(manifest, clip, tmp_path, encoded):
    extract(manifest, clip, tmp_path / "f")
    moved = load_clip(str(save_small_clip(new_small_clip(0), tmp_path / "moved").parent))
    encoded.clear()
    extract(manifest, moved, tmp_path / "f")
    assert encoded == []


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_corrupt_clip_is_named_also_by_a_worker(rows, clip, tmp_path, workers):
    bad = tmp_path / "cut off.mp4"
    whole = Path(rows[4]["path"]).read_bytes()
    bad.write_bytes(whole[: len(whole) // 2])
    manifest = manifest_of([*rows[:4], {**rows[4], "path": bad.as_posix()}], tmp_path)
    with pytest.raises(VideoError) as caught:
        extract(manifest, clip, tmp_path / "f", workers=workers)
    message = str(caught.value)
    assert message.startswith(str(bad)) and message.endswith("leave the clip out")
    assert len(message.splitlines()) == 1, "the worker's traceback is not part of the message"
    assert active_children() == [], "the workers have ended, though the traceback is still held"
    with pytest.raises(FolderError, match="not finished"):
        load_features(tmp_path / "f")


@pytest.mark.parametrize("options, message", [({"prompt": "a video"}, "exactly once"), ({"frames": 0}, "frames=0")])
def test_a_wrong_option_does_not_claim_the_folder(manifest, clip, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        extract(manifest, clip, tmp_path / "f", **options)
    assert not (tmp_path / "f").exists()


def test_a_missing_folder_names_the_command(tmp_path):
    with pytest.raises(
        FolderError,
        match=r"no features at .*nowhere; make them with `mgdm features --manifest MANIFEST",
    ):
        load_features(tmp_path / "nowhere")


def test_splits(manifest, clip, tmp_path):
    features = extract(manifest, clip, tmp_path / "f")
    training = features.split("train")
    assert list(training.clips["id"]) == ["clip 0", "clip 1", "clip 4"] and list(training.clips.index) == [0, 1, 2]
    assert torch.equal(training.frame_features, features.frame_features[[0, 1, 4]])
    assert training.labels.tolist() == [1, 0, 1]
    validation = features.split("val")
    assert validation.classes == features.classes and validation.labels.tolist() == [0], "class indices agree"
    assert torch.equal(validation.text_features, features.text_features)
    with pytest.raises(FolderError, match=r"no clip is in split 'tset'; there are \['test', 'train', 'val'\]"):
        features.split("tset")


def test_a_corpus_is_encoded_once_by_the_clip_and_prompt_of_the_folder(manifest, clip, tmp_path, monkeypatch):
    folder = tmp_path / "f"
    own = extract(manifest, clip, folder, prompt="a film of {}")
    labels = ["hop", "Walk", "a, b/c", "hop"]
    with pytest.raises(FolderError, match=r"f has no text features of 2 labels, first 'hop'.*`mgdm mine --features"):
        corpus_texts(folder, labels)
    encode_texts(folder, labels, clip)
    encode_texts(folder, ["hop", "zumba"], clip)
    with pytest.raises(ValueError, match=r"'__metadata__' is a name that files of tensors keep"):
        encode_texts(folder, ["__metadata__"], clip)
    monkeypatch.setattr(FrozenClip, "encode_text", lambda clip, texts: pytest.fail(f"encoded again: {texts}"))
    assert missing_texts(folder, ["zumba", "walk", "skip", "hop"]) == ["skip"]
    found = corpus_texts(folder, labels)
    monkeypatch.undo()
    assert found.labels == ("jump", "walk", "hop", "a, b/c"), "the classes first; Walk is one of them"
    assert torch.equal(found.text_features[:2], own.text_features)
    expected = clip.encode_text(["a film of hop", "a film of a, b/c"])
    assert torch.allclose(found.text_features[2:], expected, atol=1e-4)
    assert not torch.allclose(expected[0], expected[1], atol=1e-2), "the test can tell two labels"
    classes = corpus_texts(folder)
    assert classes.labels == own.classes and torch.equal(classes.text_features, own.text_features)
    assert torch.equal(load_features(folder).frame_features[:], own.frame_features[:])


def test_a_corpus_of_another_clip_is_refused(manifest, clip, tmp_path):
    extract(manifest, clip, tmp_path / "f")
    before = content(tmp_path / "f")
    with pytest.raises(FolderError, match=r"f was made by .*, not by .*other.*give the same --clip"):
        encode_texts(tmp_path / "f", ["hop"], other_clip(tmp_path))
    assert content(tmp_path / "f") == before


def test_damaged_texts_of_a_corpus_are_made_again(manifest, clip, tmp_path):
    extract(manifest, clip, tmp_path / "f")
    encode_texts(tmp_path / "f", ["hop"], clip)
    whole = corpus_texts(tmp_path / "f", ["hop"])
    path = tmp_path / "f" / "labels.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    assert missing_texts(tmp_path / "f", ["hop"]) == ["hop"]
    encode_texts(tmp_path / "f", ["hop"], clip)
    assert torch.equal(corpus_texts(tmp_path / "f", ["hop"]).text_features, whole.text_features)


def flip_a_bit(path: Path, at: int = -2) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["frames-00001.safetensors", "text.safetensors", "labels.safetensors"])
def test_a_flipped_bit_is_found_and_mended(manifest, clip, tmp_path, monkeypatch, name):
    monkeypatch.setattr(module, "SHARD_SIZE", 2)
    folder = tmp_path / "f"
    extract(manifest, clip, folder)
    encode_texts(folder, ["hop"], clip)
    whole, texts = load_features(folder).frame_features[:], corpus_texts(folder, ["hop"])
    flip_a_bit(folder / name)
    if name == "labels.safetensors":
        assert missing_texts(folder, ["hop"]) == ["hop"]
        encode_texts(folder, ["hop"], clip)
    else:
        with pytest.raises(FolderError, match=rf"1 parts are missing or damaged, first {name}"):
            load_features(folder)
        extract(manifest, clip, folder)
    assert load_features(folder).frame_features[:].equal(whole)
    assert corpus_texts(folder, ["hop"]).text_features.equal(texts.text_features)


def test_another_id_or_an_unknown_split_in_the_list_of_clips_is_told(manifest, clip, tmp_path):
    extract(manifest, clip, tmp_path / "f")
    path = tmp_path / "f" / "clips.csv"
    text = path.read_text()
    for changed, told in (("clip 9", "not what was written"), ("clip 0", "stands in more than one row")):
        path.write_text(text.replace("clip 4", changed))
        with pytest.raises(FolderError, match=told):
            load_features(tmp_path / "f")
    path.write_text(text.replace(",val", ",vol"))
    with pytest.raises(FolderError, match="split 'vol' is none of train, val, test, unused"):
        load_features(tmp_path / "f")


def test_a_folder_without_checksums_is_read_all_the_same(manifest, clip, tmp_path, encoded):
    whole = extract(manifest, clip, tmp_path / "f")
    (tmp_path / "f" / "sha256.json").unlink()
    assert load_features(tmp_path / "f").frame_features[:].equal(whole.frame_features[:])
    encoded.clear()
    extract(manifest, clip, tmp_path / "f")
    assert encoded == []


def test_clips_may_move(manifest, rows, clip, tmp_path, encoded):
    extract(manifest, clip, tmp_path / "f")
    (tmp_path / "moved").mkdir()
    moved = [{**row, "path": str(shutil.copy(row["path"], tmp_path / "moved"))} for row in rows]
    elsewhere = manifest_of(moved, tmp_path / "moved")
    encoded.clear()
    extract(elsewhere, clip, tmp_path / "f")
    assert encoded == []
    flip_a_bit(Path(moved[2]["path"]), at=40)
    with pytest.raises(FolderError, match="5 clips there, 5 here, with another file under the same name"):
        extract(elsewhere, clip, tmp_path / "f")


def test_a_folder_of_other_things_is_refused_and_one_of_its_own_continues(manifest, clip, tmp_path):
    out = tmp_path / "f"
    (out / "clip").mkdir(parents=True)
    for name in ("clips.csv", "scores-test.json", ".features.json.0123.tmp"):
        (out / name).touch()
    told = rf"{out} holds something else \(clip\); take a folder of its own, such as --out {out}/features$"
    with pytest.raises(FolderError, match=told):
        extract(manifest, clip, out)
    assert not (out / "features.json").exists()
    (out / "clip").rmdir()
    extract(manifest, clip, out)
    (out / "notes.txt").touch()
    extract(manifest, clip, out)  # by its recipe it is the same folder


def test_a_split_is_read_alone(manifest, clip, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SHARD_SIZE", 2)
    whole = extract(manifest, clip, tmp_path / "f")
    for name in ("train", "val", "test"):
        alone, part = load_features(tmp_path / "f", split=name), whole.split(name)
        assert alone.frame_features.equal(part.frame_features) and alone.clips.equals(part.clips)
        assert alone.labels.equal(part.labels) and alone.classes == whole.classes
    with pytest.raises(FolderError, match=r"no clip is in split 'tset'; there are \['test', 'train', 'val'\]"):
        load_features(tmp_path / "f", split="tset")


def test_a_whole_folder_stays_in_its_files_and_gives_what_a_tensor_gives(manifest, clip, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SHARD_SIZE", 2)
    extract(manifest, clip, tmp_path / "f")
    frames = load_features(tmp_path / "f").frame_features
    whole = torch.cat([load_tensors(path)["frame_features"] for path in sorted((tmp_path / "f").glob("frames-*"))])
    for index in (0, -1, slice(1, 4), slice(0, 0), [4, 0, 3], torch.tensor([3, 3]), whole[:, 0, 0] > 0, slice(None)):
        assert frames[index].equal(whole[index])
    with pytest.raises(IndexError):
        frames[5]


def anonymous() -> int:
    """Bytes of this process that are in no file."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return 1024 * int(status.partition("RssAnon:")[2].split()[0])


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_folder_of_features_takes_no_memory_until_its_rows_are_taken(manifest, clip, tmp_path):
    extract(manifest, clip, tmp_path / "f")
    size = 5 * T * 4 * (width := 2**20)
    frames = torch.ones(1, 1, width).expand(5, T, width)
    save_tensors(tmp_path / "f" / "frames-00000.safetensors", {"frame_features": frames})
    before = anonymous()
    features = load_features(tmp_path / "f")
    assert anonymous() - before < 0.5 * size
    whole = features.frame_features[:]
    assert anonymous() - before > 0.9 * size and whole.shape == (5, T, width), "the test can tell"


def test_numbers_that_are_not_finite_are_refused(manifest, clip, tmp_path, monkeypatch):
    original = FrozenClip.encode_image

    def nan_in_the_last(clip, images):
        found = original(clip, images)
        found[-1, 0] = float("nan")
        return found

    with monkeypatch.context() as patch, pytest.raises(ClipWeightsError, match=r"not finite .* of 'clip 1', computing"):
        patch.setattr(FrozenClip, "encode_image", nan_in_the_last)
        extract(manifest, clip, tmp_path / "f")
    extract(manifest, clip, tmp_path / "f")
    path = tmp_path / "f" / "frames-00000.safetensors"
    frames = load_tensors(path)["frame_features"].clone()
    frames[3, 1, 5] = float("inf")
    save_tensors(path, {"frame_features": frames})
    with pytest.raises(FolderError, match=r"frames-00000\.safetensors holds numbers .* not finite .* of 'clip 3'"):
        load_features(tmp_path / "f")


def test_the_workers_part_of_a_preprocessing_is_bytes_and_the_whole_the_same_to_the_bit(clip, rows):
    cut, rest = in_two_parts(clip.preprocess)
    pictures = [Image.fromarray(frame) for frame in read_segments(rows[3]["path"], T)]
    found = torch.stack([cut(picture) for picture in pictures])
    assert found.dtype == torch.uint8
    assert rest(found).equal(torch.stack([clip.preprocess(picture) for picture in pictures]))
    whole, rest = in_two_parts(lambda picture: "as it is")
    assert rest(whole(pictures[0])) == "as it is"


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_batches_come_from_workers_with_their_order_in_memory(workers):
    numbers = torch.arange(48, dtype=torch.uint8)
    batches = [numbers.view(1, 2, 2, 4, 3).permute(0, 1, 4, 2, 3), (numbers.view(6, 8), ["a", "b"])]
    pictures, (table, words) = load_batches(batches.__getitem__, range(2), workers)
    assert pictures.equal(batches[0]) and pictures.stride() == batches[0].stride()
    assert table.equal(batches[1][0]) and table.is_contiguous() and words == ["a", "b"]
