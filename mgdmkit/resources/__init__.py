"""What comes with the kit beside its code: cards and lists of datasets, recipes, notebooks, and the results they show.

In the repository these folders lie at the top; the build of a wheel puts them into this one (see `pyproject.toml`).
Imports nothing.
"""

from mgdmkit.resources.places import resource
