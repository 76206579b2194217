"""IS∞: the line by other means, the bias it takes off, the interval."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from geneval.data import Features
from geneval.metric import Undefined
from geneval.metrics.fidelity.is_infinity import is_infinity
from geneval.resample import Context

Floats = NDArray[np.float64]


def logits(n: int, seed: int, classes: int = 5) -> Features:
    """Normal logits of a spread of 2."""
    x = np.random.default_rng(seed).normal(size=(n, classes)) * 2
    return Features(tuple(f"{i:05d}" for i in range(n)), x)


def score(x: Floats) -> float:
    """The Inception Score of all rows at once, from its definition."""
    p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    return float(np.exp((p * np.log(p / p.mean(0))).sum(1).mean()))


def test_it_is_the_line_through_seeded_draws() -> None:
    """Sizes by linspace, draws by RandomState in order, numpy's line."""
    x = logits(400, seed=0)
    (found,) = is_infinity(x, Context(), points=7, smallest=100, seed=3)
    state, sizes = np.random.RandomState(3), np.linspace(100, 400, 7).astype(int)
    scores = [score(x.x[state.choice(400, size, replace=False)]) for size in sizes]
    _, end = np.polyfit(1 / sizes, scores, 1)
    assert found.number == pytest.approx(end, rel=1e-9)
    assert list(found.tables[0].columns["IS_N"])[1:] == pytest.approx(scores[::-1], rel=1e-9)


def test_sure_and_even_answers_have_a_closed_form() -> None:
    """One answer for all is 1 at every size, hence at the end, with nothing left to chance."""
    x = Features(tuple(f"{i:02d}" for i in range(50)), np.tile([9.0, 0.0, 0.0], (50, 1)))
    (found,) = is_infinity(x, Context())
    assert found.number == pytest.approx(1.0, abs=1e-9)
    assert found.interval is not None
    assert found.interval.high - found.interval.low == pytest.approx(0.0, abs=1e-9)


def test_the_extrapolation_takes_the_bias_off_and_covers() -> None:
    """Over 200 draws of 200 samples: the plain score is too low, the end is not; it covers."""
    truth = score(logits(200_000, seed=99).x)
    runs = [is_infinity(logits(200, seed), Context(), seed=seed)[0] for seed in range(200)]
    ends = np.array([run.number for run in runs])
    plain = np.array([score(logits(200, seed).x) for seed in range(200)])
    assert plain.mean() < truth - 3 * plain.std() / 200**0.5
    assert abs(ends.mean() - truth) < 3.5 * ends.std() / 200**0.5
    hits = sum(r.interval is not None and r.interval.low <= truth <= r.interval.high for r in runs)
    # Binomial(200, 0.95): P(X < 179) < 0.001
    assert hits >= 179
    assert {run.interval.target for run in runs if run.interval} == {"population"}


def test_too_few_sizes_is_a_problem() -> None:
    """Two points are no fit; the sentence names the option."""
    with pytest.raises(Undefined, match="set smallest lower"):
        is_infinity(logits(30, seed=1), Context(), smallest=29)
