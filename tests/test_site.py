"""The site, built from a run in which one lesson pretends to have been executed: nothing is trained for it."""

import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote

import pytest

import mgdmkit.replication

pytest.importorskip("sphinx_book_theme", reason="the site needs pip install 'mgdmkit[site]'")
pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parent.parent
LESSONS = sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"))
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SCORES = """run,k,negatives,seed,N,top1,top1_low,top1_high,top5
zero-shot CLIP,,,,600,46.5,42.54,50.51,98.17
k3-top,3,top,0,600,63.84,59.91,67.58,96.2
"""


def pretend_to_execute(source: Path, run: Path) -> None:
    """A copy as papermill leaves it, which says where it was made in every way that it can."""
    notebook = json.loads(source.read_text(encoding="utf-8"))
    root = str(run.resolve())
    for cell in notebook["cells"]:
        cell["metadata"]["papermill"] = {"start_time": "2026-01-01", "status": "completed"}
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    widget = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "100%"}
    code[1]["outputs"] = [
        {"output_type": "stream", "name": "stdout", "text": [f"written to {root}/k3 by {sys.executable}, {ROOT}/x\n"]},
        {"output_type": "display_data", "metadata": {}, "data": {"image/png": PIXEL, "text/plain": "a figure"}},
        {"output_type": "display_data", "metadata": {}, "data": widget},
    ]
    injected = {"cell_type": "code", "metadata": {"tags": ["injected-parameters"]}, "outputs": [], "source": [root]}
    notebook["cells"].insert(2, injected | {"execution_count": None, "id": "injected"})
    notes = {"parameters": {"preset": "smoke", "root": root}, "duration": 8.4, "output_path": f"{root}/x"}
    notebook["metadata"]["papermill"] = notes
    (run / "notebooks").mkdir(parents=True, exist_ok=True)
    (run / "notebooks" / source.name).write_text(json.dumps(notebook), encoding="utf-8")


def make_site(*options: object) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "docs" / "make_site.py"), *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site") / "run"
    for source in sorted((ROOT / "notebooks").glob("0[0-7]*.ipynb")):
        pretend_to_execute(source, folder)
    (folder / "scores.csv").write_text(SCORES, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def site(run):
    done = make_site("--run", run, "--out", run.parent / "site")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    html = run.parent / "site" / "html"
    assert done.stdout.splitlines()[0] == f"site: {html / 'index.html'}"
    pages = {path.relative_to(html).as_posix(): path for path in html.rglob("*.html")}
    texts = {name: path.read_text(encoding="utf-8") for name, path in pages.items() if not name.startswith("_static/")}
    return SimpleNamespace(html=html, pages=texts, run=run)


def test_every_page_is_there(site):
    names = [f"notebooks/{folder}{stem}" for stem in LESSONS for folder in ("", "solutions/")]
    names += [f"docs/{path.stem}" for path in (ROOT / "docs").glob("*.md")]
    names += ["README.zh-CN", "CONTRIBUTING", "results/README", "recipes/README", "data_manifests/README", "this_run"]
    assert [name for name in names if f"{name}.html" not in site.pages] == []
    sidebar = [site.pages["index.html"].find(f'href="{name}.html"') for name in names if name.startswith("docs/")]
    assert -1 not in sidebar


def test_the_api_names_what_a_room_hands_on_and_what_it_loads_late(site):
    handed_on = [name for name in mgdmkit.replication.__all__ if callable(getattr(mgdmkit.replication, name))]
    for room, names in {"replication": handed_on, "evaluation": ["table8", "load_run"]}.items():
        assert [name for name in names if f'.{name}"' not in site.pages[f"api/{room}.html"]] == [], room


def test_nothing_comes_from_the_network(site):
    loaded = re.compile(r"<(?:script|img|link|iframe|video|source)\b[^>]*(?:src|href)=\"((?:https?:)?//[^\"]+)")
    assert {name: found for name, text in site.pages.items() if (found := loaded.findall(text))} == {}
    styles = {path.name: path.read_text(encoding="utf-8") for path in site.html.rglob("*.css")}
    outside = re.compile(r"(?:url\(|@import )['\"]?(?:https?:)?//")
    assert styles and [name for name, text in styles.items() if outside.search(text)] == []


def test_links_lead_somewhere(site):
    for name, text in site.pages.items():
        for link in set(re.findall(r'(?:href|src)="([^"#:]+)(?:#[^"]*)?"', text)):
            target = (site.html / name).parent / unquote(link.partition("?")[0])
            assert target.exists(), f"{name} links to {link}"


def test_nothing_tells_on_which_machine_it_was_made(site):
    files = [path for path in site.html.rglob("*") if path.suffix in (".html", ".js", ".md", ".ipynb", ".csv", ".json")]
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert not [place for place in (str(ROOT), str(site.run), sys.prefix) if place in text], path
    page = site.pages["notebooks/03_paradigm_and_loss.html"]
    assert re.search(r"written to runs/demo/k3 by (\./)?\.venv/bin/", page)  # the environment may lie in the checkout


def test_a_lesson_is_shown_as_executed_but_as_its_source_reads(site):
    page = site.pages["notebooks/03_paradigm_and_loss.html"]
    assert "<math" in page and not re.search(r"<script[^>]*mathjax", page, flags=re.IGNORECASE)
    assert "injected" not in page and "widget-view" not in page and "_images/" in page
    assert 'href="04_model.html"' in page and 'href="solutions/03_paradigm_and_loss.html"' in page


def test_the_run_is_told_with_digits_for_people(site):
    text = re.sub(r"<[^>]+>|\s+", " ", site.pages["this_run.html"])
    assert re.search(r"k3-top +0 +63\.8 +\[59\.9,\s67\.6\] +96\.2", text) and "600 test clips" in text
    assert "8 of 14 lessons" in site.pages["notebooks/index.html"]


def test_each_lesson_has_a_picture_that_it_saves():
    named = re.search(r"^MEASURED = \[(.*?)\]", (ROOT / "docs" / "make_site.py").read_text("utf-8"), re.DOTALL | re.M)
    for name, lesson in zip(re.findall(r'"(.+?)"', named[1]), LESSONS, strict=True):
        assert f'figures / \\"{name}\\"' in (ROOT / "notebooks" / f"{lesson}.ipynb").read_text(encoding="utf-8"), name


def test_core_lessons_for_code_hosts(run, tmp_path):
    done = make_site("--run", run, "--lessons", tmp_path)
    assert done.returncode == 0, done.stderr
    written = sorted(tmp_path.glob("*.ipynb"))
    assert [path.stem for path in written] == LESSONS[:7]
    for path in written:
        text = path.read_text(encoding="utf-8")
        assert str(run) not in text and "injected" not in text and f"](../../notebooks/solutions/{path.name})" in text
