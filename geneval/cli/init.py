"""`geneval init`: a first suite for the samples there are, and the workflow that runs it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Ci(StrEnum):
    """CI systems that a workflow can be written for."""

    GITHUB = "github"
    GITLAB = "gitlab"


def command(
    samples: Annotated[Path, typer.Option(help="Samples to fit the suite to.")],
    reference: Annotated[Path | None, typer.Option(help="Their reference.")] = None,
    ci: Annotated[Ci | None, typer.Option(help="Write the workflow of this system too.")] = None,
    out: Annotated[Path, typer.Option(help="Where the suite goes.")] = Path("quality.suite.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is there.")] = False,
) -> None:
    """Write a first suite for these samples.

    It has the metrics that the samples allow, runs as it is, and waits for gates.

    geneval init --samples out/ --reference data/ --ci github
    """
    from geneval.errors import UsageError
    from geneval.first_suite import WORKFLOWS, look, suite_text, workflow_text, write_new
    from geneval.ledger import Ledger, default_root

    found = look(samples, reference, Ledger(default_root()))
    files = {out: suite_text(found, out)}
    if ci is not None:
        files[Path(WORKFLOWS[ci.value])] = workflow_text(ci.value, out)
    there = [path for path in files if path.exists() and not force]
    if there:
        raise UsageError(f"{there[0]} exists; --force overwrites it")
    for path, text in files.items():
        write_new(path, text, force)
        print(path)
    print(f"next: geneval run {out}")
