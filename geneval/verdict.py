"""Verdicts: every gate judged at once on one result, failing closed.

A gate passes only when its rule is shown to hold. Whatever prevents a judgement (no such value, a
problem, too few samples, a partial run, no baseline, unequal signatures) is an ERROR, and so is a
comparison that shows neither the rule nor its opposite unless the gate says otherwise. The sentence
of a verdict and the exit code come from the same `Judgement`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from enum import StrEnum
from functools import cache
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from geneval.baseline import load_baseline
from geneval.difference import Difference, better_by, difference
from geneval.errors import ExitCode, UsageError
from geneval.gate import ABSOLUTE, Gate, Kind
from geneval.ledger import atomic_write
from geneval.resample import holm
from geneval.result import Result
from geneval.suite import Suite
from geneval.value import Role, Value, shown

if TYPE_CHECKING:
    from pydantic import TypeAdapter

VERDICTS_FILE = "verdicts.json"
SCHEMA = 1


class Status(StrEnum):
    """What a verdict says."""

    PASS = "PASS"  # noqa: S105
    FAIL = "FAIL"
    WARN = "WARN"
    INCONCLUSIVE = "INCONCLUSIVE"
    ERROR = "ERROR"


@dataclass(frozen=True)
class Verdict:
    """What became of a gate, with the numbers the sentence names."""

    gate: Gate
    status: Status
    sentence: str
    number: float | None = None
    limit: float | None = None
    baseline: float | None = None


@dataclass(frozen=True)
class Judgement:
    """All verdicts on one result; text and exit code are two views of it.

    `family` counts the claims against baselines that Holm's procedure guards; at most a share
    `alpha` of runs fails by chance through any of them.
    """

    result: str
    verdicts: tuple[Verdict, ...]
    failed_metrics: tuple[str, ...] = ()
    family: int = 0
    schema: int = SCHEMA
    alpha: float | None = None

    @property
    def exit_code(self) -> ExitCode:
        """0 passed, 1 any FAIL, 3 any ERROR or an ungated metric that failed (3 wins over 1)."""
        statuses = {verdict.status for verdict in self.verdicts}
        if Status.ERROR in statuses or Status.INCONCLUSIVE in statuses or self.failed_metrics:
            return ExitCode.ERROR
        return ExitCode.FAILED if Status.FAIL in statuses else ExitCode.PASSED

    @property
    def status(self) -> Status:
        """The one word for the banner."""
        if self.exit_code is ExitCode.PASSED:
            warned = any(verdict.status is Status.WARN for verdict in self.verdicts)
            return Status.WARN if warned else Status.PASS
        return Status.FAIL if self.exit_code is ExitCode.FAILED else Status.ERROR

    @property
    def sentence(self) -> str:
        """How many gates stand how, the worst first, and which metrics failed."""
        parts = []
        for status in (Status.ERROR, Status.INCONCLUSIVE, Status.FAIL, Status.WARN, Status.PASS):
            count = sum(verdict.status is status for verdict in self.verdicts)
            if count:
                parts.append(f"{count} {_COUNTED[status]}")
        head = f"{_plural(len(self.verdicts), 'gate')}: {', '.join(parts)}" if parts else "no gates"
        if self.failed_metrics:
            head += f"; failed without a gate: {', '.join(self.failed_metrics)}"
        return head

    @property
    def guarded(self) -> str:
        """How many comparisons share which share of false alarms, or '' where there are none."""
        if not self.family or self.alpha is None:
            return ""
        return (
            f"{_plural(self.family, 'comparison')} with a baseline; chance alone fails any of them "
            f"in at most {shown(100 * self.alpha)} % of runs (Holm)"
        )


_COUNTED = {
    Status.ERROR: "could not be judged",
    Status.INCONCLUSIVE: "inconclusive",
    Status.FAIL: "failed",
    Status.WARN: "warned",
    Status.PASS: "passed",
}


def load_baselines(suite: Suite) -> dict[str, Result | str]:
    """Each named baseline's result, or the sentence why there is none."""
    loaded: dict[str, Result | str] = {}
    for name, path in suite.baselines.items():
        try:
            loaded[name] = load_baseline(Path(path))
        except UsageError as error:
            loaded[name] = f"baseline {name}: {error}; {_how_to_make(Path(path))}"
    return loaded


