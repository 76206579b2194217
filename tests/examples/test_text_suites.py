"""The examples of the suites of texts: systems of which the second is plainly the worse one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import geneval
from geneval.suite import load_suite

EXAMPLES = Path(__file__).parents[2] / "examples"
SUITES = ["captioning", "summarization"]


def records(suite: str, system: str) -> list[dict[str, Any]]:
    """The records of a system."""
    lines = (EXAMPLES / suite / f"{system}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("suite", SUITES)
def test_every_value_tells_the_systems_apart(suite: str) -> None:
    """In each language and in all, no interval of the worse system reaches the better one's."""
    a, b = (
        geneval.evaluate(suite, samples=EXAMPLES / suite / f"{system}.jsonl") for system in "ab"
    )
    directed = [value for value in a.values() if value.spec.direction == "higher"]
    assert {value.metric for value in directed} >= {"rouge", "chrf"}
    for value in directed:
        low, high = value.interval, b[value.address].interval
        assert low is not None
        assert high is not None
        assert low.low > high.high, value.address


@pytest.mark.parametrize("suite", SUITES)
def test_both_systems_answer_the_same_records(suite: str) -> None:
    """As many in English as in Chinese, with equal references, so that differences are paired."""
    a, b = ([{**one, "hypothesis": ""} for one in records(suite, system)] for system in "ab")
    assert a == b
    langs = [one["lang"] for one in a]
    assert langs.count("en") == langs.count("zh") == len(a) / 2 >= 15


def test_captions_have_three_references() -> None:
    """CIDEr weighs n-grams by several descriptions of each picture."""
    assert {len(one["references"]) for one in records("captioning", "a")} == {3}


def test_summaries_have_a_sentence_a_line() -> None:
    """rougeLsum takes lines for sentences, so references are written so."""
    assert {one["references"][0].count("\n") for one in records("summarization", "a")} == {1}
    (rouge,) = [e for e in load_suite("summarization").metrics if e.key == "rouge"]
    assert "rougeLsum" in rouge.options["types"]
