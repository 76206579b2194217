"""Perturbed sets as files under the ids of their base, so that both can be compared in pairs."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from geneval.errors import SampleError, UsageError
from geneval.imports.records import Imported, write_records
from geneval.ledger import Ledger, atomic_write
from geneval.perturb.perturbation import Applied
from geneval.perturb.perturbed import Perturbed
from geneval.samples.archives import ARCHIVES
from geneval.samples.images import encode_png
from geneval.samples.metadata import KEY, METADATA
from geneval.samples.open import open_images
from geneval.samples.texts import TextSet, open_texts

_IMAGES = (*ARCHIVES, ".npy", ".npz")
_BATCH = 64  # images held at a time


def write_perturbed(
    path: Path,
    steps: Sequence[Applied],
    out: Path,
    ledger: Ledger,
    seed: int = 0,
    own: str = "hypothesis",
) -> tuple[int, int]:
    """Write the samples of a path perturbed; returns how many there are, and how many changed.

    Images become PNG files in the folder `out`, with their other fields in metadata.jsonl; texts,
    of a file to which only perturbations of texts are put, records of `out`, a .jsonl. `own` is the
    field of plain lines and records: `hypothesis`, or `prompt` where a model is yet to write.
    """
    if not steps:
        raise UsageError("name a perturbation; geneval list perturbations shows them")
    of_texts = all(step.spec.kind == "text" for step in steps)
    if of_texts and path.is_file() and path.suffix.lower() not in _IMAGES:
        texts = open_texts(path, str(path), own=own)
        return len(texts.ids), _write_texts(texts, steps, out, seed)
    made = Perturbed(open_images(path, ledger), steps, seed)
    return len(made.ids), _write_images(made, out)


def _write_texts(texts: TextSet, steps: Sequence[Applied], out: Path, seed: int) -> int:
    made = Perturbed(texts, steps, seed)
    records, before = texts.records(), texts.records()
    for field in made.steps:
        for record, cell in zip(records, made.column(field), strict=True):
            record[field] = cell
    write_records(Imported(tuple(records), len(records), ()), out)
    return sum(one != other for one, other in zip(records, before, strict=True))


def _write_images(made: Perturbed, out: Path) -> int:
    """The images in a folder that is whole or absent; raises for one that cannot be read."""
    if out.exists():
        raise UsageError(f"--out {out} exists; name a new folder")
    partial = out.with_name(f"{out.name}.partial.{uuid.uuid4().hex}")
    changed = 0
    try:
        for start in range(0, len(made.ids), _BATCH):
            changed += _write_batch(made, made.ids[start : start + _BATCH], partial)
        _write_metadata(made, partial)
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return changed


def _write_batch(made: Perturbed, ids: tuple[str, ...], folder: Path) -> int:
    """The images of some ids as PNG; returns how many differ from what they were."""
    batch = made.read(ids)
    for sample, reason in batch.bad.items():
        raise SampleError(f"{made.locate(sample)}: {reason}")
    for sample, image in zip(ids, batch.columns["image"], strict=True):
        place = PurePosixPath(sample)
        if place.is_absolute() or ".." in place.parts:
            raise SampleError(f"{made.locate(sample)}: the id {sample!r} leaves the folder")
        file = folder / f"{sample}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(encode_png(image))
    originals = made.base.read(ids).columns["image"]
    return sum(
        not np.array_equal(one, other)
        for one, other in zip(originals, batch.columns["image"], strict=True)
    )


def _write_metadata(made: Perturbed, folder: Path) -> None:
    """What the samples have beside images, as metadata.jsonl that a folder of images is read with.

    A second image of a sample is not written.
    """
    names = [name for name, kind in made.fields.items() if kind not in ("image", "latent")]
    if not names:
        return
    cells = zip(*(made.column(name) for name in names), strict=True)
    rows = [
        {KEY: f"{sample}.png", **dict(zip(names, row, strict=True))}
        for sample, row in zip(made.ids, cells, strict=True)
    ]
    lines = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
    atomic_write(folder / METADATA[1], lines.encode())