def _how_to_make(path: Path) -> str:
    """The command that makes a baseline at a path, or what else may lie there."""
    if path.suffix != ".json":
        return "keep a run's directory there"
    made = f'geneval baseline set RUN --name {path.stem} --dir {path.parent} --reason "…"'
    return f"make one: {made}"


def judge(
    gates: Sequence[Gate],
    result: Result,
    baselines: Mapping[str, Result | str],
    alpha: float | None = None,
    today: date | None = None,
) -> Judgement:
    """Judge all gates on a result at once.

    `alpha` is the share of runs that may fail by chance through any comparison with a baseline;
    unless given each claim is made at its gate's own confidence, and the boldest bounds them all.
    Waivers hold up to `today` (UTC).
    """
    today = today or datetime.now(UTC).date()
    claims = [_claim(gate, result, baselines) for gate in gates]
    compared = [claim for claim in claims if claim.p_worse is not None]
    adjusted = dict(zip(map(id, compared), holm([c.p_worse or 0.0 for c in compared]), strict=True))
    verdicts = tuple(
        _waived(_settle(claim, adjusted.get(id(claim)), alpha), today) for claim in claims
    )
    bold = alpha or max((1 - claim.gate.confidence for claim in compared), default=None)
    gated = {gate.address.split(".")[0].split("[")[0] for gate in gates}
    failed = tuple(
        measured.key
        for measured in result.document.metrics
        if measured.status == "failed" and not measured.optional and measured.key not in gated
    )
    return Judgement(result.document.digest, verdicts, failed, len(compared), alpha=bold)


def write_judgement(judgement: Judgement, directory: Path) -> None:
    """Write verdicts.json beside the result."""
    text = json.dumps(judgement_json(judgement), indent=1, ensure_ascii=False, allow_nan=False)
    atomic_write(directory / VERDICTS_FILE, text.encode() + b"\n")


def judgement_json(judgement: Judgement) -> dict[str, Any]:
    """The judgement as plain JSON content."""
    content: dict[str, Any] = _adapter().dump_python(judgement, mode="json")
    return content


def load_judgement(directory: Path) -> Judgement:
    """The judgement of a run directory; raises `UsageError`."""
    path = directory / VERDICTS_FILE
    try:
        found = _adapter().validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} holds no verdicts: {str(error).splitlines()[0]}") from None
    if found.schema != SCHEMA:
        raise UsageError(f"{path} has schema {found.schema}; this geneval reads {SCHEMA}")
    return found


@dataclass(frozen=True)
class _Claim:
    """A gate's evaluation before the family of comparisons is known.

    `status` is set when the rule could be settled alone; otherwise `p_worse` is the p-value of the
    claim that the rule is violated, and `holds` whether it was shown to hold.
    """

    gate: Gate
    sentence: str
    status: Status | None = None
    holds: bool = False
    p_worse: float | None = None
    number: float | None = None
    limit: float | None = None
    baseline: float | None = None


