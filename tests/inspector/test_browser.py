"""The inspector in a real browser: notebook 12 in JupyterLab and headless Chromium, used from the keyboard.

Screenshots stay in pytest's temporary folder, or in the folder that MGDMKIT_SCREENSHOTS names.
"""

import os
import re
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from mgdmkit.cli.main import main
from mgdmkit.clip.features import corpus_texts, load_features
from mgdmkit.data.corpus import read_corpus
from mgdmkit.data.exclusions import read_exclusions
from mgdmkit.mining import load_negatives

pytest.importorskip("playwright", reason="playwright is not installed: pip install 'mgdmkit[dev]'")
pytestmark = pytest.mark.slow
lab = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "inspector_picture.py")))


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """The page with notebook 12 run to its end, and its root, which the notebook filled itself."""
    if lab.find_chromium() is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    folder, root = tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("root")
    notebook = lab.copy_notebook(folder, root, "smoke")
    with lab.jupyter_lab(folder) as address, lab.browser_page(1280, 2000) as page:
        lab.run_notebook(page, address, notebook.name)
        yield SimpleNamespace(page=page, root=root, csv=root / "judgements" / "false_negatives.csv")


@pytest.fixture
def page(session):
    return session.page


def control(page, label: str):
    return lab.control(page, label)


def button(page, name: str):
    return page.locator(lab.INSPECTOR).get_by_role("button", name=name)


def press(page, name: str) -> None:
    """Press a button with the Enter key, once it can be pressed."""
    button(page, name).click(trial=True)
    button(page, name).press("Enter")


