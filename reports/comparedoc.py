"""What a report of a comparison shows: the comparison and the run directories it came from."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from geneval.compare import Cell, Comparison, Row
from geneval.errors import UsageError
from geneval.flips import Flip
from geneval.reports.charts import intervals, trend
from geneval.reports.rundoc import ARROWS, GLYPHS, RunFiles, Shelf, worst
from geneval.reports.texts import TextView, text_view
from geneval.value import Role, shown

_MOST_PICTURES = 20


@dataclass(frozen=True)
class EntryView:
    """One checkpoint: how it was judged, where its report lies, some of its samples."""

    name: str
    step: str
    replicates: int
    status: str
    glyph: str
    sentence: str
    worst: tuple[str, ...]
    href: str
    shelf: Shelf | None


@dataclass(frozen=True)
class CellView:
    """One value with rank and outcome against the entry compared with."""

    number: str
    interval: str
    problem: str
    rank: str
    outcome: str
    difference: str
    tier: str
    sort: float | None

    @property
    def text(self) -> str:
        """All of it on one line."""
        parts = [self.problem or self.number, self.interval, self.rank and f"#{self.rank}"]
        return " ".join(part for part in (*parts, self.outcome) if part)


@dataclass(frozen=True)
class FlipView:
    """One sample that moved: its scores in words, and its texts before and after if it has any."""

    id: str
    caption: str
    before: TextView | None
    after: TextView | None


@dataclass(frozen=True)
class MovedView:
    """The samples that moved at one address between the entry compared with and another."""

    address: str
    entry: str
    better: int
    worse: int
    same: int
    fallen: tuple[FlipView, ...]
    risen: tuple[FlipView, ...]


@dataclass(frozen=True)
class RowView:
    """One address over all entries."""

    address: str
    arrow: str
    unit: str
    cells: tuple[CellView, ...]
    trend: str
    charts: tuple[str, ...]
    signature: str


@dataclass(frozen=True)
class ComparisonView:
    """The whole comparison."""

    title: str
    suite: str
    against: str
    entries: tuple[EntryView, ...]
    rows: tuple[RowView, ...]
    moved: tuple[MovedView, ...]
    findings: tuple[str, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...]


def comparison_view(comparison: Comparison, directory: Path) -> ComparisonView:
    """The view of a comparison whose report will lie in `directory`."""
    names = [entry.name for entry in comparison.entries]
    return ComparisonView(
        title=f"{len(names)} checkpoints under {comparison.suite}",
        suite=comparison.suite,
        against=names[comparison.against],
        entries=tuple(
            _entry(entry.name, entry.step, entry.directories, directory)
            for entry in comparison.entries
        ),
        rows=tuple(_row(row, comparison) for row in comparison.rows),
        moved=tuple(_moved(comparison)),
        findings=comparison.findings,
        problems=tuple(dict.fromkeys(comparison.problems)),
        notes=comparison.notes,
    )


def _entry(name: str, step: int | None, directories: Sequence[str], to: Path) -> EntryView:
    status, sentence, href, shelf = "", "", "", None
    gravest: tuple[str, ...] = ()
    try:
        files = RunFiles(Path(directories[0]))
        status, sentence = files.judgement.status.value, files.judgement.sentence
        gravest = worst(files.judgement)
        if not files.judgement.verdicts and not files.judgement.failed_metrics:
            status = ""
        href = quote(Path(os.path.relpath(files.directory / "report.html", to)).as_posix())
        shelf = files.grid(Role.GENERATED, _MOST_PICTURES)
    except UsageError:  # a bare result.json has values but neither pictures nor verdicts
        sentence = "no run directory"
    return EntryView(
        name=name,
        step="" if step is None else f"{step:,}",
        replicates=len(directories),
        status=status,
        glyph=GLYPHS.get(status, ""),
        sentence=sentence,
        worst=gravest,
        href=href,
        shelf=shelf,
    )


def _moved(comparison: Comparison) -> Iterator[MovedView]:
    """The samples that moved, by address and entry; those that did not move are counted."""
    records = [_records(entry.directories) for entry in comparison.entries]
    before = records[comparison.against]
    for row in comparison.rows:
        for entry, cell, after in zip(comparison.entries, row.cells, records, strict=True):
            found = cell.flips
            if found is None or not (found.better or found.worse):
                continue
            kinds = (
                tuple(_flip(flip, before, after) for flip in flips)
                for flips in (found.fallen, found.risen)
            )
            counts = (found.better, found.worse, found.same)
            yield MovedView(row.address, entry.name, *counts, *kinds)


def _records(directories: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
    """The kept texts of an entry of one run."""
    try:
        return RunFiles(Path(directories[0])).records if len(directories) == 1 else {}
    except UsageError:
        return {}


def _flip(
    flip: Flip, before: Mapping[str, Mapping[str, Any]], after: Mapping[str, Mapping[str, Any]]
) -> FlipView:
    caption = f"{shown(flip.before)} → {shown(flip.after)}"
    sides = [
        text_view(records[flip.id], shown(score)) if flip.id in records else None
        for records, score in ((before, flip.before), (after, flip.after))
    ]
    return FlipView(flip.id, caption, *sides)


def _row(row: Row, comparison: Comparison) -> RowView:
    return RowView(
        address=row.address,
        arrow=ARROWS[row.spec.direction],
        unit=row.spec.unit,
        cells=tuple(_cell(cell, row.address) for cell in row.cells),
        trend=row.trend,
        charts=tuple(chart for chart in _charts(row, comparison) if chart),
        signature=row.signature,
    )


def _cell(cell: Cell, address: str) -> CellView:
    found = cell.difference
    told = ""
    if found is not None and found.number is not None:
        told = f"{found.number:+.4g}"
        if found.interval:
            told += f" [{shown(found.interval.low)}, {shown(found.interval.high)}]"
        told += f" in {found.address}" if found.address != address else ""
        if found.se is not None:
            told += ", paired" if found.paired else ", unpaired"
        told += "".join(f", {name} p = {p:.3g}" for name, p in found.tests.items())
        told += f", effect {found.effect:+.2g} SD" if found.effect is not None else ""
    elif found is not None and found.problem:
        told = found.problem
    interval = cell.interval
    return CellView(
        number="—" if cell.number is None else shown(cell.number),
        interval=f"[{shown(interval.low)}, {shown(interval.high)}]" if interval else "",
        problem=cell.problem or "",
        rank="" if cell.rank is None else str(cell.rank),
        outcome=cell.outcome or "",
        difference=told,
        tier=tier_of(cell),
        sort=cell.number,
    )


def tier_of(cell: Cell) -> str:
    """The tier of a difference, with the n that would decide what is not decided."""
    if cell.tier is None:
        return ""
    return cell.tier + (f"; n = {cell.needed:,} would decide" if cell.needed else "")


def _charts(row: Row, comparison: Comparison) -> tuple[str, ...]:
    """All entries side by side, and over steps where steps are known for three or more."""
    points = [
        {
            "name": entry.name,
            "step": entry.step,
            "number": cell.number,
            "low": cell.interval.low if cell.interval else cell.number,
            "high": cell.interval.high if cell.interval else cell.number,
        }
        for entry, cell in zip(comparison.entries, row.cells, strict=True)
        if cell.number is not None
    ]
    over_steps = [point for point in points if point["step"] is not None]
    side_by_side = intervals(points, row.address)
    if len(over_steps) < 3:
        return (side_by_side,)
    return side_by_side, trend(over_steps, row.address)
