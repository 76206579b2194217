"""`geneval compare`: differences between results, or between samples, with intervals."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from geneval.cli.arguments import Device, Json, Sets

if TYPE_CHECKING:
    from geneval.compare import Comparison


class Format(StrEnum):
    """How the comparison is printed."""

    TEXT = "text"
    MARKDOWN = "markdown"
    LATEX = "latex"
    CSV = "csv"
    JSON = "json"


def command(
    results: Annotated[
        list[str],
        typer.Argument(
            help="Run directories, result.json or baseline files; with --suite, NAME=SAMPLES."
        ),
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
    margin: Annotated[
        str | None, typer.Option(help="Differences within it do not matter: 5% or 0.1.")
    ] = None,
    format_: Annotated[
        Format, typer.Option("--format", help="Text, or a table with the tie group in bold.")
    ] = Format.TEXT,
    json_: Json = False,
) -> None:
    """Compare the results of one suite.

    Values, ranks with ties, differences with intervals and tiers, trend over steps; writes a
    report.

    geneval compare runs/digits/step-001000/* runs/digits/step-004000/* --against step-004000

    geneval compare --suite translation A=a.jsonl B=b.jsonl
    """
    from geneval.cli import fresh
    from geneval.compare import compare
    from geneval.errors import ExitCode
    from geneval.reports.write import write_comparison
    from geneval.rundir import folder_name

    overrides = [*(set_ or []), *(f"samples.fields.{named}" for named in field or [])]
    runs = out or Path("runs")
    named = fresh.results(results, suite, overrides, reference, runs, device)
    found = compare(named, against, _number(margin))
    page = write_comparison(found, out or Path("runs") / folder_name(found.suite) / "comparison")
    print(_printed(found, page, Format.JSON if json_ else format_))
    raise typer.Exit(ExitCode.ERROR if found.problems else ExitCode.PASSED)


def _number(margin: str | None) -> float | str | None:
    """A margin as a number, where it is written as one."""
    try:
        return None if margin is None else float(margin)
    except ValueError:
        return margin


def _printed(found: Comparison, page: Path, how: Format) -> str:
    import json

    from geneval.cli import comparing
    from geneval.compare import to_json
    from geneval.reports import tables

    if how is Format.JSON:
        return json.dumps(to_json(found))
    if how is Format.TEXT:
        return comparing.text(found, page)
    render = {Format.LATEX: tables.latex, Format.MARKDOWN: tables.markdown}
    return render.get(how, tables.as_csv)(found)
