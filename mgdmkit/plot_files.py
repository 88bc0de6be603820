"""A figure as files: PNG for pages and screens, SVG for print and slides, where its words can be searched and set."""

import io
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

KINDS = {"png": {}, "svg": {"metadata": {"Date": None}}}  # no date: the same drawing gives the same bytes


def save(figure: Figure, path: Path | str, dpi: int = 150) -> None:
    """Write a figure as `path.png` and `path.svg`; the folder is made where it is missing.

    Args:
        path: without an ending.
        dpi: pixels per inch of the PNG, and of the photographs in the SVG.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for kind, details in KINDS.items():
        drawn = io.BytesIO()
        with rc_context({"svg.fonttype": "none", "svg.hashsalt": "mgdmkit"}):  # text stays text; ids without chance
            figure.savefig(drawn, format=kind, dpi=dpi, **details)
        temporary = path.with_name(f".{path.name}.{kind}.tmp")
        temporary.write_bytes(drawn.getvalue())
        temporary.replace(path.with_name(f"{path.name}.{kind}"))
