"""Files packed in zip and tar archives, read in place and never unpacked.

An archive's members are indexed once; each is then read at its own place by whoever asks, with a
file handle of its own, so that threads and processes need not know of each other. Nothing is
written to disk and a member's name is only a name: one that leads out of the archive is refused.

A member that is a symbolic link or a device, is encrypted, is compressed by something else than
deflate or is larger than the cap of `files.py` cannot be read, and says so when it is; a hard link
stands for the member that it names. A tar that is compressed as a whole is refused, because its
members could be had from front to back only. An archive all of whose members lie in one folder of
the archive's own name, as `zip -r gen.zip gen` makes them, is that folder.
"""

from __future__ import annotations

import io
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

from geneval.errors import SampleError, UsageError
from geneval.ledger import Manifest, file_state
from geneval.samples.files import (
    Files,
    Folder,
    UnreadableError,
    digest_of,
    fetch,
    in_threads,
    is_visible,
    require_small,
)
from geneval.samples.images import EXTENSIONS
from geneval.signature import Digest, digest

ARCHIVES = (".zip", ".tar")
_COMPRESSED = re.compile(r"\.(tar\.\w+|tgz|tbz2?|txz|tzst)$", re.IGNORECASE)
_MAGIC = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd")  # gzip, bzip2, xz, zstandard
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
_BLOCK = 512  # bytes of a tar's header; a tar ends with blocks of zeros


class Stored(NamedTuple):
    """A member of a tar: so many bytes from an offset on."""

    offset: int
    size: int

    def read(self, file: BinaryIO) -> bytes:
        """Its bytes."""
        require_small(self.size)
        file.seek(self.offset)
        return file.read(self.size)


class Zipped(NamedTuple):
    """A member of a zip, as the central directory at the archive's end describes it."""

    offset: int
    size: int
    packed: int
    method: int
    crc: int

    def read(self, file: BinaryIO) -> bytes:
        """Its bytes; decompression stops at the declared size, whatever the data would give."""
        require_small(max(self.size, self.packed))
        file.seek(self.offset)
        header = file.read(30)  # PKWARE's APPNOTE.TXT, 4.3.7: the lengths of name and extra field
        data = b""
        if len(header) == 30 and header.startswith(b"PK\3\4"):
            file.seek(sum(struct.unpack("<HH", header[26:])), io.SEEK_CUR)
            data = file.read(self.packed)
        if self.method == zipfile.ZIP_DEFLATED:
            try:
                data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, self.size + 1)
            except zlib.error:
                data = b""
        if len(data) != self.size or zlib.crc32(data) != self.crc:
            raise UnreadableError("is damaged: its bytes are not those that the archive declares")
        return data


class Refused(NamedTuple):
    """A member that is not read, with the reason."""

    reason: str

    def read(self, file: BinaryIO) -> bytes:
        """Raise `UnreadableError`."""
        raise UnreadableError(self.reason)


Member = Stored | Zipped | Refused


class Archive:
    """One archive: its members by name, and the state of the file when they were indexed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._state = file_state(path)
        self._members = _members(path)

    @property
    def names(self) -> Sequence[str]:
        """The members."""
        return list(self._members)

    def without_wrapper(self) -> None:
        """Leave the folder out of the names that bears the archive's own name and holds all."""
        wrapper = f"{self.path.stem}/"
        if all(name.startswith(wrapper) for name in self._members):
            self._members = {name[len(wrapper) :]: one for name, one in self._members.items()}

    def read(self, name: str) -> bytes:
        """The bytes of a member; raises `SampleError` when the archive is another file by now."""
        try:
            with self.path.open("rb") as file:
                if file_state(file.fileno()) == self._state:
                    return self._members[name].read(file)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise SampleError(f"{self.path} cannot be read: {error.strerror}") from None
        raise SampleError(f"{self.path} changed while it was read; run again")

    def digests(self, names: Sequence[str], manifest: Manifest) -> Mapping[str, Digest]:
        """SHA-256 of members by name, remembered while the archive does not change."""

        def compute() -> list[Digest]:
            return in_threads(lambda name: digest_of(fetch(self.read, name)), names)

        known = manifest.digests(self.path, compute, self._state, digest(list(names)))
        return dict(zip(names, known, strict=True))


class Archives:
    """The files of one archive, or of several (shards) together."""

    def __init__(self, root: Path, paths: Sequence[Path]) -> None:
        self.root = root
        self._holder: dict[str, Archive] = {}
        for path in paths:
            archive = Archive(path)
            if len(paths) == 1:
                archive.without_wrapper()
            for name in archive.names:
                if name in self._holder:
                    raise SampleError(f"{self._holder[name].path} and {path} both hold {name}")
                self._holder[name] = archive
        self.names: Sequence[str] = sorted(self._holder)

    def read(self, name: str) -> bytes:
        """The bytes of a member."""
        return self._holder[name].read(name)

    def digests(self, names: Sequence[str], manifest: Manifest) -> Mapping[str, Digest]:
        """SHA-256 of each of these members by name."""
        by_archive: dict[Archive, list[str]] = {}
        for name in names:
            by_archive.setdefault(self._holder[name], []).append(name)
        found: dict[str, Digest] = {}
        for archive, own in by_archive.items():
            found |= archive.digests(own, manifest)
        return found

    def locate(self, name: str) -> str:
        """The archive's path, and the member's name in it."""
        return f"{self._holder[name].path}/{name}"


