"""Samples that are compared without earlier runs: evaluated first, each under its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from geneval.cli.console import say
from geneval.cli.progress import progress
from geneval.errors import UsageError

if TYPE_CHECKING:
    from geneval.result import Result


def results(
    named: Sequence[str],
    suite: str | None,
    overrides: Sequence[str],
    reference: Path | None,
    out: Path,
    device: str,
) -> list[Result]:
    """The results at some paths; with a suite, those of samples written `NAME=PATH` or `PATH`."""
    from geneval.baseline import load_baseline

    if suite is not None:
        return _evaluated(suite, overrides, _places(named), reference, out, device)
    if overrides or reference is not None:
        raise UsageError("--set, --field and --reference are for samples: give --suite")
    return [load_baseline(Path(path)) for path in named]


def _evaluated(
    suite: str,
    overrides: Sequence[str],
    places: Mapping[str, Path],
    reference: Path | None,
    out: Path,
    device: str,
) -> list[Result]:
    """The results of samples by name, whose runs are kept below `out`."""
    import shlex
    import sys

    from geneval.checkpoint import step_of
    from geneval.evaluator import open_job
    from geneval.ledger import Ledger, default_root
    from geneval.reports.write import RUN_WRITERS
    from geneval.result import Subject
    from geneval.run import execute, resolve_device
    from geneval.suite import load_suite

    chosen, ledger, found = load_suite(suite, overrides), Ledger(default_root()), []
    place, command = resolve_device(device), shlex.join(["geneval", *sys.argv[1:]])
    jobs = [
        open_job(
            chosen,
            ledger,
            samples=path,
            subject=Subject(name, "samples", step=step_of(name)),
            device=place,
            origin={"command": command},
            reference=reference,
        )
        for name, path in places.items()
    ]
    for job in jobs:
        say(f"{job.subject.name} under {chosen.name}")
        found.append(execute(job, out, RUN_WRITERS, progress()).result)
    return found


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
