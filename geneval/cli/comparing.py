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
    lines += [f"  cannot compare: {printable(problem)}" for problem in comparison.problems]
    lines += [printable(note) for note in comparison.notes]
    lines.append(f"report: {page}")
    return "\n".join(lines)


def _cell(cell: Cell) -> str:
    from geneval.value import shown

    if cell.number is None:
        return "problem"
    parts = [shown(cell.number), f"#{cell.rank}" if cell.rank else ""]
    parts.append(cell.outcome if cell.outcome in ("better", "worse") else "")
    return " ".join(part for part in parts if part)
