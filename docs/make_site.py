"""The site: the pages of this repository and the lessons as a run executed them, through Sphinx.

    python docs/make_site.py --run runs/demo                              # build/site/html/index.html
    python docs/make_site.py --run runs/demo --lessons results/lessons    # executed lessons for code hosts instead

Pages are staged under the paths that they have here. A link to a table becomes one to a page that shows it, a link to a
module one to its page of the API reference. Lessons that the run lacks are shown without outputs.
"""

import base64
import csv
import io
import json
import posixpath
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import tyro
from PIL import Image

from mgdmkit.cli.headless import duration, notebook_state, source_cells
from mgdmkit.files import write_text_atomic

ROOT = Path(__file__).resolve().parents[1]
LESSONS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
CORE = LESSONS[:7]
CONTENTS = {
    "Learn": ["docs/install", "notebooks/index", "this_run", "docs/glossary", "docs/teaching"],
    "What holds": ["docs/results", "results/README"],
    "Your data": ["docs/own_videos", "docs/datasets", "recipes/README", "data_manifests/README"],
    "The method": ["docs/method", "docs/choices"],
    "Machines": ["docs/performance", "docs/scale"],
    "More": ["docs/lab_notes", "api/index", "README.zh-CN", "CONTRIBUTING"],
}
"""Caption -> pages of the sidebar. What is not there is left out; other pages of docs/ join the last caption."""
TITLES = {"results/README": "Every table, with its command", "README.zh-CN": "中文"}
ROOMS = ["config", "mining", "loss", "model", "reference", "inference", "stickactions", "data", "clip", "training"]
ROOMS += ["evaluation", "experiments", "replication", "inspector", "plots", "runs", "files", "pool", "resources", "cli"]
COMMANDS = ["manifest", "data", "train", "score", "experiments", "reproduce"]
MEASURED = [
    "00_scores",
    "01_confusion",
    "02_own_place_by_rank",
    "03_who_pushes_whom",
    "04_attended_frames",
    "05_scores",
    "06_luck_or_setting",
    "07_readings",
    "08_costs",
    "09_k_curve",
    "10_table7",
    "11_split_vectors",
    "12_inspector",
    "13_scores",
]
"""The picture of each lesson that shows best what was measured, in their order."""
WIDGET = "application/vnd.jupyter.widget-view+json"


def main(run: Path = ROOT / "runs/demo", out: Path = ROOT / "build/site", lessons: Path | None = None) -> None:
    """Build the site of a run, or with `lessons` write the executed core lessons there, with small pictures.

    Args:
        run: The results folder of `mgdm notebooks`.
        out: Folder of the staged pages and the site, which is made anew.
        lessons: Folder for executed notebooks that a code host shows.
    """
    if lessons is not None:
        write_lessons(run, lessons)
        return
    shutil.rmtree(out, ignore_errors=True)
    stage(run, out / "pages")
    options = ["-q", "-W", "--keep-going", "-d", str(out / "doctrees"), "-c", str(ROOT / "docs")]
    command = [sys.executable, "-m", "sphinx", *options, str(out / "pages"), str(out / "html")]
    if status := subprocess.run(command, check=False).returncode:
        sys.exit(status)
    print(f"site: {out / 'html/index.html'}")
    if (measured := out / "html/this_run.html").is_file():
        print(f"what this run measured: {measured}")


def stage(run: Path, pages: Path) -> None:
    """Write everything that Sphinx reads."""
    docs = [f"docs/{path.stem}" for path in sorted((ROOT / "docs").glob("*.md"))]
    listed = [name for names in CONTENTS.values() for name in names]
    for name in ["README", *docs, *(name for name in listed if (ROOT / f"{name}.md").is_file())]:
        stage_page(f"{name}.md", pages)
    for source in LESSONS:
        executed = run / "notebooks" / source.name
        shown = executed if notebook_state(executed)[0] == "ok" else source
        stage_notebook(cleaned(shown, run), f"notebooks/{source.name}", pages)
        solution = f"notebooks/solutions/{source.name}"
        stage_notebook(cleaned(ROOT / solution, run), solution, pages)
    write_text_atomic(pages / "notebooks/index.md", lessons_page(run))
    solutions = toctree([source.stem for source in LESSONS])
    text = "# Solutions\n\nFor after you have tried. They are shown without outputs: `make lab` opens and runs them.\n"
    write_text_atomic(pages / "notebooks/solutions/index.md", text + solutions)
    if (run / "scores.csv").is_file():
        write_text_atomic(pages / "this_run.md", run_page(run, pages))
    for room in ROOMS:
        write_text_atomic(pages / f"api/{room}.md", api_page(room))
    write_text_atomic(pages / "api/index.md", f"# API reference\n{toctree(ROOMS)}")
    start = pages / "README.md"
    others = [name for name in docs if name not in listed]
    write_text_atomic(pages / "index.md", start.read_text(encoding="utf-8") + sidebar(others, pages))
    start.unlink()


