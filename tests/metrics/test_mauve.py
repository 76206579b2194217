"""mauve: closed forms and independent slow computations of the curve, and its behaviour on sets."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.integrate import quad

from geneval.data import Features
from geneval.metric import find_metric
from geneval.metrics.text.mauve import area, frontier, reduced
from geneval.resample import Context
from geneval.value import Estimate

Floats = NDArray[np.float64]


def slow_area(p: Floats, q: Floats) -> float:
    """The area under the curve of the paper's definition, bin by bin and point by point."""

    def kl(a: Floats, b: list[float]) -> float:
        terms = [x * math.log(x / y) for x, y in zip(a.tolist(), b, strict=True) if x > 0]
        return math.fsum(terms)

    points = [(0.0, 1.0), (1.0, 0.0)]
    for i in range(25):
        weight = 1e-6 + i * (1 - 2e-6) / 24
        r = [weight * x + (1 - weight) * y for x, y in zip(p.tolist(), q.tolist(), strict=True)]
        points.append((math.exp(-5 * kl(q, r)), math.exp(-5 * kl(p, r))))
    total = 0.0
    for axis in (0, 1):
        path = sorted((point[axis], -point[1 - axis]) for point in points)
        for (x0, y0), (x1, y1) in pairwise(path):
            total += (x1 - x0) * -(y0 + y1) / 2
    return total / 2


def slow_frontier(p: Floats, q: Floats) -> float:
    """The integral of its definition, by quadrature."""

    def at(weight: float) -> float:
        total = 0.0
        for x, y in zip(p.tolist(), q.tolist(), strict=True):
            r = weight * x + (1 - weight) * y
            total += weight * x * math.log(x / r) if x else 0.0
            total += (1 - weight) * y * math.log(y / r) if y else 0.0
        return 2 * total

    return float(quad(at, 0, 1, epsabs=1e-12)[0])


def test_equal_histograms() -> None:
    """No divergence: the curve is the corner (1, 1), the area 1, the integral 0."""
    p = np.array([0.1, 0.2, 0.7])
    assert area(p, p) == pytest.approx(1, abs=1e-12)
    assert frontier(p, p) == pytest.approx(0, abs=1e-12)


def test_disjoint_histograms() -> None:
    """KL(p‖r) = −log λ and KL(q‖r) = −log(1−λ): the points are ((1−λ)⁵, λ⁵); the integral is 1."""
    p, q = np.array([0.3, 0.7, 0.0]), np.array([0.0, 0.0, 1.0])
    weights = [1e-6 + i * (1 - 2e-6) / 24 for i in range(25)]
    x = [0.0, *((1 - weight) ** 5 for weight in reversed(weights)), 1.0]
    y = [1.0, *(weight**5 for weight in reversed(weights)), 0.0]
    expected = sum((x[i + 1] - x[i]) * (y[i] + y[i + 1]) / 2 for i in range(26))
    assert area(p, q) == pytest.approx(expected, abs=1e-10)
    assert frontier(p, q) == pytest.approx(1, abs=1e-12)


histograms = st.integers(2, 8).flatmap(
    lambda k: st.tuples(*(st.lists(st.integers(0, 30), min_size=k, max_size=k),) * 2)
)


@given(histograms)
def test_the_curve_is_that_of_a_slow_computation(counts: tuple[list[int], list[int]]) -> None:
    """Area to 1e-10, integral to the quadrature's 1e-8, both symmetric, for any two histograms."""
    p, q = (np.array([*side, 1.0]) / (sum(side) + 1) for side in counts)
    assert area(p, q) == pytest.approx(slow_area(p, q), abs=1e-10)
    assert area(p, q) == pytest.approx(area(q, p), abs=1e-12)
    assert frontier(p, q) == pytest.approx(slow_frontier(p, q), abs=1e-8)
    assert frontier(p, q) == pytest.approx(frontier(q, p), abs=1e-12)


def test_components_that_hold_the_variance() -> None:
    """Variances 16, 4, 1, 0.01: two components hold 95 %, one holds 76 %."""
    rng = np.random.default_rng(0)
    basis, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    scores, _ = np.linalg.qr(rng.normal(size=(200, 4)))
    scores -= scores.mean(axis=0)
    x = (np.linalg.qr(scores)[0] * [4, 2, 1, 0.1]) @ basis
    found = reduced(x)
    assert found.shape == (200, 2)
    np.testing.assert_allclose((found**2).sum(axis=0), [16, 4], rtol=1e-9)


def clouds(seed: int, n: int, shift: float) -> Features:
    """Texts around 5 directions of 8; a shift turns them towards one of the others."""
    rng = np.random.default_rng(seed)
    x = np.eye(8)[rng.integers(0, 5, n)] + shift * np.eye(8)[7] + rng.normal(size=(n, 8)) * 0.1
    return Features(tuple(f"{i:04d}" for i in range(n)), x)


def measured(a: Features, b: Features, seed: int = 0, **options: object) -> dict[str, Estimate]:
    """The estimates by output."""
    spec = find_metric("mauve")
    inputs = {"generated": a, "reference": b}
    found = spec.measure(inputs, Context(seed=seed), spec.check_options(options))
    return {one.output: one for one in found}


def test_nearer_sets_score_higher() -> None:
    """The further a set lies off, the lower the areas and the higher the integral."""
    reference = clouds(0, 150, 0.0)
    found = [measured(clouds(1, 120, shift), reference) for shift in (0.0, 0.4, 2.0)]
    for output, sign in (("mauve", -1), ("mauve_star", -1), ("frontier_integral", 1)):
        numbers = [sign * (one[output].number or 0.0) for one in found]
        assert numbers == sorted(numbers)
    assert (found[0]["mauve"].number or 0.0) > 0.9
    assert (found[2]["mauve"].number or 1.0) < 0.05


def test_the_spread_over_clusterings_stands_beside_the_number() -> None:
    """The number is the mean of the table's numbers, the finding has their deviation."""
    found = measured(clouds(0, 100, 0.0), clouds(1, 100, 0.3), seeds=6)["mauve"]
    each = [float(one or 0) for one in found.tables[0].columns["mauve"]]
    assert len(each) == 6
    assert found.number == pytest.approx(np.mean(each))
    assert f"deviation {np.std(each, ddof=1):.2g} over 6 clusterings into 10" in found.finding
    assert "few" in found.finding
    assert found.interval is None


def test_what_has_no_direction_or_spread_is_undefined() -> None:
    """Embeddings of length 0, and embeddings that are all equal."""
    some = clouds(0, 40, 0.0)
    nothing = Features(some.ids, np.zeros_like(some.x))
    assert "0000 is all 0" in (measured(nothing, some)["mauve"].problem or "")
    equal = Features(some.ids, np.ones_like(some.x))
    assert "nothing to cluster" in (measured(equal, equal)["mauve"].problem or "")
