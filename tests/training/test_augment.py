"""From a clip to pixels: alike over the frames, drawn by (seed, epoch, clip) alone, in the CLIP's own format."""

import numpy as np
import pytest
import torch
from conftest import write_video
from narrow_clip import narrow_clip  # noqa: F401
from PIL import Image

import mgdmkit.clip.features as features
import mgdmkit.training.augment as module
from mgdmkit.clip.backbone import load_clip
from mgdmkit.clip.small import new_small_clip, save_small_clip
from mgdmkit.config import FineTuneConfig
from mgdmkit.data.manifest import read_manifest, write_manifest
from mgdmkit.data.video import VideoError, segment_indices
from mgdmkit.training.augment import Clips, RandomView, label_indices

T, S = 3, 64


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return load_clip(str(save_small_clip(new_small_clip(0), tmp_path_factory.mktemp("clip")).parent))


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    rows = [
        {"id": str(i), "path": f"{i}.mp4", "label": "jump" if i % 2 else "walk", "split": "train"} for i in range(4)
    ]
    for i in range(4):
        write_video(folder / f"{i}.mp4", 9 + 4 * i)
    return read_manifest(write_manifest(folder / "manifest.csv", rows))


def picture() -> np.ndarray:
    """(73, 130, 3) noise, black on its left half: any two crops of it differ, and left can be told from right."""
    noise = np.random.default_rng(0).integers(100, 256, (73, 130, 3), dtype=np.uint8)
    noise[:, :65] = 0
    return noise


@pytest.fixture
def still(monkeypatch):
    """Clips of one picture, and what was asked of the decoder."""
    asked = []

    def read(path, frames, mode, generator=None, short_side=None):
        asked.append((mode, short_side, None if mode == "center" else segment_indices(90, frames, mode, generator)))
        return np.stack([picture()] * frames)

    monkeypatch.setattr(module, "read_segments", read)
    monkeypatch.setattr(features, "read_segments", read)
    return asked


def test_a_view_is_alike_in_all_frames_and_the_same_for_the_same_seed(still):
    view = RandomView((S, S), T, FineTuneConfig())
    views = [view("a clip", seed) for seed in (1, 1, 2, 3)]
    assert all(x.shape == (T, 3, S, S) and x.dtype == torch.uint8 for x in views)
    assert all(torch.equal(x[0], frame) for x in views for frame in x)
    assert torch.equal(views[0], views[1])
    assert not torch.equal(views[0], views[2]) and not torch.equal(views[2], views[3])


def test_one_random_frame_of_each_segment_at_the_papers_short_side(still):
    RandomView((224, 224), T, FineTuneConfig())("a clip", 0)
    RandomView((224, 224), T, FineTuneConfig())("a clip", 1)
    (mode, short_side, first), (_, _, second) = still
    assert (mode, short_side) == ("random", 256)
    assert all(30 * i <= index < 30 * (i + 1) for drawn in (first, second) for i, index in enumerate(drawn))
    assert first != second


def test_crops_keep_to_their_scale(monkeypatch):
    """Red is the column and green the row, so that a crop shows its own width and height."""
    x, y = np.meshgrid(np.arange(130), np.arange(73))
    ramp = np.stack([x, y, 0 * x], axis=-1).astype(np.uint8)
    monkeypatch.setattr(module, "read_segments", lambda *args: ramp[None])

    def area(seed):
        crop = RandomView((S, S), 1, FineTuneConfig(crop_scale=0.2))("a clip", seed)[0].int()
        width, height = ((channel.max() - channel.min()).item() for channel in crop[:2])
        assert 0.75 < width / height < 1.35
        return width * height / (130 * 73)

    areas = [area(seed) for seed in range(30)]
    assert 0.18 < min(areas) < 0.3 and 0.45 < max(areas) < 0.75, "the whole height at a ratio of 1.25 is 0.7"


def test_flips_only_where_asked_and_then_alike_in_all_frames(still):
    def darker_left(flip):
        view = RandomView((S, S), T, FineTuneConfig(flip=flip, crop_scale=1.0))
        pictures = torch.stack([view("a clip", seed) for seed in range(12)]).float()  # (12, T, 3, S, S)
        assert all(torch.equal(frame, clip[0]) for clip in pictures for frame in clip)
        return (pictures[..., : S // 4].mean((1, 2, 3, 4)) < pictures[..., -S // 4 :].mean((1, 2, 3, 4))).tolist()

    assert all(darker_left(flip=False))
    assert set(darker_left(flip=True)) == {False, True}


def test_neither_the_batch_nor_the_worker_decides_what_is_drawn(clip, manifest):
    def pixels(order, epoch=5, seed=7, workers=0):
        clips = Clips(manifest, clip, T, seed=seed, workers=workers)
        return torch.cat(list(clips.batches([torch.tensor(batch) for batch in order], epoch)))

    whole = pixels([[0, 1, 2, 3]])
    assert whole.shape == (4, T, 3, S, S) and whole.dtype == torch.float32
    torch.manual_seed(1)  # the global generator must not matter
    assert torch.equal(pixels([[2], [3, 0, 1]]), whole[[2, 3, 0, 1]])
    assert torch.equal(pixels([[2], [3, 0], [1]], workers=2), whole[[2, 3, 0, 1]])
    assert not torch.equal(pixels([[0, 1, 2, 3]], epoch=6), whole)
    assert not torch.equal(pixels([[0, 1, 2, 3]], seed=8), whole)


def test_no_two_of_clip_epoch_and_seed_share_a_draw():
    drawn = {module._seed(seed, epoch, clip) for seed in range(5) for epoch in range(20) for clip in range(50)}
    assert len(drawn) == 5 * 20 * 50


def test_pixels_have_the_mean_and_deviation_of_the_clip(clip, manifest, still):
    clips = Clips(manifest, clip, T, workers=0)
    (x,) = clips.batches([torch.tensor([1])], 0)
    expected = (clips.view("a clip", module._seed(0, 0, 1)) / 255 - 0.5) / 0.25  # as clip/small.json has them
    assert torch.allclose(x[0], expected, atol=1e-6)
    (centre,) = clips.centre_batches(torch.tensor([2]))
    assert still[-1][0] == "center"
    assert torch.equal(centre[0, 0], clip.preprocess(Image.fromarray(picture())))


def test_a_batch_may_be_empty_as_some_processes_of_many_have_nothing_left(clip, manifest):
    clips = Clips(manifest, clip, T, workers=0)
    empty, one = clips.batches([torch.tensor([], dtype=torch.long), torch.tensor([3])], 0)
    assert empty.shape == (0, T, 3, S, S) and one.shape == (1, T, 3, S, S)
    assert [x.shape for x in clips.centre_batches(torch.arange(0))] == [(0, T, 3, S, S)]


def test_labels_are_indices_into_the_classes(clip, manifest):
    assert manifest.classes == ("jump", "walk")
    assert label_indices(manifest).tolist() == Clips(manifest, clip, T).labels.tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_clip_that_cannot_be_read_is_named(clip, manifest, tmp_path, workers):
    rows = [{"id": "x", "path": "gone.mp4", "label": "walk", "split": "train"}]
    clips = Clips(read_manifest(write_manifest(tmp_path / "manifest.csv", rows)), clip, T, workers=workers)
    with pytest.raises(VideoError, match=r"gone\.mp4 is missing"):
        list(clips.batches([torch.tensor([0])], 0))
