"""The pages in results/rendered: one a lesson, small, and of nobody's machine."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "results" / "rendered").glob("*.html"))


def test_each_lesson_has_its_page_and_all_are_small():
    lessons = {path.stem for path in (ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")}
    assert {path.stem for path in PAGES} == lessons
    assert sum(path.stat().st_size for path in PAGES) < 3_000_000


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_a_page_shows_a_run_that_ended_and_no_path_of_a_machine(page):
    text = re.sub(r'"data:[^"]*"', "", page.read_text(encoding="utf-8"))
    assert not re.findall(r"(?<![\w.])/(?:tmp|home|root|Users|work)/\S*", text)
    assert "Traceback (most recent call last)" not in text
