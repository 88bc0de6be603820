"""A machine without network, for the tests of weights that are, or are not, in its cache."""

import socket
from pathlib import Path

import pytest
from huggingface_hub import constants

import mgdmkit.clip.backbone


@pytest.fixture
def offline(tmp_path, monkeypatch) -> Path:
    """No network, a home without anything and an empty cache, whose folder is returned; a connection fails the test."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.setattr(mgdmkit.clip.backbone, "getproxies", dict)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)

    def unreachable(*args, **options):
        raise OSError("Network is unreachable")

    monkeypatch.setattr(socket, "create_connection", unreachable)
    monkeypatch.setattr(socket.socket, "connect", lambda *args: pytest.fail("the network was touched"))
    return tmp_path / "cache"
