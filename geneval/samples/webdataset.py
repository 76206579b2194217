"""Files beside each image that say something of it, named as webdataset names them.

A file's key is its path up to the first dot of its name. `KEY.txt` holds the image's caption (the
field `prompt`), `KEY.cls` its label, and `KEY.json` an object of columns, over which the other two
win. Once one image has such a file the rule holds for all: every image has a key of its own, and
beside it every kind of file that any image has. Of the columns of `KEY.json` those that are text or
numbers in every file become fields; the others are named in a note.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from geneval.errors import SampleError
from geneval.samples.files import Files, in_threads
from geneval.samples.metadata import is_text, json_object, text_of

FIELDS = {"txt": "prompt", "cls": "label"}
JSON = "json"
_RESERVED = ("image", "target")  # fields that no column can be


@dataclass(frozen=True)
class Companions:
    """What lies beside images: `names` are its files, `keys` the images' keys by file name."""

    keys: Mapping[str, str]
    names: frozenset[str]
    columns: Mapping[str, list[Any]]
    notes: tuple[str, ...] = ()


def read_companions(
    files: Files, images: Sequence[str], others: Sequence[str]
) -> Companions | None:
    """What the other files say of the images, columns in the order of the sorted keys, if any do.

    Raises `SampleError` when two images have one key or one lacks what others have.
    """
    keys = {image: _split(image)[0] for image in images}
    image_of = {key: image for image, key in keys.items()}
    beside: dict[str, dict[str, str]] = {}
    for name in others:
        key, kind = _split(name)
        if key in image_of and (kind in FIELDS or kind == JSON):
            beside.setdefault(kind, {})[key] = name
    if not beside:
        return None
    _require_own_keys(files, keys, image_of, min(beside))
    order = sorted(image_of)
    for kind, found in beside.items():
        absent = [key for key in order if key not in found]
        if absent:
            raise SampleError(
                f"{files.root}: {image_of[absent[0]]} has no {absent[0]}.{kind} beside it "
                f"({len(absent)} such images, {len(found)} have one)"
            )
    named = {kind: [found[key] for key in order] for kind, found in beside.items()}
    columns, notes = _json_columns(files, named[JSON]) if JSON in named else ({}, ())
    for kind in named.keys() & FIELDS.keys():
        texts = in_threads(lambda name: text_of(files, name), named[kind])
        columns[FIELDS[kind]] = [text.strip() for text in texts]
    names = frozenset(name for each in named.values() for name in each)
    return Companions(keys, names, columns, notes)


def _require_own_keys(
    files: Files, keys: Mapping[str, str], image_of: Mapping[str, str], kind: str
) -> None:
    for image, key in keys.items():
        if image_of[key] != image:
            raise SampleError(
                f"{files.root}: {image} and {image_of[key]} have one key, {key!r}, because "
                f"the first dot ends a key where files such as .{kind} lie beside images; rename "
                "one, or write what those files say into metadata.csv"
            )


def _json_columns(
    files: Files, names: Sequence[str]
) -> tuple[dict[str, list[Any]], tuple[str, ...]]:
    """The columns that every JSON file has as text or as a number, and a note on the others."""

    def read(name: str) -> Any:
        return json_object(text_of(files, name), files.locate(name), constant=lambda text: None)

    records = in_threads(read, names)
    known = list(dict.fromkeys(column for record in records for column in record))
    columns = {column: [record.get(column) for record in records] for column in known}
    good = {column: cells for column, cells in columns.items() if _is_plain(column, cells)}
    left = sorted(columns.keys() - good.keys())
    told = f"columns of the .json files were left out ({', '.join(left)}: no text or number in all)"
    return {name: _alike(cells) for name, cells in good.items()}, (told,) if left else ()


def _is_plain(column: str, cells: Sequence[Any]) -> bool:
    """Whether every cell is text that can be written or a number, under a name that is free."""
    return column not in _RESERVED and all(
        isinstance(cell, int | float) or (isinstance(cell, str) and is_text(cell)) for cell in cells
    )


def _alike(cells: list[Any]) -> list[Any]:
    """All numbers, or all text."""
    return cells if all(isinstance(cell, int | float) for cell in cells) else list(map(str, cells))


def _split(name: str) -> tuple[str, str]:
    """Key and extension of a file: what stands before and after the first dot of its name."""
    folder, slash, file = name.rpartition("/")
    key, _, extension = file.partition(".")
    return folder + slash + key, extension.lower()
