"""The application: its commands, and how each error becomes one sentence and an exit code."""

from __future__ import annotations

import sys
import traceback
from typing import NoReturn

import typer

from geneval.cli import compare, demo, doctor, listing, reference, report, run, score, show, weights
from geneval.cli import verify as verify_
from geneval.errors import ExitCode, GenevalError

DEBUG = "--debug"  # anywhere on the command line: show the traceback of an error

INTERRUPTED = "interrupted; the same command goes on with the samples that were not extracted yet"

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
app.command("run")(run.command)
app.command("score")(score.command)
app.command("compare")(compare.command)
app.command("report")(report.command)
app.command("list")(listing.command)
app.command("show")(show.command)
app.command("doctor")(doctor.command)
app.command("demo")(demo.command)
app.command("verify")(verify_.command)
app.add_typer(reference.app, name="reference")
app.add_typer(weights.app, name="weights")


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


def run_app() -> NoReturn:
    """Run the command line; every error ends as one sentence on stderr and its exit code."""
    arguments = [argument for argument in sys.argv[1:] if argument != DEBUG]
    try:
        code = app(arguments, prog_name="geneval", standalone_mode=False)
        if code == ExitCode.INTERRUPTED:
            _end(INTERRUPTED, ExitCode.INTERRUPTED)
    except typer.Abort:
        _end(INTERRUPTED, ExitCode.INTERRUPTED)
    except SystemExit as error:  # Typer's answer to a reader that has gone, or to completion
        sys.exit(ExitCode.PASSED if _reader_gone() else error.code)
    except GenevalError as error:
        _end(str(error), error.exit_code)
    except Exception as error:
        told = _usage(error)
        if told:
            _end(told, ExitCode.USAGE)
        _end(f"unexpected {type(error).__name__}: {error} ({DEBUG} shows where)", ExitCode.ERROR)
    sys.exit(code or ExitCode.PASSED)


def _reader_gone() -> bool:
    """Whether Typer has silenced stdout because nobody reads it any more."""
    return type(sys.stdout).__name__ == "PacifyFlushWrapper"


def _usage(error: Exception) -> str:
    """The sentence of an error in the arguments themselves, or ''."""
    told, context = getattr(error, "format_message", None), getattr(error, "ctx", None)
    if told is None:
        return ""
    command = context.command_path if context else "geneval"
    return f"{str(told()).rstrip('.')}; {command} --help shows what there is"


def _end(sentence: str, code: ExitCode) -> NoReturn:
    from geneval.cli.console import printable

    if DEBUG in sys.argv:
        traceback.print_exc()
    print(f"geneval: {printable(' '.join(sentence.split()))}", file=sys.stderr)
    sys.exit(code)
