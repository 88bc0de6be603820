"""Where the folders that come with the kit are, in a checkout and in an installation."""

from pathlib import Path

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]


def resource(name: str) -> Path:
    """The folder `data_manifests`, `recipes`, `notebooks` or `results`.

    An installation from a wheel has it beside this file; a checkout, installed with `pip install -e` or not, at its
    top. Where it is in neither place the path is that of the installation, and who reads it says what is missing.
    """
    installed, checkout = HERE / name, CHECKOUT / name
    # The checkout comes second: beside an installed package there may be a folder `notebooks` of somebody else.
    return checkout if checkout.is_dir() and not installed.is_dir() else installed
