"""Content-addressed shards on disk: the cache, the unit of resumption and of distribution.

A shard holds what one extractor layer made of up to 1,024 samples. Its name is the digest of what
it was made from, so it is never stale and never overwritten with something else; writes are atomic
and idempotent and need no lock. A shard whose checksum does not match counts as absent.

A manifest remembers content digests by path and state of the file, so that a second run need not
read the data again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geneval.errors import UsageError
from geneval.signature import Digest, canonical

SHARD_SAMPLES = 1024
FileState = tuple[int, int, int, int]
_SETTLED_SECONDS = 2.0  # younger files may change again within the clock's resolution


@dataclass(frozen=True, eq=False)
class Shard:
    """Named arrays and plain JSON facts about them."""

    arrays: Mapping[str, NDArray[Any]]
    facts: Mapping[str, Any]


class Ledger:
    """The shards and manifests below one folder; made on first write."""

    def __init__(self, root: Path, verify: bool = False) -> None:
        self.root = root
        self.verify = verify

    def has(self, key: Digest) -> bool:
        """Whether a shard of that name is present; `read` still checks it."""
        return self._path(key).exists()

    def read(self, key: Digest) -> Shard | None:
        """The shard of that name, or None when it is absent or damaged."""
        from safetensors import SafetensorError, safe_open

        path = self._path(key)
        try:
            with safe_open(path, framework="numpy") as file:
                facts = json.loads(file.metadata()["facts"])
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError, KeyError, ValueError):
            return None
        if facts.pop("checksum", None) != _checksum(arrays, facts):
            return None
        return Shard(arrays, facts)

    def write(self, key: Digest, shard: Shard) -> None:
        """Store a shard under its name, atomically."""
        from safetensors.numpy import save

        arrays = {name: np.ascontiguousarray(a) for name, a in shard.arrays.items()}
        facts = json.loads(json.dumps(shard.facts, allow_nan=False))
        facts["checksum"] = _checksum(arrays, facts)
        self._write(self._path(key), save(arrays, {"facts": json.dumps(facts)}))

    def rate(self, name: str) -> float | None:
        """Samples per second that a pass of that name reached when it last ran, if it has."""
        with contextlib.suppress(OSError, ValueError):
            rates = json.loads((self.root / "rates.json").read_bytes())
            rate = rates.get(name) if isinstance(rates, dict) else None
            return float(rate) if isinstance(rate, int | float) else None
        return None

    def note_rate(self, name: str, rate: float) -> None:
        """Remember a rate, so that the next plan can say how long it will take."""
        path, rates = self.root / "rates.json", {}
        with contextlib.suppress(OSError, ValueError):
            known = json.loads(path.read_bytes())
            rates = known if isinstance(known, dict) else {}
        self._write(path, json.dumps({**rates, name: rate}).encode())

    def _write(self, path: Path, data: bytes) -> None:
        try:
            atomic_write(path, data)
        except OSError as error:
            raise UsageError(
                f"the ledger at {self.root} cannot be written: {error.strerror}; set GENEVAL_CACHE "
                "to a folder that can"
            ) from error

    def _path(self, key: Digest) -> Path:
        return self.root / "shards" / key[:2] / f"{key}.safetensors"

    @contextlib.contextmanager
    def manifest(self, folder: Path) -> Iterator[Manifest]:
        """The manifest of a folder or file; what it learnt is saved when the block ends."""
        place = str(folder.resolve())
        name = hashlib.sha256(place.encode()).hexdigest()
        path = self.root / "manifests" / f"{name}.json"
        known: dict[str, Any] = {}
        if not self.verify:
            with contextlib.suppress(OSError, ValueError):
                content = json.loads(path.read_bytes())
                known = content if isinstance(content, dict) else {}
        manifest = Manifest(known)
        yield manifest
        if manifest.changed:
            self._write(path, json.dumps(manifest.known).encode())


class Manifest:
    """Digests by path, valid while the file's `state` stays."""

    def __init__(self, known: dict[str, Any]) -> None:
        self.known = known
        self.changed = False

    def digests(
        self,
        path: Path,
        compute: Callable[[], list[Digest]],
        state: FileState | None = None,
        rule: str = "",
    ) -> list[Digest]:
        """What `compute` says of the file, remembered while the file does not change.

        `state` is that of the file when its content was read, if it has been read already; `rule`
        is a rule of reading that the digests depend on.
        """
        key = f"{path.resolve()}{rule and chr(0)}{rule}"
        state = state or file_state(path)
        entry = self.known.get(key)
        if isinstance(entry, dict) and entry.get("state") == list(state):
            return list(entry["digests"])
        digests = compute()
        if time.time() - state[1] / 1e9 > _SETTLED_SECONDS and file_state(path) == state:
            self.known[key] = {"state": list(state), "digests": digests}
            self.changed = True
        return digests


def file_state(file: Path | int) -> FileState:
    """Size, modification time, change time and inode: what differs once a file was replaced.

    `file` is a path or the descriptor of an open file.
    """
    stat = os.stat(file)  # noqa: PTH116, a path's own method takes no descriptor
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino


def walk(
    root: Path, enter: Callable[[str], bool] = lambda name: True
) -> Iterator[tuple[Path, list[str]]]:
    """Every folder below a root with the names of its files, links followed, none entered twice.

    `enter` says by its name whether to go into a folder.
    """

    def refuse(error: OSError) -> None:
        raise UsageError(f"{error.filename} cannot be read: {error.strerror}")

    seen: set[Path] = set()
    for name, folders, files in os.walk(root, followlinks=True, onerror=refuse):
        folder = Path(name)
        if folder.resolve() in seen:
            folders[:] = []
            continue
        seen.add(folder.resolve())
        folders[:] = sorted(filter(enter, folders), key=lambda f: ((folder / f).is_symlink(), f))
        yield folder, sorted(files)


def file_digest(path: Path) -> Digest:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def atomic_write(path: Path, data: bytes) -> None:
    """Write a file so that it is either whole or absent, also after a crash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial.{uuid.uuid4().hex}")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def default_root() -> Path:
    """`$GENEVAL_CACHE`, else the platform's cache folder."""
    chosen = os.environ.get("GENEVAL_CACHE")
    if chosen:
        return Path(chosen)
    import platformdirs

    return Path(platformdirs.user_cache_dir("geneval", appauthor=False))


def _checksum(arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> Digest:
    total = hashlib.sha256(canonical(facts))
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        total.update(f"{name}\0{array.dtype}\0{array.shape}\0".encode())
        total.update(array.data.cast("B") if array.size else b"")
    return total.hexdigest()
