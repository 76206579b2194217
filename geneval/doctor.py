"""Findings about this installation."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from geneval import __version__
from geneval.checkpoint import known_adapters
from geneval.extractors import extractor
from geneval.extractors.digits import EMBEDDED, Digits
from geneval.extractors.torchvision_schemas import can_import_torchvision
from geneval.extractors.weights import PUBLISHED, doubts, present
from geneval.ledger import atomic_write, default_root, file_digest
from geneval.metric import PLUGINS, all_metrics
from geneval.perturb import perturbation
from geneval.plugins import load_plugins
from geneval.samples.sampleset import Batch

_PACKAGES = (
    "torch",
    "numpy",
    "scipy",
    "scikit-learn",
    "pillow",
    "pyarrow",
    "altair",
    "vl-convert-python",
)


@dataclass(frozen=True)
class Finding:
    """One thing looked at; `remedy` says what to do when it is not ok."""

    what: str
    ok: bool
    found: str
    remedy: str = ""
    essential: bool = True


def examine() -> list[Finding]:
    """Everything worth knowing before a first run."""
    return [
        *_software(),
        *_devices(),
        *_weights(),
        *_published(),
        _batches(),
        *_plugins(),
        _cache(),
    ]


def _software() -> Iterator[Finding]:
    yield Finding("geneval", True, f"{__version__} on Python {platform.python_version()}")
    for name in _PACKAGES:
        try:
            yield Finding(name, True, version(name))
        except PackageNotFoundError:
            yield Finding(name, False, "not installed", f"pip install {name}")
    found, ok = can_import_torchvision()
    yield Finding(
        "torchvision",
        ok,
        found,
        "pip install torchvision (the extractor inception-v3 needs it)",
        False,
    )


def _devices() -> Iterator[Finding]:
    import torch

    yield Finding("cpu", True, f"{os.cpu_count()} cores, {torch.get_num_threads()} threads")
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        yield Finding("cuda", True, ", ".join(names))
    elif torch.backends.mps.is_available():
        yield Finding("mps", True, "available")
    else:
        yield Finding("gpu", True, "none: everything runs on the cpu")


def _weights() -> Iterator[Finding]:
    try:
        facts = Digits(EMBEDDED, "cpu").facts
        yield Finding("weights of digits", True, f"embedded, held-out accuracy {facts['accuracy']}")
    except (OSError, KeyError, ValueError) as error:
        yield Finding("weights of digits", False, str(error), "install geneval again")


def _published() -> Iterator[Finding]:
    """The weights that papers' numbers need, which do not come with the package."""
    found = {name: present(name) for name in PUBLISHED}
    absent = ", ".join(name for name, path in found.items() if path is None)
    if absent:
        how = "geneval weights pull NAME, for suites that use it"
        yield Finding("weights", False, f"absent: {absent}", how, False)
    for name, path in ((name, path) for name, path in found.items() if path is not None):
        said = doubts(name, file_digest(path))
        told = said[0] if said else f"{path}, as published"
        yield Finding(f"weights of {name}", not said, told, "see geneval weights", False)


def _batches() -> Finding:
    """How much a feature changes when its image is extracted alone instead of among 64."""
    import numpy as np

    extract = Digits(EMBEDDED, "cpu")
    images = np.random.default_rng(0).integers(0, 256, (64, 8, 8, 3), dtype=np.uint8)
    together, *each = (
        extract(Batch.of(image=some), ("features",))["features"]
        for some in (images, *np.split(images, len(images)))
    )
    alone = np.concatenate(each)
    change = float(np.abs(together - alone).max() / np.abs(together).max())
    found = f"batch size changes a feature by at most {change:.1g} of the largest (digits, cpu)"
    return Finding("rounding", change < 1e-4, found, "report it: this is more than rounding")


def _plugins() -> Iterator[Finding]:
    yield Finding("metrics", True, f"{len(all_metrics())} registered")
    yield Finding("adapters", True, ", ".join(sorted(known_adapters())) or "none registered")
    yield Finding("extractors", True, ", ".join(extractor.all_extractors()))
    for group in (PLUGINS, extractor.PLUGINS, perturbation.PLUGINS):
        for sentence in load_plugins(group):
            yield Finding("plug-in", False, sentence, "update or remove that distribution", False)


def _cache() -> Finding:
    root = default_root()
    try:
        probe = root / "doctor.probe"
        atomic_write(probe, b"")
        probe.unlink()
    except OSError as error:
        return Finding("cache", False, f"{root}: {error.strerror}", "set GENEVAL_CACHE to a folder")
    held = sum(path.stat().st_size for path in Path(root).rglob("*") if path.is_file())
    free = shutil.disk_usage(root).free
    return Finding(
        "cache", True, f"{root}: {held / 2**20:.1f} MiB used, {free / 2**30:.1f} GiB free"
    )
