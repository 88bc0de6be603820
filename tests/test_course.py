"""The check of the exercises: what it says to a right answer, a wrong one, none, and one of another form."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


@pytest.fixture
def check(monkeypatch):
    monkeypatch.syspath_prepend(str(NOTEBOOKS))
    from course import check

    lesson = ModuleType("course.lesson99")
    exec("def exercise1(answer, given=3):\n    assert answer + 1 == given, 'One off?'", lesson.__dict__)
    monkeypatch.setitem(sys.modules, "course.lesson99", lesson)
    return check


def test_right_wrong_and_none(check, capsys):
    assert check("99.1", 2) and "right" in capsys.readouterr().out
    assert check("99.1", 4, given=5)
    assert not check("99.1", 3) and "One off?" in capsys.readouterr().out
    assert not check("99.1", ...) and "no answer yet" in capsys.readouterr().out
    assert not check("99.1", "two") and "form" in capsys.readouterr().out


def test_no_such_exercise(check):
    with pytest.raises(ValueError, match=r"00\.3"):
        check("99.7", 1)
    with pytest.raises(ValueError, match="no exercise"):
        check("98.1", 1)
