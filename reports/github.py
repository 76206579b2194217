"""A run in GitHub Actions: annotations as workflow commands, and the summary of a step.

GitHub shows ten annotations a step and drops a summary above 1 MiB, so the worst ten verdicts
are annotated and a summary is cut at a line's end before it comes to 1 MB. Names and sentences come
from suites and data: what a workflow command could be forged with is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from geneval.result import Document
from geneval.verdict import Judgement, Status

MOST = 10
SUMMARY_BYTES = 1_000_000
_CUT = "\n\n(cut here; the run's summary.md has the rest)\n"
_LEVELS = {  # the worst first
    Status.ERROR: "error",
    Status.INCONCLUSIVE: "error",
    Status.FAIL: "error",
    Status.WARN: "warning",
}
_ESCAPED = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_IN_PROPERTY = {**_ESCAPED, ":": "%3A", ",": "%2C"}


def workflow_commands(runs: Iterable[tuple[Document, Judgement]]) -> list[str]:
    """At most ten workflow commands: what could not be judged, what failed, what is warned of."""
    told: list[tuple[Status, str, str]] = []
    for document, judgement in runs:
        name = f"{document.suite.name}, {document.subject.name}"
        for verdict in judgement.verdicts:
            told.append((verdict.status, f"{name}: {verdict.gate.text}", verdict.sentence))
        for measured in document.metrics:
            if measured.key in judgement.failed_metrics:
                told.append((Status.ERROR, f"{name}: {measured.key}", measured.reason))
    commands = [
        f"::{level} title={_escape(title, _IN_PROPERTY)}::{_escape(sentence, _ESCAPED)}"
        for worst, level in _LEVELS.items()
        for status, title, sentence in told
        if status is worst
    ]
    if len(commands) <= MOST:
        return commands
    left = len(commands) - MOST + 1
    return [*commands[: MOST - 1], f"::error title=geneval::{left} more verdicts of this kind"]


def append_summary(path: Path, text: str) -> None:
    """Append Markdown to the summary of a step, as much of it as GitHub takes."""
    room = SUMMARY_BYTES - (path.stat().st_size if path.exists() else 0)
    data = text.encode()
    if len(data) > room:
        whole, _, _ = data[: max(room - len(_CUT), 0)].rpartition(b"\n")
        data = whole + _CUT.encode() if whole else b""
    with path.open("ab") as file:
        file.write(data)


def _escape(text: str, escapes: dict[str, str]) -> str:
    return "".join(escapes.get(c, c) for c in text)
