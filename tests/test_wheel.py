"""An ordinary installation, from a wheel, has what lies beside the code in the repository, and works in any folder."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hmdb51_lists import clips_of, write_splits

from mgdmkit.resources import places, resource

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("data_manifests", "recipes", "notebooks", "results")


def packages() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]


def test_every_room_is_packed():
    rooms = {"mgdmkit"} | {f"mgdmkit.{path.parent.name}" for path in (ROOT / "mgdmkit").glob("*/__init__.py")}
    beside = (*FOLDERS, "notebooks.course")
    assert set(packages()["packages"]) == rooms | {f"mgdmkit.resources.{name}" for name in beside}


def test_every_file_that_a_checkout_reads_is_packed():
    patterns, names = packages()["package-data"], {"data_manifests": "*.csv *.json", "recipes": "*.toml"}
    for folder, kinds in {**names, "notebooks": "*.ipynb"}.items():
        packed = {path for line in patterns[f"mgdmkit.resources.{folder}"] for path in (ROOT / folder).glob(line)}
        there = {path for kind in kinds.split() for path in (ROOT / folder).rglob(kind)}
        assert {path for path in there if ".ipynb_checkpoints" not in path.parts} <= packed


def test_a_checkout_has_its_folders_at_the_top_and_an_installation_beside_the_code(tmp_path, monkeypatch):
    assert [resource(name) for name in FOLDERS] == [ROOT / name for name in FOLDERS]
    installed, above = tmp_path / "mgdmkit" / "resources", tmp_path / "recipes"
    monkeypatch.setattr(places, "HERE", installed)
    monkeypatch.setattr(places, "CHECKOUT", tmp_path)
    assert resource("recipes") == installed / "recipes", "neither is there: who reads it names the place"
    above.mkdir()
    assert resource("recipes") == above
    (installed / "recipes").mkdir(parents=True)
    assert resource("recipes") == installed / "recipes"


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The kit, built into a wheel from a copy of the tree and installed into a folder, without what it depends on."""
    root = tmp_path_factory.mktemp("wheel")
    source, site = root / "source", root / "site"
    source.mkdir()
    for name in ("mgdmkit", *FOLDERS):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", root, source, cwd=root)
    (wheel,) = root.glob("*.whl")
    run(*pip, "install", "--no-deps", "--no-index", "--target", site, wheel, cwd=root)
    return site


def run(*command: object, cwd: Path, **environment: object) -> str:
    env = {**os.environ, **{name: str(value) for name, value in environment.items()}}
    ended = subprocess.run(list(map(str, command)), cwd=cwd, env=env, capture_output=True, text=True, timeout=1800)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture
def mgdm(site, tmp_path):
    """`mgdm ...` of the installed kit, in an empty folder."""
    empty = tmp_path / "empty"
    empty.mkdir()

    def start(command: str) -> str:
        return run(sys.executable, "-m", "mgdmkit", *command.split(), cwd=empty, PYTHONPATH=site)

    where = run(sys.executable, "-c", "import mgdmkit; print(mgdmkit.__file__)", cwd=empty, PYTHONPATH=site)
    assert Path(where.strip()).is_relative_to(site)
    return start


@pytest.mark.slow
def test_official_lists_cards_recipes_and_costs_come_along(mgdm, tmp_path):
    splits, clip = write_splits(tmp_path), clips_of("kick")[0]
    (tmp_path / "videos" / "kick").mkdir(parents=True)
    (tmp_path / "videos" / "kick" / clip).write_bytes(b"a clip")
    mgdm(f"manifest hmdb51 --videos {tmp_path}/videos --annotations {splits} --out {tmp_path}/hmdb51.csv")
    assert Path(clip).stem in (tmp_path / "hmdb51.csv").read_text(encoding="utf-8")
    planned = mgdm(f"reproduce --table 2 --dry-run --out {tmp_path}/tables")
    assert "7-top" in planned and "without" not in planned
    assert "834.7" in mgdm("complexity")


@pytest.mark.slow
def test_the_notebooks_come_along(mgdm, tmp_path):
    """00 makes the data, and 03 reads committed results: what lies beside the notebooks has to be there, too."""
    out = tmp_path / "out"
    mgdm(f"notebooks --preset smoke --only 00,03 --out {out}")
    assert (out / "notebooks" / "03_paradigm_and_loss.ipynb").is_file()
