"""`geneval compare`: differences between results, with intervals."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from geneval.cli.arguments import Json


def command(
    results: Annotated[list[Path], typer.Argument(help="Run directories or result.json files.")],
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
    """
    import json

    from geneval.cli import comparing
    from geneval.compare import compare, to_json
    from geneval.errors import ExitCode
    from geneval.reports.write import write_comparison
    from geneval.result import Result
    from geneval.rundir import folder_name

    found = compare([Result.load(path) for path in results], against)
    page = write_comparison(found, out or Path("runs") / folder_name(found.suite) / "comparison")
    print(json.dumps(to_json(found)) if json_ else comparing.text(found, page))
    raise typer.Exit(ExitCode.ERROR if found.problems else ExitCode.PASSED)
