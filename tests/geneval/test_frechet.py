"""The Fréchet distance against SciPy's root, closed forms, singular cases and leaving out."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import scipy.integrate
import scipy.linalg
import torch
from numpy.typing import NDArray

from geneval import tiles
from geneval.data import Features, Moments
from geneval.frechet import CorrectedTrace, Gaussian, frechet_distance, frechet_parts

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
    there = frechet_distance(moments(x), moments(y))
    back = frechet_distance(moments(y), moments(x))
    if power > 1:  # samples are left out, and two must remain
        assert frechet_parts(x, y).distance == pytest.approx(there, rel=1e-12, abs=1e-12)
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


@pytest.mark.parametrize("scale", [1.0, 3e3, 1e4, 1e5])
@pytest.mark.parametrize(("n", "d"), [(1000, 64), (60, 192)])
def test_one_large_feature_hides_no_other(n: int, d: int, scale: float) -> None:
    """A set is at distance 0 from itself however unequal its features are, thin or dense.

    The squared factors of such sets span more than double precision: with the root taken from
    eigenvalues the smaller features vanished and 69 was found for 3·10³.
    """
    x = np.random.default_rng(0).normal(size=(n, d))
    x[:, 0] *= scale
    found = frechet_parts(x, x)
    assert abs(found.distance) < 1e-14 * n * scale**2 + 1e-9


@pytest.mark.parametrize(
    ("n", "m", "d"), [(40, 25, 5), (60, 30, 24), (30, 60, 40), (20, 25, 40), (90, 12, 24)]
)
def test_left_out_samples_equal_starting_over(n: int, m: int, d: int) -> None:
    """The rank-one formula is the corrected distance without each sample, thin and dense sides."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(n, d)) + 0.2, rng.normal(size=(m, d)) * np.arange(1, d + 1) ** -0.5
    parts = frechet_parts(x, y)
    assert parts.b is not None
    again = [frechet_parts(np.delete(x, i, axis=0), y).corrected for i in range(n)]
    assert parts.a.left_out == pytest.approx(np.array(again), rel=1e-10)
    again = [frechet_parts(x, np.delete(y, i, axis=0)).corrected for i in range(m)]
    assert parts.b.left_out == pytest.approx(np.array(again), rel=1e-10)


@pytest.mark.parametrize(("n", "m"), [(60, 60), (40, 300), (45, math.inf)])
def test_the_corrected_trace_is_its_contour_integral(n: int, m: float) -> None:
    """Θ by SciPy's adaptive quadrature; equal sides by Tiomoko and Couillet's finite sum as well.

    Theirs is 2ν Σ(σ − √ξ) with ξ the eigenvalues of Λ − √λ√λᵀ/ν (arXiv:1903.03447, theorem 2).
    """
    shared = np.sort(np.random.default_rng(1).lognormal(size=20))[::-1].copy()
    found = CorrectedTrace.of(torch.as_tensor(shared)).whole(n, m)

    def integrand(at: float) -> float:
        squares = shared**2
        seen = (squares / (squares + math.exp(at))).sum()
        slope = (squares / (squares + math.exp(at)) ** 2).sum() * math.exp(at)
        shrunk = (1 - seen / (n - 1)) * (1 - seen / (m - 1))
        return float(2 / math.pi * math.exp(at / 2) * slope / math.sqrt(shrunk))

    expected = scipy.integrate.quad(integrand, -60, 60, limit=1000, epsabs=1e-13, epsrel=1e-13)[0]
    assert found == pytest.approx(expected, rel=1e-9)
    if n == m:
        low = np.linalg.eigvalsh(np.diag(shared**2) - np.outer(shared, shared) / (n - 1))
        assert found == pytest.approx(2 * (n - 1) * (shared - np.sqrt(low[::-1])).sum(), rel=1e-9)


def test_tiles_change_no_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mean and covariance are those of one pass to 1e-12, by tiles of 1 to all rows."""
    x = np.random.default_rng(2).normal(size=(300, 7)).astype(np.float32) * 5 + 100
    mean, cov = x.astype(np.float64).mean(axis=0), np.cov(x.astype(np.float64), rowvar=False)
    for rows in (1, 64, 299, 1000):
        monkeypatch.setattr(tiles, "TILE_BYTES", rows * 7 * 8)
        found = Gaussian.of_rows(x)
        assert found.dense is not None
        assert found.mean.numpy() == pytest.approx(mean, rel=1e-12)
        assert found.dense.numpy() == pytest.approx(cov, rel=1e-12, abs=1e-12 * cov.max())


MEASURED = """
import resource, sys
import numpy as np
from geneval.frechet import frechet_parts

x = np.random.default_rng(0).random((int(sys.argv[1]), 64), dtype=np.float32)
frechet_parts(x[:3000], x[:3000])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
frechet_parts(x, x)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_no_copy_of_the_features_is_held() -> None:
    """Peak memory beyond the features stays below half of one float64 copy of 400,000 rows."""
    command = [sys.executable, "-c", MEASURED, "400000"]
    grown = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    unit = 1 if sys.platform == "darwin" else 1024
    assert grown * unit < 400_000 * 64 * 8 / 2