def stage_page(name: str, pages: Path) -> None:
    """A page of the repository, and what it links to."""
    text = (ROOT / name).read_text(encoding="utf-8")
    write_text_atomic(pages / name, "")  # pages that link to one another are staged once
    write_text_atomic(pages / name, relinked(without_mermaid(text), name, pages))


def stage_notebook(notebook: dict[str, Any], name: str, pages: Path) -> None:
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = relinked("".join(cell["source"]), name, pages)
    write_text_atomic(pages / name, json.dumps(notebook, ensure_ascii=False))


def relinked(text: str, page: str, pages: Path) -> str:
    """The text with links that work on the site, also from the names of lessons; what they lead to is staged."""

    def link(found: re.Match) -> str:
        path, anchor = found[1], found[2] or ""
        return found[0] if "://" in path else f"](/{place(path, page, pages)}{anchor})"

    names = "|".join(source.stem for source in LESSONS)
    text = re.sub(rf"(?<!\[)`({names})`", r"[`\1`](/notebooks/\1.ipynb)", text)
    return re.sub(r"\]\(([^)#\s]+)(#[^)\s]*)?\)", link, text)


def place(path: str, page: str, pages: Path) -> str:
    """Where the site has what a page links to, staged if it is not there yet."""
    name = posixpath.normpath(posixpath.join(posixpath.dirname(page), path)).lstrip("/")
    if name.startswith("notebooks/"):
        return name
    if name.startswith("mgdmkit/"):
        return f"api/{name.split('/')[1].removesuffix('.py')}.md"
    if name == "README.md":
        return "index.md"
    source = ROOT / name
    if source.is_dir():  # a folder is its README, or that of the folder above
        name = f"{name if (source / 'README.md').is_file() else posixpath.dirname(name)}/README.md"
    elif source.suffix in (".csv", ".json"):
        shutil.copy(source, staged_folder(pages / name))
        write_text_atomic(pages / f"{name}.md", table_page(source))
        return f"{name}.md"
    elif source.suffix != ".md":
        shutil.copy(source, staged_folder(pages / name))
        return name
    if not (pages / name).is_file():
        stage_page(name, pages)
    return name


