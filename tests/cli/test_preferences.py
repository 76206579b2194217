"""`geneval preferences` from the command line: the table, the documents, and wrong usage."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

Command = Callable[..., CompletedProcess[str]]
FEW = ("--resamples", 100)


@pytest.fixture
def votes(command: Command) -> Path:
    """x beats y three times in four on 40 items, judged by two raters who agree but on four."""
    lines = [
        {"model_a": "x", "model_b": "y", "winner": winner, "item": item, "rater": rater}
        for item in range(40)
        for rater, winner in (
            ("r", "model_b" if item % 4 == 0 else "model_a"),
            ("s", "model_b" if item % 4 == 0 and item % 10 else "model_a"),
        )
    ]
    path = Path("votes.jsonl")
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_the_ranking_is_shown_and_written(command: Command, votes: Path) -> None:
    """The strongest first; the same numbers stand in the table, the JSON and the Markdown."""
    fields = ("--field", "a=model_a", "--field", "b=model_b")
    told = command("preferences", votes, *fields, *FEW, "--out", "ranking")
    assert told.returncode == 0
    lines = told.stdout.splitlines()
    assert lines[0].split()[:3] == ["System", "Games", "Win"]
    assert lines[1].split()[:3] == ["x", "80", "0.775"]
    assert lines[2].split()[:3] == ["y", "80", "0.225"]
    assert "80 records, 40 items, 2 raters; 95% intervals" in told.stdout
    assert "Elo in the order of the records: initial 1000, K 4, scale 400, base 10" in told.stdout
    assert "win rates: intervals take records as independent, though items have" in told.stdout
    assert lines[-1] == "report: ranking/preferences.md"
    shown = json.loads(command("preferences", votes, *fields, *FEW, "--json").stdout)
    assert shown == json.loads(Path("ranking/preferences.json").read_bytes())
    first = shown["systems"][0]
    assert (first["system"], first["rank"], first["win_rate"]["number"]) == ("x", 1, 0.775)
    page = Path("ranking/preferences.md").read_text(encoding="utf-8")
    assert f"{first['strength']['number']:.3f}" in page
    assert f"{shown['agreement']['number']:.3f}" in page


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["absent.csv"], 2, "absent.csv does not exist"),
        (["votes.txt"], 2, "preferences are read from .jsonl, .csv, .parquet"),
        (["votes.jsonl"], 2, "name the one that holds it with --field a=COLUMN"),
        (["votes.jsonl", "--field", "a=modela"], 2, "did you mean 'model_a'?"),
        (["votes.jsonl", "--field", "a"], 2, "--field a: write FIELD=COLUMN"),
        (["empty.jsonl"], 3, "empty.jsonl has no records"),
        (["itself.csv"], 3, "itself.csv:2: 'x' is compared with itself"),
    ],
)
def test_what_cannot_be_ranked(
    command: Command, votes: Path, arguments: list[str], code: int, sentence: str
) -> None:
    """A wrong file or column is wrong usage, a record that cannot be meant the data's fault."""
    Path("votes.txt").write_text("x y a\n")
    Path("empty.jsonl").write_text("")
    Path("itself.csv").write_text("a,b,winner\nx,x,a\n")
    told = command("preferences", *arguments)
    assert (told.returncode, told.stdout, told.stderr.count("\n")) == (code, "", 1)
    assert sentence in told.stderr
