"""The numbered notebooks: their form, which readers and papermill rely on, and one run of all at their smallest."""

import ast
import re
import statistics
from functools import cache
from pathlib import Path

import nbformat
import pytest
from conftest import write_video

from mgdmkit.cli.headless import notebook_state, run_all, run_notebook

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("[0-9][0-9]_*.ipynb"))

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@cache
def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def code_cells(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def markdown(path: Path) -> str:
    return "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")


def test_there_are_notebooks_and_the_first_is_where_to_start():
    assert NOTEBOOKS and NOTEBOOKS[0].stem == "00_start_here"


@each_notebook
def test_a_kernel_and_a_language_are_named(path):
    nbformat.validate(read(path))
    assert read(path).metadata.kernelspec.name == "python3"
    assert read(path).metadata.language_info.name == "python"


@each_notebook
def test_the_first_code_cell_holds_the_parameters_as_annotated_literals(path):
    tagged = [cell for cell in code_cells(path) if "parameters" in cell.metadata.get("tags", [])]
    assert tagged == code_cells(path)[:1]
    declared = {}
    for line in ast.parse(tagged[0].source).body:
        assert isinstance(line, ast.AnnAssign), f"not an annotated parameter: {ast.unparse(line)}"
        declared[line.target.id] = ast.literal_eval(line.value)
    assert declared["preset"] == "demo" and declared["root"] == "../runs/demo"


@each_notebook
def test_nothing_of_a_run_is_stored(path):
    assert all(not cell.outputs and cell.execution_count is None for cell in code_cells(path))
    assert not set(read(path).metadata) & {"papermill", "widgets"}


@each_notebook
def test_one_idea_a_cell(path):
    sizes = [len(cell.source.splitlines()) for cell in code_cells(path)]
    assert 8 <= len(sizes) <= 30
    assert 1 <= min(sizes) and max(sizes) <= 20 and statistics.median(sizes) <= 6


@each_notebook
def test_lines_fit_the_screen(path):
    assert max(len(line) for cell in read(path).cells for line in cell.source.splitlines() if "|" not in line) <= 100


@each_notebook
def test_each_exercise_has_minutes_and_a_cell_for_the_answer(path):
    for number in range(1, 5):
        assert re.search(rf"^{number}\. \*\*\w+\.\*\* \(\d+ min\)", markdown(path), re.MULTILINE)
        assert any(f'check("{path.stem[:2]}.{number}"' in cell.source for cell in code_cells(path))


@each_notebook
def test_it_begins_with_a_title_and_a_question_and_ends_with_exercises(path):
    first = read(path).cells[0]
    assert first.cell_type == "markdown" and first.source.startswith("# ") and "?" in first.source
    assert "\n## Exercises" in markdown(path) and "Predict" in markdown(path)


@each_notebook
def test_a_diagram_shows_where_in_the_method_it_is(path):
    assert any(re.search(r"^plots\.diagrams\.\w+\(", cell.source, re.M) for cell in code_cells(path))


@each_notebook
def test_it_says_what_was_seen_what_was_not_and_what_is_next(path):
    text = markdown(path)
    saw = re.search(r"\n## What we saw, (and )?what this does not show\n", text)
    after = re.search(r"(\n## Next\n|\n\*\*Next:\*\* )", text)
    assert saw and after and saw.start() < text.index("\n## Exercises") < after.start()


@each_notebook
def test_claims_are_asserted(path):
    nodes = [node for cell in code_cells(path) for node in ast.walk(ast.parse(cell.source))]
    assert any(isinstance(node, ast.Assert) for node in nodes)


@each_notebook
def test_the_notebooks_it_names_exist(path):
    words = {word.strip("`.,:;()*") for word in markdown(path).split()}
    named = {word.removesuffix(".ipynb") for word in words if word[:2].isdigit() and word[2:3] == "_"}
    assert named <= {other.stem for other in NOTEBOOKS}


@pytest.mark.slow
def test_all_notebooks_run_to_their_end_with_one_root(tmp_path):
    run_all(FOLDER, tmp_path / "out", preset="smoke")
    for path in NOTEBOOKS:
        executed = tmp_path / "out" / "notebooks" / path.name
        assert notebook_state(executed)[0] == "ok"
        assert list((tmp_path / "out" / "figures").glob(f"{path.stem[:2]}_*.png")), f"{path.stem} saved no figure"
    scores = (tmp_path / "out" / "scores.csv").read_text(encoding="utf-8")
    assert "zero-shot CLIP" in scores and "k0" in scores


@pytest.mark.slow
@pytest.mark.parametrize("clips", [(1, 2, 3), (1, 1)], ids=["one of each size", "nothing to test"])
def test_own_classes_may_have_one_clip_or_two(tmp_path, clips):
    for name, count in zip(("waving_a_hand", "clapping", "bowing"), clips, strict=False):
        (tmp_path / "mine" / name).mkdir(parents=True)
        for i in range(count):
            write_video(tmp_path / "mine" / name / f"{i}.avi", 20, "mpeg4")
    lesson = FOLDER / "13_your_own_videos.ipynb"
    given = {"preset": "smoke", "root": str(tmp_path / "root"), "videos": str(tmp_path / "mine")}
    executed = nbformat.read(run_notebook(lesson, tmp_path / lesson.name, given), as_version=4)
    said = "".join(output.get("text", "") for cell in executed.cells for output in cell.get("outputs", []))
    assert f"{sum(clips)} clips of {len(clips)} classes" in said
    assert ("scored\ninstead" in said) == (max(clips) == 1)  # no class has a clip to test
