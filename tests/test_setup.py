"""One list of versions, said the same way by pip, make, conda and the continuous integration."""

import os
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import mgdmkit

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(autouse=True)
def outside_of_make(monkeypatch):
    """`make test` must not lend its own flags to the make that these tests start."""
    for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"):
        monkeypatch.delenv(name, raising=False)


needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def pins() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    parts = [line.split("==") for line in lines if line and not line.startswith("#")]
    assert all(len(part) == 2 for part in parts), "every line of constraints.txt is name==version"
    return {canonicalize_name(name): Version(version) for name, version in parts}


def requirements() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"].values()
    return [Requirement(line) for line in [*PROJECT["dependencies"], *(line for lines in extras for line in lines)]]


def dry_run(*arguments: str) -> str:
    command = ["make", "--dry-run", "--always-make", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=20).stdout


@pytest.mark.parametrize("requirement", requirements(), ids=lambda requirement: requirement.name)
def test_the_pinned_version_satisfies_the_project(requirement):
    # The lock is made on Linux, x86_64: what only other platforms install is not in it.
    here = {"sys_platform": "linux", "platform_machine": "x86_64", "extra": ""}
    if requirement.marker is None or requirement.marker.evaluate(here):
        assert requirement.specifier.contains(pins()[canonicalize_name(requirement.name)])
    else:
        assert canonicalize_name(requirement.name) not in pins()


def test_the_lock_says_how_it_is_made_and_holds_nothing_of_the_machine_that_made_it():
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert text.startswith("#") and "make lock" in text.splitlines()[0]
    assert not re.search(r"://| @ |^-|\+", re.sub(r"(?m)^#.*$", "", text), flags=re.MULTILINE)
    assert (pins()["torch"], pins()["torchvision"]) == (Version("2.14.1"), Version("0.29.1"))
    assert "mgdmkit" not in pins()


@needs_make
def test_conda_and_make_install_the_same():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    python, _, pip = environment["dependencies"]
    by_conda = [word for line in pip["pip"] for word in shlex.split(line)]
    (line,) = [line for line in dry_run("check").splitlines() if "pip install" in line]
    words = shlex.split(line)
    by_make = [word for word in words[words.index("install") + 1 :] if not word.startswith("--")]
    assert by_conda == by_make == ["-c", "constraints.txt", "-e", ".[notebooks,dev,site]"]
    assert environment["name"] == "mgdmkit" and environment["channels"] == ["conda-forge"]
    assert python.removeprefix("python=") in PROJECT["requires-python"]


TESTS = "OMP_NUM_THREADS=1 {py} -m pytest -n 2 --dist loadfile --no-loadscope-reorder"


@needs_make
@pytest.mark.parametrize(
    ("target", "last"),
    [
        (
            "demo",
            "{py} -m mgdmkit notebooks --preset demo --out runs/demo\n{py} docs/make_site.py --run runs/demo",
        ),
        ("site", "{py} docs/make_site.py --run runs/demo"),
        ("test", TESTS),
        ("check", f"{TESTS} -m 'not slow'"),
        ("lab", "{py} -m jupyterlab notebooks"),
    ],
)
def test_a_target_builds_the_environment_and_then_works(target, last):
    commands = dry_run(target).strip().splitlines()
    assert "\n".join(commands).endswith("\n" + last.format(py=".venv/bin/python"))
    install = next(n for n, command in enumerate(commands) if "pip install" in command)
    stamp = next(n for n, command in enumerate(commands) if command.endswith("> .venv/.ready"))
    removal = commands.index("rm -f .venv/.ready")
    assert removal < install < stamp < len(commands) - 1


@needs_make
def test_make_alone_lists_every_target():
    shown = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"make (\w+)", shown) == ["help", "demo", "site", "test", "check", "lab", "lock", "clean"]


@needs_make
def test_an_old_python_is_refused_with_advice(tmp_path):
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    old = tmp_path / "old-python"
    # What the version check evaluates, as Python 3.9 would see it.
    old.write_text(
        '#!/bin/sh\nexec python3 -c \'import sys; sys.version_info = (3, 9); sys.version = "3.9.0 (main)"\n\'"$2"\n'
    )
    old.chmod(0o755)
    command = ["make", "check", f"PYTHON={old}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=20)
    assert done.returncode != 0 and "needs Python 3.11.5 or newer" in done.stderr and "3.9.0" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_continuous_integration_runs_make_test():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text(encoding="utf-8").rstrip().splitlines()[-1] == "make test"
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0


def test_the_citation_names_this_version_and_the_paper():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0" and citation["type"] == "software" and citation["license"] == "MIT"
    assert citation["version"] == PROJECT["version"] == mgdmkit.__version__
    paper = citation["preferred-citation"]
    assert paper["doi"] == "10.11959/j.issn.1000-436x.2024268" and paper["year"] == 2024
    assert [author["family-names"] for author in paper["authors"]] == ["Liu", "Yang", "Xia", "Kuang"]
    assert f"## {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
