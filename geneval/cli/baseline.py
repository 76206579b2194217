"""`geneval baseline`: make, list, show and compare what gates compare with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from geneval.cli.arguments import Json

app = typer.Typer(
    help="Make, list, show and compare baselines, which are small files to commit.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Folder = Annotated[Path, typer.Option("--dir", help="Where baselines lie.")]
Which = Annotated[str, typer.Argument(help="A baseline's name or file, or a run directory.")]


@app.command("set")
def set_(
    result: Annotated[Path, typer.Argument(help="A run directory.")],
    reason: Annotated[str, typer.Option(help="Why it becomes the baseline.")],
    name: Annotated[str, typer.Option(help="The baseline's name.")] = "main",
    directory: Folder = Path("baselines"),
    force: Annotated[
        bool, typer.Option("--force", help="Even while a gate against `anchor` is not passed.")
    ] = False,
    allow_ci: Annotated[
        bool, typer.Option("--allow-ci", help="Even where the variable CI is set.")
    ] = False,
) -> None:
    """Make a result a baseline.

    Writes NAME.json and the scores per sample beside it; commit both.

    geneval baseline set runs/nightly/step-1000/20260101T120000Z-1a2b3c4d --reason "release 2"
    """
    from geneval.promote import promote
    from geneval.result import Result

    found = Result.load(result)
    print(promote(found, reason, name=name, directory=directory, force=force, allow_ci=allow_ci))


@app.command("list")
def list_(directory: Folder = Path("baselines")) -> None:
    """List the baselines of a folder.

    geneval baseline list
    """
    from geneval.cli.baselining import listing

    print("\n".join(listing(directory)))


@app.command()
def show(which: Which, directory: Folder = Path("baselines")) -> None:
    """Show a baseline with its values.

    geneval baseline show main
    """
    from geneval.cli.baselining import in_full, path_of

    print("\n".join(in_full(path_of(which, directory))))


@app.command()
def diff(a: Which, b: Which, directory: Folder = Path("baselines"), json_: Json = False) -> None:
    """Compare baseline B with baseline A.

    geneval baseline diff main baselines/candidate.json
    """
    import json

    from geneval.baseline import load_baseline
    from geneval.cli.baselining import path_of
    from geneval.cli.comparing import differences
    from geneval.compare import compare, to_json

    found = compare([load_baseline(path_of(which, directory)) for which in (a, b)])
    print(json.dumps(to_json(found)) if json_ else "\n".join(differences(found)))
