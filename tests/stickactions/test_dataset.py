"""StickActions: the structure of its labels, exact time reversal, seeds, captions, and files on disk."""

import csv
from collections import Counter
from dataclasses import replace

import av
import numpy as np
import pytest

from mgdmkit.runs.folder import FolderError
from mgdmkit.stickactions import dataset
from mgdmkit.stickactions.captions import PLACES, caption, sights
from mgdmkit.stickactions.catalogue import (
    ACTIONS,
    CHANNELS,
    LABELS,
    PLAYED,
    REVERSED,
    SCENES,
    reverse_of,
    scene_numbers,
    scene_of,
)
from mgdmkit.stickactions.clips import RANGES, SPLITS, Camera, clip_of, film, moment, sample_clip
from mgdmkit.stickactions.dataset import StickActionsConfig, generate, render_clip, render_still
from mgdmkit.stickactions.scenes import PROPS

TINY = StickActionsConfig(seed=3, train_per_class=1, val_per_class=0, test_per_class=1, size=32)


def read(manifest):
    with manifest.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# ---- labels ---------------------------------------------------------------------------------------------------


def test_sixty_labels_each_in_one_scene():
    assert len(SCENES) == 6 and all(len(labels) == 10 for labels in SCENES.values())
    assert sorted(label for labels in SCENES.values() for label in labels) == list(LABELS)
    assert all(label in SCENES[scene_of(label)] for label in LABELS)
    with pytest.raises(KeyError, match="opening a fridge"):
        scene_of("opening a door")


def test_reverses_and_scenes_as_numbers():
    classes = ("opening a fridge", "flying a kite", "closing a fridge", "opening a laptop")
    assert reverse_of(classes) == [2, 1, 0, 3]  # a kite has no reverse; the laptop's is not among these
    assert len({*scene_numbers(classes)}) == len({scene_of(label) for label in classes})


def test_most_labels_are_another_ones_reverse():
    assert len(REVERSED) == 48
    assert all(REVERSED[REVERSED[label]] == label != REVERSED[label] for label in REVERSED)
    assert all(scene_of(label) == scene_of(REVERSED[label]) for label in REVERSED)


def test_cycles_close():
    for action in ACTIONS:
        if action.cycles:
            # The state may jump: what is drawn there is a load that is dropped before the next round.
            assert action.keys[0][:-1] == action.keys[-1][:-1], action.labels


# ---- pictures -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("label", ["opening a fridge", "lowering a barbell", "putting on a sun hat"])
def test_a_reversed_clip_is_the_clip_backwards(label):
    clip = clip_of(label, "train", 0, 1)
    forwards, backwards = film(clip, 48), film(clip.reversed(), 48)
    assert clip.reversed().label == REVERSED[label] and clip.reversed().reversed() == clip
    # Camera positions are rounded to whole sample points, so a frame may sit one point off.
    gap = np.abs(forwards.astype(int) - backwards[::-1].astype(int)).mean(axis=(1, 2, 3))
    assert np.median(gap) == 0 and gap.max() < 2
    still = replace(clip, drift=(0.0, 0.0))
    assert np.array_equal(film(still, 48), film(still.reversed(), 48)[::-1])
    assert np.abs(forwards[0].astype(int) - forwards[-1]).mean() > 1, "the motion changes the picture"


@pytest.mark.parametrize("label", LABELS)
def test_the_whole_motion_is_shown_and_every_label_moves(label):
    for split in SPLITS:
        clip = clip_of(label, split, 1, 0)
        phases = [clip.phase(frame) for frame in range(clip.frames)]
        assert phases[0] == 0 and phases[-1] == 1 and len(phases) in range(23, 46)
        channels = np.array([moment(clip, frame).channels for frame in range(clip.frames)])
        lengths = channels[:, [i for i, name in enumerate(CHANNELS) if name[-1] in "xy"]]
        assert np.ptp(lengths, axis=0).max() > 0.1, "something moves by a tenth of the frame"


def test_hands_reach_and_props_do_not_jump():
    for action in ACTIONS:
        for split in ("train", "test"):
            clip = replace(clip_of(action.labels[0], split, 0, 0), before=1, motion=80, after=1)
            seen = [moment(clip, frame) for frame in range(clip.frames)]
            goals = np.array([s.channels[4:8] for s in seen]).reshape(-1, 2, 2)
            hands = np.array([s.body.hands for s in seen])
            assert np.linalg.norm(goals - hands, axis=-1).max() < 0.06, action.labels
            places = np.array([s.at for s in seen])
            assert np.linalg.norm(np.diff(places, axis=0), axis=-1).max() < 0.06, action.labels


