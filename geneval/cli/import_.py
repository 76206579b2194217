"""`geneval import`: logs of other harnesses as records that every command reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from geneval.imports.records import Imported

app = typer.Typer(
    help="Make records of another harness' logs, with its scores as columns.",
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Out = Annotated[Path, typer.Option(help="The .jsonl to write.")]


@app.command("lm-eval")
def lm_eval(
    files: Annotated[list[Path], typer.Argument(help="samples_<task>_<date>.jsonl of a run.")],
    out: Out,
    filter_: Annotated[
        str | None, typer.Option("--filter", help="Only the records of this filter.")
    ] = None,
) -> None:
    """Import samples that lm-evaluation-harness logged with --log_samples.

    geneval import lm-eval samples_gsm8k_*.jsonl --filter strict-match --out samples.jsonl

    geneval run exact_match --samples samples.jsonl
    """
    from geneval.imports.lm_eval import read_lm_eval

    _write(read_lm_eval(files, filter_), out)


@app.command("inspect")
def inspect(
    logs: Annotated[list[Path], typer.Argument(help="Logs of one task, .eval or .json.")],
    out: Out,
    epochs_apart: Annotated[
        bool, typer.Option("--epochs-apart", help="A record for each epoch, not for each sample.")
    ] = False,
) -> None:
    """Import logs of Inspect.

    geneval import inspect logs/*.eval --out samples.jsonl
    """
    from geneval.imports.inspect_ai import read_inspect

    _write(read_inspect(logs, epochs_apart), out)


def _write(found: Imported, out: Path) -> None:
    from geneval.cli.console import say
    from geneval.imports.records import write_records

    write_records(found, out)
    for note in found.notes:
        say(note)
    print(f"{found.read:,} samples in, {len(found.records):,} records out: {out}")
