"""The rooms of the kit and who imports whom, read from the source: the picture in CONTRIBUTING.md.

    python benchmarks/rooms.py --write CONTRIBUTING.md

Without `--write` it is printed. `tests/test_imports.py` reads the imports with the same functions, and fails when the
picture is not that of today's imports.
"""

import ast
import re
from collections.abc import Mapping
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import tyro

from mgdmkit.files import write_text_atomic

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "mgdmkit"
MODULES = sorted(".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in PACKAGE.rglob("*.py"))
BEGIN = "<!-- rooms: written by python benchmarks/rooms.py --write CONTRIBUTING.md -->\n"
END = "<!-- end of rooms -->\n"


def room_of(module: str) -> str:
    """`clip.weights` stands in `clip`."""
    return module.split(".")[0]


def imported_names(source: str) -> set[str]:
    """Dotted names a module imports, at its top or inside a function; `from a import b` gives `a.b`."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module if node.level == 0 else ".".join(filter(None, ["mgdmkit", node.module]))
            names |= {f"{base}.{alias.name}" for alias in node.names}
    return names


@cache
def imports(module: str) -> frozenset[str]:
    return frozenset(imported_names((PACKAGE / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")))


def imported_module(name: str) -> str:
    """`mgdmkit.clip.weights.f` is of `clip.weights`; a name taken from a room itself comes from its `__init__`."""
    parts = name.split(".")[1:]
    candidates = (".".join([*parts[:n], *end]) for n in range(len(parts), -1, -1) for end in ([], ["__init__"]))
    return next(module for module in candidates if module in MODULES)


def imported_rooms() -> dict[str, set[str]]:
    """Room -> the others that any of its modules imports."""
    needs: dict[str, set[str]] = {}
    for module in MODULES:
        ours = {room_of(imported_module(name)) for name in imports(module) if room_of(name) == "mgdmkit"}
        room = room_of(module)
        needs[room] = needs.get(room, set()) | ours - {room}
    return {room: others for room, others in needs.items() if room not in ("__init__", "__main__")}


def direct(needs: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The arrows that no other path implies, the ground first; `graphlib.CycleError` where rooms import in a circle."""
    reach: dict[str, set[str]] = {}
    for room in TopologicalSorter(needs).static_order():
        reach[room] = needs[room].union(*(reach[other] for other in needs[room]))
    ground_first = sorted(needs, key=lambda room: (len(reach[room]), room))
    return {room: needs[room].difference(*(reach[other] for other in needs[room])) for room in ground_first}


def first_sentence(docstring: str) -> str:
    """Up to a full stop before a capital letter or a name, so that "eq. 4" does not end it."""
    return re.split(r"(?<=\.)\s+(?=[A-Z`])", " ".join(docstring.split()), maxsplit=1)[0]


def picture() -> str:
    """A Mermaid graph of the rooms, and a table of what stands in each."""
    arrows, rows = [], []
    for room, others in direct(imported_rooms()).items():
        arrows += [f"    {room} --> {other}" for other in sorted(others)] or [f"    {room}"]
        folder = (PACKAGE / room).is_dir()
        source = PACKAGE / (f"{room}/__init__.py" if folder else f"{room}.py")
        told = first_sentence(ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or "")
        rows.append(f"| [{room}](mgdmkit/{room if folder else source.name}) | {told} |")
    graph = ["```mermaid", "graph TD", *arrows, "```"]
    return "\n".join([*graph, "", "| room | what stands in it |", "|---|---|", *rows]) + "\n"


def with_picture(page: str) -> str:
    """The page with the picture of today between the two marks; `ValueError` where it lacks them."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"no place for the picture; put these two lines where it should stand:\n{BEGIN}{END}")
    return f"{before}{BEGIN}\n{picture()}\n{END}{after}"


def main(write: Path | None = None) -> None:
    """Print the picture, or put it into a page.

    Args:
        write: The page, with the two marks that say where.
    """
    if write is None:
        print(picture(), end="")
    else:
        write_text_atomic(write, with_picture(write.read_text(encoding="utf-8")))


if __name__ == "__main__":
    tyro.cli(main)
