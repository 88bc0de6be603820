"""Are a manifest's clips there and whole? The check of somebody's own table, and the reports of every check."""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations, filterfalse
from pathlib import Path
from typing import Any

from tqdm.contrib.concurrent import thread_map

from mgdmkit.data.corpus import alike, normalise
from mgdmkit.data.manifest import SPLITS, UNUSED, ManifestError, official_splits, read_manifest, write_manifest
from mgdmkit.data.tables import write_rows
from mgdmkit.data.video import VideoError, count_frames
from mgdmkit.files import sha256, write_text_atomic
from mgdmkit.pool import cores

Row = dict[str, str]
PROBLEMS = ("missing", "empty", "unreadable")
"""What the words about a clip begin with."""
FEW = 5
"""As many names are listed whole in a message."""


@dataclass(frozen=True)
class Checked:
    """Clips that can be used, and those that can't."""

    rows: list[Row]
    """Usable clips, as `write_manifest` takes them, with absolute paths."""
    problems: list[Row]
    """The others: id, path, label, and the problem in words."""
    probed: bool
    """Whether each file was decoded, or only looked for."""
    notes: list[str]
    copies: list[list[Row]]
    """As `copies_among` gives them."""

    @property
    def summary(self) -> str:
        """Clips per split, classes, and everything to know of them, for printing."""
        classes = len({row["label"] for row in self.rows})
        first = f"{len(self.rows):,} clips of {classes} classes: {counts_text(split_counts(self.rows, 'split'))}"
        return "\n".join([first, *([problems_text(self.problems)] if self.problems else []), *self.notes])

    def problem_counts(self) -> dict[str, int]:
        """How many clips are missing, empty or unreadable; only what there is."""
        counts = {kind: sum(row["problem"].startswith(kind) for row in self.problems) for kind in PROBLEMS}
        return {kind: n for kind, n in counts.items() if n}

    def report(self) -> dict[str, Any]:
        """Counts for JSON: clips listed, found and not, per split column and split, and the classes without a clip."""
        lost = {row["label"] for row in self.problems} - {row["label"] for row in self.rows}
        return {
            "listed": len(self.rows) + len(self.problems),
            "found": len(self.rows),
            "left_out": len(self.problems),
            "problems": self.problem_counts(),
            "probed": self.probed,
            "found_per_split": {column: split_counts(self.rows, column) for column in split_columns(self.rows)},
            "classes": len({row["label"] for row in self.rows}),
            "classes_without_clips": sorted(lost),
            "notes": self.notes,
        }


def split_columns(rows: Sequence[Row]) -> list[str]:
    """split1, split2, ... where there are such columns, else split."""
    return official_splits(list(rows[0])) or ["split"]


def few_names(names: Sequence[object]) -> str:
    """Behind a count: all names where they are few, else the first."""
    return f": {', '.join(map(str, names))}" if len(names) <= FEW else f", first {names[0]}"


def problems_text(problems: Sequence[Row]) -> str:
    """Which clips can't be used, and why."""
    told = [f"{row['path']} ({row['problem']})" for row in problems]
    return f"{len(told):,} clip{'s' * (len(told) > 1)} left out{few_names(told)}"


def counts_text(counts: dict[str, int]) -> str:
    """As a reader sees them: "9,537 train, 3,783 test"."""
    return ", ".join(f"{n:,} {name}" for name, n in counts.items())


def split_counts(rows: Iterable[Row], column: str) -> dict[str, int]:
    """How many clips of each split that has any: {"train": 9537, "test": 3783}."""
    counts = Counter(row[column] for row in rows)
    return {split: counts[split] for split in (*SPLITS, UNUSED) if counts[split]}


def file_problems(
    paths: Sequence[Path | None], *, probe: bool = False, workers: int | None = None, quiet: bool = False
) -> list[str]:
    """What is wrong with each file, "" for nothing; None, a clip whose file was not found, is missing.

    Without `probe` no file is opened: one that is missing or has 0 bytes is found. With it every frame is decoded,
    by the reader that features are made with, so that none of them can stop a long run; about 20 ms a UCF101 clip
    and 0.1 s a Kinetics clip on one core.

    Args:
        workers: threads that decode (FFmpeg runs outside the interpreter's lock); None takes one per core, at most 16.
    """
    if not probe:
        if workers is not None:
            raise ValueError("--workers has no effect without --probe; leave it out")
        return list(map(_problem, paths))
    workers = min(16, cores()) if workers is None else max(1, workers)
    look = partial(_problem, probe=True)
    return thread_map(look, paths, max_workers=workers, desc="probe", unit="clip", disable=quiet)


def _problem(path: Path | None, probe: bool = False) -> str:
    if path is None or not path.is_file():
        return "missing"
    if not path.stat().st_size:
        return "empty, 0 bytes"
    try:
        if probe:
            count_frames(path)
    except VideoError as error:
        return f"unreadable: {error}"
    return ""


def usable(rows: Sequence[Row], paths: Sequence[Path | None], **probing: Any) -> tuple[list[Row], list[Row]]:
    """The rows whose file can be used, with its path; and the others, with the path they had and the problem.

    Args:
        probing: the options of `file_problems`.
    """
    good, bad = [], []
    for row, path, problem in zip(rows, paths, file_problems(paths, **probing), strict=True):
        if problem:
            bad.append({"id": row["id"], "path": row["path"], "label": row["label"], "problem": problem})
        else:
            good.append({**row, "path": path.as_posix()})
    return good, bad


