"""The difference of one value between two results, with its interval.

Two values are compared only when their signatures agree. The difference is taken on the output that
the metric names for comparisons (`fid` by `fid.debiased`), and its interval comes from the evidence
of both: samples of one reference are always paired, generated samples only where the suite declares
that they pair.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from statistics import NormalDist
from types import SimpleNamespace
from typing import Any

from geneval.metric import MetricSpec, all_metrics
from geneval.resample import (
    Context,
    Floats,
    approximate_randomization,
    paired_bootstrap,
    quantile,
)
from geneval.result import Result
from geneval.value import Evidence, Interval, OutputSpec, Role, Value

RANDOMIZATION = "approximate randomization"
POWER = 0.8  # with which what is planned for is to be seen
MOST_SPREAD = 1e6  # standard errors to a difference beyond which no n is named


@dataclass(frozen=True)
class Difference:
    """Value of a minus value of b at an address, or the problem that forbids it.

    `se` is the standard error, `paired` whether generated samples were paired, `p` the two-sided
    p-value of no difference; all three are None for a value without evidence or interval. `tests`
    holds p-values by the name of the test where values were resampled; `p` is the first of them.
    `unpaired` says why generated samples did not pair although the suites declare that they do.
    `n` is the smaller number of generated samples; `needed` the n at which a difference of this
    size would be shown with 80 % power; `effect` is the number in standard deviations of what one
    sample stands for (Cohen's d, where the value is a mean).
    """

    address: str
    number: float | None = None
    se: float | None = None
    interval: Interval | None = None
    paired: bool = False
    p: float | None = None
    problem: str | None = None
    tests: Mapping[str, float] = field(default_factory=dict)
    unpaired: str = ""
    n: int | None = None
    needed: int | None = None
    effect: float | None = None


def difference(a: Result, b: Result, address: str, level: float = 0.95) -> Difference:
    """The difference a − b of two results at an address, by the output made for comparisons."""
    first, second = a[address], b[address]
    by = first.compared_by
    if by != first.address:
        first, second = a[by], b[by]
    problem = _incomparable(a, b, first, second)
    if problem or first.number is None or second.number is None:
        return Difference(by, problem=problem)
    number = first.number - second.number
    resampled = _resampled(a, b, first, second)
    if resampled is not None:
        se, tests = resampled
        found = interval_of(by, number, se, level, method="paired bootstrap", paired=True)
        found = replace(found, p=tests[RANDOMIZATION], tests=tests)
        return _sized(found, first, second, level)
    paired, squared = _variance(a, b, first, second)
    if squared == 0 and first.inputs != second.inputs:
        # Not one sample of either set varies, as in 8 of 8 against 9 of 9. That is no certainty.
        paired, squared = False, _from_intervals(first, second)
    if squared is None or not math.isfinite(squared):  # a single sample has no spread
        return Difference(by, number)
    method = "paired evidence" if paired else "evidence"
    found = interval_of(by, number, math.sqrt(squared), level, method=method, paired=paired)
    if not paired:
        found = replace(found, unpaired=_why_unpaired(a, b, first, second))
    return _sized(found, first, second, level)


def _sized(found: Difference, first: Value, second: Value, level: float) -> Difference:
    """The difference with its size beside one sample's, and the n that would show it."""
    counts = [value.n.get(Role.GENERATED) for value in (first, second)]
    n = min((count for count in counts if count), default=0)
    if not (all(counts) and found.number and found.se):
        return replace(found, n=n or None)
    ratio = (quantile(level) + NormalDist().inv_cdf(POWER)) * found.se / abs(found.number)
    needed = math.ceil(n * ratio**2) if ratio < MOST_SPREAD else None
    squared = [squared_error(value) for value in (first, second)]
    spread = sum((s or 0.0) * (count or 0) for s, count in zip(squared, counts, strict=True)) / 2
    effect = found.number / math.sqrt(spread) if None not in squared and spread else None
    return replace(found, n=n, needed=needed, effect=effect)


def better_by(spec: OutputSpec, number: float) -> float:
    """A difference a − b as improvement of a: positive is better for the output's direction."""
    return -number if spec.direction == "lower" else number


def interval_of(
    address: str,
    number: float,
    se: float,
    level: float,
    *,
    method: str = "evidence",
    paired: bool = False,
    freedom: float = math.inf,
) -> Difference:
    """A difference with interval and p-value of its standard error: Student's t, else normal."""
    from scipy.stats import t

    half = float(t.ppf(0.5 + level / 2, freedom)) * se
    interval = Interval(number - half, number + half, level, method, "population")
    p = float(2 * t.sf(abs(number) / se, freedom)) if se > 0 else float(number == 0)
    return Difference(address, number, se, interval, paired, p)


def _incomparable(a: Result, b: Result, first: Value, second: Value) -> str | None:
    """Why two values must not be compared, or None."""
    for result, value in ((a, first), (b, second)):
        if result.document.partial is not None:
            return f"{result.name} is partial (--limit {result.document.partial})"
        if value.problem:
            return f"{result.name}: {value.problem}"
    differing = first.signature.differences(second.signature)
    if differing:
        details = first.signature.describe(differing, second.signature)
        return f"not comparable, the signatures differ: {details}"
    return None


def _variance(a: Result, b: Result, first: Value, second: Value) -> tuple[bool, float | None]:
    """Whether generated samples were paired, and the variance of the difference."""
    mine, theirs = a.evidence(first), b.evidence(second)
    linear = all(e.kind != "statistics" for e in (*mine.values(), *theirs.values()))
    if not mine or set(mine) != set(theirs) or not linear:
        return False, _from_intervals(first, second)
    declared = are_paired(a, b)
    total, paired = 0.0, False
    for role in mine:
        one, other = mine[role], theirs[role]
        may_pair = role is not Role.GENERATED or declared
        shared = set(one.ids).intersection(other.ids) if may_pair else set()
        paired |= bool(shared) and role is Role.GENERATED
        total += _role_variance(one, other, shared)
    return paired, total


def _resampled(
    a: Result, b: Result, first: Value, second: Value
) -> tuple[float, dict[str, float]] | None:
    """Standard error and p-values of a difference of paired values made of summed statistics.

    None where samples do not pair, or this geneval does not know the metric as it was then.
    """
    one, other = (r.evidence(v).get(Role.GENERATED) for r, v in ((a, first), (b, second)))
    if one is None or other is None or one.kind != "statistics" or one.ids != other.ids:
        return None
    spec = known_metric(first)
    known = spec is not None and first.spec.name in spec.reduce
    if not known or not are_paired(a, b) or len(one.ids) < 2:
        return None
    options = options_of(a, first)
    seed = int(a.document.suite.document["seed"])
    # An Evidence is itself and nothing else, so that what was resampled once is known by it.
    return _tested(one, other, first.metric, first.spec.name, json.dumps(options), seed)


@lru_cache(maxsize=64)
def _tested(
    one: Evidence, other: Evidence, metric: str, output: str, options: str, seed: int
) -> tuple[float, dict[str, float]]:
    reduce, o = all_metrics()[metric].reduce[output], SimpleNamespace(**json.loads(options))
    context = Context(seed)

    def reduced(sums: Floats) -> Floats:
        return reduce(sums, o)

    se, p_bootstrap = paired_bootstrap(
        one.rows, other.rows, reduced, context.generator("paired bootstrap")
    )
    p = approximate_randomization(
        one.rows, other.rows, reduced, context.generator("approximate randomization")
    )
    return se, {RANDOMIZATION: p, "paired bootstrap": p_bootstrap}


def known_metric(value: Value) -> MetricSpec | None:
    """The metric of a value, if this geneval has it in the version that the value is of."""
    spec, version = all_metrics().get(value.metric), dict(value.signature.fields).get("v")
    return spec if spec is not None and spec.version == version else None


def options_of(result: Result, value: Value) -> dict[str, Any]:
    """The options that a value of a result was computed with."""
    entries = result.document.suite.document["metrics"]
    found: dict[str, Any] = next(e["options"] for e in entries if e["key"] == value.key)
    return found


def are_paired(a: Result, b: Result) -> bool:
    """Whether the suites of both declare that generated samples of one id pair."""
    declared = [result.document.suite.document.get("pair_by") for result in (a, b)]
    return declared == ["id", "id"]


def _why_unpaired(a: Result, b: Result, first: Value, second: Value) -> str:
    """Why samples that should pair do not, or '' where nobody declares that they do."""
    if not are_paired(a, b):
        return ""
    one, other = (r.evidence(v).get(Role.GENERATED) for r, v in ((a, first), (b, second)))
    if one is None or other is None:
        lacking = a if one is None else b
        return f"{lacking.name} has no scores of its samples"
    return (
        "the samples are others"
        if set(one.ids).isdisjoint(other.ids)
        else "the values cannot be paired"
    )


def _role_variance(one: Evidence, other: Evidence, shared: set[str]) -> float:
    """Variance that one role's samples give to the difference of two values.

    Samples that both have count by the difference of what they do to either value, the others by
    themselves: with all samples shared this is the paired variance, with none that of two sets.
    """
    if min(len(one.ids), len(other.ids)) < 2:
        return math.nan
    effects = [_effects(evidence) for evidence in (one, other)]
    together = [effects[0][sample] - effects[1][sample] for sample in shared]
    alone = [e for effect in effects for sample, e in effect.items() if sample not in shared]
    return math.fsum(effect**2 for effect in (*together, *alone))


def _effects(evidence: Evidence) -> dict[str, float]:
    """How far each sample moves a value from what it would be, by id; squares sum to variance."""
    n = len(evidence.ids)
    moved = (evidence.rows - evidence.rows.mean()) / math.sqrt(n * (n - 1))
    return dict(zip(evidence.ids, moved.tolist(), strict=True))


def _from_intervals(first: Value, second: Value) -> float | None:
    """Variance of a difference of independent values, from the lengths of their intervals."""
    variances = [squared_error(value) for value in (first, second)]
    known = [variance for variance in variances if variance is not None]
    return sum(known) if len(known) == len(variances) else None


def squared_error(value: Value) -> float | None:
    """Squared standard error of a value, from the longer side of its interval.

    The shorter side may have been cut at the end of the value's range.
    """
    if value.interval is None or value.number is None:
        return None
    side = max(value.interval.high - value.number, value.number - value.interval.low)
    return (side / quantile(value.interval.level)) ** 2
