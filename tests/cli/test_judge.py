"""`geneval judge`, `geneval baseline` and `geneval gate plan` on runs of texts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from xml.etree import ElementTree

import pytest

from geneval.verdict import load_judgement

Command = Callable[..., CompletedProcess[str]]
EXAMPLES = Path(__file__).parents[2] / "examples" / "translation"
SUITE = """\
version: 1
name: texts
extends: translation
baselines: {anchor: baselines/anchor.json, main: baselines/main.json}
gates:
  - bleu >= 50
  - {value: chrf, no_worse_than: [anchor, main], margin: 5%}
"""
WAIVERS = "waivers: [{gate: bleu >= 50, reason: data moved, until: %s}]\n"


@pytest.fixture
def runs(command: Command, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Run directories of the better and the worse system, judged without any baseline."""
    monkeypatch.delenv("CI", raising=False)
    Path("s.yaml").write_text(SUITE)
    found = {}
    for system in "ab":
        told = command("run", "s.yaml", "--samples", EXAMPLES / f"{system}.jsonl", "--json")
        assert told.returncode == 3
        found[system] = json.loads(told.stdout)["runs"][0]["directory"]
    return found


def test_from_a_first_baseline_to_a_refused_one(command: Command, runs: dict[str, str]) -> None:
    """Missing baselines say how to be made; then the good one passes and the bad one fails."""
    missing = load_judgement(Path(runs["a"])).verdicts[1]
    assert "geneval baseline set RUN --name anchor --dir baselines" in missing.sentence
    for name in ("anchor", "main"):
        told = command("baseline", "set", runs["a"], "--reason", "first", "--name", name)
        assert (told.returncode, told.stdout) == (0, f"baselines/{name}.json\n")
        judged = command("judge", runs["a"])
        assert judged.returncode == (3 if name == "anchor" else 0)
    judged = command("judge", runs["b"])
    assert judged.returncode == 1
    assert "chance alone fails any of them in at most 5 % of runs (Holm)" in judged.stdout
    told = command("baseline", "set", runs["b"], "--reason", "new")
    assert told.returncode == 2
    assert "not while the anchor's gate is not passed" in told.stderr
    assert command("baseline", "set", runs["b"], "--reason", "new", "--force").returncode == 0
    listed = command("baseline", "list").stdout.splitlines()
    assert [line.split()[:2] for line in listed[1:]] == [["anchor", "a"], ["main", "b"]]
    assert listed[2].endswith("new (forced)")


