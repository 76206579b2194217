"""`geneval show`: one metric, suite or perturbation in full."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from geneval.cli import completion


class Kind(StrEnum):
    """What can be shown."""

    METRIC = "metric"
    SUITE = "suite"
    PERTURBATION = "perturbation"


def command(
    kind: Annotated[Kind, typer.Argument(help="metric, suite or perturbation.")],
    name: Annotated[str, typer.Argument(autocompletion=completion.shown)],
) -> None:
    """Show one metric, suite or perturbation in full.

    A metric with definition, outputs and options; a suite as it is resolved; a perturbation with
    its options at each severity.

    geneval show metric fid
    """
    from geneval.cli.console import printable

    shown = {Kind.METRIC: _metric, Kind.SUITE: _suite, Kind.PERTURBATION: _perturbation}
    text = shown[kind](name)
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


def _perturbation(name: str) -> str:
    from geneval.cli.console import columns
    from geneval.perturb.perturbation import find_perturbation

    spec = find_perturbation(name)
    lines = [f"{name} ({spec.kind})", "", spec.documentation, "", "Options"]
    lines += [f"  {option.described()}" for option in spec.options]
    lines.append("  for any perturbation: field" + (", severity" if spec.severity else ""))
    if spec.severity:
        own = spec.source or "this project's own"
        rows = [(option, *map(str, values)) for option, values in spec.severity.items()]
        lines += ["", f"Severities ({own})", *columns([("", *"12345"), *rows], "  ")]
    return "\n".join(lines)
