"""The doctor: right where all is well, and clear about each illness it knows."""

import json
import sys
from importlib import metadata
from pathlib import Path

import pytest
from huggingface_hub import constants

from mgdmkit.cli import doctor
from mgdmkit.cli.doctor import Check


def only(checks, name: str) -> Check:
    return next(check for check in checks if check.name.startswith(name))


def test_this_environment_is_healthy(capsys):
    checks = doctor.report()
    assert [check for check in checks if check.status == "fail"] == []
    assert {"python", "torch", "torchvision", "av", "processor", "disk"} <= {check.name for check in checks}
    assert only(checks, "torch").found == metadata.version("torch")
    assert "frame by frame" in only(checks, "PyAV").found
    assert doctor.print_report(checks) == 0
    assert "0 to mend" in capsys.readouterr().out


def test_a_failure_is_printed_with_its_advice_and_sets_the_exit_code(capsys):
    assert doctor.print_report([Check("disk", "fail", "0 GB", "Free some."), Check("av", "ok", "18")]) == 1
    assert capsys.readouterr().out.startswith("FAIL  disk  0 GB\n            -> Free some.\nok    av    18\n")


def test_torchvision_of_another_build_is_explained(monkeypatch):
    def importing(name: str):
        if name == "torchvision":
            raise RuntimeError("operator torchvision::nms does not exist\nmore")
        return __import__(name)

    monkeypatch.setattr(doctor, "import_module", importing)
    (check,) = doctor.torch_builds()
    assert (check.status, check.found) == ("fail", "RuntimeError: operator torchvision::nms does not exist")
    assert "builds of the same release" in check.advice and "constraints.txt" in check.advice


def test_the_report_survives_a_broken_torch(monkeypatch):
    def importing(name: str):
        if name in ("torch", "decord"):
            raise OSError(f"lib{name}.so: cannot open")
        return __import__(name)

    monkeypatch.setattr(doctor, "import_module", importing)
    failed = {check.name: check for check in doctor.report() if check.status == "fail"}
    assert set(failed) == {"import torch", "device", "decord"}
    assert all("libtorch.so" in failed[name].found for name in ("import torch", "device"))
    assert all(check.advice for check in failed.values())


def test_missing_and_old_packages(monkeypatch):
    lines = ["here>=1", "old>=2", "gone>=1", 'lab>=4; extra == "notebooks"', 'no; sys_platform == "none"']
    versions = {"here": "1.5", "old": "1.9"}

    def version(name: str) -> str:
        if name not in versions:
            raise metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(doctor.metadata, "requires", lambda _: lines)
    monkeypatch.setattr(doctor.metadata, "version", version)
    checks = {check.name: check for check in doctor.packages()}
    assert {name: check.status for name, check in checks.items()} == {
        "here": "ok",
        "old": "fail",
        "gone": "fail",
        "lab": "warn",
    }
    assert checks["old"].found == "1.9, but >=2 is needed"
    assert "[notebooks]" in checks["lab"].advice


def test_a_decoder_that_gives_the_wrong_frame_is_caught():
    assert doctor._decoded("x", [61.0, 189.0]).status == "ok"
    assert doctor._decoded("x", [61.0, 61.0]).status == "fail"
    assert doctor._decoded("x", [61.0]).status == "fail"


@pytest.mark.parametrize(("free", "status"), [(10e9, "ok"), (1e9, "warn"), (1e8, "fail")])
def test_little_disk_is_reported(monkeypatch, free, status):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: type("Usage", (), {"free": free}))
    (check,) = doctor.disk()
    assert check.status == status and (check.advice != "") == (status != "ok")


def test_clip_weights_are_found_where_the_environment_puts_them(monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert [check.found[:4] for check in doctor.weights()] == ["none"]

    blobs = tmp_path / "hub" / "models--laion--CLIP-ViT-B-32" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / "aa").write_bytes(bytes(3_000_000))
    (blobs / "bb.incomplete").write_bytes(bytes(10))
    single = tmp_path / ".cache" / "clip" / "ViT-B-32.pt"
    single.parent.mkdir(parents=True)
    single.write_bytes(bytes(2_000_000))
    checks = list(doctor.weights())
    assert [check.found for check in checks[:2]] == ["laion/CLIP-ViT-B-32, 3 MB", f"{single}, 2 MB"]
    assert [check.status for check in checks] == ["ok", "ok", "warn"]


def test_a_kernel_of_another_interpreter_is_noticed(monkeypatch, tmp_path):
    assert [check.status for check in doctor.kernel()] == ["ok"]
    spec = tmp_path / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text(json.dumps({"argv": ["/other/python"], "display_name": "x", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    (check,) = doctor.kernel()
    assert check.status == "warn" and "/other/python" in check.found
    assert check.advice.startswith(sys.executable)
