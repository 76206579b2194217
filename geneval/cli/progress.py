"""Progress people can trust: how far, how fast, how long still, and what came from the ledger."""

from __future__ import annotations

import sys
import time
from typing import Any

from geneval.cli.console import say

RATED = 100  # things from which on a rate says something when a stage is over
EVERY = 30.0  # seconds between two lines of a stage in a log


class PlainProgress:
    """A line when a stage ends, and one every half minute of a long stage, for logs."""

    def start(self, title: str, total: int) -> None:
        """Remember what begins."""
        self._title, self._total = title, total
        self._done = self._cached = 0
        self._started = self._told = time.perf_counter()

    def advance(self, n: int, cached: bool = False) -> None:
        """Count what is done, and what of it came from the ledger."""
        self._done += n
        self._cached += n if cached else 0
        if time.perf_counter() - self._told >= EVERY:
            self._told = time.perf_counter()
            self._tell_middle()

    def finish(self) -> None:
        """Say how long the stage took."""
        seconds = time.perf_counter() - self._started
        is_rated = self._total - self._cached >= RATED
        rate = f" ({self._rate():,.0f} a second)" if is_rated else ""
        cached = f", {self._cached:,} from the ledger" if self._cached else ""
        say(f"  {self._title}: {self._total:,} in {seconds:.1f} s{rate}{cached}")

    def _tell_middle(self) -> None:
        """How far the stage is, how fast, and how long it will take."""
        cached = f", {self._cached:,} from the ledger" if self._cached else ""
        say(f"  {self._title}: {self._done:,} of {self._total:,}, {self._pace()}{cached}")

    def _rate(self) -> float:
        """Samples a second, those from the ledger left out."""
        return (self._done - self._cached) / max(time.perf_counter() - self._started, 1e-6)

    def _pace(self) -> str:
        """Rate and time left, or nothing before anything is known."""
        rate = self._rate()
        return f"{rate:,.0f}/s, {_duration((self._total - self._done) / rate)} left" if rate else ""

    def abandon(self) -> None:
        """Nothing to take away."""

    def say(self, sentence: str) -> None:
        """A warning."""
        say(f"  warning: {sentence}")


class RichProgress(PlainProgress):
    """A bar with rate, time left and what came from the ledger, then the same line."""

    def start(self, title: str, total: int) -> None:
        """Show a bar."""
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        super().start(title, total)
        pace = TextColumn("{task.fields[pace]}")
        parts = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), pace)
        self._bar = Progress(*parts, console=Console(stderr=True), transient=True)
        self._bar.start()
        self._task = self._bar.add_task(title, total=total, pace="")

    def advance(self, n: int, cached: bool = False) -> None:
        """Move the bar."""
        super().advance(n, cached)
        cached_so_far = f", {self._cached:,} from the ledger" if self._cached else ""
        self._bar.update(self._task, advance=n, pace=f"{self._pace()}{cached_so_far}")

    def finish(self) -> None:
        """Take the bar away and leave a line."""
        self._bar.stop()
        super().finish()

    def _tell_middle(self) -> None:
        """The bar tells."""

    def abandon(self) -> None:
        """Take the bar away, and give the cursor back."""
        self._bar.stop()


def _duration(seconds: float) -> str:
    """`12 s`, `3 min` or `2 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def progress() -> Any:
    """Bars on a terminal, lines elsewhere."""
    return RichProgress() if sys.stderr.isatty() else PlainProgress()
