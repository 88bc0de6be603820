"""Any clip becomes bytes that a browser plays: passed on where it can, else encoded, with all its frames in order."""

import io
import shutil

import av
import numpy as np
import pytest
from conftest import read_number, write_video
from PIL import Image

import mgdmkit.inspector.playback as module
from mgdmkit.data.video import VideoError
from mgdmkit.inspector.playback import animation, h264, playable


def frames_of(data: bytes) -> list[np.ndarray]:
    with av.open(io.BytesIO(data)) as container:
        assert [stream.type for stream in container.streams] == ["video"]
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def seconds(data: bytes) -> float:
    with av.open(io.BytesIO(data)) as container:
        return container.duration / av.time_base


@pytest.mark.parametrize(("kind", "suffix"), [("mp4", "mp4"), ("webm", "webm")])
def test_what_a_browser_plays_is_passed_on(videos, kind, suffix):
    path, _ = videos[kind]
    assert playable(path) == (path.read_bytes(), suffix)


@pytest.mark.parametrize("kind", ["avi", "avi with B-frames", "mkv", "odd name"])
def test_other_files_are_encoded_with_every_frame_in_order(videos, kind):
    path, numbers = videos[kind]
    clip = playable(path)
    found = frames_of(clip.data)
    assert clip.kind == "mp4" and min(found[0].shape[:2]) == module.SHORT_SIDE
    small = [np.asarray(Image.fromarray(frame).resize((160, 96))) for frame in found]
    assert [read_number(frame) for frame in small] == list(numbers)
    assert seconds(clip.data) == pytest.approx(len(numbers) / 25, abs=0.1)


def test_a_long_clip_keeps_its_length_in_fewer_frames(videos, monkeypatch):
    monkeypatch.setattr(module, "ENOUGH_FRAMES", 20)
    path, numbers = videos["avi with B-frames"]
    data = playable(path).data
    assert len(frames_of(data)) == 20 and seconds(data) == pytest.approx(len(numbers) / 25, abs=0.3)


def test_a_file_too_large_for_a_notebook_server_is_encoded_anew(videos, monkeypatch):
    path, _ = videos["mp4"]
    monkeypatch.setattr(module, "LARGEST_FILE", 100)
    assert playable(path).data != path.read_bytes()


def test_odd_sizes_are_cut_to_even_ones():
    assert frames_of(h264(np.zeros((3, 33, 47, 3), np.uint8), 25))[0].shape == (32, 46, 3)


def test_without_an_h264_encoder_it_is_an_animation_of_the_same_length(videos, monkeypatch):
    monkeypatch.setattr(module, "h264", lambda *_: (_ for _ in ()).throw(ValueError("no libx264")))
    clip = playable(videos["avi with B-frames"][0])
    picture = Image.open(io.BytesIO(clip.data))
    assert clip.kind == "webp" and picture.is_animated and picture.n_frames <= module.ANIMATED_FRAMES
    total = 0
    for i in range(picture.n_frames):
        picture.seek(i)
        picture.load()
        total += picture.info["duration"]
    assert total / 1000 == pytest.approx(4, abs=0.2)
    assert animation(np.zeros((1, 8, 8, 3), np.uint8), 25)


def test_what_can_not_be_read_is_named(videos, tmp_path):
    with pytest.raises(VideoError, match=r"none\.avi is missing"):
        playable(tmp_path / "none.avi")
    (tmp_path / "text.mp4").write_text("no video\n" * 50)
    with pytest.raises(VideoError, match=r"text\.mp4"):
        playable(tmp_path / "text.mp4")
    cut = shutil.copy(videos["avi"][0], tmp_path / "cut.avi")
    cut.write_bytes(cut.read_bytes()[:9000])
    with pytest.raises(VideoError, match=r"cut\.avi"):
        playable(cut)


def test_sound_is_left_out(tmp_path):
    silent = write_video(tmp_path / "a.mp4", 10)
    path = tmp_path / "b.mp4"
    with av.open(str(silent)) as source, av.open(str(path), "w") as target:
        picture = target.add_stream_from_template(source.streams.video[0])
        sound = target.add_stream("aac", rate=16000)
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = picture
                target.mux(packet)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        target.mux(sound.encode(frame))
        target.mux(sound.encode())
    assert len(frames_of(playable(path).data)) == 10
