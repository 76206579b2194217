"""Kernel distance: subsets as in the literature, exact estimate, closed-form variance."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from geneval.data import Features
from geneval.metrics.fidelity.kid import kid
from geneval.resample import Context

Floats = NDArray[np.float64]


def features(x: Floats) -> Features:
    """Features with numbered ids."""
    return Features(tuple(f"{i:05d}" for i in range(len(x))), x)


def mmd_by_definition(x: Floats, y: Floats) -> float:
    """The unbiased squared MMD with its three matrices, straight from the definition."""
    d = x.shape[1]
    xx, yy, xy = ((a @ b.T / d + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
    n, m = len(x), len(y)
    inner = (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1))
    return float(inner - 2 * xy.mean())


def test_unbiased_is_the_definition_on_all_samples() -> None:
    """Unequal sizes, tiles and all: the exact estimate is the textbook formula."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(70, 5)) + 0.3, rng.normal(size=(50, 5))
    _, exact = kid(features(x), features(y), Context(), subset_size=10, subsets=3)
    assert exact.number == pytest.approx(mmd_by_definition(x, y), rel=1e-12)


def test_subsets_are_the_peers_draws() -> None:
    """RandomState(seed), first the generated rows, then the reference rows, without replacement."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(60, 4)) + 0.2, rng.normal(size=(80, 4))
    literature, _ = kid(features(x), features(y), Context(), subsets=5, subset_size=20, seed=7)
    state, values = np.random.RandomState(7), []
    for _ in range(5):
        rows_x = state.choice(60, 20, replace=False)
        rows_y = state.choice(80, 20, replace=False)
        values.append(mmd_by_definition(x[rows_x], y[rows_y]))
    assert literature.number == pytest.approx(np.mean(values), rel=1e-12)
    assert f"{np.std(values):.6g}" in literature.finding  # ddof 0, as torch-fidelity prints it


def test_one_set_against_itself_is_near_zero_but_not_zero() -> None:
    """The estimator is unbiased, not zero on equal sets: the cross term keeps its diagonal."""
    x = np.random.default_rng(2).normal(size=(200, 4))
    _, exact = kid(features(x), features(x), Context(), subset_size=10, subsets=2)
    assert exact.number == pytest.approx(mmd_by_definition(x, x), rel=1e-9)
    assert exact.number is not None
    assert exact.number < 0


def test_too_few_samples_names_the_option_to_set() -> None:
    """Subsets larger than a side are a problem that says what to set; the exact value stands."""
    rng = np.random.default_rng(3)
    literature, exact = kid(
        features(rng.normal(size=(300, 3))), features(rng.normal(size=(900, 3))), Context()
    )
    assert literature.problem is not None
    assert "set subset_size to at most 300" in literature.problem
    assert "kid.unbiased" in literature.problem
    assert exact.number is not None


@pytest.mark.parametrize("shift", [0.0, 0.15])
def test_closed_form_standard_error_is_the_spread_over_samples(shift: float) -> None:
    """The closed-form SE agrees with the spread over 200 redraws, also where both sets agree."""
    numbers, errors = [], []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        x, y = rng.normal(size=(120, 4)) + shift, rng.normal(size=(90, 4))
        _, exact = kid(features(x), features(y), Context(), subset_size=10, subsets=1)
        assert exact.number is not None
        assert exact.interval is not None
        numbers.append(exact.number)
        errors.append((exact.interval.high - exact.interval.low) / (2 * 1.959964))
    spread = np.std(numbers, ddof=1)
    # A standard deviation of 200 heavy-tailed draws is known within about 15 %.
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(spread, rel=0.2)


def test_the_interval_of_the_subset_mean_adds_subset_noise() -> None:
    """With few subsets the literature's number is less certain than the exact one."""
    rng = np.random.default_rng(4)
    x, y = features(rng.normal(size=(300, 4)) + 0.1), features(rng.normal(size=(300, 4)))
    few = kid(x, y, Context(), subsets=5, subset_size=50)
    lengths = [e.interval.high - e.interval.low for e in few if e.interval]
    assert lengths[0] > lengths[1]
    assert all(e.interval is not None and e.interval.target == "population" for e in few)
