"""Lists of clips as the field writes them: which file a line names, where that leaves no doubt."""

import csv
import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from mgdmkit.data.manifest import VIDEO_SUFFIXES, ManifestError


class ListReader:
    """Finds the clips that lists name, in every form that leaves no doubt.

    These name one clip: `Class/clip.avi`, `Class/clip.avi 3`, `Class/clip 120 3` (frames and label), the same with a
    tab, comma or semicolon and in quotes, with other folders before it or none, `\\` for `/`, and another suffix.
    """

    def __init__(self, clips: Mapping[Path, Path]):
        self.classes = {_plain(folder.name) for folder in clips.values()}
        # What a clip may be called, the surest name first.
        self.named: tuple[dict[str, set[Path]], ...] = tuple(defaultdict(set) for _ in range(4))
        for clip, folder in clips.items():
            path = _plain(clip.relative_to(folder.parent).as_posix())
            for names, name in zip(self.named, (path, _bare(path), clip.name, _bare(clip.name)), strict=True):
                names[_plain(name)].add(clip)
        self.example = next(iter(self.named[0]), "")

    def clip(self, line: str, where: str) -> Path | None:
        """None for a clip that is not there; `ManifestError` for a line that may name two."""
        first, more = _readings(line)
        for level, names in enumerate(self.named):
            with_class = level < 2
            keys = {key for text in (first | more if with_class else first) for key in self._keys(text, with_class)}
            keys |= {_bare(key) for key in keys} if level % 2 else set()
            if found := set().union(*(names[key] for key in keys if key in names)):
                if len(found) > 1:
                    a, b, *_ = sorted(found)
                    raise ManifestError(f"{where}: {line.strip()!r} may be {a} or {b}; write Class/clip.avi")
                return found.pop()
        return None

    def _keys(self, text: str, with_class: bool) -> list[str]:
        parts = [part for part in _plain(text).replace("\\", "/").split("/") if part not in ("", ".")]
        if with_class:  # "/data/ucf/Class/clip.avi": any end of it that has a folder
            return ["/".join(parts[at:]) for at in range(len(parts) - 1)]
        # The name alone, unless it stands behind a class: then it is another class' clip.
        return parts[-1:] if len(parts) < 2 or parts[-2] not in self.classes else []


HEADINGS = set(
    "video videos clip clips file files path paths filename name id label labels class classes split category action "
    "frames num_frames index video_id class_id".split()
)


def is_heading(line: str) -> bool:
    """Whether a line of a list names its columns: "video;class"."""
    words = re.split(r"[\s,;\"']+", line.lower().strip(" \t,;\"'"))
    return set(words) <= HEADINGS


def _plain(name: str) -> str:
    """Accents in one form: archives from a Mac have another."""
    return unicodedata.normalize("NFC", name)


def _bare(name: str) -> str:
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and f".{suffix.lower()}" in VIDEO_SUFFIXES else name


def _readings(line: str) -> tuple[set[str], set[str]]:
    """What of a line may be the name of a clip: from its beginning on, and in later cells.

    Where a reading ends in a video's suffix no other counts: the file "a b.avi" is not the clip "a".
    """
    line, numbers = line.strip()[:10_000], re.compile(r"[\s,;\d.+-]*")
    cells = [next(csv.reader([line], delimiter=mark), []) for mark in ",;\t"]
    first = {cell for cell in [line, *(row[0] for row in cells)]}
    more = {cell for row in cells for cell in row[1:]}
    for cell in list(first):
        ends = [space.start() for space in re.finditer(r"[\s,;]+", cell)]
        first |= {cell[:at] for at in ends if _is_video(cell[:at]) or numbers.fullmatch(cell[at:])}
    first, more = ({cell.strip(" \t\"'") for cell in part} for part in (first, more))
    if any(map(_is_video, first | more)):
        return set(filter(_is_video, first)), set(filter(_is_video, more))
    return first, more


def _is_video(name: str) -> bool:
    return _bare(name) != name
