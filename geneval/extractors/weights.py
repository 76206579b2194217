"""Where an extractor's weights come from, and whether they are the published ones.

Looked for in this order: the suite's path, `$GENEVAL_WEIGHTS`, the cache, the package. What a
search does not find `geneval weights pull` fetches from the published address, checked by SHA-256;
nothing is fetched unasked.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from geneval.errors import UsageError, unknown
from geneval.ledger import default_root, file_digest
from geneval.signature import Digest

SUFFIXES = (".safetensors", ".pth", ".pt")


@dataclass(frozen=True)
class Published:
    """A weights file as its authors publish it; `digest` is its SHA-256 or the start of it."""

    url: str
    digest: Digest
    suffix: str

    def doubts(self, name: str, digest: Digest) -> tuple[str, ...]:
        """A sentence when a file is another one, whose numbers are not those of papers."""
        if digest.startswith(self.digest):
            return ()
        told = f"sha256 {digest[:16]}…, published is {self.digest}…"
        return (f"the weights of {name} are not the published ones ({told})",)


# torch-fidelity's file bears the first eight digits of its SHA-256 in its name, for torch.hub.
PUBLISHED: Mapping[str, Published] = {
    "inception-v3": Published(
        "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
        "weights-inception-2015-12-05-6726825d.pth",
        "6726825d",
        ".pth",
    )
}


def find_weights(name: str, given: Path | None, embedded: Path | None = None) -> Path:
    """The weights file of an extractor; raises `UsageError` saying where it was looked for."""
    if given is not None:
        if given.is_file():
            return given
        raise UsageError(f"weights of {name}: {given} does not exist")
    places = [place / f"{name}{suffix}" for place in _folders() for suffix in SUFFIXES]
    found = next((place for place in places if place.is_file()), None)
    if found is None and embedded is not None and embedded.is_file():
        found = embedded
    if found is None:
        looked = ", ".join(str(folder) for folder in _folders())
        pull = f"run `geneval weights pull {name}`, " if name in PUBLISHED else ""
        raise UsageError(
            f"weights of {name} not found (looked in {looked}): {pull}add a file with "
            f"`geneval weights add {name} PATH`, or set `weights: {{{name}: PATH}}` in the suite"
        )
    return found


def cache_folder() -> Path:
    """Where fetched and added weights are kept."""
    return default_root() / "weights"


def pull(name: str, offline: bool = False) -> Path:
    """Fetch the published weights into the cache; raises `UsageError` unless they are the ones."""
    known = published(name)
    if offline or os.environ.get("HF_HUB_OFFLINE") == "1":
        raise UsageError(
            f"weights of {name} are at {known.url}, but this is offline: fetch the file on "
            f"another machine and run `geneval weights add {name} PATH`"
        )
    with _kept(name, known.suffix) as (partial, target):
        try:
            answer = urllib.request.urlopen(known.url, timeout=60)  # noqa: S310 (from the table)
            with answer, partial.open("wb") as to:
                shutil.copyfileobj(answer, to)
        except OSError as error:
            raise UsageError(
                f"weights of {name} cannot be fetched from {known.url}: {error}"
            ) from error
        _require_published(name, partial)
    return target


def add(name: str, path: Path, other: bool = False) -> Path:
    """Copy a file into the cache as an extractor's weights; `other` allows unpublished ones."""
    if not path.is_file():
        raise UsageError(f"{path} does not exist")
    if path.suffix not in SUFFIXES:
        raise UsageError(f"{path}: weights are {', '.join(SUFFIXES)}")
    if not other:
        _require_published(name, path)
    with _kept(name, path.suffix) as (partial, target):
        shutil.copyfile(path, partial)
    return target


@contextlib.contextmanager
def _kept(name: str, suffix: str) -> Iterator[tuple[Path, Path]]:
    """A file to fill and the one it becomes, in the place of any other weights of that name."""
    target = cache_folder() / f"{name}{suffix}"
    partial = target.with_suffix(".partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield partial, target
        for each in SUFFIXES:
            target.with_suffix(each).unlink(missing_ok=True)
        partial.replace(target)
    except OSError as error:
        raise UsageError(f"{target.parent} cannot be written: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def published(name: str) -> Published:
    """The published weights of an extractor; raises `UsageError`."""
    if name not in PUBLISHED:
        raise UsageError(unknown("weights", name, PUBLISHED))
    return PUBLISHED[name]


def _require_published(name: str, path: Path) -> None:
    digest = file_digest(path)
    doubts = published(name).doubts(name, digest)
    if doubts:
        raise UsageError(f"{doubts[0]}; --other takes them all the same")


def _folders() -> list[Path]:
    chosen = os.environ.get("GENEVAL_WEIGHTS")
    return [*([Path(chosen)] if chosen else []), cache_folder()]
