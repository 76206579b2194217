"""Judging again: the same verdicts from the same rules, others from others, nothing computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from geneval.errors import UsageError
from geneval.evaluator import open_job
from geneval.ledger import Ledger
from geneval.rejudge import judge_again, own_suite
from geneval.result import Result
from geneval.run import Outcome, execute
from geneval.suite import load_suite

SUITE = """\
version: 1
name: texts
samples: {kind: texts}
pair_by: id
metrics:
  - bleu
  - chrf: {word_order: 2}
"""
GATES = """\
baselines: {last: run}
false_alarms: 1 per 100 runs
gates:
  - bleu >= 5
  - bleu >= last - 50%
waivers:
  - {gate: bleu >= 5, reason: why, until: 9999-01-01}
"""
TEXTS = [
    {"id": f"{i}", "hypothesis": f"the old dog sees a red house {i}", "references": [told]}
    for i, told in enumerate(["the old dog sees the red house now", "a cat finds the man"] * 10)
]


@pytest.fixture
def outcome(tmp_path: Path, ledger: Ledger, write: Callable[..., Path]) -> Outcome:
    """A run under the suite, which itself was kept as the baseline."""
    suite = load_suite(str(write(SUITE + GATES, "a.yaml")))
    first = execute(open_job(suite, ledger, samples=TEXTS), tmp_path / "runs")
    assert first.directory is not None
    first.directory.rename(tmp_path / "run")
    return execute(open_job(suite, ledger, samples=TEXTS), tmp_path / "runs")


def test_the_same_rules_give_the_same_judgement(outcome: Outcome) -> None:
    """Gates, waivers, budget and baselines all stand in the result and its provenance."""
    assert outcome.directory is not None
    again = judge_again(Result.load(outcome.directory))
    assert again == outcome.judgement
    assert [verdict.status for verdict in again.verdicts] == ["PASS", "PASS"]
    assert again.alpha == 0.01


def test_another_suite_judges_by_its_gates(outcome: Outcome, write: Callable[..., Path]) -> None:
    """Gates may be others, and the exit code follows."""
    other = write(SUITE + "gates: [bleu >= 99, chrf >= 0]\n", "b.yaml")
    judgement = judge_again(outcome.result, str(other))
    assert [verdict.status for verdict in judgement.verdicts] == ["FAIL", "PASS"]
    assert judgement.exit_code == 1


def test_a_baseline_from_elsewhere(outcome: Outcome, tmp_path: Path) -> None:
    """The path given wins over the suite's; one that is not there is an ERROR."""
    judgement = judge_again(outcome.result, baselines={"last": str(tmp_path / "gone.json")})
    assert [verdict.status for verdict in judgement.verdicts] == ["PASS", "ERROR"]
    assert judgement.exit_code == 3
    with pytest.raises(UsageError, match="no gate asks for it: unknown baseline 'lasst'"):
        judge_again(outcome.result, baselines={"lasst": "run"})


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("word_order: 2", "word_order: 1", "chrf is set otherwise in the result"),
        ("  - bleu\n", "  - bleu\n  - ter\n", "ter is not in the result"),
        ("  - bleu\n", "", "bleu is not in the suite"),
        ("  - bleu\n", "  - bleu: {as: b}\n", "is not in the"),
        ("  - bleu\n", "  - bleu: {n: 5}\n", "bleu is set otherwise"),
        ("name: texts\n", "name: texts\nseed: 7\n", "seed is 7 in the suite, 0 in the result"),
        ("name: texts\n", "name: texts\nconfidence: 0.9\n", "confidence is 0.9"),
    ],
)
def test_a_suite_that_measures_something_else_is_refused(
    outcome: Outcome, write: Callable[..., Path], before: str, after: str, told: str
) -> None:
    """Judging computes nothing, so what differs is an error that names the address."""
    other = write(SUITE.replace(before, after) + "gates: []\n", "b.yaml")
    with pytest.raises(UsageError, match=told):
        judge_again(outcome.result, str(other))


def test_a_gate_on_what_was_not_measured_is_refused(
    outcome: Outcome, write: Callable[..., Path]
) -> None:
    """An address that the result cannot have is wrong usage, not a pass."""
    with pytest.raises(UsageError, match="unknown address 'terr'"):
        judge_again(outcome.result, str(write(SUITE + "gates: [terr >= 0]\n", "b.yaml")))


def test_results_of_before_waivers_are_judged(outcome: Outcome) -> None:
    """A document without the newer keys is a suite without waivers and budget."""
    document = outcome.result.document
    older = {
        k: v for k, v in document.suite.document.items() if k not in ("waivers", "false_alarms")
    }
    suite = own_suite(replace(document, suite=replace(document.suite, document=older)))
    assert (suite.waivers, suite.alpha) == ([], None)
