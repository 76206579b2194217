"""How the engine tells of its progress; the command line shows it, a library user hears nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """Receives what happens during a run."""

    def start(self, title: str, total: int) -> None:
        """A stage of `total` samples or measurements begins."""

    def advance(self, n: int, cached: bool = False) -> None:
        """n of them are done, from the ledger if `cached`."""

    def finish(self) -> None:
        """The stage is over."""

    def abandon(self) -> None:
        """The stage ended by an error."""

    def say(self, sentence: str) -> None:
        """Something the person should know now."""


@contextmanager
def stage(progress: Progress, title: str, total: int) -> Iterator[None]:
    """A stage of a run; when it ends by an error the display ends too, without a summary."""
    progress.start(title, total)
    try:
        yield
    except BaseException:
        progress.abandon()
        raise
    progress.finish()


class Silent:
    """Shows nothing."""

    def start(self, title: str, total: int) -> None:
        """Nothing."""

    def advance(self, n: int, cached: bool = False) -> None:
        """Nothing."""

    def finish(self) -> None:
        """Nothing."""

    def abandon(self) -> None:
        """Nothing."""

    def say(self, sentence: str) -> None:
        """Nothing."""
