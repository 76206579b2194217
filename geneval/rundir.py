"""The run directory: everything a run leaves, whole or not there at all.

result.json      the document            samples.parquet  per-sample evidence and labels
verdicts.json    the judgement           media/           pictures that reports show
samples/         kept samples, if asked for; texts unless that is forbidden: to evaluate again
report.html, summary.md, junit.xml       what the writers make of the files above
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geneval.engine.extract import PassWork, chunks, load_pngs
from geneval.errors import UsageError
from geneval.ledger import Shard, atomic_write
from geneval.result import (
    KEPT,
    KEPT_TEXTS,
    MEDIA,
    MEDIA_INDEX,
    SAMPLES_FILE,
    TEXT_INDEX,
    Document,
    evidence_columns,
)
from geneval.samples.images import thumbnail
from geneval.samples.metadata import REQUESTED
from geneval.samples.sampleset import SampleSet, Subset, rows_of
from geneval.samples.texts import TextSet
from geneval.signature import digest
from geneval.source import source_of, versions
from geneval.value import Evidence, Ids, Role

_KEPT_AS = {"label": REQUESTED}  # a label that was asked for is not what a sample shows
THUMBNAIL = 96  # longest side in pixels
GRID = 60  # samples in the grid of each role

Writer = Callable[[Path], None]


@contextlib.contextmanager
def new_run_directory(parent: Path, name: str) -> Iterator[tuple[Path, Path]]:
    """A folder to fill and the one it becomes when the block ends well; otherwise it vanishes."""
    partial, final = _claimed(parent, name)
    try:
        yield partial, final
        _sync(partial)
        partial.rename(final)
        _sync_folder(parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        with contextlib.suppress(OSError):  # leave no empty folders of a run that never was
            parent.rmdir()
            parent.parent.rmdir()
        raise


def require_writable(out: Path) -> None:
    """Raise `UsageError` before any work when a run directory cannot be made below `out`."""
    there = next(place for place in (out, *out.absolute().parents) if place.exists())
    if not there.is_dir():
        raise UsageError(f"{out} cannot be written: {there} is no folder")
    if not os.access(there, os.W_OK):
        raise UsageError(f"{out} cannot be written: {there} is not yours to write to")


def folder_name(name: str) -> str:
    """A checkpoint's, sample set's or suite's name as the name of a folder."""
    safe = "".join(c if c.isalnum() or c in "._-" else "_" for c in name).strip(".")
    return safe or "samples"


def _claimed(parent: Path, name: str) -> tuple[Path, Path]:
    """A partial folder nobody else has, with a final name that is free."""
    for attempt in range(1000):
        numbered = name if attempt == 0 else f"{name}-{attempt + 1}"
        partial, final = parent / f".{numbered}.partial", parent / numbered
        if final.exists():
            continue
        try:
            partial.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise UsageError(f"{parent} cannot be written: {error.strerror}") from error
        if not final.exists():  # another run may have finished under it in between
            return partial, final
        partial.rmdir()
    raise UsageError(f"{parent} holds a thousand runs named {name}")


def write_samples(
    directory: Path,
    sets: Mapping[Role, SampleSet],
    good: Mapping[Role, Ids],
    evidence: Mapping[str, Mapping[Role, Evidence]],
    texts: Collection[str] = (),
) -> None:
    """samples.parquet: a row per sample with its role, id, cheap fields and evidence.

    `texts` are the columns of generated samples that are kept as they are.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = []
    for role, ids in good.items():
        samples = sets[role]
        row = rows_of(samples.ids)
        columns: dict[str, Any] = {"role": [role.value] * len(ids), "id": list(ids)}
        for name, kind in samples.fields.items():
            if kind in ("label", "seed"):
                values = samples.column(name)
                columns[name] = [str(values[row[sample]]) for sample in ids]
            elif name in texts and role is Role.GENERATED:
                values = samples.column(name)
                columns[name] = [values[row[sample]] for sample in ids]
        evident = evidence_columns(role, ids, evidence)
        columns |= {name: pa.array(rows) for name, rows in evident.items()}
        tables.append(pa.table(columns))
    table = pa.concat_tables(tables, promote_options="default")
    pq.write_table(table, directory / SAMPLES_FILE, compression="zstd")


def write_media(
    directory: Path, works: Mapping[Role, PassWork], document: Document, hidden: Sequence[Role]
) -> None:
    """Thumbnails of each role's grid and of every gallery, with an index of what they show."""
    index: list[dict[str, str | int]] = []
    for role, work in works.items():
        samples = work.samples
        if role in hidden or samples.fields.get("image") != "image":
            continue
        grid = grid_ids(samples, document.sets[role].bad)
        place, row = rows_of(grid), rows_of(samples.ids)
        labels = samples.column("label") if "label" in samples.fields else [""] * len(row)
        for picture in _pictures(work, tuple(sorted({*grid, *_galleries(document, role)}))):
            file = f"{MEDIA}/{_file_name(role, picture.id)}{picture.extension}"
            atomic_write(directory / file, picture.data)
            label = str(labels[row[picture.id]])
            entry = {"role": role.value, "id": picture.id, "file": file, "label": label}
            size = {"w": picture.width, "h": picture.height}
            index.append({**entry, "grid": place.get(picture.id, -1), **size})
    atomic_write(directory / MEDIA_INDEX, json.dumps(index, ensure_ascii=False).encode())


