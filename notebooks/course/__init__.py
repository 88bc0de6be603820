"""Answers to the exercises of the lessons: checked, and never given away.

    from course import check

    check("00.3", answer)

Each lesson has a module here, `lesson00.py` and so on, with a function for each exercise: `exercise3(answer)`. It
asserts what a right answer has to be; the message of the first assertion that fails is the hint that a student reads.
What an answer depends on, such as a trained model, is passed by keyword.
"""

from importlib import import_module
from typing import Any


def check(exercise: str, answer: Any, **given: Any) -> bool:
    """Say whether `answer` is right, or what is off; whether it is right is returned as well.

    Args:
        exercise: Lesson and number, such as "00.3".
        answer: The student's; `...` for none yet.
        given: What the answer was computed from, as the lesson's cell passes it.

    Raises:
        ValueError: There is no such exercise.
    """
    lesson, _, number = exercise.partition(".")
    try:
        judge = getattr(import_module(f"course.lesson{lesson}"), f"exercise{number}")
    except (ModuleNotFoundError, AttributeError):
        raise ValueError(f"there is no exercise {exercise!r}; they are named like '00.3', lesson and number") from None
    if answer is ...:
        print(f"{exercise}: no answer yet. Replace ... with your answer.")
        return False
    try:
        judge(answer, **given)
    except AssertionError as hint:
        print(f"{exercise}: not yet. {hint}")
        return False
    except (TypeError, ValueError, AttributeError, IndexError, KeyError, RuntimeError) as error:
        print(f"{exercise}: this is not in the form asked for ({type(error).__name__}: {error}).")
        return False
    print(f"{exercise}: right.")
    return True
