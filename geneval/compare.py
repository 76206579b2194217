"""The comparison of many results of one suite: differences, ranks with ties, trend over steps.

Replicates (the same checkpoint with other training seeds) stand for themselves: their spread holds
training noise as well as sampling noise.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from statistics import fmean, variance
from typing import TYPE_CHECKING, Any, Literal

from geneval.difference import Difference, better_by, difference, interval_of
from geneval.errors import UsageError
from geneval.flips import Flips, flips
from geneval.resample import holm
from geneval.result import Result
from geneval.value import Interval, OutputSpec, Value

if TYPE_CHECKING:
    from pydantic import TypeAdapter

SCHEMA = 1
ALPHA = 0.05
Outcome = Literal[
    "better", "worse", "different", "not distinguished", "not tested", "not comparable"
]


@dataclass(frozen=True)
class Cell:
    """One entry's value at an address; `rank` counts from 1 and is shared by entries that tie.

    `flips` are the samples that moved against the entry compared with, where samples pair.
    """

    number: float | None
    interval: Interval | None
    problem: str | None
    rank: int | None = None
    outcome: Outcome | None = None
    difference: Difference | None = None
    flips: Flips | None = None


@dataclass(frozen=True)
class Row:
    """One address over all entries, with a sentence on the trend over steps.

    What is missing of an `optional` metric makes a comparison no failure.
    """

    address: str
    spec: OutputSpec
    signature: str
    cells: tuple[Cell, ...]
    trend: str = ""
    optional: bool = False


@dataclass(frozen=True)
class Entry:
    """One checkpoint of the comparison with its replicates' results."""

    name: str
    step: int | None
    digests: tuple[str, ...]
    directories: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """Several results of one suite; differences are against the entry `against`."""

    suite: str
    entries: tuple[Entry, ...]
    against: int
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    schema: int = SCHEMA

    @property
    def findings(self) -> tuple[str, ...]:
        """Who is first most often, alone or tied, and every trend over steps."""
        ranked = [row for row in self.rows if any(cell.rank for cell in row.cells)]
        firsts = [sum(row.cells[i].rank == 1 for row in ranked) for i in range(len(self.entries))]
        found = []
        if ranked:
            best = [e.name for e, n in zip(self.entries, firsts, strict=True) if n == max(firsts)]
            names = " and ".join(best)
            tied = "tie: each is" if len(best) > 1 else "is"
            found.append(
                f"{names} {tied} first or tied for first in {max(firsts)} of {len(ranked)} values"
            )
        return (*found, *dict.fromkeys(row.trend for row in self.rows if row.trend))

    @property
    def problems(self) -> tuple[str, ...]:
        """Sentences on what could not be compared."""
        return tuple(
            f"{row.address} of {entry.name}: {cell.difference.problem}"
            for row in self.rows
            for entry, cell in zip(self.entries, row.cells, strict=True)
            if cell.difference and cell.difference.problem and not row.optional
        )


@dataclass(frozen=True)
class _Group:
    """The replicates of one entry."""

    name: str
    step: int | None
    results: list[Result] = field(default_factory=list)

    def values(self, address: str) -> list[Value]:
        found = [result.by_address.get(address) for result in self.results]
        return [value for value in found if value is not None]


def compare(results: Sequence[Result], against: str | None = None) -> Comparison:
    """Compare results of one suite with the entry named `against`, else with the first."""
    once = {result.document.digest: result for result in results}
    repeated, results = len(results) - len(once), list(once.values())
    if len(results) < 2:
        raise UsageError("compare needs two or more different results")
    suites = {result.document.suite.name for result in results}
    if len(suites) > 1:
        raise UsageError(f"results of different suites cannot be compared: {', '.join(suites)}")
    groups = _grouped(results)
    names = [group.name for group in groups]
    if against is not None and against not in names:
        raise UsageError(f"--against {against}: the results are of {', '.join(names)}")
    base = names.index(against) if against else 0
    addresses = dict.fromkeys(value.address for result in results for value in result.values())
    return Comparison(
        suite=suites.pop(),
        entries=tuple(_entry(group) for group in groups),
        against=base,
        rows=tuple(_row(address, groups, base) for address in addresses),
        notes=_notes(results, repeated),
    )


def _grouped(results: Sequence[Result]) -> list[_Group]:
    """Results by checkpoint, replicates together, in the order given (steps ascending)."""
    groups: dict[str, _Group] = {}
    for result in results:
        subject = result.document.subject
        name = subject.name
        if subject.seed is not None:
            name = re.sub(r"[-_.]?seed[-_=]?\d+", "", name) or "seeds"
        groups.setdefault(name, _Group(name, subject.step)).results.append(result)
    return [one for group in groups.values() for one in _apart(group)]


def _apart(group: _Group) -> list[_Group]:
    """The group itself if its results are replicates; else one group each, named by digest."""
    seeds = {result.document.subject.seed for result in group.results}
    alone = len(group.results) == 1
    if alone or (None not in seeds and len(seeds) == len(group.results)):
        return [group]
    return [
        _Group(f"{group.name}@{result.document.digest[:8]}", group.step, [result])
        for result in group.results
    ]


def _entry(group: _Group) -> Entry:
    return Entry(
        group.name,
        group.step,
        tuple(result.document.digest for result in group.results),
        tuple(str(result.directory or "") for result in group.results),
    )


def _row(address: str, groups: list[_Group], base: int) -> Row:
    present = [value for group in groups for value in group.values(address)]
    spec = present[0].spec
    differences = [
        None if i == base else _between(group, groups[base], address)
        for i, group in enumerate(groups)
    ]
    adjusted = _adjusted(differences)
    ranks = _ranks(address, groups, spec)
    cells = tuple(
        _cell(group, groups[base], address, ranks[i], differences[i], adjusted[i], spec)
        for i, group in enumerate(groups)
    )
    optional = any(
        measured.optional
        for group in groups
        for result in group.results
        for measured in result.document.metrics
        if measured.key == present[0].key
    )
    line, trend = present[0].signature.line(), _trend(groups, address, spec)
    return Row(address, spec, line, cells, trend, optional)


