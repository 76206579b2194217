"""Gates: rules on values, as a suite writes them.

Short form `fid <= 12` or `0.4 <= recall`; long form `{value: fid, no_worse_than: x, margin: 5%}`.

- `at_least`, `at_most`: the value against a number, on the point, or with `judge: interval` on the
  whole interval.
- `no_worse_than`: not worse than a baseline by more than `margin`; `better_than`: better by more
  than `margin`; `equivalent_to`: within `margin` either way. These are judged on the interval of
  the difference (one-sided at `confidence`), so they may be INCONCLUSIVE; `judge: point` looks at
  the difference alone. FAIL claims of all comparative gates of a suite are guarded by Holm's
  procedure.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from geneval.errors import UsageError, unknown
from geneval.suite import Suite
from geneval.value import ADDRESS, AddressBook

Kind = Literal["at_least", "at_most", "no_worse_than", "better_than", "equivalent_to"]
ABSOLUTE: tuple[Kind, ...] = ("at_least", "at_most")
COMPARATIVE: tuple[Kind, ...] = ("no_worse_than", "better_than", "equivalent_to")
_SIGN = r"\s*(?P<sign><=|>=|<|>)\s*"
_NUMBER = r"(?P<number>[^\s\[<>=]+)"
_SHORT = re.compile(rf"(?P<address>{ADDRESS}){_SIGN}{_NUMBER}")
_TURNED = re.compile(rf"{_NUMBER}{_SIGN}(?P<address>{ADDRESS})")
_FLIPPED = {"<=": ">=", ">=": "<=", "<": ">", ">": "<"}


class _Long(BaseModel):
    """The long form of a gate, as a suite may write it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    value: str
    at_least: float | None = None
    at_most: float | None = None
    no_worse_than: str | None = None
    better_than: str | None = None
    equivalent_to: str | None = None
    margin: float | str = 0.0
    level: Literal["fail", "warn"] = "fail"
    judge: Literal["point", "interval"] | None = None
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    min_n: Annotated[int, Field(ge=1)] | None = None
    on_inconclusive: Literal["error", "fail", "warn", "pass"] = "error"


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


def read_gates(suite: Suite, book: AddressBook) -> tuple[Gate, ...]:
    """The suite's gates; raises `UsageError` for a rule the plan can never answer."""
    gates = []
    for i, raw in enumerate(suite.gates):
        where = suite.at("gates", i)
        try:
            gate = _short(raw) if isinstance(raw, str) else _long(raw)
            gate = replace(gate, address=book.resolve(gate.address))
        except (UsageError, LookupError, ValueError) as error:
            raise UsageError(f"{where}gate {written(raw)}: {error}") from None
        if gate.baseline is not None and gate.baseline not in suite.baselines:
            known = unknown("baseline", gate.baseline, suite.baselines)
            raise UsageError(f"{where}gate {written(raw)}: {known}")
        gates.append(gate)
    return tuple(gates)


def _short(text: str) -> Gate:
    """`fid <= 12` or `0.4 <= recall`."""
    bare = text.strip()
    match, turned = _SHORT.fullmatch(bare), _TURNED.fullmatch(bare)
    found = match or turned
    limit = _limit(found["number"]) if found else None
    if match is not None and turned is not None and limit is None:  # both sides read as words
        found, limit = turned, _limit(turned["number"])
    if found is None or limit is None or _limit(found["address"]) is not None:
        raise UsageError("write ADDRESS <= NUMBER or NUMBER <= ADDRESS, the number finite")
    sign = found["sign"] if found is match else _FLIPPED[found["sign"]]
    kind: Kind = "at_most" if sign[0] == "<" else "at_least"
    return Gate(text, found["address"], kind, limit=limit, strict=len(sign) == 1)


def _limit(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _long(raw: Mapping[str, Any]) -> Gate:
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
    margin, relative = _margin(long.margin)
    if kind == "equivalent_to" and margin == 0:
        raise UsageError("equivalent_to needs a margin above 0")
    comparative = kind in COMPARATIVE
    strays = long.model_fields_set & {"margin", "confidence", "on_inconclusive"}
    if strays and not comparative:
        raise UsageError(f"{min(strays)} is for gates against a baseline, not for {kind}")
    limit = None if comparative else getattr(long, kind)
    if limit is not None and not math.isfinite(limit):
        raise UsageError(f"{kind} must be a finite number")
    return Gate(
        text=written(raw),
        address=long.value,
        kind=kind,
        limit=limit,
        baseline=getattr(long, kind) if comparative else None,
        margin=margin,
        relative=relative,
        level=long.level,
        judge=long.judge or ("interval" if comparative else "point"),
        confidence=long.confidence,
        min_n=long.min_n,
        on_inconclusive=long.on_inconclusive,
    )


def _margin(given: float | str) -> tuple[float, bool]:
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
