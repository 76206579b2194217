"""`geneval judge`: judge a stored result again, by its own gates or others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from geneval.cli import completion
from geneval.cli.arguments import Json


def command(
    result: Annotated[Path, typer.Argument(help="A run directory or its result.json.")],
    suite: Annotated[
        str | None,
        typer.Option(
            help="Another suite of the same metrics; the run's own unless given.",
            autocompletion=completion.suites,
        ),
    ] = None,
    baseline: Annotated[
        list[str] | None,
        typer.Option(help="Take a baseline from elsewhere: NAME=PATH; may be repeated."),
    ] = None,
    json_: Json = False,
) -> None:
    """Judge a stored result again.

    Nothing is computed: gates, waivers and baselines are applied to the values that are there.
    Verdicts and pages of the run directory are written anew.

    geneval judge runs/digits/step-004000/20260101T120000Z-1a2b3c4d --baseline last=main.json
    """
    import json

    from geneval.cli import outcome as printing
    from geneval.cli.arguments import named_paths
    from geneval.rejudge import judge_again
    from geneval.reports.write import RUN_WRITERS
    from geneval.result import Result
    from geneval.run import Outcome
    from geneval.verdict import write_judgement

    found = Result.load(result)
    assert found.directory is not None, "a result that was loaded lies somewhere"
    judgement = judge_again(found, suite, named_paths(baseline or [], "--baseline"))
    write_judgement(judgement, found.directory)
    for write in RUN_WRITERS:
        write(found.directory)
    outcome = Outcome(found, judgement, found.directory)
    if json_:
        print(json.dumps(printing.content([outcome]), allow_nan=False))
    else:
        print(printing.text(outcome))
    raise typer.Exit(judgement.exit_code)