def test_ci_makes_no_baseline(
    command: Command, runs: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where CI is set the command is refused and writes nothing."""
    monkeypatch.setenv("CI", "true")
    told = command("baseline", "set", runs["a"], "--reason", "x", "--name", "anchor")
    assert (told.returncode, told.stdout) == (2, "")
    assert not Path("baselines").exists()
    words = ("baseline", "set", runs["a"], "--reason", "x", "--name", "anchor", "--allow-ci")
    assert command(*words).returncode == 0


def test_verdict_code_and_pages_agree(command: Command, runs: dict[str, str]) -> None:
    """After judging again verdicts.json, report, summary and JUnit all say the new verdicts."""
    run = Path(runs["b"])
    before = (run / "result.json").read_bytes()
    Path("w.yaml").write_text(
        "version: 1\nextends: translation\ngates: [bleu >= 50]\n" + WAIVERS % "9999-12-31"
    )
    Path("e.yaml").write_text(
        "version: 1\nextends: translation\ngates: [bleu >= 50]\n" + WAIVERS % "2020-01-01"
    )
    for suite, status, code, element in (
        ("w.yaml", "WARN", 0, "system-out"),
        ("e.yaml", "FAIL", 1, "failure"),
    ):
        told = command("judge", run, "--suite", suite, "--json")
        content = json.loads(told.stdout)
        assert told.returncode == content["exit_code"] == code
        (verdict,) = load_judgement(run).verdicts
        assert (verdict.status, content["runs"][0]["judgement"]["verdicts"][0]["status"]) == (
            status,
            status,
        )
        assert "data moved" in verdict.sentence
        (case,) = ElementTree.parse(run / "junit.xml").getroot()[0]
        assert case[0].tag == element
        assert "data moved" in (case[0].get("message") or case[0].text or "")
        for page in ("report.html", "summary.md"):
            assert "data moved" in (run / page).read_text()
    assert (run / "result.json").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--suite", "bleu"), "chrf is not in the suite"),
        (("--baseline", "main"), "write NAME=PATH"),
        (("--baseline", "mian=x"), "unknown baseline 'mian'; did you mean 'main'"),
        (("--suite", "gone.yaml"), "does not exist"),
    ],
)
def test_wrong_usage_leaves_the_verdicts(
    command: Command, runs: dict[str, str], words: tuple[str, ...], told: str
) -> None:
    """What cannot be meant ends with 2 and changes nothing."""
    file = Path(runs["a"]) / "verdicts.json"
    before = file.read_bytes()
    found = command("judge", runs["a"], *words)
    assert (found.returncode, found.stdout) == (2, "")
    assert told in found.stderr
    assert file.read_bytes() == before


def test_baselines_are_shown_and_compared(command: Command, runs: dict[str, str]) -> None:
    """`show` has note and values; `diff` says what got worse; `compare` takes them too."""
    for name, system in (("one", "a"), ("two", "b")):
        command("baseline", "set", runs[system], "--reason", name, "--name", name, "--force")
    shown = command("baseline", "show", "one").stdout
    assert shown.startswith("one: a under texts\n")
    assert ": one (forced)\n" in shown
    assert "bleu|tokenize:13a+zh" in shown
    told = command("baseline", "diff", "one", "two")
    assert told.returncode == 0
    (line,) = [line for line in told.stdout.splitlines() if line.split()[1:2] == ["bleu"]]
    assert line.endswith("regression")
    same = command("compare", "baselines/one.json", "baselines/two.json", "--json")
    rows = json.loads(same.stdout)["rows"]
    assert rows == json.loads(command("baseline", "diff", "one", "two", "--json").stdout)["rows"]
    assert rows == json.loads(command("compare", runs["a"], runs["b"], "--json").stdout)["rows"]
    assert all(row["cells"][1]["difference"]["paired"] for row in rows)


@pytest.mark.parametrize("words", [("show", "gone"), ("diff", "gone", "gone"), ("show", "runs")])
def test_baselines_that_are_none(command: Command, words: tuple[str, ...]) -> None:
    """An absent baseline is wrong usage; an empty folder lists nothing."""
    assert command("baseline", *words).returncode == 2
    assert command("baseline", "list").stdout == "no baselines in baselines\n"


def test_a_plan_of_gates(command: Command, runs: dict[str, str]) -> None:
    """A line per gate with its figures, as text and as JSON."""
    words = ("gate", "plan", "s.yaml", "--baseline", runs["a"], "--n", 1000)
    told = command(*words)
    lines = told.stdout.splitlines()
    assert (told.returncode, told.stderr) == (0, "")
    assert lines[0].startswith("gate ")
    assert lines[1].startswith("bleu >= 50 ")
    content = json.loads(command(*words, "--json").stdout)
    assert [one["n"] for one in content] == [1000] * 3
    assert content[1]["detectable"] == content[2]["detectable"] > 0
    yearly = json.loads(command(*words, "--json", "--runs-a-year", 730).stdout)
    assert yearly[1]["alarms"] == pytest.approx(2 * content[1]["alarms"])


def test_comparisons_as_tables(command: Command, runs: dict[str, str]) -> None:
    """`--format` prints the comparison for a paper, a spreadsheet or a pull request."""
    pair = ("compare", runs["a"], runs["b"])
    latex = command(*pair, "--format", "latex").stdout
    assert latex.startswith("\\begin{tabular}{lrr}\n\\toprule\n & a & b \\\\\n")
    assert "\nbleu $\\uparrow$ & \\textbf{59.98} [" in latex
    table = command(*pair, "--format", "csv").stdout.splitlines()
    assert table[0].startswith("value,direction,entry,step,number,")
    assert len(table) == 1 + 2 * 8
    assert command(*pair, "--margin", "5 percent").returncode == 2
    text = command(*pair, "--margin", "200%").stdout
    assert " equivalent" in text
    assert "SD" in text
