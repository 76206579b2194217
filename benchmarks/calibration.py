"""How often comparisons and gates raise false alarms, and how often they see what is there.

A model is compared with itself, that is with other samples of its own, and with a model a stated
shift away. Comparisons claim a difference at 5 % two-sided; the gate `no_worse_than` with margin 0
claims a violation at 5 % one-sided. Everything between samples and verdict is geneval's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from geneval.data import Features, Fields
from geneval.difference import difference
from geneval.gate import Gate
from geneval.metric import find_metric
from geneval.metrics.fidelity.fid import fid
from geneval.metrics.fidelity.kid import kid
from geneval.metrics.human.score import score
from geneval.metrics.text.bleu import bleu
from geneval.resample import Context, quantile
from geneval.result import Document, MetricResult, Result, SetNote, Subject, SuiteNote
from geneval.result import evidence_note as noted
from geneval.signature import Signature
from geneval.value import Estimate, Role, Value, address_of, measured_fields
from geneval.verdict import Status, judge

ALPHA = 0.05
CONTEXT = Context()
Rng = np.random.Generator
Measure = Callable[[Rng, Any, float], list[Estimate]]
_WORDS = [f"w{i}" for i in range(40)]


@dataclass(frozen=True)
class Case:
    """A metric on samples: what is shared by both models, and what a model `shift` away gets."""

    name: str
    address: str
    shared: Callable[[Rng], Any]
    measure: Measure
    shift: float
    described: str
    pair_by: str | None = None
    options: Mapping[str, Any] | None = None


def _mean(rng: Rng, offset: Any, shift: float) -> list[Estimate]:
    ids = tuple(f"{i:04d}" for i in range(400))
    cells = (offset + rng.normal(shift, 1.0, 400)).tolist()
    return score(Fields(ids, {"score": cells}), CONTEXT)


def _bleu(rng: Rng, references: Sequence[list[str]], shift: float) -> list[Estimate]:
    """Every word of a reference is kept with a chance of 0.8 less the shift."""
    made = [
        " ".join(w if rng.random() < 0.8 - shift else str(rng.choice(_WORDS)) for w in words)
        for words in references
    ]
    ids = tuple(f"{i:04d}" for i in range(len(made)))
    wanted = [[" ".join(words)] for words in references]
    return bleu(Fields(ids, {"hypothesis": made, "references": wanted}), CONTEXT, tokenize="13a")


def _features(rng: Rng, shift: float, n: int = 300, d: int = 8) -> Features:
    x: NDArray[np.float64] = rng.normal(size=(n, d)) / np.sqrt(np.arange(1, d + 1))
    x[:, 0] += shift
    return Features(tuple(f"{i:04d}" for i in range(n)), x)


def _fid(rng: Rng, reference: Features, shift: float) -> list[Estimate]:
    return fid(_features(rng, 0.5 + shift), reference, CONTEXT)


def _kid(rng: Rng, reference: Features, shift: float) -> list[Estimate]:
    return kid(_features(rng, 0.5 + shift), reference, CONTEXT, subsets=2, subset_size=100)


def _reference(rng: Rng) -> Features:
    return _features(rng, 0.0)


def _sentences(rng: Rng) -> list[list[str]]:
    return [[str(w) for w in rng.choice(_WORDS, 12)] for _ in range(60)]


_BLEU_OPTIONS = {"smooth_method": "exp", "smooth_value": None, "max_ngram_order": 4}
CASES = (
    Case("mean of scores", "score", lambda rng: 0.0, _mean, -0.2, "0.2 SD lower"),
    Case(
        "mean of scores, paired",
        "score",
        lambda rng: 2 * rng.normal(size=400),
        _mean,
        -0.2,
        "0.2 SD lower",
        "id",
    ),
    Case(
        "`bleu`, paired",
        "bleu",
        _sentences,
        _bleu,
        0.05,
        "5 % fewer words right",
        "id",
        _BLEU_OPTIONS,
    ),
    Case("`fid`", "fid", _reference, _fid, 0.2, "0.5 to 0.7 SD away"),
    Case("`kid`", "kid", _reference, _kid, 0.2, "0.5 to 0.7 SD away"),
)


@dataclass(frozen=True)
class Calibration:
    """Shares of runs in which a comparison claims a difference and the gate fails.

    `stated` is the power that the standard errors promise for the difference there is on average.
    """

    runs: int
    claimed: float
    failed: float
    stated: float


def allowed(runs: int) -> float:
    """The share of claims that a true 5 % exceeds in one simulation of a hundred."""
    return float(binom.ppf(0.99, runs, ALPHA)) / runs


def calibrate(case: Case, runs: int, shift: float = 0.0) -> Calibration:
    """Compare a model with one `shift` away (itself, where that is 0), once for every seed."""
    claimed = failed = 0
    numbers, errors = [], []
    gate = Gate("", case.address, "no_worse_than", baseline="last", judge="interval")
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        shared = case.shared(rng)
        last = result_of(case, case.measure(rng, shared, 0.0), "last")
        new = result_of(case, case.measure(rng, shared, shift), "new")
        found = difference(new, last, case.address)
        assert found.p is not None, f"{case.name}: no test of the difference"
        claimed += found.p < ALPHA
        verdict = judge([gate], new, {"last": last}).verdicts[0]
        failed += verdict.status is Status.FAIL
        numbers.append(found.number)
        errors.append(found.se)
    ratio = abs(np.mean(numbers)) / np.mean(errors)
    normal, z = NormalDist(), quantile(1 - ALPHA)
    stated = normal.cdf(ratio - z) + normal.cdf(-ratio - z)
    return Calibration(runs, claimed / runs, failed / runs, stated)


def result_of(case: Case, estimates: Sequence[Estimate], name: str) -> Result:
    """A result of one metric's estimates, as a run would leave it."""
    metric = case.address
    spec = find_metric(metric)
    options = dict(case.options or {})
    specs = {one.name: one for one in spec.under(spec.check_options({})).outputs}
    signature = Signature((("metric", metric), ("v", spec.version)))
    values = []
    for estimate in estimates:
        address = address_of(metric, metric, estimate.output, {})
        notes = {r: noted(e, address) for r, e in estimate.evidence.items()}
        values.append(
            Value(
                address=address,
                key=metric,
                metric=metric,
                spec=specs[estimate.output],
                signature=signature,
                inputs=name,
                evidence=notes,
                **measured_fields(estimate),
            )
        )
    document = Document(
        suite=SuiteNote(
            "calibration",
            "",
            {"pair_by": case.pair_by, "seed": 0, "metrics": [{"key": metric, "options": options}]},
        ),
        subject=Subject(name, "samples"),
        sets={Role.GENERATED: SetNote(None, name)},
        metrics=(
            MetricResult(metric, metric, spec.chapter, tuple(specs), "ok", "", tuple(values)),
        ),
    )
    rows = {v.address: e.evidence for v, e in zip(values, estimates, strict=True)}
    return Result(document, rows)
