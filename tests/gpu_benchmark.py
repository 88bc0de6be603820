"""`benchmarks/gpu.py` as a module, for the tests of the benchmark and those that need a GPU."""

import importlib
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"

with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(BENCHMARKS))
    gpu = importlib.import_module("gpu")
