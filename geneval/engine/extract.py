"""One pass over one shard: decode once, run every extractor once a batch, write to the ledger.

`extract_shard` is the unit of distribution: it depends on nothing but its pass and the shard's
number, so any process on any machine may run it, in any order and more than once. Batches are made
within a shard, so the number of workers changes no batch.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geneval.checkpoint import GeneratedSet
from geneval.errors import CheckpointError
from geneval.extractors.extractor import FeatureExtractor
from geneval.ledger import SHARD_SAMPLES, Ledger, Shard
from geneval.samples.images import decode, encode_png
from geneval.samples.sampleset import Batch, FieldType, SampleSet, Subset
from geneval.signature import Digest, digest
from geneval.source import source_of, versions
from geneval.value import Ids

LIBRARIES = (  # that decode samples and make features
    "torch",
    "torch-fidelity",
    "torchmetrics",
    "torchvision",
    "timm",
    "open-clip-torch",
    "transformers",
    "tokenizers",
    "sentence-transformers",
    "openvino",
    "pillow",
)
FORMAT = 1  # of what a shard holds; part of every key
PNG = ("samples", "png")  # the layer of the samples themselves, when they are to be kept
BESIDE = ("text", "texts", "turns", "label", "number")  # types of what is not a sample's content
TARGET = "target"  # the field of the image that a sample is compared with
READABLE = ("samples", "readable")  # an empty layer: which samples can be decoded, when none else
_OWN: Mapping[tuple[str, str], Callable[[NDArray[np.uint8]], Any]] = {
    PNG: encode_png,
    READABLE: lambda sample: np.empty(0),
}


@dataclass(frozen=True)
class PassWork:
    """One sample set with the extractors and layers to run on it.

    `backend` is the kind of device, which is part of every key: the same network gives slightly
    different numbers on different kinds. `keep` keeps the samples themselves, `decode`
    reads them even where no layer is wanted, to find the bad ones. `targets` holds, under the same
    ids, what a layer that reads `target` compares with.
    """

    samples: SampleSet
    extractors: Mapping[str, FeatureExtractor]
    layers: Mapping[str, tuple[str, ...]]
    ledger: Ledger
    backend: str = "cpu"
    batch_size: int = 256
    keep: bool = False
    decode: bool = False
    targets: SampleSet | None = None

    @cached_property
    def shards(self) -> list[Ids]:
        """The ids of each shard, in canonical order."""
        ids = self.samples.ids
        return [ids[start : start + SHARD_SAMPLES] for start in range(0, len(ids), SHARD_SAMPLES)]

    @cached_property
    def content(self) -> list[Digest]:
        """One digest per shard: what its samples consist of."""
        return _by_shard(self.samples, self.samples.content())

    @cached_property
    def target_content(self) -> list[Digest]:
        """One digest per shard: what its samples are compared with."""
        assert self.targets is not None, "the plan checks that there are targets"
        known = dict(zip(self.targets.ids, self.targets.content(), strict=True))
        return _by_shard(self.targets, [known[sample] for sample in self.samples.ids])

    def reads(self, name: str, layer: str) -> tuple[str, ...]:
        """The fields that a layer is made of."""
        return self.extractors[name].layers[layer].reads

    def is_aimed(self, place: tuple[str, str]) -> bool:
        """Whether a layer compares samples with targets, so that a bad target is a bad sample."""
        return place not in _OWN and TARGET in self.reads(*place)

    @property
    def rate_name(self) -> str:
        """What the speed of this pass depends on, as a name to remember it by."""
        samples = self.samples.base if isinstance(self.samples, Subset) else self.samples
        maker = type(samples).__name__
        if isinstance(samples, GeneratedSet):
            maker += f":{samples.checkpoint.digest[:16]}"
        return f"{maker}:{'+'.join(sorted(self.extractors))}@{self.backend}"

    def keys(self, shard: int) -> dict[tuple[str, str], Digest]:
        """The ledger's name of every layer of a shard, by extractor and layer."""
        common = {
            "format": FORMAT,
            "content": self.content[shard],
            "decoding": source_of(decode),
            "libraries": versions(*LIBRARIES),
            "backend": self.backend,
        }
        keys = {
            (name, layer): digest(
                {
                    **common,
                    "extractor": dict(self.extractors[name].identity),
                    "code": source_of(type(self.extractors[name])),
                    "layer": layer,
                    **self._beside_images(shard, self.reads(name, layer)),
                }
            )
            for name, layers in self.layers.items()
            for layer in layers
        }
        if self.keep:
            keys[PNG] = digest({**common, "layer": "png"})
        if self.decode and not keys:
            keys[READABLE] = digest({**common, "layer": "readable"})
        return keys

    def _beside_images(self, shard: int, reads: Sequence[str]) -> dict[str, Any]:
        """What a layer follows from that is no part of its samples' content."""
        found: dict[str, Any] = {}
        if TARGET in reads:
            found[TARGET] = self.target_content[shard]
        start = shard * SHARD_SAMPLES
        for name in reads:
            if self.samples.fields.get(name) in BESIDE:
                found[name] = plain(self.samples.column(name)[start : start + SHARD_SAMPLES])
        return found


