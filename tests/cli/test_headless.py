"""The headless runner on tiny notebooks: strict on parameters, clear on failures."""

import json
import re
import sys
from pathlib import Path

import nbformat
import pytest

from mgdmkit.cli.headless import (
    NotebookError,
    check_parameters,
    choose,
    duration,
    notebook_state,
    run_all,
    run_notebook,
)
from mgdmkit.files import write_text_atomic

SETTINGS = 'preset: str = "demo"  # size\nroot: str = "../runs/demo"\nseed: int = 3\nrate: float = 0.1\nsteps = 5'


def make_notebook(path: Path, *sources: str, settings: str = SETTINGS, tagged: bool = True) -> Path:
    cells = [nbformat.v4.new_markdown_cell("# A title"), nbformat.v4.new_code_cell(settings)]
    if tagged:
        cells[1].metadata["tags"] = ["parameters"]
    cells += [nbformat.v4.new_code_cell(source) for source in sources]
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": spec})
    notebook.metadata["language_info"] = {"name": "python"}
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"sede": 1}, r"no parameter 'sede'; it knows preset, rate, root, seed, steps"),
        ({"seed": "1"}, r"seed is declared as int, got '1' \(str\)"),
        ({"seed": True}, r"seed is declared as int, got True \(bool\)"),
        ({"steps": 2.5}, r"steps is declared as int"),
        ({"preset": None}, r"preset is declared as str"),
        ({"rate": "fast"}, r"rate is declared as float"),
    ],
)
def test_wrong_parameters_are_refused_before_anything_runs(tmp_path, parameters, message):
    source = make_notebook(tmp_path / "01_a.ipynb", "open('trace', 'w')")
    with pytest.raises(ValueError, match=message):
        run_notebook(source, tmp_path / "out.ipynb", parameters)
    assert not (tmp_path / "trace").exists() and not (tmp_path / "out.ipynb").exists()


def test_a_whole_number_is_a_float_and_all_declared_names_pass(tmp_path):
    source = make_notebook(tmp_path / "01_a.ipynb")
    check_parameters(source, {"rate": 1, "seed": 0, "steps": 7, "preset": "smoke"})
    with pytest.raises(ValueError, match="rate is declared as float, got True"):
        check_parameters(source, {"rate": True})


def test_a_notebook_without_settings_or_without_a_file_is_refused(tmp_path):
    source = make_notebook(tmp_path / "01_a.ipynb", tagged=False)
    with pytest.raises(ValueError, match="no cell tagged `parameters`"):
        check_parameters(source, {})
    with pytest.raises(FileNotFoundError, match=r"02_b\.ipynb: no such notebook"):
        check_parameters(tmp_path / "02_b.ipynb", {})


def test_a_notebook_runs_in_its_folder_with_this_interpreter_and_inline_pictures(tmp_path, monkeypatch):
    # A kernel spec of the same name that would start something else, and a backend without pictures.
    spec = tmp_path / "jupyter" / "kernels" / "python3" / "kernel.json"
    write_text_atomic(spec, json.dumps({"argv": ["/nonexistent/python"], "display_name": "x", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("MPLBACKEND", "Agg")
    source = make_notebook(
        tmp_path / "nb" / "01_a.ipynb",
        "import os, sys\nfrom pathlib import Path\nprint(sys.executable, Path.cwd().name, preset, seed)",
        "print(os.environ['MPLBACKEND'])",
    )
    output = run_notebook(source, tmp_path / "out" / "01_a.ipynb", {"preset": "smoke"})
    texts = [c.outputs[0].text for c in nbformat.read(output, 4).cells if c.cell_type == "code" and c.outputs]
    assert texts == [f"{sys.executable} nb smoke 3\n", "module://matplotlib_inline.backend_inline\n"]
    assert notebook_state(output)[0] == "ok"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("values = [1]\nvalues[4]", r"IndexError: list index out of range"),
        ("import os\nos._exit(1)", r"DeadKernelError"),
        ("import sys\nsys.exit(0)", r"asked to exit before the last cell"),
    ],
)
def test_a_failing_cell_is_named_by_its_number_in_the_source(tmp_path, source, message):
    notebook = make_notebook(tmp_path / "01_a.ipynb", "1 + 1", source, "2 + 2")
    output = tmp_path / "out.ipynb"
    with pytest.raises(NotebookError, match=message) as caught:
        run_notebook(notebook, output, {"preset": "smoke"})
    assert "01_a.ipynb, cell 4" in str(caught.value) and str(output) in str(caught.value)
    assert notebook_state(output)[0] == "failed"


def test_run_all_keeps_the_order_goes_on_after_a_failure(tmp_path, capsys):
    folder, out = tmp_path / "notebooks", tmp_path / "runs"
    trace = "with open(root + '/trace', 'a') as file:\n    file.write(preset + '{} ')"
    make_notebook(folder / "02_b.ipynb", trace.format(2), "raise RuntimeError('this one fails')")
    make_notebook(folder / "01_a.ipynb", trace.format(1))
    make_notebook(folder / "03_c.ipynb", trace.format(3))
    make_notebook(folder / "draft.ipynb", trace.format(4))
    out.mkdir()
    with pytest.raises(NotebookError, match=r"02_b\.ipynb, cell 4 .*\n  RuntimeError: this one fails"):
        run_all(folder, out, "smoke")
    assert sorted((out / "trace").read_text().split()) == ["smoke1", "smoke2", "smoke3"]  # two at once
    lines = capsys.readouterr().out.splitlines()
    assert [re.sub(r"[\d.]+ s$", "T", line) for line in lines] == [
        "[1/3] 01_a: ok, T",
        "[2/3] 02_b: FAILED, T",
        "[3/3] 03_c: ok, T",
    ]
    executed = out / "notebooks"
    assert "this one fails" in (executed / "02_b.ipynb").read_text()
    assert [notebook_state(path)[0] for path in sorted(executed.iterdir())] == ["ok", "failed", "ok"]
    assert run_all(folder, out, "smoke", only=["03"]) == executed


def test_run_all_checks_every_notebook_before_the_first_one_runs(tmp_path):
    make_notebook(tmp_path / "01_a.ipynb", "open('trace', 'w')")
    make_notebook(tmp_path / "02_b.ipynb", settings="preset: str = 'demo'")
    with pytest.raises(ValueError, match=r"02_b\.ipynb has no parameter 'root'"):
        run_all(tmp_path, tmp_path / "out")
    assert not (tmp_path / "trace").exists()


def test_choosing_notebooks(tmp_path):
    paths = [tmp_path / name for name in ("01_a.ipynb", "02_b.ipynb", "03_c.ipynb")]
    assert choose(paths, None, tmp_path) == paths
    assert choose(paths, ["03", "01_a.ipynb"], tmp_path) == [paths[0], paths[2]]
    with pytest.raises(ValueError, match="no notebook is called 04; there are 01_a, 02_b, 03_c"):
        choose(paths, ["01", "04"], tmp_path)
    with pytest.raises(FileNotFoundError, match="no notebooks named like"):
        choose([], None, tmp_path)


@pytest.mark.parametrize(("seconds", "text"), [(8.44, "8.4 s"), (125, "2 min 05 s"), (3725, "1 h 02 min")])
def test_durations_are_readable(seconds, text):
    assert duration(seconds) == text
