"""The way in: each error of a command becomes one sentence and its exit code."""

from __future__ import annotations

import logging
import sys
import traceback
from typing import NoReturn

import typer

from geneval.cli.app import app
from geneval.errors import ExitCode, GenevalError

DEBUG = "--debug"  # anywhere on the command line: show the traceback of an error

INTERRUPTED = "interrupted; the same command goes on with the samples that were not extracted yet"


def run_app() -> NoReturn:
    """Run the command line; every error ends as one sentence on stderr and its exit code."""
    arguments = [argument for argument in sys.argv[1:] if argument != DEBUG]
    logging.getLogger("geneval").addHandler(_Said())
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


class _Said(logging.Handler):
    """What the engine warns of on the way, as a line for the person."""

    def emit(self, record: logging.LogRecord) -> None:
        """Say it once, on stderr."""
        from geneval.cli.console import say

        say(f"  warning: {record.getMessage()}")


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
