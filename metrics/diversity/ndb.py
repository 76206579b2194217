"""NDB: in how many bins of the reference the generated samples have another share.

    ndb = share of the k-means bins, of those that hold a sample, with |z| beyond that of `alpha`
    z = (p − q) / √(P(1 − P)(1/n + 1/m)),  P the pooled share of the bin
    bin_jsd = H((p + q)/2) − (H(p) + H(q))/2, entropies in bits

Input: generated features [n, d] and reference features [m, d]. k-means (k-means++, Lloyd, one
thread, at most 20,000 samples in the order of their ids) cuts the reference's space into `bins`
bins, or as many as leave 10 samples expected in each, and every sample belongs to the nearest
centre. Outputs: `ndb` in [0, 1], lower is better, and about `alpha` for equal distributions, not
0; `bin_jsd` in [0, 1], lower is better, biased upwards by about (bins − 1)(1/n + 1/m) / (8 ln 2);
`p_value` of Pearson's χ² test of all bins at once.

Centres lie closer to the samples they were fitted to than to new ones, so that shares of these
very samples differ from those of any others: of 2,000 Gaussian samples a side in 512 dimensions the
published test calls 73 % of the bins different, where none is. So bins are fitted to one half of
the reference, drawn by hashes of ids, and shares counted in the other (5.1 % there);
`held_out: false` counts the same samples, as published. Undefined where fewer than two bins have
10 samples expected.

The intervals are the spread at this n by a multinomial bootstrap of both sets with the bins as they
are; `p_value` has none. The generated samples of over-filled bins, and the reference samples at the
centres of under-filled ones, are galleries.

Paper: Richardson and Weiss 2018, arXiv:1805.12462 (their K is 100, alpha 0.05).
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import NormalDist
from typing import Annotated, Any

import numpy as np

from geneval.data import Features
from geneval.linalg import Floats, Ints
from geneval.metric import features, metric
from geneval.options import AtLeast
from geneval.parts import EXPECTED, FITTED, Parts, by_bins
from geneval.resample import Context, bootstrap
from geneval.shares import jensen_shannon
from geneval.value import DetailTable, Estimate, Evidence, Gallery, OutputSpec, Role

SHOWN = 24  # samples in each gallery
EACH = 4  # of one bin


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Ten clusters; damage empties some of them into the first."""
    ids = tuple(f"{i:04d}" for i in range(400))
    centres = rng.normal(size=(10, 4)) * 4
    which, other = rng.integers(0, 10, size=(2, 400))
    which = np.where(which > 9 - 6 * damage, 0, which)
    x, y = (centres[labels] + rng.normal(size=(400, 4)) for labels in (which, other))
    return {"generated": Features(ids, x), "reference": Features(ids, y)}


@metric(
    "ndb",
    version=1,
    paper="arXiv:1805.12462",
    min_n=2 * EXPECTED,
    outputs=[
        OutputSpec("ndb", "lower", range=(0, 1)),
        OutputSpec("bin_jsd", "lower", unit="bit", range=(0, 1)),
        OutputSpec("p_value", "target", range=(0, 1)),
    ],
    needs=lambda o: {"generated": features("generated"), "reference": features("reference")},
    example=example,
    conventions={"expected": EXPECTED, "fitted": FITTED},
)
def ndb(
    generated: Features,
    reference: Features,
    context: Context,
    *,
    bins: Annotated[int, AtLeast(2)] = 100,
    alpha: Annotated[float, AtLeast(1e-9)] = 0.05,
    held_out: bool = True,
) -> list[Estimate]:
    """Share of differing bins, divergence of the shares, and the test of all of them."""
    found = by_bins(generated, reference, context, bins, held_out)
    x, y = found.counts
    n = {Role.GENERATED: generated.n, Role.REFERENCE: reference.n}
    rng = context.generator("ndb")
    far = NormalDist().inv_cdf(1 - alpha / 2)

    def differing(a: Ints, b: Ints) -> float:
        return float((np.abs(bin_z(a, b)) > far)[a + b > 0].mean())

    estimates = []
    for output, statistic in (("ndb", differing), ("bin_jsd", jsd)):
        number = statistic(x, y)
        spread = float(bootstrap((x, y), statistic, rng).std())
        estimates.append(
            Estimate(
                output=output,
                number=number,
                n=n,
                signed={"bins": len(x)},
                interval=context.interval(number, spread, "multinomial bootstrap", "at_n", (0, 1)),
                evidence=divergence_influence(found) if output == "bin_jsd" else {},
                finding=_told(bin_z(x, y)[x + y > 0], far, alpha) if output == "ndb" else "",
                tables=(_table(x, y),) if output == "ndb" else (),
                galleries=_galleries(found, far) if output == "ndb" else (),
            )
        )
    total, p_value = chi_square(x, y)
    test = Estimate(
        output="p_value",
        number=p_value,
        n=n,
        signed={"bins": len(x)},
        no_interval="a p-value",
        finding=f"χ² = {total:.4g} with {((x + y) > 0).sum() - 1} degrees of freedom",
    )
    return [*estimates, test]


