"""A figure with sliders under JupyterLab, and the same figure as a still picture where nothing can be moved."""

import base64
import io
from collections.abc import Callable

import ipywidgets as widgets
import matplotlib.pyplot as plt
from IPython.display import display
from matplotlib.figure import Figure


def slide(draw: Callable[..., Figure], **controls: widgets.Widget) -> None:
    """Show the figure that `draw` makes of the controls' values, and draw it anew when one of them changes.

        slide(picture, angle=widgets.IntSlider(40, 0, 90, description="angle"))

    Args:
        draw: Takes a keyword for each control and returns a figure, which is closed after it was shown.
        controls: Sliders, menus or checkboxes with a `description`. Their first values make the still picture.
    """
    picture = widgets.Image(format="png", layout={"max_width": "100%"})

    def show(change: object = None) -> None:
        picture.value = _png(draw(**{name: control.value for name, control in controls.items()}))

    for control in controls.values():
        control.continuous_update = False  # one drawing for one movement
        control.observe(show, "value")
    show()
    box = widgets.VBox([*controls.values(), picture])
    # The page that papermill and the site make has no kernel: it falls back to the picture.
    still = {"image/png": base64.b64encode(picture.value).decode("ascii")}
    display({**box._repr_mimebundle_(), **still}, raw=True)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight")
    plt.close(figure)
    return buffer.getvalue()