def staged_folder(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def without_mermaid(text: str) -> str:
    """A graph that a script would have to draw, as a list of its arrows."""

    def as_list(found: re.Match) -> str:
        arrows: dict[str, list[str]] = {}
        for start, end in re.findall(r"^ *(\w+) --> (\w+)", found[1], flags=re.MULTILINE):
            arrows.setdefault(start, []).append(end)
        return "".join(f"- {start} → {', '.join(ends)}\n" for start, ends in arrows.items())

    return re.sub(r"```mermaid\n(.*?)```\n", as_list, text, flags=re.DOTALL)


def cleaned(path: Path, run: Path) -> dict[str, Any]:
    """A notebook without papermill's cells and notes, without widgets, and without the paths of the machine."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    notes = notebook["metadata"].pop("papermill", {})
    notebook["metadata"].pop("widgets", None)
    notebook["cells"] = source_cells(notebook)
    for cell in notebook["cells"]:
        for notes_of_a_run in ("papermill", "execution"):  # when, to the microsecond
            cell["metadata"].pop(notes_of_a_run, None)
        if "outputs" in cell:
            cell["outputs"] = [out for out in cell["outputs"] if WIDGET not in out.get("data", {})]
    text = json.dumps(notebook, ensure_ascii=False)
    # The longest first: a run is mostly inside the checkout.
    roots = {notes.get("parameters", {}).get("root"), str(run.resolve())} - {None}
    for folder, name in [*((root, "runs/demo") for root in roots), (str(ROOT), "."), (sys.prefix, ".venv")]:
        text = text.replace(folder, name)
    return json.loads(text)


def lessons_page(run: Path) -> str:
    """The list of lessons and solutions, with what their outputs are of."""
    executed = [run / "notebooks" / source.name for source in LESSONS]
    done = [path for path in executed if notebook_state(path)[0] == "ok"]
    presets = {json.loads(path.read_text("utf-8"))["metadata"]["papermill"]["parameters"]["preset"] for path in done}
    told = f"{len(done)} of {len(LESSONS)} lessons are shown as `mgdm notebooks` executed them"
    told += f", with the preset {', '.join(sorted(presets))}." if done else ": `make demo` does so."
    if "smoke" in presets:
        told += " With `smoke` everything runs and no score means anything."
    names = [source.stem for source in LESSONS]
    told += " Each can be downloaded with the button at its top, or opened with `make lab`.\n"
    return f"# Lessons\n\n{told}{toctree([*names, 'solutions/index'], ':maxdepth: 1')}"


def run_page(run: Path, pages: Path) -> str:
    """What a run measured, in the order of the lessons."""
    with (run / "scores.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    lines = ["| run | seed | Top‑1 and 95% interval | Top‑5 |", "|---|---:|---:|---:|"]
    for row in rows:
        top1, low, high, top5 = (f"{float(row[name]):.1f}" for name in ("top1", "top1_low", "top1_high", "top5"))
        lines.append(f"| {row['run']} | {row['seed']} | **{top1}** [{low},&nbsp;{high}] | {top5} |")
    text = (
        f"# This run\n\nScores on {rows[0]['N']} test clips, in percent, as lesson 05 trained and measured them. The "
        "interval is that of one score over clips; a difference of two runs has its own, see lesson 06.\n\n"
    )
    text += "\n".join(lines) + "\n"
    for source, name in zip(LESSONS, MEASURED, strict=True):
        state, seconds = notebook_state(run / "notebooks" / source.name)
        spent = f"It took {duration(seconds)}." if seconds and state == "ok" else f"State: {state}."
        title = "".join(json.loads(source.read_text(encoding="utf-8"))["cells"][0]["source"]).splitlines()[0]
        text += f"\n## [{title.removeprefix('# ')}](/notebooks/{source.name})\n\n{spent}\n"
        picture = run / "figures" / f"{name}.png"
        if picture.is_file():
            shutil.copy(picture, staged_folder(pages / "figures" / picture.name))
            text += f"\n![{picture.stem[3:].replace('_', ' ')}](/figures/{picture.name})\n"
    return text


def table_page(source: Path) -> str:
    """A CSV as a table with rounded numbers, or a JSON as it is, with the file to download."""
    text = f"# {source.name}\n\n{{download}}`The file <{source.name}>`, "
    text += "whose command stands in [the list of results](/results/README.md).\n\n"
    if source.suffix == ".json":
        return f"{text}```json\n{source.read_text(encoding='utf-8').strip()}\n```\n"
    with source.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    lines = [header, ["---"] * len(header), *rows]
    return text + "".join(f"| {' | '.join(map(rounded, line))} |\n" for line in lines)


def rounded(cell: str) -> str:
    """Three digits behind the point are enough for people; small numbers keep three that count."""
    if not re.fullmatch(r"-?\d+\.\d{3,}", cell):
        return cell.replace("|", r"\|").replace("_", r"\_")
    return f"{float(cell):.3f}" if abs(float(cell)) >= 0.1 else f"{float(cell):.3g}"


NOT_HANDED_ON = {"evaluation": ["evaluation.complexity"]}
"""Files of a room that the room itself does not import, since what they need takes seconds."""


def api_page(room: str) -> str:
    """The public names of a room with their docstrings; of the shell, its commands."""
    modules = [f"cli.{name}" for name in COMMANDS] if room == "cli" else [room, *NOT_HANDED_ON.get(room, ())]
    members = "   :members:"
    if (ROOT / "mgdmkit" / room / "__init__.py").is_file() and room != "cli":  # what it hands on from its files
        members += "\n   :imported-members:"
    directives = "\n\n".join(f".. automodule:: mgdmkit.{name}\n{members}" for name in modules)
    return f"# mgdmkit.{room}\n\n```{{eval-rst}}\n{directives}\n```\n"


def toctree(names: list[str], *options: str) -> str:
    return "\n".join(["", "```{toctree}", *options, *names, "```", ""])


def sidebar(others: list[str], pages: Path) -> str:
    text = ""
    for caption, names in CONTENTS.items():
        there = [*names, *(others if caption == "More" else [])]
        there = [name for name in there if (pages / f"{name}.md").is_file()]
        entries = [f"{TITLES[name]} <{name}>" if name in TITLES else name for name in there]
        text += toctree(entries, ":hidden:", f":caption: {caption}") if entries else ""
    return text


def write_lessons(run: Path, folder: Path) -> None:
    """The core lessons as executed, with pictures of at most 720 pixels and 64 colours."""
    for source in CORE:
        executed = run / "notebooks" / source.name
        if notebook_state(executed)[0] != "ok":
            sys.exit(f"{executed}: {notebook_state(executed)[0]}; `make demo` runs every lesson.")
        notebook = cleaned(executed, run)
        for data in (out.get("data", {}) for cell in notebook["cells"] for out in cell.get("outputs", [])):
            if "image/png" in data:
                data["image/png"] = smaller(data["image/png"])
        text = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
        write_text_atomic(folder / source.name, text.replace("](solutions/", "](../../notebooks/solutions/"))
    size = sum(path.stat().st_size for path in folder.glob("*.ipynb"))
    print(f"lessons: {folder}, {size / 1e6:.1f} MB")


def smaller(png: str) -> str:
    image = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    image.thumbnail((720, 10_000))
    file = io.BytesIO()
    image.quantize(64).save(file, "png", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


if __name__ == "__main__":
    tyro.cli(main)
