"""`geneval show`: one metric or suite in full."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from geneval.cli import completion


class Kind(StrEnum):
    """What can be shown."""

    METRIC = "metric"
    SUITE = "suite"


def command(
    kind: Annotated[Kind, typer.Argument(help="metric or suite.")],
    name: Annotated[str, typer.Argument(autocompletion=completion.metrics_and_suites)],
) -> None:
    """Show one metric or suite in full.

    A metric with definition, outputs and options; a suite as it is resolved.

    geneval show metric fid
    """
    from geneval.cli.console import printable

    text = _metric(name) if kind is Kind.METRIC else _suite(name)
    print("\n".join(printable(line) for line in text.split("\n")))


def _metric(name: str) -> str:
    from geneval.metric import find_metric

    spec = find_metric(name)
    lines = [
        f"{name} (version {spec.version}, {spec.chapter})",
        "",
        spec.documentation,
        "",
        "Outputs",
    ]
    for output in spec.outputs:
        low, high = ("∞" if end is None else f"{end:g}" for end in output.range)
        compared = f", compared by {output.compared_by}" if output.compared_by else ""
        low = "-∞" if low == "∞" else low
        lines.append(f"  {output.name}: {output.direction}, range {low} to {high}{compared}")
    lines += ["", "Options"]
    lines += [f"  {option.described()}" for option in spec.options]
    lines.append("  for any metric: as, extractor, by, n, optional")
    return "\n".join(lines)


def _suite(name: str) -> str:
    import yaml

    from geneval.suite import load_suite

    return yaml.safe_dump(load_suite(name).written, sort_keys=False, allow_unicode=True).rstrip()
