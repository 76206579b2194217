"""Gates: rules on values, as a suite writes them.

Short form `fid <= 12`, `0.4 <= recall` or, against a baseline, `bleu >= last - 0.5`; long form
`{value: fid, no_worse_than: last, margin: 5%}`. A list of baselines is one gate for each.

- `at_least`, `at_most`: the value against a number, on the point, or with `judge: interval` on the
  whole interval.
- `no_worse_than`: not worse than a baseline by more than `margin`; `better_than`: better by more
  than `margin`; `equivalent_to`: within `margin` either way. These are judged on the interval of
  the difference (one-sided at `confidence`), so they may be INCONCLUSIVE; `judge: point` looks at
  the difference alone. FAIL claims of all comparative gates of a suite are guarded by Holm's
  procedure.

A waiver turns a gate's FAIL into WARN until its day has passed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from geneval.errors import UsageError, unknown
from geneval.suite import Suite
from geneval.value import ADDRESS, AddressBook, Direction, parse_address

Kind = Literal["at_least", "at_most", "no_worse_than", "better_than", "equivalent_to"]
ABSOLUTE: tuple[Kind, ...] = ("at_least", "at_most")
COMPARATIVE: tuple[Kind, ...] = ("no_worse_than", "better_than", "equivalent_to")
_SIGN = r"\s*(?P<sign><=|>=|<|>)\s*"
_NUMBER = r"(?P<number>[^\s\[<>=]+)"
_SHORT = re.compile(rf"(?P<address>{ADDRESS}){_SIGN}{_NUMBER}")
_TURNED = re.compile(rf"{_NUMBER}{_SIGN}(?P<address>{ADDRESS})")
_FLIPPED = {"<=": ">=", ">=": "<=", "<": ">", ">": "<"}
_MARGIN = r"(?:\s+(?P<side>[+-])\s*(?P<margin>\d\S*))?"
_BESIDE = re.compile(rf"(?P<address>{ADDRESS}){_SIGN}(?P<name>[A-Za-z_][\w.-]*){_MARGIN}")
_WORSE = {"lower": ("<=", "+"), "higher": (">=", "-")}  # where worse lies, by what is better
ANY_BASELINE = "baseline"  # in a gate: the only or first baseline of the suite
Names = str | Annotated[list[str], Field(min_length=1)]


class _Long(BaseModel):
    """The long form of a gate, as a suite may write it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    value: str
    at_least: float | None = None
    at_most: float | None = None
    no_worse_than: Names | None = None
    better_than: Names | None = None
    equivalent_to: Names | None = None
    margin: float | str = 0.0
    level: Literal["fail", "warn"] = "fail"
    judge: Literal["point", "interval"] | None = None
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    min_n: Annotated[int, Field(ge=1)] | None = None
    on_inconclusive: Literal["error", "fail", "warn", "pass"] = "error"


@dataclass(frozen=True)
class Waiver:
    """Why a gate may fail up to and including a day."""

    reason: str
    until: date


@dataclass(frozen=True)
class Gate:
    """One rule. `limit` belongs to absolute kinds, `baseline` and `margin` to comparative ones."""

    text: str
    address: str
    kind: Kind
    limit: float | None = None
    strict: bool = False
    baseline: str | None = None
    margin: float = 0.0
    relative: bool = False
    level: Literal["fail", "warn"] = "fail"
    judge: Literal["point", "interval"] = "point"
    confidence: float = 0.95
    min_n: int | None = None
    on_inconclusive: Literal["error", "fail", "warn", "pass"] = "error"
    waiver: Waiver | None = None


def read_gates(suite: Suite, book: AddressBook) -> tuple[Gate, ...]:
    """The suite's gates with their waivers; raises `UsageError` for what can never be judged."""
    gates: list[Gate] = []
    for i, raw in enumerate(suite.gates):
        gates += _read(raw, suite, book, suite.at("gates", i))
    for i, spec in enumerate(suite.waivers):
        where = suite.at("waivers", i)
        waived = {_rule(gate) for gate in _read(spec.gate, suite, book, where)}
        if not waived <= {_rule(gate) for gate in gates if gate.waiver is None}:
            there = "; ".join(gate.text for gate in gates if gate.waiver is None)
            lacks = f"the suite has no such gate to waive; it has {there or 'none'}"
            raise UsageError(f"{where}waiver of {written(spec.gate)}: {lacks}")
        waiver = Waiver(spec.reason, date.fromisoformat(spec.until))
        gates = [replace(g, waiver=waiver) if _rule(g) in waived else g for g in gates]
    return tuple(gates)


def _rule(gate: Gate) -> Gate:
    """What a gate demands, however it was written."""
    return replace(gate, text="", waiver=None)


def _read(
    raw: str | Mapping[str, Any], suite: Suite, book: AddressBook, where: str
) -> Sequence[Gate]:
    """The gates that one entry of a suite stands for."""
    try:
        found = [_short(raw, suite, book)] if isinstance(raw, str) else _long(raw)
        return [
            replace(
                gate,
                address=book.resolve(gate.address),
                baseline=None if gate.baseline is None else _baseline(gate.baseline, suite),
            )
            for gate in found
        ]
    except (UsageError, LookupError, ValueError) as error:
        raise UsageError(f"{where}gate {written(raw)}: {error}") from None


