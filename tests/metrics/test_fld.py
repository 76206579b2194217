"""FLD: a slow implementation beside it, a maximum of the likelihood, copies, intervals."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from geneval import sweeps
from geneval.data import Features
from geneval.metric import Undefined
from geneval.metrics.memorization.fld import LEAST, fitted, fld
from geneval.neighbours import nearest
from geneval.resample import Context
from geneval.sweeps import mixture_sums
from geneval.value import Estimate, Role

Floats = NDArray[np.float64]


def features(x: Floats) -> Features:
    """Features with numbered ids."""
    return Features(tuple(f"{i:05d}" for i in range(len(x))), x)


def of(x: Floats, y: Floats, train: Floats, baseline: float = 0.0) -> list[Estimate]:
    """The two estimates."""
    return fld(features(x), features(y), features(train), Context(), baseline=baseline)


def clouds(seed: int, n: int = 80, d: int = 3, copied: float = 0.0) -> list[Floats]:
    """Generated, reference and training samples of one distribution, some of the first copied."""
    rng = np.random.default_rng(seed)
    x, y, train = rng.normal(size=(3, n, d)) * 3 + 1
    return [np.where((rng.random(n) < copied)[:, None], train, x), y, train]


def log_densities(rows: Floats, centres: Floats, variance: Floats) -> Floats:
    """Log density of every row under every Gaussian [m, n], by scipy."""
    d = centres.shape[1]
    one = [
        multivariate_normal(c, v * np.eye(d)).logpdf(rows)
        for c, v in zip(centres, variance, strict=True)
    ]
    return np.stack(one, axis=1)


def test_mixture_sums_are_the_mixtures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Density, mass and spread against scipy's normal distributions, in one tile and in many."""
    x, y, _ = clouds(0, n=70)
    variance = np.random.default_rng(0).uniform(0.1, 4, 70)
    each = log_densities(y, x, variance) - np.log(70)
    total = logsumexp(each, axis=1)
    share = np.exp(each - total[:, None])
    apart = ((y[:, None] - x) ** 2).sum(-1)
    for rows in (64, 7):
        monkeypatch.setattr(sweeps, "LEAST_ROWS", rows)
        monkeypatch.setattr(sweeps, "TILE_BYTES", 1)
        found = mixture_sums(y, x, variance)
        assert found.log_density == pytest.approx(total, rel=1e-10)
        assert found.mass == pytest.approx(share.sum(0), rel=1e-9)
        assert found.spread == pytest.approx((share * apart).sum(0), rel=1e-9)


def test_it_is_the_definition() -> None:
    """Standardised by the reference, fitted, and every reference sample's density by scipy."""
    x, y, train = clouds(1)
    mean, deviation = y.mean(0), y.std(0, ddof=1)
    a, b, c = ((side - mean) / deviation for side in (x, y, train))
    variance = fitted(c, a)
    nll = [-(logsumexp(log_densities(r, a, variance), axis=1) - np.log(80)) / 3 for r in (b, c)]
    divergence, gap = of(x, y, train, baseline=0.5)
    assert divergence.number == pytest.approx(100 * (nll[0].mean() - 0.5), rel=1e-9)
    assert gap.number == pytest.approx(100 * (nll[0].mean() - nll[1].mean()), rel=1e-8)
    assert divergence.evidence[Role.REFERENCE].rows == pytest.approx(
        100 * (nll[0] - nll[0].mean()), abs=1e-7
    )


def test_widths_are_a_maximum_of_the_likelihood() -> None:
    """scipy's optimiser, started at the fitted widths, gains no more than a round must gain."""
    x, _, train = clouds(2, n=40)
    x, train = (x - 1) / 3, (train - 1) / 3
    squared = ((train[:, None] - x) ** 2).sum(-1)

    def loss(logs: Floats) -> float:
        """Negative log likelihood a feature under 40 Gaussians of these log variances."""
        each = -squared / (2 * np.exp(logs)) - 1.5 * (logs + np.log(2 * np.pi))
        return -float(logsumexp(each, axis=1).mean() - np.log(40)) / 3

    start = np.log(fitted(train, x))
    bounds = [(2 * np.log(LEAST), None)] * 40
    found = minimize(loss, start, method="L-BFGS-B", bounds=bounds)
    assert loss(start) - found.fun < 1e-3  # 0.1 of a divergence of about 150
    assert loss(start) < loss(np.log(nearest(x, 1, train)[0][:, 0] ** 2 / 3)) - 0.01


def test_more_copies_diverge_more_and_widen_the_gap() -> None:
    """Both rise with the planted share of copies; all copies are of no use to the reference."""
    runs = [of(*clouds(3, n=200, d=6, copied=share)) for share in (0, 0.2, 0.5, 0.8, 1)]
    for output in (0, 1):
        numbers = [run[output].number or 0.0 for run in runs]
        assert numbers == sorted(numbers)
    assert (runs[-1][0].number or 0.0) > 1000
    assert (runs[0][1].number or 0.0) < 15
    assert (runs[1][1].number or 0.0) > 50


def test_bad_and_collapsed_samples_diverge_too() -> None:
    """Fidelity and diversity count: samples that are off, and one of two clouds alone."""
    rng = np.random.default_rng(4)
    x, y, train = (side + rng.integers(0, 2, (150, 1)) * 30 for side in clouds(4, n=150))
    fresh = of(x, y, train)[0].number or 0.0
    for worse in (x + 5, x[x.mean(axis=1) < 15]):
        found = of(worse, y, train)[0]
        assert found.interval is not None
        assert found.interval.low > fresh


def test_copies_are_fitted_most_narrowly() -> None:
    """The gallery begins with the copies, whose width is the least there is."""
    x, y, train = clouds(5, n=100, d=6)
    x[:10] = train[:10]
    (gallery,) = of(x, y, train)[1].galleries
    assert set(gallery.ids[:10]) == {f"{i:05d}" for i in range(10)}
    assert gallery.captions[0] == f"width {LEAST}"


def test_intervals_cover_as_often_as_they_say() -> None:
    """Over 100 draws of all three sets, divergence and gap, against their mean at this n."""
    runs = [of(*clouds(seed, n=100)) for seed in range(100)]
    for output in (0, 1):
        centre = np.mean([run[output].number or 0.0 for run in runs])
        intervals = [run[output].interval for run in runs]
        hits = sum(i is not None and i.low <= centre <= i.high for i in intervals)
        # Binomial(100, 0.95): P(X < 87) < 0.001
        assert hits >= 87


def test_constant_features_are_left_out() -> None:
    """A feature that the reference does not vary in cannot be standardised; none is a problem."""
    x, y, train = clouds(6)
    with_constant = [np.column_stack([side, np.full(80, 7.0)]) for side in (x, y, train)]
    assert of(*with_constant)[0].number == pytest.approx(of(x, y, train)[0].number, rel=1e-9)
    with pytest.raises(Undefined, match="a reference that varies"):
        of(x, np.ones_like(y), train)
