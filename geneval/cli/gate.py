"""`geneval gate`: what gates can see."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from geneval.cli import completion
from geneval.cli.arguments import Json

app = typer.Typer(
    help="Plan gates.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _group() -> None:
    """Plan gates."""


@app.command()
def plan(
    suite: Annotated[
        str, typer.Argument(help="A suite with gates.", autocompletion=completion.suites)
    ],
    baseline: Annotated[
        Path, typer.Option(help="A baseline file or run directory under that suite.")
    ],
    n: Annotated[
        int | None, typer.Option(min=2, help="Generated samples; the baseline's unless given.")
    ] = None,
    runs: Annotated[int, typer.Option("--runs-a-year", min=1, help="How often it runs.")] = 365,
    json_: Json = False,
) -> None:
    """Say what a suite's gates can see.

    For every gate: the smallest change for the worse that fails it with 80 % power, the n at which
    a model as good as the baseline passes with 80 % power, how often one passes at this n, and the
    false alarms to expect in a year.

    geneval gate plan nightly.suite.yaml --baseline baselines/main.json --n 2000
    """
    import json
    from dataclasses import asdict

    from geneval.baseline import load_baseline
    from geneval.cli.console import columns, printable
    from geneval.foresight import Foresight, foresee
    from geneval.gate import read_gates
    from geneval.suite import load_suite
    from geneval.value import shown

    chosen, found = load_suite(suite), load_baseline(baseline)
    gates = read_gates(chosen, found.book)
    foreseen = foresee(gates, found, n=n, alpha=chosen.alpha, runs=runs)
    if json_:
        print(json.dumps([asdict(one) for one in foreseen], allow_nan=False))
        return

    def row(one: Foresight) -> tuple[str, ...]:
        if one.detectable is None or one.passes is None or one.alarms is None:
            return one.gate, "", one.problem, "", "", ""
        needed = "no n will do" if one.needed is None else f"{one.needed:,}"
        passes, alarms = f"{100 * one.passes:.1f} %", f"{one.alarms:.2g}"
        return one.gate, f"{one.n:,}", shown(one.detectable), needed, passes, alarms

    head = ("gate", "n", "fails at", "n needed", "an equal model passes", "false alarms a year")
    lines = columns([head, *map(row, foreseen)]) if foreseen else ["no gates"]
    print("\n".join(lines))
    print(printable("fails at: the smallest change for the worse that fails with 80 % power"))
    print(printable("n needed: for a model equal to the baseline to pass with 80 % power"))
