"""Training the small CLIP: it learns, it repeats and resumes to the bit, and it never sees a picture twice."""

import json
import math
from dataclasses import replace
from multiprocessing import active_children

import numpy as np
import pytest
import torch
from conftest import write_video
from narrow_clip import narrow_clip  # noqa: F401
from PIL import Image
from torch import nn
from torch.utils.data import Dataset

import mgdmkit.training.pretraining as module
from mgdmkit.clip import small
from mgdmkit.clip.backbone import FrozenClip
from mgdmkit.clip.small import CONFIG, TRAINING, new_small_clip
from mgdmkit.data.manifest import Manifest, read_manifest, write_manifest
from mgdmkit.data.video import VideoError
from mgdmkit.runs.folder import FolderError
from mgdmkit.stickactions.dataset import encode, render_still
from mgdmkit.training.pretraining import (
    CLASS_CAPTIONS,
    ClipStills,
    PretrainConfig,
    StickStills,
    chance_loss,
    contrastive_loss,
    normalise,
    pretrain,
)

SHORT = PretrainConfig(steps=5, batch_size=8, seed=1)
OF_CLIPS = replace(SHORT, batch_size=20)


def run(out, config=SHORT, stills=None, **options) -> FrozenClip:
    return pretrain(
        stills or StickStills(config), config, out, **{"device": "cpu", "workers": 0, "quiet": True, **options}
    )


def weights(clip: FrozenClip) -> torch.Tensor:
    return torch.cat([tensor.flatten() for tensor in clip.model.state_dict().values()])


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """The folder of an uninterrupted training of `SHORT`. Read only."""
    folder = tmp_path_factory.mktemp("clip") / "short"
    run(folder)
    return folder


def manifest_of(folder, clips: dict[str, str]) -> Manifest:
    """A manifest of training clips: file name -> label."""
    rows = [
        {"id": name, "path": (folder / name).as_posix(), "label": label, "split": "train"}
        for name, label in clips.items()
    ]
    return read_manifest(write_manifest(folder / "manifest.csv", rows))


class OneBatch(Dataset):
    """The same stills at every step: few steps can learn these by heart."""

    fingerprint = "one batch"

    def __init__(self, config):
        self.batch = StickStills(config)[0]

    def __getitem__(self, i):
        return self.batch


def test_a_few_steps_bring_stills_and_captions_together(tmp_path):
    config = PretrainConfig(steps=12, batch_size=12)
    stills = OneBatch(config)
    trained = run(tmp_path / "clip", config, stills)
    pictures, captions = stills.batch

    def loss(model):
        with torch.no_grad():
            return contrastive_loss(model.eval(), normalise(pictures), trained.tokenizer(captions)).item()

    before, after = loss(new_small_clip(config.seed)), loss(trained.model)
    assert abs(before - math.log(12)) < 1, "at first every pair is about as likely"
    assert after < 0.4 * before
    history = [json.loads(line) for line in (tmp_path / "clip" / "history.jsonl").read_text().splitlines()]
    assert [line["step"] for line in history] == [0, 11]
    assert history[0]["loss"] == pytest.approx(before, rel=0.01) and history[1]["loss"] < 0.5 * before
    assert all(0 < line["logit_scale"] <= 100 for line in history)


def test_the_first_steps_from_the_seed_are_those_of_the_clip_that_comes_with_the_kit(tmp_path, monkeypatch):
    monkeypatch.setattr(small, "CONFIG", CONFIG)
    record = json.loads(TRAINING.read_text(encoding="utf-8"))
    config = PretrainConfig.from_dict(record["config"])
    assert config == PretrainConfig() and record["stills"] == StickStills(config).fingerprint

    class FirstSteps(StickStills):
        def __getitem__(self, i):
            if i > 20:
                raise InterruptedError
            return super().__getitem__(i)

    monkeypatch.setattr(module, "CHECKPOINT_EVERY", 21)
    with pytest.raises(InterruptedError):
        run(tmp_path / "clip", config, FirstSteps(config))
    history = torch.load(tmp_path / "clip" / "checkpoint.pt", weights_only=True)["history"]
    assert [line["step"] for line in history] == [line["step"] for line in record["history"][:2]] == [0, 20]
    for line, recorded in zip(history, record["history"], strict=False):
        assert line["loss"] == pytest.approx(recorded["loss"], rel=2e-3), "another processor rounds otherwise"
        assert line["logit_scale"] == pytest.approx(recorded["logit_scale"], rel=1e-3)


def test_the_same_seed_gives_the_same_bits_whatever_the_global_generator(short, tmp_path):
    torch.manual_seed(99)
    again = run(tmp_path / "again")
    assert (tmp_path / "again" / "history.jsonl").read_bytes() == (short / "history.jsonl").read_bytes()
    other = run(tmp_path / "other", replace(SHORT, seed=2))
    assert torch.equal(weights(again), weights(run(short)))
    assert not torch.allclose(weights(again), weights(other))


