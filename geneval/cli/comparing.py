"""A comparison as text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from geneval.cli.console import columns, printable

if TYPE_CHECKING:
    from geneval.compare import Cell, Comparison


def text(comparison: Comparison, page: Path) -> str:
    """Findings, values with ranks, outcomes against the entry compared with."""
    names = [entry.name for entry in comparison.entries]
    lines = [printable(finding) for finding in comparison.findings]
    rows = [("value", *names)]
    rows += [(row.address, *(_cell(cell) for cell in row.cells)) for row in comparison.rows]
    if not lines and comparison.problems:
        lines = ["no value can be told apart; the reasons stand below"]
    lines += ["", *columns(rows, "  "), ""]
    if any(cell.rank for row in comparison.rows for cell in row.cells):
        lines.append("#: rank, shared where not told apart")
        lines.append(f"better or worse than {printable(names[comparison.against])}")
    lines += ["", *differences(comparison), ""]
    lines += [f"  cannot compare: {printable(problem)}" for problem in comparison.problems]
    lines += [printable(note) for note in comparison.notes]
    lines.append(f"report: {page}")
    return "\n".join(lines)


def differences(comparison: Comparison) -> list[str]:
    """What every entry's differences say, with intervals, sizes and tiers."""
    from geneval.reports.comparedoc import tier_of
    from geneval.value import shown

    against = comparison.entries[comparison.against].name
    rows = [("entry", f"value against {against}", "difference", "interval", "effect", "it is")]
    for i, entry in enumerate(comparison.entries):
        for row in comparison.rows:
            cell, found = row.cells[i], row.cells[i].difference
            if found is None or found.number is None:
                continue
            bounds = found.interval
            interval = f"[{shown(bounds.low)}, {shown(bounds.high)}]" if bounds else ""
            effect = "" if found.effect is None else f"{found.effect:+.2g} SD"
            number = f"{found.number:+.4g}"
            rows.append((entry.name, row.address, number, interval, effect, tier_of(cell)))
    return columns(rows, "  ") if len(rows) > 1 else []


def _cell(cell: Cell) -> str:
    from geneval.value import shown

    if cell.number is None:
        return "problem"
    parts = [shown(cell.number), f"#{cell.rank}" if cell.rank else ""]
    parts.append(cell.outcome if cell.outcome in ("better", "worse") else "")
    return " ".join(part for part in parts if part)
