"""The README's picture of the inspector: notebook 12 in JupyterLab, in a real browser without a window.

    python benchmarks/inspector_picture.py --root runs/demo --out results/figures/inspector.png

It needs Chromium on the path; the browser test drives JupyterLab with the functions of this file.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import tyro
from PIL import Image

NOTEBOOK = Path(__file__).resolve().parents[1] / "notebooks" / "12_inspect_hard_negatives.ipynb"
INSPECTOR = ".mgdmkit-inspector"
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True},
    "notebook-extension/tracker": {"windowingMode": "none"},  # a cell out of sight keeps its place in the page
}
PATIENCE = 120_000  # milliseconds a control may take: a busy machine is no failure


def find_chromium() -> str | None:
    """The browser's program, if there is one."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def copy_notebook(folder: Path, root: Path, preset: str, notebook: Path = NOTEBOOK) -> Path:
    """A lesson with these parameters, in a folder that JupyterLab may write to."""
    lesson = json.loads(notebook.read_text(encoding="utf-8"))
    cell = next(cell for cell in lesson["cells"] if "parameters" in cell["metadata"].get("tags", []))
    given = {"preset": preset, "root": str(root.resolve()), "results": str(notebook.resolve().parents[1] / "results")}
    cell["source"] = [*cell["source"], *(f"\n{name} = {value!r}" for name, value in given.items())]
    shutil.copytree(notebook.parent / "course", folder / "course", dirs_exist_ok=True)  # it imports its exercises
    copy = folder / notebook.name
    copy.write_text(json.dumps(lesson), encoding="utf-8")
    return copy


@contextmanager
def jupyter_lab(folder: Path) -> Iterator[str]:
    """JupyterLab that serves a folder: its address. It reads and writes no settings outside that folder."""
    for name, values in SETTINGS.items():
        path = folder / ".settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = {name: str(folder / f".{name.lower()}") for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR")}
    home |= {"JUPYTERLAB_SETTINGS_DIR": str(folder / ".settings"), "IPYTHONDIR": str(folder / ".ipython")}
    options = ["--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"]
    options += ["--IdentityProvider.token=t", f"--ServerApp.root_dir={folder}", "--LabApp.expose_app_in_browser=True"]
    log = folder / ".lab.log"
    environment = os.environ | home | {"PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    environment.pop("MPLBACKEND", None)
    with log.open("w") as file:
        command = [sys.executable, "-m", "jupyterlab", *options]
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=file, stderr=subprocess.STDOUT)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            if server.poll() is not None or _answers(f"{address}/api?token=t"):
                break
            time.sleep(0.2)
        if server.poll() is not None:
            raise RuntimeError(f"JupyterLab ended at once: {log.read_text()[-2000:]}")
        yield address
    finally:
        server.terminate()
        server.wait(30)


def _answers(address: str) -> bool:
    try:
        with urlopen(address, timeout=2):
            return True
    except OSError:
        return False


@contextmanager
def browser_page(width: int, height: int) -> Iterator["Page"]:  # noqa: F821
    """A page of headless Chromium; what it asks of any other machine is refused, and listed in `page.outside`."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=options)
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(PATIENCE)
        page.outside = []

        def refuse(route) -> None:
            page.outside.append(route.request.url)
            route.abort()

        page.route(lambda url: not url.startswith(("http://127.0.0.1", "data:", "blob:")), refuse)
        try:
            yield page
        finally:
            browser.close()


def run_notebook(page, address: str, name: str, until: str = f"{INSPECTOR} img") -> None:
    """Open a notebook, run all its cells and wait for what a cell shows; `RuntimeError` of a cell that fails."""
    page.goto(f"{address}/lab/tree/{name}?token=t&reset")
    page.wait_for_selector(".jp-Notebook .jp-CodeCell")
    page.wait_for_function("jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'")
    page.evaluate("jupyterapp.commands.execute('application:toggle-left-area')")
    page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells')")
    failed = page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr'] >> text=Traceback")
    if failed.count():
        raise RuntimeError(failed.first.inner_text())
    page.wait_for_selector(until)


def control(page, label: str):
    """The inspector's control of this label."""
    return page.locator(INSPECTOR).get_by_label(label, exact=True)


def picture_of(page, path: Path) -> Path:
    """The inspector as it stands on the page."""
    inspector = page.locator(INSPECTOR)
    inspector.scroll_into_view_if_needed()
    inspector.screenshot(path=path)
    return path


def main(
    root: Path = Path("runs/demo"),
    out: Path = Path("results/figures/inspector.png"),
    preset: str = "demo",
    search: str = "opening fridge 001",
    width: int = 1600,
) -> None:
    """Take the picture from a root that `make demo` left.

    Args:
        root: Where data, weights, features and runs live.
        out: The picture to write.
        preset: The preset of that root.
        search: Words that find the clip to show.
        width: Of the browser's window, in pixels.
    """
    with tempfile.TemporaryDirectory() as folder:
        notebook = copy_notebook(Path(folder), root, preset)
        with jupyter_lab(Path(folder)) as address, browser_page(width, 1800) as page:
            run_notebook(page, address, notebook.name)
            control(page, "show").select_option("all videos")
            control(page, "search").fill(search)
            control(page, "search").press("Enter")
            control(page, "run").select_option("k = 3")
            page.wait_for_timeout(3000)
            out.parent.mkdir(parents=True, exist_ok=True)
            picture = Image.open(picture_of(page, out)).convert("RGB")
    picture.quantize(128, dither=Image.Dither.NONE).save(out, optimize=True)
    print(f"figure: {out}, {out.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    tyro.cli(main)
