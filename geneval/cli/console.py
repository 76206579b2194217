"""What the commands share in talking to a person: data on stdout, progress and words on stderr."""

from __future__ import annotations

import sys
import time
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")  # controls, directions, surrogates, line separators
_COLOURS = {"PASS": "32", "FAIL": "31", "WARN": "33", "INCONCLUSIVE": "35", "ERROR": "35"}


def printable(text: str) -> str:
    """Text on one line without what could steer a terminal; such characters are spelled out."""
    return "".join(
        c if unicodedata.category(c) not in _UNSEEN else f"\\x{ord(c):02x}" for c in text
    )


def say(sentence: str) -> None:
    """A message for the person, on stderr."""
    print(printable(sentence), file=sys.stderr, flush=True)


def columns(rows: Iterable[Sequence[str]], indent: str = "") -> list[str]:
    """Rows as aligned lines; the last column is not padded."""
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)] if cells else []
    return [
        indent + "  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=True))]).rstrip()
        for row in cells
    ]


def status(word: str) -> str:
    """A status word, coloured on a terminal that wants colour."""
    import os

    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return word
    return f"\033[1;{_COLOURS.get(word, '0')}m{word}\033[0m"


class PlainProgress:
    """A line when a stage ends, for logs."""

    def start(self, title: str, total: int) -> None:
        """Remember what begins."""
        self._title, self._total, self._cached = title, total, 0
        self._started = time.perf_counter()

    def advance(self, n: int, cached: bool = False) -> None:
        """Count what came from the ledger."""
        self._cached += n if cached else 0

    def finish(self) -> None:
        """Say how long the stage took."""
        seconds = time.perf_counter() - self._started
        cached = f", {self._cached:,} from the ledger" if self._cached else ""
        say(f"  {self._title}: {self._total:,} in {seconds:.1f} s{cached}")

    def abandon(self) -> None:
        """Nothing to take away."""

    def say(self, sentence: str) -> None:
        """A warning."""
        say(f"  warning: {sentence}")


class RichProgress(PlainProgress):
    """A bar with rate and time left while a stage runs, then the same line."""

    def start(self, title: str, total: int) -> None:
        """Show a bar."""
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.progress import TimeRemainingColumn as Left

        super().start(title, total)
        parts = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), Left())
        self._bar = Progress(*parts, console=Console(stderr=True), transient=True)
        self._bar.start()
        self._task = self._bar.add_task(title, total=total)

    def advance(self, n: int, cached: bool = False) -> None:
        """Move the bar."""
        super().advance(n, cached)
        self._bar.advance(self._task, n)

    def finish(self) -> None:
        """Take the bar away and leave a line."""
        self._bar.stop()
        super().finish()

    def abandon(self) -> None:
        """Take the bar away, and give the cursor back."""
        self._bar.stop()


def progress() -> Any:
    """Bars on a terminal, lines elsewhere."""
    return RichProgress() if sys.stderr.isatty() else PlainProgress()
