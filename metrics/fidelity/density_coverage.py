"""Density and coverage: how many reference balls hold a generated sample, how many hold one.

    density  = 1/(k·n) Σ over generated samples of the number of reference balls that hold it
    coverage = share of reference balls that hold at least one generated sample

Input: generated features [n, d], reference features [m, d] and the reference's nearest neighbours.
A ball's radius is the distance to the k-th neighbour (k = 5, oneself not counted); only samples
strictly inside count (<), the convention of the paper and of prdc. Higher is better. Density is
unbounded above, with expectation 1 for identical distributions; coverage lies in [0, 1], with
expectation tending to 1 − 2^−k there.

Both depend on n, m and k: the interval is the spread at this n and counts both sets, the balls'
centres by the exact change when one is left out. Coverage gets Wilson's interval at the effective
sample size p(1−p)/SE², density the normal one.

Paper: Naeem et al. 2020, arXiv:2002.09797. Counts equal `prdc.compute_prdc`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np

from geneval.data import Features, Neighbours
from geneval.metric import features, metric, neighbours
from geneval.options import AtLeast
from geneval.pairs import Around, Asks, balls_around
from geneval.resample import Context, proportion_interval, standard_error
from geneval.value import Estimate, Evidence, OutputSpec, Role


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Two Gaussian clouds; damage moves the generated one away."""
    from geneval.neighbours import nearest

    ids = tuple(f"{i:04d}" for i in range(200))
    x, y = rng.normal(size=(2, 200, 4))
    return {
        "generated": Features(ids, x + 4 * damage),
        "reference": Features(ids, y),
        "near_reference": Neighbours(ids, *nearest(y, 6)),
    }


@metric(
    "density_coverage",
    version=1,
    paper="arXiv:2002.09797",
    min_n=2,
    outputs=[
        OutputSpec("density", "higher", range=(0, None)),
        OutputSpec("coverage", "higher", range=(0, 1)),
    ],
    needs=lambda o: {
        "generated": features("generated"),
        "reference": features("reference"),
        "near_reference": neighbours("reference", o.k + 1),
    },
    asks=lambda o: Asks(balls=frozenset({Around(o.k, inclusive=False)})),
    example=example,
    conventions={"ties": "<"},
    identity={"coverage": 1.0},
)
def density_coverage(
    generated: Features,
    reference: Features,
    near_reference: Neighbours,
    context: Context,
    *,
    k: Annotated[int, AtLeast(1)] = 5,
) -> list[Estimate]:
    """Mean number of balls a generated sample is in, and the share of balls that hold one."""
    n, m, near = generated.n, reference.n, near_reference
    inside = balls_around(reference.x, near, generated.x, k, inclusive=False)
    neighbour = near.index[:, :k].ravel()
    counts = {Role.GENERATED: n, Role.REFERENCE: m}

    scores = inside.held / k
    # Leaving a centre out takes its ball away and grows those that count it among their k.
    change = np.bincount(neighbour, np.repeat(inside.shell, k), m) - inside.holds
    weight = -(m - 1) * change / (k * n)
    weight -= weight.mean()
    density = float(scores.mean())
    se = float(np.hypot(standard_error(scores), standard_error(weight)))
    density_estimate = Estimate(
        output="density",
        number=density,
        n=counts,
        interval=context.interval(density, se, "leave-one-out", "at_n", (0, None)),
        evidence={
            Role.GENERATED: Evidence("scores", generated.ids, scores),
            Role.REFERENCE: Evidence("influence", reference.ids, weight),
        },
    )

    covered = (inside.holds > 0).astype(np.float64)
    alone = inside.only_row[inside.only_row >= 0]  # balls that one sample alone keeps covered
    by_sample = (n - 1) / m * np.bincount(alone, minlength=n)
    gained = np.bincount(neighbour, np.repeat((inside.holds == 0) & (inside.shell > 0), k), m)
    without = (covered.sum() - covered + gained) / (m - 1)
    by_centre = (m - 1) * (covered.mean() - without)
    coverage_estimate = Estimate(
        output="coverage",
        number=float(covered.mean()),
        n=counts,
        interval=proportion_interval(
            by_centre - by_centre.mean() + covered.mean(),
            by_sample - by_sample.mean(),
            context.level,
            "wilson, leave-one-out",
        ),
        evidence={
            Role.GENERATED: Evidence("influence", generated.ids, by_sample - by_sample.mean()),
            Role.REFERENCE: Evidence("influence", reference.ids, by_centre - by_centre.mean()),
        },
    )
    return [density_estimate, coverage_estimate]
