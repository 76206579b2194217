"""`geneval score`: evaluate the kept samples of a run again, without generating."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from geneval.cli import completion
from geneval.cli.arguments import Cache, Device, Format, Json, Out, Sets


def command(
    run: Annotated[Path, typer.Argument(help="A run directory with kept samples.")],
    suite: Annotated[
        str | None,
        typer.Option(
            help="Another suite; the run's own unless given.", autocompletion=completion.suites
        ),
    ] = None,
    reference: Annotated[Path | None, typer.Option(help="The run's own unless given.")] = None,
    train: Annotated[Path | None, typer.Option(help="The run's own unless given.")] = None,
    set_: Sets = None,
    out: Out = Path("runs"),
    device: Device = "auto",
    json_: Json = False,
    format_: Format = None,
    cache: Cache = None,
) -> None:
    """Evaluate a run's kept samples again.

    Nothing is generated; the run must have been made with `keep_samples: all`.

    geneval score runs/digits/step-004000/20260101T120000Z-1a2b3c4d --set metrics.kid.subsets=50
    """
    from geneval.cli.formats import chosen
    from geneval.cli.running import Invocation, run_all
    from geneval.ledger import Ledger, default_root
    from geneval.rescore import kept_run
    from geneval.value import Role

    others = {Role.REFERENCE: reference, Role.TRAIN: train}
    found = kept_run(run, suite, set_ or [], Ledger(cache or default_root()), others)
    sets = {role.value: path for role, path in found.sets.items()}
    given = {"samples": found.samples, "subject": found.subject, **sets}
    invocation = Invocation(found.suite, [], given, out, device, limit=found.limit)
    form = chosen(format_, json_)
    run_all(invocation, [{}], cache=cache, verify=False, dry_run=False, form=form)
