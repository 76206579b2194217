"""Work that several processes need and one of them does."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from geneval import once as module
from geneval.once import once

DYING = """
import os, sys
from pathlib import Path
from geneval.once import once
def work():
    print("working", flush=True)
    sys.stdin.readline()
    os._exit(1)
once(Path(sys.argv[1]), "job", work)
"""


def test_many_that_ask_at_once_get_what_one_has_made(tmp_path: Path) -> None:
    """Eight threads that ask together: the work is done once, all have its outcome."""
    done, found = [], []

    def work() -> bytes:
        done.append(threading.get_ident())
        time.sleep(0.2)
        return b"made"

    threads = [
        threading.Thread(target=lambda: found.append(once(tmp_path, "job", work))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 1
    assert found == [b"made"] * 8


def test_names_are_apart(tmp_path: Path) -> None:
    """Work of another name is other work."""
    assert once(tmp_path, "a", lambda: b"1") == b"1"
    assert once(tmp_path, "b", lambda: b"2") == b"2"
    assert once(tmp_path, "a", lambda: b"3") == b"1"


def test_a_process_that_dies_is_taken_over(tmp_path: Path) -> None:
    """A killed owner leaves its claim; who waits for it sees no touch any more and works itself."""
    owner = subprocess.Popen(
        [sys.executable, "-c", DYING, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == "working\n"
    found: list[bytes] = []
    waiting = threading.Thread(
        target=lambda: found.append(once(tmp_path, "job", lambda: b"mine", patience=1.0))
    )
    waiting.start()
    time.sleep(1.5)  # longer than the patience, but the owner still touches its claim
    assert found == []
    owner.kill()
    owner.communicate()
    waiting.join(timeout=10)
    assert found == [b"mine"]
    assert (tmp_path / "job.claim0").exists()


def test_an_error_gives_the_claim_up(tmp_path: Path) -> None:
    """Work that raises leaves nothing that others would have to wait for."""

    def broken() -> bytes:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        once(tmp_path, "job", broken)
    started = time.monotonic()
    assert once(tmp_path, "job", lambda: b"made") == b"made"
    assert time.monotonic() - started < module.PATIENCE / 2
