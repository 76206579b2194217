"""How the outcome of a run is printed, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from geneval.cli.console import columns, printable, status
from geneval.errors import ExitCode

if TYPE_CHECKING:
    from geneval.run import Outcome
    from geneval.value import Floor, Value


def text(outcome: Outcome) -> str:
    """Values and verdicts of one run."""
    from geneval.value import FLOOR, FLOOR_AS_JPEG, TARGETS, shown

    document, judgement = outcome.result.document, outcome.judgement
    named = printable(f"{document.subject.name} under {document.suite.name}")
    lines = [f"{named}: {status(judgement.status.value) if _judged(outcome) else 'not judged'}"]
    lines[0] += f" ({judgement.sentence})"
    has_jpeg = any(v.floor and v.floor.jpeg is not None for v in outcome.result.values())
    marks = f"floor{' · JPEG 50' if has_jpeg else ''} (n)"
    rows: list[tuple[str, ...]] = [("value", "number", "interval", "n", marks, "the interval is")]
    for value in outcome.result.values():
        interval = value.interval
        bounds = f"[{shown(interval.low)}, {shown(interval.high)}]" if interval else ""
        target = TARGETS[interval.target] if interval else value.no_interval or ""
        number = "—" if value.number is None else shown(value.number)
        n = "/".join("?" if count is None else str(count) for count in value.n.values())
        floor = _floor(value.floor) if value.floor else ""
        rows.append((value.address, number, bounds, n, floor, value.problem or target))
    has_floor = any(row[4] for row in rows[1:])
    if not has_floor:
        rows = [(*row[:4], row[5]) for row in rows]
    lines += columns(rows, "  ")
    if has_floor:
        lines.append(f"  floor: {FLOOR}{FLOOR_AS_JPEG if has_jpeg else ''}")
    told = " ".join(verdict.sentence for verdict in judgement.verdicts)
    lines += [f"  note: {note}" for note in _notes(outcome.result.values(), told)]
    verdicts = [(v.status.value, v.gate.text, v.sentence) for v in judgement.verdicts]
    width = max((len(word) for word, _, _ in verdicts), default=0)
    for word, rule, sentence in verdicts:
        pad = " " * (width - len(word))
        lines += [
            f"  {status(word)}{pad}  {printable(rule)}",
            f"  {' ' * width}  {printable(sentence)}",
        ]
    if judgement.guarded:
        lines.append(f"  {judgement.guarded}")
    for measured in document.metrics:
        if measured.status != "ok":
            reason = printable(measured.reason)
            about = "" if reason.startswith(measured.key) else f"{measured.key}: "
            lines.append(f"  {measured.status}: {about}{reason}")
    if outcome.directory:
        lines.append(f"  report: {outcome.directory / 'report.html'}")
    return "\n".join(lines)


def _floor(floor: Floor) -> str:
    """What the reference scores against itself, as JPEG, and with how many samples."""
    from geneval.value import shown

    if floor.number is None:
        return ""
    jpeg = "" if floor.jpeg is None else f" · {shown(floor.jpeg)}"
    return f"{shown(floor.number)}{jpeg} ({floor.n})"


def _notes(values: Iterable[Value], told: str) -> list[str]:
    """Findings that no verdict has told, one line for all values of which the same is said."""
    about: dict[str, list[str]] = {}
    for value in values:
        if value.finding and value.finding not in told:
            about.setdefault(value.finding, []).append(value.address)
    return [
        f"{first}{f' and {len(more)} more' if more else ''}: {printable(finding)}"
        for finding, (first, *more) in about.items()
    ]


def content(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The same for programs."""
    from geneval.result import to_json
    from geneval.verdict import judgement_json

    return {
        "exit_code": int(worst_code(outcomes)),
        "runs": [
            {
                "directory": str(one.directory) if one.directory else None,
                "result": to_json(one.result.document),
                "judgement": judgement_json(one.judgement),
            }
            for one in outcomes
        ],
    }


def worst_code(outcomes: Sequence[Outcome]) -> ExitCode:
    """The gravest exit code: what could not be evaluated wins over what failed."""
    return max((one.exit_code for one in outcomes), default=ExitCode.PASSED)


def _judged(outcome: Outcome) -> bool:
    return bool(outcome.judgement.verdicts or outcome.judgement.failed_metrics)
