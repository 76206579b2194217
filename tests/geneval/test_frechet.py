"""The Fréchet distance against SciPy's root, closed forms, singular cases and leaving out."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
from numpy.typing import NDArray

from geneval.data import Features, Moments
from geneval.frechet import frechet_distance, frechet_parts

Floats = NDArray[np.float64]


def moments(x: Floats) -> Moments:
    """Moments of the rows."""
    return Features(tuple(str(i) for i in range(len(x))), x).moments()


def textbook(a: Moments, b: Moments) -> float:
    """The Fréchet distance with SciPy's matrix square root, as pytorch-fid computes it."""
    root = np.real(np.trace(np.asarray(scipy.linalg.sqrtm(a.cov @ b.cov))))
    return float(((a.mean - b.mean) ** 2).sum() + np.trace(a.cov) + np.trace(b.cov) - 2 * root)


@pytest.mark.parametrize(("n", "m", "d"), [(500, 300, 2), (500, 300, 17), (900, 800, 64)])
def test_frechet_equals_the_matrix_square_root(n: int, m: int, d: int) -> None:
    """With full rank both routes agree to ten digits."""
    rng = np.random.default_rng(d)
    a = moments(rng.normal(size=(n, d)) @ rng.normal(size=(d, d)))
    b = moments(rng.normal(size=(m, d)) + 0.1)
    assert frechet_distance(a, b) == pytest.approx(textbook(a, b), rel=1e-10)


@pytest.mark.parametrize("power", range(1, 16))
@pytest.mark.parametrize("d", [2, 16, 64, 256])
def test_frechet_over_ranks(power: int, d: int) -> None:
    """From 2 samples to many more than d, rows and moments give one distance, both ways round.

    The grid and the draws are those of torch-fidelity's test_fid_stats_fn.py (N = 2^1 … 2^15,
    C = 2 … 2^8, seed 2023). Where N ≤ C the rows give the nuclear norm of their product without any
    root; the moments' roots agree with it to twelve digits.
    """
    state = np.random.RandomState(2023)
    x, y = state.randn(2**power, d), state.randn(2**power, d)
    block = np.arange(2**power) % 2
    parts = frechet_parts(x, y, block, block)
    there = frechet_distance(moments(x), moments(y))
    back = frechet_distance(moments(y), moments(x))
    assert parts.distance == pytest.approx(there, rel=1e-12, abs=1e-12)
    assert there == pytest.approx(back, rel=1e-12, abs=1e-12)


def test_the_singular_statistics_of_torch_fidelity() -> None:
    """4 samples in 4 dimensions, seed 1: a real root of a rounded eigenvalue is NaN there."""
    state = np.random.RandomState(1)
    a, b = moments(state.randn(4, 4)), moments(state.randn(4, 4))
    assert np.linalg.matrix_rank(a.cov) == np.linalg.matrix_rank(b.cov) == 3
    assert frechet_distance(a, b) == pytest.approx(textbook(a, b), abs=5e-6)


def test_means_of_zeros_and_ones_are_2048_apart() -> None:
    """pytorch-fid's test_fid_score.py: means of zeros and of ones, Σ = I, d = 2048, give 2048."""
    eye = np.eye(2048)
    found = frechet_distance(Moments(None, np.zeros(2048), eye), Moments(None, np.ones(2048), eye))
    assert found == 2048


def test_three_constant_images_have_covariance_a_quarter() -> None:
    """pytorch-fid's test_fid_score.py: features 0, ½ and 1 in every dimension give ½ and 0.25."""
    found = moments(np.repeat(np.array([[0.0], [0.5], [1.0]]), 3, axis=1))
    assert (found.mean == 0.5).all()
    assert (found.cov == 0.25).all()


def test_ddof_0_takes_a_known_share_off() -> None:
    """StyleGAN's Σ divides by n, not n − 1: all but the means' part shrinks by (n − 1)/n."""
    rng = np.random.default_rng(3)
    n = 40
    x, y = rng.normal(size=(n, 5)) + 0.3, rng.normal(size=(n, 5)) * 2
    a, b = moments(x), moments(y)
    means = ((a.mean - b.mean) ** 2).sum()
    ddof_0 = [Moments(None, one.mean(axis=0), np.cov(one, rowvar=False, ddof=0)) for one in (x, y)]
    expected = means + (frechet_distance(a, b) - means) * (n - 1) / n
    assert frechet_distance(*ddof_0) == pytest.approx(expected, rel=1e-12)


def test_singular_covariances() -> None:
    """Covariances without variance in most directions are finite and exact (PSD rank 1)."""
    u, v = np.array([3.0, 4.0, 0.0, 0.0]), np.array([4.0, 3.0, 0.0, 0.0])
    a, b = (Moments(None, np.zeros(4), np.outer(w, w)) for w in (u, v))
    # tr(uuᵀ) + tr(vvᵀ) − 2 |u·v|, since (uuᵀvvᵀ)^½ has the trace |u·v|
    assert frechet_distance(a, b) == pytest.approx(25 + 25 - 2 * 24, rel=1e-9)


@pytest.mark.parametrize(("n", "d"), [(60, 5), (30, 40)])
def test_left_out_blocks_equal_recomputing(n: int, d: int) -> None:
    """Taking a block's products away equals starting over, thin and dense."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(n, d)) + 0.2, rng.normal(size=(50, d))
    block = rng.integers(0, 5, n)
    parts = frechet_parts(x, y, block, np.arange(50) % 5)
    for k in range(5):
        expected = frechet_distance(moments(x[block != k]), moments(y))
        assert parts.left_out_a[k] == pytest.approx(expected, rel=1e-9)
