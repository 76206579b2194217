"""Records that name images: images with columns beside them, as jsonl, csv or parquet.

A record has `image` (a path relative to the file; in parquet also bytes, or Hugging Face's `{bytes,
path}`) and other columns: `prompt`, `label`, `source_image` (another image) with `source_prompt`,
or anything to group by. Its id is its `id`, else the `path` of `{bytes, path}` without extension
where every record has one of its own, else the zero-padded number of its row. Labels that Hugging
Face stores as numbers of classes get the classes' names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from geneval.errors import SampleError, UsageError, unknown
from geneval.ledger import Ledger
from geneval.samples.files import Folder, ImageFiles
from geneval.samples.images import Alpha
from geneval.samples.metadata import is_text, read_records, renamed
from geneval.samples.parquet import ParquetImages, paths_in_parquet, read_parquet
from geneval.samples.sampleset import WRITTEN, Batch, FieldType, rows_of, type_of
from geneval.signature import Digest, digest

SUFFIXES = (".jsonl", ".csv", ".parquet")
IMAGES = ("image", "source_image")  # the columns that hold images
_FOR_TEXTS = "; for texts write samples: {kind: texts}"


class ImageSource(Protocol):
    """Where the images of records come from, by key."""

    def content(self) -> Mapping[str, Digest]:
        """A digest of each."""

    def read(self, keys: Sequence[str]) -> list[NDArray[np.uint8] | SampleError]:
        """The images, or why one cannot be had."""


class PairSet:
    """Samples of a file of records. `fields` says which column holds a field."""

    requested_labels = False
    notes: tuple[str, ...] = ()

    def __init__(
        self,
        path: Path,
        ledger: Ledger,
        alpha: Alpha = "drop",
        fields: Mapping[str, str] | None = None,
    ) -> None:
        self.path = path
        self.alpha = alpha
        columns, self._where = read_columns(path)
        _require_plain(columns, fields or {}, path)
        columns = renamed(columns, fields or {}, str(path))
        if "image" not in columns:
            hint = _FOR_TEXTS if set(WRITTEN) & set(columns) else ""
            raise SampleError(f"{path} has no column image; it has {', '.join(columns)}{hint}")
        found = {name: columns.pop(name) for name in IMAGES if name in columns}
        given = columns.pop("id", None)
        if given is None and path.suffix == ".parquet":
            given = paths_in_parquet(path, (fields or {}).get("image", "image"))
        ids = record_ids(given, len(found["image"]), str(path))
        order = sorted(range(len(ids)), key=ids.__getitem__)
        self._ids = tuple(ids[row] for row in order)
        self._rows = rows_of(self._ids)
        self._order = order
        self._columns = {
            name: [cells[row] for row in order]
            for name, cells in columns.items()
            if cells[0] is not None  # bytes and mappings that are no image of the record
        }
        self._sources: dict[str, ImageSource] = {
            name: _source(path, (fields or {}).get(name, name), cells, ids, ledger, alpha)
            for name, cells in found.items()
        }

    @property
    def name(self) -> str:
        """The file's path."""
        return str(self.path)

    @property
    def ids(self) -> tuple[str, ...]:
        """The records' ids, sorted."""
        return self._ids

    @property
    def fields(self) -> Mapping[str, FieldType]:
        """The images and every other column."""
        kinds: dict[str, FieldType] = dict.fromkeys(self._sources, "image")
        return kinds | {name: type_of(name, cells) for name, cells in self._columns.items()}

    @property
    def conventions(self) -> Mapping[str, str]:
        """The alpha rule, where it is not the default."""
        return {} if self.alpha == "drop" else {"alpha": self.alpha}

    def content(self) -> Sequence[Digest]:
        """What the images of each record consist of."""
        known = [source.content() for source in self._sources.values()]
        if len(known) == 1:
            return [known[0][sample] for sample in self._ids]
        return [digest([each[sample] for each in known]) for sample in self._ids]

    def content_of(self, field: str) -> Sequence[Digest]:
        """What one image of each record consists of."""
        known = self._sources[field].content()
        return [known[sample] for sample in self._ids]

    def locate(self, sample: str) -> str:
        """The file and the line or row, and the image that it names."""
        source = self._sources["image"]
        named = f" ({source.locate(sample)})" if isinstance(source, ImageFiles) else ""
        return f"{self.path}{self._where(self._order[self._rows[sample]])}{named}"

    def column(self, name: str) -> Sequence[Any]:
        """A column other than an image."""
        return self._columns[name]

    def read(self, ids: tuple[str, ...]) -> Batch:
        """The records of these ids with their images; those that cannot be had are in `bad`."""
        images = {name: source.read(ids) for name, source in self._sources.items()}
        bad: dict[str, str] = {}
        for name, each in images.items():
            for sample, image in zip(ids, each, strict=True):
                if isinstance(image, SampleError):
                    bad.setdefault(sample, f"{'' if name == 'image' else f'{name}: '}{image}")
        good = [row for row, sample in enumerate(ids) if sample not in bad]
        columns: dict[str, Sequence[Any]] = {
            name: [cells[self._rows[ids[row]]] for row in good]
            for name, cells in self._columns.items()
        }
        columns |= {name: [each[row] for row in good] for name, each in images.items()}
        return Batch(tuple(ids[row] for row in good), columns, bad)


