"""Label texts: how a class name becomes words, and words become the prompt sentence that CLIP reads (2.2)."""

import re
import unicodedata
from collections.abc import Iterable

PROMPT = "This is a video about {}"
"""The paper's prompt sentence."""

# Between a lower-case letter or digit and a capital, and before the last capital of an acronym: "TVShow" -> "TV Show".
_WORD_BREAK = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def label_text(name: str) -> str:
    """A folder's name as lower-case words: "ApplyEyeMakeup" -> "apply eye makeup", "brush_hair" -> "brush hair".

    CLIP's tokenizer would break the unsplit name into fragments that mean nothing.
    """
    return " ".join(_WORD_BREAK.sub(" ", name.replace("_", " ")).lower().split())


def normalise(label: str) -> str:
    """The form in which two labels are compared: without case, spaces and punctuation ("pull ups" as "PullUps")."""
    plain = unicodedata.normalize("NFKC", label).casefold()
    # Letters, digits, and marks, which are the vowels of some scripts.
    return "".join(character for character in plain if unicodedata.category(character)[0] in "LNM")


def prompts(labels: Iterable[str], template: str = PROMPT) -> list[str]:
    """The sentences around the labels; `ValueError` unless the template has exactly one `{}`."""
    if template.count("{}") != 1:
        raise ValueError(f"the prompt {template!r} must hold {{}} exactly once, where the label goes")
    return [template.replace("{}", label) for label in labels]
