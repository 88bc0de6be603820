"""From the clips that a dataset's official files list to a manifest of those that are in a folder of videos.

`ucf101.py`, `hmdb51.py` and `kinetics400.py` read the files; here their clips are looked for.
Partial copies are usable: what is missing is listed beside the manifest, and every count is stated.
"""

from collections import Counter, defaultdict
from collections.abc import Container, Iterable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from mgdmkit.config import check_choice
from mgdmkit.data.cards import classes_by_spelling, dataset_card, dataset_classes
from mgdmkit.data.check import Checked, beside, counts_text, save_checked, sift, split_columns, split_counts
from mgdmkit.data.corpus import normalise
from mgdmkit.data.manifest import ManifestError, files_below, is_clip
from mgdmkit.data.tables import read_text

NUMBERS = (1, 2, 3)
"""The official splits of UCF101 and HMDB51."""
ARCHIVES = frozenset({".rar", ".zip", ".tar", ".gz", ".tgz"})


class OfficialClip(NamedTuple):
    """A clip as the official files list it."""

    id: str
    path: str
    """Class folder and file name, as the dataset lays them out."""
    label: str
    splits: dict[str, str]
    """split1, split2, split3, or split alone -> train, val, test or unused."""
    short_name: str = ""
    """Another name, without suffix, under which copies of the dataset keep the file."""

    @property
    def class_name(self) -> str:
        return Path(self.path).parent.name


@dataclass(frozen=True)
class OfficialClips:
    """All clips of the official files, whether there or not."""

    dataset: str
    clips: list[OfficialClip]
    notes: list[str] = field(default_factory=list)
    """What a reader of the counts should know, such as rows that were left out."""


def three_splits(
    dataset: str, lists: Path, listed: Iterable[tuple[str, int, str, str]], label_style: str
) -> OfficialClips:
    """All clips of UCF101 or HMDB51, in the order of the classes and of their names.

    Args:
        lists: where the lists are, for messages.
        listed: what each line of them says: Class/clip.avi, the number of a split, what the clip is there, and where
            that stands.
    Raises:
        ManifestError: a clip that is twice or not at all in a split; counts other than those of the dataset's card.
    """
    check_choice("label_style", label_style, ("words", "raw"))
    splits_of: dict[str, dict[str, str]] = defaultdict(dict)
    for path, number, split, where in listed:
        if f"split{number}" in splits_of[path]:
            raise ManifestError(f"{where}: {path} is listed in split{number} already")
        splits_of[path][f"split{number}"] = split
    classes = {row.name: row for row in dataset_classes(dataset)}
    stems = Counter(Path(path).stem for path in splits_of)
    clips = []
    for path, splits in splits_of.items():
        own, stem = classes[path.partition("/")[0]], Path(path).stem
        if absent := [number for number in NUMBERS if f"split{number}" not in splits]:
            raise ManifestError(f"{lists}: {path} is in no list of split{absent[0]}")
        clip_id = stem if stems[stem] == 1 else f"{own.name}/{stem}"
        label = own.label if label_style == "words" else own.name
        clips.append(OfficialClip(clip_id, path, label, dict(sorted(splits.items()))))
    card = dataset_card(dataset)
    for column, expected in card["splits"].items():
        found = split_counts((clip.splits for clip in clips), column)
        if found != expected:
            raise ManifestError(
                f"{lists}: {column} has {counts_text(found)} clips, {card['title']} has {counts_text(expected)}; get "
                f"the lists from {card['page']} again, or use lists of your own with `mgdm manifest folder "
                f"--train-list`"
            )
    return OfficialClips(dataset, sorted(clips, key=lambda clip: (classes[clip.class_name].index, clip.path)))


def build_manifest(
    official: OfficialClips, videos: Path, out: Path, *, official_split: int = 1, **probing: Any
) -> Checked:
    """Write a manifest of the official clips that are under `videos`, its report and its list of missing clips.

    Files are found by their names, whatever their suffix and folder, so flat copies and copies with a folder per
    class (and per split above it) are equally good.

    Args:
        official_split: which of split1, split2, split3 is `split`, for a dataset that has them; all three are kept.
        probing: the options of `file_problems`: whether to open the files, and how.
    Raises:
        FileNotFoundError: no such folder.
        ManifestError: no clip found, none usable, or one in the folder of another class.
    """
    videos = Path(videos).resolve()
    if not videos.is_dir():
        raise FileNotFoundError(f"no folder of videos at {videos}; unpack the dataset there or correct --videos")
    files, notes = locate(official, videos)
    if not files:
        raise ManifestError(_nothing_found(official, videos))
    official = _without_kinetics_test(official, files)
    rows = [
        {"id": clip.id, "path": clip.path, "label": clip.label, **clip.splits}
        | {"split": clip.splits.get("split") or clip.splits[f"split{official_split}"]}
        for clip in official.clips
    ]
    checked = sift(rows, [files.get(clip.id) for clip in official.clips], **probing)
    if not checked.rows:
        first = next(row for row in checked.problems if row["id"] in files)
        raise ManifestError(f"not one clip of {videos} can be used, first {files[first['id']]} ({first['problem']})")
    checked = replace(checked, notes=[*official.notes, *notes, *checked.notes])
    card = dataset_card(official.dataset)
    listed = {column: split_counts(rows, column) for column in split_columns(rows)}
    about = {"dataset": official.dataset, "videos": str(videos), "listed_per_split": listed, "page": card["page"]}
    save_checked(out, checked, about)
    return checked


