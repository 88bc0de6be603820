"""Reading video: exactly the frames asked for, on every container; bad files give a message."""

import gc
import os
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from conftest import numbered_frame, read_number, set_display_matrix, set_edit_list, write_sound, write_video
from hypothesis import given
from hypothesis import strategies as st

from mgdmkit.data import video
from mgdmkit.data.video import (
    VideoError,
    count_frames,
    decord_frames,
    read_frames,
    read_segments,
    segment_indices,
)

KINDS = [
    "mp4",
    "mp4 in fragments",
    "mp4 with edit list",
    "avi",
    "avi with B-frames",
    "avi claiming more",
    "mkv",
    "webm",
    "one frame",
    "odd name",
]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def numbers(frames):
    return [read_number(frame) for frame in frames]


def test_segment_indices_by_hand():
    assert segment_indices(16, 4) == [2, 6, 10, 14]
    assert segment_indices(10, 4) == [1, 3, 6, 8], "segments 0-1, 2-4, 5-6, 7-9"
    assert segment_indices(5, 5) == [0, 1, 2, 3, 4]
    assert segment_indices(2, 4) == [0, 0, 1, 1]
    assert segment_indices(1, 3, "random", seeded()) == [0, 0, 0]


@given(st.integers(1, 400), st.integers(1, 32), st.integers(0, 99))
def test_segment_indices_stay_in_their_segments(n, T, seed):
    for indices in (segment_indices(n, T), segment_indices(n, T, "random", seeded(seed))):
        assert len(indices) == T and indices == sorted(indices)
        assert 0 <= indices[0] and indices[-1] < n
        assert len(set(indices)) == min(n, T), "no frame twice in a long clip, none left out of a short one"
        assert all(i * n // T <= index <= max(i * n // T, (i + 1) * n / T) for i, index in enumerate(indices))


def test_random_segments_reach_every_frame_alike_and_repeat_with_the_seed():
    generator = seeded(1)
    drawn = np.array([segment_indices(20, 4, "random", generator) for _ in range(2000)])
    counts = np.bincount(drawn.flatten(), minlength=20)
    assert counts.min() > 320 and counts.max() < 480, "400 are expected, with a deviation of 18"
    assert segment_indices(99, 8, "random", seeded(5)) == segment_indices(99, 8, "random", seeded(5))
    assert segment_indices(99, 8, "random", seeded(5)) != segment_indices(99, 8, "random", seeded(6))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 4), "0 frames"),
        ((9, 0), "T=0"),
        ((9, 4, "centre"), "'centre' is not an option"),
        ((9, 4, "random"), "needs a torch.Generator"),
    ],
)
def test_segment_indices_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        segment_indices(*arguments)


def test_the_list_of_kinds_is_complete(videos):
    assert set(KINDS) == set(videos)


@pytest.mark.parametrize("kind", KINDS)
def test_every_frame_is_the_one_asked_for(videos, kind):
    path, true = videos[kind]
    assert count_frames(path) == len(true)
    frames = read_frames(path, range(len(true)))
    assert frames.shape == (len(true), 96, 160, 3) and frames.dtype == np.uint8
    assert numbers(frames) == list(true)
    some = np.random.default_rng(0).integers(len(true), size=12)  # unsorted, with repeats
    assert numbers(read_frames(path, some)) == [true[i] for i in some]


@pytest.mark.parametrize("kind", KINDS)
def test_segments_in_one_pass_equal_count_and_read(videos, kind):
    path, true = videos[kind]
    assert numbers(read_segments(path, 16)) == [true[i] for i in segment_indices(len(true), 16)]
    expected = segment_indices(len(true), 7, "random", seeded(3))
    assert numbers(read_segments(str(path), 7, "random", seeded(3))) == [true[i] for i in expected]


@pytest.mark.parametrize("guess", [0, 30, 47, 49, 300])
def test_segments_are_right_when_packets_are_not_frames(videos, monkeypatch, guess):
    monkeypatch.setattr(video, "_count_packets", lambda path: guess)
    expected = segment_indices(48, 7, "random", seeded(3))
    assert numbers(read_segments(videos["mp4"][0], 7, "random", seeded(3))) == expected


