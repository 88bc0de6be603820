"""What the commands share. The files beside this one hold some each; `main.py` puts them together.

A command imports what it needs when it runs, so that `--help` need not wait for it.
"""

from pathlib import Path


def done(what: str, path: Path) -> None:
    """The last line of every command."""
    print(f"{what}: {path}")
