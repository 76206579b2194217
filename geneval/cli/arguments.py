"""Options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Form(StrEnum):
    """What a command prints its outcomes as."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"
    JUNIT = "junit"
    MARKDOWN = "markdown"


Sets = Annotated[
    list[str] | None,
    typer.Option("--set", help="Override a suite key: metrics.kid.subsets=50; may be repeated."),
]
Out = Annotated[Path, typer.Option(help="Where run directories go.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, mps or openvino.")]
Precision = Annotated[
    str | None, typer.Option(help="Of networks: fp32, or bf16, which stands in every signature.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Format = Annotated[
    Form | None,
    typer.Option(
        "--format", help="Print text, JSON, JUnit XML, Markdown, or text with GitHub's annotations."
    ),
]
Workers = Annotated[int, typer.Option(min=0, help="Processes for extraction; 0 is this one.")]
Verify = Annotated[bool, typer.Option("--verify", help="Hash the data again, trust no manifest.")]
Cache = Annotated[Path | None, typer.Option(help="The ledger's folder.", envvar="GENEVAL_CACHE")]


def named_paths(given: list[str], option: str) -> dict[str, str]:
    """`NAME=PATH` of an option that may be repeated; raises `UsageError`."""
    from geneval.errors import UsageError

    found = {}
    for one in given:
        name, parted, path = one.partition("=")
        if not (name and parted and path) or name in found:
            raise UsageError(f"{option} {one}: write NAME=PATH, each name once")
        found[name] = path
    return found