def test_an_interrupted_training_ends_in_the_same_bits(short, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHECKPOINT_EVERY", 2)
    original, calls = module.contrastive_loss, []

    def stopped_at_the_fourth(*args):
        if len(calls) == 3:
            raise KeyboardInterrupt
        calls.append(1)
        return original(*args)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, "contrastive_loss", stopped_at_the_fourth)
        run(tmp_path / "clip")
    assert sorted(path.name for path in (tmp_path / "clip").iterdir()) == ["checkpoint.pt", "clip_training.json"]
    calls.clear()
    monkeypatch.setattr(module, "contrastive_loss", lambda *args: (calls.append(1), original(*args))[1])
    resumed = run(tmp_path / "clip")
    assert len(calls) == 3, "two of five steps were on disk"
    assert torch.equal(weights(resumed), weights(run(short)))
    assert (tmp_path / "clip" / "history.jsonl").read_bytes() == (short / "history.jsonl").read_bytes()
    assert sorted(path.name for path in (tmp_path / "clip").iterdir()) == [
        "clip_training.json",
        "history.jsonl",
        "open_clip_config.json",
        "open_clip_model.safetensors",
        "sha256.json",
    ]


def test_a_finished_training_is_loaded_not_repeated(short, monkeypatch):
    monkeypatch.setattr(module, "new_small_clip", lambda seed: pytest.fail("trained again"))
    before = {path.name: path.stat().st_mtime_ns for path in short.iterdir()}
    clip = run(short)
    assert before == {path.name: path.stat().st_mtime_ns for path in short.iterdir()}
    assert not clip.model.training and not any(parameter.requires_grad for parameter in clip.model.parameters())


def test_another_training_in_the_folder_is_refused(short, tmp_path):
    before = {path.name: path.read_bytes() for path in short.iterdir()}
    with pytest.raises(FolderError, match=r"config\.steps is 5 there, 6 here.*[Tt]ake another folder"):
        run(short, replace(SHORT, steps=6))
    for name in ("a.mp4", "b.mp4"):
        write_video(tmp_path / name, 5)
    stills = ClipStills(manifest_of(tmp_path, {"a.mp4": "walk", "b.mp4": "jump"}), OF_CLIPS)
    with pytest.raises(FolderError, match=r"stills is 'StickActions \d+' there, 'manifest [0-9a-f]+' here"):
        run(short, stills=stills)
    assert before == {path.name: path.read_bytes() for path in short.iterdir()}


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"batch_size": -1}, {"lr": 0.0}])
def test_a_wrong_configuration_names_the_field(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be positive, not"):
        PretrainConfig(**wrong)


class Given(nn.Module):
    """A CLIP whose features are given: rows of unit length, one per picture and one per caption."""

    def __init__(self, image_features, text_features, scale):
        super().__init__()
        self.image_features, self.text_features = torch.tensor(image_features), torch.tensor(text_features)
        self.logit_scale = torch.tensor(math.log(scale))

    def encode_image(self, pictures, normalize):
        assert normalize
        return self.image_features

    def encode_text(self, tokens, normalize):
        assert normalize
        return self.text_features


def test_equal_captions_are_positives_of_one_another():
    images = [[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]]
    texts = [[0.8, 0.6], [0.0, 1.0], [0.8, 0.6]]
    tokens = torch.tensor([[1, 5, 2], [1, 7, 2], [1, 5, 2]])  # the first and the last caption are one
    found = contrastive_loss(Given(images, texts, scale=4.0), torch.zeros(3, 3, 8, 8), tokens)
    # By hand: P is a softmax over each row of 4 * cosines, Q is 1/2 for each of two positives and 1 for one.
    logits = 4.0 * np.array(images) @ np.array(texts).T
    Q = np.array([[0.5, 0, 0.5], [0, 1, 0], [0.5, 0, 0.5]])
    entropy = np.array([-math.log(2), 0, -math.log(2)])  # sum of Q log Q of each row

    def kl(scores):
        log_p = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        return (entropy - (Q * log_p).sum(axis=1)).mean()

    assert found.item() == pytest.approx((kl(logits) + kl(logits.T)) / 2, rel=1e-5)
    apart = contrastive_loss(Given(images, texts, scale=4.0), torch.zeros(3, 3, 8, 8), torch.arange(9).view(3, 3))
    assert abs(found - apart) > 0.1, "were they three captions, the loss would be another"


def test_the_loss_by_guessing_is_that_of_a_model_that_finds_all_alike():
    tokens = torch.tensor([[1, 5, 2], [1, 7, 2], [1, 5, 2]])
    alike = Given([[1.0, 0.0]] * 3, [[1.0, 0.0]] * 3, scale=4.0)
    assert chance_loss(["a", "b", "a"]) == pytest.approx((2 * math.log(3 / 2) + math.log(3)) / 3)
    found = contrastive_loss(alike, torch.zeros(3, 3, 8, 8), tokens)
    assert found.item() == pytest.approx(chance_loss(["a", "b", "a"]), rel=1e-5)
    assert chance_loss(list("abcd") * 8) == pytest.approx(math.log(4)), "of equally many captions each"


def test_pictures_are_normalised_as_the_trained_clip_will_see_them(short):
    pictures = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 3, 64, 64)).astype(np.uint8))
    preprocess = run(short).preprocess
    expected = [preprocess(Image.fromarray(picture.permute(1, 2, 0).numpy())) for picture in pictures]
    assert torch.allclose(normalise(pictures), torch.stack(expected), atol=1e-6)


