"""MAUVE: how near the distribution of generated texts is to that of reference texts.

    p, q:   shares of the generated and of the reference texts in each of k clusters
    curve:  (exp(−c·KL(q‖r)), exp(−c·KL(p‖r))),   r = λp + (1−λ)q,   c = 5,
            25 values of λ from 1e−6 to 1 − 1e−6, and the ends (0, 1) and (1, 0)
    mauve:  the area under the curve, by trapezoids, the mean of both orders of its axes

Input: generated features [n, d] and reference features [m, d] of an encoder of texts, which must be
named; the paper takes the last token's state of gpt2-large (`extractor: {name: transformers:
gpt2-large, pooling: last, max_length: 1024}`). Rows are divided by their lengths, reduced to the
principal components with 90 % of the variance, and clustered by k-means with
k = max(2, round(min(n, m)/10)), `clusters` unless unset. Range (0, 1]; higher is better; 1 for
equal sets. `mauve_star` is the same with 0.5 added to the count of each cluster;
`frontier_integral` is 2∫ λKL(p‖r) + (1−λ)KL(q‖r) dλ in [0, 1], 0 for equal sets.

Clusters depend on chance: each number is the mean over `seeds` clusterings, whose standard
deviation (often 0.005 to 0.01, as large as differences that are reported) stands beside it and in
no interval, since it tells nothing of other texts. With few texts the number is too high, since
few clusters hide differences: two simulated sources that differ scored 0.93 from 100 texts a side,
0.63 from 300, 0.06 from 1,000 and 0.03 from 3,000, equal ones 0.96 from each. Take thousands a
side, and compare at equal n. Numbers of other encoders, other n or other k are other numbers.
Undefined for an embedding of length 0 or if all are equal.

Paper: Pillutla et al. 2021, arXiv:2102.01454; smoothing: Pillutla et al. 2023, arXiv:2212.14578;
frontier integral: Liu et al. 2021, arXiv:2106.07898.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import numpy as np

from geneval.data import Features
from geneval.items import Floats
from geneval.metric import Undefined, features, metric
from geneval.options import AtLeast
from geneval.resample import Context
from geneval.value import Cell, DetailTable, Estimate, OutputSpec, Role

SCALING = 5.0  # c
MIXTURES = np.linspace(1e-6, 1 - 1e-6, 25)
KEPT = 0.9  # of the variance
FEW = 1000  # texts a side, below which the finding warns


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Two clouds in some directions; damage moves the generated one to others."""
    ids = tuple(f"{i:04d}" for i in range(120))
    centres = np.eye(8)[rng.integers(0, 4, size=(2, 120))]
    moved = np.roll(centres[0], 4, axis=1)
    x = (1 - damage) * centres[0] + damage * moved + rng.normal(size=(120, 8)) * 0.2
    y = centres[1] + rng.normal(size=(120, 8)) * 0.2
    return {"generated": Features(ids, x), "reference": Features(ids, y)}


def area(p: Floats, q: Floats) -> float:
    """The area under the divergence curve of two histograms [k] that sum to 1."""
    mixed = [weight * p + (1 - weight) * q for weight in MIXTURES]
    x, y = (np.array([np.exp(-SCALING * divergence(s, r)) for r in mixed]) for s in (q, p))
    x, y = np.append(x, (0.0, 1.0)), np.append(y, (1.0, 0.0))
    return 0.5 * (_trapezoids(x, y) + _trapezoids(y, x))


def divergence(p: Floats, r: Floats) -> float:
    """KL(p‖r) in nats; r is positive where p is."""
    held = p > 0
    return max(0.0, float((p[held] * np.log(p[held] / r[held])).sum()))


def frontier(p: Floats, q: Floats) -> float:
    """The frontier integral of two histograms [k] that sum to 1, in closed form by bins.

    A bin adds (p + q)/2 − pq/L, L being the logarithmic mean (p − q)/log(p/q), or p if q is as
    large; pq/L is 0 where either is.
    """
    both = (p > 0) & (q > 0)
    a, b = p[both], q[both]
    log = np.log(a / b)
    is_far = np.abs(log) > 1e-6
    inverse = np.where(is_far, log / np.where(is_far, a - b, 1.0), 2 / (a + b))
    return float(np.clip((p.sum() + q.sum()) / 2 - (a * b * inverse).sum(), 0.0, 1.0))