def test_seeds_splits_and_indices_decide():
    def shot(split="train", seed=0, index=0):
        return render_clip("opening a gate", split, seed, index, size=32)

    def same(a, b):
        return a.shape == b.shape and np.array_equal(a, b)

    assert shot().dtype == np.uint8 and shot().shape[1:] == (32, 32, 3)
    assert same(shot(), shot())
    others = [shot(seed=1), shot(index=1), shot("val"), shot("test")]
    assert not any(same(shot(), other) for other in others)


def test_size_changes_the_sharpness_not_the_picture():
    clip = clip_of("lifting a crate", "val", 0, 0)
    small, large = (Camera(clip, size).shoot(20).astype(float) for size in (32, 128))
    reduced = large.reshape(32, 4, 32, 4, 3).mean(axis=(1, 3))
    assert np.abs(small - reduced).mean() < 6


def test_test_clips_draw_from_other_ranges():
    clips = {split: [clip_of(label, split, 0, 0) for label in LABELS] for split in SPLITS}

    def seen(split, what):
        return {what(clip) for clip in clips[split]}

    for what in (lambda c: c.look.shirt, lambda c: c.variant, lambda c: c.zoom, lambda c: c.motion):
        assert not seen("train", what) & seen("test", what)
    assert max(abs(c.drift[0]) for c in clips["train"]) < min(abs(c.drift[0]) for c in clips["test"])
    assert max(abs(c.look.head - 1) for c in clips["val"]) < min(abs(c.look.head - 1) for c in clips["test"])
    assert RANGES["train"] is RANGES["val"]


# ---- captions -------------------------------------------------------------------------------------------------


def test_stills_are_random_access():
    stills = [render_still("train", 0, index) for index in range(20)]
    pixels, words = render_still("train", 0, 17)
    assert np.array_equal(pixels, stills[17][0]) and words == stills[17][1]
    assert pixels.shape == (64, 64, 3) and pixels.dtype == np.uint8
    assert len({words for _, words in stills}) > 15
    assert not np.array_equal(pixels, render_still("train", 1, 17)[0])


def test_captions_tell_the_scene_and_at_times_the_action():
    tally = Counter()
    for index in range(480):
        label, rng = LABELS[index % 60], np.random.default_rng(index)
        clip, scene = sample_clip(label, "train", rng), scene_of(label)
        seen = moment(clip, int(rng.integers(clip.frames)))
        words = caption(clip, seen, rng)
        assert len(words.split()) <= 14, words
        at = {place for place, wordings in PLACES.items() if any(wording in words for wording in wordings)}
        assert at <= {scene}, words
        things = [*sights(clip), PLAYED[label].state(seen.channels), label]
        assert at or any(thing in words for thing in things), words
        assert not any(other in words for other in LABELS if other != label), words
        tally.update(place=bool(at), label=label in words, object=any(thing in words for thing in things))
    assert 0.3 < tally["label"] / 480 < 0.5
    assert tally["place"] > 0.7 * 480 and tally["object"] > 0.95 * 480, tally


def test_captions_change_with_the_pose_and_not_with_the_direction_of_time():
    for label in LABELS:
        clip = clip_of(label, "train", 0, 0)
        moments = [moment(clip, clip.before + frame) for frame in range(0, clip.motion, 2)]
        states = {PLAYED[label].state(seen.channels) for seen in moments}
        cyclic = PLAYED[label].cycles > 0
        assert len(states) >= 3 or cyclic, label
        # The same choices of wording every time: what differs is what there is to see.
        words = [{caption(clip, seen, np.random.default_rng(i)) for seen in moments} for i in range(30)]
        assert np.mean([len(captions) > 1 for captions in words]) > (0.25 if cyclic else 0.45), (
            label
        )  # a sixth tells the place alone
    forwards = clip_of("opening an oven", "train", 0, 0)
    for i in range(12):
        frame = forwards.before + 2 * i % forwards.motion
        there = caption(forwards, moment(forwards, frame), np.random.default_rng(i))
        back = forwards.reversed()
        again = caption(back, moment(back, forwards.frames - 1 - frame), np.random.default_rng(i))
        assert there.replace("opening", "closing") == again.replace("opening", "closing")


