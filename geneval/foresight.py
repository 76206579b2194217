"""What a suite's gates can see: planned from a baseline, before a run is paid for.

All figures take values as normal around the truth with the baseline's standard error, which shrinks
with √n, and samples as unpaired; paired samples see more. A gate against a baseline claims a
violation at α shared by the family (as Holm's first step does).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from geneval.difference import POWER, squared_error
from geneval.errors import UsageError
from geneval.gate import COMPARATIVE, Gate
from geneval.result import Result
from geneval.value import Role, Value

_NORMAL = NormalDist()


@dataclass(frozen=True)
class Foresight:
    """What one gate can see at n samples, or the `problem` that keeps it from being planned.

    `detectable` is the smallest change for the worse that fails the gate with 80 % power, `needed`
    the n (of both sides) at which a model as good as the baseline passes with 80 % power, None
    where no n would do; `passes` how often such a model passes at this n, `alarms` how often it
    fails a year.
    """

    gate: str
    n: int = 0
    detectable: float | None = None
    needed: int | None = None
    passes: float | None = None
    alarms: float | None = None
    problem: str = ""


def foresee(
    gates: Sequence[Gate],
    baseline: Result,
    *,
    n: int | None = None,
    alpha: float | None = None,
    runs: int = 365,
) -> tuple[Foresight, ...]:
    """What every gate can see at n generated samples (the baseline's unless given).

    `alpha` is the share of runs that the suite lets fail by chance, `runs` how many there are a
    year.
    """
    if n is not None and n < 2:
        raise UsageError(f"--n {n}: a spread needs two samples")
    tested = [g for g in gates if g.kind in COMPARATIVE and g.judge == "interval"]
    return tuple(
        _foreseen(gate, baseline, n, (alpha or 1 - gate.confidence) / max(1, len(tested)), runs)
        for gate in gates
    )


def _foreseen(gate: Gate, baseline: Result, n: int | None, alpha: float, runs: int) -> Foresight:
    try:
        value = baseline[gate.address]
        value = baseline[value.compared_by] if gate.kind in COMPARATIVE else value
    except KeyError as error:
        return Foresight(gate.text, problem=str(error.args[0]))
    before, squared = value.n.get(Role.GENERATED), squared_error(value)
    if value.number is None or not before or not squared:
        reason = value.problem or value.no_interval or "its spread or n is not known"
        return Foresight(gate.text, problem=f"{value.address} of the baseline: {reason}")
    now, each = n or before, squared * before  # `each`: the variance that one sample stands for
    if gate.kind in COMPARATIVE:
        return _comparative(gate, value.number, each, before, now, alpha, runs)
    return _absolute(gate, value, each, now, runs)


def _comparative(
    gate: Gate, number: float, each: float, before: int, now: int, alpha: float, runs: int
) -> Foresight:
    """A gate against a baseline: violated when the difference lies beyond the margin for sure."""
    margin = gate.margin * (abs(number) if gate.relative else 1.0)
    edge = -margin if gate.kind == "better_than" else margin
    se = math.sqrt(each / before + each / now)
    if gate.judge == "point":
        sure, shown = 0.0, 0.0
    else:
        sides = 2 if gate.kind == "equivalent_to" else 1
        sure, shown = _normal(1 - alpha / sides), _normal(gate.confidence)
    fails = 1 - _NORMAL.cdf(max(edge, 0.0) / se + sure)  # of what breaks no rule
    passes = _NORMAL.cdf(edge / se - shown)
    power = POWER
    if gate.kind == "equivalent_to":
        fails, passes, power = 2 * fails, max(0.0, 2 * passes - 1), (1 + POWER) / 2
    needed = None
    if edge > 0:
        needed = math.ceil(2 * each * ((shown + _normal(power)) / edge) ** 2)
    detectable = max(0.0, edge + (sure + _normal(POWER)) * se)
    return Foresight(gate.text, now, detectable, needed, passes, fails * runs)


def _absolute(gate: Gate, value: Value, each: float, now: int, runs: int) -> Foresight:
    """A limit: violated when the number, or the far end of its interval, lies beyond it."""
    assert gate.limit is not None
    assert value.number is not None
    room = gate.limit - value.number if gate.kind == "at_most" else value.number - gate.limit
    se = math.sqrt(each / now)
    held = 0.0
    if gate.judge == "interval" and value.interval is not None:
        held = _normal(0.5 + value.interval.level / 2)
    passes = _NORMAL.cdf(room / se - held)
    needed = math.ceil(each * ((held + _normal(POWER)) / room) ** 2) if room > 0 else None
    detectable = max(0.0, room + (_normal(POWER) - held) * se)
    return Foresight(gate.text, now, detectable, needed, passes, (1 - passes) * runs)


def _normal(share: float) -> float:
    """The standard normal quantile."""
    return _NORMAL.inv_cdf(share)
