"""`mgdm ...` in the process of the tests."""

import contextlib
import io
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from mgdmkit.cli.main import main


class Ended(NamedTuple):
    status: int | str
    out: list[str]
    err: str


def mgdm(command: str, **paths: Path) -> Ended:
    """Run `mgdm <command>` in this process, `{name}` standing for one of `paths`."""
    words = [word.format(**paths) for word in command.split()]
    out, err, status = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.setattr(sys, "argv", ["mgdm", *words])
        try:
            main()
        except SystemExit as end:
            status = end.code or 0
    return Ended(status, out.getvalue().splitlines(), err.getvalue())
