"""Records and encoded images in a parquet file, as Hugging Face writes them and plainer ones."""

from __future__ import annotations

import bisect
import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geneval.errors import SampleError
from geneval.ledger import Ledger, file_state
from geneval.samples.files import UnreadableError, decoded, digest_of, in_threads, require_small
from geneval.samples.images import Alpha
from geneval.signature import Digest

if TYPE_CHECKING:
    import pyarrow.parquet

MAX_GROUP = 2**30  # bytes of images in a row group, which is read whole


class ParquetImages:
    """Encoded images in a column of a parquet file, read a row group at a time."""

    def __init__(
        self, path: Path, column: str, ids: Sequence[str], ledger: Ledger, alpha: Alpha
    ) -> None:
        self.path = path
        self.column = column
        self.alpha = alpha
        self._ledger = ledger
        self._state = file_state(path)
        self._row = {sample: row for row, sample in enumerate(ids)}
        meta = _parquet_file(path).metadata
        groups = [meta.row_group(i) for i in range(meta.num_row_groups)]
        _require_small_groups(groups, path, column)
        sizes = [group.num_rows for group in groups]
        self._starts = [sum(sizes[:i]) for i in range(len(sizes))]
        self._held: tuple[int, list[bytes | UnreadableError]] = (-1, [])  # the group read last

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_held": (-1, [])}

    def content(self) -> Mapping[str, Digest]:
        """SHA-256 of every image's bytes."""
        with self._ledger.manifest(self.path) as manifest:
            known = manifest.digests(self.path, self._digests, self._state, self.column)
        return {sample: known[row] for sample, row in self._row.items()}

    def read(self, keys: Sequence[str]) -> list[NDArray[np.uint8] | SampleError]:
        """The decoded images; raises `SampleError` when the file changed since it was opened."""
        if file_state(self.path) != self._state:
            raise SampleError(f"{self.path} changed while it was read; run again")
        places: dict[int, list[tuple[str, int]]] = {}  # each row group is read once
        for key in keys:
            group = bisect.bisect_right(self._starts, self._row[key]) - 1
            places.setdefault(group, []).append((key, self._row[key] - self._starts[group]))
        found: dict[str, Any] = {}
        for group in sorted(places):
            images = self._group(group)
            own = [images[row] for _, row in places[group]]
            each = in_threads(lambda data: decoded(data, self.alpha), own)
            found |= {key: image for (key, _), image in zip(places[group], each, strict=True)}
        return [found[key] for key in keys]

    def _digests(self) -> list[Digest]:
        each = (in_threads(digest_of, self._group(group)) for group in range(len(self._starts)))
        return [one for group in each for one in group]

    def _group(self, group: int) -> list[bytes | UnreadableError]:
        held, images = self._held
        if held != group:
            images = [_image_of(cell) for cell in _cells(self.path, self.column, group)]
            self._held = group, images
        return images


def _cells(path: Path, column: str, group: int) -> list[Any]:
    import pyarrow

    try:
        read = _parquet_file(path).read_row_group(group, columns=[column])
    except (OSError, pyarrow.ArrowException) as error:
        raise SampleError(f"{path} cannot be read: {error}") from error
    cells: list[Any] = read[column].to_pylist()
    return cells


def _parquet_file(path: Path) -> pyarrow.parquet.ParquetFile:
    import pyarrow.parquet

    return pyarrow.parquet.ParquetFile(path)


def _require_small_groups(groups: Sequence[Any], path: Path, column: str) -> None:
    """Raise `SampleError` for a row group whose images do not fit in memory."""
    for group in groups:
        chunks = (group.column(i) for i in range(group.num_columns))
        size = sum(
            chunk.total_uncompressed_size
            for chunk in chunks
            if chunk.path_in_schema.split(".")[0] == column
        )
        if size > MAX_GROUP:
            raise SampleError(
                f"{path} has a row group with {size:,} bytes of images, above the cap of "
                f"{MAX_GROUP:,}; write it with smaller groups (row_group_size=1000)"
            )


def _image_of(cell: Any) -> bytes | UnreadableError:
    """The encoded image in a cell: bytes, or a mapping that holds them."""
    data = cell.get("bytes") if isinstance(cell, dict) else cell
    if not isinstance(data, bytes):
        return UnreadableError("has no bytes")
    try:
        require_small(len(data))
    except UnreadableError as error:
        return error
    return data


def paths_in_parquet(path: Path, column: str) -> list[str] | None:
    """The paths without extension in a column of `{bytes, path}`, if no two records share one."""
    import pyarrow

    kind = _parquet_file(path).schema_arrow.field(column).type
    if not pyarrow.types.is_struct(kind) or kind.get_field_index("path") < 0:
        return None
    cells = _parquet_file(path).read(columns=[f"{column}.path"])[column].to_pylist()
    paths = [PurePosixPath((cell and cell["path"]) or "") for cell in cells]
    ids = {str(one.with_suffix("")) for one in paths if one.name}
    return [str(one.with_suffix("")) for one in paths] if len(ids) == len(paths) else None


def read_parquet(path: Path, loose: bool = False) -> dict[str, list[Any]]:
    """The columns of a parquet file; cells are None where a column holds bytes, lists or mappings.

    With `loose` lists are left as they are, and any cell may be None. Raises `SampleError`.
    """
    import pyarrow

    try:
        file = _parquet_file(path)
        kinds = {field.name: field.type for field in file.schema_arrow}
        inside = [
            name
            for name, kind in kinds.items()
            if pyarrow.types.is_binary(kind)
            or pyarrow.types.is_large_binary(kind)
            or (pyarrow.types.is_nested(kind) and not (loose and _is_list(kind)))
        ]
        plain = [name for name in kinds if name not in inside]
        table = file.read(columns=plain)
    except (OSError, pyarrow.ArrowException) as error:
        raise SampleError(f"{path} cannot be read: {error}") from error
    columns: dict[str, list[Any]] = {name: table[name].to_pylist() for name in plain}
    n = file.metadata.num_rows
    if n == 0:
        raise SampleError(f"{path} has no records")
    for name, cells in columns.items():
        if None in cells and not loose:
            raise SampleError(f"{path}[{cells.index(None)}]: the record has no {name!r}")
    for name, classes in _classes(file.schema_arrow.metadata or {}).items():
        columns[name] = [_class_name(cell, classes, f"{path}: {name}") for cell in columns[name]]
    columns |= {name: [None] * n for name in inside}
    return columns


def _is_list(kind: Any) -> bool:
    import pyarrow

    return bool(pyarrow.types.is_list(kind) or pyarrow.types.is_large_list(kind))


def _classes(metadata: Mapping[bytes, bytes]) -> dict[str, list[str]]:
    """The names of the classes that Hugging Face's numbers stand for, by column."""
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        return {
            name: list(map(str, kind["names"]))
            for name, kind in features.items()
            if isinstance(kind, dict) and kind.get("_type") == "ClassLabel"
        }
    except (KeyError, TypeError, ValueError, AttributeError):  # absent, or of another version
        return {}


def _class_name(cell: Any, classes: Sequence[str], place: str) -> str:
    if not isinstance(cell, int) or not 0 <= cell < len(classes):
        raise SampleError(f"{place} has {cell!r}, which is none of its {len(classes)} classes")
    return classes[cell]
