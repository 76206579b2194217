"""Kernel distance: unbiased squared maximum mean discrepancy under k(x, y) = (x·y/d + 1)³.

Input: generated features [n, d] and reference features [m, d]; float64 (products of
more than 2,000² pairs float32 of centred rows, 4e-10 off at most). Unit: squared
kernel units (papers often print 10³ times the value); range: unbounded, slightly negative where the
sets agree; best 0; symmetric.

`kid` is the literature's number: the mean over `subsets` pairs of subsets of `subset_size` samples,
drawn without replacement by NumPy's RandomState(`seed`) in canonical id order, which are the draws
of torch-fidelity. In every subset the diagonals of the two inner kernel matrices are left out and
the cross matrix is whole. `unbiased` is the same estimator on all samples at once, has no subset
noise, and is what comparisons use. Both estimate the population value without bias.

Variance of `unbiased`, by Hoeffding's decomposition of a two-sample U-statistic, with
a(x) = E k(x, x') − E k(x, y), b(y) likewise and σ² the variances of the doubly centred kernels:

    4 s²(a)/n + 4 s²(b)/m − 2σ²ₓₓ/(n(n−1)) − 2σ²ᵧᵧ/(m(m−1)) − 4σ²ₓᵧ/(nm)

where the sample variances s² of the estimated projections already contain second-order noise, and
each side's first-order part is at least 0. The interval of `kid` adds the subsets' own noise.
Undefined when a side has fewer than `subset_size` samples: shrinking it silently, as some tools do,
changes nothing in expectation but hides that the protocol was not followed.

Paper: Bińkowski et al. 2018, arXiv:1801.01401. Agrees with torch-fidelity on float64 features to
1e-6 relative (its own float32 kernel is 6.5e-5 off).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np

from geneval.data import Features
from geneval.kernels import Cubic, KernelSums, PairSums, Subsets, subset_mmds
from geneval.metric import Undefined, features, metric
from geneval.options import AtLeast
from geneval.pairs import Asks, kernel_pair
from geneval.resample import Context
from geneval.value import Estimate, Evidence, OutputSpec, Role


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Two Gaussian clouds of 1,000; damage moves the generated one."""
    ids = tuple(f"{i:04d}" for i in range(1000))
    x, y = rng.normal(size=(2, 1000, 6))
    return {"generated": Features(ids, x + damage), "reference": Features(ids, y)}


def kernel(subsets: int, subset_size: int, seed: int) -> Cubic:
    """The kernel of a protocol, with its random subsets."""
    return Cubic(Subsets(subsets, subset_size, seed))


@metric(
    "kid",
    version=1,
    paper="arXiv:1801.01401",
    min_n=2,
    n_match="any",
    outputs=[
        OutputSpec("kid", "lower", compared_by="unbiased"),
        OutputSpec("unbiased", "lower"),
    ],
    needs=lambda o: {"generated": features("generated"), "reference": features("reference")},
    asks=lambda o: Asks(frozenset({kernel(o.subsets, o.subset_size, o.seed)})),
    example=example,
    conventions={"kernel": "poly3"},
    symmetric=("unbiased",),
)
def kid(
    generated: Features,
    reference: Features,
    context: Context,
    *,
    subsets: Annotated[int, AtLeast(1)] = 100,
    subset_size: Annotated[int, AtLeast(2)] = 1000,
    seed: Annotated[int, AtLeast(0)] = 2020,
) -> list[Estimate]:
    """The mean over subsets and the exact unbiased estimate."""
    n, m = generated.n, reference.n
    if m < 2:
        raise Undefined("1 reference sample: an unbiased estimate needs two a side")
    counts = {Role.GENERATED: n, Role.REFERENCE: m}
    cubic = kernel(subsets, subset_size, seed)
    sums = kernel_pair(generated.x, reference.x, cubic)
    exact, variance, evidence = mmd(sums, generated, reference)
    unbiased = Estimate(
        output="unbiased",
        number=exact,
        n=counts,
        interval=context.interval(exact, variance**0.5, "U-statistic", "population"),
        evidence=evidence,
    )
    if min(n, m) < subset_size:
        problem = (
            f"{min(n, m)} samples are too few for subsets of {subset_size}: set subset_size to at "
            f"most {min(n, m)}, or use kid.unbiased"
        )
        return [Estimate(output="kid", problem=problem, n=counts), unbiased]
    draws = subset_mmds(cubic, sums, generated.x, reference.x)
    number, spread = float(draws.mean()), float(draws.std())
    se = (variance + draws.var() / subsets) ** 0.5
    literature = Estimate(
        output="kid",
        number=number,
        n=counts,
        interval=context.interval(number, se, "U-statistic and subset noise", "population"),
        finding=f"standard deviation over {subsets} subsets {spread:.6g}",
    )
    return [literature, unbiased]


def mmd(
    sums: PairSums, generated: Features, reference: Features
) -> tuple[float, float, dict[Role, Evidence]]:
    """The unbiased squared MMD of all samples, its variance, and every sample's influence."""
    n, m = generated.n, reference.n
    inner, other, cross = sums.inner, sums.other, sums.cross
    a = inner.rows / (n - 1) - cross.rows / m
    b = other.rows / (m - 1) - cross.columns / n
    value = inner.rows.sum() / (n * (n - 1)) + other.rows.sum() / (m * (m - 1))
    value -= 2 * cross.rows.sum() / (n * m)
    xx, yy = _centred(inner, n * (n - 1)), _centred(other, m * (m - 1))
    xy = _centred(cross, n * m)
    first = max(a.var(ddof=1) - xx / (n - 1) - xy / m, 0.0) * 4 / n
    first += max(b.var(ddof=1) - yy / (m - 1) - xy / n, 0.0) * 4 / m
    second = 2 * xx / (n * (n - 1)) + 2 * yy / (m * (m - 1)) + 4 * xy / (n * m)
    evidence = {
        Role.GENERATED: Evidence("influence", generated.ids, 2 * (a - a.mean())),
        Role.REFERENCE: Evidence("influence", reference.ids, 2 * (b - b.mean())),
    }
    return float(value), float(first + second), evidence


def _centred(sums: KernelSums, pairs: int) -> float:
    """Variance of the doubly centred kernel: E k² − E(row mean)² − E(column mean)² + (E k)²."""
    rows = sums.rows * (len(sums.rows) / pairs)
    columns = sums.columns * (len(sums.columns) / pairs)
    mean = sums.rows.sum() / pairs
    centred = sums.squares / pairs - (rows**2).mean() - (columns**2).mean() + mean**2
    return float(max(centred, 0.0))
