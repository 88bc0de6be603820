"""The pages for readers: their links lead somewhere, their commands exist, their names are those of the code."""

import contextlib
import importlib
import io
import re
import shlex
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

from mgdmkit.cli.main import main
from mgdmkit.config import FineTuneConfig, MGDMConfig, TrainConfig
from mgdmkit.experiments.grids import GRIDS
from mgdmkit.model import MGDMOutput

ROOT = Path(__file__).resolve().parent.parent
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for pattern in ("*.md", "docs/*.md", "results/*.md", "recipes/*.md", "data_manifests/*.md")
    for path in sorted(ROOT.glob(pattern))
}
METHOD = PAGES["docs/method.md"]
FOLDERS = "benchmarks|data_manifests|mgdmkit|notebooks|recipes|results|tests"


def shell_lines(page: str) -> list[str]:
    """The commands of a page: lines of its shell blocks, and what stands between single backticks."""
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", page, flags=re.DOTALL)).replace("\\\n", " ")
    prose = re.sub(r"```.*?```", "", page, flags=re.DOTALL)
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]
    return [line.partition(" #")[0].strip() for line in blocks.splitlines()] + spans


def lines_with(pattern: str) -> list[tuple[str, str]]:
    """(page, the first group of the pattern) for each command that matches it."""
    found = {
        (name, match[1]) for name in PAGES for line in shell_lines(PAGES[name]) if (match := re.match(pattern, line))
    }
    return sorted(found)


@pytest.mark.parametrize("name", PAGES)
def test_what_a_page_links_or_names_is_there(name):
    targets = re.findall(r"\]\(([^)\s]+)\)", PAGES[name]) + re.findall(r'src="([^"]+)"', PAGES[name])
    links = [target.partition("#")[0] for target in targets if "://" not in target]
    assert [link for link in links if not ((ROOT / name).parent / link).exists()] == []
    paths = re.findall(rf"`((?:{FOLDERS})/[\w./-]*)`", PAGES[name])
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_every_notebook_is_listed(name):
    listed = re.findall(r"^\| \[`(\d\d_\w+)`\]\(\S+/\1\.ipynb\) \|", PAGES[name], flags=re.MULTILINE)
    assert listed == sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"))


@cache
def help_of(*subcommand: str) -> str:
    """What `mgdm SUBCOMMAND --help` prints; empty when there is no such subcommand."""
    out, status = io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        patch.setattr(sys, "argv", ["mgdm", *subcommand, "--help"])
        try:
            main()
        except SystemExit as end:
            status = end.code or 0
    return out.getvalue() if status == 0 else ""


def spelled_out(words: list[str]) -> list[list[str]]:
    """`manifest ucf101|hmdb51` stands for two commands."""
    alternatives = next((i for i, word in enumerate(words) if re.fullmatch(r"[a-z0-9]+(\|[a-z0-9]+)+", word)), None)
    if alternatives is None:
        return [words]
    before, after = words[:alternatives], words[alternatives + 1 :]
    return [[*before, word, *after] for word in words[alternatives].split("|")]


@pytest.mark.parametrize("name, command", lines_with(r"(?:torchrun .*-m (?:-- )?mgdmkit|(?:\S*/)?mgdm) (.*)"))
def test_a_command_and_its_options_exist(name, command):
    for words in spelled_out(shlex.split(command)):
        subcommand = []
        for word in words:
            if not re.fullmatch("[a-z0-9]+", word):
                break
            subcommand.append(word)
        if subcommand[:2] == ["experiment", "grid"]:  # then comes the name of a grid
            assert set(subcommand[2:]) <= set(tomllib.loads(GRIDS.read_text(encoding="utf-8")))
            subcommand = subcommand[:2]
        text = help_of(*subcommand)
        assert text.startswith(" ".join(["usage: mgdm", *subcommand])), f"{name}: no command {' '.join(subcommand)}"
        options = [word.partition("=")[0] for word in words if word.startswith("--")]
        assert [option for option in options if not re.search(rf"{option}(?![\w-])", text)] == []


@pytest.mark.parametrize("name, command", lines_with(r"(?:[A-Z_]+=\S* )?(?:\S*/)?python (benchmarks/.*)"))
def test_a_script_and_its_options_exist(name, command):
    script, *words = shlex.split(command)
    source = (ROOT / script).read_text(encoding="utf-8")
    options = [word.removeprefix("--") for word in words if word.startswith("--")]
    assert [option for option in options if option not in source and option.replace("-", "_") not in source] == []


def test_make_has_the_targets_that_are_named():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = {target for _, target in lines_with(r"make ([a-z]+)$")}
    assert {"demo", "test"} <= targets
    assert [target for target in targets if not re.search(rf"^{target}:", makefile, flags=re.MULTILINE)] == []


