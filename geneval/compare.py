"""The comparison of many results of one suite: differences, ranks with ties, trend over steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from geneval.difference import Difference, better_by
from geneval.errors import UsageError
from geneval.flips import Flips, flips
from geneval.gate import read_margin
from geneval.replicates import ALPHA, Group, between, grouped, summary
from geneval.resample import holm
from geneval.result import Result
from geneval.tiers import Tier, tiers
from geneval.value import Interval, OutputSpec

if TYPE_CHECKING:
    from pydantic import TypeAdapter

SCHEMA = 1
Outcome = Literal[
    "better", "worse", "different", "not distinguished", "not tested", "not comparable"
]


@dataclass(frozen=True)
class Cell:
    """One entry's value at an address; `rank` counts from 1 and is shared by entries that tie.

    `outcome` holds over the entries of a row, `tier` over the rows of an entry; `needed` is the n
    that would decide what is not decided. `flips` are the samples that moved against the entry
    compared with, where samples pair.
    """

    number: float | None
    interval: Interval | None
    problem: str | None
    rank: int | None = None
    outcome: Outcome | None = None
    difference: Difference | None = None
    flips: Flips | None = None
    tier: Tier | None = None
    needed: int | None = None


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


def compare(
    results: Sequence[Result], against: str | None = None, margin: float | str | None = None
) -> Comparison:
    """Compare results of one suite with the entry named `against`, else with the first.

    A difference within `margin`, a number or like `5%` of the value compared with, is none that
    matters.
    """
    allowed = None if margin is None else read_margin(margin)
    once = {result.document.digest: result for result in results}
    repeated, results = len(results) - len(once), list(once.values())
    if len(results) < 2:
        raise UsageError("compare needs two or more different results")
    suites = {result.document.suite.name for result in results}
    if len(suites) > 1:
        raise UsageError(f"results of different suites cannot be compared: {', '.join(suites)}")
    groups = grouped(results)
    names = [group.name for group in groups]
    if against is not None and against not in names:
        raise UsageError(f"--against {against}: the results are of {', '.join(names)}")
    base = names.index(against) if against else 0
    addresses = dict.fromkeys(value.address for result in results for value in result.values())
    return Comparison(
        suite=suites.pop(),
        entries=tuple(_entry(group) for group in groups),
        against=base,
        rows=_tiered([_row(address, groups, base) for address in addresses], base, allowed),
        notes=_notes(results, repeated),
    )


def _entry(group: Group) -> Entry:
    return Entry(
        group.name,
        group.step,
        tuple(result.document.digest for result in group.results),
        tuple(str(result.directory or "") for result in group.results),
    )


def _row(address: str, groups: list[Group], base: int) -> Row:
    present = [value for group in groups for value in group.values(address)]
    spec = present[0].spec
    differences = [
        None if i == base else between(group, groups[base], address)
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


def _tiered(rows: Sequence[Row], base: int, allowed: tuple[float, bool] | None) -> tuple[Row, ...]:
    """The rows with the tier of every difference, by Holm over the rows of each entry."""
    margins = [_margin(row, rows, base, allowed) for row in rows]
    specs = [row.spec for row in rows]
    columns = [
        tiers([row.cells[i].difference for row in rows], specs, margins)
        for i in range(len(rows[0].cells) if rows else 0)
    ]
    return tuple(
        replace(
            row,
            cells=tuple(
                replace(cell, tier=column[at].tier, needed=column[at].needed)
                for cell, column in zip(row.cells, columns, strict=True)
            ),
        )
        for at, row in enumerate(rows)
    )


def _margin(
    row: Row, rows: Sequence[Row], base: int, allowed: tuple[float, bool] | None
) -> float | None:
    """How large a difference of a row does not matter, in its unit; a share is of what is compared.

    The difference of `fid` is that of `fid.debiased`, so its margin is a share of that.
    """
    if allowed is None or not allowed[1]:
        return allowed[0] if allowed else None
    by = next((c.difference.address for c in row.cells if c.difference), row.address)
    compared = next((one for one in rows if one.address == by), row)
    number = compared.cells[base].number
    return None if number is None else allowed[0] * abs(number)


def _cell(
    group: Group,
    base: Group,
    address: str,
    rank: int | None,
    against: Difference | None,
    p: float | None,
    spec: OutputSpec,
) -> Cell:
    values = group.values(address)
    number, interval, problem = summary(group, values)
    outcome: Outcome | None = None
    if against is not None:
        outcome = _outcome(against, p, spec)
    moved = None
    if against is not None and len(group.results) == len(base.results) == 1:
        moved = flips(group.results[0], base.results[0], address)
    return Cell(number, interval, problem, rank, outcome, against, moved)


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


def _ranks(address: str, groups: list[Group], spec: OutputSpec) -> list[int | None]:
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
        found = [between(groups[i], groups[leader], address) for i in others]
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


def _ranked_by(group: Group, address: str) -> float | None:
    """The number an entry is ranked by, or None where it has none that may be compared."""
    values = group.values(address)
    if not values or any(r.document.partial is not None for r in group.results):
        return None
    by = values[0].compared_by
    number, _, _ = summary(group, group.values(by))
    return number


def _trend(groups: list[Group], address: str, spec: OutputSpec) -> str:
    """A sentence on the entries that have a step, from the first to the last."""
    by_step = sorted((g for g in groups if g.step is not None), key=lambda g: g.step or 0)
    if len(by_step) < 3 or spec.direction == "target":
        return ""
    first, last = by_step[0], by_step[-1]
    found = between(last, first, address)
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
