"""A figure as files: PNG for pages and screens, SVG for print and slides, where its words can be searched and set."""

from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from mgdmkit.files import atomic

DETAILS = {".svg": {"metadata": {"Date": None}}}  # no date: the same drawing gives the same bytes


def save(figure: Figure, path: Path | str, dpi: int = 150) -> None:
    """Write a figure as `path.png` and `path.svg`; the folder is made where it is missing.

    Args:
        path: without an ending.
        dpi: pixels per inch of the PNG, and of the photographs in the SVG.
    """
    path = Path(path)
    for kind in ("png", "svg"):
        save_as(figure, path.with_name(f"{path.name}.{kind}"), dpi)


def save_as(figure: Figure, path: Path, dpi: int = 150, **options: Any) -> Path:
    """Write one file, of the kind that its ending names, whole or not at all; `options` are those of `savefig`."""
    fixed = {"svg.fonttype": "none", "svg.hashsalt": "mgdmkit"}  # text stays text; ids without chance
    with rc_context(fixed), atomic(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:], dpi=dpi, **DETAILS.get(path.suffix, {}), **options)
    return path
