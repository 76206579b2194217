"""summary.md: verdicts and values as Markdown, for pull requests and step summaries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from geneval.ledger import atomic_write
from geneval.reports.comparedoc import ComparisonView
from geneval.reports.rundoc import RunView, run_view

SUMMARY = "summary.md"
_ESCAPED = str.maketrans(
    {c: f"\\{c}" for c in "\\`*_{}[]<>|#~"} | {"&": "&amp;", "\n": " ", "\r": " "}
)


def write_markdown(directory: Path) -> None:
    """summary.md of a run directory."""
    atomic_write(directory / SUMMARY, render_run(run_view(directory)).encode())


def render_run(view: RunView) -> str:
    """Verdict, gates, values and cautions of one run."""
    lines = [f"## {escape(view.title)} under {escape(view.suite)}", ""]
    lines += [
        f"**{view.status if view.judged else 'not judged'}** {escape(view.sentence)}",
        "",
    ]
    lines += [f"> {escape(caution)}" for caution in view.cautions]
    if view.gates:
        rows = [(v.status.value, v.gate.text, v.sentence) for v in view.gates]
        lines += ["", *table(("Status", "Gate", "What was found"), rows)]
    if view.guarded:
        lines += ["", escape(view.guarded)]
    values = [
        (v.address, v.number, v.interval, v.problem or v.target, v.n, v.floor) for v in view.values
    ]
    lines += [
        "",
        *table(("Value", "Number", "Interval", "The interval is", "n", "Floor"), values),
    ]
    lines += [
        "",
        *(f"- {escape(v.address)}: {escape(v.finding)}" for v in view.values if v.finding),
    ]
    if view.failed:
        lines += ["", "### Failed and skipped", ""]
        lines += [f"- {escape(one.key)} {one.status}: {escape(one.reason)}" for one in view.failed]
    if view.command:
        lines += ["", "Reproduce with", "", f"    {_one_line(view.command)}"]
    return "\n".join(lines) + "\n"


def render_comparison(view: ComparisonView) -> str:
    """Values, ranks and differences of a comparison."""
    lines = [f"## {escape(view.title)}", ""]
    lines += [f"- {escape(finding)}" for finding in view.findings]
    head = ("Value", *(entry.name for entry in view.entries))
    rows = [(row.address, *(cell.text for cell in row.cells)) for row in view.rows]
    lines += ["", *table(head, rows)]
    return "\n".join(lines) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table with every cell escaped."""
    body = [f"| {' | '.join(escape(cell) for cell in row)} |" for row in rows]
    return [f"| {' | '.join(map(escape, head))} |", "|" + " --- |" * len(head), *body]


def escape(text: str) -> str:
    """Text that Markdown shows as it is."""
    return text.translate(_ESCAPED)


def _one_line(text: str) -> str:
    return " ".join(text.split())
