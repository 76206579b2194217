"""From a path to a sample set, by what lies there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from geneval.errors import UsageError
from geneval.ledger import Ledger
from geneval.samples.archives import ARCHIVES, is_pattern, require_plain
from geneval.samples.arrays import read_array_file
from geneval.samples.folder import FolderSet
from geneval.samples.images import Alpha
from geneval.samples.pairs import SUFFIXES, PairSet
from geneval.samples.sampleset import SampleSet
from geneval.samples.statistics import KnownMoments, is_statistics, read_statistics


def open_moments(path: Path) -> KnownMoments | None:
    """The moments of a file that holds some, or None; raises `UsageError` for a pickle."""
    return read_statistics(path) if path.is_file() and is_statistics(path) else None


def open_images(
    path: Path, ledger: Ledger, alpha: Alpha = "drop", fields: Mapping[str, str] | None = None
) -> SampleSet:
    """Images in a folder or archives, an array or records; raises `UsageError` for what is none.

    `fields` says which column of the records or the metadata holds a field.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise UsageError(f"the path {str(path)!r} is no text; rename it") from None
    if not path.exists() and not is_pattern(path):
        raise UsageError(f"{path} does not exist{_nearby(path)}")
    if path.is_dir() or path.suffix.lower() in ARCHIVES:
        return FolderSet(path, ledger, alpha, fields)
    if path.suffix in SUFFIXES:
        return PairSet(path, ledger, alpha, fields)
    if path.suffix in (".npy", ".npz") and fields:
        raise UsageError(f"{path} is an array, which has no columns to name ({', '.join(fields)})")
    if path.suffix in (".npy", ".npz"):
        return read_array_file(path, ledger, alpha)
    require_plain(path)
    raise UsageError(
        f"{path}: samples are a folder of images, a .zip or .tar of them, a .npy or .npz array, or "
        "a .jsonl, .csv or .parquet file of records"
    )


def _nearby(path: Path) -> str:
    """What lies where the path was expected, to spot a slip of the pen."""
    import difflib

    if not path.parent.is_dir():
        return f"; neither does {path.parent}"
    there = [entry.name for entry in path.parent.iterdir()]
    near = difflib.get_close_matches(path.name, there, n=1, cutoff=0.6)
    return f"; did you mean {path.parent / near[0]}?" if near else ""
