"""open_clip, loaded when it is first used: it takes three seconds with torchvision, of no use to cached features."""

from importlib import import_module
from typing import Any


class _Later:
    def __getattr__(self, name: str) -> Any:
        return getattr(import_module("open_clip"), name)


open_clip: Any = _Later()
