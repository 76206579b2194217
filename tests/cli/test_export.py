"""`geneval export`: what the Hub's own library reads of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import yaml
from huggingface_hub import EvalResult, parse_eval_result_entries
from huggingface_hub.repocard_data import ModelCardData, model_index_to_eval_results

import geneval
from geneval.result import Result

Command = Callable[..., CompletedProcess[str]]


@pytest.fixture
def run(command: Command) -> Path:
    """A run of texts with means that have intervals, and a metric that could not be measured."""
    texts = [f"a text of {'some ' * (i % 3)}words" for i in range(20)]
    overrides = {"metrics.language_fidelity.optional": True, "name": "quality"}
    suite = "length,degenerate_outputs,language_fidelity"
    words = {"overrides": overrides, "name": "mine", "out": Path("runs")}
    records = [{"hypothesis": text, "lang": "tlh"} for text in texts]
    directory = geneval.evaluate(suite, samples=records, **words).directory
    assert directory is not None
    return directory


def test_a_model_card_is_read_back(command: Command, run: Path) -> None:
    """huggingface_hub reads every number with task, data set, metric and its interval and n."""
    told = command("export", run, "--dataset", "me/prompts", "--revision", "abc")
    assert told.returncode == 0, told.stderr
    content = yaml.safe_load(told.stdout)
    name, entries = model_index_to_eval_results(content["model-index"])
    result = Result.load(run)
    numbers = {v.address: v.number for v in result.values() if v.number is not None}
    assert name == "mine"
    assert {one.metric_name: one.metric_value for one in entries} == numbers
    first = entries[0]
    assert isinstance(first, EvalResult)
    assert (first.task_type, first.dataset_type) == ("text-generation", "me/prompts")
    assert (first.metric_type, first.dataset_revision) == ("length", "abc")
    assert first.metric_args is not None
    assert first.metric_args["signature"] == result["length"].signature.line()
    interval = result["length"].interval
    assert interval is not None
    assert f"[{interval.low:.4g}, {interval.high:.4g}] at 95%" in first.metric_args["about"]
    card = ModelCardData(model_name=name, eval_results=entries)
    assert card.to_dict()["model-index"][0]["name"] == "mine"


def test_entries_of_eval_results_are_read_back(command: Command, run: Path) -> None:
    """The chosen value alone, with date and notes; its task is the address."""
    words = ["--format", "eval-results", "--dataset", "me/prompts", "--value", "length"]
    told = command("export", run, *words)
    (entry,) = parse_eval_result_entries(yaml.safe_load(told.stdout))
    result = Result.load(run)
    assert (entry.dataset_id, entry.task_id) == ("me/prompts", "length")
    assert entry.value == result["length"].number
    assert entry.date == result.document.provenance["started"]
    assert entry.notes is not None
    assert "n generated 20" in entry.notes
    assert result["length"].signature.line() in entry.notes


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--value", "lenth"], "did you mean 'length'"),
        (["--value", "language_fidelity"], "language_fidelity"),
        (["--format", "eval-results", "--task", "translation"], "--task is for"),
    ],
)
def test_what_is_no_number_is_refused(
    command: Command, run: Path, words: list[str], said: str
) -> None:
    """An unknown value, one with a problem, an option of the other form: wrong usage."""
    told = command("export", run, "--dataset", "me/prompts", *words)
    assert (told.returncode, told.stdout) == (2, "")
    assert said in told.stderr


def test_a_partial_run_is_not_published(command: Command) -> None:
    """A run with --limit has no numbers to show."""
    words = {"limit": 2, "name": "mine", "out": Path("runs")}
    with pytest.warns(UserWarning, match="partial"):
        directory = geneval.evaluate("length", samples=["a", "b c", "d"], **words).directory
    told = command("export", directory, "--dataset", "me/prompts")
    assert told.returncode == 2
    assert "partial" in told.stderr
