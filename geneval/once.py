"""Work that several processes need and one of them does.

All share a folder. Who creates a claim there first works and keeps touching it; the others wait for
what is made. A claim that nobody touches any more belongs to a process that died, and whoever sees
that claims anew under the next number. Nothing is ever locked or taken away, so two that work at
once by mistake cost time and nothing else: the work must give the same to each of them.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from geneval.ledger import atomic_write

BEAT = 0.5  # seconds between two touches of a claim
PATIENCE = 20.0  # seconds without a touch after which its owner counts as dead
_POLL = 0.05


def once(folder: Path, name: str, work: Callable[[], bytes], patience: float = PATIENCE) -> bytes:
    """What `work` gives, done by one of all processes that ask for `name` in this folder.

    An error of `work` is raised where it happened, and the next who asks does the work again.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    made, attempt = folder / f"{name}.made", 0
    while not made.exists():
        claim = folder / f"{name}.claim{attempt}"
        try:
            claim.touch(exist_ok=False)
        except FileExistsError:
            _wait(made, claim, patience)
            attempt += 1
            continue
        with _beating(claim):
            atomic_write(made, work())
    return made.read_bytes()


def _wait(made: Path, claim: Path, patience: float) -> None:
    """Return once the work is done, or its claim has not been touched for `patience` seconds.

    Both times are this process's, so that clocks of other machines do not matter.
    """
    seen, since = _touched(claim), time.monotonic()
    while not made.exists() and seen and time.monotonic() - since < patience:
        time.sleep(_POLL)
        if (now := _touched(claim)) != seen:
            seen, since = now, time.monotonic()


def _touched(claim: Path) -> int:
    """When a claim was last touched; 0 when its owner has given it up."""
    with contextlib.suppress(FileNotFoundError):
        return claim.stat().st_mtime_ns or 1
    return 0


@contextlib.contextmanager
def _beating(claim: Path) -> Iterator[None]:
    """Touch the claim from a thread while the block runs; an error gives it up."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(BEAT):
            with contextlib.suppress(OSError):
                claim.touch()

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    given_up = True
    try:
        yield
        given_up = False
    finally:
        ended.set()
        thread.join()
        if given_up:
            claim.unlink(missing_ok=True)