def files_of(path: Path) -> Files:
    """The files below a folder, in an archive, or in the archives of a pattern or a folder.

    A pattern is a name with ranges such as `out-{000000..000004}.tar`; a folder that holds archives
    and no image is those archives.
    """
    if not path.is_dir():
        return Archives(path, [path] if path.exists() else expanded(path))
    folder = Folder(path)
    packed = [name for name in folder.names if name.lower().endswith(ARCHIVES)]
    if packed and not any(name.lower().endswith(EXTENSIONS) for name in folder.names):
        return Archives(path, [path / name for name in packed])
    return folder


def is_pattern(path: Path) -> bool:
    """Whether a path names several archives: `out-{000000..000004}.tar`."""
    is_packed = path.suffix.lower() in ARCHIVES
    return is_packed and _RANGE.search(path.name) is not None and not path.exists()


def expanded(pattern: Path) -> list[Path]:
    """The archives that a pattern names; raises `UsageError` when one of them is not there."""
    paths = []
    for name in _expansions(pattern.name):
        paths.append(pattern.with_name(name))
        if not paths[-1].is_file():
            raise UsageError(f"{paths[-1]} does not exist, one of {pattern}")
    if not paths:
        raise UsageError(f"{pattern} names no archive: its range ends before it begins")
    return paths


def require_plain(path: Path) -> None:
    """Raise `UsageError` for an archive that is compressed as a whole."""
    named = _COMPRESSED.search(path.name)
    with path.open("rb") as file:
        head = file.read(6)
    if named or (path.suffix.lower() == ".tar" and head.startswith(_MAGIC)):
        raise UsageError(
            f"{path} is compressed as a whole, so that its members can be had from front to back "
            "only; decompress it to a plain .tar (gunzip, zstd -d, …) or make a .zip"
        )


def _expansions(name: str) -> Iterator[str]:
    found = _RANGE.search(name)
    if not found:
        yield name
        return
    first, last = found.groups()
    for number in range(int(first), int(last) + 1):
        counted = f"{number:0{len(first)}d}"
        yield from _expansions(f"{name[: found.start()]}{counted}{name[found.end() :]}")


def _members(path: Path) -> dict[str, Member]:
    """The members that are not hidden, by name; raises `SampleError` for a damaged archive."""
    require_plain(path)
    index = _tar_members if path.suffix.lower() == ".tar" else _zip_members
    found: dict[str, Member] = {}
    try:
        for written, member in index(path):
            parts = [part for part in PurePosixPath(written).parts if part != "/"]
            if ".." in parts:
                raise SampleError(f"{path} holds {written!r}, which leads out of it; make it anew")
            name = "/".join(parts)
            if name in found:
                raise SampleError(f"{path} holds {name} twice; make it anew from unpacked files")
            if all(map(is_visible, parts)):
                found[name] = member
    except SampleError:
        raise
    except Exception as error:  # both libraries raise what they meet in a damaged file
        told = str(error) or type(error).__name__
        raise SampleError(f"{path} is damaged or no {path.suffix[1:]} archive: {told}") from error
    return found


def _zip_members(path: Path) -> Iterator[tuple[str, Member]]:
    with _open_zip(path) as archive:
        for one in archive.infolist():
            if not one.is_dir():
                yield one.filename, _zip_member(one)


def _open_zip(path: Path) -> zipfile.ZipFile:
    try:  # names that say no encoding: macOS writes UTF-8, the format means code page 437
        return zipfile.ZipFile(path, metadata_encoding="utf-8")
    except UnicodeDecodeError:
        return zipfile.ZipFile(path)


def _zip_member(one: zipfile.ZipInfo) -> Member:
    if stat.S_ISLNK(one.external_attr >> 16):
        return Refused("is a symbolic link, which is not followed in an archive")
    if one.flag_bits & 1:
        return Refused("is encrypted; make the archive anew without a password")
    if one.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return Refused(f"is compressed by method {one.compress_type}; store or deflate it")
    return Zipped(one.header_offset, one.file_size, one.compress_size, one.compress_type, one.CRC)


def _tar_members(path: Path) -> Iterator[tuple[str, Member]]:
    known: dict[str, Member] = {}
    with tarfile.open(path, "r:") as archive:
        while (one := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined]  # or it keeps everything that it knows of every member
            if not one.isdir():
                known[one.name] = _tar_member(one, known)
                yield one.name, known[one.name]
        end = archive.offset
    with path.open("rb") as file:  # a header that makes no sense ends the archive for tarfile
        file.seek(end)
        if file.read(_BLOCK) != bytes(_BLOCK):
            raise SampleError(f"{path} is cut off or damaged at byte {end:,}")


def _tar_member(one: tarfile.TarInfo, known: Mapping[str, Member]) -> Member:
    if one.issparse():
        return Refused("is stored sparsely; make the archive anew without --sparse")
    if one.size < 0:
        raise SampleError(f"{one.name} has a negative size; make the archive anew")
    if one.isreg():
        return Stored(one.offset_data, one.size)
    if one.islnk() and one.linkname in known:
        return known[one.linkname]
    kind = "symbolic link" if one.issym() else "link to nothing" if one.islnk() else "device"
    return Refused(f"is a {kind}, which is not followed in an archive")
