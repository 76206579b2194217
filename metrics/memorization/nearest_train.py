"""Copies of training samples, by the distance of every sample to its nearest training sample.

    near_copies  = share of generated g with δ(g) ≤ q,  q the `quantile` of δ over the reference
    exact_copies = share of generated g with δ(g) ≤ `rounding` · median of δ over the reference
    relative_distance = mean δ(g) / mean δ(r),   neighbour_ratio = mean of δ(g) / δ₂(g)

Input: distances δ and δ₂ of every generated and every reference (held-out) sample to the nearest
and the second nearest training sample. Lower is better for `exact_copies` and `near_copies`, both
in [0, 1]: of fresh samples of the training distribution near_copies finds the share `quantile`; the
finding gives the exact p-value of as many or more among fresh ones. An exact copy is one that the
extractor cannot tell from its training sample but for rounding; equal pixels always are. Exact
copies are near copies too.

`relative_distance`, range [0, ∞), is 1 for fresh samples, below it for copies and above it for
samples that are off; `neighbour_ratio` is Lowe's ratio, range [0, 1], near 0 for copies of single
training samples and 0 for those of repeated ones; its target is that of the reference, in the
finding.

δ falls as training samples are added, so all intervals are the spread at this n, with training
samples as given. The copies' are Wilson's at the effective sample size, that of `near_copies`
counting the reference by the exact bootstrap variance of its quantile; the others count every
sample (delta method). Undefined below 2 training samples and where δ is 0 for the whole reference.

Source: Lowe 2004 (the ratio); copies as in Carlini et al. 2023, with the held-out samples' own
distances for a threshold. Planted copies are found in the tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

import numpy as np

from geneval.data import Neighbours
from geneval.linalg import Floats
from geneval.metric import Undefined, metric, neighbours
from geneval.metrics.memorization.authenticity import closest
from geneval.options import AtLeast
from geneval.resample import Context, proportion_interval, standard_error
from geneval.value import DetailTable, Estimate, Evidence, OutputSpec, Role

QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Three clouds of one distribution; damage replaces generated samples by training samples."""
    from geneval.neighbours import nearest

    ids = tuple(f"{i:04d}" for i in range(200))
    x, reference, train = rng.normal(size=(3, 200, 6))
    x = np.where((rng.random(200) < damage)[:, None], train, x)
    return {
        "generated": Neighbours(ids, *nearest(x, 2, train), ids),
        "reference": Neighbours(ids, *nearest(reference, 2, train), ids),
        "train": Neighbours(ids, *nearest(train, 1)),
    }


@metric(
    "nearest_train",
    version=1,
    min_n=2,
    outputs=[
        OutputSpec("exact_copies", "lower", range=(0, 1)),
        OutputSpec("near_copies", "lower", range=(0, 1)),
        OutputSpec("relative_distance", "target", range=(0, None)),
        OutputSpec("neighbour_ratio", "target", range=(0, 1)),
    ],
    needs=lambda o: {
        "generated": neighbours("generated", 2, among="train"),
        "reference": neighbours("reference", 2, among="train"),
        "train": neighbours("train", 1),
    },
    example=example,
    conventions={"ties": "<=", "rank": "inverted cdf"},
)
def nearest_train(
    generated: Neighbours,
    reference: Neighbours,
    train: Neighbours,
    context: Context,
    *,
    quantile: Annotated[float, AtLeast(0)] = 0.01,
    rounding: Annotated[float, AtLeast(0)] = 1e-4,
) -> list[Estimate]:
    """Shares of exact and near copies, and how near generated samples are beside held-out ones."""
    if not 0 < quantile < 1:
        raise Undefined(f"quantile = {quantile:g}: set one between 0 and 1")
    x, y = generated.radius(1), reference.radius(1)
    if not y.any():
        raise Undefined("every reference sample equals a training sample: give held-out samples")
    threshold = float(np.sort(y)[rank(len(y), quantile) - 1])
    exact = rounding * float(np.median(y))
    n = {Role.GENERATED: len(x), Role.REFERENCE: len(y), Role.TRAIN: len(train.ids)}
    moves = quantile_influence(x, y, quantile)
    exact_copies = within(exact, 0 * moves, "exact_copies", generated, reference, context)
    near_copies = within(max(threshold, exact), moves, "near_copies", generated, reference, context)
    told = f"held-out samples are so near in {quantile:.3g} of all cases"
    near_copies = replace(
        near_copies, finding=f"{told}; p = {chance(x, y, quantile):.3g} that these are no more"
    )
    exact_copies = replace(
        exact_copies,
        tables=(distribution(generated, reference),),
        galleries=closest(generated, x),
    )
    return [
        replace(estimate, n=n)
        for estimate in (
            exact_copies,
            near_copies,
            relative(generated, reference, context),
            ratio(generated, reference, context),
        )
    ]


