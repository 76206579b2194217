"""What the command says of itself, and how fast."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

import geneval
from geneval.cli import completion

Command = Callable[..., CompletedProcess[str]]

COMMANDS = (
    *("init", "run", "score", "compare", "judge", "perturb", "export", "report"),
    *("list", "show", "doctor", "demo", "verify"),
)
INSTALLED = Path(sys.executable).with_name("geneval")
START_LIMIT = 0.5  # seconds; DESIGN.md, "Speed": `geneval --help` answers within half a second


def test_help_answers_within_half_a_second() -> None:
    """The installed command prints its help in under 0.5 s, the quickest of five starts."""
    times = []
    for _ in range(5):
        started = time.perf_counter()
        subprocess.run([INSTALLED, "--help"], check=True, capture_output=True)
        times.append(time.perf_counter() - started)
    assert min(times) < START_LIMIT


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["score", "-h"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    """Help is printed without importing torch, scipy, pyarrow, altair or scikit-learn."""
    code = (
        "import sys\n"
        f"sys.argv = ['geneval', *{arguments!r}]\n"
        "from geneval.cli import main\n"
        "try:\n    main()\nexcept SystemExit as ended:\n    assert not ended.code, ended.code\n"
        "heavy = {'torch', 'scipy', 'pyarrow', 'altair', 'sklearn'} & set(sys.modules)\n"
        "print('HEAVY', sorted(heavy))\n"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.endswith("HEAVY []\n")


def test_top_level_help_lists_commands_and_exit_codes(command: Command) -> None:
    """The help names every command, gives examples and says what the exit codes mean."""
    told = command("--help")
    assert told.returncode == 0
    assert told.stderr == ""
    for name in COMMANDS:
        assert f"\n  {name} " in told.stdout
    words = " ".join(told.stdout.split())
    assert "Examples:" in words
    assert "0 passed, 1 a gate failed, 2 wrong usage, 3 could not be evaluated" in words


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_each_command_has_an_example(command: Command, name: str, flag: str) -> None:
    """Every command's help shows its usage and an example that starts with the command."""
    told = command(name, flag)
    assert told.returncode == 0
    usage, _, rest = told.stdout.partition("\n")
    assert usage.startswith(f"Usage: geneval {name}")
    assert f"\n  geneval {name}" in rest


def test_without_arguments_the_help_is_shown(command: Command) -> None:
    """A bare `geneval` shows the help and counts as wrong usage."""
    told = command()
    assert told.returncode == 2
    assert "Usage: geneval" in told.stdout + told.stderr


def test_version(command: Command) -> None:
    """`--version` prints the package's version and nothing else."""
    told = command("--version")
    assert (told.returncode, told.stdout, told.stderr) == (
        0,
        f"geneval {geneval.__version__}\n",
        "",
    )


def test_unknown_option_names_the_nearest(command: Command) -> None:
    """A misspelt option of a command is wrong usage: exit code 2, the nearest one is offered."""
    told = command("run", "fid", "--smaples", "x")
    assert told.returncode == 2
    assert told.stdout == ""
    assert "--smaples" in told.stderr
    assert "--samples" in told.stderr


def test_unknown_command_is_wrong_usage(command: Command) -> None:
    """A command that does not exist ends with 2 and is named on stderr."""
    told = command("evaluate")
    assert told.returncode == 2
    assert told.stdout == ""
    assert "evaluate" in told.stderr


def test_completion_offers_shipped_and_local_suites(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names are completed from the shipped suites and the YAML files of the working folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits-mine.yaml").write_text("version: 1\n")
    assert completion.suites("dig") == ["digits", "digits-mine.yaml"]
    assert completion.suites("zzz") == []
    assert "fid" in completion.metrics_and_suites("f")
    assert {"pixelate", "precision_recall"} <= set(completion.shown("p"))


@pytest.mark.parametrize("arguments", [["--help"], ["list", "metrics"]])
def test_a_reader_that_has_gone_is_no_failure(arguments: list[str]) -> None:
    """`geneval … | head` whose reader has gone ends with 0 and without a word."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        told = subprocess.run(
            [INSTALLED, *arguments], stdout=writer, stderr=subprocess.PIPE, text=True, check=False
        )
    finally:
        os.close(writer)
    assert (told.returncode, told.stderr) == (0, "")
