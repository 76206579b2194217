"""A result for a model's page on the Hugging Face Hub.

`model-index` is the metadata of a model card (the head of README.md), `eval-results` the entries of
a file in `.eval_results/`. Both name the data set that was evaluated on. A value goes with its
interval, n and signature; one with a problem does not go at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from geneval import __version__
from geneval.errors import UsageError
from geneval.result import Result
from geneval.value import Value, shown

TASKS: Mapping[str, str] = {  # the Hub's tasks, by the kind of samples
    "images": "unconditional-image-generation",
    "image-text": "text-to-image",
    "texts": "text-generation",
}


def model_index(
    result: Result,
    addresses: Sequence[str],
    dataset: str,
    *,
    task: str | None = None,
    revision: str | None = None,
) -> dict[str, Any]:
    """The metadata of a model card; without `addresses` every value that is a number."""
    kind = result.document.suite.document.get("samples", {}).get("kind", "images")
    data = {"name": dataset, "type": dataset, **({"revision": revision} if revision else {})}
    metrics = [
        {
            "type": value.metric,
            "name": value.address,
            "value": value.number,
            "args": {"about": _about(value), "signature": value.signature.line()},
        }
        for value in _chosen(result, addresses)
    ]
    found = {"task": {"type": task or TASKS[kind]}, "dataset": data, "metrics": metrics}
    return {"model-index": [{"name": result.name, "results": [found]}]}


def eval_results(
    result: Result, addresses: Sequence[str], dataset: str, *, revision: str | None = None
) -> list[dict[str, Any]]:
    """The entries of a file in `.eval_results/`, whose task is the value's address."""
    started = result.document.provenance.get("started")
    return [
        {
            "dataset": {
                "id": dataset,
                "task_id": value.address,
                **({"revision": revision} if revision else {}),
            },
            "value": value.number,
            **({"date": started} if started else {}),
            "notes": f"{_about(value)}; {value.signature.line()}; geneval {__version__}",
        }
        for value in _chosen(result, addresses)
    ]


def _chosen(result: Result, addresses: Sequence[str]) -> list[Value]:
    """The values to hand on; raises `UsageError` for one that is no number, or a partial run."""
    if result.document.partial is not None:
        raise UsageError("the run is partial (--limit) and is not published")
    try:
        asked = [result[address] for address in addresses]
    except KeyError as error:
        raise UsageError(str(error.args[0])) from None
    for value in asked:
        if value.number is None:
            raise UsageError(f"{value.address} is no number: {value.problem}")
    found = asked or [value for value in result.values() if value.number is not None]
    if not found:
        raise UsageError(f"{result.name} has no value that is a number")
    return found


def _about(value: Value) -> str:
    """Interval and counts in words."""
    counts = ", ".join(f"n {role} {'?' if n is None else n}" for role, n in value.n.items())
    if value.interval is None:
        return counts
    low, high = shown(value.interval.low), shown(value.interval.high)
    return f"[{low}, {high}] at {value.interval.level:.0%}, {counts}"
