"""`geneval weights`: which weights there are, fetch them, add them, check them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="List, fetch, add or verify the weights of extractors.",
    no_args_is_help=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Name = Annotated[str, typer.Argument(help="An extractor: inception-v3")]


@app.command("list")
def list_() -> None:
    """List the weights that extractors need, and where they are.

    geneval weights list
    """
    from geneval.cli.console import columns
    from geneval.extractors.weights import PUBLISHED, present, unpublished

    rows = []
    for name, published in PUBLISHED.items():
        absent = f"absent; published at {published.url}"
        rows.append((name, published.digest[:16], str(present(name) or absent)))
    rows += [(path.stem, "", f"{path} (published nowhere)") for path in unpublished()]
    print("\n".join(columns(rows)))


@app.command()
def pull(
    name: Name,
    offline: Annotated[bool, typer.Option("--offline", help="Never use the network.")] = False,
) -> None:
    """Fetch the published weights of an extractor, checked by SHA-256.

    geneval weights pull inception-v3
    """
    import os

    from geneval.extractors import weights

    if offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    print(weights.pull(name))


@app.command()
def add(
    name: Name,
    path: Annotated[Path, typer.Argument(help="A .safetensors, .pth or .pt file.")],
    other: Annotated[
        bool, typer.Option("--other", help="Take weights that are not the published ones.")
    ] = False,
) -> None:
    """Keep a file as the weights of an extractor.

    geneval weights add inception-v3 weights-inception-2015-12-05-6726825d.pth
    """
    from geneval.extractors import weights

    print(weights.add(name, path, other))


@app.command()
def verify(name: Name) -> None:
    """Say whether the weights found are the published ones; exits with 1 when they are not.

    geneval weights verify inception-v3
    """
    from geneval.errors import ExitCode, UsageError
    from geneval.extractors.weights import doubts, present, published
    from geneval.ledger import file_digest

    known, path = published(name), present(name)
    if path is None:
        raise UsageError(f"weights of {name} not found; they are published at {known.url}")
    said = doubts(name, file_digest(path))
    print(said[0] if said else f"{path}: the published weights of {name}")
    raise typer.Exit(ExitCode.FAILED if said else ExitCode.PASSED)
