"""The numbers geneval reports: what a metric returns and what stands in a result.

A metric returns one `Estimate` per output. With its `OutputSpec`, address, signature and digest of
inputs it becomes a `Value`, which is complete without the registry. Either a number or a problem
is present, never both and never neither, and a number has an interval or the reason for none.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from numbers import Real
from typing import Any, Literal, SupportsFloat, TypeGuard, get_args

import numpy as np
from numpy.typing import NDArray

from geneval.errors import GenevalError, unknown
from geneval.signature import Digest, Scalar, Signature

Ids = tuple[str, ...]
Cell = str | int | float | None
Direction = Literal["higher", "lower", "target"]
TARGETS = {"population": "of the population", "at_n": "the spread at this n"}  # in words
EvidenceKind = Literal["scores", "influence", "statistics"]


class Role(StrEnum):
    """The part a sample set plays; always in this order, always by keyword."""

    GENERATED = "generated"
    REFERENCE = "reference"
    TRAIN = "train"


@dataclass(frozen=True)
class Interval:
    """A confidence interval [low, high] and what it is for.

    `target` is `population` when it covers the value of infinitely many samples, `at_n` when it is
    the spread of a biased estimate at this number of samples.
    """

    low: float
    high: float
    level: float
    method: str
    target: Literal["population", "at_n"]

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise ValueError(f"interval [{self.low}, {self.high}] is not finite and ordered")


@dataclass(frozen=True, eq=False)
class Evidence:
    """What each sample adds to a number, from which intervals and differences are computed.

    `scores`: float64 [n], the value is their mean. `influence`: float64 [n] with mean 0, the value
    moves by their weighted mean when samples are re-weighted. `statistics`: float64 [n, k], of
    whose sum [k] the metric's `reduce` makes the value.
    """

    kind: EvidenceKind
    ids: Ids
    rows: NDArray[np.float64]

    def __post_init__(self) -> None:
        if len(self.rows) != len(self.ids):
            raise ValueError(f"{len(self.rows)} evidence rows for {len(self.ids)} ids")


@dataclass(frozen=True)
class EvidenceNote:
    """Where the evidence of a value lies: its column of samples.parquet and the rows' digest."""

    kind: EvidenceKind
    column: str
    digest: Digest


@dataclass(frozen=True)
class OutputSpec:
    """One output of a metric. Direction, unit and range stand here and nowhere else.

    An end of `range` that is `None` is unbounded. `compared_by` names the output of the same metric
    whose difference is used wherever two values of this one are compared.
    """

    name: str
    direction: Direction
    unit: str = ""
    range: tuple[float | None, float | None] = (None, None)
    compared_by: str = ""

    def __post_init__(self) -> None:
        if self.direction not in get_args(Direction):
            raise ValueError(f"direction {self.direction!r} is none of {get_args(Direction)}")

    def __contains__(self, number: float) -> bool:
        low, high = self.range
        return (low is None or number >= low) and (high is None or number <= high)


@dataclass(frozen=True)
class DetailTable:
    """A small table beside a value; `chart` says how a report may draw it (first column is x)."""

    title: str
    columns: Mapping[str, Sequence[Cell]]
    chart: Literal["bars", "line"] | None = None


