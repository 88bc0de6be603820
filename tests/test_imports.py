"""Who may import whom, read from the source of every module. A room that is not placed here fails."""

import ast
import graphlib
import importlib
import json
import re
import runpy
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parent.parent
drawn = SimpleNamespace(**runpy.run_path(str(ROOT / "benchmarks" / "rooms.py")))
room_of, imported_names, imports, imported_module = (
    getattr(drawn, name) for name in ("room_of", "imported_names", "imports", "imported_module")
)
FLOORS = (
    ("files", "resources"),
    ("config", "pool"),
    ("loss", "mining", "model", "reference", "plots"),
    ("inference",),
    ("runs",),
    ("data", "stickactions"),
    ("clip",),
    ("evaluation",),
    ("training",),
    ("experiments",),
    ("inspector", "replication"),
    ("cli",),
)
"""From the ground up: a room imports itself and what is on the floors below it, and no neighbour."""
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
# The paper: each file can be read, and copied, alone; only tensors and indices pass between them.
METHOD = {"loss", "mining", "model", "reference"}
# Pictures are drawn from tables and arrays, whoever made them; and only these draw.
DRAWN_BY = {"plots", "inspector", "replication.figure"}
# Data can be read, made and checked without any network.
WITHOUT_NETWORKS = {"data", "stickactions"}
# These must work, or say why not, where torch does not: the check of the machine, and the notebooks' page.
ALONE = {
    "cli.doctor": set(),
    "cli.verify": {"files", "cli.doctor"},
    "cli.headless": {"files", "pool"},
}
PLOTTING = {"matplotlib", "seaborn", "mgdmkit.plots"}
NETWORKS = {"torch.nn", "open_clip", "timm"}


def under(name: str, places: set[str]) -> bool:
    return any(f"{name}.".startswith(f"{place}.") for place in places)


def broken_rules(module: str, names: set[str] | frozenset[str]) -> list[str]:
    ours = {name for name in names if room_of(name) == "mgdmkit"}
    others = {name for name in names - ours if room_of(name) not in sys.stdlib_module_names}
    found = [name for name in ours if not may_import(module, imported_module(name))]
    if room_of(module) in METHOD:
        found += [name for name in others if room_of(name) != "torch"]
    if not under(module, DRAWN_BY):
        found += [name for name in names if under(name, PLOTTING)]
    if under(module, WITHOUT_NETWORKS):
        found += [name for name in others if under(name, NETWORKS)]
    return sorted(set(found))


def may_import(module: str, other: str) -> bool:
    if module in ALONE:
        return other in ALONE[module]
    room, from_room = room_of(module), room_of(other)
    if module == "__main__":
        return from_room == "cli"
    assert room in FLOOR, f"place mgdmkit/{room} on a floor of this file"
    if room in METHOD:
        return other in ("config", "files")
    if room == "plots":
        return from_room in ("plots", "files")
    return from_room == room or FLOOR.get(from_room, len(FLOORS)) < FLOOR[room]


@pytest.mark.parametrize("module", [module for module in drawn.MODULES if module != "__init__"])
def test_a_module_imports_only_what_is_below_it(module):
    assert broken_rules(module, imports(module)) == []


def test_the_package_itself_imports_nothing_before_it_is_asked():
    assert {name for name in imports("__init__") if room_of(name) not in sys.stdlib_module_names} == set()


def test_every_floor_is_there():
    assert set(drawn.imported_rooms()) == set(FLOOR)


