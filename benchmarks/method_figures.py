"""The method's diagrams as files, SVG for print and slides, PNG for pages that show no SVG.

python benchmarks/method_figures.py
"""

from pathlib import Path

import matplotlib.pyplot as plt
import tyro

from mgdmkit import diagrams, plots

DIAGRAMS = (diagrams.paradigms, diagrams.framework, diagrams.modules, diagrams.split_vector)


def main(out: Path = Path("results/figures")) -> None:
    """Draw every diagram.

    Args:
        out: The folder to write to.
    """
    plots.style()
    plt.rcParams["svg.hashsalt"] = "mgdmkit"  # the same drawing gives the same bytes
    out.mkdir(parents=True, exist_ok=True)
    for draw in DIAGRAMS:
        figure = draw().figure
        for kind, details in (("svg", {"metadata": {"Date": None}}), ("png", {})):
            path = out / f"{draw.__name__}.{kind}"
            figure.savefig(path, **details)
            print(f"figure: {path}")
        plt.close(figure)


if __name__ == "__main__":
    tyro.cli(main)
