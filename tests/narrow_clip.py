"""The small CLIP made narrow: the same D and the same pictures, but a tenth of the weights to write to disk."""

import json
from pathlib import Path

import pytest

import mgdmkit.clip.small


def narrow(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let the kit take a narrow configuration, written to `folder`, for the small CLIP's."""
    config = json.loads(mgdmkit.clip.small.CONFIG.read_text(encoding="utf-8"))
    config["model_cfg"]["vision_cfg"] |= {"layers": 1, "width": 64}
    config["model_cfg"]["text_cfg"] |= {"layers": 1, "width": 16, "heads": 2}
    path = folder / "narrow_clip.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    patch.setattr(mgdmkit.clip.small, "CONFIG", path)


@pytest.fixture(scope="module", autouse=True)
def narrow_clip(tmp_path_factory):
    """For all tests of the files that import it."""
    with pytest.MonkeyPatch.context() as patch:
        narrow(patch, tmp_path_factory.mktemp("configuration"))
        yield