def screenshot(page, tmp_path: Path, name: str) -> None:
    """The inspector as two widths of window show it; nothing may stick out on the right."""
    folder = Path(os.environ.get("MGDMKIT_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    for width in (1280, 1920):
        page.set_viewport_size({"width": width, "height": 2000})
        path = lab.picture_of(page, folder / f"{name}-{width}.png")
        assert path.stat().st_size > 50_000
        wide = page.evaluate(f"(() => {{const e = document.querySelector('{lab.INSPECTOR}'); "
                             "return [e.scrollWidth, e.clientWidth]})()")  # fmt: skip
        assert wide[0] <= wide[1], f"cut on the right at {width} pixels"


def picture(page, beginning: str) -> str:
    """The bytes of one of the inspector's pictures, by how its description begins."""
    return page.locator(f"{lab.INSPECTOR} img[alt^='{beginning}']").get_attribute("src")


def wait_for_change(page, beginning: str, before: str) -> None:
    page.wait_for_function(
        "([at, before]) => {const e = document.querySelector(at); return e && e.src && e.src !== before}",
        arg=[f"{lab.INSPECTOR} img[alt^='{beginning}']", before],
    )


def position(page) -> str:
    return page.locator(lab.INSPECTOR).get_by_text(re.compile(r"^(Video \d+ of \d+|No video)$")).inner_text()


def test_video_k_and_filter_change_what_is_shown(page, tmp_path):
    first, count = (int(word) for word in position(page).split() if word.isdigit())
    assert count >= 30, "the notebook asked for what CLIP misreads, and this CLIP is hardly trained"
    before = picture(page, "The attention")
    control(page, "videos").press("ArrowDown")
    wait_for_change(page, "The attention", before)
    assert position(page) == f"Video {first + 1} of {count}"
    before = picture(page, "CLIP ranks")
    slider = page.locator(f"{lab.INSPECTOR} .noUi-handle")
    slider.focus()
    slider.press("ArrowRight")
    wait_for_change(page, "CLIP ranks", before)
    assert slider.get_attribute("aria-valuetext") == "4"
    control(page, "search").fill("fridge")
    control(page, "search").press("Enter")
    page.wait_for_function(f"!document.querySelector('{lab.INSPECTOR}').innerText.includes('of {count}')")
    names = control(page, "videos").locator("option").all_inner_texts()
    assert names and all("fridge" in name for name in names)
    control(page, "search").fill("")
    control(page, "search").press("Enter")
    control(page, "show").select_option("all videos")
    page.locator(lab.INSPECTOR).get_by_text(re.compile(r"^Video \d+ of 120$")).wait_for()
    page.wait_for_timeout(3000)  # until all parts show the same video
    screenshot(page, tmp_path, "inspector")


def test_the_clip_plays(page):
    page.wait_for_function(f"document.querySelector('{lab.INSPECTOR} video')?.readyState >= 2")
    video = page.evaluate(
        f"(() => {{const v = document.querySelector('{lab.INSPECTOR} video'); "
        "return {width: v.videoWidth, seconds: v.duration, error: v.error}})()"
    )
    assert video["width"] == 64 and video["seconds"] > 1 and video["error"] is None


def of_this_session(session):
    """The marks in the CSV, those aside that the notebook makes by itself."""
    return [mark for mark in read_exclusions(session.csv) if mark.clip]


def test_a_marked_label_is_in_the_csv_and_mining_drops_it(session, page, tmp_path, monkeypatch):
    clip = control(page, "videos").evaluate("e => e.selectedOptions[0].innerText")
    chosen = control(page, "chosen label")
    name = chosen.locator("option").nth(1).inner_text().replace("\xa0", " ").removeprefix("negative 1: ")
    before = picture(page, "CLIP ranks")
    chosen.select_option(index=1)
    wait_for_change(page, "CLIP ranks", before)
    control(page, "note").fill("seen in a browser")
    press(page, "Mark as false negative")
    button(page, "Take the mark back").wait_for()
    (mark,) = of_this_session(session)
    assert mark.clip == clip and mark.label_b == name and "seen in a browser" in session.csv.read_text()
    judged = re.compile(r"^[1-9]\d* of \d+ mined negatives are judged false")
    page.locator(lab.INSPECTOR).get_by_text(judged).wait_for()
    screenshot(page, tmp_path, "judged")

    features, out = session.root / "features", tmp_path / "again.csv"
    command = ["mgdm", "mine", "--features", features, "--out", out, "--exclude", session.csv]
    command += ["--corpus", session.root / "corpus_12.csv"]
    monkeypatch.setattr(sys, "argv", list(map(str, command)))
    main()
    cached = load_features(features)
    row = list(cached.clips["id"]).index(clip)
    negatives, labels = {}, corpus_texts(features, read_corpus(session.root / "corpus_12.csv").labels).labels
    for path in (session.root / "negatives_12.csv", out):
        mined = load_negatives(path, list(cached.clips["id"]), labels).indices
        negatives[path.name] = [labels[j] for j in mined[row].tolist()]
    assert name in negatives["negatives_12.csv"] and name not in negatives["again.csv"]

    press(page, "Undo")
    button(page, "Mark as false negative").wait_for()
    assert of_this_session(session) == []


def test_every_control_can_be_reached_by_the_tab_key_and_has_a_name(page):
    name_of_focus = """() => {
        const e = document.activeElement;
        if (!e.closest('.mgdmkit-inspector')) return null;
        return e.getAttribute('aria-label') || (e.labels?.[0] ?? e).textContent.trim() || e.title || e.tagName}"""
    control(page, "split").focus()
    reached = []
    while (name := page.evaluate(name_of_focus)) and len(reached) < 60:
        reached.append(name)
        page.keyboard.press("Tab")
    expected = ["split", "class", "search", "show", "r", "run", "videos", "k", "window", "chosen label", "note"]
    expected += ["next ▶", "Undo", "Save PNG", "Save SVG", "Save selection", "In words and digits"]
    assert [name for name in expected if name not in reached] == [], " > ".join(reached)
    assert len(reached) < 60, "the last Tab leaves the inspector"


def test_nothing_outside_this_machine_was_asked_for(page):
    assert page.outside == []
