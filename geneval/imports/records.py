"""What every import shares: drafts of records become records with the same columns, or a sentence.

A file of records has every column in every record. So a part or a score that some records lack is
left out, and a note says so; nothing is filled in. References are padded with null to one count,
`samples` are a column where any record has several, and a score that a harness could not give is
never a 0.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from geneval.errors import SampleError, UsageError
from geneval.ledger import atomic_write
from geneval.samples.metadata import is_text
from geneval.samples.sampleset import TEXT, WRITTEN

# Names that a record gives to something else, or that no column may have.
TAKEN = {*WRITTEN, TEXT, "id", "references", "prompt", "source", "lang", "image", "label", "target"}
TAKEN |= {"task", "filter", "sample", "epoch"}


@dataclass(frozen=True)
class Draft:
    """One record in the making: where it was read, its parts, and its scores.

    A score is None where the harness gave no number; `left_out` names what has no place in a
    record.
    """

    place: str
    parts: Mapping[str, Any]
    scores: Mapping[str, float | None] = field(default_factory=dict)
    left_out: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Imported:
    """Records, of how many of the harness' they were made, and sentences on what was left out."""

    records: tuple[dict[str, Any], ...]
    read: int
    notes: tuple[str, ...]


def imported(drafts: Sequence[Draft], read: int, notes: Iterable[str] = ()) -> Imported:
    """The records of drafts; raises `SampleError` without any and for an id that comes twice."""
    if not drafts:
        raise SampleError("the logs hold no record that can be imported")
    require_once(drafts)
    said = list(notes)
    parts = _common(drafts, said)
    scores = _numbers(drafts, said)
    most = max(len(draft.parts.get("references") or ()) for draft in drafts)
    records = []
    for draft in drafts:
        record = {name: draft.parts[name] for name in parts}
        if "references" in record:
            given = record["references"]
            record["references"] = [*given, *[None] * (most - len(given))]
        records.append(record | {name: draft.scores[name] for name in scores})
    without = sorted(frozenset[str]().union(*(draft.left_out for draft in drafts)))
    if without:
        said.append(f"not carried over: {', '.join(without)}")
    return Imported(tuple(records), read, tuple(said))


def write_records(found: Imported, out: Path) -> None:
    """The records as JSON lines.

    Raises `UsageError` for a file that is not named so, `SampleError` for half a character, which
    JSON can hold and UTF-8 cannot.
    """
    if out.suffix != ".jsonl":
        raise UsageError(f"--out {out}: records are written as .jsonl")
    lines = [json.dumps(one, ensure_ascii=False, allow_nan=False) for one in found.records]
    for record, line in zip(found.records, lines, strict=True):
        if not is_text(line):
            raise SampleError(f"{record['id']} is no text that can be written")
    atomic_write(out, "".join(f"{line}\n" for line in lines).encode())


def require_files(paths: Sequence[Path]) -> None:
    """Raise `UsageError` for a path that is no file."""
    for path in paths:
        if not path.is_file():
            raise UsageError(f"{path} {'is no file' if path.exists() else 'does not exist'}")


def drafted(make: Callable[[str, dict[str, Any]], Draft], place: str, record: Any) -> Draft:
    """The draft of one record; parts that are of another type or absent are a `SampleError`."""
    try:
        return make(place, record)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        told = f"no {error}" if isinstance(error, KeyError) else error
        raise SampleError(f"{place} has not the shape of a sample: {told}") from error


def number(value: Any) -> float | None:
    """A finite number, or a truth value as 1 or 0; else None."""
    if isinstance(value, int | float) and math.isfinite(value):
        return float(value) if isinstance(value, float) else int(value)
    return None


def require_once(drafts: Sequence[Draft]) -> None:
    """Raise `SampleError` for an id that comes twice."""
    places: dict[str, str] = {}
    for draft in drafts:
        name = draft.parts["id"]
        if name in places:
            raise SampleError(
                f"{draft.place}: {name!r} stands in {places[name]} already; import the logs of one "
                "model and one run at a time"
            )
        places[name] = draft.place


def _common(drafts: Sequence[Draft], said: list[str]) -> list[str]:
    """The parts that every draft has; without `samples` where each has one text."""
    found = []
    single = all(len(draft.parts.get("samples") or ()) < 2 for draft in drafts)
    for name in dict.fromkeys(name for draft in drafts for name in draft.parts):
        lacking = [draft for draft in drafts if draft.parts.get(name) is None]
        if name == "samples" and single:
            continue
        if not lacking:
            found.append(name)
        elif len(lacking) < len(drafts):
            said.append(f"{name} left out: {_which(lacking, drafts)} without it")
    return found


def _numbers(drafts: Sequence[Draft], said: list[str]) -> list[str]:
    """The scores that are a number in every draft."""
    found = []
    for name in dict.fromkeys(name for draft in drafts for name in draft.scores):
        lacking = [draft for draft in drafts if draft.scores.get(name) is None]
        if any(name in draft.parts or name in TAKEN for draft in drafts):
            said.append(f"score {name} left out: a record has another part of that name")
        elif lacking:
            said.append(f"score {name} left out: {_which(lacking, drafts)} without a number")
        else:
            found.append(name)
    return found


def _which(some: Sequence[Draft], drafts: Sequence[Draft]) -> str:
    return f"{len(some):,} of {len(drafts):,} records ({some[0].parts['id']} first) are"
