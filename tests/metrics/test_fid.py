"""The Fréchet distance, its debiased estimate, interval and influences."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.integrate
import scipy.linalg
from numpy.typing import NDArray

from geneval.data import Features, Moments
from geneval.frechet import frechet_distance
from geneval.metric import Undefined, find_metric
from geneval.metrics.fidelity.fid import fid
from geneval.resample import Context

Floats = NDArray[np.float64]


def features(x: Floats, prefix: str = "") -> Features:
    """Features with numbered ids."""
    return Features(tuple(f"{prefix}{i:05d}" for i in range(len(x))), x)


def gaussians(n: int, m: int, d: int, seed: int, shift: float = 0.0) -> tuple[Features, Features]:
    """Two standard normal clouds, the first moved by `shift` in every direction."""
    rng = np.random.default_rng(seed)
    return features(rng.normal(size=(n, d)) + shift), features(rng.normal(size=(m, d)))


def test_equal_covariances_give_the_squared_distance_of_means() -> None:
    """Closed form: Σ₁ = Σ₂ leaves ‖μ₁ − μ₂‖²."""
    x = np.random.default_rng(0).normal(size=(300, 5))
    plain, _ = fid(features(x + np.arange(5)), features(x), Context())
    assert plain.number == pytest.approx(0 + 1 + 4 + 9 + 16, rel=1e-9)


def test_sets_more_alike_than_independent_draws_are_told() -> None:
    """A set against itself is below zero for the debiased estimate, and says why; draws are not."""
    generated, reference = gaussians(300, 300, 5, seed=0)
    assert "more alike than independent samples" in fid(generated, generated, Context())[1].finding
    assert fid(generated, reference, Context())[1].finding == ""


def test_diagonal_covariances_have_a_closed_form() -> None:
    """Closed form: diagonal Σ gives Σ(√a − √b)²."""
    a, b = np.array([1.0, 4.0, 9.0]), np.array([4.0, 4.0, 1.0])
    zero = np.zeros(3)
    found = frechet_distance(Moments(None, zero, np.diag(a)), Moments(None, zero, np.diag(b)))
    assert found == pytest.approx(((np.sqrt(a) - np.sqrt(b)) ** 2).sum(), rel=1e-12)


def test_jackknife_is_the_stated_formula() -> None:
    """debiased = v − Σ over both sides of (N−1)(mean of v without sample i − v), by hand."""
    generated, reference = gaussians(60, 45, 4, seed=1, shift=0.3)
    _, debiased = fid(generated, reference, Context())
    sides = [generated.x, reference.x]
    value, bias = corrected(*sides), 0.0
    for side in (0, 1):
        values = []
        for i in range(len(sides[side])):
            rest = list(sides)
            rest[side] = np.delete(sides[side], i, axis=0)
            values.append(corrected(*rest))
        bias += (len(values) - 1) * (np.mean(values) - value)
    assert debiased.number == pytest.approx(value - bias, rel=1e-8)


def corrected(x: Floats, y: Floats) -> float:
    """The distance with the trace of the root as an integral over H, by adaptive quadrature.

    tr (Σ₁Σ₂)^½ ≈ (2/π) ∫ √(s/((1 − H/ν₁)(1 − H/ν₂))) dH with H = Σ λ/(s + λ) over the
    eigenvalues λ of the product of the sample covariances (Tiomoko and Couillet 2019).
    """
    cov_x, cov_y = np.cov(x.T), np.cov(y.T)
    eigenvalues = np.real(scipy.linalg.eigvals(cov_x @ cov_y))

    def integrand(at: float) -> float:
        s = np.exp(at)
        seen, slope = (eigenvalues / (s + eigenvalues)), eigenvalues / (s + eigenvalues) ** 2
        shrunk = (1 - seen.sum() / (len(x) - 1)) * (1 - seen.sum() / (len(y) - 1))
        return float(2 / np.pi * np.sqrt(s / shrunk) * slope.sum() * s)

    root = scipy.integrate.quad(integrand, -60, 60, limit=1000, epsabs=1e-13, epsrel=1e-13)[0]
    means = ((x.mean(axis=0) - y.mean(axis=0)) ** 2).sum()
    return float(means + np.trace(cov_x) + np.trace(cov_y) - 2 * root)


def test_influence_is_the_derivative_of_the_distance() -> None:
    """ψ(x) is how the distance moves when a little weight goes to x (von Mises derivative)."""
    generated, reference = gaussians(200, 150, 3, seed=2, shift=0.5)
    _, debiased = fid(generated, reference, Context())
    psi = debiased.evidence[next(iter(debiased.evidence))].rows
    y, step = reference.moments(), 1e-6

    def reweighted(row: int, by: float) -> float:
        weights = np.full(200, (1 - by) / 200)
        weights[row] += by
        mean = weights @ generated.x
        centred = generated.x - mean
        return frechet_distance(Moments(None, mean, (centred.T * weights) @ centred), y)

    for row in (0, 17, 199):
        derivative = (reweighted(row, step) - reweighted(row, -step)) / (2 * step)
        # The covariances differ by n/(n − 1), which moves the derivative by about 1/n.
        assert psi[row] == pytest.approx(derivative, rel=0.02, abs=0.02)


def test_debiased_takes_the_bias_off() -> None:
    """At d = 16, n = m = 400 the plain distance is several times too high, debiased is not."""
    values = []
    for seed in range(30):
        generated, reference = gaussians(400, 400, 16, seed, shift=0.1)
        plain, debiased = fid(generated, reference, Context())
        values.append((plain.number, debiased.number))
    plain_mean, debiased_mean = np.mean(values, axis=0)
    noise = np.std(values, axis=0)[1] / np.sqrt(30)
    truth = 16 * 0.1**2
    assert plain_mean > 2 * truth
    assert abs(debiased_mean - truth) < 3 * noise


def test_the_population_interval_covers_the_truth() -> None:
    """Over 100 simulated pairs the 95 % interval covers as often as chance allows."""
    truth, hits = 16 * 0.5**2, 0
    for seed in range(100):
        generated, reference = gaussians(300, 300, 16, seed, shift=0.5)
        interval = fid(generated, reference, Context())[1].interval
        assert interval is not None
        assert interval.target == "population"
        hits += interval.low <= truth <= interval.high
    # Binomial(100, 0.95): P(X < 87) < 0.001
    assert hits >= 87


def test_the_plain_interval_says_that_it_is_the_spread_at_n() -> None:
    """The literature's number carries its at_n spread, never a population interval."""
    plain, _ = fid(*gaussians(100, 100, 4, seed=0), Context())
    assert plain.interval is not None
    assert plain.interval.target == "at_n"


