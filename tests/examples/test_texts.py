"""The examples of open generation and of dialogue: their suites tell the bad model from the good.

What b.jsonl does wrong is in the README beside it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from geneval.evaluator import open_job
from geneval.ledger import Ledger
from geneval.result import Result
from geneval.run import execute
from geneval.suite import load_suite

EXAMPLES = Path(__file__).parents[2] / "examples"
WORSE = {  # values that what b does wrong must move
    "open-generation": {
        "distinct_n.distinct_2",  # loops, one sentence to many prompts
        "expectation_adjusted_distinct",
        "self_bleu",
        "repetition.seq_rep_3",
        "repetition.diversity",
        "degenerate_outputs.empty",
        "degenerate_outputs.duplicate",
        "truncated_outputs",
        "prompt_copy",
        "ngram_novelty.novelty_4",  # knows continuations by heart
        "ngram_novelty.longest_copy",
        "language_fidelity",
        "language_fidelity.lines",
        "spelling_errors",
    },
    "dialogue": {
        "dialogue_repetition",
        "context_overlap",
        "distinct_n.distinct_2",
        "self_bleu",
        "degenerate_outputs.duplicate",
        "truncated_outputs",
        "language_fidelity",
    },
}


def evaluated(suite: str, system: str, tmp_path: Path) -> Result:
    """The result of a system of the example."""
    samples = EXAMPLES / suite / f"{system}.jsonl"
    job = open_job(load_suite(suite), Ledger(tmp_path / "cache"), samples=samples)
    return execute(job, None).result


@pytest.mark.parametrize("suite", WORSE)
def test_the_suite_tells_bad_from_good(suite: str, tmp_path: Path) -> None:
    """Every value is there but for the columns that are not, and b is worse where it must be."""
    one, other = (
        {v.address: v for v in evaluated(suite, system, tmp_path).values()} for system in "ab"
    )
    assert one.keys() == other.keys() >= WORSE[suite]
    for address, value in one.items():
        good, bad = value.number, other[address].number
        assert good is not None
        assert bad is not None
        if address in WORSE[suite]:
            assert bad < good if value.spec.direction == "higher" else bad > good