def _claim(gate: Gate, result: Result, baselines: Mapping[str, Result | str]) -> _Claim:
    try:
        value = result[gate.address]
    except KeyError as error:
        return _Claim(gate, str(error.args[0]), Status.ERROR)
    problem = _unfit(gate, value, result)
    if problem or value.number is None:
        return _Claim(gate, f"{gate.address}: {problem}", Status.ERROR)
    if gate.kind in ABSOLUTE:
        return _absolute(gate, value, value.number)
    baseline = baselines.get(gate.baseline or "", f"no baseline {gate.baseline!r}")
    if isinstance(baseline, str):
        return _Claim(gate, baseline, Status.ERROR, number=value.number)
    one_sided = 2 * gate.confidence - 1
    try:
        found = difference(result, baseline, gate.address, one_sided)
        reference = baseline[gate.address], baseline[found.address]
    except KeyError as error:
        return _Claim(gate, f"baseline {gate.baseline}: {error.args[0]}", Status.ERROR)
    return _comparative(gate, value, *reference, found)


def _unfit(gate: Gate, value: Value, result: Result) -> str | None:
    """Why a value must not be judged at all, or None."""
    if result.document.partial is not None:
        return f"the run is partial (--limit {result.document.partial}) and is never gated"
    if value.problem or value.number is None or not math.isfinite(value.number):
        return value.problem or "no finite number"
    n = value.n.get(Role.GENERATED)
    if gate.min_n is not None and (n is None or n < gate.min_n):
        return f"n = {n} is below the gate's min_n of {gate.min_n}"
    if gate.judge == "interval" and gate.kind in ABSOLUTE and value.interval is None:
        return f"has no interval to judge ({value.no_interval})"
    return None


def _absolute(gate: Gate, value: Value, number: float) -> _Claim:
    """`at_least` and `at_most`; with the interval, its far end must clear the limit as well."""
    assert gate.limit is not None
    upper = gate.kind == "at_most"
    judged, told = number, f"{gate.address} is {shown(number, gate.limit)}"
    unit = f" {value.spec.unit}" if value.spec.unit else ""
    if gate.judge == "interval" and value.interval is not None:
        judged = value.interval.high if upper else value.interval.low
        told += f", its {'upper' if upper else 'lower'} bound {shown(judged, gate.limit)}"
    holds = _clears(judged, gate.limit, upper, gate.strict)
    asked = {
        (True, False): "allows at most",
        (False, False): "asks for at least",
        (True, True): "allows only less than",
        (False, True): "asks for more than",
    }[upper, gate.strict]
    told += f"{unit}; the gate {asked} {shown(gate.limit, judged)}"
    finding = f": {value.finding}" if value.finding else ""
    status = Status.PASS if holds else Status.FAIL
    return _Claim(gate, told + finding, status, number=number, limit=gate.limit)


def _clears(number: float, limit: float, upper: bool, strict: bool) -> bool:
    if strict:
        return number < limit if upper else number > limit
    return number <= limit if upper else number >= limit


def _comparative(
    gate: Gate, value: Value, base: Value, compared: Value, found: Difference
) -> _Claim:
    """The three kinds against a baseline, in terms of how much worse the value is.

    `base` is the baseline's value at the gate's address, `compared` the one the difference is of,
    which a relative margin is a share of.
    """
    number = value.number
    if found.problem or found.number is None or compared.number is None or number is None:
        return _Claim(gate, found.problem or "no difference", Status.ERROR, number=number)
    if value.spec.direction == "target" and gate.kind != "equivalent_to":
        return _Claim(gate, f"{gate.address} has no better or worse", Status.ERROR, number=number)
    if gate.relative and compared.number == 0:
        reason = f"{gate.address}: a relative margin means nothing beside a baseline of 0"
        return _Claim(gate, reason, Status.ERROR, number=number)
    margin = gate.margin * (abs(compared.number) if gate.relative else 1.0)
    worse = -better_by(value.spec, found.number)
    claim = _Claim(
        gate,
        _told(gate, number, base, found, margin),
        number=number,
        limit=margin,
        baseline=base.number,
    )
    if gate.judge == "point" or found.se == 0:
        holds = _point_holds(gate.kind, worse, margin)
        return replace(claim, status=Status.PASS if holds else Status.FAIL)
    if found.se is None:
        reason = f"{gate.address} has no interval for its difference; use judge: point"
        return replace(claim, status=Status.ERROR, sentence=reason)
    holds, p_worse = _tested(gate, worse, margin, found.se)
    return replace(claim, holds=holds, p_worse=p_worse)