def _cell(
    group: _Group,
    base: _Group,
    address: str,
    rank: int | None,
    against: Difference | None,
    p: float | None,
    spec: OutputSpec,
) -> Cell:
    values = group.values(address)
    number, interval, problem = _summary(group, values)
    outcome: Outcome | None = None
    if against is not None:
        outcome = _outcome(against, p, spec)
    moved = None
    if against is not None and len(group.results) == len(base.results) == 1:
        moved = flips(group.results[0], base.results[0], address)
    return Cell(number, interval, problem, rank, outcome, against, moved)


def _summary(
    group: _Group, values: list[Value]
) -> tuple[float | None, Interval | None, str | None]:
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


def _between(a: _Group, b: _Group, address: str) -> Difference:
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


def _adjusted(differences: Sequence[Difference | None]) -> list[float | None]:
    """Holm-adjusted p-values over the entries of one address."""
    tested = [i for i, d in enumerate(differences) if d is not None and d.p is not None]
    adjusted: list[float | None] = [None] * len(differences)
    p_values = [d.p for d in differences if d is not None and d.p is not None]
    for i, p in zip(tested, holm(p_values), strict=True):
        adjusted[i] = p
    return adjusted


def _outcome(found: Difference, p: float | None, spec: OutputSpec) -> Outcome:
    if found.problem or found.number is None:
        return "not comparable"
    if (p is not None and p >= ALPHA) or found.number == 0:
        return "not distinguished"
    if p is None:
        return "not tested"
    if spec.direction == "target":
        return "different"
    return "better" if better_by(spec, found.number) > 0 else "worse"


def _ranks(address: str, groups: list[_Group], spec: OutputSpec) -> list[int | None]:
    """Ranks with ties, by the values that comparisons are made on.

    The best entry leads; who is not distinguished from it (Holm over the others) shares its rank;
    the best of the rest leads the next rank. What cannot be compared with the leader has no rank,
    and nothing has where a difference cannot be tested.
    """
    ranks: list[int | None] = [None] * len(groups)
    left = {
        i: number for i, g in enumerate(groups) if (number := _ranked_by(g, address)) is not None
    }
    place = 1
    if spec.direction == "target":
        return ranks
    while left and (place > 1 or len(left) > 1):  # one alone is first of nothing
        order = sorted(left, key=lambda i: -better_by(spec, left[i]))
        leader, others = order[0], order[1:]
        found = [_between(groups[i], groups[leader], address) for i in others]
        told = [_outcome(d, p, spec) for d, p in zip(found, _adjusted(found), strict=True)]
        if "not tested" in told:
            return [None] * len(groups)
        if place == 1 and "not comparable" in told and len(set(told)) == 1:
            left.pop(leader)  # comparable with nobody: let the rest be ranked among themselves
            continue
        outcome = dict(zip(others, told, strict=True))
        shared = [leader, *(i for i in others if outcome[i] == "not distinguished")]
        behind = [i for i in others if outcome[i] == "worse"]
        for i in shared:
            ranks[i] = place
        place += len(shared)
        left = {i: left[i] for i in behind}
    return ranks


def _ranked_by(group: _Group, address: str) -> float | None:
    """The number an entry is ranked by, or None where it has none that may be compared."""
    values = group.values(address)
    if not values or any(r.document.partial is not None for r in group.results):
        return None
    by = values[0].compared_by
    number, _, _ = _summary(group, group.values(by))
    return number


def _trend(groups: list[_Group], address: str, spec: OutputSpec) -> str:
    """A sentence on the entries that have a step, from the first to the last."""
    by_step = sorted((g for g in groups if g.step is not None), key=lambda g: g.step or 0)
    if len(by_step) < 3 or spec.direction == "target":
        return ""
    first, last = by_step[0], by_step[-1]
    found = _between(last, first, address)
    if found.number is None:
        return ""
    word = {"better": "improves", "worse": "worsens"}.get(_outcome(found, found.p, spec))
    if word is None:
        return ""
    interval = ""
    if found.interval:
        interval = f" [{found.interval.low:.4g}, {found.interval.high:.4g}]"
    return (
        f"{found.address} {word} from step {first.step} to step {last.step}: "
        f"{found.number:+.4g}{interval}"
    )


def _notes(results: Sequence[Result], repeated: int) -> tuple[str, ...]:
    notes = []
    if repeated:
        notes.append(f"{repeated} of the results are the same as another and count once")
    documents = [result.document.suite.document for result in results]
    differing = sorted(
        key
        for key in set[str]().union(*documents)
        if any(document.get(key) != documents[0].get(key) for document in documents)
    )
    if differing:
        notes.append(f"the results come from suites that differ in {', '.join(differing)}")
    return tuple(notes)


def to_json(comparison: Comparison) -> dict[str, Any]:
    """The comparison as plain JSON content."""
    content: dict[str, Any] = _adapter().dump_python(comparison, mode="json")
    return content


def from_json(content: Any) -> Comparison:
    """The comparison of plain JSON content; raises `UsageError`."""
    version = content.get("schema") if isinstance(content, dict) else None
    if version != SCHEMA:
        raise UsageError(f"a comparison of schema {version}; this geneval reads {SCHEMA}")
    return _adapter().validate_python(content)


@cache
def _adapter() -> TypeAdapter[Comparison]:
    from pydantic import TypeAdapter

    return TypeAdapter(Comparison)
