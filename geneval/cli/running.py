"""What `run` and `score` share: open, plan or execute, print, exit."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from geneval.cli import outcome as printing
from geneval.cli import planning
from geneval.cli.arguments import Form
from geneval.cli.console import say
from geneval.cli.formats import show
from geneval.cli.progress import progress
from geneval.evaluator import open_job
from geneval.extractors.weights import PUBLISHED, pull
from geneval.ledger import Ledger, default_root
from geneval.reports.write import RUN_WRITERS
from geneval.run import Job, Outcome, execute, resolve_device
from geneval.suite import Suite, load_suite


@dataclass(frozen=True)
class Invocation:
    """What all subjects of one command have in common."""

    suite: str | Suite
    overrides: Sequence[str]
    given: Mapping[str, Any]
    out: Path
    device: str
    limit: int | None = None
    workers: int = 0
    offline: bool = False


def run_all(
    invocation: Invocation,
    subjects: Sequence[Mapping[str, Any]],
    *,
    cache: Path | None,
    verify: bool,
    dry_run: bool,
    form: Form,
) -> None:
    """Plan every subject before the first is run; then run, print and exit with the worst code."""
    if invocation.offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    suite = invocation.suite
    if not isinstance(suite, Suite):
        suite = load_suite(suite, invocation.overrides)
    ledger = Ledger(cache or default_root(), verify)
    device = resolve_device(invocation.device)
    command = shlex.join(["geneval", *sys.argv[1:]])
    jobs = [
        open_job(
            suite,
            ledger,
            **invocation.given,
            **subject,
            device=device,
            limit=invocation.limit,
            workers=invocation.workers,
            origin={"command": command, "offline": invocation.offline},
            fetch=None if dry_run else fetch,
        )
        for subject in subjects
    ]
    if dry_run:
        plans = [planning.plan(job) for job in jobs]
        texts = "\n\n".join(planning.text(plan) for plan in plans)
        print(json.dumps({"plans": plans}) if form is Form.JSON else texts)
        return
    as_text = form in (Form.TEXT, Form.GITHUB)
    outcomes = [_run(job, invocation.out, as_text) for job in jobs]
    show(outcomes, form)
    if as_text and len(outcomes) > 1:
        say("compare them: geneval compare " + shlex.join(str(one.directory) for one in outcomes))
    raise typer.Exit(printing.worst_code(outcomes))


def fetch(name: str) -> None:
    """Bring the published weights of an extractor, and say so."""
    say(f"fetching the weights of {name} from {PUBLISHED[name].url}")
    pull(name)


def _run(job: Job, out: Path, as_text: bool) -> Outcome:
    say(f"{job.subject.name} under {job.suite.name}")
    found = execute(job, out, RUN_WRITERS, progress())
    if as_text:
        print(printing.text(found), flush=True)
    return found