def test_a_module_that_has_no_place_is_refused():
    with pytest.raises(AssertionError, match=r"place mgdmkit/helpers on a floor"):
        broken_rules("helpers", {"mgdmkit.config"})


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        ("loss", "from mgdmkit.model import MGDM", ["mgdmkit.model.MGDM"]),
        ("loss", "from . import model", ["mgdmkit.model"]),
        ("loss", "from mgdmkit import MGDM", ["mgdmkit.MGDM"]),
        ("loss", "import mgdmkit", ["mgdmkit"]),
        ("loss", "import numpy as np", ["numpy"]),
        ("loss", "def f():\n    import pandas", ["pandas"]),
        ("loss", "import math\nimport torch.nn.functional as F\nfrom mgdmkit.config import check_choice", []),
        ("data.video", "from torch import nn", ["torch.nn"]),
        ("data.video", "import torch", []),
        ("data.video", "from mgdmkit.stickactions import generate", ["mgdmkit.stickactions.generate"]),
        ("training.loop", "import matplotlib.pyplot as plt", ["matplotlib.pyplot"]),
        ("training.loop", "from mgdmkit import plots", ["mgdmkit.plots"]),
        ("training.loop", "from mgdmkit.experiments import prepare", ["mgdmkit.experiments.prepare"]),
        ("training.loop", "from mgdmkit.evaluation import score", []),
        ("plots.space", "import seaborn", []),
        ("plots.space", "from mgdmkit.evaluation.scores import score", ["mgdmkit.evaluation.scores.score"]),
        ("cli.doctor", "from mgdmkit import config", ["mgdmkit.config"]),
    ],
)
def test_the_rules_catch_what_they_should(module, line, broken):
    assert broken_rules(module, imported_names(line)) == broken


def test_the_picture_is_that_of_the_imports():
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert page == drawn.with_picture(page), "run: python benchmarks/rooms.py --write CONTRIBUTING.md"
    graph = page.partition("```mermaid\ngraph TD\n")[2].partition("```\n")[0].splitlines()
    assert graph and [line for line in graph if not re.fullmatch(r"    [a-z]+( --> [a-z]+)?", line)] == []


def test_the_picture_leaves_out_what_other_arrows_imply_and_nothing_else():
    needs = {"top": {"left", "right", "ground"}, "left": {"ground"}, "right": set(), "ground": set()}
    assert drawn.direct(needs) == {"ground": set(), "right": set(), "left": {"ground"}, "top": {"left", "right"}}
    with pytest.raises(graphlib.CycleError):
        drawn.direct({"a": {"b"}, "b": {"a"}})


def test_a_page_without_a_place_for_the_picture_is_refused():
    with pytest.raises(ValueError, match="put these two lines"):
        drawn.with_picture("# A page\n")


@pytest.mark.parametrize("rest", ["Axes: b.", "`model.py` keeps"])
def test_an_abbreviation_does_not_end_a_sentence(rest):
    assert drawn.first_sentence(f"The loss (eq. 5-9):\ntwo terms. {rest}") == "The loss (eq. 5-9): two terms."


def test_no_tracked_file_names_a_folder_of_someones_machine():
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: there is no list of tracked files")
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    # What comes before tells a home from a part of an address. The place of this checkout counts, too.
    private = rb"(?<![\w.>})])/(?:home|root|Users)/\w"
    if len(ROOT.parts) > 2:
        private += b"|" + re.escape(bytes(ROOT))
    files = [ROOT / name for name in tracked.decode().split("\0") if name]
    found = [path.name for path in files if path.is_file() and re.search(private, path.read_bytes())]
    assert found == []


def code_of(path: Path) -> str:
    if path.suffix == ".py":
        return path.read_text(encoding="utf-8")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    lines = [line for cell in cells if cell["cell_type"] == "code" for line in "".join(cell["source"]).splitlines()]
    return "\n".join(line for line in lines if not line.startswith(("%", "!")))


def test_what_lessons_and_benchmarks_take_from_the_package_is_there():
    """Benchmarks that take hours are run by no test, and some cells of a lesson only by its largest preset."""
    lessons = [*(ROOT / "notebooks").rglob("*.ipynb"), *(ROOT / "notebooks/course").glob("*.py")]
    for path in [*lessons, *(ROOT / "benchmarks").glob("*.py")]:
        tree, modules = ast.parse(code_of(path)), {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mgdmkit"):
                for name in (alias.name for alias in node.names):
                    home = importlib.import_module(node.module)
                    found = getattr(home, name, None) or importlib.import_module(f"{node.module}.{name}")
                    if isinstance(found, ModuleType):
                        modules[name] = found
        own = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id not in own:
                module = modules.get(node.value.id)
                assert module is None or hasattr(module, node.attr), (path, ast.unparse(node))
