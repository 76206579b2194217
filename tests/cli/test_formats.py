"""What `geneval run` prints for people, programs and CI systems."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

Command = Callable[..., CompletedProcess[str]]

SUITE = """
version: 1
name: short
samples: {kind: texts}
metrics: [length]
gates: [length >= 1, length <= 1]
"""


@pytest.fixture
def short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> Callable[..., CompletedProcess[str]]:
    """`geneval run` of a suite of texts with a gate that passes and one that fails."""
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "short.yaml").write_text(SUITE)
    (tmp_path / "a.jsonl").write_text("".join(f'{{"hypothesis": "a b {i}"}}\n' for i in range(9)))
    return lambda *more: command("run", "short.yaml", "--samples", "a.jsonl", *more)


def test_every_format_ends_with_the_same_code(short: Command, tmp_path: Path) -> None:
    """Text, JSON, JUnit and Markdown are of one judgement, of which the exit code is too."""
    told = {name: short("--format", name) for name in ("text", "json", "junit", "markdown")}
    assert {one.returncode for one in told.values()} == {1}
    assert "FAIL  length <= 1" in told["text"].stdout
    assert json.loads(told["json"].stdout)["exit_code"] == 1
    (suite,) = ET.fromstring(told["junit"].stdout.encode())
    assert (suite.attrib["tests"], suite.attrib["failures"]) == ("2", "1")
    (_, first, *_) = sorted((tmp_path / "runs" / "short" / "a").glob("*/summary.md"))
    assert told["markdown"].stdout.splitlines()[:3] == first.read_text().splitlines()[:3]
    assert not any("::error" in one.stderr for one in told.values())


def test_json_is_as_before(short: Command) -> None:
    """`--json` is `--format json`; beside another format it is refused."""
    assert json.loads(short("--json").stdout)["exit_code"] == 1
    assert json.loads(short("--json", "--format", "json").stdout)["exit_code"] == 1
    refused = short("--json", "--format", "junit")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "either --json or --format junit" in refused.stderr


@pytest.mark.parametrize("how", ["format", "variable"])
def test_github_is_told_on_stderr(
    short: Command, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Annotations come with --format github, and in GitHub Actions with any format."""
    if how == "variable":
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
    told = short(*(["--format", "github"] if how == "format" else ["--json"]))
    assert told.returncode == 1
    assert "::error title=short%2C a%3A length <= 1::length is 3 words" in told.stderr
    assert "::error" not in told.stdout


def test_the_step_summary_is_appended(
    short: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where the variable is set the run's Markdown is appended; what fails there fails no run."""
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "step.md"))
    (tmp_path / "step.md").write_text("before\n")
    assert short().returncode == 1
    told = (tmp_path / "step.md").read_text()
    assert told.startswith("before\n## a under short\n")
    assert "**FAIL**" in told
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "no" / "folder.md"))
    refused = short()
    assert refused.returncode == 1
    assert "cannot be written" in refused.stderr
