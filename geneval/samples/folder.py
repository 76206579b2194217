"""Images in a folder or in archives, with labels and metadata from what lies with them.

The id of an image is its POSIX path below the folder without extension; two files with one id are
an error. With `metadata.csv` or `metadata.jsonl` in the folder (column `file_name`, the layout of
Hugging Face's imagefolder) the other columns become fields. Without one, files beside the images
named as webdataset names them do (`webdataset.py`), and if every image lies in a sub-folder, the
first folder of its path is its label unless those files bring one. Hidden files and folders and
`__MACOSX` are passed over; files of other kinds are not read and are counted in a note.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from geneval.errors import SampleError, UsageError
from geneval.ledger import Ledger
from geneval.samples.archives import files_of
from geneval.samples.files import Files, ImageFiles
from geneval.samples.images import EXTENSIONS, Alpha
from geneval.samples.metadata import METADATA, REQUESTED, is_text, read_metadata, renamed
from geneval.samples.sampleset import Batch, FieldType, rows_of, type_of
from geneval.samples.webdataset import read_companions
from geneval.signature import Digest
from geneval.value import Ids


class FolderSet:
    """The images below a folder, packed or not. `ledger` remembers digests between runs.

    `fields` says which column holds a field. With `requested_labels` the folder holds what a
    checkpoint made, and its column `requested_label` is the label each image was asked for with.
    """

    def __init__(
        self,
        root: Path,
        ledger: Ledger,
        alpha: Alpha = "drop",
        fields: Mapping[str, str] | None = None,
        requested_labels: bool = False,
    ) -> None:
        self.root = root
        self.alpha = alpha
        self.requested_labels = requested_labels
        files = files_of(root)
        images, others = _scan(files)
        table = read_metadata(files)
        beside = None if table else read_companions(files, images, others)
        found = _by_id(root, images, beside.keys if beside else {})
        self._ids = tuple(sorted(found))
        self._rows = rows_of(self._ids)
        self._images = ImageFiles(files, found, ledger, alpha)
        named = [found[sample] for sample in self._ids]
        columns = table.columns(named) if table else _folder_labels(self._ids)
        columns |= beside.columns if beside else {}
        self._columns = renamed(columns, fields or {}, str(root))
        if requested_labels and REQUESTED in self._columns:
            self._columns["label"] = [str(cell) for cell in self._columns.pop(REQUESTED)]
        left = [name for name in others if not beside or name not in beside.names]
        notes = [_left_out(left)] if left else []
        notes += table.notes(named) if table else ()
        self.notes = (*notes, *(beside.notes if beside else ()))

    @property
    def name(self) -> str:
        """The folder's or the archive's path."""
        return str(self.root)

    @property
    def ids(self) -> Ids:
        """Paths without extension, sorted."""
        return self._ids

    @property
    def fields(self) -> Mapping[str, FieldType]:
        """The image, and what labels or metadata there are."""
        return {"image": "image", **{name: type_of(name, c) for name, c in self._columns.items()}}

    @property
    def conventions(self) -> Mapping[str, str]:
        """The alpha rule, where it is not the default."""
        return {} if self.alpha == "drop" else {"alpha": self.alpha}

    def content(self) -> Sequence[Digest]:
        """SHA-256 of every file."""
        known = self._images.content()
        return [known[sample] for sample in self._ids]

    def locate(self, sample: str) -> str:
        """The path of its file."""
        return self._images.locate(sample)

    def column(self, name: str) -> Sequence[Any]:
        """A label or metadata column."""
        return self._columns[name]

    def read(self, ids: Ids) -> Batch:
        """Decode the images of these ids; the ones that cannot be are in `bad`.

        Raises `SampleError` for a file that is no longer the one whose digest `content` gave.
        """
        decoded = self._images.read(ids)
        good = [i for i, image in enumerate(decoded) if not isinstance(image, SampleError)]
        columns: dict[str, Sequence[Any]] = {
            name: [values[self._rows[ids[i]]] for i in good]
            for name, values in self._columns.items()
        }
        columns["image"] = [decoded[i] for i in good]
        bad = {i: str(e) for i, e in zip(ids, decoded, strict=True) if isinstance(e, SampleError)}
        return Batch(tuple(ids[i] for i in good), columns, bad)


def _scan(files: Files) -> tuple[list[str], list[str]]:
    """Names of the images and of the other files, but for the metadata."""
    images, others = [], []
    for name in files.names:
        if not is_text(name):
            raise SampleError(f"{files.root}: the file name {name!r} is no text; rename it")
        if name.lower().endswith(EXTENSIONS):
            images.append(name)
        elif name not in METADATA:
            others.append(name)
    if not images:
        found = f"; it holds {len(others)} files of other kinds" if others else ""
        found += f" ({_kinds(others)})" if others else ""
        raise UsageError(f"{files.root} holds no PNG, JPEG or WebP image{found}")
    return images, others


def _by_id(root: Path, images: Sequence[str], keys: Mapping[str, str]) -> dict[str, str]:
    """The images by id: their key where they have one, else their path without extension."""
    found: dict[str, str] = {}
    for image in images:
        sample = keys.get(image) or str(PurePosixPath(image).with_suffix(""))
        if sample in found:
            raise SampleError(
                f"{root}: {found[sample]} and {image} have one id; rename one of them"
            )
        found[sample] = image
    return found


def _left_out(others: Sequence[str]) -> str:
    return f"{len(others)} files were not read ({_kinds(others)}: no PNG, JPEG or WebP)"


def _kinds(others: Sequence[str]) -> str:
    suffixes = {PurePosixPath(name).suffix.lower() for name in others}
    return ", ".join(sorted(suffix or "no extension" for suffix in suffixes))


def _folder_labels(ids: Ids) -> dict[str, list[Any]]:
    parts = [PurePosixPath(sample).parts for sample in ids]
    return {"label": [p[0] for p in parts]} if all(len(p) > 1 for p in parts) else {}
