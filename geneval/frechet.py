"""The Fréchet distance between Gaussians, with what its debiased estimate and intervals need.

Arithmetic is float64 on the device of the block (`linalg.on_device`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from geneval.data import Moments
from geneval.linalg import Floats, Ints, as_array, as_tensor


@dataclass(frozen=True)
class Gaussian:
    """Mean [d] and covariance of one side, dense [d, d] or as a thin factor A [d, r], Σ = A Aᵀ.

    With fewer samples than dimensions the centred rows themselves are the factor, so neither Σ nor
    its square root is formed.
    """

    mean: torch.Tensor
    dense: torch.Tensor | None
    thin: torch.Tensor | None

    @classmethod
    def of_rows(cls, x: torch.Tensor) -> Gaussian:
        """Mean and covariance (ddof 1) of the rows of x [n, d]."""
        mean = x.mean(dim=0)
        centred = x - mean
        if len(x) <= x.shape[1]:
            return cls(mean, None, centred.T / max(len(x) - 1, 1) ** 0.5)
        return cls(mean, centred.T @ centred / (len(x) - 1), None)

    @classmethod
    def of_moments(cls, moments: Moments) -> Gaussian:
        """The same from stored moments."""
        return cls(as_tensor(moments.mean), as_tensor(moments.cov), None)

    def trace(self) -> float:
        """Tr Σ."""
        if self.thin is not None:
            return float(self.thin.square().sum())
        return float(_present(self.dense).trace())

    def factor(self) -> torch.Tensor:
        """A factor R [d, r] with R Rᵀ = Σ: triangular, or of eigenvectors where Σ is singular."""
        if self.thin is not None:
            return self.thin
        dense = _present(self.dense)
        factor: torch.Tensor
        factor, failed = torch.linalg.cholesky_ex(dense)
        if failed:
            values, vectors = torch.linalg.eigh(dense)
            keep = values > _noise(values)
            factor = vectors[:, keep] * values[keep].sqrt()
        return factor


def _present(dense: torch.Tensor | None) -> torch.Tensor:
    assert dense is not None, "a Gaussian is either dense or thin"
    return dense


def frechet(a: Gaussian, b: Gaussian, shared: torch.Tensor) -> float:
    """‖μ₁−μ₂‖² + tr Σ₁ + tr Σ₂ − 2 tr (Σ₁Σ₂)^½ (Dowson 1982).

    `shared` holds the singular values of R₁ᵀR₂ for factors of the two sides, whose sum is the trace
    of the root. Taking them from the product itself and not as roots of the eigenvalues of its
    square keeps directions whose variance is 1e-8 of the largest and less.
    """
    means = float((a.mean - b.mean).square().sum())
    return means + a.trace() + b.trace() - 2 * float(shared.sum())


@dataclass(frozen=True)
class FrechetParts:
    """A Fréchet distance with what intervals need; side b has no parts if only moments are known.

    `influence` float64 [n] and [m] has mean 0; `left_out` holds the distance without each block.
    """

    distance: float
    influence_a: Floats
    influence_b: Floats | None
    left_out_a: list[float]
    left_out_b: list[float]


def frechet_parts(
    x: NDArray[Any], y: NDArray[Any] | Moments, block_x: Ints, block_y: Ints | None
) -> FrechetParts:
    """The distance between features x [n, d] and y [m, d] (or moments), influences, jackknife."""
    rows_x = as_tensor(x)
    rows_y = None if isinstance(y, Moments) else as_tensor(y)
    a = Gaussian.of_rows(rows_x)
    b = Gaussian.of_moments(y) if isinstance(y, Moments) else Gaussian.of_rows(_present(rows_y))
    factor_a, factor_b = a.factor(), b.factor()
    left, shared, right = torch.linalg.svd(factor_a.T @ factor_b, full_matrices=False)
    distance, between = frechet(a, b, shared), a.mean - b.mean
    influence_a = frechet_influence(rows_x - a.mean, between, factor_b @ right.T, shared)
    left_out_a = frechet_left_out(rows_x, block_x, b, factor_b)
    if rows_y is None or block_y is None:
        return FrechetParts(distance, influence_a, None, left_out_a, [])
    influence_b = frechet_influence(rows_y - b.mean, -between, factor_a @ left, shared)
    left_out_b = frechet_left_out(rows_y, block_y, a, factor_a)
    return FrechetParts(distance, influence_a, influence_b, left_out_a, left_out_b)


def frechet_of_draws(
    x: NDArray[Any], y: NDArray[Any] | Moments, draws: Sequence[Ints]
) -> tuple[Floats, Floats]:
    """Distances [draws] of parts of x [n, d] to y, and the influence [n] on that of all of x."""
    rows = as_tensor(x)
    a = Gaussian.of_rows(rows)
    b = Gaussian.of_moments(y) if isinstance(y, Moments) else Gaussian.of_rows(as_tensor(y))
    factor = b.factor()
    _, shared, right = torch.linalg.svd(a.factor().T @ factor, full_matrices=False)
    influence = frechet_influence(rows - a.mean, a.mean - b.mean, factor @ right.T, shared)
    distances = []
    for drawn in draws:
        side = Gaussian.of_rows(rows[torch.as_tensor(drawn, device=rows.device)])
        shared = torch.linalg.svdvals(side.factor().T @ factor)
        distances.append(frechet(side, b, shared))
    return np.array(distances), influence


def frechet_distance(a: Moments, b: Moments) -> float:
    """The Fréchet distance of two Gaussians known by their moments."""
    one, other = Gaussian.of_moments(a), Gaussian.of_moments(b)
    return frechet(one, other, torch.linalg.svdvals(one.factor().T @ other.factor()))


def frechet_influence(
    centred: torch.Tensor, between: torch.Tensor, carried: torch.Tensor, shared: torch.Tensor
) -> Floats:
    """Influence [n] of every sample of side 1 on the Fréchet distance, with mean 0.

    ψ(x) = 2(μ₁−μ₂)ᵀ(x−μ₁) + (x−μ₁)ᵀ(I−T)(x−μ₁) with the transport map T = C S⁻¹ Cᵀ, where
    R₁ᵀR₂ = U S Vᵀ and C = R₂V. `centred` is x − μ₁, `between` μ₁−μ₂, `carried` C, `shared` S.
    """
    keep = shared > _noise(shared.flip(0))
    half = carried[:, keep] * shared[keep].rsqrt()
    psi = 2 * centred @ between + centred.square().sum(1) - (centred @ half).square().sum(1)
    return as_array(psi - psi.mean())


def frechet_left_out(
    x: torch.Tensor, block: Ints, b: Gaussian, factor_b: torch.Tensor
) -> list[float]:
    """The Fréchet distance without each block of rows of x in turn."""
    label = torch.as_tensor(block, device=x.device)
    n, mean = len(x), x.mean(dim=0)
    dense = n - int(np.bincount(block).max()) > x.shape[1]
    products = (x - mean).T @ (x - mean) if dense else None
    distances = []
    for k in range(int(block.max()) + 1):
        if products is None:
            side = Gaussian.of_rows(x[label != k])
        else:  # take the block's products away instead of adding up the other nine tenths again
            out = x[label == k] - mean
            rest = n - len(out)
            shift = -out.sum(dim=0) / rest
            cov = (products - out.T @ out - rest * torch.outer(shift, shift)) / (rest - 1)
            side = Gaussian(mean + shift, cov, None)
        shared = torch.linalg.svdvals(side.factor().T @ factor_b)
        distances.append(frechet(side, b, shared))
    return distances


def _noise(values: torch.Tensor) -> float:
    """Ascending eigenvalues or singular values up to this are rounding."""
    largest = float(values[-1]) if len(values) else 0.0
    return len(values) * torch.finfo(values.dtype).eps * max(largest, 0.0)