def _baseline(name: str, suite: Suite) -> str:
    """A baseline of the suite by its name, or as `baseline`."""
    if name == ANY_BASELINE and suite.baselines and name not in suite.baselines:
        return next(iter(suite.baselines))
    if name not in suite.baselines:
        raise UsageError(unknown("baseline", name, suite.baselines))
    return name


def _short(text: str, suite: Suite, book: AddressBook) -> Gate:
    """`fid <= 12`, `0.4 <= recall` or `fid <= last + 5%`."""
    bare = text.strip()
    match, turned = _SHORT.fullmatch(bare), _TURNED.fullmatch(bare)
    found = match or turned
    limit = _limit(found["number"]) if found else None
    if match is not None and turned is not None and limit is None:  # both sides read as words
        found, limit = turned, _limit(turned["number"])
    if found is None or limit is None or _limit(found["address"]) is not None:
        beside = _BESIDE.fullmatch(bare)
        if beside is not None:
            return _against(text, beside, suite, book)
        raise UsageError("write ADDRESS <= NUMBER or NUMBER <= ADDRESS, the number finite")
    sign = found["sign"] if found is match else _FLIPPED[found["sign"]]
    kind: Kind = "at_most" if sign[0] == "<" else "at_least"
    return Gate(text, found["address"], kind, limit=limit, strict=len(sign) == 1)


def _against(text: str, found: re.Match[str], suite: Suite, book: AddressBook) -> Gate:
    """`bleu >= last - 0.5`: no worse than the baseline by more than the margin."""
    name, address = _baseline(found["name"], suite), book.resolve(found["address"])
    better = _direction(address, suite)
    if better == "target":
        raise UsageError(f"{address} has no better or worse; write {{equivalent_to: {name}}}")
    sign, side = _WORSE[better]
    if found["sign"] != sign or found["side"] not in (None, side):
        raise UsageError(
            f"{better} is better for {address}: write {address} {sign} {name} {side} MARGIN, "
            f"or {{value: {address}, better_than: {name}}}"
        )
    told = found["margin"] or "0"
    margin, relative = read_margin(told if told.endswith("%") else float(told))
    return Gate(
        text,
        address,
        "no_worse_than",
        baseline=name,
        margin=margin,
        relative=relative,
        judge="interval",
    )


def _direction(address: str, suite: Suite) -> Direction:
    """Which way is better at a canonical address."""
    key, _, output = parse_address(address)[0].partition(".")
    entry = next(entry for entry in suite.metrics if entry.key == key)
    name = output or entry.metric
    return next(one.direction for one in entry.spec.outputs if one.name == name)


def _limit(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _long(raw: Mapping[str, Any]) -> list[Gate]:
    """The gate of a mapping, or one for each baseline where it names several."""
    try:
        long = _Long.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        if first["type"] == "extra_forbidden":
            raise UsageError(unknown("key", name, _Long.model_fields)) from None
        if first["type"] == "missing":
            raise UsageError(f"`{name}:` is missing; write {{value: fid, at_most: 12}}") from None
        raise UsageError(f"{name} = {first['input']!r}: {first['msg'].lower()}") from None
    kinds = [kind for kind in (*ABSOLUTE, *COMPARATIVE) if getattr(long, kind) is not None]
    if len(kinds) != 1:
        raise UsageError(f"give exactly one of {', '.join((*ABSOLUTE, *COMPARATIVE))}")
    kind = kinds[0]
    margin, relative = read_margin(long.margin)
    if kind == "equivalent_to" and margin == 0:
        raise UsageError("equivalent_to needs a margin above 0")
    comparative = kind in COMPARATIVE
    strays = long.model_fields_set & {"margin", "confidence", "on_inconclusive"}
    if strays and not comparative:
        raise UsageError(f"{min(strays)} is for gates against a baseline, not for {kind}")
    limit = None if comparative else getattr(long, kind)
    if limit is not None and not math.isfinite(limit):
        raise UsageError(f"{kind} must be a finite number")
    gate = Gate(
        text=written(raw),
        address=long.value,
        kind=kind,
        limit=limit,
        margin=margin,
        relative=relative,
        level=long.level,
        judge=long.judge or ("interval" if comparative else "point"),
        confidence=long.confidence,
        min_n=long.min_n,
        on_inconclusive=long.on_inconclusive,
    )
    if not comparative:
        return [gate]
    named = getattr(long, kind)
    names = [named] if isinstance(named, str) else named
    return [replace(gate, text=written({**raw, kind: one}), baseline=one) for one in names]


def read_margin(given: float | str) -> tuple[float, bool]:
    """A margin as a number, and whether it is a share (`5%`); raises `UsageError`."""
    relative = isinstance(given, str) and given.endswith("%")
    number = _limit(str(given).removesuffix("%"))
    if number is None or number < 0 or (isinstance(given, str) and not relative):
        raise UsageError(f"margin {given!r} is neither a number of at least 0 nor like 5%")
    return (number / 100 if relative else number), relative


def written(raw: str | Mapping[str, Any]) -> str:
    """A gate on one line, as its author wrote it."""
    if isinstance(raw, str):
        return raw
    return ", ".join(f"{key}: {value}" for key, value in raw.items())