def bin_z(x: Ints, y: Ints) -> Floats:
    """z [bins] of the two-proportion test of counts x and y, 0 where the pooled share is 0 or 1."""
    n, m = x.sum(), y.sum()
    pooled = (x + y) / (n + m)
    se = np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    gap = x / n - y / m
    z: Floats = np.divide(gap, se, out=np.zeros(len(x)), where=se > 0)
    return z


def jsd(x: Ints, y: Ints) -> float:
    """Jensen–Shannon divergence of two vectors of counts, in bits."""
    return max(0.0, float(jensen_shannon(x / x.sum(), y / y.sum())))


def divergence_influence(found: Parts) -> dict[Role, Evidence]:
    """Influence of every sample on the divergence, ½ log₂(p/m) of its bin less the mean."""
    p, q = (count / count.sum() for count in found.counts)
    sides = (
        (Role.GENERATED, found.generated.ids, found.of_generated, p),
        (Role.REFERENCE, found.reference.ids, found.of_reference, q),
    )
    evidence = {}
    for role, ids, bins, share in sides:
        change = np.log2(share[bins] / ((p + q)[bins] / 2)) / 2
        evidence[role] = Evidence("influence", ids, change - change.mean())
    return evidence


def chi_square(x: Ints, y: Ints) -> tuple[float, float]:
    """Pearson's χ² of two vectors of counts and its p-value; (0, 1) for a single class."""
    from scipy.stats import chi2_contingency

    seen = (x + y) > 0
    if seen.sum() < 2:
        return 0.0, 1.0
    outcome = chi2_contingency(np.stack([x[seen], y[seen]]), correction=False)
    return float(outcome.statistic), float(outcome.pvalue)


def _told(z: Floats, far: float, alpha: float) -> str:
    over, under = int((z > far).sum()), int((z < -far).sum())
    return (
        f"{over} of {len(z)} bins over-filled, {under} under-filled; equal distributions have "
        f"about {alpha * len(z):.1f} of these together"
    )


def _table(x: Ints, y: Ints) -> DetailTable:
    order = np.argsort(-np.abs(bin_z(x, y)), kind="stable")[:SHOWN]
    return DetailTable(
        "Bins that differ most",
        {
            "bin": [int(one) for one in order],
            "generated": x[order].tolist(),
            "reference": y[order].tolist(),
            "z": [round(float(one), 2) for one in bin_z(x, y)[order]],
        },
    )


def _galleries(found: Parts, far: float) -> tuple[Gallery, ...]:
    """Samples of the over-filled bins, and the reference at the heart of the under-filled ones."""
    x, y = found.counts
    z, order = bin_z(x, y), np.argsort(bin_z(x, y), kind="stable")
    centrality = np.argsort(found.distance, kind="stable")
    over, under = [], []
    for one in order[::-1][: int((z > far).sum())]:
        over += [(i, one) for i in np.flatnonzero(found.of_generated == one)[:EACH]]
    for one in order[: int((z < -far).sum())]:
        under += [(i, one) for i in centrality[found.of_reference[centrality] == one][:EACH]]
    sides = (
        ("Over-filled bins: generated samples", Role.GENERATED, found.generated.ids, over),
        ("Under-filled bins: reference samples", Role.REFERENCE, found.reference.ids, under),
    )
    return tuple(
        Gallery(
            title,
            role,
            tuple(ids[row] for row, _ in shown[:SHOWN]),
            tuple(
                f"{x[b] / x.sum():.1%} instead of {y[b] / y.sum():.1%}" for _, b in shown[:SHOWN]
            ),
        )
        for title, role, ids, shown in sides
        if shown
    )