LONG_FILMS = {
    "mp4 with B-frames": ("mp4", "libx264", {"bf": 3, "g": 24}),
    "open groups of pictures": ("mp4", "libx264", {"bf": 3, "g": 24, "x264-params": "open-gop=1:b-pyramid=2:ref=5"}),
    "intra refresh": ("mp4", "libx264", {"bf": 0, "g": 24, "x264-params": "intra-refresh=1"}),
    "HEVC, open groups": ("mp4", "libx265", {"g": 24, "x265-params": "open-gop=1:keyint=24:log-level=none"}),
    "mkv": ("mkv", "libx264", {"bf": 2, "g": 24}),
    "webm, VP9": ("webm", "libvpx-vp9", {"g": 24, "deadline": "realtime", "cpu-used": 8, "auto-alt-ref": 1}),
    "AV1": ("mkv", "libsvtav1", {"g": 24, "preset": 12}),
    "MPEG-4": ("mp4", "mpeg4", {"bf": 2, "g": 24}),
    "in fragments": ("mp4", "libx264", {"bf": 2, "g": 24}),
    "edit list": ("mp4", "libx264", {"bf": 2, "g": 24}),
    "variable rate": ("mp4", "libx264", {"bf": 2, "g": 24}),
}
"""Container, encoder and its options."""


