"""Baselines: what gates compare with, kept as a small file that is committed.

NAME.json holds the values of a result with intervals, n, signatures and digests of inputs, and who
made it a baseline, when and why. The evidence per sample lies beside it as parquet, named by its
digest: with it differences are what they would be against the run itself, without it they are
unpaired. A run directory or its result.json will serve as well.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geneval.errors import UsageError
from geneval.ledger import atomic_write
from geneval.result import (
    Document,
    MetricResult,
    Result,
    evidence_columns,
    from_json,
    read_evidence,
    to_json,
)
from geneval.signature import Digest
from geneval.value import Evidence, Role

if TYPE_CHECKING:
    from pydantic import TypeAdapter

SCHEMA = 1
_KEY = "baseline"  # of the file: the note; the rest is the document


@dataclass(frozen=True)
class Note:
    """Who made which result a baseline, when (UTC, ISO 8601) and why.

    `evidence` is the name of the parquet file beside the baseline, or '' where there was none.
    """

    name: str
    author: str
    date: str
    reason: str
    result: Digest
    evidence: str = ""
    schema: int = SCHEMA


def write_baseline(result: Result, note: Note, directory: Path) -> Path:
    """Write NAME.json and its evidence into a folder; the evidence it had before goes."""
    path = directory / f"{note.name}.json"
    before = _evidence_of(path)
    rows = {value.address: result.evidence(value) for value in result.values()}
    content = _parquet({address: parts for address, parts in rows.items() if parts})
    if content:
        note = replace(note, evidence=f"{hashlib.sha256(content).hexdigest()[:16]}.parquet")
        atomic_write(directory / note.evidence, content)
    whole = {_KEY: _adapter().dump_python(note, mode="json"), **to_json(_slim(result.document))}
    text = json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False)
    atomic_write(path, text.encode() + b"\n")
    if before and before not in {_evidence_of(one) for one in directory.glob("*.json")}:
        (directory / before).unlink(missing_ok=True)
    return path


def load_baseline(path: Path) -> Result:
    """The result that a baseline file, a run directory or a result.json holds, with its evidence.

    Raises `UsageError`.
    """
    note, content = _opened(path)
    if note is None:
        return Result.load(path)
    document = from_json(content, path)
    return Result(document, _read(path.parent / note.evidence, document) if note.evidence else {})


def read_note(path: Path) -> Note:
    """The note of a baseline file; raises `UsageError` where the path is none."""
    note, _ = _opened(path)
    if note is None:
        raise UsageError(f"{path} is no baseline; make one with geneval baseline set")
    return note


def baselines_in(directory: Path) -> Iterator[tuple[Path, Note]]:
    """Every baseline file of a folder with its note, by name."""
    for path in sorted(directory.glob("*.json")):
        note, _ = _opened(path)
        if note is not None:
            yield path, note


def _opened(path: Path) -> tuple[Note | None, Any]:
    """The note and the document of a baseline file; no note where it is something else."""
    if not path.is_file():
        return None, None
    try:
        content = json.loads(path.read_bytes())
        found = content.pop(_KEY, None) if isinstance(content, dict) else None
        note = None if found is None else _adapter().validate_python(found)
    except (OSError, ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"{path} is no baseline or result: {reason}") from None
    if note is not None and note.schema != SCHEMA:
        raise UsageError(f"{path} is of schema {note.schema}; this geneval reads {SCHEMA}")
    if note is not None and note.evidence != Path(note.evidence).name:
        raise UsageError(f"{path}: evidence {note.evidence!r} is no name of a file beside it")
    return note, content


def _evidence_of(path: Path) -> str:
    """The evidence file of a baseline, or '' where there is none or no such baseline."""
    try:
        note, _ = _opened(path)
    except UsageError:
        return ""
    return note.evidence if note else ""


def _slim(document: Document) -> Document:
    """The document without what only a report shows."""

    def bare(measured: MetricResult) -> MetricResult:
        values = (replace(v, tables=(), galleries=(), floor=None) for v in measured.values)
        return replace(measured, values=tuple(values))

    metrics = tuple(map(bare, document.metrics))
    kept = ("started", "command", "packages", "platform", "device")
    provenance = {name: document.provenance[name] for name in kept if name in document.provenance}
    return replace(document, metrics=metrics, provenance=provenance, timing={}, not_evaluated={})


def _parquet(rows: Mapping[str, Mapping[Role, Evidence]]) -> bytes:
    """A row per sample that bears evidence, with its role and id; b'' where none does."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = []
    for role in Role:
        named = [parts[role].ids for parts in rows.values() if role in parts]
        ids = tuple(dict.fromkeys(sample for some in named for sample in some))
        if ids:
            columns: dict[str, Any] = {"role": [role.value] * len(ids), "id": list(ids)}
            tables.append(pa.table({**columns, **evidence_columns(role, ids, rows)}))
    if not tables:
        return b""
    sink = io.BytesIO()
    whole = pa.concat_tables(tables, promote_options="default")
    pq.write_table(whole, sink, compression="zstd")
    return sink.getvalue()


def _read(path: Path, document: Document) -> dict[str, dict[Role, Evidence]]:
    """The evidence of a parquet file; damage is like absence, and digests tell damage."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    values = (value for measured in document.metrics for value in measured.values)
    try:
        return read_evidence(pq.read_table(path), values)
    except (OSError, KeyError, pa.ArrowException):
        return {}


@cache
def _adapter() -> TypeAdapter[Note]:
    from pydantic import TypeAdapter

    return TypeAdapter(Note)
