"""Image statistics: the distance as scipy's, its influence as a derivative, words and constants."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from geneval.data import Features
from geneval.metric import Undefined
from geneval.metrics.fidelity.image_statistics import (
    NAMES,
    image_statistics,
    standardised_distance,
)
from geneval.resample import Context
from geneval.value import Estimate, Role

Floats = NDArray[np.float64]


def of(x: Floats, y: Floats) -> dict[str, Estimate]:
    """Estimates by output, of rows [n, 4] and [m, 4]."""
    sides = (Features(tuple(f"{i:04d}" for i in range(len(one))), one) for one in (x, y))
    return {one.output: one for one in image_statistics(*sides, Context())}


def rows(n: int, seed: int, ties: bool = False) -> Floats:
    """Rows [n, 4], skewed; with ties many are equal."""
    drawn = np.exp(np.random.default_rng(seed).normal(size=(n, 4)))
    return drawn.round(1) if ties else drawn


@pytest.mark.parametrize(("n", "m", "ties"), [(40, 60, False), (300, 2, False), (80, 80, True)])
def test_the_distance_is_scipys(n: int, m: int, ties: bool) -> None:
    """scipy.stats.wasserstein_distance over the reference's deviation (ddof 1), per column."""
    x, y = 1.3 * rows(n, 1, ties), rows(m, 2, ties)
    for i, (name, found) in enumerate(of(x, y).items()):
        assert name == list(NAMES)[i]
        expected = wasserstein_distance(x[:, i], y[:, i]) / np.std(y[:, i], ddof=1)
        assert found.number == pytest.approx(expected, rel=1e-9)
        assert found.n == {Role.GENERATED: n, Role.REFERENCE: m}


def test_a_shift_is_measured_in_deviations() -> None:
    """Moving every value by two deviations of the reference gives 2; the unit does not matter."""
    y = rows(50, 3)
    sigma = y.std(axis=0, ddof=1)
    for unit in (1.0, 255.0):
        found = of(unit * (y + 2 * sigma), unit * y)
        assert [one.number for one in found.values()] == pytest.approx([2] * 4, rel=1e-9)


def test_the_influence_is_the_derivative() -> None:
    """Against a small weight more on one sample, with scipy's weighted distance and deviation."""
    x, y, step = rows(25, 4)[:, 0], rows(31, 5)[:, 0] + 0.3, 1e-6

    def value(u: Floats, v: Floats) -> float:
        centre = (v * y).sum()
        sigma = np.sqrt((v * (y - centre) ** 2).sum() * len(y) / (len(y) - 1))
        return float(wasserstein_distance(x, y, u, v) / sigma)

    def leaning(n: int, row: int) -> Floats:
        weights = np.full(n, (1 - step) / n)
        weights[row] += step
        return weights

    even = np.full(25, 1 / 25), np.full(31, 1 / 31)
    number, of_x, of_y = standardised_distance(x, y)
    assert number == pytest.approx(value(*even), rel=1e-12)
    for row in range(25):
        change = (value(leaning(25, row), even[1]) - number) / step
        assert of_x[row] == pytest.approx(change, abs=1e-4)
    for row in range(31):
        change = (value(even[0], leaning(31, row)) - number) / step
        assert of_y[row] == pytest.approx(change, abs=1e-4)


def test_intervals_cover_the_mean_at_n() -> None:
    """400 runs of normal clouds: of equal ones and of one shifted, 95 % within chance and bias."""
    rng = np.random.default_rng(6)
    for shift in (0.0, 0.5):
        x, y = rng.normal(size=(100, 200, 4)) + shift, rng.normal(size=(100, 300, 4))
        found = [one for a, b in zip(x, y, strict=True) for one in of(a, b).values()]
        mean = np.mean([one.number or 0 for one in found])
        assert {one.interval.target for one in found if one.interval} == {"at_n"}
        held = [one.interval.low <= mean <= one.interval.high for one in found if one.interval]
        assert len(held) == 400
        assert 0.92 <= np.mean(held) <= 0.99


def test_the_finding_says_which_way() -> None:
    """The median of either side, in words of the statistic."""
    y = np.linspace(1, 3, 21)[:, None] * [90, 90, 90, 0.2]
    less, more = of(y / 2, y), of(y * 1.2, y)
    assert less["sharpness"].finding == "less sharp: median 90 against 180"
    assert [less[name].finding.split(":")[0] for name in NAMES] == [w[0] for w in NAMES.values()]
    assert [more[name].finding.split(":")[0] for name in NAMES] == [w[1] for w in NAMES.values()]
    assert more["exposure"].finding == "brighter: median 0.48 against 0.4"
    assert of(y, y)["noise"].finding == "the same median, 180"


def test_the_table_has_quantiles_of_both_sides() -> None:
    """21 values from 0 to 20: the quantiles 5, 25, 50, 75, 95 % are 1, 5, 10, 15, 19."""
    y = np.tile(np.arange(21.0)[:, None], 4)
    (table,) = of(2 * y, y)["noise"].tables
    assert table.columns["quantile"] == [0.05, 0.25, 0.5, 0.75, 0.95]
    assert table.columns["reference"] == pytest.approx([1, 5, 10, 15, 19])
    assert table.columns["generated"] == pytest.approx([2, 10, 20, 30, 38])


def test_a_constant_reference_is_no_unit() -> None:
    """A problem of that output alone; 0 where both sides are the same constant."""
    x, y = rows(20, 7), rows(20, 8)
    x[:, 1], y[:, 1] = 0, 0
    y[:, 2] = 4
    found = of(x, y)
    assert (found["colourfulness"].number, found["colourfulness"].interval) == (0, None)
    assert found["colourfulness"].no_interval == "colourfulness is 0 of all samples"
    assert found["noise"].problem == "noise is 4 of all reference samples: no spread to measure by"
    assert found["sharpness"].interval is not None
    assert found["exposure"].number is not None


def test_one_reference_sample_has_no_deviation() -> None:
    """Undefined, with the reason."""
    with pytest.raises(Undefined, match="1 reference sample has no deviation"):
        of(rows(5, 9), rows(1, 10))
