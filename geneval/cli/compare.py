"""`geneval compare`: differences between results, or between samples, with intervals."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from geneval.cli.arguments import Device, Json, Sets


def command(
    results: Annotated[
        list[str],
        typer.Argument(help="Run directories or result.json files; with --suite, NAME=SAMPLES."),
    ],
    suite: Annotated[str | None, typer.Option(help="Evaluate samples under it first.")] = None,
    reference: Annotated[Path | None, typer.Option(help="Their reference.")] = None,
    field: Annotated[list[str] | None, typer.Option(help="Which column holds a field.")] = None,
    set_: Sets = None,
    device: Device = "auto",
    against: Annotated[
        str | None, typer.Option(help="Compare with this checkpoint; the first unless given.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the report; runs/<suite>/comparison unless given."),
    ] = None,
    json_: Json = False,
) -> None:
    """Compare the results of one suite.

    Values, ranks with ties, differences with intervals, trend over steps; writes a report.

    geneval compare runs/digits/step-001000/* runs/digits/step-004000/* --against step-004000

    geneval compare --suite translation A=a.jsonl B=b.jsonl
    """
    import json

    from geneval.cli import comparing, fresh
    from geneval.compare import compare, to_json
    from geneval.errors import ExitCode
    from geneval.reports.write import write_comparison
    from geneval.rundir import folder_name

    overrides = [*(set_ or []), *(f"samples.fields.{named}" for named in field or [])]
    runs = out or Path("runs")
    found = compare(fresh.results(results, suite, overrides, reference, runs, device), against)
    page = write_comparison(found, out or Path("runs") / folder_name(found.suite) / "comparison")
    print(json.dumps(to_json(found)) if json_ else comparing.text(found, page))
    raise typer.Exit(ExitCode.ERROR if found.problems else ExitCode.PASSED)
