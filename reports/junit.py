"""junit.xml: one test case per gate, one per metric that failed without a gate.

A gate that failed is a `failure`, one that could not be judged an `error`.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable
from pathlib import Path

from geneval.ledger import atomic_write
from geneval.result import Document, Result
from geneval.verdict import Judgement, Status, Verdict, load_judgement

JUNIT = "junit.xml"


def write_junit(directory: Path) -> None:
    """junit.xml of a run directory."""
    document = Result.load(directory).document
    atomic_write(directory / JUNIT, render(document, load_judgement(directory)))


def render(document: Document, judgement: Judgement) -> bytes:
    """The XML of one judgement."""
    return render_all([(document, judgement)])


def render_all(runs: Iterable[tuple[Document, Judgement]]) -> bytes:
    """The XML of several judgements, a test suite each."""
    root = ET.Element("testsuites")
    root.extend(_suite(document, judgement) for document, judgement in runs)
    ET.indent(root)
    xml: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return xml


def _suite(document: Document, judgement: Judgement) -> ET.Element:
    name = f"{document.suite.name}.{document.subject.name}"
    cases = [_gate_case(verdict, name) for verdict in judgement.verdicts]
    for measured in document.metrics:
        if measured.key in judgement.failed_metrics:
            case = _case(measured.key, name)
            ET.SubElement(case, "error", message=_clean(measured.reason), type="metric")
            cases.append(case)
    suite = ET.Element(
        "testsuite",
        name=_clean(name),
        tests=str(len(cases)),
        failures=str(sum(case.find("failure") is not None for case in cases)),
        errors=str(sum(case.find("error") is not None for case in cases)),
        skipped="0",
        time=f"{document.timing.get('seconds', 0):.3f}",
        timestamp=str(document.provenance.get("started", "")).removesuffix("Z"),
    )
    suite.extend(cases)
    return suite


def _gate_case(verdict: Verdict, name: str) -> ET.Element:
    case = _case(verdict.gate.text, name)
    told = _clean(verdict.sentence)
    if verdict.status is Status.FAIL:
        ET.SubElement(case, "failure", message=told, type="gate")
    elif verdict.status in (Status.ERROR, Status.INCONCLUSIVE):
        ET.SubElement(case, "error", message=told, type=verdict.status.value.lower())
    else:
        ET.SubElement(case, "system-out").text = f"{verdict.status.value}: {told}"
    return case


def _case(name: str, classname: str) -> ET.Element:
    return ET.Element("testcase", name=_clean(name), classname=_clean(classname), time="0")


def _clean(text: str) -> str:
    """Text without the characters that XML 1.0 forbids."""
    return "".join(c if _allowed(c) else "\ufffd" for c in text)


def _allowed(c: str) -> bool:
    ranges = ((" ", "\ud7ff"), ("\ue000", "\ufffd"), ("\U00010000", "\U0010ffff"))
    return c in "\t\n" or any(low <= c <= high for low, high in ranges)
