"""The result of one checkpoint under one suite: a document that readers need nothing else for.

`Document` is what stands in result.json: strict JSON, versioned, canonical and byte-stable except
for provenance and timing, which its digest leaves out. `Result` is the document with the evidence
per sample that lies beside it in samples.parquet.
"""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from geneval.errors import UsageError
from geneval.ledger import atomic_write
from geneval.signature import Digest, canonical
from geneval.value import AddressBook, Evidence, EvidenceNote, Role, Value, parse_address, shown

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from pydantic import TypeAdapter

SCHEMA = 1
RESULT_FILE = "result.json"
SAMPLES_FILE = "samples.parquet"
MEDIA = "media"  # pictures and their index; whatever an index names lies in this very folder
MEDIA_INDEX = f"{MEDIA}/index.json"
TEXT_INDEX = f"{MEDIA}/texts.json"  # the texts that reports show
KEPT = "samples"  # of a run directory: its samples, to be evaluated again
KEPT_TEXTS = f"{KEPT}/texts.jsonl"
TEXT_COLUMNS = ("hypothesis", "samples", "turns", "references", "prompt", "source", "lang")
EVIDENCE = "evidence:"  # prefix of the columns of samples.parquet that hold evidence
_OUTSIDE_DIGEST = ("provenance", "timing")
Status = Literal["ok", "failed", "skipped"]


@dataclass(frozen=True)
class MetricResult:
    """What became of one measurement: failed when any of its values has a problem."""

    key: str
    metric: str
    chapter: str
    outputs: tuple[str, ...]
    status: Status
    reason: str
    values: tuple[Value, ...]
    optional: bool = False


@dataclass(frozen=True)
class Subject:
    """What was evaluated. `step` and `seed` are a checkpoint's, where its name tells them.

    `digest` is that of a checkpoint's weights and adapter, or of the samples.
    """

    name: str
    kind: Literal["samples", "checkpoint"]
    digest: Digest = ""
    step: int | None = None
    seed: int | None = None


@dataclass(frozen=True)
class SetNote:
    """A sample set that took part: how many samples, which of them were bad, what it is as data.

    `n` is None for a role of which only moments are known.
    """

    n: int | None
    fingerprint: Digest
    bad: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SuiteNote:
    """The suite as it was resolved, with all defaults and overrides."""

    name: str
    digest: Digest
    document: Mapping[str, Any]


@dataclass(frozen=True)
class Document:
    """The content of result.json."""

    suite: SuiteNote
    subject: Subject
    sets: Mapping[Role, SetNote]
    metrics: tuple[MetricResult, ...]
    cautions: tuple[str, ...] = ()
    not_evaluated: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    partial: int | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    timing: Mapping[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA

    @property
    def digest(self) -> Digest:
        """Digest of everything but provenance and timing."""
        content = {k: v for k, v in to_json(self).items() if k not in _OUTSIDE_DIGEST}
        return hashlib.sha256(canonical(content)).hexdigest()


class Result:
    """A document with its evidence, read from a run directory or fresh from a run."""

    def __init__(
        self,
        document: Document,
        evidence: Mapping[str, Mapping[Role, Evidence]] | None = None,
        directory: Path | None = None,
    ) -> None:
        self.document = document
        self.directory = directory
        self._evidence = evidence

    @classmethod
    def load(cls, path: Path) -> Result:
        """The result in a run directory, or of a result.json; raises `UsageError`."""
        file = path / RESULT_FILE if path.is_dir() else path
        if not file.is_file():
            runs = sorted(path.glob(f"*/{RESULT_FILE}"))
            hint = f"; it holds runs, such as {runs[-1].parent}" if runs else ""
            raise UsageError(f"{path} is neither a run directory nor a result.json{hint}")
        try:
            content = json.loads(file.read_bytes())
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{file} is not a result: {_first_line(error)}") from None
        return cls(from_json(content, file), None, file.parent)

    @property
    def name(self) -> str:
        """Name of what was evaluated."""
        return self.document.subject.name

    @cached_property
    def book(self) -> AddressBook:
        """What addresses mean in this result."""
        return AddressBook(tuple((m.key, m.metric, m.outputs) for m in self.document.metrics))

    @cached_property
    def by_address(self) -> Mapping[str, Value]:
        """Every value by canonical address."""
        return {value.address: value for value in self.values()}

    def values(self) -> Iterator[Value]:
        """Every value, measurement by measurement."""
        for measured in self.document.metrics:
            yield from measured.values

    def __getitem__(self, address: str) -> Value:
        """The value at an address; raises `KeyError` with a sentence when there is none."""
        try:
            canonical_address = self.book.resolve(address)
        except (LookupError, ValueError) as error:
            raise KeyError(str(error)) from None
        if canonical_address not in self.by_address:
            raise KeyError(self._absence(canonical_address))
        return self.by_address[canonical_address]

    def _absence(self, address: str) -> str:
        """Why there is no value at an address that the suite has."""
        grouped = [a for a in self.by_address if a.startswith(f"{address}[")]
        if grouped:
            return f"{address} is given by group, such as {grouped[0]}"
        key = parse_address(address)[0].split(".")[0]
        reason = next((m.reason for m in self.document.metrics if m.key == key and m.reason), "")
        return f"{address} was not measured" + (f": {reason}" if reason else "")

    def evidence(self, value: Value) -> Mapping[Role, Evidence]:
        """The evidence of one of this result's values, by role; empty when none was stored."""
        if self._evidence is None:
            self._evidence = self._load_evidence()
        return self._evidence.get(value.address, {})

    def __repr__(self) -> str:
        told = ", ".join(
            f"{value.address} {'—' if value.number is None else shown(value.number)}"
            for value in self.values()
        )
        return f"<Result of {self.name} under {self.document.suite.name}: {told}>"

    def to_pandas(self) -> pd.DataFrame:
        """One row per value; needs pandas."""
        try:
            import pandas as pd
        except ModuleNotFoundError:
            raise ImportError("to_pandas needs pandas: pip install pandas") from None

        return pd.DataFrame([_row(value) for value in self.values()])

    def _repr_html_(self) -> str:
        rows = [_row(value) for value in self.values()]
        shown = ("address", "number", "low", "high", "n", "problem")
        head = "".join(f"<th>{name}</th>" for name in shown)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(_cell(r[c]))}</td>" for c in shown) + "</tr>"
            for r in rows
        )
        title = html.escape(f"{self.name} under {self.document.suite.name}")
        cautions = "".join(f"<p>⚠ {html.escape(told)}</p>" for told in self.document.cautions)
        return f"{cautions}<table><caption>{title}</caption><tr>{head}</tr>{body}</table>"

    def _load_evidence(self) -> dict[str, dict[Role, Evidence]]:
        file = self.directory / SAMPLES_FILE if self.directory else None
        if file is None or not file.is_file():
            return {}
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return read_evidence(pq.read_table(file), self.values())
        except (OSError, KeyError, pa.ArrowException):  # damage is like absence: no evidence
            return {}


