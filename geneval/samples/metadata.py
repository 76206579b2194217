"""The metadata file of images: `metadata.csv` or `metadata.jsonl` beside them, one row an image.

The column `file_name` holds the path below the folder. Every row has the same columns; whatever
does not fit is an error that names the line, because a shifted column would shift every label.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geneval.errors import SampleError, UsageError, unknown
from geneval.samples.files import Files, UnreadableError

METADATA = ("metadata.csv", "metadata.jsonl")
KEY = "file_name"
REQUESTED = "requested_label"  # the column of labels that kept samples were asked for with


@dataclass(frozen=True)
class Metadata:
    """The rows of the metadata file `name`, which lies at `place`, by file name."""

    name: str
    place: str
    names: tuple[str, ...]
    rows: dict[str, dict[str, Any]]

    def columns(self, files: Sequence[str]) -> dict[str, list[Any]]:
        """Every column in the order of `files`; labels are strings."""
        absent = [file for file in files if file not in self.rows]
        if absent:
            raise SampleError(
                f"{self.place} has no row for {absent[0]} ({len(absent)} such images)"
            )
        found = {name: [self.rows[file][name] for file in files] for name in self.names}
        if "label" in found:
            found["label"] = [str(label) for label in found["label"]]
        return found

    def notes(self, files: Sequence[str]) -> tuple[str, ...]:
        """A sentence on rows whose file is not there."""
        strays = sorted(set(self.rows) - set(files))
        if not strays:
            return ()
        return (f"{self.name} has {len(strays)} rows for absent files, such as {strays[0]}",)


def is_text(name: str) -> bool:
    """Whether a name is text and not bytes of another encoding."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def renamed(
    columns: dict[str, list[Any]], fields: Mapping[str, str], where: str
) -> dict[str, list[Any]]:
    """Columns under the names of the fields they hold; raises `UsageError` for an absent column."""
    for column in fields.values():
        if column not in columns:
            raise UsageError(f"{where}: {unknown('column', column, columns)}")
    named = {field: columns[column] for field, column in fields.items()}
    rest = {name: cells for name, cells in columns.items() if name not in fields.values()}
    found = {**rest, **named}
    if "target" in found:
        raise SampleError(f"{where}: a column must not be called target")
    if "label" in found:
        found["label"] = [str(label) for label in found["label"]]
    return found


def read_metadata(files: Files) -> Metadata | None:
    """The metadata that lies with images, or None without such a file; raises `SampleError`."""
    there = set(files.names)
    names = [name for name in METADATA if name in there]
    if not names:
        return None
    if len(names) > 1:
        raise SampleError(f"{files.root} has both {METADATA[0]} and {METADATA[1]}; keep one")
    (name,) = names
    place = files.locate(name)
    records = _records(text_of(files, name), place)
    if not records:
        raise SampleError(f"{place} has no rows; it needs the column {KEY}")
    return Metadata(name, place, *_table(records, place))


def read_records(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """The records of a `.csv` or `.jsonl` file with their lines; raises `SampleError`."""
    return _records(_text(path.read_bytes(), str(path)), str(path))


def text_of(files: Files, name: str) -> str:
    """The text of a file; raises `SampleError` when it cannot be read or is no UTF-8."""
    try:
        return _text(files.read(name), files.locate(name))
    except UnreadableError as error:
        raise SampleError(f"{files.locate(name)} {error}") from None


def json_object(text: str, place: str, constant: Callable[[str], Any] | None = None) -> Any:
    """The JSON object in a text; raises `SampleError`.

    `constant` says what NaN and infinity are, which are no JSON and an error without it.
    """
    try:
        found = json.loads(text, object_pairs_hook=_once, parse_constant=constant or _no_number)
    except (ValueError, RecursionError) as error:
        raise SampleError(f"{place} is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise SampleError(f"{place} is no JSON object")
    return found


def _text(data: bytes, place: str) -> str:
    try:
        return io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig").read()
    except UnicodeDecodeError as error:
        raise SampleError(f"{place} is no UTF-8 text: {error.reason}") from None


def _records(text: str, place: str) -> list[tuple[int, dict[str, Any]]]:
    try:
        return list(_csv(text, place) if place.endswith(".csv") else _jsonl(text, place))
    except csv.Error as error:
        raise SampleError(f"{place} cannot be read: {error}") from None


def _table(
    records: Sequence[tuple[int, dict[str, Any]]], place: str
) -> tuple[tuple[str, ...], dict[str, dict[str, Any]]]:
    """Column names and rows by file name, every row whole and every file once."""
    names = list(dict.fromkeys(name for _, record in records for name in record))
    if KEY not in names:
        raise SampleError(f"{place} has no column {KEY}; it has {', '.join(names)}")
    if "image" in names:
        raise SampleError(f"{place}: a column must not be called image")
    rows: dict[str, dict[str, Any]] = {}
    for line, record in records:
        file = record.get(KEY, "?")
        if not isinstance(file, str):
            raise SampleError(f"{place}:{line}: {KEY} {file!r} is no text")
        missing = [name for name in names if record.get(name) is None]
        if missing:
            raise SampleError(f"{place}:{line}: the row of {file} has no {missing[0]!r}")
        if file in rows:
            raise SampleError(f"{place}:{line}: {file} has a row already")
        rows[file] = record
    return tuple(name for name in names if name != KEY), rows


def _csv(text: str, place: str) -> Iterator[tuple[int, dict[str, Any]]]:
    csv.field_size_limit(2**31 - 1)  # a text may be longer than the 128 KiB that are the default
    reader = csv.DictReader(io.StringIO(text, newline=""))
    names = list(reader.fieldnames or ())
    if len(set(names)) < len(names):
        raise SampleError(f"{place}:1 has the column {_twice(names)!r} twice")
    for record in reader:
        if None in record:
            raise SampleError(f"{place}:{reader.line_num} has more cells than the header")
        yield reader.line_num, record


def _jsonl(text: str, place: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, json_object(line, f"{place}:{number}")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these pairs; a key that stands there twice is an error, not the last one."""
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise ValueError(f"it has the key {_twice(names)!r} twice")
    return dict(pairs)


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no number of JSON")


def _twice(names: Sequence[str]) -> str:
    return next(name for name in names if names.count(name) > 1)
