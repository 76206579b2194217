"""Rarity of every generated sample: how thinly the reference is strewn where it lies.

    rarity(g) = smallest radius_k(r) over the reference samples r with ‖g − r‖ ≤ radius_k(r)

Input: generated features [n, d], reference features [m, d] and the reference's nearest neighbours.
A ball's radius is the distance to the k-th neighbour (k = 3, oneself not counted); a sample at the
radius is inside. A sample in no ball has no rarity: it may as well be a bad one, and its share is
one less precision. Unit: that of the features; range [0, ∞).

`rarity` is the mean over the samples that lie in a ball, its target that of the reference, whose
own samples are judged by the balls of the others; it stands in the finding. Below it a generator
keeps to what is common. The galleries show the most and the least typical samples that lie in a
ball; for those that lie in none see `realism`.

It depends on m and k, so the interval is the spread at this n. It counts the samples that lie in a
ball, and the reference samples by leaving out the ball that a sample's rarity is of; that other
balls grow then is left out. Undefined below k + 2 reference samples and where fewer than 2 samples
lie in a ball.

Paper: Han et al. 2023, arXiv:2206.08549. Agrees with the formula on whole distance matrices.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np

from geneval.data import Features, Neighbours
from geneval.linalg import Floats, Ints
from geneval.metric import Undefined, features, metric, neighbours
from geneval.options import AtLeast
from geneval.resample import Context, standard_error
from geneval.sweeps import Smallest, smallest_balls
from geneval.value import Estimate, Evidence, Gallery, OutputSpec, Role

SHOWN = 24  # samples in each gallery


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Two Gaussian clouds; damage draws the generated one to the middle, where all is common."""
    from geneval.neighbours import nearest

    ids = tuple(f"{i:04d}" for i in range(200))
    x, y = rng.normal(size=(2, 200, 4))
    return {
        "generated": Features(ids, x * (1 - damage / 2)),
        "reference": Features(ids, y),
        "near_reference": Neighbours(ids, *nearest(y, 4)),
    }


@metric(
    "rarity",
    version=1,
    paper="arXiv:2206.08549",
    min_n=2,
    outputs=[OutputSpec("rarity", "target", range=(0, None))],
    needs=lambda o: {
        "generated": features("generated"),
        "reference": features("reference"),
        "near_reference": neighbours("reference", o.k + 1),
    },
    example=example,
    conventions={"ties": "<="},
)
def rarity(
    generated: Features,
    reference: Features,
    near_reference: Neighbours,
    context: Context,
    *,
    k: Annotated[int, AtLeast(1)] = 3,
) -> list[Estimate]:
    """The mean rarity of the samples that lie in a ball."""
    radius = near_reference.radius(k)
    found = smallest_balls(generated.x, reference.x, radius)
    rows = np.flatnonzero(np.isfinite(found.radius))
    if len(rows) < 2:
        raise Undefined(
            f"{len(rows)} of {generated.n} generated samples lie near the reference: none is rare "
            "or typical of it, see precision_recall"
        )
    scores = found.radius[rows]
    influence = left_out(found, rows, reference.n)
    number = float(scores.mean())
    se = float(np.hypot(standard_error(scores), standard_error(influence)))
    own = own_rarity(near_reference, k).mean()
    share = len(rows) / generated.n
    finding = f"reference samples have {own:.4g}; {share:.1%} of the generated ones lie in a ball"
    return [
        Estimate(
            output="rarity",
            number=number,
            n={Role.GENERATED: generated.n, Role.REFERENCE: reference.n},
            interval=context.interval(number, se, "leave-one-out", "at_n", (0, None)),
            evidence={
                Role.GENERATED: Evidence(
                    "scores", tuple(generated.ids[row] for row in rows), scores
                ),
                Role.REFERENCE: Evidence("influence", reference.ids, influence),
            },
            finding=finding,
            galleries=galleries(generated, rows, scores),
        )
    ]


def left_out(found: Smallest, rows: Ints, m: int) -> Floats:
    """Influence [m] of every ball on the mean rarity of `rows`, from leaving the ball out."""
    first, second, ball = found.radius[rows], found.second[rows], found.ball[rows]
    stays = np.isfinite(second)
    rise = np.bincount(ball, np.where(stays, second, 0.0) - first, m)
    counted = np.maximum(len(rows) - np.bincount(ball, ~stays, m), 1)
    influence = -(m - 1) * ((first.sum() + rise) / counted - first.mean())
    centred: Floats = influence - influence.mean()
    return centred


def own_rarity(near: Neighbours, k: int) -> Floats:
    """Rarity of the samples that lie in balls of the others of their set, as of fresh samples.

    Without a sample the balls that count it among their k reach to the next neighbour, and those
    are the balls that hold it.
    """
    found = np.full(len(near.ids), np.inf)
    np.minimum.at(found, near.index[:, :k].ravel(), np.repeat(near.radius(k + 1), k))
    held: Floats = found[np.isfinite(found)]
    return held


def galleries(generated: Features, rows: Ints, scores: Floats) -> tuple[Gallery, ...]:
    """The most and the least typical samples of `rows`, by their rarity."""
    order = np.argsort(scores, kind="stable")
    return tuple(
        Gallery(
            f"{which} typical samples",
            Role.GENERATED,
            tuple(generated.ids[rows[place]] for place in places),
            tuple(f"rarity {scores[place]:.3g}" for place in places),
        )
        for which, places in (("Most", order[:SHOWN]), ("Least", order[::-1][:SHOWN]))
    )