def _source(
    path: Path, column: str, cells: list[Any], ids: list[str], ledger: Ledger, alpha: Alpha
) -> ImageSource:
    """Image files when the cells are paths, else images within the parquet file."""
    if cells and all(isinstance(cell, str) for cell in cells):
        return ImageFiles(Folder(path.parent), dict(zip(ids, cells, strict=True)), ledger, alpha)
    if path.suffix == ".parquet":
        return ParquetImages(path, column, ids, ledger, alpha)
    raise SampleError(f"{path}: {column} must be the path of an image in every record")


def _require_plain(columns: dict[str, list[Any]], fields: Mapping[str, str], path: Path) -> None:
    """Raise `SampleError` when bytes or mappings stand where text or numbers are meant."""
    meant = {"id": "id", "label": "label", "prompt": "prompt", **fields}
    for field, column in meant.items():
        if field not in IMAGES and columns.get(column, [""])[0] is None:
            raise SampleError(f"{path}: {column} holds bytes or mappings, {field} is text")


def record_ids(given: Sequence[Any] | None, n: int, name: str) -> list[str]:
    """The ids of n records: those given, each once, else zero-padded numbers of their rows."""
    if given is None:
        width = max(6, len(str(n - 1)))
        return [f"{row:0{width}d}" for row in range(n)]
    ids = [str(one) for one in given]
    if len(set(ids)) < len(ids):
        twice, _ = Counter(ids).most_common(1)[0]
        raise SampleError(f"{name} has the id {twice!r} twice")
    return ids


@dataclass(frozen=True)
class Lines:
    """What to call each row of a file of records, as `form` of its number."""

    form: str
    numbers: Sequence[int]

    def __call__(self, row: int) -> str:
        """The name of a row."""
        return self.form.format(self.numbers[row])


def read_columns(path: Path, loose: bool = False) -> tuple[dict[str, list[Any]], Lines]:
    """The columns of a file of records, and what to call a row; every record has every column.

    With `loose` cells may be None, or lists, which are left as they are with everything in their
    column. Of columns that hold bytes or mappings the cells are None. Raises `SampleError`.
    """
    if path.suffix == ".parquet":
        columns = read_parquet(path, loose)
        return columns, Lines("[{}]", range(len(next(iter(columns.values())))))
    records = read_records(path)
    if not records:
        raise SampleError(f"{path} has no records")
    names = list(dict.fromkeys(name for _, record in records for name in record))
    for line, record in records:
        missing = [name for name in names if record.get(name) is None and not loose]
        if missing:
            raise SampleError(f"{path}:{line}: the record has no {missing[0]!r}")
    columns = {
        name: _cells(name, [(line, record.get(name)) for line, record in records], path, loose)
        for name in names
    }
    return columns, Lines(":{}", [line for line, _ in records])


def _cells(name: str, cells: list[tuple[int, Any]], path: Path, loose: bool) -> list[Any]:
    """The cells of a column: all numbers, or all text; raises `SampleError` with the line."""
    plain = [cell for _, cell in cells]
    is_nested = any(isinstance(cell, list | dict) for cell in plain)
    for line, cell in cells:
        if isinstance(cell, list | dict) and not loose:
            hint = _FOR_TEXTS if name in (*WRITTEN, "references") else ""
            raise SampleError(f"{path}:{line}: {name} is no text and no number{hint}")
        if isinstance(cell, str) and not is_text(cell):
            raise SampleError(f"{path}:{line}: {name} is no text that can be written")
    is_numeric = all(isinstance(cell, int | float | None) for cell in plain)
    if is_numeric or is_nested or name in IMAGES:
        return plain
    return [None if cell is None else str(cell) for cell in plain]


def read_prompts(path: Path, column: str = "prompt") -> list[str]:
    """The prompts of a text file, one a line, or of a column of a file of records."""
    if not path.is_file():
        raise UsageError(f"prompts: {path} does not exist")
    if path.suffix in SUFFIXES:
        columns, _ = read_columns(path)
        if column not in columns:
            raise UsageError(f"{path}: {unknown('column', column, columns)}; see --field")
        return [str(prompt) for prompt in columns[column]]
    prompts = read_lines(path)
    if not prompts or not all(prompts):
        blank = f":{prompts.index('') + 1} is empty" if prompts else " has no lines"
        raise SampleError(f"{path}{blank}; write one prompt a line")
    return prompts


def read_lines(path: Path) -> list[str]:
    """The lines of a UTF-8 text file, ended by line feeds with or without a carriage return."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = file.read().split("\n")
    except UnicodeDecodeError as error:
        raise SampleError(f"{path} is no UTF-8 text: {error.reason}") from None
    return [line.removesuffix("\r") for line in (lines if lines[-1] else lines[:-1])]
