"""`geneval report`: write the pages of a run directory again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    result: Annotated[Path, typer.Argument(help="A run directory.")],
) -> None:
    """Write the pages of a run directory again.

    These are report.html, summary.md and junit.xml.

    geneval report runs/digits/step-004000/20260101T120000Z-1a2b3c4d
    """
    from geneval.errors import UsageError
    from geneval.reports.write import RUN_WRITERS
    from geneval.result import RESULT_FILE

    directory = result.parent if result.name == RESULT_FILE else result
    if not (directory / RESULT_FILE).is_file():
        raise UsageError(f"{result} is no run directory: it has no {RESULT_FILE}")
    for write in RUN_WRITERS:
        write(directory)
    print(directory / "report.html")