def test_stick_stills_are_a_function_of_seed_and_number_and_never_repeat():
    stills = StickStills(SHORT)
    pictures, captions = stills[3]
    assert pictures.shape == (8, 3, 64, 64) and pictures.dtype == torch.uint8 and len(captions) == 8
    assert torch.equal(pictures, stills[3][0]) and captions == stills[3][1]
    picture, caption = render_still("train", SHORT.seed, 3 * 8 + 1, 64)
    assert torch.equal(pictures[1], torch.from_numpy(picture).permute(2, 0, 1)) and caption in captions[1]
    seen = [picture.numpy().tobytes() for i in range(5) for picture in stills[i][0]]
    assert len(set(seen)) == len(seen) == 40
    assert not torch.equal(StickStills(replace(SHORT, seed=2))[3][0], pictures)


def test_no_frame_of_a_clip_is_shown_twice_in_the_same_way(tmp_path):
    for name in ("a.mp4", "b.mp4"):
        write_video(tmp_path / name, 48)
    stills = ClipStills(manifest_of(tmp_path, {"a.mp4": "walk", "b.mp4": "jump"}), OF_CLIPS)
    pictures = [picture for i in range(6) for picture in stills[i][0]]
    assert len({picture.numpy().tobytes() for picture in pictures}) == len(pictures) == 120
    assert pictures[0].shape == (3, 64, 64) and pictures[0].dtype == torch.uint8
    state = torch.get_rng_state()
    torch.manual_seed(5)
    again = [picture for i in range(6) for picture in stills[i][0]]
    torch.set_rng_state(state)
    assert all(torch.equal(a, b) for a, b in zip(pictures, again, strict=True)), "a function of (seed, i) alone"


def test_captions_hold_the_label_of_the_clip_that_is_shown(tmp_path):
    for name, colour in (("a.mp4", (200, 30, 30)), ("b.mp4", (30, 30, 200))):
        encode(np.full((12, 96, 128, 3), colour, np.uint8), tmp_path / name, fps=12)
    stills = ClipStills(manifest_of(tmp_path, {"a.mp4": "paint it red", "b.mp4": "paint it blue"}), OF_CLIPS)
    wordings = set()
    for i in range(12):
        pictures, captions = stills[i]
        assert len(pictures) == len(captions) == OF_CLIPS.batch_size
        for picture, caption in zip(pictures.float(), captions, strict=True):
            label = "paint it red" if picture[0].mean() > picture[2].mean() else "paint it blue"
            assert label in caption
            wordings.add(caption.replace(label, "{}"))
    assert len(wordings) > 1 and wordings <= set(CLASS_CAPTIONS)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_corrupt_clip_is_named_also_by_a_worker(tmp_path):
    for name in ("bad.mp4", "bad too.mp4"):
        (tmp_path / name).write_bytes(b"no video")
    stills = ClipStills(manifest_of(tmp_path, {"bad.mp4": "walk", "bad too.mp4": "jump"}), OF_CLIPS)
    with pytest.raises(VideoError) as caught:
        run(tmp_path / "clip", stills=stills, workers=1)
    assert str(caught.value).startswith(str(tmp_path / "bad")) and "Traceback" not in str(caught.value)
    assert active_children() == [], "the workers have ended, though the traceback is still held"


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_workers_do_not_change_the_training(short, tmp_path):
    assert torch.equal(weights(run(tmp_path / "clip", workers=2)), weights(run(short)))


def test_batches_of_one_caption_are_refused(tmp_path):
    for name in ("a.mp4", "b.mp4"):
        write_video(tmp_path / name, 5)
    two = manifest_of(tmp_path, {"a.mp4": "walk", "b.mp4": "jump"})
    with pytest.raises(ValueError, match=r"batch_size=16: 16 pictures of a batch are of one clip .* at least 17"):
        ClipStills(two, replace(SHORT, batch_size=16))
    assert any(len(set(ClipStills(two, replace(SHORT, batch_size=17))[i][1])) == 2 for i in range(9))
    with pytest.raises(ValueError, match=r"its clips are all of 'walk'; captions of two classes are needed"):
        ClipStills(manifest_of(tmp_path, {"a.mp4": "walk", "b.mp4": "walk"}), OF_CLIPS)
    with pytest.raises(ValueError, match=r"batch_size=1: .* at least 2"):
        StickStills(replace(SHORT, batch_size=1))
