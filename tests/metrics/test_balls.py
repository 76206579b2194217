"""Precision, recall, density and coverage: conventions, closed forms, intervals."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from geneval.data import Features, Neighbours
from geneval.metrics.fidelity.density_coverage import density_coverage
from geneval.metrics.fidelity.precision_recall import precision_recall
from geneval.neighbours import nearest
from geneval.resample import Context
from geneval.value import Estimate, Role

Floats = NDArray[np.float64]


def features(x: Floats) -> Features:
    """Features with numbered ids."""
    return Features(tuple(f"{i:05d}" for i in range(len(x))), x)


def near(x: Floats, k: int) -> Neighbours:
    """The neighbours a plan would hand over."""
    return Neighbours(tuple(f"{i:05d}" for i in range(len(x))), *nearest(x, k))


def pr(x: Floats, y: Floats, k: int = 3) -> list[Estimate]:
    """Precision and recall of two arrays."""
    near_x, near_y = near(x, k + 1), near(y, k + 1)
    return precision_recall(features(x), features(y), near_x, near_y, Context(), k=k)


def dc(x: Floats, y: Floats, k: int = 5) -> list[Estimate]:
    """Density and coverage of two arrays."""
    return density_coverage(features(x), features(y), near(y, k + 1), Context(), k=k)


def cloud(n: int, d: int, seed: int) -> Floats:
    """A standard normal cloud."""
    return np.random.default_rng(seed).normal(size=(n, d))


def test_precision_counts_generated_and_recall_counts_reference() -> None:
    """A generator stuck in one place is precise but recalls little; swapping swaps the two."""
    spread, narrow = cloud(400, 2, 0), cloud(400, 2, 1) * 0.05
    precision, recall = (e.number for e in pr(narrow, spread))
    assert precision is not None
    assert recall is not None
    assert precision > 0.95
    assert recall < 0.2
    swapped = [e.number for e in pr(spread, narrow)]
    assert swapped == [recall, precision]


def test_a_sample_at_the_radius_is_inside_for_precision_and_outside_for_coverage() -> None:
    """Precision uses ≤ (paper's code), density and coverage use < (paper, prdc)."""
    reference = np.arange(8, dtype=float)[:, None]  # radius to the 1st neighbour is 1 everywhere
    generated = reference + 100
    generated[0] = 8.0  # at distance exactly 1 from the reference sample 7
    precision, _ = pr(generated, reference, k=1)
    density, coverage = dc(generated, reference, k=1)
    assert precision.number == 1 / 8
    assert density.number == 0
    assert coverage.number == 0


def test_identical_samples_everywhere() -> None:
    """All samples alike: radius 0, inside by ≤ and outside by < (prdc issue 7)."""
    same = np.full((20, 3), 0.1)
    assert [e.number for e in pr(same, same)] == [1.0, 1.0]
    assert [e.number for e in dc(same, same)] == [0.0, 0.0]


def test_expectations_for_identical_distributions() -> None:
    """E[density] = 1 and E[coverage] → 1 − 2^−k (Naeem et al. 2020, for n = m)."""
    found = np.array(
        [
            [e.number for e in dc(cloud(500, 4, seed), cloud(500, 4, 1000 + seed), k=3)]
            for seed in range(20)
        ]
    )
    density, coverage = found.mean(axis=0)
    error = found.std(axis=0, ddof=1) / np.sqrt(20)
    assert abs(density - 1) < 3 * error[0]
    assert abs(coverage - (1 - 2**-3)) < 3 * error[1] + 0.01  # the limit is for n → ∞


@pytest.mark.parametrize("k", [1, 3])
def test_influence_of_a_centre_is_the_exact_change_when_it_is_left_out(k: int) -> None:
    """Leave-one-out by brute force: drop a reference sample, rebuild all balls, compare."""
    x, y = cloud(60, 2, 3), cloud(40, 2, 4)
    precision, _ = pr(x, y, k)
    density, coverage = dc(x, y, k)
    for estimate, again, centred in (
        (precision, lambda y: pr(x, y, k)[0].number, False),
        (density, lambda y: dc(x, y, k)[0].number, True),
        (coverage, lambda y: dc(x, y, k)[1].number, True),
    ):
        full = estimate.number
        assert full is not None
        left_out = np.array([again(np.delete(y, j, axis=0)) for j in range(40)])
        expected = -39 * (left_out - full)
        rows = estimate.evidence[Role.REFERENCE].rows
        assert centred or estimate is precision
        assert rows - rows.mean() == pytest.approx(expected - expected.mean(), abs=1e-9)


def test_intervals_cover_the_value_at_n() -> None:
    """The 95 % interval holds the mean over redraws of both sets as often as chance allows."""
    found = []
    for seed in range(60):
        x, y = cloud(200, 6, seed) * 0.8, cloud(200, 6, 5000 + seed)
        found.append([*pr(x, y), *dc(x, y)])
    for column in range(4):
        numbers = [row[column].number for row in found]
        centre = np.mean([number for number in numbers if number is not None])
        intervals = [row[column].interval for row in found]
        hits = sum(i is not None and i.low <= centre <= i.high for i in intervals)
        # Binomial(60, 0.95): P(X < 51) < 0.001; the leave-one-out interval errs on the long side.
        assert hits >= 51
        assert all(i is not None and i.target == "at_n" for i in intervals)


def test_proportions_at_the_ends_keep_an_interval_of_length() -> None:
    """Recall 0 does not claim to be known exactly: Wilson's interval has a length there."""
    _, recall = pr(cloud(100, 3, 0) + 50, cloud(100, 3, 1))
    assert recall.number == 0
    assert recall.interval is not None
    # Wilson at 0 of 100, level 0.95: upper end z²/(n + z²)
    assert recall.interval.high == pytest.approx(1.959964**2 / (100 + 1.959964**2), rel=1e-5)
