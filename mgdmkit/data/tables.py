"""Texts and tables as people save them: every form that leaves no doubt is read, any other is refused with its cure.

A semicolon or a tab may stand for the comma, UTF-16 for UTF-8, and a column's name may have capitals and blanks. What
is guessed by nobody: an encoding without a mark, such as cp1252 or GBK, in which another word would be read.
"""

import codecs
import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from mgdmkit.files import write_text_atomic

DELIMITERS = ",;\t"
# UTF-32 first: its mark begins with that of UTF-16.
MARKS = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32", codecs.BOM_UTF16_LE: "utf-16",
         codecs.BOM_UTF16_BE: "utf-16"}  # fmt: skip
LOOKS_LIKE = {"cp1252": "Western European", "gbk": "Chinese"}


class ManifestError(ValueError):
    """A table, a list or a folder of clips is not what it should be; the message says what to mend."""


def read_text(path: Path, cure: str) -> str:
    """The text of a file in UTF-8, or in UTF-16 as spreadsheets and PowerShell save it.

    `FileNotFoundError` with `cure`, what to do about it; `ManifestError` for another encoding.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is a folder; {cure}" if path.is_dir() else f"no file at {path}; {cure}")
    data = path.read_bytes()
    encoding = next((name for mark, name in MARKS.items() if data.startswith(mark)), _without_mark(data))
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise ManifestError(_not_utf8(path, data, error)) from error
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise ManifestError(f"{path}, line {line} holds a NUL character: the file is damaged; put back a good copy")
    return text


def _without_mark(data: bytes) -> str:
    """UTF-8, or UTF-16 where every other byte of the first line is zero."""
    for encoding, zeros in (("utf-16-le", data[1:40:2]), ("utf-16-be", data[:40:2])):
        if zeros and not any(zeros):
            return encoding
    return "utf-8-sig"  # spreadsheets begin a file with a mark


def _not_utf8(path: Path, data: bytes, error: UnicodeDecodeError) -> str:
    at = data.rfind(b"\n", 0, error.start) + 1
    line, number, guesses = data[at:].splitlines()[0].strip()[:80], data[:at].count(b"\n") + 1, ""
    for encoding, people in LOOKS_LIKE.items():
        try:
            guesses += f"; in {encoding} ({people}) it would be {line.decode(encoding)!r}"
        except UnicodeDecodeError:
            continue
    return (
        f"{path} is not UTF-8 text: line {number} is {line!r}{guesses}. Save it as UTF-8 (Excel: CSV UTF-8), or "
        f"convert it from the encoding that it has: iconv -f {next(iter(LOOKS_LIKE))} -t utf-8 {path} > NEW"
    )


def read_table(path: Path, columns: Sequence[str], cure: str) -> pd.DataFrame:
    """A CSV that should have `columns`, whatever stands between the cells: its rows that hold anything, as text.

    The names of the columns are in small letters, with _ for a blank; the index is the line of each row.
    `ManifestError` names the file, and the line of a row that has fewer or more cells than the header: it was cut, or
    lacks the quotes around a comma. Errors of `read_text`, too.
    """
    lines = io.StringIO(read_text(path, cure), newline="").readlines()
    # Excel states the delimiter in a line of its own.
    filled = (at for at, line in enumerate(lines) if line.strip(' \t\r\n,;"') and not line.lower().startswith("sep="))
    start = next(filled, len(lines))
    first = "".join(lines[start : start + 1]).strip()[:10_000]
    headers = {mark: _names(first, mark) for mark in DELIMITERS}
    mark = max(headers, key=lambda mark: (len(set(columns) & set(headers[mark])), len(headers[mark])))
    header, spaced = headers[mark], f"{mark} " in first  # "id, path": who writes such a blank does not mean it
    reader = csv.reader(lines[start:], delimiter=mark, strict=True, skipinitialspace=spaced)
    try:
        rows = [(start + reader.line_num, [cell.strip() for cell in row] if spaced else row) for row in reader][1:]
    except csv.Error as error:
        raise ManifestError(f"{path}, line {start + reader.line_num}: {error}; mend the quotes there") from error
    rows = [(line, row) for line, row in rows if any(map(str.strip, row))]
    width = max((at for at, name in enumerate(header, 1) if name), default=0)
    for line, row in rows:
        if len(row) < width or any(map(str.strip, row[width:])):
            raise ManifestError(
                f"{path}, line {line}: {width} columns, but {len(row)} in the row {mark.join(row)!r}; write all "
                f"cells, and one that holds a {mark!r} in quotes"
            )
    # A first column without a name is that of pandas, which numbers its rows.
    named = [at for at, name in enumerate(header[:width]) if name or at]
    names = [header[at] for at in named]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ManifestError(f"{path} has more than one column {twice[0]!r}; keep one of them")
    cells = [[row[at] for at in named] for _, row in rows]
    return pd.DataFrame(cells, [line for line, _ in rows], names, dtype=str)


def _names(line: str, mark: str) -> list[str]:
    cells = next(csv.reader([line], delimiter=mark, skipinitialspace=True), [])
    return ["_".join(cell.lower().split()) for cell in cells]


def read_rows(path: Path, columns: Sequence[str], cure: str) -> list[tuple[int, dict[str, str]]]:
    """Line number and stripped cells of each row of a CSV, by column; errors as for `read_table`, and for columns."""
    table = read_table(path, columns, cure)
    if missing := [name for name in columns if name not in table]:
        held = ", ".join(map(repr, table)) or "nothing"
        raise ManifestError(f"{path} lacks the column {missing[0]!r}; its first line has {held}; {cure}")
    rows = zip(table.index, table.to_numpy(), strict=True)
    return [(line, dict(zip(table, map(str.strip, cells), strict=True))) for line, cells in rows]


def write_rows(path: Path, header: Sequence[str], rows: Iterable[Sequence | dict]) -> Path:
    """Write a CSV of rows in the order of the header, or by its names, atomically; returns its path."""
    table = pd.DataFrame(list(rows), columns=list(header), dtype=object)
    write_text_atomic(path, table.to_csv(index=False, lineterminator="\n"))
    return path