def plain(cells: Sequence[Any]) -> list[Any]:
    """Cells of a column that is beside the samples' content, as they stand in keys."""
    return [cell if isinstance(cell, list) else str(cell) for cell in cells]


@dataclass(frozen=True)
class ShardReport:
    """What became of a shard: whether all was there already, and which samples are bad.

    `seconds` says where the time went: `reading` samples, `waiting` for them, in every extractor
    by name, and `writing`. Reading goes on beside the extractors, so only waiting for it counts.
    """

    samples: int
    cached: bool
    bad: Mapping[str, str]
    seconds: Mapping[str, float] = field(default_factory=dict, compare=False)


def extract_shard(
    work: PassWork,
    shard: int,
    again: bool = False,
    seen: Callable[[int], None] = lambda n: None,
) -> ShardReport:
    """Make sure that every layer of the shard is in the ledger; `again` rewrites what is there.

    `seen` hears of every batch that is done, by how many samples it had.
    """
    ids, keys = work.shards[shard], work.keys(shard)
    absent = {place: key for place, key in keys.items() if again or not work.ledger.has(key)}
    if not absent:
        kinds = {work.is_aimed(place): key for place, key in keys.items()}
        stored = [work.ledger.read(kinds[kind]) for kind in sorted(kinds)]
        if None not in stored:
            bad_ones = [one.facts["bad"] for one in stored if one is not None]
            known = {row: reason for each in reversed(bad_ones) for row, reason in each.items()}
            return ShardReport(len(ids), True, _named(known, ids))
        absent = keys
    aimed = {place for place in absent if work.is_aimed(place)}
    rows: dict[tuple[str, str], list[tuple[int, Any]]] = {place: [] for place in absent}
    bad, missed = dict[str, str](), dict[str, str]()
    position = {sample: i for i, sample in enumerate(ids)}
    seconds = Seconds()
    for batch in _read_ahead(work.samples, ids, work.batch_size, seconds):
        bad.update({str(position[sample]): reason for sample, reason in batch.bad.items()})
        _collect(work, batch, absent.keys() - aimed, position, rows, seconds)
        if aimed:
            with seconds.of("reading"):
                paired = _with_targets(work, batch)
            missed.update({str(position[sample]): why for sample, why in paired.bad.items()})
            _collect(work, paired, aimed, position, rows, seconds)
        seen(len(batch.ids) + len(batch.bad))
    for place, key in absent.items():
        width = 0 if place in (PNG, READABLE) else work.extractors[place[0]].layers[place[1]].width
        ordered = sorted(rows[place], key=lambda row: row[0])
        lost = {**missed, **bad} if place in aimed else bad
        with seconds.of("writing"):
            work.ledger.write(key, _shard(ordered, lost, place, width))
    return ShardReport(len(ids), False, _named({**missed, **bad}, ids), dict(seconds))


