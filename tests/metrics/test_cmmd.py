"""CMMD: the published V-statistic, its unbiased twin, and the interval."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from geneval.data import Features
from geneval.metric import Undefined
from geneval.metrics.fidelity.cmmd import cmmd
from geneval.resample import Context

Floats = NDArray[np.float64]


def features(x: Floats) -> Features:
    """Features with numbered ids."""
    return Features(tuple(f"{i:05d}" for i in range(len(x))), x)


def clouds(n: int, m: int, seed: int) -> tuple[Features, Features]:
    """Two clouds in 8 dimensions whose mean directions differ."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, 8)), rng.normal(size=(m, 8))
    return features(x + np.array([2.0] + [0.0] * 7)), features(y + np.array([1.5, 1.0] + [0.0] * 6))


def written_out(x: Floats, y: Floats, sigma: float = 10.0) -> float:
    """The formula of the paper and of its repositories, with whole kernel matrices."""
    x, y = (one / np.linalg.norm(one, axis=1, keepdims=True) for one in (x, y))

    def mean(a: Floats, b: Floats) -> float:
        squared = ((a[:, None] - b[None]) ** 2).sum(-1)
        return float(np.exp(-squared / (2 * sigma**2)).mean())

    return 1000 * (mean(x, x) + mean(y, y) - 2 * mean(x, y))


@pytest.mark.parametrize("sigma", [0.5, 10.0])
def test_it_is_the_formula_written_out(sigma: float) -> None:
    """All pairs, diagonals kept, times 1,000."""
    x, y = clouds(150, 90, 0)
    expected = written_out(x.x, y.x, sigma)
    assert cmmd(x, y, Context(), sigma=sigma)[0].number == pytest.approx(expected, rel=1e-9)


def test_lengths_do_not_count() -> None:
    """Embeddings count by their direction alone."""
    x, y = clouds(60, 50, 1)
    longer = features(x.x * np.linspace(1, 9, 60)[:, None])
    one, other = (cmmd(side, y, Context())[0].number for side in (x, longer))
    assert one == pytest.approx(other, rel=1e-9)


def test_opposite_points_have_a_closed_form() -> None:
    """All of one side at u, all of the other at −u: 2(1 − exp(−4/2σ²)) · 1000."""
    u = np.tile([0.6, 0.8], (5, 1))
    found = cmmd(features(u), features(-u[:4]), Context(), sigma=1.0)[0].number
    assert found == pytest.approx(2000 * (1 - np.exp(-2)), rel=1e-12)


def test_a_vector_of_length_zero_is_undefined() -> None:
    """It has no direction to compare."""
    x, y = clouds(10, 10, 2)
    x.x[3] = 0
    with pytest.raises(Undefined, match="length 0"):
        cmmd(x, y, Context())


def test_the_unbiased_estimate_covers() -> None:
    """Its interval holds the truth, the mean over 400 draws, in 92 % to 98 % of them."""
    runs = [cmmd(*clouds(80, 60, seed), Context())[1] for seed in range(400)]
    truth = np.mean([run.number for run in runs if run.number is not None])
    held = [
        run.interval is not None and run.interval.low <= truth <= run.interval.high for run in runs
    ]
    # 95 % less four and plus three standard errors of a share of 400, rounded outwards
    assert 0.905 <= np.mean(held) <= 0.985


def test_the_published_number_is_biased_upwards() -> None:
    """Between equal distributions the V-statistic is above 0, the unbiased estimate around it."""
    rng = np.random.default_rng(0)
    runs = [
        cmmd(*(features(rng.normal(size=(40, 8)) + 1) for _ in range(2)), Context())
        for _ in range(200)
    ]
    published, unbiased = (np.array([run[i].number for run in runs]) for i in (0, 1))
    assert published.min() > 0
    assert abs(unbiased.mean()) < 4 * unbiased.std() / np.sqrt(200)
    assert published.mean() > 10 * abs(unbiased.mean())
