"""The paper's tables and its Figure 5: recipes, what filling a table would take, its rows, and the tables themselves.

May import everything below the shell but the inspector.
"""

from importlib import import_module

_HOME = {
    "K_ROWS": "recipes",
    "MODULE_ROWS": "recipes",
    "Options": "options",
    "Recipe": "recipes",
    "read_recipe": "recipes",
    "reproduce_table": "job",
    "table_recipes": "recipes",
    "write_comparison": "tables",
}
"""Where each public name is. It is fetched when it is asked for: the shell's `--help` needs the options alone."""
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOME]
