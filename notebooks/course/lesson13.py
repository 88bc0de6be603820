"""The exercises of lesson 13."""

from pathlib import Path

import av
import numpy as np

import mgdmkit
from mgdmkit import experiments, inference
from mgdmkit.data import decord_frames, read_frames, segment_indices


def exercise1(answer):
    N = float(answer)
    assert N > 500, "The interval shrinks with the root of N: a tenth of the width takes a hundred times the clips."
    assert abs(N - (98 / 3) ** 2) < 70, "Solve 98 / sqrt(N) = 3 for N."


def exercise2(answer, folder):
    wanted = segment_indices(100, 16)
    for name, codec, hits in zip(("plain.avi", "numbered.mp4"), ("mpeg4", "h264"), answer, strict=True):
        film = folder / name
        assert film.is_file(), f"{name} is missing: write it into the folder of `film`."
        assert _codec(film) == codec, f"{name} is coded with {_codec(film)}, not with {codec}."
        assert _numbers(read_frames(film, [0, 50, 99])) == [0, 50, 99], f"{name}: its frames must carry their numbers."
        assert hits == sum(map(int.__eq__, _numbers(decord_frames(film, wanted)), wanted)), (
            f"{name}: compare decord's 16 frames with those asked for, one by one."
        )
    assert not _has_b_frames(folder / "plain.avi"), "plain.avi still has B-frames: bf is an option of the stream."


def exercise3(answer):
    assert 0 <= answer <= 1, "A share lies between 0 and 1."
    assert answer < 1, "Two copies show the same frames, so they get the same answer."
    assert answer == 0.5, "The same answer for both copies: for how many of the two can it be right?"


def exercise4(answer):
    share, black, folder = answer
    assert 0 <= share <= 1, "A share lies between 0 and 1."
    new = mgdmkit.load_run(folder)
    assert "nothing happens" in new.classes, "This run has no class 'nothing happens'. Is it the folder of the new one?"
    made = Path(folder).parent.parent  # features and runs lie side by side
    assert (made / "features").is_dir(), "The run's folder is DIR/runs/NAME, with its features in DIR/features."
    test = experiments.prepare(made, experiments.OWN).features.split("test")
    still = test.labels == new.classes.index("nothing happens")
    assert still.any(), "The test split has no clip of 'nothing happens': draw a larger share of test clips."
    logits = inference.predict(new.model, test.frame_features[still], new.text_features(new.classes))
    right = (logits.argmax(dim=1) == test.labels[still]).double().mean().item()
    assert abs(share - right) < 0.006, "The share is another. Of the still test clips, how many get 'nothing happens'?"
    assert black in new.classes, "The label of black frames is none of the new model's classes."
    said = new.classify(np.zeros((16, 128, 128, 3), np.uint8), top=1).labels[0]
    assert black == said, "The new model says something else of black frames."


def _codec(film):
    with av.open(str(film)) as container:
        return container.streams.video[0].codec_context.name


def _has_b_frames(film):
    with av.open(str(film)) as container:
        return any(frame.pict_type == av.video.frame.PictureType.B for frame in container.decode(video=0))


def _numbers(frames):
    """The number that each frame of the lesson's film carries."""
    return [round((pixels.mean(axis=(0, 2)) > 135).sum() / 2) for pixels in frames]