def test_fewer_samples_than_dimensions() -> None:
    """n < d goes through the Gram matrix and equals the covariance route."""
    generated, reference = gaussians(40, 30, 64, seed=3, shift=0.2)
    plain, debiased = fid(generated, reference, Context())
    dense = frechet_distance(generated.moments(), reference.moments())
    assert plain.number == pytest.approx(dense, rel=1e-9)
    assert "n/d is 0.47, below 4" in debiased.finding
    assert "fewer samples than features" in plain.finding
    enough, _ = fid(*gaussians(200, 200, 6, seed=3, shift=0.2), Context())
    assert not enough.finding


def test_reference_known_only_by_moments() -> None:
    """Moments are enough for the value; the interval is then conditional and says so."""
    generated, reference = gaussians(200, 5000, 6, seed=4, shift=0.2)
    from_features = fid(generated, reference, Context())
    from_moments = fid(generated, reference.moments(), Context())
    assert from_moments[0].number == pytest.approx(from_features[0].number, rel=1e-9)
    assert "conditional on the reference" in from_moments[1].finding
    assert len(from_moments[1].evidence) == 1


def test_too_few_samples_is_a_problem() -> None:
    """Without one sample two must remain; the sentence names the count."""
    with pytest.raises(Undefined, match="2 samples on one side, the covariance needs 3"):
        fid(*gaussians(2, 100, 2, seed=0), Context())


def test_costliest_samples_lead_the_gallery() -> None:
    """An outlier among the generated samples is the first picture shown."""
    generated, reference = gaussians(100, 100, 4, seed=5)
    generated.x[42] += 10
    plain, _ = fid(generated, reference, Context())
    assert plain.galleries[0].ids[0] == "00042"


def test_values_follow_samples_and_not_positions() -> None:
    """A set sorted by class gives the same debiased value as the same set shuffled."""
    rng = np.random.default_rng(6)
    sorted_by_class = features(np.sort(rng.normal(size=(200, 3)), axis=0))
    reference = features(rng.normal(size=(200, 3)))
    order = rng.permutation(200)
    one = fid(sorted_by_class, reference, Context())[1].number
    other = fid(sorted_by_class.take(order), reference, Context())[1].number
    assert one == pytest.approx(other, rel=1e-9)


def test_signature_convention_names_ddof() -> None:
    """The covariance's ddof is part of what makes two values comparable."""
    assert find_metric("fid").conventions == {"ddof": 1}
