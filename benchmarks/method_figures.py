"""The method's diagrams as files, SVG for print and slides, PNG for pages that show no SVG.

python benchmarks/method_figures.py
"""

from pathlib import Path

import matplotlib.pyplot as plt
import tyro

from mgdmkit import plots
from mgdmkit.plots import diagrams

DIAGRAMS = (diagrams.paradigms, diagrams.framework, diagrams.modules, diagrams.split_vector)


def main(out: Path = Path("results/figures")) -> None:
    """Draw every diagram.

    Args:
        out: The folder to write to.
    """
    plots.style()
    for draw in DIAGRAMS:
        figure = draw().figure
        plots.save(figure, out / draw.__name__)
        print(f"figure: {out / draw.__name__}.png and .svg")
        plt.close(figure)


if __name__ == "__main__":
    tyro.cli(main)
