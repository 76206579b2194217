"""Vendi score: closed forms, influence and refusals; tests/parity has the reference package."""

from __future__ import annotations

import numpy as np
import pytest

from geneval.data import Features
from geneval.metric import Undefined, find_metric
from geneval.metrics.diversity.vendi import vendi_parts
from geneval.resample import Context
from geneval.value import Estimate


def measured(x: np.ndarray, **options: float) -> Estimate:
    """The estimate of rows."""
    spec = find_metric("vendi")
    ids = tuple(f"{i:04d}" for i in range(len(x)))
    given = {"generated": Features(ids, x)}
    (estimate,) = spec.measure(given, Context(), spec.check_options(options))
    return estimate


@pytest.mark.parametrize("order", [0.5, 1.0, 2.0, 7.0])
def test_closed_forms(order: float) -> None:
    """Equal rows count once; orthogonal ones each; k equal groups as k."""
    assert measured(np.ones((20, 5)), order=order).number == pytest.approx(1.0, abs=1e-9)
    assert measured(3 * np.eye(12), order=order).number == pytest.approx(12.0, rel=1e-12)
    groups = np.repeat(np.eye(4), 25, axis=0)
    assert measured(groups, order=order).number == pytest.approx(4.0, rel=1e-12)


def test_order_2_is_the_inverse_of_the_mean_squared_cosine(rng: np.random.Generator) -> None:
    """RKE: 1 / ‖K/n‖² with the kernel matrix of cosines."""
    x = rng.normal(size=(60, 7))
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    expected = 1 / np.mean((unit @ unit.T) ** 2)
    assert measured(x, order=2).number == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("shape", [(120, 6), (50, 80)])
@pytest.mark.parametrize("order", [1.0, 2.0])
def test_influence_is_what_leaving_out_changes(
    shape: tuple[int, int], order: float, rng: np.random.Generator
) -> None:
    """−(n−1) times the change without a sample, up to the second order in 1/n."""
    x = rng.normal(size=shape) / np.arange(1, shape[1] + 1) + 1
    value, influence = vendi_parts(x, order)
    exact = [
        -(len(x) - 1) * (vendi_parts(np.delete(x, i, axis=0), order)[0] - value)
        for i in range(len(x))
    ]
    centred = np.array(exact) - np.mean(exact)
    assert np.corrcoef(influence, centred)[0, 1] > 0.99
    assert influence.std() == pytest.approx(centred.std(), rel=0.05)


def test_interval_holds_the_spread_at_n(rng: np.random.Generator) -> None:
    """Over 200 draws the standard error is the spread of the score, within a fifth."""
    draws = [vendi_parts(rng.normal(size=(200, 5)) + 1, 1.0) for _ in range(200)]
    spread = np.std([value for value, _ in draws])
    told = np.mean([influence.std(ddof=1) / 200**0.5 for _, influence in draws])
    assert told == pytest.approx(spread, rel=0.2)


def test_a_row_without_direction() -> None:
    """A feature vector of zeros has no cosine: a problem that names the sample."""
    x = np.ones((5, 3))
    x[2] = 0
    with pytest.raises(Undefined, match="the features of 0002 are all 0"):
        find_metric("vendi").compute(
            generated=Features(tuple(f"{i:04d}" for i in range(5)), x), context=Context()
        )
