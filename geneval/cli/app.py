"""The application and its commands."""

from __future__ import annotations

import sys

import typer

from geneval.cli import (
    baseline,
    cite,
    compare,
    demo,
    doctor,
    export,
    gate,
    import_,
    init,
    judge,
    listing,
    perturb,
    preferences,
    reference,
    report,
    run,
    score,
    show,
    verify,
    weights,
)
from geneval.errors import ExitCode

EXAMPLES = """Examples:

  geneval demo                                        evaluate real models, no download

  geneval run fid,kid --samples out/ --reference data/

  geneval run digits --checkpoint model.safetensors --adapter my_models:load

  geneval compare runs/digits/step-1000/* runs/digits/step-4000/*

Exit codes: 0 passed, 1 a gate failed, 2 wrong usage, 3 could not be evaluated. --debug, anywhere,
shows the traceback of an error.
"""

app = typer.Typer(
    help="Evaluate generative models: numbers with intervals, a verdict, a report.",
    epilog=EXAMPLES,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)
app.command("init")(init.command)
app.command("run")(run.command)
app.command("score")(score.command)
app.command("compare")(compare.command)
app.command("preferences")(preferences.command)
app.command("perturb")(perturb.command)
app.command("judge")(judge.command)
app.command("report")(report.command)
app.command("export")(export.command)
app.command("cite")(cite.command)
app.command("list")(listing.command)
app.command("show")(show.command)
app.command("doctor")(doctor.command)
app.command("demo")(demo.command)
app.command("verify")(verify.command)
app.add_typer(reference.app, name="reference")
app.add_typer(weights.app, name="weights")
app.add_typer(baseline.app, name="baseline")
app.add_typer(gate.app, name="gate")
app.add_typer(import_.app, name="import")


@app.callback(invoke_without_command=True)
def _version(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version and exit."),
) -> None:
    if version:
        from geneval import __version__

        print(f"geneval {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help(), file=sys.stderr)
        raise typer.Exit(ExitCode.USAGE)
