"""Texts from the command line: run and compare as the README shows them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

Command = Callable[..., CompletedProcess[str]]
EXAMPLE = Path(__file__).parents[2] / "examples" / "translation"


def test_the_example_runs(command: Command) -> None:
    """The suite needs no extractor, has a value for each language, and says where its report is."""
    told = command("run", "translation", "--samples", EXAMPLE / "a.jsonl")
    assert told.returncode == 0
    for address in ("bleu", "chrf_plus_plus", "ter", "bleu_by_language[lang=zh]"):
        assert f"\n  {address} " in told.stdout
    plan = command("run", "translation", "--samples", EXAMPLE / "a.jsonl", "--dry-run")
    assert "digits" not in plan.stdout
    assert "downloads: none" in plan.stdout


def test_compare_needs_no_earlier_runs(command: Command) -> None:
    """Both systems are evaluated first; differences are paired and tested by resampling."""
    systems = [f"A={EXAMPLE / 'a.jsonl'}", f"B={EXAMPLE / 'b.jsonl'}"]
    told = command("compare", "--suite", "translation", *systems)
    assert told.returncode == 0
    assert told.stdout.startswith("A is first or tied for first in 8 of 8 values\n")
    content = json.loads(Path("runs/translation/comparison/comparison.json").read_bytes())
    assert [entry["name"] for entry in content["entries"]] == ["A", "B"]
    for row in content["rows"]:
        found = row["cells"][1]["difference"]
        assert found["paired"]
        assert found["interval"]["method"] == "paired bootstrap"
        assert set(found["tests"]) == {"approximate randomization", "paired bootstrap"}
        assert row["cells"][1]["outcome"] == "worse"
    page = Path("runs/translation/comparison/report.html").read_text(encoding="utf-8")
    assert "approximate randomization p = 0.0001" in page
    assert "<del>" in page


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["A=x.jsonl", "A=y.jsonl"], "A is named twice; write NAME=PATH"),
        (["A="], "A=: write NAME=PATH"),
        (["A=x.jsonl", "B=y.jsonl"], "x.jsonl does not exist"),
    ],
)
def test_what_cannot_be_compared(command: Command, arguments: list[str], sentence: str) -> None:
    """A name twice, none, and a file that is not there are wrong usage."""
    told = command("compare", "--suite", "translation", *arguments)
    assert told.returncode == 2
    assert sentence in told.stderr


def test_field_names_columns(command: Command) -> None:
    """`--field` maps both sides; a missing column lists those found."""
    records = [{"pred": f"a b {i}", "label": f"a b {i}"} for i in range(3)]
    Path("x.jsonl").write_text("\n".join(map(json.dumps, records)))
    run = ("run", "exact_match", "--samples", "x.jsonl", "--field", "hypothesis=pred")
    told = command(*run, "--field", "references=label")
    assert told.returncode == 0
    assert "exact_match  1 " in told.stdout
    told = command(*run, "--field", "references=gold")
    assert told.returncode == 2
    assert "unknown column 'gold'" in told.stderr
    assert "label, pred" in told.stderr


def test_lines_with_a_reference_file(command: Command) -> None:
    """`--samples hyp.txt --reference ref.txt` pairs lines; unequal counts name the line."""
    Path("hyp.txt").write_text("the cat sat\non the mat today\n")
    Path("ref.txt").write_text("the cat sat\non the mat today\n")
    told = command("run", "bleu,chrf", "--samples", "hyp.txt", "--reference", "ref.txt")
    assert told.returncode == 0
    assert "\n  chrf   100 " in told.stdout
    Path("ref.txt").write_text("the cat sat\n")
    told = command("run", "bleu,chrf", "--samples", "hyp.txt", "--reference", "ref.txt")
    assert told.returncode == 3
    assert "hyp.txt:2: ref.txt has no record '000001'" in told.stderr
