"""How outcomes are printed: as text, as JSON, as files that CI systems read."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from geneval.cli import outcome as printing
from geneval.cli.arguments import Form
from geneval.cli.console import say
from geneval.errors import UsageError

if TYPE_CHECKING:
    from geneval.run import Outcome


def chosen(form: Form | None, as_json: bool) -> Form:
    """The form that `--format` and `--json` ask for together."""
    if as_json and form not in (None, Form.JSON):
        raise UsageError(f"give either --json or --format {form}")
    return Form.JSON if as_json else form or Form.TEXT


def show(outcomes: Sequence[Outcome], form: Form) -> None:
    """Print what is of all outcomes at once; tell GitHub Actions where it is at work."""
    if form is Form.JSON:
        print(json.dumps(printing.content(outcomes), allow_nan=False))
    elif form is Form.JUNIT:
        from geneval.reports import junit

        xml = junit.render_all((one.result.document, one.judgement) for one in outcomes)
        print(xml.decode())
    elif form is Form.MARKDOWN:
        print(_markdown(outcomes), end="")
    _tell_github(outcomes, form)


def _tell_github(outcomes: Sequence[Outcome], form: Form) -> None:
    """Annotations on stderr and the step's summary, where GitHub Actions or the form asks."""
    import sys

    from geneval.reports import github

    if form is Form.GITHUB or os.environ.get("GITHUB_ACTIONS") == "true":
        for line in github.workflow_commands(
            (one.result.document, one.judgement) for one in outcomes
        ):
            print(line, file=sys.stderr, flush=True)
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        try:
            github.append_summary(Path(summary), _markdown(outcomes))
        except OSError as error:
            say(f"the step summary {summary} cannot be written: {error.strerror}")


def _markdown(outcomes: Sequence[Outcome]) -> str:
    """The summaries of all outcomes that have a run directory."""
    from geneval.reports.markdown import render_run
    from geneval.reports.rundoc import run_view

    directories = [one.directory for one in outcomes if one.directory is not None]
    return "\n".join(render_run(run_view(directory)) for directory in directories)
