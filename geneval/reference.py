"""Reference statistics: the moments of a sample set under an extractor, to keep and exchange."""

from __future__ import annotations

from pathlib import Path

from geneval.data import Features, Moments
from geneval.engine.extract import PassWork, load_layer
from geneval.engine.local import run_pass
from geneval.engine.progress import Progress, stage
from geneval.errors import SampleError, UsageError
from geneval.extractors.extractor import FeatureExtractor, LayerRole, layer_of
from geneval.ledger import Ledger
from geneval.samples.sampleset import SampleSet
from geneval.samples.statistics import KnownMoments, read_statistics, write_statistics

ROLES: tuple[LayerRole, ...] = ("features", "spatial")


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
