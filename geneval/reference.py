"""Reference statistics: the moments of a sample set under an extractor, to keep and exchange."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from geneval.data import Features, Moments
from geneval.engine.extract import PassWork, load_layer
from geneval.engine.local import run_pass
from geneval.engine.progress import Progress, stage
from geneval.equip import built_extractor
from geneval.errors import SampleError, UsageError
from geneval.extractors.extractor import FeatureExtractor, LayerRole, layer_of
from geneval.extractors.weights import PUBLISHED, present, pull
from geneval.ledger import Ledger
from geneval.plan import unfit
from geneval.samples.sampleset import SampleSet
from geneval.samples.statistics import (
    KnownMoments,
    is_statistics,
    read_statistics,
    write_statistics,
)
from geneval.suite import Suite

ROLES: tuple[LayerRole, ...] = ("features", "spatial")


def fetched_extractor(
    suite: Suite, device: str, fetch: Callable[[str], Any] = pull
) -> FeatureExtractor:
    """The suite's extractor once its weights are there, brought by `fetch` where they are not."""
    choice = suite.extractor
    built = built_extractor(suite, choice, device)
    if choice.name not in PUBLISHED or choice.name in suite.weights or present(choice.name):
        return built
    fetch(choice.name)
    return built_extractor(suite, choice, device)


def build_reference(
    samples: SampleSet,
    extractor: FeatureExtractor,
    out: Path,
    ledger: Ledger,
    device: str,
    progress: Progress,
) -> KnownMoments:
    """Write the moments of every feature layer of a sample set, and read them back.

    Raises `SampleError` for a sample that cannot be read and for fewer than two samples.
    """
    if len(samples.ids) < 2:
        raise SampleError(f"{samples.name} has {len(samples.ids)} samples; moments need two")
    found = {role: layer_of(extractor, role) for role in ROLES}
    layers = {role: layer for role, layer in found.items() if layer is not None}
    name = str(extractor.identity["ext"])
    if "features" not in layers:
        raise UsageError(f"the extractor {name} makes no features; moments are of features")
    work = PassWork(samples, {name: extractor}, {name: tuple(layers.values())}, ledger, device)
    with stage(progress, "samples", len(samples.ids)):
        for report in run_pass(work):
            for sample, reason in report.bad.items():
                raise SampleError(f"{samples.locate(sample)} {reason}")
            progress.advance(report.samples, report.cached)
    moments: dict[str, Moments] = {}
    for role, layer in layers.items():
        rows, ids = load_layer(work, name, layer)
        moments[role] = Features(ids, rows).moments()
    write_statistics(out, moments, extractor.identity)
    return read_statistics(out)


def stored_moments(path: Path) -> KnownMoments:
    """The moments of a file; raises `UsageError` when it is absent, a pickle, or holds none."""
    if not path.is_file():
        raise UsageError(f"{path} does not exist")
    if not is_statistics(path):
        raise UsageError(f"{path} holds no moments: an npz with mu and sigma does")
    return read_statistics(path)


def import_reference(
    path: Path, extractor: FeatureExtractor, out: Path, n: int | None = None
) -> KnownMoments:
    """Write another tool's moments as those of an extractor, and read them back.

    That they were made with it is the caller's word; `n` stays unknown unless given. Raises
    `UsageError` where the file's widths or its own notes say otherwise, `SampleError` for moments
    that are none.
    """
    known, name = stored_moments(path), extractor.identity["ext"]
    for role in known.layers:
        if layer_of(extractor, role) is None:
            raise UsageError(f"{path} holds moments of {role} features, which {name} does not make")
        reason = unfit(role, known, extractor)
        if reason:
            raise UsageError(reason)
    counted = {moments.n for moments in known.layers.values()} - {None}
    if n is not None and counted - {n}:
        raise UsageError(f"{path} is of {counted.pop()} samples as it says itself, not of {n}")
    layers = known.layers if n is None else _counted(known, n)
    write_statistics(out, layers, extractor.identity)
    return read_statistics(out)


def _counted(known: KnownMoments, n: int) -> dict[str, Moments]:
    return {role: replace(moments, n=n) for role, moments in known.layers.items()}