def within(
    most: float,
    influence: Floats,
    output: str,
    generated: Neighbours,
    reference: Neighbours,
    context: Context,
) -> Estimate:
    """The share of samples at most so far away; `influence` [m] is that of the reference on it."""
    scores = (generated.radius(1) <= most).astype(np.float64)
    return Estimate(
        output=output,
        number=float(scores.mean()),
        interval=proportion_interval(scores, influence, context.level, "wilson"),
        evidence={
            Role.GENERATED: Evidence("scores", generated.ids, scores),
            Role.REFERENCE: Evidence("influence", reference.ids, influence),
        },
    )


def quantile_influence(x: Floats, y: Floats, quantile: float) -> Floats:
    """Influence [m] of the numbers y [m] on the share of x at or below their quantile.

    Its slope gives the share the variance that it has over bootstrap samples of y: a resampled
    quantile is the j-th of y with P(at most the j-th) = P(Binomial(m, j/m) ≥ k).
    """
    from scipy.stats import binom

    m = len(y)
    k = rank(m, quantile)
    ordered = np.sort(y)
    at_most = binom.sf(k - 1, m, np.arange(m + 1) / m)
    weight = np.diff(at_most)
    share = np.searchsorted(np.sort(x), ordered, "right") / len(x)
    variance = float(weight @ (share - weight @ share) ** 2)
    below = (y <= ordered[k - 1]).astype(np.float64)
    spread = float(below.std(ddof=1))
    slope = np.sqrt(variance * m) / spread if spread > 0 else 0.0
    influence: Floats = slope * (below.mean() - below)
    return influence


def chance(x: Floats, y: Floats, quantile: float) -> float:
    """Probability that fresh x [n] lie within the quantile of y [m] as often as these or more.

    With k of y within it and c of x, fewer than k of the k + c − 1 least of all are of y.
    """
    from scipy.stats import hypergeom

    n, m = len(x), len(y)
    k = rank(m, quantile)
    c = int((x <= np.sort(y)[k - 1]).sum())
    return float(hypergeom.cdf(k - 1, n + m, m, k + c - 1))


def rank(m: int, quantile: float) -> int:
    """Which of m numbers in order, counted from 1, is their quantile."""
    return max(int(np.ceil(quantile * m)), 1)


def relative(generated: Neighbours, reference: Neighbours, context: Context) -> Estimate:
    """The quotient of the mean distances of both sides."""
    x, y = generated.radius(1), reference.radius(1)
    number = float(x.mean() / y.mean())
    by_x, by_y = (x - x.mean()) / y.mean(), -number * (y - y.mean()) / y.mean()
    se = float(np.hypot(standard_error(by_x), standard_error(by_y)))
    return Estimate(
        output="relative_distance",
        number=number,
        interval=context.interval(number, se, "delta method", "at_n", (0, None)),
        evidence={
            Role.GENERATED: Evidence("influence", generated.ids, by_x),
            Role.REFERENCE: Evidence("influence", reference.ids, by_y),
        },
    )


def ratio(generated: Neighbours, reference: Neighbours, context: Context) -> Estimate:
    """The mean of Lowe's ratio, with that of the reference."""
    scores = lowe(generated)
    number, se = float(scores.mean()), standard_error(scores)
    return Estimate(
        output="neighbour_ratio",
        number=number,
        interval=context.interval(number, se, "central limit theorem", "at_n", (0, 1)),
        evidence={Role.GENERATED: Evidence("scores", generated.ids, scores)},
        finding=f"held-out samples have {lowe(reference).mean():.4g}",
    )


def lowe(near: Neighbours) -> Floats:
    """First over second distance [n]; 0 where both are 0."""
    first, second = near.distance.T[:2]
    ratios: Floats = np.divide(first, second, out=np.zeros_like(first), where=second > 0)
    return ratios


def distribution(generated: Neighbours, reference: Neighbours) -> DetailTable:
    """Quantiles of the distance and of Lowe's ratio on both sides."""
    sides = {"generated": generated, "reference": reference}
    columns: dict[str, list[Any]] = {"quantile": list(QUANTILES)}
    for name, near in sides.items():
        columns[f"{name}: distance"] = np.quantile(near.radius(1), QUANTILES).tolist()
        columns[f"{name}: ratio"] = np.quantile(lowe(near), QUANTILES).tolist()
    return DetailTable("Distance to the nearest training sample, and over the second", columns)
