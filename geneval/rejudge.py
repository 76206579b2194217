"""Judging a stored result again: other gates, waivers or baselines, nothing computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from geneval.errors import UsageError, unknown
from geneval.gate import read_gates
from geneval.result import Document, Result
from geneval.suite import Suite, load_suite, overridden
from geneval.verdict import Judgement, judge, load_baselines

_MEASURED = ("metric", "options", "extractor", "by", "n")  # of an entry: what makes its values
_COMMON = ("extractor", "precision", "seed", "confidence")  # of a suite: the same for all entries


def judge_again(
    result: Result, suite: str | None = None, baselines: Mapping[str, str] | None = None
) -> Judgement:
    """The judgement on a result by its own suite or another, with these baselines by name.

    Raises `UsageError` for a suite that measures something else, naming the address.
    """
    chosen = own_suite(result.document) if suite is None else load_suite(suite)
    _require_measured(chosen, result.document)
    named = {**chosen.baselines, **(baselines or {})}
    chosen = chosen.model_copy(update={"baselines": named})
    gates = read_gates(chosen, result.book)
    strays = sorted(set(baselines or {}) - {gate.baseline for gate in gates})
    if strays:
        asked = sorted({gate.baseline for gate in gates if gate.baseline})
        raise UsageError(f"no gate asks for it: {unknown('baseline', strays[0], asked)}")
    return judge(gates, result, load_baselines(chosen), chosen.alpha)


def own_suite(document: Document, overrides: Sequence[str] = ()) -> Suite:
    """The suite of a result with the paths that stand in its provenance."""
    paths = {name: document.provenance.get(name) or {} for name in ("weights", "baselines")}
    here = Path(document.provenance.get("folder", ""))
    content = {
        part: {name: str(here / path) for name, path in named.items()}
        for part, named in paths.items()
    }
    return overridden({**document.suite.document, **content}, overrides)


def _require_measured(suite: Suite, document: Document) -> None:
    """Raise `UsageError` unless the suite's metrics are those of the result."""
    asked, there = suite.document, document.suite.document
    for name in _COMMON:
        if asked.get(name) != there.get(name):
            told = f"{name} is {asked.get(name)!r} in the suite, {there.get(name)!r} in the result"
            raise UsageError(f"{told}; judging computes nothing, run the suite instead")
    mine, theirs = ({one["key"]: _measured(one) for one in d["metrics"]} for d in (asked, there))
    for key in {**mine, **theirs}:
        if mine.get(key) != theirs.get(key):
            absent = "the suite" if key not in mine else "the result"
            differs = "is set otherwise in the result"
            told = differs if key in mine and key in theirs else f"is not in {absent}"
            raise UsageError(f"{key} {told}; judging computes nothing, run the suite instead")


def _measured(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: entry.get(name) for name in _MEASURED}
