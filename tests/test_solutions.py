"""The solutions of the notebooks' exercises: one for each lesson, an answer to each exercise, and all of them run."""

import ast
import re
from functools import cache
from pathlib import Path

import nbformat
import pytest

from mgdmkit.cli.headless import run_notebook

LESSONS = Path(__file__).parents[1] / "notebooks"
SOLUTIONS = sorted((LESSONS / "solutions").glob("*.ipynb"))

each_solution = pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)


@cache
def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def code_cells(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def markdown(path: Path) -> str:
    return "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")


def exercises(lesson: Path) -> list[tuple[str, str]]:
    """(number, kind) of each exercise, such as ("1", "Recall")."""
    return re.findall(r"^(\d)\. \*+(\w+)\.\*+", markdown(lesson).partition("\n## Exercises")[2], re.MULTILINE)


def test_every_lesson_has_one():
    lessons = {path.stem for path in LESSONS.glob("[0-9][0-9]_*.ipynb")}
    assert lessons == {path.stem for path in SOLUTIONS}


@each_solution
def test_it_answers_the_exercises_of_its_lesson_in_their_order(path):
    asked = exercises(LESSONS / path.name)
    assert [kind for _, kind in asked] == ["Recall", "Change", "Break", "Extend"]
    assert re.findall(r"^## (\d) · (\w+)$", markdown(path), re.MULTILINE) == asked


@each_solution
def test_lesson_and_solution_link_to_each_other(path):
    assert f"](solutions/{path.name})" in markdown(LESSONS / path.name)
    assert f"](../{path.name})" in markdown(path)


@each_solution
def test_form(path):
    nbformat.validate(read(path))
    assert read(path).metadata.kernelspec.name == "python3"
    assert all(not cell.outputs and cell.execution_count is None for cell in code_cells(path))
    assert max(len(cell.source.splitlines()) for cell in code_cells(path)) <= 25
    tagged = [cell for cell in code_cells(path) if "parameters" in cell.metadata.get("tags", [])]
    assert tagged == code_cells(path)[:1]
    declared = {line.target.id: ast.literal_eval(line.value) for line in ast.parse(tagged[0].source).body}
    assert declared["preset"] == "demo" and declared["root"] == "../../runs/demo"


@each_solution
def test_its_answers_are_asserted(path):
    nodes = [node for cell in code_cells(path) for node in ast.walk(ast.parse(cell.source))]
    assert sum(isinstance(node, ast.Assert) for node in nodes) >= 3  # change, break, extend


@each_solution
def test_the_check_takes_its_answers_and_refuses_a_wrong_one(path):
    code = "\n".join(cell.source for cell in code_cells(path))
    assert all(f'assert check("{path.stem[:2]}.{number}"' in code for number in range(1, 5))
    assert f'assert not check("{path.stem[:2]}.' in code


@pytest.mark.slow
def test_all_run_to_their_end_with_one_root(tmp_path):
    for path in SOLUTIONS:
        run_notebook(path, tmp_path / "executed" / path.name, {"preset": "smoke", "root": str(tmp_path / "root")})