class Seconds(Counter[str]):
    """Wall-clock seconds by what they were spent on."""

    @contextmanager
    def of(self, what: str) -> Iterator[None]:
        """Add the time of the block."""
        started = time.perf_counter()
        yield
        self[what] += time.perf_counter() - started  # type: ignore[assignment]


def _collect(
    work: PassWork,
    batch: Batch,
    places: Collection[tuple[str, str]],
    position: Mapping[str, int],
    rows: Mapping[tuple[str, str], list[tuple[int, Any]]],
    seconds: Seconds,
) -> None:
    """Add the rows of a batch to those of its layers, by their place in the shard."""
    by_name: dict[str, list[str]] = {}
    for name, layer in sorted(set(places) - _OWN.keys()):
        by_name.setdefault(name, []).append(layer)
    for one in _by_size(batch, work.samples.fields):
        at = [position[sample] for sample in one.ids]
        for name, layers in by_name.items():
            with seconds.of(name):
                found = _extracted(work, name, one, layers)
            for layer, made in found.items():
                rows[name, layer].extend(zip(at, made, strict=True))
        for place in _OWN.keys() & set(places):
            cells = one.columns["image"] if place == PNG else one.ids
            rows[place].extend((i, _OWN[place](cell)) for i, cell in zip(at, cells, strict=True))


def _extracted(
    work: PassWork, name: str, batch: Batch, layers: Sequence[str]
) -> dict[str, NDArray[np.float32]]:
    """What an extractor makes of a batch; raises `CheckpointError` unless it is as declared."""
    extractor = work.extractors[name]
    made = extractor(batch, layers)
    for layer in layers:
        shape = np.shape(made[layer]) if layer in made else None
        if shape != (len(batch.ids), extractor.layers[layer].width):
            raise CheckpointError(
                f"extractor {name} made {'nothing' if shape is None else shape} for its layer "
                f"{layer} of {len(batch.ids)} samples, {extractor.layers[layer].width} wide"
            )
    return {layer: made[layer] for layer in layers}


def _with_targets(work: PassWork, batch: Batch) -> Batch:
    """The samples with the images they are compared with; those without one are in `bad`."""
    assert work.targets is not None, "the plan checks that there are targets"
    there = work.targets.read(batch.ids)
    image = dict(zip(there.ids, there.columns["image"], strict=True))
    good = [row for row, sample in enumerate(batch.ids) if sample in image]
    columns = {name: [values[row] for row in good] for name, values in batch.columns.items()}
    columns[TARGET] = [image[batch.ids[row]] for row in good]
    bad = {sample: f"its target {reason}" for sample, reason in there.bad.items()}
    return Batch(tuple(batch.ids[row] for row in good), columns, bad)


def load_layer(work: PassWork, name: str, layer: str) -> tuple[NDArray[np.float32], Ids]:
    """The rows float32 [n, width] of a layer for all good samples, with their ids."""
    parts, kept = [], list[str]()
    for shard, ids in enumerate(work.shards):
        stored = _stored(work, shard, (name, layer))
        parts.append(stored.arrays["rows"])
        kept.extend(ids[i] for i in stored.arrays["good"])
    return np.concatenate(parts), tuple(kept)


def load_pngs(work: PassWork) -> Iterator[tuple[str, bytes]]:
    """Id and PNG bytes of every kept sample."""
    for shard, ids in enumerate(work.shards):
        stored = _stored(work, shard, PNG)
        ends = np.cumsum(stored.arrays["sizes"])
        data = stored.arrays["rows"].tobytes()
        for i, size, end in zip(stored.arrays["good"], stored.arrays["sizes"], ends, strict=True):
            yield ids[i], data[end - size : end]


