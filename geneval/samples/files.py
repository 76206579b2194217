"""Files that hold samples: in a folder here, packed in `archives.py`.

Whatever holds them, hidden files and what lies below `__MACOSX` are no samples, a file has at most
`MAX_BYTES`, and an image is read with the certainty that it is still the one that was digested.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from geneval.errors import SampleError
from geneval.ledger import Ledger, Manifest, walk
from geneval.samples.images import MAX_PIXELS, Alpha, decode
from geneval.signature import Digest, digest

MAX_BYTES = 4 * MAX_PIXELS  # the largest image there may be, uncompressed and with alpha


class UnreadableError(SampleError):
    """Why the bytes of one file cannot be had, while those of others can."""


class Files(Protocol):
    """Files by name, which is their POSIX path below the root. They survive pickling."""

    @property
    def root(self) -> Path:
        """What holds the files, as the user named it."""

    @property
    def names(self) -> Sequence[str]:
        """All files that are not hidden, sorted."""

    def read(self, name: str) -> bytes:
        """The bytes of a file; raises `UnreadableError`, or `SampleError` where none can be had."""

    def digests(self, names: Sequence[str], manifest: Manifest) -> Mapping[str, Digest]:
        """SHA-256 of each of these files by name."""

    def locate(self, name: str) -> str:
        """What to call a file in a message."""


class Folder:
    """The files below a folder, links followed."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @cached_property
    def names(self) -> Sequence[str]:
        """All files that are not hidden, sorted."""
        places = walk(self.root, is_visible)
        paths = (folder / name for folder, names in places for name in names if is_visible(name))
        return sorted(path.relative_to(self.root).as_posix() for path in paths)

    def read(self, name: str) -> bytes:
        """The bytes of a file; raises `UnreadableError`."""
        try:
            path = self.root / name
            require_small(path.stat().st_size)
            return path.read_bytes()
        except OSError as error:
            raise UnreadableError(f"cannot be read: {error.strerror}") from None
        except ValueError as error:  # records may name what no path can be
            raise UnreadableError(f"cannot be read: {error}") from None

    def digests(self, names: Sequence[str], manifest: Manifest) -> Mapping[str, Digest]:
        """SHA-256 of each of these files by name."""

        def one(name: str) -> Digest:
            try:
                path = self.root / name
                return manifest.digests(path, lambda: [digest_of(self.read(name))])[0]
            except (OSError, ValueError, UnreadableError):  # not remembered: it may pass
                return digest_of(fetch(self.read, name))

        return dict(zip(names, in_threads(one, names), strict=True))

    def locate(self, name: str) -> str:
        """Its path."""
        return str(self.root / name)


class ImageFiles:
    """Images by key, each in a file; `ledger` remembers their digests between runs."""

    def __init__(
        self, files: Files, names: Mapping[str, str], ledger: Ledger, alpha: Alpha = "drop"
    ) -> None:
        self.files = files
        self.names = names
        self.alpha = alpha
        self._ledger = ledger
        self._content: dict[str, Digest] | None = None

    def content(self) -> Mapping[str, Digest]:
        """SHA-256 of every file by key."""
        if self._content is None:
            with self._ledger.manifest(self.files.root) as manifest:
                known = self.files.digests(list(self.names.values()), manifest)
            self._content = {key: known[name] for key, name in self.names.items()}
        return self._content

    def locate(self, key: str) -> str:
        """What to call the file of a key."""
        return self.files.locate(self.names[key])

    def read(self, keys: Sequence[str]) -> list[NDArray[np.uint8] | SampleError]:
        """The decoded images of these keys, or why one cannot be had.

        Raises `SampleError` for a file that is no longer the one whose digest `content` gave.
        """
        return in_threads(self._decode, keys)

    def _decode(self, key: str) -> NDArray[np.uint8] | SampleError:
        data = fetch(self.files.read, self.names[key])
        if self._content and self._content[key] != digest_of(data):
            raise SampleError(f"{self.locate(key)} changed while it was read; run again")
        return decoded(data, self.alpha)


def is_visible(name: str) -> bool:
    """Whether a file or folder of that name is looked at."""
    return not name.startswith(".") and name != "__MACOSX"


def require_small(size: int) -> None:
    """Raise `UnreadableError` for a file that is larger than any image may be."""
    if size > MAX_BYTES:
        raise UnreadableError(f"holds {size:,} bytes, above the cap of {MAX_BYTES:,}")


def fetch(read: Callable[[str], bytes], name: str) -> bytes | UnreadableError:
    """The bytes of a file, or why they cannot be had."""
    try:
        return read(name)
    except UnreadableError as error:
        return error


def digest_of(data: bytes | UnreadableError) -> Digest:
    """What a file consists of: its bytes, or the reason why they cannot be had."""
    if isinstance(data, UnreadableError):
        return digest({"unreadable": str(data)})
    return hashlib.sha256(data).hexdigest()


def decoded(data: bytes | UnreadableError, alpha: Alpha) -> NDArray[np.uint8] | SampleError:
    """The image uint8 [h, w, 3] of a file, or why it cannot be had."""
    if isinstance(data, UnreadableError):
        return data
    try:
        return decode(data, alpha)
    except SampleError as error:
        return error


def in_threads(do: Any, things: Sequence[Any]) -> list[Any]:
    """What a function makes of each thing; reading, hashing and decoding free the interpreter.

    A thousand things are under way at most, since a pool keeps a record of all that it is given.
    """
    with ThreadPoolExecutor(max_workers=min(16, os.cpu_count() or 1)) as pool:
        starts = range(0, len(things), 1000)
        return [made for start in starts for made in pool.map(do, things[start : start + 1000])]
