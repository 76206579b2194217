"""Replicates: the results of one checkpoint trained or sampled with several seeds, as one entry.

Their spread holds training noise as well as sampling noise, so it stands for itself.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean, variance

from geneval.difference import Difference, difference, interval_of
from geneval.result import Result
from geneval.value import Interval, Value

ALPHA = 0.05


@dataclass(frozen=True)
class Group:
    """The replicates of one entry, or the only result of it."""

    name: str
    step: int | None
    results: list[Result] = field(default_factory=list)

    def values(self, address: str) -> list[Value]:
        """The values that its results have at an address."""
        found = [result.by_address.get(address) for result in self.results]
        return [value for value in found if value is not None]


def grouped(results: Sequence[Result]) -> list[Group]:
    """Results by checkpoint, replicates together, in the order given (steps ascending)."""
    groups: dict[str, Group] = {}
    for result in results:
        subject = result.document.subject
        name = subject.name
        if subject.seed is not None:
            name = re.sub(r"[-_.]?seed[-_=]?\d+", "", name) or "seeds"
        groups.setdefault(name, Group(name, subject.step)).results.append(result)
    return [one for group in groups.values() for one in _apart(group)]


def _apart(group: Group) -> list[Group]:
    """The group itself if its results are replicates; else one group each, named by digest."""
    seeds = {result.document.subject.seed for result in group.results}
    alone = len(group.results) == 1
    if alone or (None not in seeds and len(seeds) == len(group.results)):
        return [group]
    return [
        Group(f"{group.name}@{result.document.digest[:8]}", group.step, [result])
        for result in group.results
    ]


def summary(group: Group, values: list[Value]) -> tuple[float | None, Interval | None, str | None]:
    """Number, interval and problem of a group: its only value, or the mean of its replicates."""
    if len(values) < len(group.results):
        return None, None, "not evaluated"
    problems = [value.problem for value in values if value.problem]
    if problems:
        return None, None, problems[0]
    numbers = [value.number for value in values if value.number is not None]
    if len(values) == 1:
        return numbers[0], values[0].interval, None
    from scipy.stats import t

    level = 1 - ALPHA
    half = float(t.ppf(0.5 + level / 2, len(numbers) - 1)) * math.sqrt(
        variance(numbers) / len(numbers)
    )
    mean = fmean(numbers)
    method = f"{len(numbers)} replicates"
    return mean, Interval(mean - half, mean + half, level, method, "population"), None


def between(a: Group, b: Group, address: str) -> Difference:
    """Difference of two entries: by evidence for single results, by spread for replicates."""
    if not (a.values(address) and b.values(address)):
        return Difference(address, problem="not evaluated in both")
    single = [difference(one, other, address) for one in a.results for other in b.results]
    problems = [each.problem for each in single if each.problem]
    if problems or len(single) == 1:
        return single[0] if len(single) == 1 else Difference(address, problem=problems[0])
    number = fmean(each.number for each in single if each.number is not None)
    by = single[0].address
    squared, freedom = between_replicates(*([_number(v) for v in g.values(by)] for g in (a, b)))
    if squared == 0 and number != 0:  # replicates that agree by chance, or at the range's end
        return Difference(by, number)
    return interval_of(
        by, number, math.sqrt(squared), 1 - ALPHA, method="replicates", freedom=freedom
    )


def _number(value: Value) -> float:
    assert value.number is not None, "a difference without problem is of two numbers"
    return value.number


def between_replicates(a: list[float], b: list[float]) -> tuple[float, float]:
    """Squared standard error and degrees of freedom of a difference of means of replicates.

    Welch's for two entries with replicates each (5 against 2, its worst case, raise 7 % instead of
    5 % false alarms). A single run stands for one draw of the spread
    that the other entry's replicates show.
    """
    spreads = [(variance(x), len(x)) for x in (a, b) if len(x) > 1]
    if len(spreads) == 1:
        spread, k = spreads[0]
        return spread * (1 + 1 / k), k - 1
    parts = [spread / k for spread, k in spreads]
    weights = sum(part**2 / (k - 1) for part, (_, k) in zip(parts, spreads, strict=True))
    return sum(parts), sum(parts) ** 2 / weights if weights else len(a) + len(b) - 2
