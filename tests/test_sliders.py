"""The sliders of the lessons, in JupyterLab and a real browser: each is moved once, and its figure follows.

Screenshots stay in pytest's temporary folder, or in the folder that MGDMKIT_SCREENSHOTS names.
"""

import json
import os
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("playwright", reason="playwright is not installed: pip install 'mgdmkit[dev]'")
pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
lab = SimpleNamespace(**runpy.run_path(str(ROOT / "benchmarks" / "inspector_picture.py")))
FIGURE = ".jp-OutputArea-output .widget-image"


def sliders(path: Path) -> int:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return sum("".join(cell["source"]).count("slide(") for cell in cells if cell["cell_type"] == "code")


LESSONS = [path for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")) if sliders(path)]


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    if lab.find_chromium() is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    folder, root = tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("root")
    for lesson in LESSONS:
        lab.copy_notebook(folder, root, "smoke", lesson)
    with lab.jupyter_lab(folder) as address, lab.browser_page(1280, 1400) as page:
        yield SimpleNamespace(page=page, address=address)


def test_the_lessons_where_they_teach_have_them():
    assert [path.stem[:2] for path in LESSONS] == ["02", "03", "04", "10", "11"]


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_each_slider_moves_its_figure(session, lesson, tmp_path):
    page, figures = session.page, session.page.locator(FIGURE)
    lab.run_notebook(page, session.address, lesson.name, until=FIGURE)
    page.wait_for_function(f"document.querySelectorAll('{FIGURE}').length >= {sliders(lesson)}")
    for i in range(sliders(lesson)):
        figure = figures.nth(i)
        box = figure.locator("xpath=ancestor::div[contains(@class, 'widget-vbox')][1]")
        handles = box.locator(".noUi-handle")
        assert handles.count() >= 1
        for j in range(handles.count()):
            before = figure.get_attribute("src")
            handle = handles.nth(j)
            handle.scroll_into_view_if_needed()
            handle.focus()
            # To the right, or to the left where it stands at its end.
            at_end = handle.get_attribute("aria-valuenow") == handle.get_attribute("aria-valuemax")
            handle.press("ArrowLeft" if at_end else "ArrowRight")
            page.wait_for_function("([e, before]) => e.src !== before", arg=[figure.element_handle(), before])
        folder = Path(os.environ.get("MGDMKIT_SCREENSHOTS", tmp_path))
        folder.mkdir(parents=True, exist_ok=True)
        box.screenshot(path=folder / f"{lesson.stem}-slider{i}.png")
    assert page.outside == []