def long_film(folder, kind):
    container, codec, options = LONG_FILMS[kind]
    path, muxer = folder / f"film.{container}", {}
    if kind == "in fragments":
        muxer = {"movflags": "frag_keyframe+empty_moov"}
    jumps = (lambda n: n + n // 7 * 3) if kind == "variable rate" else (lambda n: n)
    try:
        write_video(path, 400, codec, muxer=muxer, when=jumps, **options)
    except (av.FFmpegError, ValueError) as error:
        pytest.skip(f"no encoder {codec} here: {error}")
    return set_edit_list(path, first=40, frames=330) if kind == "edit list" else path


@pytest.mark.parametrize("kind", LONG_FILMS)
def test_seeking_in_a_long_film_gives_exactly_the_frames_of_reading_it_whole(tmp_path, monkeypatch, kind):
    path = long_film(tmp_path, kind)
    whole = read_frames(path, range(count_frames(path)))
    sought = []

    def seek(*arguments):
        sought.append(video_seek(*arguments))
        return sought[-1]

    video_seek = video._seek
    monkeypatch.setattr(video, "LONG", 100)
    monkeypatch.setattr(video, "_seek", seek)
    for T, mode in ((3, "center"), (1, "center"), (4, "random"), (4, "random"), (16, "center")):
        indices = segment_indices(len(whole), T, mode, seeded(T))
        assert np.array_equal(read_segments(path, T, mode, seeded(T)), whole[indices]), (T, mode)
    if kind == "AV1" and hasattr(os, "sched_getscheduler"):
        assert os.sched_getscheduler(0) == os.SCHED_OTHER, "see write_video"
    doubtful = kind == "intra refresh"
    assert [found is None for found in sought] == [doubtful] * 4 + [True], "three frames pay, sixteen do not"


@pytest.mark.parametrize("kind", KINDS)
def test_seeking_never_gives_another_frame(videos, monkeypatch, kind):
    path, true = videos[kind]
    monkeypatch.setattr(video, "LONG", 1)
    for seed in range(5):
        expected = segment_indices(len(true), 2, "random", seeded(seed))
        assert numbers(read_segments(path, 2, "random", seeded(seed))) == [true[i] for i in expected]


def test_a_long_film_that_was_cut_off_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(video, "LONG", 100)
    path = write_video(tmp_path / "film.mkv", 400, g=24)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    with pytest.raises(VideoError, match=r"truncated|damaged or cut off"):
        read_segments(path, 2)


def test_the_defect_of_decord(videos):
    pytest.importorskip("decord", reason="no decord for this platform")
    path, _ = videos["avi with B-frames"]
    indices = segment_indices(100, 16)
    assert numbers(read_frames(path, indices)) == indices
    assert numbers(decord_frames(path, indices)) != indices
    plain, _ = videos["avi"]
    assert numbers(decord_frames(plain, [3, 30])) == [3, 30], "without B-frames it is right"


@pytest.mark.parametrize("bad", [48, -1])
def test_an_index_out_of_range_names_path_and_count(videos, bad):
    path, _ = videos["mp4"]
    with pytest.raises(IndexError, match=rf"a\.mp4: frame {bad} .* it has 48 frames"):
        read_frames(path, [0, bad])


def test_bad_arguments(videos):
    path, _ = videos["mp4"]
    with pytest.raises(ValueError, match="no frame indices"):
        read_frames(path, [])
    with pytest.raises(ValueError, match="short_side=0"):
        read_frames(path, [0], short_side=0)
    with pytest.raises(TypeError):
        read_frames(path, [0.5])


# The shown picture for each display matrix (a, b, c, d), from the picture as stored.
TURNS = {
    "as it is": ((1, 0, 0, 1), lambda image: image),
    "quarter turn left": ((0, -1, 1, 0), lambda image: np.rot90(image, 1)),
    "half turn": ((-1, 0, 0, -1), lambda image: np.rot90(image, 2)),
    "quarter turn right": ((0, 1, -1, 0), lambda image: np.rot90(image, 3)),
    "mirror": ((-1, 0, 0, 1), lambda image: image[:, ::-1]),
    "mirror and quarter turn": ((0, 1, 1, 0), lambda image: image.transpose(1, 0, 2)),
}


@pytest.mark.parametrize("turn", TURNS)
def test_frames_are_turned_as_a_player_turns_them(tmp_path, turn):
    matrix, shown = TURNS[turn]
    path = set_display_matrix(write_video(tmp_path / "t.mp4", 3, g=12), matrix)
    frame = read_frames(path, [2])[0].astype(int)
    expected = shown(numbered_frame(2))
    assert frame.shape == expected.shape
    assert np.abs(frame - expected).mean() < 4
    if "mirror" in turn:  # decord takes a mirror for a half turn
        return
    pytest.importorskip("decord", reason="no decord for this platform")
    assert np.abs(frame - decord_frames(path, [2])[0]).mean() < 1


def test_short_side_keeps_the_aspect_and_is_antialiased(tmp_path, videos):
    path, _ = videos["mp4"]
    small = read_frames(path, [5, 9], short_side=48)
    assert small.shape == (2, 48, 80, 3)
    assert numbers(small.repeat(2, 1).repeat(2, 2)) == [5, 9]
    assert read_frames(path, [5], short_side=144).shape == (1, 144, 240, 3)
    assert read_segments(path, 4, short_side=32).shape == (4, 32, 53, 3)
    tall = set_display_matrix(write_video(tmp_path / "t.mp4", 2), (0, 1, -1, 0))
    assert read_frames(tall, [0], short_side=48).shape == (1, 80, 48, 3), "after the turn"
    stripes = np.zeros((96, 160, 3), np.uint8)
    stripes[:, ::2] = 200
    assert np.abs(video._resize(stripes, 24)[:, 2:-2].astype(int) - 100).max() < 8, "grey, not black or white"


def damaged(path, folder, keep, fill=False):
    """The first part of a file, `fill`: with zeros in place of the rest, as an interrupted copy may leave it."""
    data = path.read_bytes()
    size = int(len(data) * keep)
    copy = folder / path.name
    copy.write_bytes(data[:size] + bytes(len(data) - size if fill else 0))
    return copy


@pytest.mark.parametrize("fill", [False, True])
@pytest.mark.parametrize("keep", [0.7, 0.8])
@pytest.mark.parametrize("kind", ["avi", "avi with B-frames", "mkv", "webm", "mp4"])
def test_a_truncated_file_states_both_numbers(videos, tmp_path, kind, keep, fill):
    path, true = videos[kind]
    copy = damaged(path, tmp_path, keep, fill)
    message = rf"{copy.name} is .*: \d+ frames can be decoded, its header declares {len(true)}; "
    for read in (count_frames, lambda p: read_segments(p, 4)):
        with pytest.raises(VideoError, match=message):
            read(copy)
    with pytest.raises(VideoError, match=message):
        read_frames(copy, [len(true) - 1])
    assert numbers(read_frames(copy, [0, 5])) == [0, 5], "what lies before the damage can be had"


@pytest.mark.parametrize("size", [1, 40, 400])
@pytest.mark.parametrize("kind", ["avi", "mkv", "webm", "mp4"])
def test_a_beginning_alone_is_an_error(videos, tmp_path, kind, size):
    path, _ = videos[kind]
    copy = tmp_path / path.name
    copy.write_bytes(path.read_bytes()[:size])
    with pytest.raises(VideoError, match=copy.name):
        count_frames(copy)


@pytest.mark.parametrize("kind", ["avi", "mkv", "mp4"])
def test_noise_in_the_middle_never_crashes(videos, tmp_path, kind):
    path, _ = videos[kind]
    for seed in range(8):
        rng = np.random.default_rng(seed)
        data = bytearray(path.read_bytes())
        for at in rng.integers(len(data), size=12):
            data[at] = rng.integers(256)
        copy = tmp_path / path.name
        copy.write_bytes(bytes(data))
        try:
            frames = read_segments(copy, 4)
        except VideoError as error:
            assert str(copy) in str(error)
        else:
            assert len(frames) == 4


def test_what_is_no_video(tmp_path):
    (tmp_path / "empty.avi").touch()
    (tmp_path / "text.mp4").write_text("<html>404 Not Found</html>\n" * 50)
    (tmp_path / "folder.avi").mkdir()
    write_sound(tmp_path / "sound.mp4")
    cases = {
        "missing.avi": "is missing",
        "empty.avi": r"is empty \(0 bytes\)",
        "text.mp4": "cannot be read",
        "folder.avi": "is not a file",
        "sound.mp4": "has no video stream",
    }
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.avi")  # opened by FFmpeg, it would hang
        cases["pipe.avi"] = "is not a file"
    for name, message in cases.items():
        for read in (count_frames, lambda path: read_frames(path, [0]), lambda path: read_segments(path, 4)):
            with pytest.raises(VideoError, match=rf"{name} {message}"):
                read(tmp_path / name)


def test_a_frame_size_that_changes(tmp_path):
    parts = [write_video(tmp_path / f"{w}.m2v", 5, "mpeg2video", size=(96, w)) for w in (160, 320)]
    joined = tmp_path / "joined.m2v"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert count_frames(joined) > 5  # FFmpeg itself loses a frame where two raw streams meet
    with pytest.raises(VideoError, match="the frame size changes"):
        read_frames(joined, range(count_frames(joined)))


class Clips(torch.utils.data.Dataset):
    def __init__(self, paths):
        self.paths = paths

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, i):
        return read_segments(self.paths[i], 8)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_workers_read_what_the_parent_reads(videos):
    paths = [videos[kind][0] for kind in KINDS]
    alone = [read_segments(path, 8) for path in paths]  # the parent has used the decoder before it forks
    loader = torch.utils.data.DataLoader(
        Clips(paths), batch_size=None, num_workers=2, multiprocessing_context="fork", timeout=20
    )
    for expected, got in zip(alone, loader, strict=True):
        assert np.array_equal(expected, got)


