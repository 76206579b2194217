"""Builders of values, results, gates and metrics that several tests of the harness share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import geneval.metric
from geneval.errors import UsageError
from geneval.evaluator import open_job
from geneval.gate import Gate, read_gates
from geneval.ledger import Ledger
from geneval.metric import MetricSpec, all_metrics
from geneval.resample import quantile
from geneval.result import (
    Document,
    MetricResult,
    Result,
    SetNote,
    Subject,
    SuiteNote,
    evidence_note,
)
from geneval.run import Outcome, execute
from geneval.signature import Signature, digest
from geneval.suite import Suite, load_suite
from geneval.value import AddressBook, Evidence, Interval, OutputSpec, Role, Value, parse_address

MakeValue = Callable[..., Value]
MakeResult = Callable[..., Result]


@pytest.fixture(scope="session")
def make_value() -> MakeValue:
    """Build a value at an address; `se` gives it a 95 % interval, `problem` takes its number."""

    def build(
        address: str = "score",
        number: float | None = 1.0,
        *,
        se: float | None = None,
        n: int | None = 100,
        counts: Mapping[Role, int | None] | None = None,
        direction: str = "higher",
        compared_by: str = "",
        unit: str = "",
        fields: Mapping[str, Any] | None = None,
        exact_n: bool = False,
        evidence: Mapping[Role, Evidence] | None = None,
        problem: str | None = None,
        **more: Any,
    ) -> Value:
        name, at = parse_address(address)
        key, _, output = name.partition(".")
        declared = {"metric": key, "ext": "digits", "n": n, "ref": "9f3a" * 16, "v": 1}
        if problem:
            number = None
        interval = None
        if number is not None and se is not None:
            half = quantile(0.95) * se
            interval = Interval(number - half, number + half, 0.95, "made", "population")
        reason = "none was made" if number is not None and interval is None else None
        return Value(
            **{
                "number": number,
                "problem": problem,
                "n": counts or {Role.GENERATED: n},
                "interval": interval,
                "no_interval": reason,
                "at": at,
                "address": address,
                "key": key,
                "metric": key,
                "spec": OutputSpec(output or key, direction, unit, compared_by=compared_by),
                "signature": Signature(tuple({**declared, **(fields or {})}.items()), exact_n),
                "inputs": digest("samples"),
                "evidence": {r: evidence_note(e, address) for r, e in (evidence or {}).items()},
                **more,
            }
        )

    return build


@pytest.fixture(scope="session")
def make_result() -> MakeResult:
    """Build a result of values; evidence is given by address."""

    def build(
        values: Sequence[Value],
        name: str = "model",
        *,
        seed: int | None = None,
        step: int | None = None,
        evidence: Mapping[str, Mapping[Role, Evidence]] | None = None,
        suite: str = "quality",
        suite_document: Mapping[str, Any] | None = None,
        failed: Mapping[str, str] | None = None,
        optional: Sequence[str] = (),
        **more: Any,
    ) -> Result:
        by_key: dict[str, list[Value]] = {key: [] for key in failed or {}}
        for value in values:
            by_key.setdefault(value.key, []).append(value)
        metrics = []
        for key, its in by_key.items():
            problems = [v.problem for v in its if v.problem] + [(failed or {}).get(key, "")]
            reason = "; ".join(filter(None, problems))
            outputs = tuple(dict.fromkeys(value.spec.name for value in its)) or (key,)
            metrics.append(
                MetricResult(
                    key=key,
                    metric=its[0].metric if its else key,
                    chapter="fidelity",
                    outputs=outputs,
                    status="failed" if reason else "ok",
                    reason=reason,
                    values=tuple(its),
                    optional=key in optional,
                )
            )
        document = Document(
            suite=SuiteNote(suite, digest(suite_document or {}), suite_document or {}),
            subject=Subject(name, "checkpoint", digest(name), step, seed),
            sets={Role.GENERATED: SetNote(100, digest([name, "samples"]))},
            metrics=tuple(metrics),
            **more,
        )
        return Result(document, evidence or {})

    return build


@pytest.fixture(scope="session")
def make_scored(make_value: MakeValue, make_result: MakeResult) -> MakeResult:
    """Build a result with one value that is the mean of a score per generated sample."""

    def build(
        scores: Any,
        name: str = "model",
        *,
        ids: Sequence[str] | None = None,
        pair_by: str | None = None,
        address: str = "score",
        reference: Evidence | None = None,
        value: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> Result:
        rows = np.asarray(scores, dtype=np.float64)
        names = tuple(ids) if ids is not None else tuple(f"{i:05d}" for i in range(len(rows)))
        evidence = {Role.GENERATED: Evidence("scores", names, rows)}
        if reference is not None:
            evidence[Role.REFERENCE] = reference
        se = float(rows.std(ddof=1) / np.sqrt(len(rows))) if len(rows) > 1 else None
        described = {"n": len(rows), "se": se, **(value or {})}
        made = make_value(address, float(rows.mean()), evidence=evidence, **described)
        document = {"pair_by": pair_by} if pair_by else {}
        more.setdefault("suite_document", document)
        return make_result([made], name, evidence={address: evidence}, **more)

    return build


@pytest.fixture(scope="session")
def make_gates() -> Callable[..., tuple[Gate, ...]]:
    """Read gates as a suite's author writes them, for the addresses of a result or a book."""

    def build(
        rules: Sequence[str | dict[str, Any]],
        known: Result | AddressBook,
        baselines: Sequence[str] = ("last",),
    ) -> tuple[Gate, ...]:
        book = known.book if isinstance(known, Result) else known
        named = dict.fromkeys(baselines, "somewhere")
        return read_gates(Suite(metrics=[], gates=list(rules), baselines=named), book)

    return build


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a text file below the test's folder."""

    def build(text: str, name: str = "suite.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return build


@pytest.fixture
def refused(write: Callable[..., Path]) -> Callable[..., str]:
    """The sentence with which a suite text is refused; fails when it is accepted or crashes."""

    def build(text: str, *overrides: str) -> str:
        with pytest.raises(UsageError) as caught:
            load_suite(str(write(text)), overrides)
        return str(caught.value)

    return build


@pytest.fixture
def register() -> Iterator[Callable[..., MetricSpec]]:
    """Register metrics for the length of a test."""
    before = set(all_metrics())

    def build(name: str, compute: Callable[..., Any], **declared: Any) -> MetricSpec:
        given: dict[str, Any] = {
            "version": 1,
            "outputs": [OutputSpec(name, "higher")],
            "needs": lambda o: {},
            "example": lambda rng, damage: {},
            "min_n": 1,
        }
        geneval.metric.metric(name, **{**given, **declared})(compute)
        return all_metrics()[name]

    yield build
    for name in set(geneval.metric._registry) - before:
        del geneval.metric._registry[name]


@pytest.fixture
def run_suite(ledger: Ledger, write: Callable[..., Path]) -> Callable[..., Outcome]:
    """Run a suite, given as text without its version, on images in memory."""

    def build(text: str, samples: Any, reference: Any = None, **more: Any) -> Outcome:
        suite = load_suite(str(write(f"version: 1\n{text}")))
        return execute(open_job(suite, ledger, samples=samples, reference=reference, **more))

    return build
