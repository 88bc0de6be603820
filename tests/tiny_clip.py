"""A model of open_clip so small that making it takes no time."""

import json

import open_clip
import pytest
from open_clip import factory

TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


@pytest.fixture(name="tiny")
def tiny_model(tmp_path, monkeypatch) -> str:
    """A registered open_clip model that is made in no time."""
    monkeypatch.setattr(factory, "_MODEL_CONFIG_PATHS", [*factory._MODEL_CONFIG_PATHS])
    monkeypatch.setattr(factory, "_MODEL_CONFIGS", {**factory._MODEL_CONFIGS})
    path = tmp_path / "Tiny-16.json"
    path.write_text(json.dumps(TINY))
    open_clip.add_model_config(path)
    return "Tiny-16"
