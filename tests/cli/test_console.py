"""How the commands talk: safe on a terminal, aligned, quiet where nobody looks."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geneval.cli import console
from geneval.examples.digits.data import Split

Command = Callable[..., CompletedProcess[str]]

STEERING = {
    "\x1b[31m": "\\x1b[31m",
    "\x00": "\\x00",
    "\r": "\\x0d",
    "\b": "\\x08",
    "\t": "\\x09",
    "\x7f": "\\x7f",
    "\x9b31m": "\\x9b31m",
    "\u202e": "\\x202e",
    "\u2066": "\\x2066",
    "\u200b": "\\x200b",
    "\ufeff": "\\xfeff",
}


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Yes."""
        return True


@pytest.mark.parametrize("steering", STEERING)
def test_steering_characters_are_spelled_out(steering: str) -> None:
    """Control and direction characters appear as their code, everything else as it is."""
    assert console.printable(f"über {steering} 漢字") == f"über {STEERING[steering]} 漢字"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("::error::x", "\\x3a:error::x"),
        ("  ::set-output name=a::b", "  \\x3a:set-output name=a::b"),
        (":::", "\\x3a::"),
        ("a ##[error]x", "a #\\x23[error]x"),
        ("suite::checkpoint::gate", "suite::checkpoint::gate"),
        ("# [heading]", "# [heading]"),
    ],
)
def test_no_line_is_a_command_of_github(text: str, shown: str) -> None:
    """A folder called `::error::x` does not speak to the runner; other colons stay."""
    assert console.printable(text) == shown


@given(st.text(alphabet=st.characters(exclude_categories=("Cs",))))
def test_no_text_keeps_a_control_character(text: str) -> None:
    """Whatever the text, nothing that steers a terminal is left; plain text stays unchanged."""
    shown = console.printable(text)
    assert not [c for c in shown if ord(c) < 32 and c != "\n"]
    assert not {"\x7f", "\x9b", "\u202a", "\u202e", "\u2066", "\u2069"} & set(shown)
    assert console.printable(shown) == shown


def test_columns_are_aligned_and_safe() -> None:
    """Cells start at the same place in every row, also where some were spelled out."""
    rows = [("a", "one", "x"), ("bb\x1b", "two", ""), ("c", "three", "z")]
    assert console.columns(rows, "> ") == [
        "> a       one    x",
        "> bb\\x1b  two",
        "> c       three  z",
    ]
    assert console.columns([]) == []


def test_a_newline_in_a_cell_starts_no_row() -> None:
    """One row is one line, whatever its cells contain."""
    (line,) = console.columns([("a\nPASS everything", "b")])
    assert "\n" not in line


def test_say_writes_one_safe_line_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """Messages go to stderr, one line each."""
    console.say("bad\x1b[2J\nname")
    told = capsys.readouterr()
    assert told.out == ""
    assert "\x1b" not in told.err
    assert told.err.count("\n") == 1


@pytest.mark.parametrize(
    ("terminal", "no_colour", "coloured"),
    [(True, None, True), (True, "1", False), (False, None, False)],
)
def test_colour_only_on_a_terminal_that_wants_it(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, no_colour: str | None, coloured: bool
) -> None:
    """Status words are coloured on a terminal, never in a pipe and never under NO_COLOR."""
    monkeypatch.setattr(sys, "stdout", Terminal() if terminal else io.StringIO())
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_colour:
        monkeypatch.setenv("NO_COLOR", no_colour)
    for word in ("PASS", "FAIL", "WARN", "INCONCLUSIVE", "ERROR", "not judged"):
        shown = console.status(word)
        assert word in shown
        assert ("\x1b[" in shown) is coloured


def test_labels_cannot_steer_the_terminal(
    command: Command, digits: tuple[Split, Split], tmp_path: Path
) -> None:
    """Hostile class names in addresses, verdicts and problems are spelled out on both streams."""
    names = np.array(["\x9b31mred", "\u202eleft", "two\nlines"])
    images = digits[1].images[:120]
    np.savez(tmp_path / "hostile.npz", images, names[np.arange(120) % 3])
    words = ("--samples", "hostile.npz", "--reference", "hostile.npz")
    more = ("--set", "metrics.precision_recall.by=label", "--set", "metrics.precision_recall.k=2")
    told = command("run", "precision_recall", *words, *more)
    assert told.returncode == 0, told.stderr
    both = told.stdout + told.stderr
    assert not {"\x9b", "\u202e"} & set(both)
    for shown in ("\\x9b31mred", "\\x202eleft", "two\\nlines"):
        assert shown in both
    rows = [line for line in told.stdout.splitlines() if "precision_recall." in line]
    assert len(rows) == 6  # two outputs for each of three labels


def test_broken_file_with_a_hostile_name(command: Command, tmp_path: Path) -> None:
    """The name of a broken image is spelled out in the sentence, which stays one line."""
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "a\x1b[2J\nb.png").write_bytes(b"no image")
    (folder / "c.png").write_bytes(b"no image")
    told = command("run", "fid", "--samples", folder, "--reference", folder)
    assert told.returncode == 3
    assert "\x1b" not in told.stderr
    assert told.stderr.splitlines()[-1].startswith("geneval: ")
    assert "\\x1b[2J" in told.stderr.splitlines()[-1]
