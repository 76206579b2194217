"""Image files on disk, read with the certainty that they are still what was digested."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geneval.errors import SampleError
from geneval.ledger import Ledger, Manifest, file_digest
from geneval.samples.images import Alpha, decode
from geneval.signature import Digest, digest


class ImageFiles:
    """Files by key below a root; `ledger` remembers their digests between runs."""

    def __init__(
        self, root: Path, paths: Mapping[str, Path], ledger: Ledger, alpha: Alpha = "drop"
    ) -> None:
        self.root = root
        self.paths = paths
        self.alpha = alpha
        self._ledger = ledger
        self._content: dict[str, Digest] | None = None

    def content(self) -> Mapping[str, Digest]:
        """SHA-256 of every file by key."""
        if self._content is None:
            with self._ledger.manifest(self.root) as manifest, _pool() as pool:
                each = pool.map(lambda path: _digest(path, manifest), self.paths.values())
                self._content = dict(zip(self.paths, each, strict=True))
        return self._content

    def read(self, keys: Sequence[str]) -> list[NDArray[np.uint8] | SampleError]:
        """The decoded images of these keys, or why one cannot be had.

        Raises `SampleError` for a file that is no longer the one whose digest `content` gave.
        """
        with _pool() as pool:
            return list(pool.map(self._decode, keys))

    def _decode(self, key: str) -> Any:
        path = self.paths[key]
        try:
            data: bytes | OSError = path.read_bytes()
        except (OSError, ValueError) as error:  # a path may hold what no path can
            data = error if isinstance(error, OSError) else OSError(0, str(error))
        if self._content and self._content[key] != _digest_of(data):
            raise SampleError(f"{path} changed while it was read; run again")
        if isinstance(data, OSError):
            return SampleError(f"cannot be read: {data.strerror}")
        try:
            return decode(data, self.alpha)
        except SampleError as error:
            return error


def _digest(path: Path, manifest: Manifest) -> Digest:
    try:
        return manifest.digests(path, lambda: [file_digest(path)])[0]
    except (OSError, ValueError) as error:  # `read` will name it among the bad samples
        return _digest_of(error if isinstance(error, OSError) else OSError(0, str(error)))


def _digest_of(data: bytes | OSError) -> Digest:
    """What a file consists of: its bytes, or the reason why they cannot be had."""
    if isinstance(data, OSError):
        return digest({"unreadable": data.strerror})
    return hashlib.sha256(data).hexdigest()


def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=min(16, os.cpu_count() or 1))