def test_real_clips(shared_data):
    """UCF101 (no B-frames): the header's count is right, and decord agrees with every pixel but for rounding."""
    for folder in sorted((shared_data / "ucf101_6").iterdir()):
        path = sorted(folder.iterdir())[0]
        with av.open(str(path)) as container:
            declared = container.streams.video[0].frames
        assert count_frames(path) == declared
        frames = read_segments(path, 16)
        assert np.array_equal(frames, read_frames(path, segment_indices(declared, 16)))
        pytest.importorskip("decord", reason="no decord for this platform")
        assert np.abs(frames - decord_frames(path, segment_indices(declared, 16)).astype(int)).mean() < 1


def test_nothing_is_left_open(videos):
    """No descriptor and no thread outlives a call (a pool of threads would hang forked workers)."""
    process = Path("/proc/self")
    if not process.is_dir():
        pytest.skip("open files and threads are counted through /proc")
    path, _ = videos["mp4"]
    gc.collect()  # what earlier tests dropped must not close in between
    before = [len(list((process / kind).iterdir())) for kind in ("fd", "task")]
    frames = []
    for _ in range(5):
        frames.append(read_frames(path, [0, 20]))
        with pytest.raises(IndexError):
            read_frames(path, [-1])
    after = [len(list((process / kind).iterdir())) for kind in ("fd", "task")]
    assert all(now <= then for now, then in zip(after, before, strict=True)), (before, after)