def _point_holds(kind: Kind, worse: float, margin: float) -> bool:
    if kind == "no_worse_than":
        return worse <= margin
    return worse < -margin if kind == "better_than" else abs(worse) <= margin


def _tested(gate: Gate, worse: float, margin: float, se: float) -> tuple[bool, float]:
    """Whether the rule is shown to hold, and the p-value of the claim that it is violated."""

    def above(bound: float) -> float:  # p-value of the claim that `worse` exceeds the bound
        return 1 - NormalDist().cdf((worse - bound) / se)

    def below(bound: float) -> float:
        return 1 - NormalDist().cdf((bound - worse) / se)

    alpha = 1 - gate.confidence
    if gate.kind == "no_worse_than":
        return below(margin) < alpha, above(margin)
    if gate.kind == "better_than":
        return below(-margin) < alpha, above(-margin)
    inside = max(below(margin), above(-margin)) < alpha
    return inside, min(1.0, 2 * min(above(margin), below(-margin)))


def _told(gate: Gate, number: float, base: Value, found: Difference, margin: float) -> str:
    """Value, baseline, difference with the interval that is judged, margin."""
    assert found.number is not None
    interval = ""
    if found.interval:
        bounds = f"[{shown(found.interval.low)}, {shown(found.interval.high)}]"
        interval = f" {bounds} at {found.interval.level:.0%}"
    how = " (paired)" if found.paired else " (unpaired)"
    how = f" (unpaired: {found.unpaired})" if found.unpaired else how
    by = f" in {found.address}" if found.address != gate.address else ""
    reference = "no number" if base.number is None else shown(base.number)
    return (
        f"{gate.address} is {shown(number)}, baseline {gate.baseline} has {reference}; "
        f"difference{by} {found.number:+.4g}{interval}{how if found.se is not None else ''}, "
        f"margin {shown(margin)}"
    )


def _settle(claim: _Claim, adjusted: float | None, alpha: float | None) -> Verdict:
    """The verdict once Holm has adjusted the claims of violation."""
    gate, status, sentence = claim.gate, claim.status, claim.sentence
    if status is None:
        violated = adjusted is not None and adjusted < (alpha or 1 - gate.confidence)
        status = Status.FAIL if violated else Status.INCONCLUSIVE
        status = Status.PASS if claim.holds else status
        if status is Status.INCONCLUSIVE:
            sentence += f"; neither {gate.kind.replace('_', ' ')} nor its opposite is shown"
            chosen = {"fail": Status.FAIL, "warn": Status.WARN, "pass": Status.PASS}
            status = chosen.get(gate.on_inconclusive, status)
    if status is Status.FAIL and gate.level == "warn":
        status = Status.WARN
    return Verdict(gate, status, sentence, claim.number, claim.limit, claim.baseline)


def _waived(verdict: Verdict, today: date) -> Verdict:
    """The verdict under its gate's waiver, which excuses a failure and nothing else."""
    waiver = verdict.gate.waiver
    if waiver is None or verdict.status in (Status.ERROR, Status.INCONCLUSIVE):
        return verdict
    if today > waiver.until:
        told, status = f"the waiver ended on {waiver.until} ({waiver.reason})", verdict.status
    else:
        told = f"waived until {waiver.until}: {waiver.reason}"
        status = Status.WARN if verdict.status is Status.FAIL else verdict.status
    return replace(verdict, status=status, sentence=f"{verdict.sentence}; {told}")


def _plural(count: int, word: str) -> str:
    return f"{count} {word}" + ("" if count == 1 else "s")


@cache
def _adapter() -> TypeAdapter[Judgement]:
    from pydantic import TypeAdapter

    return TypeAdapter(Judgement)