def test_props_stay_in_their_scene():
    for action in ACTIONS:
        assert all(PROPS[name].scene == action.scene for name in action.needs)
        clip = clip_of(action.labels[0], "train", 0, 0)
        assert set(action.needs) <= {name for name, _, _ in clip.props}
        assert action.prop not in {name for name, _, _ in clip.props}, "the prop is seen once"


# ---- files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [{"seed": -1}, {"train_per_class": -1}, {"size": 63}, {"size": 16}, {"fps": 0}])
def test_config_names_the_bad_field(values):
    with pytest.raises(ValueError, match=next(iter(values))):
        StickActionsConfig(**values)


def test_generate_writes_resumes_and_refuses(tmp_path):
    root = tmp_path / "stick"
    manifest = generate(root, TINY, workers=1)
    rows = read(manifest)
    assert manifest == root / "manifest.csv" and list(rows[0]) == ["id", "path", "label", "split", "scene"]
    assert len(rows) == 120 == len({row["id"] for row in rows})
    files = sorted(path for path in root.rglob("*") if path.is_file())
    assert len(files) == 123, "videos, manifest, configuration, hashes, and no temporary file"

    row = rows[70]
    with av.open(str(root / row["path"])) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264" and stream.average_rate == TINY.fps
        frames = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(stream)])
    drawn = render_clip(row["label"], row["split"], TINY.seed, 0, TINY.size)
    assert frames.shape == drawn.shape
    assert np.abs(frames.astype(int) - drawn.astype(int)).mean() < 8

    gone = [root / rows[i]["path"] for i in (5, 100)]
    bytes_before = [path.read_bytes() for path in gone]
    times = {path: path.stat().st_mtime_ns for path in files if path not in gone and path.suffix == ".mp4"}
    for path in gone:
        path.unlink()
    assert generate(root, TINY, workers=1) == manifest
    assert [path.read_bytes() for path in gone] == bytes_before, "the same seed gives the same bytes"
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())

    with pytest.raises(FolderError, match=r"config\.seed is 3 there, 4 here.*another folder"):
        generate(root, replace(TINY, seed=4))
    assert all(path.exists() for path in files)

    before = {path: path.read_bytes() for path in files}
    damaged = [path for path in files if path.suffix == ".mp4"][:3]
    flipped = bytearray(before[damaged[0]])
    flipped[len(flipped) // 2] ^= 1
    for path, data in zip(damaged, (flipped, b"", before[damaged[2]][:2000]), strict=True):
        path.write_bytes(data)
    manifest.write_text("id,path\n")
    generate(root, TINY, workers=1)
    assert {path: path.read_bytes() for path in files} == before, "what was damaged is made anew"
    damaged[1].write_bytes(before[damaged[1]][:2000])
    (root / "SHA256SUMS").unlink()  # as an older folder, or one that was interrupted
    generate(root, TINY, workers=1)
    assert {path: path.read_bytes() for path in files} == before

    record = root / "stickactions.json"
    for text in ("{}", "[]", "", before[record].decode()[:20]):
        record.write_text(text)
        with pytest.raises(FolderError, match=r"stickactions\.json is damaged|holds something else"):
            generate(root, TINY)
    record.unlink()
    with pytest.raises(FolderError, match=r"holds manifest\.csv, but stickactions\.json.* is missing"):
        generate(root, TINY)


def test_an_interrupted_run_goes_on_in_other_processes(tmp_path, monkeypatch):
    config = replace(TINY, test_per_class=0)
    made = []

    def stop_after_forty(frames, path, fps, real=dataset.encode):
        if len(made) == 40:
            raise KeyboardInterrupt
        made.append(path)
        real(frames, path, fps)

    monkeypatch.setattr(dataset, "encode", stop_after_forty)
    with pytest.raises(KeyboardInterrupt):
        generate(tmp_path, config, workers=1)
    assert not (tmp_path / "manifest.csv").exists(), "no manifest before every video is there"
    monkeypatch.undo()
    times = [path.stat().st_mtime_ns for path in made]
    rows = read(generate(tmp_path, config, workers=2))
    assert all((tmp_path / row["path"]).exists() for row in rows) and len(rows) == 60
    assert [path.stat().st_mtime_ns for path in made] == times
