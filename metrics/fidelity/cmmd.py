"""CMMD: maximum mean discrepancy of unit-length embeddings under a Gaussian kernel, times 1,000.

    1000 · ( mean k(x, x') + mean k(y, y') − 2 mean k(x, y) ),   k(x, y) = exp(−‖x−y‖² / 2σ²)

Input: generated features [n, d] and reference features [m, d]; every row is divided by its length;
arithmetic as in `kid`. Unit: 10³ kernel units; range [0, ∞); best 0; symmetric. The published
number takes the image embeddings of CLIP ViT-L/14 at 336 pixels and σ = 10; with another extractor
it is the same statistic of other features, which the signature says.

`cmmd` is the published V-statistic: the means run over all pairs, a sample with itself included, so
it is biased upwards at finite n and its interval is the spread at this n. `unbiased` leaves those
pairs out, has the closed-form interval of a U-statistic (as in `kid`), may be slightly negative,
and is what comparisons use. Undefined for a feature vector of length 0 and for one reference
sample.

Paper: Jayasumana et al. 2024, arXiv:2401.09603. Agrees with the formula written out on all pairs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

import numpy as np

from geneval.data import Features
from geneval.kernels import Directions
from geneval.metric import Undefined, features, metric
from geneval.metrics.fidelity.kid import mmd
from geneval.options import AtLeast
from geneval.pairs import Asks, kernel_pair
from geneval.resample import Context
from geneval.value import Estimate, Evidence, OutputSpec, Role

SCALE = 1000.0


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Two clouds around one direction; damage turns the generated one away."""
    ids = tuple(f"{i:04d}" for i in range(300))
    x, y = rng.normal(size=(2, 300, 6)) + 2
    turned = np.where(np.arange(6) % 2, 1.0, 1.0 - 2 * damage)
    return {"generated": Features(ids, x * turned), "reference": Features(ids, y)}


@metric(
    "cmmd",
    version=1,
    paper="arXiv:2401.09603",
    min_n=2,
    outputs=[
        OutputSpec("cmmd", "lower", range=(0, None), compared_by="unbiased"),
        OutputSpec("unbiased", "lower"),
    ],
    needs=lambda o: {"generated": features("generated"), "reference": features("reference")},
    asks=lambda o: Asks(frozenset({Directions(o.sigma)})),
    example=example,
    conventions={"kernel": "rbf", "norm": "l2", "scale": SCALE},
    identity={"cmmd": 0.0},
    symmetric=("cmmd", "unbiased"),
)
def cmmd(
    generated: Features,
    reference: Features,
    context: Context,
    *,
    sigma: Annotated[float, AtLeast(1e-3)] = 10.0,
) -> list[Estimate]:
    """The published V-statistic and the unbiased estimate."""
    n, m = generated.n, reference.n
    if m < 2:
        raise Undefined("1 reference sample: an unbiased estimate needs two a side")
    if not (generated.x.any(axis=1).all() and reference.x.any(axis=1).all()):
        raise Undefined("a feature vector of length 0 has no direction")
    sums = kernel_pair(generated.x, reference.x, Directions(sigma))
    exact, variance, evidence = mmd(sums, generated, reference)
    biased = (sums.inner.rows.sum() + n) / n**2 + (sums.other.rows.sum() + m) / m**2
    biased -= 2 * sums.cross.rows.sum() / (n * m)
    number, unbiased, se = SCALE * max(float(biased), 0.0), SCALE * exact, SCALE * variance**0.5
    counts = {Role.GENERATED: n, Role.REFERENCE: m}
    return [
        Estimate(
            output="cmmd",
            number=number,
            n=counts,
            interval=context.interval(number, se, "U-statistic", "at_n", (0, None)),
        ),
        Estimate(
            output="unbiased",
            number=unbiased,
            n=counts,
            interval=context.interval(unbiased, se, "U-statistic", "population"),
            evidence={role: scaled(one) for role, one in evidence.items()},
        ),
    ]


def scaled(evidence: Evidence) -> Evidence:
    """Evidence in units of the value."""
    return replace(evidence, rows=SCALE * evidence.rows)
