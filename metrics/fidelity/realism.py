"""Realism of every generated sample: how deep it lies in the balls of the reference.

    realism(g) = max over reference samples r of  radius_k(r) / ‖g − r‖

Input: generated features [n, d], reference features [m, d] and the reference's nearest neighbours.
A ball's radius is the distance to the k-th neighbour (k = 3, oneself not counted); balls larger
than the median radius are left out, as in the paper: outliers have balls that hold anything.
Higher is better; at exactly the radius realism is 1, and `realistic` counts it (≤).

`realism` is the mean over the samples, each counted as 2 at most: a copy of a reference sample has
infinite realism, and one such sample would decide a plain mean. 2 is a sample within half the
radius; range [0, 2]. `realistic` is the share of samples with realism 1 or more, in [0, 1]: the
precision within the smaller half of the balls. The galleries rank by realism itself.

Both depend on m and k, so their interval is the spread at this n. It counts both sets: the samples
asked, and the reference samples, whose influence is the change when one is left out. Its ball goes,
and balls that counted it among their k grow to the next neighbour; that the median moves is left
out. As with precision such an interval errs on the long side. Undefined below k + 2 reference
samples.

Paper: Kynkäänniemi et al. 2019, arXiv:1904.06991, eq. 3. Agrees with the formula written out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import numpy as np

from geneval.data import Features, Neighbours
from geneval.linalg import Floats, Ints
from geneval.metric import Undefined, features, metric, neighbours
from geneval.metrics.fidelity.density_coverage import example
from geneval.options import AtLeast
from geneval.resample import Context, proportion_interval, standard_error
from geneval.sweeps import Ratios, ball_ratios
from geneval.value import Estimate, Evidence, Gallery, OutputSpec, Role

CAP = 2.0  # the most that one sample counts in the mean
SHOWN = 24  # samples in each gallery


@metric(
    "realism",
    version=1,
    paper="arXiv:1904.06991",
    min_n=2,
    outputs=[
        OutputSpec("realism", "higher", range=(0, CAP)),
        OutputSpec("realistic", "higher", range=(0, 1)),
    ],
    needs=lambda o: {
        "generated": features("generated"),
        "reference": features("reference"),
        "near_reference": neighbours("reference", o.k + 1),
    },
    example=example,
    conventions={"ties": "<=", "cap": CAP, "balls": "to the median"},
)
def realism(
    generated: Features,
    reference: Features,
    near_reference: Neighbours,
    context: Context,
    *,
    k: Annotated[int, AtLeast(1)] = 3,
) -> list[Estimate]:
    """The mean realism, and the share of samples at 1 or more."""
    if reference.n < k + 2:
        raise Undefined(f"{reference.n} reference samples for k = {k}: needs at least k + 2")
    radius = near_reference.radius(k)
    kept = np.flatnonzero(radius <= np.median(radius))
    outer = near_reference.radius(k + 1)[kept]
    found = ball_ratios(generated.x, reference.x[kept], radius[kept], outer)
    neighbour = near_reference.index[:, :k]
    counts = {Role.GENERATED: generated.n, Role.REFERENCE: reference.n}
    estimates = []
    for output, score in (("realism", capped), ("realistic", inside)):
        scores, influence = score(found.best), left_out(found, score, kept, neighbour)
        number = float(scores.mean())
        se = float(np.hypot(standard_error(scores), standard_error(influence)))
        if output == "realism":
            interval = context.interval(number, se, "leave-one-out", "at_n", (0, CAP))
        else:
            interval = proportion_interval(
                scores, influence, context.level, "wilson, leave-one-out"
            )
        estimates.append(
            Estimate(
                output=output,
                number=number,
                n=counts,
                interval=interval,
                evidence={
                    Role.GENERATED: Evidence("scores", generated.ids, scores),
                    Role.REFERENCE: Evidence("influence", reference.ids, influence),
                },
                galleries=galleries(generated, found.best) if output == "realism" else (),
            )
        )
    return estimates


def capped(ratio: Floats) -> Floats:
    """What a ratio counts in the mean."""
    return np.minimum(ratio, CAP)


def inside(ratio: Floats) -> Floats:
    """1 where a ratio puts the sample into the ball, else 0."""
    return (ratio >= 1).astype(np.float64)


def left_out(
    found: Ratios, score: Callable[[Floats], Floats], kept: Ints, neighbour: Ints
) -> Floats:
    """Influence [m] of every reference sample on the mean score, from leaving it out.

    `neighbour` [m, k] set the radii, `kept` are the rows whose balls stand in `found`.
    """
    m, k = neighbour.shape
    n = len(found.best)
    now = score(found.best)
    row, ball = found.pairs.T
    # Leaving out `trigger` grows the ball over the row; of several only the largest counts.
    trigger = neighbour[kept[ball]].ravel()
    key, where = np.unique(np.repeat(row, k) * m + trigger, return_inverse=True)
    gain = np.zeros(len(key))
    np.maximum.at(gain, where, np.repeat(score(found.grown) - now[row], k))
    centre = kept[found.ball]
    loss = now - score(found.second)
    loss[np.isin(np.arange(n) * m + centre, key)] = 0.0  # another ball grows over these
    change = np.bincount(key % m, gain, m) - np.bincount(centre, loss, m)
    influence = -(m - 1) * change / n
    centred: Floats = influence - influence.mean()
    return centred


def galleries(generated: Features, ratio: Floats) -> tuple[Gallery, ...]:
    """The least and the most realistic samples."""
    order = np.argsort(ratio, kind="stable")
    return tuple(
        Gallery(
            title=f"{which} realistic samples",
            role=Role.GENERATED,
            ids=tuple(generated.ids[row] for row in rows),
            captions=tuple(
                f"{ratio[row]:.3g}" if np.isfinite(ratio[row]) else "as a reference sample"
                for row in rows
            ),
        )
        for which, rows in (("Least", order[:SHOWN]), ("Most", order[::-1][:SHOWN]))
    )