@dataclass(frozen=True)
class Gallery:
    """Samples worth looking at, most telling first, with a caption each."""

    title: str
    role: Role
    ids: Ids
    captions: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What an estimate and a value share. `n` counts samples per role, `None` where unknown."""

    number: float | None = None
    problem: str | None = None
    n: Mapping[Role, int | None] = field(default_factory=dict)
    interval: Interval | None = None
    no_interval: str | None = None
    at: Mapping[str, str] = field(default_factory=dict)
    finding: str = ""
    tables: tuple[DetailTable, ...] = ()
    galleries: tuple[Gallery, ...] = ()

    def __post_init__(self) -> None:
        if (self.number is None) == (self.problem is None):
            raise ValueError("exactly one of number and problem must be given")
        if self.number is not None and not math.isfinite(self.number):
            raise ValueError(f"number {self.number} is not finite; report a problem instead")
        if self.number is not None and (self.interval is None) == (self.no_interval is None):
            raise ValueError("a number needs an interval or the reason for none")


@dataclass(frozen=True, kw_only=True)
class Estimate(Measured):
    """What a metric returns for one of its outputs (and one group of samples).

    `signed` are fields of the signature that follow from the data, such as the tokeniser that a
    language asks for; one that bears an option's name stands in its place.
    """

    output: str
    evidence: Mapping[Role, Evidence] = field(default_factory=dict)
    signed: Mapping[str, Scalar] = field(default_factory=dict)


PERTURB, DROP = "perturb", "drop"  # the group of a perturbation; the output that a change is
FLOOR = "two draws of n reference samples against each other"
FLOOR_AS_JPEG = "; with one of them as JPEG of quality 50"


@dataclass(frozen=True)
class Floor:
    """The ruler beside a number: what two disjoint draws of `n` reference samples score.

    `jpeg` is the same with one draw saved as JPEG of quality 50; `problem` says why there is none.
    """

    n: int
    number: float | None = None
    jpeg: float | None = None
    problem: str = ""

    def __str__(self) -> str:
        if self.number is None:
            return f"none: {self.problem}"
        jpeg = "" if self.jpeg is None else f", as JPEG 50 {shown(self.jpeg)}"
        return f"{shown(self.number)}{jpeg} (n {self.n:,})"


@dataclass(frozen=True, kw_only=True)
class Value(Measured):
    """An estimate with everything needed to print, judge and compare it.

    A value is compared with a number by its own, as in `result["fid"] <= 12`; a value with a
    problem, and a number that is not finite, raise `GenevalError` rather than answer.
    """

    address: str
    key: str
    metric: str
    spec: OutputSpec
    signature: Signature
    inputs: Digest
    evidence: Mapping[Role, EvidenceNote] = field(default_factory=dict)
    floor: Floor | None = None

    @property
    def compared_by(self) -> str:
        """Address of the value whose difference stands for differences of this one."""
        if not self.spec.compared_by:
            return self.address
        return address_of(self.key, self.metric, self.spec.compared_by, self.at)

    def __float__(self) -> float:
        if self.number is None:
            raise GenevalError(f"{self.address} has no number: {self.problem}")
        return self.number

    def __lt__(self, other: object) -> bool:
        return float(self) < _finite(self, other) if _is_number(other) else NotImplemented

    def __le__(self, other: object) -> bool:
        return float(self) <= _finite(self, other) if _is_number(other) else NotImplemented

    def __gt__(self, other: object) -> bool:
        return float(self) > _finite(self, other) if _is_number(other) else NotImplemented

    def __ge__(self, other: object) -> bool:
        return float(self) >= _finite(self, other) if _is_number(other) else NotImplemented

    def __eq__(self, other: object) -> bool:
        if _is_number(other):
            return float(self) == _finite(self, other)
        if not isinstance(other, Value):
            return NotImplemented
        return all(getattr(self, f.name) == getattr(other, f.name) for f in fields(self))

    def __hash__(self) -> int:
        return hash((self.address, self.number, self.inputs))


def _is_number(given: object) -> TypeGuard[SupportsFloat]:
    """Whether a value may be compared with it: a real number that is no truth value."""
    return isinstance(given, Real) and not isinstance(given, bool)


def _finite(value: Value, given: SupportsFloat) -> float:
    """The number that a value is compared with."""
    number = float(given)
    if not math.isfinite(number):
        raise GenevalError(f"{value.address} cannot be compared with {number}")
    return number


def measured_fields(measured: Measured) -> dict[str, Any]:
    """The fields of `Measured` as keyword arguments, to make a value of an estimate."""
    return {f.name: getattr(measured, f.name) for f in fields(Measured)}


def address_of(key: str, metric: str, output: str, at: Mapping[str, str]) -> str:
    """The canonical address: `fid`, `fid.debiased`, `precision_recall.recall[label=3]`.

    The key stands alone for the output that bears the metric's name.
    """
    name = key if output == metric else f"{key}.{output}"
    groups = ",".join(f"{_quoted(column)}={_quoted(at[column])}" for column in sorted(at))
    return name + (f"[{groups}]" if groups else "")


def parse_address(text: str) -> tuple[str, dict[str, str]]:
    """Split an address into its dotted name and its groups; raises `ValueError` on bad grammar."""
    text = text.strip()
    match = _ADDRESS.fullmatch(text)
    if match is None or not _WHOLE.fullmatch(text):
        raise ValueError(f"{text!r} is not an address such as fid, fid.debiased or recall[label=3]")
    at: dict[str, str] = {}
    for column, value in _GROUP.findall(match["groups"] or ""):
        name, group = (json.loads(p) if p.startswith('"') else p for p in (column, value))
        if name in at:
            raise ValueError(f"{text!r} names the group column {name!r} twice")
        at[name] = group
    return match["name"], at


@dataclass(frozen=True)
class Groups:
    """What an output is given by: its `columns`, and `ats`, all that it will be at, if known."""

    columns: tuple[str, ...] = ()
    ats: tuple[Mapping[str, str], ...] | None = None

    @classmethod
    def of(cls, ats: Sequence[Mapping[str, str]]) -> Groups:
        """The groups of an output that is given at all of these."""
        return cls(tuple(sorted({column for at in ats for column in at})), tuple(ats))


@dataclass(frozen=True)
class AddressBook:
    """The measurements of a suite: what an address can mean among (key, metric, outputs).

    A plan also knows the `groups` of outputs, by key and output, and by key what its values are at
    on samples that are `perturbed`.
    """

    entries: tuple[tuple[str, str, tuple[str, ...]], ...]
    groups: Mapping[tuple[str, str], Groups] = field(default_factory=dict)
    perturbed: Mapping[str, Sequence[Mapping[str, str]]] = field(default_factory=dict)

    def resolve(self, text: str) -> str:
        """The canonical form of an address; raises `LookupError` with a sentence otherwise.

        Accepted are the canonical address, `key.output`, the key alone for its first output, and an
        output name alone where only one measurement has it.
        """
        name, at = parse_address(text)
        hits = [
            (key, metric, output)
            for key, metric, outputs in self.entries
            for output in outputs
            if name == f"{key}.{output}" or (name == key and output == outputs[0])
        ] or [(key, metric, name) for key, metric, outputs in self.entries if name in outputs]
        if not hits:
            raise LookupError(
                unknown("address", name, self.names() if "." in name else self._short())
            )
        if len(hits) > 1:
            several = ", ".join(f"{key}.{output}" for key, _, output in hits)
            raise LookupError(f"address {name!r} could mean {several}; write one of them")
        key, metric, output = hits[0]
        is_perturbed = output == DROP or PERTURB in at
        own = self._without_setting(key, name, at) if is_perturbed else at
        first = next(outputs[0] for one, _, outputs in self.entries if one == key)
        _require_group(self.groups.get((key, first if output == DROP else output)), name, own)
        return address_of(key, metric, output, at)

    def _without_setting(self, key: str, name: str, at: Mapping[str, str]) -> Mapping[str, str]:
        """The groups of an address but for its perturbation, which the plan must make."""
        if key not in self.perturbed:
            return at
        settings = self.perturbed[key]
        for setting in settings:
            if setting.items() <= at.items():
                return {column: at[column] for column in at if column not in setting}
        known = [address_of(key, key, key, setting)[len(key) :] for setting in settings]
        there = f"has {', '.join(known)}" if known else "is not perturbed; see `perturb:`"
        raise LookupError(f"{name} has no such perturbation: {key} {there}")

    def _short(self) -> set[str]:
        """Keys and outputs, of which an address without a dot is one."""
        return {name for key, _, outputs in self.entries for name in (key, *outputs)}

    def names(self) -> list[str]:
        """All canonical addresses without groups."""
        return [
            address_of(key, metric, output, {})
            for key, metric, outputs in self.entries
            for output in outputs
        ]


def _require_group(groups: Groups | None, name: str, at: Mapping[str, str]) -> None:
    """Raise `LookupError` unless the groups of an address are those the plan will make."""
    if groups is None:
        return
    if set(at).difference(groups.columns):
        stray = min(set(at).difference(groups.columns))
        raise LookupError(f"{name} is not grouped by {stray}; see `by:`")
    if groups.ats is None or at in groups.ats:
        return
    if set(groups.columns).difference(at):
        first = min(groups.ats, key=lambda one: [one.get(c, "") for c in groups.columns])
        given, whole = " and ".join(groups.columns), address_of(name, "", "", {**first, **at})
        raise LookupError(f"{name} is given by {given}; write {whole}")
    for column in groups.columns:
        there = {one[column] for one in groups.ats}
        if at[column] not in there:
            raise LookupError(unknown(column, at[column], there))
    raise LookupError(f"{address_of(name, '', '', at)} is none of the groups there will be")


def shown(number: float, beside: float | None = None) -> str:
    """A number with 4 significant digits, or as many as tell it apart from the one beside it."""
    for digits in range(4, 18):
        text = f"{number:.{digits}g}"
        if beside is None or number == beside or text != f"{beside:.{digits}g}":
            return text
    return repr(number)


def _quoted(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


_PLAIN = re.compile(r"[\w./+@-]+")
_WORD = r'(?:"(?:[^"\\]|\\.)*"|[\w./+@-]+)'
ADDRESS = rf"[A-Za-z_][\w-]*(?:\.[A-Za-z_]\w*)*(?:\[{_WORD}={_WORD}(?:,{_WORD}={_WORD})*\])?"
_ADDRESS = re.compile(r"(?P<name>[^\[]+)(?:\[(?P<groups>.*)\])?", re.DOTALL)
_WHOLE = re.compile(ADDRESS)
_GROUP = re.compile(rf"({_WORD})=({_WORD})")
