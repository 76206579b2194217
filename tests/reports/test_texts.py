"""geneval.reports.texts: texts beside their references, with what differs marked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from geneval.evaluator import open_job
from geneval.ledger import Ledger
from geneval.reports.texts import MOST, marked, text_view
from geneval.reports.write import RUN_WRITERS
from geneval.run import execute
from geneval.suite import load_suite

HOSTILE = "</article><script>alert(1)</script><img src=x onerror=alert(2)>"


def joined(pieces: object) -> str:
    """Pieces as text, those that differ in brackets."""
    return "".join(f"[{p.text}]" if p.differs else p.text for p in pieces)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("one", "other", "left", "right"),
    [
        ("the cat sat", "the dog sat", "the [cat] sat", "the [dog] sat"),
        ("a b", "a b", "a b", "a b"),
        ("", "a", "", "[a]"),
        ("火车七点走", "火车八点走", "火车[七]点走", "火车[八]点走"),
    ],
)
def test_what_the_other_side_lacks_is_marked(one: str, other: str, left: str, right: str) -> None:
    """Words are compared, characters in Chinese; nothing of a text is lost."""
    mine, theirs = marked(one, other)
    assert (joined(mine), joined(theirs)) == (left, right)


def test_the_hypothesis_is_marked_against_the_nearest_reference() -> None:
    """Every reference is marked against the hypothesis; long texts are cut."""
    entry = {"id": "x", "hypothesis": "a b c", "references": ["x y z", "a b d", None]}
    view = text_view(entry, "12")
    assert [joined(pieces) for pieces in view.written] == ["a b [c]"]
    assert [joined(pieces) for pieces in view.references] == ["[x] [y] [z]", "a b [d]"]
    long = text_view({"id": "x", "hypothesis": "y" * 3 * MOST}, "")
    assert len(joined(long.written[0])) == MOST + 1


def test_the_page_shows_the_worst_items_and_escapes_them(tmp_path: Path, ledger: Ledger) -> None:
    """Hypothesis, references and source stand in the page as text, whatever they contain."""
    records = [{"hypothesis": f"fine {i}", "references": f"fine {i}"} for i in range(40)]
    records += [{"hypothesis": HOSTILE, "references": f"{HOSTILE} no", "source": "<b>s"}]
    for record in records:
        record.setdefault("source", "plain")
    job = open_job(load_suite("bleu,edit_similarity"), ledger, samples=records)
    directory = execute(job, tmp_path, RUN_WRITERS).directory
    assert directory is not None
    page = (directory / "report.html").read_text(encoding="utf-8")
    assert "alert(1)" in page
    assert page.count("<script>") == 1  # the page's own
    assert "<img src=x" not in page
    assert "&lt;b&gt;s" in page
    first = re.search(r'aria-label="Least like their reference.*?</article>', page, re.DOTALL)
    assert first is not None
    assert "onerror" in first[0]  # the worst comes first
    assert "<ins> no</ins>" in first[0]
