"""`geneval cite`: what a paper says of a result."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from geneval.cli.arguments import Json


def command(
    result: Annotated[Path, typer.Argument(help="A run directory or its result.json.")],
    json_: Json = False,
) -> None:
    """Print the sentence for a paper's method section and the BibTeX of what it rests on.

    geneval cite runs/adm/model/20260101T120000Z-1a2b3c4d
    """
    import json

    from geneval.cite import method, references
    from geneval.result import Result

    document = Result.load(result).document
    if json_:
        print(json.dumps({"method": method(document), "bibtex": references(document)}))
    else:
        print(f"{method(document)}\n\n{references(document)}")
