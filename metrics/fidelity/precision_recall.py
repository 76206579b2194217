"""Precision and recall of samples through the k-nearest-neighbour balls of either set.

    precision: share of generated samples inside at least one ball around a reference sample
    recall:    share of reference samples inside at least one ball around a generated sample

Input: generated features [n, d], reference features [m, d], and their nearest neighbours within
their own set. A ball's radius is the distance to the k-th neighbour (k = 3, oneself not counted);
a sample at exactly the radius is inside (`ties: "<="`), as in the paper's code and torch-fidelity;
prdc and dgm-eval leave it outside (`ties: "<"`). Range [0, 1]; higher is better; swapping the sets
swaps the two outputs.

Both depend on n, m and k, so the interval is the spread at this n. It counts both sets: the samples
asked, and the samples that make the balls, whose influence is the exact change when one is left out
(its ball goes, and balls that counted it among their k grow to the next neighbour). Treating the
balls as fixed would make the interval up to 2.5 times too short; the leave-one-out influence errs
on the long side. The interval is Wilson's at the effective sample size p(1−p)/SE².

Paper: Kynkäänniemi et al. 2019, arXiv:1904.06991. Counts equal torch-fidelity's on equal features.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np

from geneval.data import Features, Neighbours
from geneval.linalg import Floats, Ints
from geneval.metric import features, metric, neighbours
from geneval.neighbours import Balls
from geneval.options import AtLeast
from geneval.pairs import Around, Asks, balls_around
from geneval.resample import Context, proportion_interval
from geneval.value import Estimate, Evidence, OutputSpec, Role


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Two Gaussian clouds; damage moves the generated one away."""
    from geneval.neighbours import nearest

    ids = tuple(f"{i:04d}" for i in range(200))
    x, y = rng.normal(size=(2, 200, 4))
    x = x + 4 * damage
    return {
        "generated": Features(ids, x),
        "reference": Features(ids, y),
        "near_generated": Neighbours(ids, *nearest(x, 4)),
        "near_reference": Neighbours(ids, *nearest(y, 4)),
    }


@metric(
    "precision_recall",
    version=1,
    paper="arXiv:1904.06991",
    min_n=5,
    outputs=[
        OutputSpec("precision", "higher", range=(0, 1)),
        OutputSpec("recall", "higher", range=(0, 1)),
    ],
    needs=lambda o: {
        "generated": features("generated"),
        "reference": features("reference"),
        "near_generated": neighbours("generated", o.k + 1),
        "near_reference": neighbours("reference", o.k + 1),
    },
    asks=lambda o: Asks(
        balls=frozenset(Around(o.k, o.ties == "<=", swapped) for swapped in (False, True))
    ),
    example=example,
    identity={"precision": 1.0, "recall": 1.0},
)
def precision_recall(
    generated: Features,
    reference: Features,
    near_generated: Neighbours,
    near_reference: Neighbours,
    context: Context,
    *,
    k: Annotated[int, AtLeast(1)] = 3,
    ties: Literal["<=", "<"] = "<=",
) -> list[Estimate]:
    """Share of each set inside the other's balls."""
    sides = (
        ("precision", generated, reference, near_reference, Role.GENERATED, Role.REFERENCE),
        ("recall", reference, generated, near_generated, Role.REFERENCE, Role.GENERATED),
    )
    estimates = []
    for output, asked, around, near, asked_role, around_role in sides:
        inside = balls_around(around.x, near, asked.x, k, ties == "<=")
        covered = (inside.held > 0).astype(np.float64)
        influence = ball_influence(inside, near.index[:, :k])
        estimates.append(
            Estimate(
                output=output,
                number=float(covered.mean()),
                n={Role.GENERATED: generated.n, Role.REFERENCE: reference.n},
                interval=proportion_interval(
                    covered, influence, context.level, "wilson, leave-one-out"
                ),
                evidence={
                    asked_role: Evidence("scores", asked.ids, covered),
                    around_role: Evidence("influence", around.ids, influence),
                },
            )
        )
    return estimates


def ball_influence(inside: Balls, neighbour: Ints) -> Floats:
    """Influence [m] of each ball's centre on the share of rows inside at least one ball.

    `neighbour` [m, k] are the neighbours that set each radius: leaving out centre j loses the rows
    only its ball holds and wins the rows in the shell of every ball that has j as a neighbour.
    """
    m, k = neighbour.shape
    row, ball = inside.shell_pairs.T
    trigger = neighbour[ball]  # [p, k]: leaving any of these out grows `ball` onto `row`
    alone = inside.only_ball[row] >= 0
    saved = np.zeros(len(inside.held), dtype=bool)
    saved[row[alone & (trigger == inside.only_ball[row][:, None]).any(axis=1)]] = True
    lost = inside.only_ball[(inside.only_ball >= 0) & ~saved]
    outside = inside.held[row] == 0
    won = np.unique(np.stack([np.repeat(row[outside], k), trigger[outside].ravel()]), axis=1)[1]
    change = np.bincount(won, minlength=m) - np.bincount(lost, minlength=m)
    influence = -(m - 1) * change / len(inside.held)
    centred: Floats = influence - influence.mean()
    return centred
