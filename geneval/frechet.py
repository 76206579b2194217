"""The Fréchet distance between Gaussians: plain, corrected for finite samples, leaving one out.

Arithmetic is float64 on the device of the block (`linalg.on_device`). Features stay in their own
precision: they are read tile by tile, and no float64 copy of a whole set is held.

The correction. With R₁ᵀR₂ = U S Vᵀ for factors Rᵢ Rᵢᵀ = Σᵢ, the trace of (Σ₁Σ₂)^½ is Σ σⱼ, which
overlooks that eigenvalues of sample covariances are spread out by chance. Where samples and
dimensions grow together the S-transforms of the two Marchenko–Pastur laws divide out (the estimator
of Tiomoko and Couillet 2019, arXiv:1903.03447, here as an integral over the positive axis), so that

    Θ = (1/π) ∫₀^∞ s^-½ G(H(s)) ds,   H(s) = Σⱼ σⱼ²/(s + σⱼ²),   ν₁ = n − 1, ν₂ = m − 1,
    G(H) = ∫₀^H dt / √((1 − t/ν₁)(1 − t/ν₂)) = −2√(ν₁ν₂) ln((√ν₂√(1−H/ν₂) + √ν₁√(1−H/ν₁))/(√ν₁+√ν₂))

estimates the population's trace. With ν → ∞, as for a side known by its moments, G(H) = H and
Θ = Σ σⱼ. A side with no more samples than directions has ν = ∞ too: nothing there is invertible.

Leaving one out. Without sample x, c = x − μ₁, Σ₁ becomes a Σ₁ − g c cᵀ exactly, a = (n−1)/(n−2) and
g = n/((n−1)(n−2)). In the eigenbasis that is Λ → aΛ − g w wᵀ with w = VᵀR₂ᵀc, whose resolvent the
Sherman–Morrison formula gives. So all n left-out values cost two products of matrices.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from geneval.data import Moments
from geneval.linalg import Floats, Ints, as_array, as_tensor
from geneval.tiles import parts, take_rows

_STEP = 0.7  # of the trapezoid rule in ln s: its error is exp(−2π²/0.7), 6e-13
_MARGIN = 18.0  # how far in ln s the nodes go past the spectrum; beyond, the tails are geometric
_STRIPS = 4  # of a product XᵀX, of which the half above the diagonal is not computed


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
    def of_rows(cls, x: NDArray[Any]) -> Gaussian:
        """Mean and covariance (ddof 1) of the rows of x [n, d]."""
        n, d = x.shape
        mean = torch.stack([tile.sum(dim=0) for _, tile in tiles(x)]).sum(dim=0) / n
        if n <= d:
            return cls(mean, None, (as_tensor(x) - mean).T / max(n - 1, 1) ** 0.5)
        products = torch.zeros(d, d, dtype=torch.float64, device=mean.device)
        width = math.ceil(d / _STRIPS)
        for _, tile in tiles(x):
            tile -= mean
            for left in range(0, d, width):
                strip = slice(left, left + width)
                products[left:, strip].addmm_(tile[:, left:].T, tile[:, strip])
        return cls(mean, products.tril_().add_(products.tril(-1).T).div_(n - 1), None)

    @classmethod
    def of_moments(cls, moments: Moments) -> Gaussian:
        """The same from stored moments."""
        return cls(as_tensor(moments.mean), as_tensor(moments.cov), None)

    @classmethod
    def of(cls, side: NDArray[Any] | Moments) -> Gaussian:
        """The same from whichever is known."""
        return cls.of_moments(side) if isinstance(side, Moments) else cls.of_rows(side)

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


def tiles(x: NDArray[Any]) -> Iterator[tuple[slice, torch.Tensor]]:
    """Fresh float64 tiles [t, d] of the rows of x, with which rows each holds."""
    return ((part, take_rows(x, part)) for part in parts(*x.shape))


def frechet(a: Gaussian, b: Gaussian, root: float) -> float:
    """‖μ₁−μ₂‖² + tr Σ₁ + tr Σ₂ − 2 tr (Σ₁Σ₂)^½ (Dowson 1982), the last trace given as `root`.

    It is the sum of the singular values of R₁ᵀR₂ for factors of the two sides. Taking them from the
    product itself and not as roots of the eigenvalues of its square keeps directions whose variance
    is 1e-8 of the largest and less.
    """
    return float((a.mean - b.mean).square().sum()) + a.trace() + b.trace() - 2 * root


def frechet_distance(a: Moments, b: Moments) -> float:
    """The Fréchet distance of two Gaussians known by their moments."""
    other = Gaussian.of_moments(b)
    return _plain(Gaussian.of_moments(a), other, other.factor())


def _plain(a: Gaussian, b: Gaussian, factor_b: torch.Tensor) -> float:
    return frechet(a, b, float(torch.linalg.svdvals(a.factor().T @ factor_b).sum()))


@dataclass(frozen=True)
class Sided:
    """What one side's samples tell: `influence` [n] with mean 0, corrected distances without each.

    `left_out` [n] holds the corrected distance without each sample in turn.
    """

    influence: Floats
    left_out: Floats


@dataclass(frozen=True)
class FrechetParts:
    """The distance, plain and corrected; side b tells nothing if only its moments are known."""

    distance: float
    corrected: float
    a: Sided
    b: Sided | None


def frechet_parts(x: NDArray[Any], y: NDArray[Any] | Moments) -> FrechetParts:
    """The distance between features x [n, d] and y [m, d] (or moments), with influences.

    Both sets need at least 3 rows.
    """
    a, b = Gaussian.of(x), Gaussian.of(y)
    factor_a, factor_b = a.factor(), b.factor()
    left, shared, right = torch.linalg.svd(factor_a.T @ factor_b, full_matrices=False)
    kept = int((shared > _noise(shared.flip(0))).sum())
    carried_a, carried_b = factor_b @ right[:kept].T, factor_a @ left[:, :kept]
    del left, right, factor_a, factor_b
    trace = CorrectedTrace.of(shared[:kept])
    rows = math.inf if isinstance(y, Moments) else len(y)
    corrected = frechet(a, b, trace.whole(len(x), rows))
    return FrechetParts(
        distance=frechet(a, b, float(shared.sum())),
        corrected=corrected,
        a=_sided(x, a, b, carried_a, trace, rows),
        b=None if isinstance(y, Moments) else _sided(y, b, a, carried_b, trace, len(x)),
    )


def frechet_of_draws(
    x: NDArray[Any], y: NDArray[Any] | Moments, draws: Sequence[Ints]
) -> tuple[Floats, Floats]:
    """Distances [draws] of parts of x [n, d] to y, and the influence [n] on that of all of x."""
    a, b = Gaussian.of(x), Gaussian.of(y)
    factor = b.factor()
    _, shared, right = torch.linalg.svd(a.factor().T @ factor, full_matrices=False)
    kept = int((shared > _noise(shared.flip(0))).sum())
    carried = factor @ right[:kept].T
    psi = np.empty(len(x))
    for here, tile in tiles(x):
        tile -= a.mean
        psi[here] = as_array(_influence(tile, a.mean - b.mean, tile @ carried, shared[:kept]))
    distances = [_plain(Gaussian.of_rows(x[drawn]), b, factor) for drawn in draws]
    return np.array(distances), psi - psi.mean()


def _influence(
    centred: torch.Tensor, between: torch.Tensor, seen: torch.Tensor, shared: torch.Tensor
) -> torch.Tensor:
    """Influence of every sample of side 1 on the Fréchet distance, but for a constant.

    ψ(x) = 2(μ₁−μ₂)ᵀ(x−μ₁) + (x−μ₁)ᵀ(I−T)(x−μ₁) with the transport map T = C S⁻¹ Cᵀ, where
    R₁ᵀR₂ = U S Vᵀ and C = R₂V. `centred` is x − μ₁, `between` μ₁−μ₂, `seen` (x − μ₁)C, `shared` S.
    """
    return 2 * centred @ between + centred.square().sum(1) - seen.square() @ shared.reciprocal()


def _sided(
    x: NDArray[Any],
    own: Gaussian,
    other: Gaussian,
    carried: torch.Tensor,
    trace: CorrectedTrace,
    rows: float,
) -> Sided:
    """What the rows of x tell, against `rows` samples of the other side; `carried` is C above."""
    n, between = len(x), own.mean - other.mean
    without = trace.without_one(n, rows)
    influence, left_out = np.empty(n), np.empty(n)
    constant = float(between.square().sum()) + other.trace() + without.scale * own.trace()
    for here, tile in tiles(x):
        tile -= own.mean
        seen, lengths = tile @ carried, tile.square().sum(1)
        influence[here] = as_array(_influence(tile, between, seen, trace.shared))
        means = lengths / (n - 1) ** 2 - 2 * tile @ between / (n - 1)
        roots = without.traces(seen.square_())
        left_out[here] = as_array(constant + means - without.share * lengths - 2 * roots)
    return Sided(influence - influence.mean(), left_out)


@dataclass(frozen=True)
class CorrectedTrace:
    """Θ of the module's docstring for singular values σ [r], by the trapezoid rule in ln s.

    `nodes` [q] and `weights` [q] are those of (1/π) ∫ s^-½ … ds. The integral is taken of G(H) − H,
    since that of H is Σ σ in closed form.
    """

    shared: torch.Tensor
    nodes: torch.Tensor
    weights: torch.Tensor

    @classmethod
    def of(cls, shared: torch.Tensor) -> CorrectedTrace:
        """Nodes that reach beyond the spectrum σ² of descending `shared`."""
        if not len(shared):
            return cls(shared, shared, shared)
        low, high = (2 * math.log(float(end)) for end in (shared[-1], shared[0]))
        count = math.ceil((high - low + 2 * _MARGIN) / _STEP)
        places = torch.arange(count, dtype=shared.dtype, device=shared.device)
        nodes = (low - _MARGIN + _STEP * places).exp()
        weights = nodes.sqrt() * (_STEP / math.pi)
        # Past the ends the integrand falls like s^½ and s^-3/2: the left-off nodes in one.
        weights[0] /= 1 - math.exp(-_STEP / 2)
        weights[-1] /= 1 - math.exp(-1.5 * _STEP)
        return cls(shared, nodes, weights)

    def whole(self, n: int, m: float) -> float:
        """Θ for n and m samples; m is infinite for a side known by its moments."""
        squares = self.shared.square()[:, None]
        seen = (squares / (squares + self.nodes)).sum(0)
        excess = excess_of(seen, self._freedom(n), self._freedom(m))
        return float(self.shared.sum() + excess @ self.weights)

    def without_one(self, n: int, m: float) -> WithoutOne:
        """The same without a sample of a side of n."""
        scale, share = (n - 1) / (n - 2), n / ((n - 1) * (n - 2))
        freedom = self._freedom(n) - 1, self._freedom(m)
        return WithoutOne(self, scale, share, freedom)

    def _freedom(self, n: float) -> float:
        """ν, infinite where a side has too few samples for a correction."""
        return n - 1 if len(self.shared) < n - 2 else math.inf


@dataclass(frozen=True)
class WithoutOne:
    """Θ without each of many samples: Λ → aΛ − g w wᵀ, a = `scale`, g = `share`."""

    trace: CorrectedTrace
    scale: float
    share: float
    freedom: tuple[float, float]

    def traces(self, squared: torch.Tensor) -> torch.Tensor:
        """Θ [t] without the sample whose w² are `squared` [t, r], one a row."""
        shared, nodes = self.trace.shared * self.scale**0.5, self.trace.nodes
        inverse = (shared.square()[:, None] + nodes).reciprocal()
        leverage = self.share * (squared @ inverse)
        left = (1 - leverage).clamp_(min=torch.finfo(nodes.dtype).eps)
        moved = nodes * (self.share * (squared @ inverse.square())) / left
        whole = (shared.square()[:, None] * inverse).sum(0)
        # To first order Σ σ falls by gw²/2σ; `leverage · moved` is what is beyond that.
        first = shared.sum() - self.share / 2 * (squared @ shared.reciprocal())
        beyond = excess_of((whole - moved).clamp_(min=0.0), *self.freedom) - leverage * moved
        roots: torch.Tensor = first + beyond @ self.trace.weights
        return roots


def excess_of(seen: torch.Tensor, one: float, other: float) -> torch.Tensor:
    """G(H) − H for H = `seen` and degrees of freedom ν₁, ν₂, which may be infinite."""
    falls = [seen / nu / (1 + (1 - seen / nu).sqrt()) for nu in (one, other)]  # 1 − √(1 − H/ν)
    if math.isinf(one) and math.isinf(other):
        return torch.zeros_like(seen)
    if math.isinf(one) or math.isinf(other):
        finite, fall = (other, falls[1]) if math.isinf(one) else (one, falls[0])
        return 2 * finite * fall - seen
    total = math.sqrt(one) + math.sqrt(other)
    inner = (math.sqrt(one) * falls[0] + math.sqrt(other) * falls[1]) / total
    return -2 * math.sqrt(one * other) * torch.log1p(-inner) - seen


def _noise(values: torch.Tensor) -> float:
    """Ascending eigenvalues or singular values up to this are rounding."""
    largest = float(values[-1]) if len(values) else 0.0
    return len(values) * torch.finfo(values.dtype).eps * max(largest, 0.0)