def write_texts(
    directory: Path, samples: SampleSet, shown: Collection[str], document: Document
) -> None:
    """media/texts.json: the generated texts of the grid and of every gallery, in these columns."""
    grid = grid_ids(samples, document.sets[Role.GENERATED].bad)
    place, row = rows_of(grid), rows_of(samples.ids)
    columns = {name: samples.column(name) for name in samples.fields if name in shown}
    entries = [
        {"id": sample, "grid": place.get(sample, -1)}
        | {name: cells[row[sample]] for name, cells in columns.items()}
        for sample in sorted({*grid, *_galleries(document, Role.GENERATED)})
    ]
    atomic_write(directory / TEXT_INDEX, json.dumps(entries, ensure_ascii=False).encode())


@dataclass(frozen=True)
class _Picture:
    """A thumbnail of a sample, with the size of the sample itself."""

    data: bytes
    id: str
    extension: str
    width: int
    height: int


def _galleries(document: Document, role: Role) -> set[str]:
    """The samples of a role that some value shows."""
    galleries = (g for m in document.metrics for value in m.values for g in value.galleries)
    return {sample for gallery in galleries if gallery.role is role for sample in gallery.ids}


def _pictures(work: PassWork, ids: Ids) -> list[_Picture]:
    """The thumbnails of these samples, from the ledger where the very same were made before."""
    samples, row = work.samples, rows_of(work.samples.ids)
    content = samples.content()
    key = digest(
        {
            "thumbnails": THUMBNAIL,
            "samples": [[sample, content[row[sample]]] for sample in ids],
            "conventions": dict(samples.conventions),
            "code": source_of(thumbnail),
            "libraries": versions("torch", "pillow"),
            "backend": work.backend,
        }
    )
    stored = work.ledger.read(key)
    if stored is not None:
        data, ends = stored.arrays["data"].tobytes(), np.cumsum(stored.arrays["sizes"])
        starts = ends - stored.arrays["sizes"]
        parts = (data[start:end] for start, end in zip(starts, ends, strict=True))
        known = stored.facts["pictures"]
        return [_Picture(part, *fact) for fact, part in zip(known, parts, strict=True)]
    pictures = []
    for chunk in chunks(ids, work.batch_size):
        batch = samples.read(chunk)
        for sample, image in zip(batch.ids, batch.columns["image"], strict=True):
            picture, extension = thumbnail(image, THUMBNAIL)
            height, width = image.shape[:2]
            pictures.append(_Picture(picture, sample, extension, width, height))
    arrays: dict[str, NDArray[Any]] = {
        "data": np.frombuffer(b"".join(one.data for one in pictures), dtype=np.uint8),
        "sizes": np.array([len(one.data) for one in pictures], dtype=np.int64),
    }
    facts = [[one.id, one.extension, one.width, one.height] for one in pictures]
    with contextlib.suppress(UsageError):  # a full disk costs time later, not the report
        work.ledger.write(key, Shard(arrays, {"pictures": facts}))
    return pictures


def write_kept(directory: Path, work: PassWork) -> None:
    """samples/: every generated sample as a PNG, with its label and seed in metadata.jsonl."""
    samples = work.samples
    row = rows_of(samples.ids)
    kept = [n for n, kind in samples.fields.items() if kind not in ("image", "latent", "cost")]
    columns = {name: samples.column(name) for name in kept}
    lines = []
    for sample, png in load_pngs(work):
        (directory / KEPT).mkdir(exist_ok=True)
        (directory / KEPT / f"{sample}.png").write_bytes(png)
        record = {_KEPT_AS.get(n, n): values[row[sample]] for n, values in columns.items()}
        lines.append(json.dumps({"file_name": f"{sample}.png", **record}, ensure_ascii=False))
    (directory / KEPT / "metadata.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_kept_texts(directory: Path, samples: SampleSet) -> None:
    """samples/texts.jsonl: every record of the generated texts, with all it came with."""
    base = samples.base if isinstance(samples, Subset) else samples
    if not isinstance(base, TextSet):
        return
    lines = [json.dumps(record, ensure_ascii=False) for record in base.records(samples.ids)]
    atomic_write(directory / KEPT_TEXTS, ("\n".join(lines) + "\n").encode())


def grid_ids(samples: SampleSet, bad: Mapping[str, str]) -> Ids:
    """Up to `GRID` ids, the lowest hashed ones, in turn from every label."""
    labels = samples.column("label") if "label" in samples.fields else [""] * len(samples.ids)
    by_label: dict[str, list[str]] = {}
    for sample, label in zip(samples.ids, labels, strict=True):
        if sample not in bad:
            by_label.setdefault(str(label), []).append(sample)
    queues = [sorted(ids, key=_hashed) for _, ids in sorted(by_label.items())]
    turns = max(map(len, queues), default=0)
    ordered = [queue[turn] for turn in range(turns) for queue in queues if turn < len(queue)]
    return tuple(ordered[:GRID])


def _hashed(sample: str) -> str:
    return hashlib.sha256(f"grid\0{sample}".encode()).hexdigest()


def _file_name(role: Role, sample: str) -> str:
    """A name free of whatever an id may contain."""
    return f"{role.value}-{hashlib.sha256(sample.encode()).hexdigest()[:16]}"


def _sync(directory: Path) -> None:
    """Flush every file and folder below to the disk."""
    for folder, _, names in os.walk(directory):
        for name in names:
            with (Path(folder) / name).open("rb") as file:
                os.fsync(file.fileno())
        _sync_folder(Path(folder))


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
