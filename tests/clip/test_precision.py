"""Encoding in half precision: close to fp32, float32 on disk, and never mixed with it in a folder."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import write_video
from narrow_clip import narrow_clip  # noqa: F401
from torch.nn import functional as F

from mgdmkit.cli.data import features
from mgdmkit.clip.backbone import FrozenClip, load_clip
from mgdmkit.clip.features import corpus_texts, encode_texts, load_features
from mgdmkit.clip.small import new_small_clip, save_small_clip
from mgdmkit.data.manifest import write_manifest
from mgdmkit.runs.folder import FolderError

TEXTS = ["open a door", "close a door", "jump"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A small CLIP with fresh weights on disk. Read only."""
    return save_small_clip(new_small_clip(0), tmp_path_factory.mktemp("clip") / "small").parent


@pytest.fixture(scope="module")
def clip(folder) -> FrozenClip:
    return load_clip(str(folder))


@pytest.fixture
def manifest(tmp_path) -> Path:
    rows = [
        {"id": label, "path": write_video(tmp_path / f"{label}.mp4", 9).as_posix(), "label": label, "split": "train"}
        for label in ("walk", "jump")
    ]
    return write_manifest(tmp_path / "manifest.csv", rows)


def encode(clip: FrozenClip) -> list[torch.Tensor]:
    pictures = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    return [clip.encode_image(pictures), clip.encode_text(TEXTS)]


def assert_near_but_not_equal(half: torch.Tensor, full: torch.Tensor):
    assert half.dtype == full.dtype == torch.float32
    assert not torch.equal(half, full)
    assert F.cosine_similarity(half, full, dim=-1).min() > 0.99


def test_bf16_is_near_fp32_and_leaves_the_weights(clip):
    half = replace(clip, precision="bf16")
    for low, full in zip(encode(half), encode(clip), strict=True):
        assert_near_but_not_equal(low, full)
    assert {parameter.dtype for parameter in clip.model.parameters()} == {torch.float32}
    assert all(torch.equal(again, full) for again, full in zip(encode(clip), encode(clip), strict=True))


def test_a_clip_is_loaded_in_a_precision(clip, folder):
    half = load_clip(str(folder), precision="bf16")
    assert all(torch.equal(a, b) for a, b in zip(encode(half), encode(replace(clip, precision="bf16")), strict=True))
    assert half.fingerprint == clip.fingerprint, "the same weights"


def test_precisions_that_can_not_be_are_refused(folder):
    with pytest.raises(ValueError, match="precision='fp16' needs a CUDA device, not cpu; choose 'bf16' or 'fp32'"):
        load_clip(str(folder), precision="fp16")
    with pytest.raises(ValueError, match="precision='half' is not an option; choose one of 'fp32', 'bf16', 'fp16'"):
        load_clip(str(folder), precision="half")


def test_a_feature_folder_keeps_to_its_precision(folder, manifest, tmp_path):
    asked = {"manifest": manifest, "clip": str(folder), "frames": 2, "workers": 0, "device": "cpu"}
    for precision in ("fp32", "bf16"):
        features(out=tmp_path / precision, precision=precision, **asked)
    full, half = load_features(tmp_path / "fp32"), load_features(tmp_path / "bf16")
    assert_near_but_not_equal(half.frame_features[:], full.frame_features[:])
    assert_near_but_not_equal(half.text_features, full.text_features)
    recipes = [json.loads((tmp_path / name / "features.json").read_text()) for name in ("fp32", "bf16")]
    assert recipes[0]["precision"] == "fp32" and {**recipes[0], "precision": "bf16"} == recipes[1]
    for there, here in (("fp32", "bf16"), ("bf16", "fp32")):
        before = (tmp_path / there / "frames-00000.safetensors").read_bytes()
        with pytest.raises(FolderError, match=f"{there} holds something else: precision is .*Take another folder"):
            features(out=tmp_path / there, precision=here, **asked)
        assert (tmp_path / there / "frames-00000.safetensors").read_bytes() == before


def test_labels_that_are_encoded_later_get_the_folder_s_precision(clip, folder, manifest, tmp_path):
    features(manifest=manifest, clip=str(folder), out=tmp_path / "f", frames=2, workers=0, precision="bf16")
    encode_texts(tmp_path / "f", ["sit"], clip)
    found = corpus_texts(tmp_path / "f", ["sit"]).text_features[-1:]
    sentence = ["This is a video about sit"]
    assert torch.equal(found, replace(clip, precision="bf16").encode_text(sentence))
    assert not torch.equal(found, clip.encode_text(sentence))


def test_attention_is_torch_s_own(clip, monkeypatch):
    """As the docstring of clip/backbone.py says: no tower writes its attention matrix out in Python."""
    calls = []

    def counted(owner, name):
        original = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *args, **named: (calls.append(name), original(*args, **named))[1])

    counted(F, "scaled_dot_product_attention")
    counted(torch, "_native_multi_head_attention")
    image_blocks, text_blocks = len(clip.model.visual.transformer.resblocks), len(clip.model.transformer.resblocks)
    encode(clip)
    assert calls == ["_native_multi_head_attention"] * image_blocks + ["scaled_dot_product_attention"] * text_blocks
    calls.clear()
    encode(replace(clip, precision="bf16"))
    assert calls == ["scaled_dot_product_attention"] * (image_blocks + text_blocks)
