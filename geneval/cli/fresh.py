"""Samples that are compared without earlier runs: evaluated first, each under its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geneval.cli.console import progress, say
from geneval.errors import UsageError

if TYPE_CHECKING:
    from geneval.result import Result


def evaluated(
    suite: str,
    overrides: Sequence[str],
    named: Sequence[str],
    given: Mapping[str, Any],
    out: Path,
    device: str,
) -> list[Result]:
    """The results of samples written `NAME=PATH` or `PATH`, whose runs are kept below `out`."""
    import shlex
    import sys

    from geneval.checkpoint import step_of
    from geneval.evaluator import open_job
    from geneval.ledger import Ledger, default_root
    from geneval.reports.write import RUN_WRITERS
    from geneval.result import Subject
    from geneval.run import execute, resolve_device
    from geneval.suite import load_suite

    chosen, ledger, results = load_suite(suite, overrides), Ledger(default_root()), []
    place, command = resolve_device(device), shlex.join(["geneval", *sys.argv[1:]])
    jobs = [
        open_job(
            chosen,
            ledger,
            samples=path,
            subject=Subject(name, "samples", step=step_of(name)),
            device=place,
            origin={"command": command},
            **given,
        )
        for name, path in _places(named).items()
    ]
    for job in jobs:
        say(f"{job.subject.name} under {chosen.name}")
        results.append(execute(job, out, RUN_WRITERS, progress()).result)
    return results


def _places(named: Sequence[str]) -> dict[str, Path]:
    """The samples by name; `=` parts the two, unless the whole is a path that exists."""
    found: dict[str, Path] = {}
    for one in named:
        name, parted, path = one.partition("=")
        if not parted or Path(one).exists():
            name, path = Path(one).stem, one
        if not name or not path:
            raise UsageError(f"{one}: write NAME=PATH")
        if name in found:
            raise UsageError(f"{one}: {name} is named twice; write NAME=PATH")
        found[name] = Path(path)
    return found
