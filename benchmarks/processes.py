"""Whole processes timed in turn: tool A, tool B, tool A again, so that drift hits both.

Absolute times are of the machine at hand; ratios of medians are the point.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Timing:
    """What the runs of one command took: seconds, and the most memory a process held, in bytes."""

    seconds: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Median seconds."""
        return statistics.median(self.seconds)

    @property
    def peak(self) -> float:
        """Median of the peaks, in MiB."""
        return statistics.median(self.memory) / 2**20


def timed(
    command: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> tuple[float, int]:
    """Seconds and peak resident bytes of one process; it must end well."""
    started = time.perf_counter()
    process = subprocess.Popen(
        list(command),
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    told = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}:\n{told.decode()}")
    return time.perf_counter() - started, usage.ru_maxrss * 1024


def alternating(
    commands: Mapping[str, Callable[[int], Sequence[str]]],
    rounds: int,
    folder: Path,
    environment: Mapping[str, str],
) -> dict[str, Timing]:
    """Every command once a round, each made for the round's number."""
    found = {name: Timing() for name in commands}
    for attempt in range(rounds):
        for name, make in commands.items():
            seconds, memory = timed(make(attempt), folder, environment)
            found[name].seconds.append(seconds)
            found[name].memory.append(memory)
            print(f"  round {attempt + 1}: {name} {seconds:.1f} s", file=sys.stderr, flush=True)
    return found


def geneval(*words: str) -> list[str]:
    """A command line of geneval in this environment."""
    return [sys.executable, "-m", "geneval", *words]
