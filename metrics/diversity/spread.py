"""Spread: how wide the generated samples lie in feature space, relative to the reference.

    spread = tr Σ_generated / tr Σ_reference,  covariances with ddof 1
    distances = mean ‖x − x'‖ over pairs of generated samples / the same over reference pairs

Input: generated features [n, d] and reference features [m, d]; sums in float64. Both are 1 where
the samples lie as wide as the reference, below it where they are drawn together; range [0, ∞), and
the best value is 1. Half of all deviations give 0.25 and 0.5. `spread` hears outliers, `distances`
less so. Neither says where the samples lie, and spread without sense is spread too.

Numerators and denominators are unbiased, so the interval is of the population: by the delta method
on the logarithm, from ‖x − μ‖² and from the mean distance of every sample to the others. Undefined
where the reference does not vary; 0 without interval where the generated samples do not.

Source: the trace is the total variance of multivariate statistics; the mean pairwise distance is
Gini's mean difference (1912) in d dimensions, as `scipy.spatial.distance.pdist` computes it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from geneval.data import Features
from geneval.kernels import Distance, kernel_sums
from geneval.linalg import Floats
from geneval.metric import Undefined, features, metric
from geneval.resample import Context, quantile, standard_error
from geneval.value import Estimate, Evidence, Interval, OutputSpec, Role


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Two Gaussian clouds; damage draws the generated one together."""
    ids = tuple(f"{i:04d}" for i in range(200))
    x, y = rng.normal(size=(2, 200, 6))
    return {"generated": Features(ids, x * (1 - 0.9 * damage)), "reference": Features(ids, y)}


@metric(
    "spread",
    version=1,
    min_n=3,
    n_match="any",
    outputs=[
        OutputSpec("spread", "target", range=(0, None)),
        OutputSpec("distances", "target", range=(0, None)),
    ],
    needs=lambda o: {"generated": features("generated"), "reference": features("reference")},
    example=example,
    conventions={"ddof": 1},
    identity={"spread": 1.0, "distances": 1.0},
)
def spread(generated: Features, reference: Features, context: Context) -> list[Estimate]:
    """The ratio of the traces and that of the mean pairwise distances."""
    if reference.n < 3:
        raise Undefined(f"{reference.n} reference samples: needs at least 3")
    estimates = []
    for output, side in (("spread", variances), ("distances", mean_distances)):
        x, y = side(generated.x), side(reference.x)
        if not y.mean():
            raise Undefined("the reference samples do not differ from each other")
        estimates.append(_ratio(context, output, x, y, generated, reference))
    return estimates


def variances(x: np.ndarray[Any, Any]) -> Floats:
    """Squared distances from the mean of rows x [n, d], scaled so that their mean is tr Σ."""
    apart = x - x.mean(axis=0, dtype=np.float64)
    squared: Floats = np.einsum("nd,nd->n", apart, apart) * (len(x) / (len(x) - 1))
    return squared


def mean_distances(x: np.ndarray[Any, Any]) -> Floats:
    """The mean distance [n] of every row of x [n, d] to the others."""
    return kernel_sums(Distance(), x).rows / (len(x) - 1)


def _ratio(
    context: Context, output: str, x: Floats, y: Floats, generated: Features, reference: Features
) -> Estimate:
    """The ratio of the means of scores x [n] and y [m], of which each pair counts `times` once."""
    number = float(x.mean() / y.mean())
    times = 1 if output == "spread" else 2  # a sample is in either place of a pair
    by_x, by_y = times * (x - x.mean()) / y.mean(), -times * number * (y - y.mean()) / y.mean()
    reason = None if number else "no generated sample differs from the others"
    interval = None
    if number:
        half = quantile(context.level) * log_error(by_x / number, by_y / number)
        low, high = number * math.exp(-half), number * math.exp(half)
        method = "delta method of the logarithm"
        interval = Interval(low, high, context.level, method, "population")
    return Estimate(
        output=output,
        number=number,
        n={Role.GENERATED: generated.n, Role.REFERENCE: reference.n},
        interval=interval,
        no_interval=reason,
        evidence={
            Role.GENERATED: Evidence("influence", generated.ids, by_x),
            Role.REFERENCE: Evidence("influence", reference.ids, by_y),
        },
    )


def log_error(by_x: Floats, by_y: Floats) -> float:
    """Standard error of a logarithm from the influences of either side on it."""
    return math.hypot(standard_error(by_x), standard_error(by_y))
