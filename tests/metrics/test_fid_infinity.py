"""FID∞: sizes, draws and line by other means, the bias it takes off, the interval."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
from numpy.typing import NDArray

from geneval.data import Features, Moments
from geneval.metric import Undefined
from geneval.metrics.fidelity.fid_infinity import fid_infinity, sized_draws
from geneval.resample import Context
from geneval.value import Role

Floats = NDArray[np.float64]


def features(x: Floats) -> Features:
    """Features with numbered ids."""
    return Features(tuple(f"{i:05d}" for i in range(len(x))), x)


def gaussians(n: int, m: int, d: int, seed: int, shift: float = 0.0) -> tuple[Features, Features]:
    """Two standard normal clouds, the first moved by `shift` in every direction."""
    rng = np.random.default_rng(seed)
    return features(rng.normal(size=(n, d)) + shift), features(rng.normal(size=(m, d)))


def textbook(mean_x: Floats, cov_x: Floats, mean_y: Floats, cov_y: Floats) -> float:
    """The Fréchet distance with SciPy's matrix square root."""
    root = np.trace(np.real(np.asarray(scipy.linalg.sqrtm(cov_x @ cov_y))))
    return float(((mean_x - mean_y) ** 2).sum() + np.trace(cov_x) + np.trace(cov_y) - 2 * root)


def by_hand(x: Floats, y: Floats, sizes: Floats, seed: int) -> tuple[Floats, Floats]:
    """Distances of seeded draws of each size, and the line through them (end, slope)."""
    state = np.random.RandomState(seed)
    found = []
    for size in sizes.astype(int):
        part = x[state.choice(len(x), size, replace=False)]
        found.append(textbook(part.mean(0), np.cov(part.T), y.mean(0), np.cov(y.T)))
    slope, end = np.polyfit(1 / sizes, found, 1)
    return np.array(found), np.array([end, slope])


def test_it_is_the_line_through_seeded_draws() -> None:
    """Sizes by linspace, draws by RandomState in order, scipy's root and numpy's line."""
    x, y = gaussians(300, 200, 4, seed=0, shift=0.3)
    (found,) = fid_infinity(x, y, Context(), points=6, smallest=50, seed=9)
    distances, (end, slope) = by_hand(x.x, y.x, np.linspace(50, 300, 6), 9)
    assert found.number == pytest.approx(end, rel=1e-9)
    table = found.tables[0].columns
    assert list(table["1/N"]) == pytest.approx([0, *1 / np.linspace(50, 300, 6)[::-1]])
    assert list(table["FID_N"])[1:] == pytest.approx(distances[::-1], rel=1e-9)
    assert list(table["line"]) == pytest.approx([end + slope * at for at in table["1/N"]], rel=1e-9)
    residual = distances - end - slope / np.linspace(50, 300, 6)
    r2 = 1 - (residual**2).sum() / ((distances - distances.mean()) ** 2).sum()
    assert f"R² {r2:.3f}" in found.finding


def test_the_standard_error_of_the_regression_is_the_textbook_one() -> None:
    """√(residual variance · (Xᵀ X)⁻¹₁₁), as statsmodels and scipy's intercept_stderr give it."""
    from scipy.stats import linregress

    x, y = gaussians(300, 200, 4, seed=1)
    (found,) = fid_infinity(x, y, Context(), points=8)
    table = found.tables[0].columns
    fit = linregress(list(table["1/N"])[1:], list(table["FID_N"])[1:])
    assert f"regression {fit.intercept_stderr:.3g}" in found.finding


@pytest.mark.parametrize(("n", "first"), [(60000, 5000), (3000, 300), (20, 2)])
def test_the_smallest_size_is_the_published_one(n: int, first: int) -> None:
    """min(5000, max(n/10, 2)), up to all samples, which are all drawn."""
    draws = sized_draws(n, 15, None, 0)
    assert len(draws[0]) == first
    assert sorted(draws[-1]) == list(range(n))


def test_the_extrapolation_takes_the_bias_off_and_covers() -> None:
    """Over 100 draws at d = 8, n = 400: the end is nearer than FID_n, and the interval covers."""
    hits, errors, plain = 0, [], []
    for seed in range(100):
        x, y = gaussians(400, 300, 8, seed, shift=0.3)
        moments = y.moments()
        truth = textbook(np.full(8, 0.3), np.eye(8), moments.mean, moments.cov)
        (found,) = fid_infinity(x, y, Context(), seed=seed)
        assert found.number is not None
        assert found.interval is not None
        hits += found.interval.low <= truth <= found.interval.high
        errors.append(found.number - truth)
        last = list(found.tables[0].columns["FID_N"])[1]
        assert isinstance(last, float)
        plain.append(last - truth)
    assert np.mean(plain) > 4 * np.std(plain) / 10
    assert abs(np.mean(errors)) < 3 * np.std(errors) / 10
    # Binomial(100, 0.95): P(X < 87) < 0.001
    assert hits >= 87


def test_the_interval_holds_the_noise_of_the_draws() -> None:
    """Other seeds on the same samples move the end; the evidence's variance covers that share."""
    x, y = gaussians(400, 4000, 8, seed=2, shift=0.3)
    runs = [fid_infinity(x, y, Context(), seed=seed)[0] for seed in range(40)]
    ends = np.array([run.number for run in runs])
    total = np.mean([np.var(run.evidence[Role.GENERATED].rows) / 400 for run in runs])
    # The draws of 15 sizes add about a third of the sampling variance: a quarter of the whole.
    assert 0.1 * total < ends.var(ddof=1) < 0.45 * total


def test_the_reference_may_be_moments() -> None:
    """The value needs no more of the reference, and says that it is conditional on it."""
    x, y = gaussians(200, 500, 4, seed=3, shift=0.2)
    one, other = (fid_infinity(x, side, Context())[0] for side in (y, y.moments()))
    assert one.number == pytest.approx(other.number, rel=1e-9)
    assert "conditional on the reference" in one.finding
    assert one.interval is not None
    assert one.interval.target == "population"
    bare = fid_infinity(x, Moments(None, y.moments().mean, y.moments().cov), Context())[0]
    assert bare.n[Role.REFERENCE] is None


def test_sizes_below_the_width_are_told() -> None:
    """FID_N bends there; the sentence names a size that is large enough, if there is one."""
    x, y = gaussians(200, 200, 8, seed=4)
    assert "set smallest to 32" in fid_infinity(x, y, Context())[0].finding
    assert "bends" not in fid_infinity(x, y, Context(), smallest=32)[0].finding
    x, y = gaussians(60, 200, 8, seed=4)
    assert "take more samples" in fid_infinity(x, y, Context())[0].finding


def test_too_few_sizes_is_a_problem() -> None:
    """Two points are no fit; the sentence names the option."""
    with pytest.raises(Undefined, match="set smallest lower"):
        fid_infinity(*gaussians(50, 50, 2, seed=5), Context(), smallest=49)
