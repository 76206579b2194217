"""`geneval list`: what there is to use."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from geneval.cli.arguments import Json


class Kind(StrEnum):
    """What can be listed."""

    METRICS = "metrics"
    SUITES = "suites"
    EXTRACTORS = "extractors"
    PERTURBATIONS = "perturbations"


def command(
    kind: Annotated[Kind, typer.Argument(help="What to list.")],
    json_: Json = False,
) -> None:
    """List metrics, suites, extractors or perturbations.

    geneval list metrics
    """
    import json

    from geneval.cli.console import columns

    rows = {
        Kind.METRICS: _metrics,
        Kind.SUITES: _suites,
        Kind.EXTRACTORS: _extractors,
        Kind.PERTURBATIONS: _perturbations,
    }[kind]()
    if json_:
        print(json.dumps([dict(zip(("name", "of", "what"), row, strict=True)) for row in rows]))
    else:
        print("\n".join(columns(rows)))


def _metrics() -> list[tuple[str, str, str]]:
    from geneval.metric import all_metrics

    return [
        (name, spec.chapter, spec.documentation.split("\n")[0])
        for name, spec in all_metrics().items()
    ]


def _suites() -> list[tuple[str, str, str]]:
    from geneval.suite import load_suite
    from geneval.suite_file import shipped_suites

    found = {name: load_suite(name) for name in shipped_suites()}
    return [(name, f"{len(s.metrics)} metrics", s.description) for name, s in found.items()]


def _extractors() -> list[tuple[str, str, str]]:
    from geneval.extractors.extractor import all_extractors

    specs = all_extractors().items()
    return [(name, ", ".join(o.name for o in s.options), s.documentation) for name, s in specs]


def _perturbations() -> list[tuple[str, str, str]]:
    from geneval.perturb.perturbation import all_perturbations

    specs = all_perturbations().items()
    return [(name, spec.kind, spec.documentation.split("\n")[0]) for name, spec in specs]