def locate(official: OfficialClips, videos: Path) -> tuple[dict[str, Path], list[str]]:
    """The file of each clip that has one, by the clip's id, and notes.

    `ManifestError` for a clip that is only in the folder of another class: the label would be wrong.
    """
    by_stem, spell = _videos_by_stem(videos), cache(normalise)
    spellings = classes_by_spelling(official.dataset)
    files: dict[str, Path] = {}
    doubled, shared, taken = 0, 0, set()
    for clip in official.clips:
        candidates = by_stem.get(Path(clip.path).stem) or by_stem.get(clip.short_name, [])
        own = [file for file in candidates if spell(file.parent.name) == spell(clip.class_name)]
        flat = [file for file in candidates if file.parent == videos or spell(file.parent.name) not in spellings]
        if candidates and not (own or flat):
            raise ManifestError(
                f"{candidates[0]} lies in the folder {candidates[0].parent.name!r}, but the official files put it in "
                f"{clip.class_name!r}: one of the two would be a wrong label; download the archive and the lists again"
            )
        doubled += len(own or flat) > 1
        file = min(own or flat, default=None)
        if file in taken:
            shared += 1  # <youtube id>.mp4 of a video with two clips holds one of them
        elif file:
            files[clip.id] = file
            taken.add(file)
    notes = [f"{doubled} clips have more than one file; the first by name was taken"] if doubled else []
    notes += [f"{shared} clips are missing, since the one file of their name is another clip's"] if shared else []
    return files, notes


def _without_kinetics_test(official: OfficialClips, files: Container[str]) -> OfficialClips:
    """Without the clips of a test.csv of which no file is there: a copy seldom has them, and the paper scores val."""
    test = [clip for clip in official.clips if clip.splits.get("split") == "test"]
    if not test or any(clip.id in files for clip in test):
        return official
    note = f"test.csv lists {len(test):,} clips, of which none is there: Kinetics' own test set was left out"
    clips = [clip for clip in official.clips if clip.splits["split"] != "test"]
    return replace(official, clips=clips, notes=[*official.notes, note])


def _videos_by_stem(videos: Path) -> dict[str, list[Path]]:
    """File name without suffix -> files. Names are compared, never used as patterns: HMDB51's hold brackets."""
    found = defaultdict(list)
    for file in filter(is_clip, files_below(videos)):
        found[file.stem].append(file)
    return found


def _nothing_found(official: OfficialClips, videos: Path) -> str:
    card, example = dataset_card(official.dataset), official.clips[0].path
    message = f"{videos} holds none of the {len(official.clips):,} clips of {card['title']}. "
    there = [file for files in _videos_by_stem(videos).values() for file in files]
    if there:
        message += f"It has {len(there):,} other video files, first {min(there).relative_to(videos)}. "
    elif archives := sorted(file.name for file in videos.iterdir() if file.suffix.lower() in ARCHIVES):
        message += f"It has archives: unpack {archives[0]} and the like first. "
    else:
        message += "It has no video file. "
    return message + f"Give --videos the folder that holds {example} (or {', or '.join(card['layouts'][1:])})"


def summary(official: OfficialClips, checked: Checked, out: Path) -> str:
    """Lines that say how many clips there are, of how many, per split, and what that means for the scores."""
    looked_for = {row["id"] for row in (*checked.rows, *checked.problems)}
    listed = [clip.splits for clip in official.clips if clip.id in looked_for]
    total, found = len(listed), len(checked.rows)
    title, classes = dataset_card(official.dataset)["title"], checked.report()["classes"]
    lines = [
        f"{title}: {found:,} of {total:,} clips found, of {classes} of {len(dataset_classes(official.dataset))} classes"
    ]
    for column in split_columns(checked.rows):
        counts = split_counts(checked.rows, column)
        parts = [f"{counts.get(split, 0):,} of {n:,} {split}" for split, n in split_counts(listed, column).items()]
        lines.append(f"{column}: {', '.join(parts)}")
    if checked.problems:
        first, problems = checked.problems[0], counts_text(checked.problem_counts())
        lines.append(
            f"{total - found:,} clips cannot be used ({problems}), first {first['path']} ({first['problem']}): see "
            f"{beside(out, 'missing.csv')}; scores on the rest are not comparable with those on all"
        )
    return "\n".join([*lines, *checked.notes])


def annotation_files(annotations: Path, dataset: str) -> list[Path]:
    """All files in the folder of official lists and in the folders directly in it; `FileNotFoundError` without one."""
    if not annotations.is_dir():
        card = dataset_card(dataset)
        wanted = f"{', '.join(card['annotations'])} from {card['page']}"
        raise FileNotFoundError(f"no folder of official lists at {annotations}; it should hold {wanted}")
    inner = sorted(path for path in annotations.iterdir() if path.is_dir() and not path.name.startswith("."))
    return [file for folder in (annotations, *inner) for file in sorted(folder.iterdir()) if file.is_file()]


def official_lists(annotations: Path, dataset: str, wanted: Iterable[str]) -> dict[str, Path]:
    """Name -> file, of all files of `annotation_files`; `FileNotFoundError` unless those wanted are among them."""
    files, wanted = {file.name: file for file in annotation_files(annotations, dataset)}, list(wanted)
    if missing := [name for name in wanted if name not in files]:
        raise FileNotFoundError(
            f"{annotations} lacks {len(missing)} of the {len(wanted)} official lists, first {missing[0]}; unpack there "
            f"what {dataset_card(dataset)['page']} has"
        )
    return files


def read_lines(file: Path) -> list[tuple[str, str]]:
    """The lines of a list that are not blank, stripped, each behind its file and number, for messages."""
    lines = read_text(file, "get the official file again").split("\n")
    return [(f"{file}, line {at}", line.strip()) for at, line in enumerate(lines, 1) if line.strip()]
