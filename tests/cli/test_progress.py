"""Progress: how far, how fast, how long still, and what came from the ledger."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable

import pytest

from geneval.cli import progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Yes."""
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """A clock that stands still until it is told to go on by so many seconds."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])

    def go_on(seconds: float) -> None:
        now[0] += seconds

    return go_on


def test_progress_in_a_log_is_a_line_a_stage(
    capsys: pytest.CaptureFixture[str], clock: Callable[[float], None]
) -> None:
    """Without a terminal a stage is one line when it ends: how many, how fast, what was cached."""
    shown = progress.progress()
    shown.start("generated samples", 2000)
    shown.advance(1024, cached=True)
    clock(4.0)
    shown.advance(976)
    assert capsys.readouterr().err == ""
    shown.finish()
    shown.say("odd\x1b samples")
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == [
        "  generated samples: 2,000 in 4.0 s (244 a second), 1,024 from the ledger",
        "  warning: odd\\x1b samples",
    ]


@pytest.mark.parametrize(
    ("total", "left"), [(5000, "8 s"), (60_000, "9 min"), (7_500_000, "20 h 49 min")]
)
def test_a_long_stage_in_a_log_tells_of_itself(
    total: int, left: str, capsys: pytest.CaptureFixture[str], clock: Callable[[float], None]
) -> None:
    """Every half minute: how far, how fast without what was cached, how long it will take."""
    shown = progress.progress()
    shown.start("generated samples", total)
    shown.advance(1000, cached=True)
    for _ in range(4):
        clock(8.0)
        shown.advance(800)
    said = f"4,200 of {total:,}, 100/s, {left} left, 1,000 from the ledger"
    assert capsys.readouterr().err == f"  generated samples: {said}\n"


def test_a_stage_that_came_from_the_ledger_has_no_rate(
    capsys: pytest.CaptureFixture[str], clock: Callable[[float], None]
) -> None:
    """Nothing was extracted, so nothing is said of speed; nor of three metrics."""
    shown = progress.progress()
    for total, cached in ((2000, True), (3, False)):
        shown.start("stage", total)
        clock(1.0)
        shown.advance(total, cached=cached)
        shown.finish()
    first, second = capsys.readouterr().err.splitlines()
    assert first == "  stage: 2,000 in 1.0 s, 2,000 from the ledger"
    assert second == "  stage: 3 in 1.0 s"


def test_progress_on_a_terminal_is_a_bar_and_the_same_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a terminal a bar runs on stderr, and the line of the log remains."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    shown = progress.progress()
    shown.start("metrics", 3)
    shown.advance(3)
    shown.finish()
    assert isinstance(shown, progress.RichProgress)
    assert "  metrics: 3 in " in terminal.getvalue()