def sift(rows: Sequence[Row], paths: Sequence[Path | None], *, probe: bool = False, **probing: Any) -> Checked:
    """The `usable` rows, checked against one another, and the others."""
    good, bad = usable(rows, paths, probe=probe, **probing)
    copies = copies_among(good)
    return Checked(good, bad, probe, notes_on(good, copies), copies)


def copies_among(rows: Sequence[Row]) -> list[list[Row]]:
    """Clips with the same content, in groups that are not all of one class and split.

    Files are compared by size first, then by their heads, and as a whole only where these agree.
    """
    same = [[row for row in rows if Path(row["path"]).stat().st_size]]
    for key in (lambda path: path.stat().st_size, _hash_of_head, sha256):
        same = [group for rows in same for group in _grouped(rows, key)]
    return [group for group in same if any(map(_apart, combinations(group, 2)))]


def notes_on(rows: Sequence[Row], copies: Sequence[Sequence[Row]]) -> list[str]:
    """What a reader should know of clips that can be used: `copies_among` them, labels of one spelling."""
    notes, of_kind = [], {"split": [], "class": []}
    for group in copies:
        two_labels = next(filterfalse(_agree, combinations(group, 2)), None)
        pair = two_labels or next(filter(_apart, combinations(group, 2)))
        of_kind["split" if _agree(pair) else "class"].append(pair)
    harm = {"split": "a score on a clip that was trained on is none", "class": "the two labels contradict each other"}
    for other, pairs in of_kind.items():
        if pairs:
            columns = split_columns(pairs[0])
            first, second = (f"{row['path']} ({row['label']}, {'/'.join(map(row.get, columns))})" for row in pairs[0])
            n, which = ("1 clip has", ":") if len(pairs) == 1 else (f"{len(pairs)} clips have", ", first")
            told = f"{n} a copy in another {other}{which} {first} and {second}"
            notes.append(f"{told}: {harm[other]}; delete one of each")
    if spellings := alike(sorted({row["label"] for row in rows}), normalise):
        a, b = spellings[0]
        n = "1 pair of labels differs" if len(spellings) == 1 else f"{len(spellings)} pairs of labels differ"
        notes.append(f"{n} in blanks or signs only, first {a!r} and {b!r}: are they one?")
    return notes


def _grouped(rows: Sequence[Row], key: Callable[[Path], Hashable]) -> list[list[Row]]:
    """The rows whose files have equal keys, without those that stand alone."""
    groups = defaultdict(list)
    for row in rows:
        groups[key(Path(row["path"]))].append(row)
    return [group for group in groups.values() if len(group) > 1]


def _hash_of_head(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.sha256(file.read(1 << 16)).digest()


def _agree(pair: tuple[Row, Row]) -> bool:
    return pair[0]["label"] == pair[1]["label"]


def _apart(pair: tuple[Row, Row]) -> bool:
    """Whether two rows are of different classes, or in different splits that are both used."""
    splits = ({row[column] for row in pair} - {UNUSED} for column in split_columns(pair))
    return not _agree(pair) or any(len(held) > 1 for held in splits)


def save_checked(out: Path, checked: Checked, about: dict[str, Any]) -> None:
    """Write the usable clips to `out`, and `beside` it report.json, and missing.csv and copies.csv if there are such.

    Args:
        about: goes into the report before the counts.
    """
    report = json.dumps({**about, **checked.report()}, indent=2, ensure_ascii=False) + "\n"
    report = report.encode(errors="backslashreplace").decode()  # a folder whose name is no UTF-8
    write_manifest(out, checked.rows)
    write_text_atomic(beside(out, "report.json"), report)
    copies = [{**row, "copy": str(at)} for at, group in enumerate(checked.copies, start=1) for row in group]
    of_copies = ("copy", "id", "path", "label", *split_columns(checked.rows))
    of_missing = ("id", "path", "label", "problem")
    for name, header, rows in (("missing.csv", of_missing, checked.problems), ("copies.csv", of_copies, copies)):
        if rows:
            write_rows(beside(out, name), header, rows)
        else:
            beside(out, name).unlink(missing_ok=True)  # that of an older manifest


def beside(out: Path, name: str) -> Path:
    """Where `save_checked` writes what there is to know of a manifest: "m.csv" -> "m.missing.csv"."""
    return out.with_name(f"{out.stem}.{name}")


def check_manifest(
    path: Path, out: Path | None = None, *, official_split: int | None = None, **probing: Any
) -> Checked:
    """Check somebody's own table, and its files; with `out` write the usable clips as a manifest, with reports.

    Args:
        official_split: 2 makes `split2` the `split` of what is written.
        probing: the options of `file_problems`: whether to open the files, and how.
    Raises:
        FileNotFoundError, ManifestError: what `read_manifest` refuses; clips that are missing or damaged when there
            is no `out` to write the others to; no usable clip at all.
    """
    if out is not None and out.resolve() == path.resolve():
        raise ManifestError(f"{out} is the manifest itself: clips that can't be used would leave it; name another file")
    manifest = read_manifest(path, official_split=official_split)
    files = [file.absolute() for file in manifest.video_paths]
    checked = sift(manifest.table.to_dict("records"), files, **probing)
    if checked.problems and (out is None or not checked.rows):
        first = checked.problems[0]
        mend = "paths are relative to the manifest's folder" if not checked.rows else "--out FILE keeps the others"
        raise ManifestError(
            f"{path}: {len(checked.problems)} of {len(files)} clips cannot be used, first "
            f"{(path.parent / first['path']).absolute()} ({first['problem']}); {mend}"
        )
    if out is not None:
        save_checked(out, checked, {"manifest": str(path), "official_split": official_split})
    return checked