def to_json(document: Document) -> dict[str, Any]:
    """The document as plain JSON content."""
    content: dict[str, Any] = _adapter().dump_python(document, mode="json")
    return content


def from_json(content: Any, file: Path) -> Document:
    """The document of JSON content; raises `UsageError` naming the file it was read from."""
    version = content.get("schema") if isinstance(content, dict) else None
    if version != SCHEMA:
        raise UsageError(f"{file} has schema {version}; this geneval reads {SCHEMA}")
    try:
        return _adapter().validate_python(content)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file} is not a result: {_first_line(error)}") from None


def write_result(document: Document, directory: Path) -> None:
    """Write result.json."""
    text = json.dumps(to_json(document), indent=1, ensure_ascii=False, allow_nan=False)
    atomic_write(directory / RESULT_FILE, text.encode() + b"\n")


def result_schema() -> dict[str, Any]:
    """The JSON Schema of result.json, which stands in docs/result.schema.json."""
    schema = _adapter().json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def evidence_note(evidence: Evidence, address: str) -> EvidenceNote:
    """The note that stands in the document for rows in samples.parquet, in the address's column."""
    rows = np.ascontiguousarray(evidence.rows)
    material = hashlib.sha256("\0".join(evidence.ids).encode())
    material.update(rows.tobytes())
    return EvidenceNote(evidence.kind, EVIDENCE + address, material.hexdigest())


def evidence_columns(
    role: Role, ids: tuple[str, ...], evidence: Mapping[str, Mapping[Role, Evidence]]
) -> dict[str, list[float | None]]:
    """One column per address with evidence of the role, aligned with `ids`, None where absent."""
    columns = {}
    for address, by_role in evidence.items():
        if role in by_role:
            found = by_role[role]
            by_id = dict(zip(found.ids, found.rows.tolist(), strict=True))
            columns[EVIDENCE + address] = [by_id.get(sample) for sample in ids]
    return columns


def read_evidence(table: pa.Table, values: Iterator[Value]) -> dict[str, dict[Role, Evidence]]:
    """Evidence by address and role from samples.parquet; damaged columns are left out."""
    roles = np.array(table.column("role").to_pylist())
    ids = np.array(table.column("id").to_pylist(), dtype=object)
    found: dict[str, dict[Role, Evidence]] = {}
    for value in values:
        for role, note in value.evidence.items():
            if note.column not in table.column_names:
                continue
            column = np.array(table.column(note.column).to_pylist(), dtype=object)
            here = (roles == role.value) & np.array([cell is not None for cell in column])
            try:
                rows = np.array(column[here].tolist(), dtype=np.float64)
            except ValueError:
                continue
            evidence = Evidence(note.kind, tuple(ids[here]), rows)
            if evidence_note(evidence, value.address) == note:
                found.setdefault(value.address, {})[role] = evidence
    return found


@cache
def _adapter() -> TypeAdapter[Document]:
    from pydantic import TypeAdapter

    return TypeAdapter(Document)


def _row(value: Value) -> dict[str, Any]:
    interval = value.interval
    return {
        "address": value.address,
        "number": value.number,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "level": interval.level if interval else None,
        "target": interval.target if interval else None,
        "n": value.n.get(Role.GENERATED),
        "direction": value.spec.direction,
        "unit": value.spec.unit,
        "problem": value.problem,
        "signature": value.signature.line(),
    }


def _cell(content: Any) -> str:
    if content is None:
        return ""
    return f"{content:.6g}" if isinstance(content, float) else str(content)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
