"""A comparison as one table: LaTeX for a paper, Markdown for a pull request, CSV for programs.

Entries that share the first rank of a row are its tie group and stand in bold.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence

from geneval.compare import Cell, Comparison, Row
from geneval.reports.markdown import escape
from geneval.value import shown

_ARROWS = {"higher": r" $\uparrow$", "lower": r" $\downarrow$", "target": ""}
_SIGNS = {"higher": " ↑", "lower": " ↓", "target": ""}
_LATEX = str.maketrans(
    {c: f"\\{c}" for c in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "\n": " ", "\r": " "}
)
_COLUMNS = (
    *("value", "direction", "entry", "step", "number", "low", "high", "level", "rank", "best"),
    *("difference", "difference_low", "difference_high", "paired", "p", "effect", "tier", "n"),
    *("n_needed", "problem"),
)


def latex(comparison: Comparison) -> str:
    """A tabular in the manner of booktabs: a row for each value, a column for each entry."""
    names = [entry.name.translate(_LATEX) for entry in comparison.entries]
    lines = [r"\begin{tabular}{l" + "r" * len(names) + "}", r"\toprule"]
    lines += [" & ".join(["", *names]) + r" \\", r"\midrule"]
    for row in comparison.rows:
        cells = _cells(row, lambda text: rf"\textbf{{{text}}}", "--")
        head = row.address.translate(_LATEX) + _ARROWS[row.spec.direction]
        lines.append(" & ".join([head, *cells]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"])


def markdown(comparison: Comparison) -> str:
    """The same table as Markdown, and what the differences say where they say something."""
    heads = ["Value", *(escape(entry.name) for entry in comparison.entries)]
    lines = [f"| {' | '.join(heads)} |", "|" + " --- |" * len(heads)]
    for row in comparison.rows:
        cells = _cells(row, lambda text: f"**{text}**", "—")
        head = escape(row.address) + _SIGNS[row.spec.direction]
        lines.append(f"| {' | '.join([head, *cells])} |")
    against = comparison.entries[comparison.against].name
    told = [
        f"- {escape(entry.name)}, {escape(row.address)}: {cell.tier}"
        for row in comparison.rows
        for entry, cell in zip(comparison.entries, row.cells, strict=True)
        if cell.tier not in (None, "no evidence")
    ]
    return "\n".join([*lines, *(["", f"Against {escape(against)}:", "", *told] if told else [])])


def as_csv(comparison: Comparison) -> str:
    """A line per value and entry. Text that a spreadsheet would run as a formula gets a quote."""
    sheet = io.StringIO()
    writer = csv.writer(sheet, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows(_lines(comparison))
    return sheet.getvalue().rstrip("\n")


def _lines(comparison: Comparison) -> Iterator[Sequence[object]]:
    for row in comparison.rows:
        for entry, cell in zip(comparison.entries, row.cells, strict=True):
            here, found = cell.interval, cell.difference
            apart = found.interval if found else None
            yield (
                *(_inert(row.address), row.spec.direction, _inert(entry.name), entry.step),
                *(cell.number, here and here.low, here and here.high, here and here.level),
                *(cell.rank, int(cell.rank == 1), found and found.number),
                *(apart and apart.low, apart and apart.high),
                *(int(found.paired) if found and found.se is not None else None,),
                *(found and found.p, found and found.effect, cell.tier, found and found.n),
                *(cell.needed, _inert(cell.problem or (found and found.problem) or "")),
            )


def _inert(text: str) -> str:
    text = " ".join(text.splitlines())
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t") else text


def _cells(row: Row, bold: Callable[[str], str], none: str) -> list[str]:
    """The numbers of a row with their intervals, those of its tie group in bold."""
    return [_cell(cell, bold, none) for cell in row.cells]


def _cell(cell: Cell, bold: Callable[[str], str], none: str) -> str:
    if cell.number is None:
        return none
    number = bold(shown(cell.number)) if cell.rank == 1 else shown(cell.number)
    if cell.interval is None:
        return number
    return f"{number} [{shown(cell.interval.low)}, {shown(cell.interval.high)}]"
