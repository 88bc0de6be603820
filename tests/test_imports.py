"""Who may import whom, read from the source of every module. A module that is not placed here fails."""

import ast
import re
import subprocess
import sys
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted(path.stem for path in (ROOT / "mgdmkit").glob("*.py"))
PLOTTING = {"matplotlib", "seaborn"}
NETWORKS = {"torch.nn", "open_clip", "timm"}


class Tier(NamedTuple):
    """Modules that share a rule. Patterns are those of fnmatch; `None` outside leaves other packages free."""

    members: tuple[str, ...]
    siblings: tuple[str, ...]
    outside: frozenset[str] | None = None
    forbidden: frozenset[str] = frozenset()


DATA = (
    *("config", "corpus", "exclusions", "judgements", "datasets", "recipes", "manifest", "manifest_*"),
    *("video", "playback", "stickactions", "stick_*"),
)
FEATURES = ("clip", "clip_weights", "small_clip", "features")
STORE = ("runfolder", "distributed")
METHOD = ("model", "loss", "mining", "reference")
TOGETHER = (
    *("optim", "pretrain", "train", "augment", "finetune"),
    *("inference", "evaluate", "official_split", "recognizer", "complexity", "pipeline", "inspection"),
    *("calibration", "experiments", "grids", "tables", "audit"),
    *("reproduce", "reproduce_data", "reproduce_plan", "reproduce_rows", "reproduce_tables"),
    *("reproduce_pages", "reproduce_settings"),
)

TIERS = [
    # Data can be read, made and checked without any network.
    Tier(DATA, siblings=DATA, forbidden=frozenset(NETWORKS | PLOTTING)),
    Tier(STORE, siblings=("config",), forbidden=frozenset(PLOTTING)),
    Tier(FEATURES, siblings=DATA + STORE + FEATURES, forbidden=frozenset(PLOTTING)),
    # The paper: each file can be read, and copied, alone; only tensors and indices pass between them.
    Tier(METHOD, siblings=("config",), outside=frozenset({"torch"})),
    Tier(TOGETHER, siblings=DATA + STORE + FEATURES + METHOD + TOGETHER, forbidden=frozenset(PLOTTING)),
    # Pictures are drawn from tables and arrays, whoever made them.
    Tier(("plots", "plot_*", "diagrams", "diagram_parts"), siblings=("plots", "plot_*", "diagram_parts")),
    # A figure of the paper from finished runs: here the two meet.
    Tier(("reproduce_figure",), siblings=(*DATA, *STORE, *FEATURES, *METHOD, *TOGETHER, "plots")),
    # The inspector: a picture of what is known, and controls around it.
    Tier(("widgets", "inspection_*"), siblings=(*DATA, *STORE, *FEATURES, *METHOD, *TOGETHER, "plots", "inspection_*")),
    # These must work, or say why not, where torch does not.
    Tier(("doctor",), siblings=(), forbidden=frozenset(PLOTTING)),
    Tier(("results_page", "headless"), siblings=("config", "results_page"), forbidden=frozenset(PLOTTING)),
    Tier(("__init__",), siblings=DATA + STORE + FEATURES + METHOD + TOGETHER, forbidden=frozenset(PLOTTING)),
    Tier(("__main__", "cli", "cli_*"), siblings=("*",), forbidden=frozenset(PLOTTING)),
]


def tier_of(module: str) -> Tier:
    tiers = [tier for tier in TIERS if matches(module, tier.members)]
    assert len(tiers) == 1, f"place mgdmkit/{module}.py in one tier of this file, found in {len(tiers)}"
    return tiers[0]


def matches(module: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(module, pattern) for pattern in patterns)


def imported_names(source: str) -> set[str]:
    """Dotted names a module imports, at its top or inside a function; `from a import b` gives `a.b`."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module if node.level == 0 else ".".join(filter(None, ["mgdmkit", node.module]))
            names |= {f"{base}.{alias.name}" for alias in node.names}
    return names


@cache
def imports(module: str) -> frozenset[str]:
    return frozenset(imported_names((ROOT / "mgdmkit" / f"{module}.py").read_text(encoding="utf-8")))


def sibling(name: str) -> str:
    """`mgdmkit.loss.f` is of `loss`; a name taken from the package itself comes from `__init__`."""
    parts = name.split(".")
    return parts[1] if len(parts) > 2 or parts[-1] in MODULES else "__init__"


def broken_rules(module: str, names: set[str] | frozenset[str]) -> list[str]:
    tier = tier_of(module)
    ours = {name for name in names if name.split(".")[0] == "mgdmkit"}
    others = {name for name in names - ours if name.split(".")[0] not in sys.stdlib_module_names}
    found = [f"sibling {name}" for name in ours if not matches(sibling(name), tier.siblings)]
    if tier.outside is not None:
        found += [f"package {name}" for name in others if name.split(".")[0] not in tier.outside]
    found += [name for name in others if any(f"{name}.".startswith(f"{bad}.") for bad in tier.forbidden)]
    return sorted(found)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_its_tier_may(module):
    assert broken_rules(module, imports(module)) == []


def test_a_module_that_has_no_place_is_refused():
    with pytest.raises(AssertionError, match=r"place mgdmkit/helpers\.py in one tier"):
        tier_of("helpers")


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        ("loss", "from mgdmkit.model import MGDM", ["sibling mgdmkit.model.MGDM"]),
        ("loss", "from . import model", ["sibling mgdmkit.model"]),
        ("loss", "from mgdmkit import MGDM", ["sibling mgdmkit.MGDM"]),
        ("loss", "import mgdmkit", ["sibling mgdmkit"]),
        ("loss", "import numpy as np", ["package numpy"]),
        ("loss", "def f():\n    import pandas", ["package pandas"]),
        ("loss", "import math\nimport torch.nn.functional as F\nfrom mgdmkit.config import check_choice", []),
        ("video", "from torch import nn", ["torch.nn"]),
        ("video", "import torch", []),
        ("train", "import matplotlib.pyplot as plt", ["matplotlib.pyplot"]),
        ("plots", "import seaborn", []),
        ("plots", "from mgdmkit.evaluation.scores import score", ["sibling mgdmkit.evaluation.scores.score"]),
    ],
)
def test_the_rules_catch_what_they_should(module, line, broken):
    assert broken_rules(module, imported_names(line)) == broken


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
