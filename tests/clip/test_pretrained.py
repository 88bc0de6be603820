"""A whole ViT-B-32 as its users meet it: a file of weights, or a tag whose weights lie in the cache; no network.

The weights are random. That they come back, with their activation and preprocessing, is what is shown.
"""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import open_clip
import pytest
import torch
from offline import offline  # noqa: F401
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from mgdmkit.clip.backbone import FrozenClip, load_clip
from mgdmkit.clip.weights import ClipWeightsError, activation_doubt
from mgdmkit.data.video import read_segments

NAME, TAG = "ViT-B-32", "openai"
TEXTS = ["This is a video about archery", "This is a video about surfing"]


class Saved(NamedTuple):
    """A ViT-B-32 with QuickGELU, as OpenAI's are, in memory and on disk."""

    model: nn.Module
    path: Path


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Saved:
    torch.manual_seed(0)
    model = open_clip.create_model(f"{NAME}-quickgelu").eval().requires_grad_(False)
    path = tmp_path_factory.mktemp("weights") / "open_clip_model.safetensors"
    save_file(model.state_dict(), path)
    return Saved(model, path)


@pytest.fixture(scope="module")
def clip(saved) -> FrozenClip:
    """The saved weights by their path."""
    return load_clip(f"{NAME}-quickgelu", str(saved.path))


def pictures() -> list[Image.Image]:
    """Noise from dark to light, wider than high."""
    noise = np.random.default_rng(0).integers(0, 80, (2, 240, 320, 3))
    return [Image.fromarray((150 * i + image).astype(np.uint8)) for i, image in enumerate(noise)]


def encode(clip: FrozenClip) -> list[torch.Tensor]:
    return [
        clip.encode_image(torch.stack([clip.preprocess(picture) for picture in pictures()])),
        clip.encode_text(TEXTS),
    ]


def equal(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_file_gives_the_features_of_the_model_that_was_saved(saved, clip):
    pixels = torch.stack([clip.preprocess(picture) for picture in pictures()])
    tokens = open_clip.get_tokenizer(NAME)(TEXTS)
    found = encode(clip)
    assert equal(found, [saved.model.encode_image(pixels), saved.model.encode_text(tokens)])
    assert clip.dim == 512 and found[0].shape == (2, 512)
    for features in found:
        assert features.std(dim=0).mean() > 1e-3, "features of different inputs that do not differ would prove nothing"


def test_preprocessing_and_features_of_a_real_frame_are_open_clip_s_own(saved, clip, shared_data):
    model, _, preprocess = open_clip.create_model_and_transforms(f"{NAME}-quickgelu", pretrained=str(saved.path))
    model.eval().requires_grad_(False)
    frame = Image.fromarray(read_segments(next((shared_data / "ucf101_6" / "Archery").glob("*.avi")), 1)[0])
    pixels = preprocess(frame)
    assert pixels.shape == (3, 224, 224) and pixels.std() > 0.1
    assert torch.equal(clip.preprocess(frame), pixels)
    assert torch.equal(clip.encode_image(pixels[None]), model.encode_image(pixels[None]))


def test_a_file_under_the_plain_name_is_refused_and_either_name_decides(saved, clip):
    """open_clip itself takes GELU without a word, and every feature is a little wrong."""
    with pytest.raises(
        ClipWeightsError,
        match=r"QuickGELU, as those of openai, .*metaclip_400m.*--clip ViT-B-32-quickgelu;.*--clip ViT-B-32-gelu",
    ) as told:
        load_clip(NAME, str(saved.path))
    assert activation_doubt(NAME, str(saved.path)) == str(told.value)
    assert activation_doubt(f"{NAME}-quickgelu", str(saved.path)) is None
    plain = load_clip(f"{NAME}-gelu", str(saved.path))
    assert (plain.name, plain.pretrained) == (f"{NAME}-gelu", str(saved.path))
    assert plain.fingerprint != clip.fingerprint
    model = open_clip.create_model(NAME).eval().requires_grad_(False)
    model.load_state_dict(saved.model.state_dict())
    pixels = torch.stack([plain.preprocess(picture) for picture in pictures()])
    tokens = open_clip.get_tokenizer(NAME)(TEXTS)
    assert equal(encode(plain), [model.encode_image(pixels), model.encode_text(tokens)])
    assert not any(torch.allclose(a, b, atol=1e-3) for a, b in zip(encode(plain), encode(clip), strict=True))


def test_a_tag_is_found_in_the_cache_without_network(saved, clip, offline):  # noqa: F811
    repository = open_clip.get_pretrained_cfg(NAME, TAG)["hf_hub"].strip("/")
    cached = offline / f"models--{repository.replace('/', '--')}"
    snapshot = cached / "snapshots" / "0123456789abcdef0123456789abcdef01234567"
    snapshot.mkdir(parents=True)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(snapshot.name)
    (snapshot / saved.path.name).symlink_to(saved.path)
    found = load_clip(NAME, TAG)
    assert equal(encode(found), encode(clip)), "with QuickGELU, though the name is the plain one"
    assert found.fingerprint == clip.fingerprint
    assert all(torch.equal(found.preprocess(picture), clip.preprocess(picture)) for picture in pictures())


def test_the_same_clip_as_a_folder_has_the_same_fingerprint(saved, clip, tmp_path):
    """A folder's JSON has lists where a tag has tuples; a fine-tuning that trains nothing of CLIP writes one."""
    held = clip.model.visual.preprocess_cfg
    preprocess = {name: held[name] for name in ("mean", "std", "interpolation", "resize_mode")}
    config = {"model_cfg": open_clip.get_model_config(f"{NAME}-quickgelu"), "preprocess_cfg": preprocess}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    (tmp_path / saved.path.name).symlink_to(saved.path)
    assert isinstance(preprocess["mean"], tuple)
    folder = load_clip(str(tmp_path))
    assert folder.fingerprint == clip.fingerprint
    assert equal(encode(folder), encode(clip))
