"""A folder of images, with labels from sub-folders or a metadata file.

The id of an image is its POSIX path below the folder without extension; two files with one id are
an error. With `metadata.csv` or `metadata.jsonl` in the folder (column `file_name`, the layout of
Hugging Face's imagefolder) the other columns become fields. Without one, if every image lies in a
sub-folder, the first folder of its path is its label. Hidden files and folders and `__MACOSX` are
passed over; files of other kinds are not read and are counted in a note.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from geneval.errors import SampleError, UsageError
from geneval.ledger import Ledger, walk
from geneval.samples.files import ImageFiles
from geneval.samples.images import EXTENSIONS, Alpha
from geneval.samples.metadata import METADATA, REQUESTED, is_text, read_metadata, renamed
from geneval.samples.sampleset import Batch, FieldType, rows_of, type_of
from geneval.signature import Digest
from geneval.value import Ids


class FolderSet:
    """The images below a folder. `ledger` remembers digests between runs.

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
        files, others = _scan(root)
        self._files = {_id(path): path for path in files}
        if len(self._files) < len(files):
            raise SampleError(f"{root}: {_clash(files)} have one id; rename one of them")
        self._ids = tuple(sorted(self._files))
        self._rows = rows_of(self._ids)
        table = read_metadata(root)
        named = [str(self._files[sample]) for sample in self._ids]
        columns = _folder_labels(self._ids) if table is None else table.columns(named)
        self._columns = renamed(columns, fields or {}, str(root))
        if requested_labels and REQUESTED in self._columns:
            self._columns["label"] = [str(cell) for cell in self._columns.pop(REQUESTED)]
        notes = [_left_out(others)] if others else []
        self.notes = (*notes, *(table.notes(named) if table else ()))
        paths = {sample: root / path for sample, path in self._files.items()}
        self._images = ImageFiles(root, paths, ledger, alpha)

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
        return str(self.root / self._files[sample])

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


def _scan(root: Path) -> tuple[list[PurePosixPath], list[PurePosixPath]]:
    """Relative paths of the images and of the other files, hidden ones left out."""
    images, others = [], []
    for folder, names in walk(root, lambda name: name[0] != "." and name != "__MACOSX"):
        place = PurePosixPath(folder.relative_to(root).as_posix())
        for name in (name for name in names if not name.startswith(".")):
            path = place / name
            if not is_text(str(path)):
                raise SampleError(f"{root}: the file name {str(path)!r} is no text; rename it")
            if path.suffix.lower() in EXTENSIONS:
                images.append(path)
            elif str(path) not in METADATA:
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