def reduced(x: Floats) -> Floats:
    """Rows on the fewest principal components that hold 90 % of the variance."""
    centred = x - x.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred)
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    if values[0] <= 1e-12 * len(x):
        raise Undefined("all embeddings are equal, so that there is nothing to cluster")
    count = int(np.searchsorted(np.cumsum(values) / values.sum(), KEPT)) + 1
    found: Floats = centred @ vectors[:, :count]
    return found


@metric(
    "mauve",
    version=1,
    paper="arXiv:2102.01454",
    min_n=20,
    n_match="exact",
    outputs=[
        OutputSpec("mauve", "higher", range=(0, 1)),
        OutputSpec("mauve_star", "higher", range=(0, 1)),
        OutputSpec("frontier_integral", "lower", range=(0, 1)),
    ],
    needs=lambda o: {"generated": features("generated"), "reference": features("reference")},
    example=example,
    conventions={"c": SCALING, "variance": KEPT},
    identity={"mauve": 1.0, "mauve_star": 1.0, "frontier_integral": 0.0},
    symmetric=("mauve", "mauve_star", "frontier_integral"),
)
def mauve(
    generated: Features,
    reference: Features,
    context: Context,
    *,
    seeds: Annotated[int, AtLeast(2)] = 5,
    clusters: Annotated[int | None, AtLeast(2)] = None,
    starts: Annotated[int, AtLeast(1)] = 5,
) -> list[Estimate]:
    """The area, the smoothed area and the frontier integral, means over clusterings."""
    least = min(generated.n, reference.n)
    k = clusters or max(2, round(least / 10))
    if k > generated.n + reference.n:
        raise Undefined(f"{k} clusters of {generated.n + reference.n} texts: set fewer `clusters`")
    x = np.concatenate([_unit(generated), _unit(reference)])
    # In an order of their own, rows forget ids and sides, and the number is symmetric.
    order = sorted(range(len(x)), key=lambda row: x[row].tobytes())
    is_made = np.array(order) < generated.n
    rows = reduced(x[order])
    random = np.random.RandomState(context.generator("clusters").integers(2**32))
    found: dict[str, list[float]] = {"mauve": [], "mauve_star": [], "frontier_integral": []}
    for cluster in _clusterings(rows, k, seeds, starts, random):
        counts = [np.bincount(cluster[side], minlength=k) for side in (is_made, ~is_made)]
        p, q = (count / count.sum() for count in counts)
        found["mauve"].append(area(p, q))
        smooth = [(count + 0.5) / (count.sum() + 0.5 * k) for count in counts]
        found["mauve_star"].append(area(smooth[0], smooth[1]))
        found["frontier_integral"].append(frontier(p, q))
    n = {Role.GENERATED: generated.n, Role.REFERENCE: reference.n}
    return [_estimate(name, each, n, k) for name, each in found.items()]


def _estimate(output: str, each: list[float], n: Mapping[Role, int], k: int) -> Estimate:
    sd = float(np.std(each, ddof=1))
    told = f"standard deviation {sd:.2g} over {len(each)} clusterings into {k}"
    table: dict[str, list[Cell]] = {"clustering": list(range(1, len(each) + 1)), output: [*each]}
    few = f"; {min(n.values()):,} texts a side are few, the number is too favourable"
    return Estimate(
        output=output,
        number=float(np.mean(each)),
        n=dict(n),
        no_interval="the spread over clusterings tells nothing of other texts",
        finding=told + (few if min(n.values()) < FEW else ""),
        tables=(DetailTable("Clusterings", table),),
    )


def _clusterings(rows: Floats, k: int, seeds: int, starts: int, random: Any) -> Iterator[Any]:
    """The cluster [n] of every row, for each seed; in one thread, whose sums have one order."""
    import warnings

    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of fewer different rows than clusters
        for _ in range(seeds):
            yield KMeans(k, n_init=starts, max_iter=500, random_state=random).fit(rows).labels_


def _trapezoids(x: Floats, y: Floats) -> float:
    order = np.lexsort((-y, x))  # along the curve, which falls
    return float(np.trapezoid(y[order], x[order]))


def _unit(side: Features) -> Floats:
    rows = side.x.astype(np.float64)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    if not length.all():
        empty = side.ids[int(np.flatnonzero(length == 0)[0])]
        raise Undefined(f"the embedding of {empty} is all 0, so that it has no direction")
    found: Floats = rows / length
    return found
