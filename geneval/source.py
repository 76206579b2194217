"""What code a number follows from: digests of the source behind functions, classes and packages.

A digest of other people's code covers the whole package it lies in, or, for a module that lies in
no package, the files beside it and what was loaded from below. It is taken once in a process, when
the module is first asked about, so that it is the digest of the code that runs and not of the file
as edited since. Code without a file, as in a notebook, has a digest of its own that nothing else
ever has.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any

from geneval.ledger import file_digest
from geneval.signature import Digest, digest

_OWN = "geneval"
# Folders of ours whose files work as one, with the folders that they build on.
_TOGETHER = {"extractors": (), "samples": (), "perturb": (), "probes": ("extractors",)}
_INSTALLED = {"site-packages", "dist-packages"}


@cache
def source_of(thing: Any) -> Digest:
    """Digest of the source behind a function or class; of our own code, of its file or folder."""
    module = sys.modules.get(getattr(thing, "__module__", None) or "")
    return uuid.uuid4().hex if module is None else module_source(module)


@cache
def module_source(module: ModuleType) -> Digest:
    """Digest of the source of a module and of what lies with it."""
    path = _file(module)
    if path is None:
        return uuid.uuid4().hex
    if module.__name__.split(".")[0] == _OWN:
        beside = _together(path)
    else:
        beside = {path, *_beside(module, path)}
    return digest(sorted(map(file_digest, beside)))


def _together(path: Path) -> set[Path]:
    """The files of ours that work as one with a file."""
    folder = path.parent
    if folder.name not in _TOGETHER:
        return {path}
    folders = (folder, *(folder.with_name(name) for name in _TOGETHER[folder.name]))
    return {file for one in folders for file in one.glob("*.py")}


@cache
def versions(*distributions: str) -> dict[str, str | None]:
    """The installed versions of distributions, None where there is no metadata."""
    found: dict[str, str | None] = {}
    for name in distributions:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def _beside(module: ModuleType, path: Path) -> Iterator[Path]:
    """The files whose code a module may use without anyone but its author changing them."""
    package = sys.modules.get(module.__name__.split(".")[0])
    folders = list(getattr(package, "__path__", ()))
    if folders:
        for folder in folders:
            yield from Path(folder).rglob("*.py")
        return
    if _INSTALLED.isdisjoint(path.parts):
        yield from path.parent.glob("*.py")  # also those that are imported later
        for other in list(sys.modules.values()):
            file = _file(other)
            if file and file.is_relative_to(path.parent) and _INSTALLED.isdisjoint(file.parts):
                yield file


def _file(module: ModuleType) -> Path | None:
    """The Python file of a module, or None."""
    name = getattr(module, "__file__", None)
    path = Path(name).resolve() if isinstance(name, str) else None
    return path if path and path.suffix == ".py" and path.is_file() else None