def test_every_result_is_listed_with_its_command_and_commit():
    rows = re.findall(r"^\| (.*?) \| (.*?) \| (.*?) \| (.*?) \|$", PAGES["results/README.md"], flags=re.MULTILINE)
    listed = [name for files, *_ in rows for name in re.findall(r"`([^`]+)`", files)]
    there = {str(path.relative_to(ROOT / "results")) for path in (ROOT / "results").rglob("[!.]*") if path.is_file()}
    folders = tuple(name for name in listed if name.endswith("/"))  # a row may stand for a folder
    assert sorted(name for name in listed if not name.endswith("/")) == sorted(
        name for name in there - {"README.md"} if not name.startswith(folders)
    )
    assert all(any(name.startswith(folder) for name in there) for folder in folders)
    assert all(command.strip() for _, _, command, _ in rows)
    commits = {commit for *_, commit in rows} - {"commit", "---"}
    assert commits and all(re.fullmatch(r"[0-9a-f]{7}", commit) for commit in commits), commits


def dotted(page: str) -> list[str]:
    """Names like `loss.augmented_targets` and `TrainConfig.k`."""
    names = re.findall(r"`([A-Za-z_]\w*\.[A-Za-z_][\w.]*)`", page)
    return sorted({name for name in names if not name.endswith((".py", ".md", ".csv", ".json"))})


def resolved(name: str) -> object:
    classes = {kind.__name__: kind for kind in (MGDMConfig, TrainConfig, FineTuneConfig, MGDMOutput)}
    first, *rest = name.split(".")
    value = classes.get(first) or importlib.import_module(f"mgdmkit.{first}")
    for part in rest:
        if not hasattr(value, part):  # a module that its room does not import
            importlib.import_module(f"{value.__name__}.{part}")
        value = getattr(value, part)
    return value


def test_the_method_names_enough_of_the_code():
    assert len(dotted(METHOD)) > 30


@pytest.mark.parametrize("name", dotted(METHOD))
def test_a_name_of_the_method_is_in_the_code(name):
    assert resolved(name) is not None or name.startswith("MGDMConfig.")


def test_the_method_covers_every_equation():
    covered = set()
    for first, last in re.findall(r"(?:eq\. |^\| |, )(\d+)(?:-(\d+))?", METHOD, flags=re.MULTILINE):
        covered |= set(range(int(first), int(last or first) + 1))
    assert set(range(1, 19)) <= covered


def readings() -> dict[str, list[str]]:
    """Option -> its choices, the default first, as the configuration has them."""
    found = {"MGDMConfig.frame_positions": ["True", "False"]}
    for config in (TrainConfig, MGDMConfig):
        for name, choices in config.choices().items():
            if name not in ("precision", "negatives"):  # no matter of how the paper is read
                found[f"{config.__name__}.{name}"] = list(choices)
    return found


def test_the_method_lists_every_reading_with_its_choices():
    rows = re.findall(r"^\| `(\w+Config\.\w+)` \| (`.*?`) \|", METHOD.partition("## Readings")[2], flags=re.MULTILINE)
    assert {option: re.findall(r"`(\w+)`", choices) for option, choices in rows} == readings()


@pytest.mark.parametrize("option", readings())
def test_every_reading_is_trained_by_its_grid_and_told_by_its_lesson(option):
    name, (default, *others) = option.partition(".")[2], readings()[option]
    grids = tomllib.loads((ROOT / "mgdmkit" / "experiments" / "grids.toml").read_text(encoding="utf-8"))
    trained = {str(row[name]) for row in grids["readings"]["rows"] if name in row}
    assert trained == set(others)
    lesson = (ROOT / "notebooks" / "07_readings.ipynb").read_text(encoding="utf-8")
    words = [] if default == "True" else [default, *others]
    assert [word for word in (name, *words) if f"`{word}`" not in lesson] == []


@pytest.mark.parametrize("name", ["docs/method.md", "docs/lab_notes.md"])
def test_formulas_survive_github(name):
    """Between dollars its markdown takes a backslash from before punctuation, and a bar ends a table's cell."""
    text = re.sub(r"```.*?```|`[^`\n]*`", "", PAGES[name], flags=re.DOTALL)
    for paragraph in re.split(r"\n\n|\n(?=\|)", text):
        assert paragraph.count("$") % 2 == 0, paragraph
        formulas = paragraph.split("$")[1::2]
        assert [formula for formula in formulas if re.search(r"\\[^A-Za-z]|\||^\s|\s$", formula)] == []


def notes() -> list[str]:
    return re.split(r"^## ", PAGES["docs/lab_notes.md"], flags=re.MULTILINE)[1:]


def test_lab_notes_are_dated_newest_first_and_say_the_same_five_things():
    dates = [note[:10] for note in notes()]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", date) for date in dates), dates
    assert dates == sorted(dates, reverse=True) and len(dates) > 5
    for note in notes():
        heads = re.findall(r"^\*\*(\w+)\.\*\*", note, flags=re.MULTILINE)
        assert heads == ["Question", "Done", "Found", "Means", "Where"], note.splitlines()[0]


def test_the_chinese_page_has_no_figure_that_the_english_one_lacks():
    """A number with a decimal point is a result: after a new run both pages change."""
    number = re.compile(r"(?<![\w./-])\d+\.\d+(?![\w./-])", flags=re.ASCII)
    figures = set(number.findall(PAGES["README.zh-CN.md"]))
    assert figures and figures - set(number.findall(PAGES["README.md"] + PAGES["docs/results.md"])) == set()
    assert "README.md" in re.findall(r"\]\(([^)]+)\)", PAGES["README.zh-CN.md"])
