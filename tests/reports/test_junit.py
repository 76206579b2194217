"""junit.xml: what CI systems make of the verdicts."""

from __future__ import annotations

import dataclasses
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from lxml import etree

from geneval.gate import Gate
from geneval.reports.junit import render, render_all
from geneval.result import Document, Result
from geneval.verdict import Judgement, Status, Verdict, load_judgement


@pytest.fixture(scope="module")
def document(step_runs: dict[str, Path]) -> Document:
    """The document of a run."""
    return Result.load(step_runs["collapsed"]).document


def verdict(status: Status, text: str = "fid <= 1", sentence: str = "fid is 3") -> Verdict:
    """One verdict."""
    return Verdict(Gate(text, "fid", "at_most", limit=1.0), status, sentence)


def suite_of(document: Document, *verdicts: Verdict, failed: tuple[str, ...] = ()) -> ET.Element:
    """The one test suite of the XML."""
    root = ET.fromstring(render(document, Judgement("0" * 64, verdicts, failed)))
    assert root.tag == "testsuites"
    (suite,) = root
    assert suite.tag == "testsuite"
    return suite


@pytest.mark.parametrize(
    ("status", "child"),
    [
        (Status.PASS, "system-out"),
        (Status.WARN, "system-out"),
        (Status.FAIL, "failure"),
        (Status.ERROR, "error"),
        (Status.INCONCLUSIVE, "error"),
    ],
)
def test_status_becomes_the_element_ci_reads(
    document: Document, status: Status, child: str
) -> None:
    """FAIL is a failure, ERROR and INCONCLUSIVE are errors, the rest passes and says so."""
    suite = suite_of(document, verdict(status))
    (case,) = suite
    assert case.tag == "testcase"
    assert case.attrib["name"] == "fid <= 1"
    assert case.attrib["classname"] == "digits.collapsed"
    (inside,) = case
    assert inside.tag == child
    assert "fid is 3" in (inside.get("message") or inside.text or "")
    assert suite.attrib["failures"] == str(int(child == "failure"))
    assert suite.attrib["errors"] == str(int(child == "error"))


def test_counts_are_those_of_the_cases(document: Document) -> None:
    """Tests, failures and errors of the suite add up over verdicts and failed metrics."""
    statuses = (Status.FAIL, Status.FAIL, Status.PASS, Status.ERROR, Status.WARN)
    suite = suite_of(document, *map(verdict, statuses), failed=("kid",))
    assert suite.attrib["tests"] == "6"
    assert suite.attrib["failures"] == "2"
    assert suite.attrib["errors"] == "2"
    assert len(list(suite)) == 6


def test_failed_metric_without_a_gate_is_an_error(document: Document) -> None:
    """A metric that failed ungated is a case of its own, with its reason."""
    broken = dataclasses.replace(
        next(m for m in document.metrics if m.key == "kid"), status="failed", reason="too few"
    )
    others = tuple(m for m in document.metrics if m.key != "kid")
    changed = dataclasses.replace(document, metrics=(*others, broken))
    (case,) = suite_of(changed, failed=("kid",))
    assert case.attrib["name"] == "kid"
    (error,) = case
    assert (error.tag, error.attrib["message"], error.attrib["type"]) == (
        "error",
        "too few",
        "metric",
    )


def test_no_gates_is_an_empty_suite(document: Document) -> None:
    """Nothing to judge gives a suite without cases."""
    suite = suite_of(document)
    assert suite.attrib["tests"] == "0"
    assert list(suite) == []


def test_time_and_timestamp(document: Document) -> None:
    """The suite has the run's duration in seconds and its start without the zone letter."""
    suite = suite_of(document, verdict(Status.PASS))
    assert float(suite.attrib["time"]) == pytest.approx(document.timing["seconds"], abs=0.001)
    assert suite.attrib["timestamp"] + "Z" == document.provenance["started"]


def test_the_file_is_valid_by_the_schema_of_jenkins(document: Document) -> None:
    """Every status, failed metrics, several runs, names of any kind, long and short runs."""
    schema = etree.XMLSchema(etree.parse(Path(__file__).with_name("junit.xsd")))
    told = "\x1b \ud800 <a&b> \U0001f600"
    named = dataclasses.replace(document, subject=dataclasses.replace(document.subject, name=told))
    verdicts = [verdict(status, told, told) for status in Status]
    runs = []
    for seconds in (0.0, 0.0004, 12.3456, 1234.5, 98765432.1):
        timed = dataclasses.replace(named, timing={"seconds": seconds})
        runs.append((timed, Judgement("0" * 64, tuple(verdicts), ("kid",))))
    runs.append((dataclasses.replace(document, timing={}), Judgement("0" * 64, ())))
    root = etree.fromstring(render_all(runs))
    schema.assertValid(root)
    assert len(root) == len(runs)
    broken = etree.fromstring(render_all(runs).replace(b"<failure ", b"<failed ", 1))
    assert not schema.validate(broken)


@pytest.mark.parametrize(
    "text",
    [
        "\x1b[31m",
        "\x00",
        "\r",
        "\x0b",
        "\ufffe",
        "\uffff",
        "\ud800",
        "]]>",
        '"><failure/>',
        "</testsuites>",
        "&amp;",
        "\u202e",
        "😀",
    ],
)
def test_any_text_gives_well_formed_xml(document: Document, text: str) -> None:
    """Whatever names and sentences contain, the file is XML and keeps the rest of the text."""
    told = f"before {text} after"
    named = dataclasses.replace(document, subject=dataclasses.replace(document.subject, name=told))
    suite = suite_of(named, verdict(Status.FAIL, told, told), verdict(Status.PASS, told, told))
    failed, passed = suite
    messages = [
        suite.attrib["name"],
        failed.attrib["name"],
        failed.attrib["classname"],
        failed[0].attrib["message"],
        passed[0].text or "",
    ]
    for message in messages:
        assert "before " in message
        assert " after" in message
    assert len(list(suite)) == 2


def test_file_of_a_run_is_its_judgement(step_runs: dict[str, Path]) -> None:
    """The file that a run wrote has one case for each of its verdicts."""
    for directory in step_runs.values():
        judgement = load_judgement(directory)
        (suite,) = ET.parse(directory / "junit.xml").getroot()
        assert [case.attrib["name"] for case in suite] == [
            verdict.gate.text for verdict in judgement.verdicts
        ]
        failures = sum(verdict.status is Status.FAIL for verdict in judgement.verdicts)
        assert suite.attrib["failures"] == str(failures)