def _stored(work: PassWork, shard: int, place: tuple[str, str]) -> Shard:
    key = work.keys(shard)[place]
    stored = work.ledger.read(key)
    if stored is None:  # damaged since it was written: make it once more
        extract_shard(work, shard, again=True)
        stored = work.ledger.read(key)
    if stored is None:
        raise OSError(f"the ledger at {work.ledger.root} does not keep what is written to it")
    return stored


def _read_ahead(samples: SampleSet, ids: Ids, size: int, seconds: Seconds) -> Iterator[Batch]:
    """Batches in order, the next one being read while the caller works on this one."""

    def result(reading: _Reading) -> Batch:
        with seconds.of("waiting"):
            batch = reading.result()
        seconds["reading"] += reading.seconds["reading"]
        return batch

    ahead: _Reading | None = None
    for chunk in chunks(ids, size):
        batch = result(ahead) if ahead else None
        ahead = _Reading(samples, chunk)  # one at a time: a generator need not bear two callers
        if batch is not None:
            yield batch
    if ahead is not None:
        yield result(ahead)


class _Reading(threading.Thread):
    """One batch being read; a daemon, so that an interrupt need not wait for a generator."""

    def __init__(self, samples: SampleSet, ids: Ids) -> None:
        super().__init__(daemon=True)
        self._samples, self._ids = samples, ids
        self.seconds = Seconds()
        self._batch: Batch | None = None
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        """Read; whatever is raised is kept for `result`."""
        try:
            with self.seconds.of("reading"):
                self._batch = self._samples.read(self._ids)
        except BaseException as error:
            self._error = error

    def result(self) -> Batch:
        """The batch, or what reading it raised."""
        self.join()
        if self._batch is None:
            raise self._error or AssertionError("a batch was neither read nor refused")
        return self._batch


def chunks(ids: Ids, size: int) -> Iterator[Ids]:
    """Consecutive chunks of at most `size` ids."""
    for start in range(0, len(ids), size):
        yield ids[start : start + size]


def _by_size(batch: Batch, fields: Mapping[str, FieldType]) -> Iterator[Batch]:
    """The samples of a batch whose images are of one size together, each field as one array."""
    pictures = [name for name in batch.columns if name == TARGET or fields.get(name) == "image"]

    def shapes(row: int) -> tuple[tuple[int, ...], ...]:
        return tuple(batch.columns[name][row].shape for name in pictures)

    for _, group in groupby(sorted(range(len(batch.ids)), key=shapes), key=shapes):
        rows = list(group)
        columns: dict[str, Any] = {
            name: [values[row] for row in rows] for name, values in batch.columns.items()
        }
        columns |= {name: np.stack(columns[name]) for name in pictures}
        yield Batch(tuple(batch.ids[row] for row in rows), columns)


def _by_shard(samples: SampleSet, each: Sequence[Digest]) -> list[Digest]:
    """One digest per shard of the samples' own digests and how they are read."""
    conventions = dict(samples.conventions)
    return [
        digest({"samples": list(each[s : s + SHARD_SAMPLES]), "conventions": conventions})
        for s in range(0, len(each), SHARD_SAMPLES)
    ]


def _shard(
    rows: list[tuple[int, Any]], bad: Mapping[str, str], place: tuple[str, str], width: int
) -> Shard:
    good = np.array([i for i, _ in rows], dtype=np.int64)
    if place == PNG:
        data = b"".join(row for _, row in rows)
        sizes = np.array([len(row) for _, row in rows], dtype=np.int64)
        pixels: NDArray[Any] = np.frombuffer(data, dtype=np.uint8)
        arrays = {"rows": pixels, "sizes": sizes, "good": good}
        return Shard(arrays, {"bad": dict(bad)})
    values = np.stack([row for _, row in rows]) if rows else np.empty((0, width))
    return Shard({"rows": values.astype(np.float32), "good": good}, {"bad": dict(bad)})


def _named(bad: Mapping[str, str], ids: Ids) -> dict[str, str]:
    return {ids[int(i)]: reason for i, reason in bad.items()}
