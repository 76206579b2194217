"""Annotations and step summaries of GitHub Actions."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from geneval.gate import Gate
from geneval.reports.github import MOST, SUMMARY_BYTES, append_summary, workflow_commands
from geneval.result import Document, Result
from geneval.verdict import Judgement, Status, Verdict


@pytest.fixture(scope="module")
def document(step_runs: dict[str, Path]) -> Document:
    """The document of a run."""
    return Result.load(step_runs["collapsed"]).document


def judged(*statuses: Status, text: str = "fid <= 1", sentence: str = "fid is 3") -> Judgement:
    """A judgement with a verdict of each status."""
    gate = Gate(text, "fid", "at_most", limit=1.0)
    return Judgement("0" * 64, tuple(Verdict(gate, status, sentence) for status in statuses))


def test_each_verdict_but_a_pass_is_annotated_the_worst_first(document: Document) -> None:
    """Errors before failures before warnings; a metric that failed without a gate is an error."""
    judgement = judged(Status.WARN, Status.PASS, Status.FAIL, Status.INCONCLUSIVE, Status.ERROR)
    found = workflow_commands([(document, dataclasses.replace(judgement, failed_metrics=("fid",)))])
    title = "title=digits%2C collapsed%3A fid"
    assert found == [
        f"::error {title} <= 1::fid is 3",
        f"::error {title}::",  # the metric itself, whose reason is empty in this document
        f"::error {title} <= 1::fid is 3",
        f"::error {title} <= 1::fid is 3",
        f"::warning {title} <= 1::fid is 3",
    ]
    assert workflow_commands([(document, judged(Status.PASS))]) == []


@pytest.mark.parametrize(("n", "shown"), [(9, 9), (10, 10), (11, 10), (300, 10)])
def test_at_most_ten_are_shown(document: Document, n: int, shown: int) -> None:
    """Over all runs together; the tenth of more counts those left out."""
    runs = [(document, judged(Status.FAIL)) for _ in range(n)]
    found = workflow_commands(runs)
    assert len(found) == shown <= MOST
    assert ("more verdicts" in found[-1]) == (n > MOST)
    if n > MOST:
        assert found[-1].endswith(f"::{n - 9} more verdicts of this kind")


@pytest.mark.parametrize(
    "payload",
    ["\n::set-env name=PATH::/tmp", "\r::error::x", "%0A::error::x", "a,title=b::c", "::stop::"],
)
def test_no_name_or_sentence_forges_a_command(document: Document, payload: str) -> None:
    """One line a verdict, whose title ends where geneval ends it; all text can be read back."""
    named = dataclasses.replace(
        document, subject=dataclasses.replace(document.subject, name=payload)
    )
    judgement = judged(Status.FAIL, text=payload, sentence=payload)
    (line,) = workflow_commands([(named, judgement)])
    assert "\n" not in line
    assert "\r" not in line
    head, _, message = line.removeprefix("::").partition("::")
    command, _, properties = head.partition(" ")
    assert command == "error"
    assert properties.count("=") == 1 + 2 * payload.count("=")
    assert "," not in properties
    back = {"%3A": ":", "%2C": ",", "%0A": "\n", "%0D": "\r", "%25": "%"}
    for code, character in back.items():
        properties, message = properties.replace(code, character), message.replace(code, character)
    assert properties == f"title=digits, {payload}: {payload}"
    assert message == payload


def test_a_summary_stays_below_a_megabyte(tmp_path: Path) -> None:
    """What would be too much with what is there is cut at a line's end, and says so."""
    path = tmp_path / "summary.md"
    append_summary(path, "first\n")
    assert path.read_text() == "first\n"
    row = "| 漢字 | a row of a table |\n"
    append_summary(path, row * 60_000)
    told = path.read_text()  # fails where a character was cut
    assert SUMMARY_BYTES - 200 < len(told.encode()) <= SUMMARY_BYTES
    *rows, blank, last = told.splitlines()[1:]
    assert set(rows) == {row.strip()}
    assert (blank, last) == ("", "(cut here; the run's summary.md has the rest)")
    append_summary(path, row * 60_000)
    assert path.stat().st_size <= SUMMARY_BYTES
