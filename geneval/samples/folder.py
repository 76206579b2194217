"""A folder of images, with labels from sub-folders or a metadata file.

The id of an image is its POSIX path below the folder without extension; two files with one id are
an error. With `metadata.csv` or `metadata.jsonl` in the folder (column `file_name`, the layout of
Hugging Face's imagefolder) the other columns become fields. Without one, if every image lies in a
sub-folder, the first folder of its path is its label. Hidden files are passed over; files of other
kinds are not read and are counted in a note.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

from geneval.errors import SampleError, UsageError, unknown
from geneval.ledger import Ledger, Manifest, file_digest
from geneval.samples.images import EXTENSIONS, Alpha, decode
from geneval.samples.sampleset import Batch, FieldType
from geneval.signature import Digest
from geneval.value import Ids

METADATA = ("metadata.csv", "metadata.jsonl")


class FolderSet:
    """The images below a folder. `ledger` remembers digests between runs."""

    def __init__(
        self, root: Path, ledger: Ledger, alpha: Alpha = "drop", requested_labels: bool = False
    ) -> None:
        self.root = root
        self.alpha = alpha
        self.requested_labels = requested_labels
        self._ledger = ledger
        files, others = _scan(root)
        self._files = {_id(path): path for path in files}
        if len(self._files) < len(files):
            raise SampleError(f"{root}: {_clash(files)} have one id; rename one of them")
        self._ids = tuple(sorted(self._files))
        self._columns = _metadata(root, self._files) or _folder_labels(self._ids)
        self.notes = (_left_out(others),) if others else ()
        self._content: list[Digest] | None = None

    @property
    def name(self) -> str:
        """The folder's path."""
        return str(self.root)

    @property
    def ids(self) -> Ids:
        """Paths without extension, sorted."""
        return self._ids

    @property
    def fields(self) -> Mapping[str, FieldType]:
        """The image, and what labels or metadata there are."""
        return {"image": "image", **{name: _type(name) for name in self._columns}}

    @property
    def conventions(self) -> Mapping[str, str]:
        """The alpha rule, where it is not the default."""
        return {} if self.alpha == "drop" else {"alpha": self.alpha}

    def content(self) -> Sequence[Digest]:
        """SHA-256 of every file."""
        if self._content is None:
            with self._ledger.manifest(self.root) as manifest, _pool() as pool:
                self._content = list(pool.map(lambda i: self._digest(i, manifest), self._ids))
        return self._content

    def column(self, name: str) -> Sequence[Any]:
        """A label or metadata column."""
        return self._columns[name]

    def read(self, ids: Ids) -> Batch:
        """Decode the images of these ids; the ones that cannot be are in `bad`."""
        with _pool() as pool:
            decoded = list(pool.map(self._decode, ids))
        good = [i for i, image in enumerate(decoded) if not isinstance(image, SampleError)]
        row = {sample: i for i, sample in enumerate(self._ids)}
        columns: dict[str, Sequence[Any]] = {
            name: [values[row[ids[i]]] for i in good] for name, values in self._columns.items()
        }
        columns["image"] = [decoded[i] for i in good]
        bad = {i: str(e) for i, e in zip(ids, decoded, strict=True) if isinstance(e, SampleError)}
        return Batch(tuple(ids[i] for i in good), columns, bad)

    def _decode(self, sample: str) -> Any:
        path = self.root / self._files[sample]
        try:
            return decode(path.read_bytes(), str(self._files[sample]), self.alpha)
        except SampleError as error:
            return error

    def _digest(self, sample: str, manifest: Manifest) -> Digest:
        path = self.root / self._files[sample]
        return manifest.digests(path, lambda: [file_digest(path)])[0]


def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=min(16, os.cpu_count() or 1))


def _scan(root: Path) -> tuple[list[PurePosixPath], list[PurePosixPath]]:
    """Relative paths of the images and of the other files, hidden ones left out."""
    images, others = [], []
    for folder, folders, names in os.walk(root, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")))
        for name in sorted(names):
            path = PurePosixPath((Path(folder) / name).relative_to(root).as_posix())
            if path.suffix.lower() in EXTENSIONS:
                images.append(path)
            elif not name.startswith(".") and str(path) not in METADATA:
                others.append(path)
    if not images:
        found = f"; it holds {len(others)} files of other kinds" if others else ""
        raise UsageError(f"{root} holds no PNG, JPEG or WebP image{found}")
    return images, others


def _id(path: PurePosixPath) -> str:
    return str(path.with_suffix(""))


def _clash(files: list[PurePosixPath]) -> str:
    seen: dict[str, PurePosixPath] = {}
    for path in files:
        if _id(path) in seen:
            return f"{seen[_id(path)]} and {path}"
        seen[_id(path)] = path
    raise AssertionError("no clash")


def _left_out(others: list[PurePosixPath]) -> str:
    kinds = sorted({path.suffix.lower() or "no extension" for path in others})
    return f"{len(others)} files were not read ({', '.join(kinds)}: no PNG, JPEG or WebP)"


def _folder_labels(ids: Ids) -> dict[str, list[Any]]:
    parts = [PurePosixPath(sample).parts for sample in ids]
    return {"label": [p[0] for p in parts]} if all(len(p) > 1 for p in parts) else {}


def _type(name: str) -> FieldType:
    return "label" if name == "label" else "text"


def _metadata(root: Path, files: Mapping[str, PurePosixPath]) -> dict[str, list[Any]] | None:
    """The metadata columns in id order, or None without a metadata file."""
    path = next((root / name for name in METADATA if (root / name).exists()), None)
    if path is None:
        return None
    records = _records(path)
    columns = [name for name in (records[0] if records else {}) if name != "file_name"]
    if not records or "file_name" not in records[0]:
        found = list(records[0]) if records else []
        raise SampleError(f"{path}: {unknown('column', 'file_name', found)}")
    by_id = {_id(PurePosixPath(str(record["file_name"]))): record for record in records}
    absent = sorted(set(files) - set(by_id))
    if absent:
        raise SampleError(f"{path} has no row for {files[absent[0]]} ({len(absent)} such images)")
    rows = [by_id[sample] for sample in sorted(files)]
    return {name: [_cell(record, name, path) for record in rows] for name in columns}


def _records(path: Path) -> list[dict[str, Any]]:
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix == ".csv":
        return list(csv.DictReader(io.StringIO(text)))
    records = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            raise SampleError(f"{path}:{number} is no JSON: {error}") from None
        if not isinstance(record, dict):
            raise SampleError(f"{path}:{number} is no JSON object")
        records.append(record)
    return records


def _cell(record: Mapping[str, Any], name: str, path: Path) -> Any:
    value = record.get(name)
    if value is None:
        raise SampleError(f"{path}: the row of {record['file_name']} has no {name!r}")
    return str(value) if name == "label" else value
