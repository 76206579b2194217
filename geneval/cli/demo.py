"""`geneval demo`: evaluate real models on real data, without a download."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    out: Annotated[Path, typer.Option(help="Where data, runs and reports go.")] = Path("runs"),
) -> None:
    """Evaluate real models, no download needed.

    Four shipped generators of handwritten digits are evaluated and compared.

    Exits with 0 exactly when the expected verdicts came out.

    geneval demo --out /tmp/demo
    """
    from geneval.cli.progress import progress
    from geneval.errors import ExitCode
    from geneval.examples.digits.demo import run_demo
    from geneval.rundir import require_writable

    require_writable(out)
    as_expected = run_demo(out, progress())
    raise typer.Exit(ExitCode.PASSED if as_expected else ExitCode.FAILED)
