"""The run directory: everything a run leaves, whole or not there at all.

result.json      the document            samples.parquet  per-sample evidence and labels
verdicts.json    the judgement           media/           pictures that reports show
samples/         kept samples, if asked for; a folder that can be evaluated again
report.html, summary.md, junit.xml       what the writers make of the files above
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from geneval.engine.extract import PassWork, load_pngs
from geneval.errors import UsageError
from geneval.ledger import atomic_write
from geneval.result import MEDIA, MEDIA_INDEX, SAMPLES_FILE, Document, evidence_columns
from geneval.samples.images import thumbnail
from geneval.samples.metadata import REQUESTED
from geneval.samples.sampleset import SampleSet
from geneval.value import Evidence, Ids, Role

KEPT = "samples"
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
        return partial, final
    raise UsageError(f"{parent} holds a thousand runs named {name}")


def write_samples(
    directory: Path,
    sets: Mapping[Role, SampleSet],
    good: Mapping[Role, Ids],
    evidence: Mapping[str, Mapping[Role, Evidence]],
) -> None:
    """samples.parquet: a row per sample with its role, id, cheap fields and evidence."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = []
    for role, ids in good.items():
        samples = sets[role]
        row = {sample: i for i, sample in enumerate(samples.ids)}
        columns: dict[str, Any] = {"role": [role.value] * len(ids), "id": list(ids)}
        for name, kind in samples.fields.items():
            if kind in ("label", "seed"):
                values = samples.column(name)
                columns[name] = [str(values[row[sample]]) for sample in ids]
        evident = evidence_columns(role, ids, evidence)
        columns |= {name: pa.array(rows, pa.float64()) for name, rows in evident.items()}
        tables.append(pa.table(columns))
    table = pa.concat_tables(tables, promote_options="default")
    pq.write_table(table, directory / SAMPLES_FILE, compression="zstd")


def write_media(
    directory: Path, sets: Mapping[Role, SampleSet], document: Document, hidden: Sequence[Role]
) -> None:
    """Thumbnails of each role's grid and of every gallery, with an index of what they show."""
    index: list[dict[str, str | int]] = []
    for role, samples in sets.items():
        if role in hidden or "image" not in samples.fields:
            continue
        bad = document.sets[role].bad
        grid = grid_ids(samples, bad)
        galleries = {
            sample
            for measured in document.metrics
            for value in measured.values
            for gallery in value.galleries
            if gallery.role is role
            for sample in gallery.ids
        }
        wanted = tuple(sorted({*grid, *galleries}))
        batch = samples.read(wanted)
        place = {sample: i for i, sample in enumerate(grid)}
        labels = batch.columns.get("label", [""] * len(batch.ids))
        for sample, image, label in zip(batch.ids, batch.columns["image"], labels, strict=True):
            picture, extension = thumbnail(image, THUMBNAIL)
            file = f"{MEDIA}/{_file_name(role, sample)}{extension}"
            atomic_write(directory / file, picture)
            height, width = image.shape[:2]
            entry = {"role": role.value, "id": sample, "file": file, "label": str(label)}
            index.append({**entry, "grid": place.get(sample, -1), "w": width, "h": height})
    atomic_write(directory / MEDIA_INDEX, json.dumps(index, ensure_ascii=False).encode())


def write_kept(directory: Path, work: PassWork) -> None:
    """samples/: every generated sample as a PNG, with its label and seed in metadata.jsonl."""
    samples = work.samples
    row = {sample: i for i, sample in enumerate(samples.ids)}
    columns = {n: samples.column(n) for n, kind in samples.fields.items() if kind != "image"}
    lines = []
    for sample, png in load_pngs(work):
        (directory / KEPT).mkdir(exist_ok=True)
        (directory / KEPT / f"{sample}.png").write_bytes(png)
        record = {_KEPT_AS.get(n, n): values[row[sample]] for n, values in columns.items()}
        lines.append(json.dumps({"file_name": f"{sample}.png", **record}, ensure_ascii=False))
    (directory / KEPT / "metadata.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


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
