"""Images that are arrays already: `.npy`, `.npz` (the `arr_0`, `arr_1` layout) or in memory.

Images are [n, h, w], [n, h, w, c] or [n, c, h, w] with c of 1, 3 or 4 (the last axis is tried first
for arrays, the second for tensors); uint8, or floats in 0..1, which are quantised to uint8 as if
they had been saved. Labels are integers or strings [n]. Ids are zero-padded row numbers.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geneval.errors import SampleError
from geneval.ledger import FileState, Ledger, file_state
from geneval.samples.images import Alpha, to_rgb_rows
from geneval.samples.sampleset import Batch, FieldType
from geneval.signature import Digest
from geneval.value import Ids

_CHANNELS = (1, 3, 4)
_ROWS = 1024


@dataclass(frozen=True)
class ArrayFile:
    """The file an array was read from, with its state then, and the ledger that knows of it."""

    path: Path
    state: FileState
    ledger: Ledger

    def require_same(self) -> None:
        """Raise `SampleError` when the file is no longer the one that was opened."""
        try:
            same = file_state(self.path) == self.state
        except OSError:
            same = False
        if not same:
            raise SampleError(f"{self.path} changed while it was read; run again")


class ArraySet:
    """Images in an array, with labels or not. `source` lets the ledger remember row digests.

    A set that was read from a file is read from there again in another process.
    """

    requested_labels = False
    notes: tuple[str, ...] = ()

    def __init__(
        self,
        images: NDArray[Any],
        labels: Sequence[Any] | NDArray[Any] | None = None,
        name: str = "array",
        channels_first: bool = False,
        source: ArrayFile | None = None,
        alpha: Alpha = "drop",
    ) -> None:
        self._name = name
        self._alpha = alpha
        self._channels_first = _layout(images, name, channels_first)
        _check_values(images, name)
        self._images = images
        self._source = source
        width = max(6, len(str(len(images) - 1)))
        self._ids = tuple(f"{row:0{width}d}" for row in range(len(images)))
        self._labels = None if labels is None else _label_names(labels, len(images), name)
        self._content: list[Digest] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_images": None} if self._source else dict(self.__dict__)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self._source:
            self._images = _images_and_labels(self._source.path)[0]
            self._source.require_same()

    @property
    def name(self) -> str:
        """The file's path, or what the caller named it."""
        return self._name

    @property
    def ids(self) -> Ids:
        """Zero-padded row numbers."""
        return self._ids

    @property
    def fields(self) -> Mapping[str, FieldType]:
        """The image, and the label if labels were given."""
        return {"image": "image"} if self._labels is None else {"image": "image", "label": "label"}

    @property
    def conventions(self) -> Mapping[str, str]:
        """The alpha rule, where it is not the default."""
        return {} if self._alpha == "drop" else {"alpha": self._alpha}

    def content(self) -> Sequence[Digest]:
        """SHA-256 of every image's RGB pixels and shape, whatever array it came in."""
        if self._content is None:
            self._content = self._remembered()
        return self._content

    def locate(self, sample: str) -> str:
        """The row of the array."""
        return f"{self._name}[{int(sample)}]"

    def column(self, name: str) -> Sequence[Any]:
        """The labels."""
        if name != "label" or self._labels is None:
            raise KeyError(name)
        return self._labels

    def read(self, ids: Ids) -> Batch:
        """The images of these ids."""
        if self._source and isinstance(self._images, np.memmap):
            self._source.require_same()
        rows = np.array([int(sample) for sample in ids], dtype=np.int64)
        columns: dict[str, Sequence[Any]] = {"image": list(self._rgb(rows))}
        if self._labels is not None:
            columns["label"] = [self._labels[row] for row in rows]
        return Batch(ids, columns)

    def _rgb(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        return to_rgb_rows(self._images[rows], self._channels_first, self._alpha)

    def _remembered(self) -> list[Digest]:
        if self._source is None:
            return self._digests()
        path = self._source.path
        with self._source.ledger.manifest(path) as manifest:
            return manifest.digests(path, self._digests, self._source.state, self._alpha)

    def _digests(self) -> list[Digest]:
        digests = []
        for start in range(0, len(self._images), _ROWS):
            rows = np.arange(start, min(start + _ROWS, len(self._images)))
            for image in self._rgb(rows):
                shape = f"{image.shape}\0".encode()
                digests.append(hashlib.sha256(shape + image.tobytes()).hexdigest())
        return digests


def read_array_file(path: Path, ledger: Ledger, alpha: Alpha = "drop") -> ArraySet:
    """An ArraySet of a `.npy` file, or of `arr_0` (images) and `arr_1` (labels) of a `.npz`."""
    source = ArrayFile(path, file_state(path), ledger)
    images, labels = _images_and_labels(path)
    source.require_same()
    return ArraySet(images, labels, str(path), source=source, alpha=alpha)


def _images_and_labels(path: Path) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """What a file holds; raises `SampleError` with what to do."""
    try:
        return _npz(path) if path.suffix == ".npz" else (_npy(path), None)
    except SampleError:
        raise
    except Exception as error:  # damaged files make NumPy and zlib raise whatever they meet
        reason = str(error)
        if "allow_pickle" in reason or "Python objects" in reason:
            reason = "it holds Python objects (dtype object), which could run code"
        raise SampleError(f"{path} cannot be read: {reason}; save plain numbers") from error


def from_memory(
    images: Any, labels: Any = None, name: str = "memory", alpha: Alpha = "drop"
) -> ArraySet:
    """An ArraySet of a NumPy array or a torch tensor ([n, c, h, w], any device)."""
    is_tensor = hasattr(images, "detach")
    array = _numpy(images) if is_tensor else np.asarray(images)
    labels = _numpy(labels) if hasattr(labels, "detach") else labels
    return ArraySet(array, labels, name, channels_first=is_tensor, alpha=alpha)


def _numpy(tensor: Any) -> NDArray[Any]:
    """A torch tensor of any device and dtype; bfloat16, which NumPy lacks, as float32."""
    plain = tensor.detach().cpu()
    array: NDArray[Any] = (plain.float() if plain.is_floating_point() else plain).numpy()
    return array


def _npy(path: Path) -> NDArray[Any]:
    with path.open("rb") as file:
        if file.read(6) != b"\x93NUMPY":
            raise SampleError(f"{path} is no .npy file")
    array: NDArray[Any] = np.load(path, allow_pickle=False, mmap_mode="r")
    return array


def _npz(path: Path) -> tuple[NDArray[Any], NDArray[Any] | None]:
    if not zipfile.is_zipfile(path):
        raise SampleError(f"{path} is no .npz file")
    with np.load(path, allow_pickle=False) as archive:
        names = archive.files
        if "arr_0" in names:
            images = archive["arr_0"]
        elif len(names) == 1:
            images = archive[names[0]]
        else:
            raise SampleError(f"{path} has no array arr_0 with images; it has {', '.join(names)}")
        return images, archive["arr_1"] if "arr_1" in names else None


def _layout(images: NDArray[Any], name: str, channels_first: bool) -> bool:
    """Whether channels are the second axis; raises `SampleError` on a shape that is no images."""
    shape = images.shape
    if len(shape) in (3, 4) and shape[0] == 0:
        raise SampleError(f"{name} holds no images, its shape is {shape}")
    if 0 not in shape:
        if images.ndim == 3:
            return False
        if images.ndim == 4:
            first, last = shape[1] in _CHANNELS, shape[3] in _CHANNELS
            if first and (channels_first or not last):
                return True
            if last:
                return False
    raise SampleError(
        f"{name}: shape {shape} is not that of images; give [n, h, w], [n, h, w, c] or "
        "[n, c, h, w] with c of 1, 3 or 4"
    )


def _check_values(images: NDArray[Any], name: str) -> None:
    if images.dtype == np.uint8:
        return
    if images.dtype.kind != "f":
        raise SampleError(f"{name}: dtype {images.dtype}; give uint8, or floats in 0..1")
    low, high = float(images.min()), float(images.max())
    if np.isnan(low):
        raise SampleError(f"{name}: there are NaN among the pixels; give floats in 0..1 or uint8")
    if not (low >= 0.0 and high <= 1.0):
        raise SampleError(
            f"{name}: float values span {low:g} to {high:g}; give floats in 0..1 (from -1..1: "
            "(x + 1) / 2, from 0..255: x / 255) or uint8"
        )


def _label_names(labels: Sequence[Any] | NDArray[Any], n: int, name: str) -> list[str]:
    array = np.asarray(labels)
    if array.shape != (n,) or array.dtype.kind not in "iuU":
        raise SampleError(
            f"{name}: labels of shape {array.shape} and dtype {array.dtype} for {n} images; give "
            "integers or strings, one an image"
        )
    return [str(label) for label in array.tolist()]
