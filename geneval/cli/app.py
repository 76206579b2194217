"""The application: its commands, and how errors become one sentence and an exit code."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import typer

from geneval.cli import compare, demo, doctor, listing, report, run, score, show
from geneval.errors import ExitCode, GenevalError

EXAMPLES = """Examples:

  geneval demo                                        evaluate real models, no download

  geneval run fid,kid --samples out/ --reference data/

  geneval run digits --checkpoint model.safetensors --adapter my_models:load

  geneval compare runs/digits/step-1000/* runs/digits/step-6000/*

Exit codes: 0 passed, 1 a gate failed, 2 wrong usage, 3 could not be evaluated. --debug, anywhere,
shows the traceback of an error.
"""

app = typer.Typer(
    help="Evaluate generative models: numbers with intervals, a verdict, a report.",
    epilog=EXAMPLES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)
app.command("run")(run.command)
app.command("score")(score.command)
app.command("compare")(compare.command)
app.command("report")(report.command)
app.command("list")(listing.command)
app.command("show")(show.command)
app.command("doctor")(doctor.command)
app.command("demo")(demo.command)


@app.callback(invoke_without_command=True)
def _version(
    version: bool = typer.Option(False, "--version", help="Print the version and exit."),
) -> None:
    if version:
        from geneval import __version__

        print(f"geneval {__version__}")
        raise typer.Exit


def run_app() -> NoReturn:
    """Run the command line; every error ends as one sentence on stderr and its exit code."""
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        app(arguments, prog_name="geneval")
    except KeyboardInterrupt:
        _end("interrupted", ExitCode.INTERRUPTED, debug)
    except GenevalError as error:
        _end(str(error), error.exit_code, debug)
    except BrokenPipeError:  # the reader of our output has gone; that is its business
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115
        sys.exit(ExitCode.PASSED)
    except Exception as error:
        told = f"unexpected {type(error).__name__}: {error} (--debug shows where)"
        _end(told, ExitCode.ERROR, debug)
    sys.exit(ExitCode.PASSED)


def _end(sentence: str, code: ExitCode, debug: bool) -> NoReturn:
    from geneval.cli.console import printable

    if debug:
        raise
    print(f"geneval: {printable(sentence)}", file=sys.stderr)
    sys.exit(code)
