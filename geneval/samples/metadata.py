"""The metadata file of an image folder: `metadata.csv` or `metadata.jsonl`, one row an image.

The column `file_name` holds the path below the folder. Every row has the same columns; whatever
does not fit is an error that names the line, because a shifted column would shift every label.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geneval.errors import SampleError, UsageError, unknown

METADATA = ("metadata.csv", "metadata.jsonl")
KEY = "file_name"
REQUESTED = "requested_label"  # the column of labels that kept samples were asked for with


@dataclass(frozen=True)
class Metadata:
    """The rows of a metadata file by file name."""

    path: Path
    names: tuple[str, ...]
    rows: dict[str, dict[str, Any]]

    def columns(self, files: Sequence[str]) -> dict[str, list[Any]]:
        """Every column in the order of `files`; labels are strings."""
        absent = [file for file in files if file not in self.rows]
        if absent:
            raise SampleError(f"{self.path} has no row for {absent[0]} ({len(absent)} such images)")
        found = {name: [self.rows[file][name] for file in files] for name in self.names}
        if "label" in found:
            found["label"] = [str(label) for label in found["label"]]
        return found

    def notes(self, files: Sequence[str]) -> tuple[str, ...]:
        """A sentence on rows whose file is not there."""
        strays = sorted(set(self.rows) - set(files))
        if not strays:
            return ()
        return (f"{self.path.name} has {len(strays)} rows for absent files, such as {strays[0]}",)


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


def read_metadata(root: Path) -> Metadata | None:
    """The metadata of a folder, or None without such a file; raises `SampleError`."""
    paths = [root / name for name in METADATA if (root / name).is_file()]
    if not paths:
        return None
    if len(paths) > 1:
        raise SampleError(f"{root} has both {METADATA[0]} and {METADATA[1]}; keep one")
    (path,) = paths
    records = read_records(path)
    if not records:
        raise SampleError(f"{path} has no rows; it needs the column {KEY}")
    return Metadata(path, *_table(records, path))


def read_records(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """The records of a `.csv` or `.jsonl` file with their lines; raises `SampleError`."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SampleError(f"{path} is no UTF-8 text: {error.reason}") from None
    try:
        return list(_csv(text, path) if path.suffix == ".csv" else _jsonl(text, path))
    except (csv.Error, RecursionError) as error:
        raise SampleError(f"{path} cannot be read: {error}") from None


def _table(
    records: Sequence[tuple[int, dict[str, Any]]], path: Path
) -> tuple[tuple[str, ...], dict[str, dict[str, Any]]]:
    """Column names and rows by file name, every row whole and every file once."""
    names = list(dict.fromkeys(name for _, record in records for name in record))
    if KEY not in names:
        raise SampleError(f"{path} has no column {KEY}; it has {', '.join(names)}")
    if "image" in names:
        raise SampleError(f"{path}: a column must not be called image")
    rows: dict[str, dict[str, Any]] = {}
    for line, record in records:
        file = record.get(KEY, "?")
        if not isinstance(file, str):
            raise SampleError(f"{path}:{line}: {KEY} {file!r} is no text")
        missing = [name for name in names if record.get(name) is None]
        if missing:
            raise SampleError(f"{path}:{line}: the row of {file} has no {missing[0]!r}")
        if file in rows:
            raise SampleError(f"{path}:{line}: {file} has a row already")
        rows[file] = record
    return tuple(name for name in names if name != KEY), rows


def _csv(text: str, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    names = list(reader.fieldnames or ())
    if len(set(names)) < len(names):
        raise SampleError(f"{path}:1 has the column {_twice(names)!r} twice")
    for record in reader:
        if None in record:
            raise SampleError(f"{path}:{reader.line_num} has more cells than the header")
        yield reader.line_num, record


def _jsonl(text: str, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line, object_pairs_hook=_once, parse_constant=_no_number)
        except ValueError as error:
            raise SampleError(f"{path}:{number} is no JSON: {error}") from None
        if not isinstance(record, dict):
            raise SampleError(f"{path}:{number} is no JSON object")
        yield number, record


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
