"""Memorisation-informed Fréchet distance (MiFID): FID divided by how near samples are to copies.

    FID / p,   p = s if s < `threshold` else 1,   s = mean over g of min over r of 1 − |cos(g, r)|

Input: generated features [n, d] and reference features [m, d], where the reference is what the
model was trained on; float64, covariances with ddof 1. Unit: squared feature units; range [0, ∞);
best 0. `distance` is s, in [0, 1]; a low one means copies, a high one may mean poor samples. As in
torchmetrics a FID of at most 1e-8 gives 0, 1e-14 is added to p, and |cos| makes a feature and its
negative copies. Samples whose features have length 0 have no direction and are left out of s;
torchmetrics leaves out those whose features sum to 0, which is the same where no feature is
negative, as with Inception.

`mifid` is the literature's number, as biased upwards as `fid`; its interval is the spread at this
n. `debiased` divides `fid.debiased` and is what comparisons use. s falls as m grows, so the
interval of `debiased` is a population interval only where p is 1, else the spread at this n and m.
Intervals are by the delta method, from the influence of `fid`, every sample's distance, and the
exact change of s when a reference sample is left out. None holds the jump at the threshold; the
finding says when s is not told from it. Undefined below 3 samples a side, and where too few
features have a direction.

Paper: Bai et al. 2021, arXiv:2106.03062. torchmetrics gives the same number for the
sets exchanged: its class averages over the real samples, the paper over the generated ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

import numpy as np

from geneval.data import Features
from geneval.metric import Undefined, features, metric
from geneval.metrics.fidelity.fid import fid
from geneval.options import AtLeast
from geneval.resample import Context, standard_error
from geneval.sweeps import cosine_distances
from geneval.value import Estimate, Evidence, Gallery, OutputSpec, Role

LEAST_FID = 1e-8  # up to this the value is 0
FLOOR = 1e-14  # added to p
SHOWN = 24  # samples in the gallery of the likeliest copies


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Two Gaussian clouds; damage moves and widens the generated one."""
    ids = tuple(f"{i:04d}" for i in range(300))
    x, y = rng.normal(size=(2, 300, 24))
    return {
        "generated": Features(ids, x * (1 + damage) + damage),
        "reference": Features(ids, y),
    }


@metric(
    "mifid",
    version=2,
    paper="arXiv:2106.03062",
    min_n=20,
    outputs=[
        OutputSpec("mifid", "lower", range=(0, None), compared_by="debiased"),
        OutputSpec("debiased", "lower"),
        OutputSpec("distance", "target", range=(0, 1)),
    ],
    needs=lambda o: {"generated": features("generated"), "reference": features("reference")},
    example=example,
    conventions={"ddof": 1, "cosine": "abs"},
    identity={"mifid": 0.0, "distance": 0.0},
)
def mifid(
    generated: Features,
    reference: Features,
    context: Context,
    *,
    threshold: Annotated[float, AtLeast(0)] = 0.1,
) -> list[Estimate]:
    """The penalised distance, its debiased estimate, and the mean distance to the nearest."""
    n = {Role.GENERATED: generated.n, Role.REFERENCE: reference.n}
    near = nearest_copies(generated, reference, context)
    s, moves = near.number, {role: one.rows for role, one in near.evidence.items()}
    plain, debiased = fid(generated, reference, context)
    assert s is not None
    assert plain.number is not None
    assert debiased.number is not None
    copied = s < threshold and plain.number > LEAST_FID
    penalty = (s if copied else 1.0) + FLOOR
    notes = [f"divided by {penalty:.4g}" if copied else "no penalty"]
    if near.interval and near.interval.low <= threshold <= near.interval.high:
        notes.append(f"the distance {s:.3g} is not told from the threshold, where the value jumps")
    number = plain.number / penalty if plain.number > LEAST_FID else 0.0
    unbiased = debiased.number / penalty

    def divided(by: float) -> dict[Role, Evidence]:
        """Evidence of a quotient `by`: (influence of FID − by · influence of p) / p."""
        return {
            role: replace(one, rows=(one.rows - (by * moves[role] if copied else 0.0)) / penalty)
            for role, one in debiased.evidence.items()
        }

    def error(by: float) -> float:
        return float(np.linalg.norm([standard_error(e.rows) for e in divided(by).values()]))

    return [
        Estimate(
            output="mifid",
            number=number,
            n=n,
            interval=context.interval(number, error(number), "delta method", "at_n", (0, None)),
            finding="; ".join(notes),
        ),
        Estimate(
            output="debiased",
            number=unbiased,
            n=n,
            interval=context.interval(
                unbiased, error(unbiased), "delta method", "at_n" if copied else "population"
            ),
            evidence=divided(unbiased),
            finding=debiased.finding,
        ),
        near,
    ]


def nearest_copies(generated: Features, reference: Features, context: Context) -> Estimate:
    """Mean cosine distance to the nearest reference sample, its evidence, and the nearest."""
    n, m = generated.n, reference.n
    mine, theirs = (np.flatnonzero(side.x.any(axis=1)) for side in (generated, reference))
    if len(mine) < 1 or len(theirs) < 2:
        raise Undefined("features of length 0 have no direction: needs 1 generated, 2 reference")
    distance, index = cosine_distances(generated.x[mine], reference.x[theirs])
    s = float(distance[:, 0].mean())
    by_sample, by_reference = np.zeros(n), np.zeros(m)
    by_sample[mine] = (distance[:, 0] - s) * (n / len(mine))
    # Without its nearest reference sample a generated one falls back on the second nearest.
    loss = np.bincount(index[:, 0], distance[:, 1] - distance[:, 0], len(theirs))
    by_reference[theirs] = -(m - 1) * loss / len(mine)
    order = np.argsort(distance[:, 0], kind="stable")[:SHOWN]
    nearest = tuple(
        f"{distance[row, 0]:.3g} from {reference.ids[theirs[index[row, 0]]]}" for row in order
    )
    likeliest = tuple(generated.ids[mine[row]] for row in order)
    return Estimate(
        output="distance",
        number=s,
        n={Role.GENERATED: n, Role.REFERENCE: m},
        interval=context.interval(
            s,
            float(np.hypot(standard_error(by_sample), standard_error(by_reference))),
            "leave-one-out",
            "at_n",
            (0, 1),
        ),
        evidence={
            Role.GENERATED: Evidence("influence", generated.ids, by_sample - by_sample.mean()),
            Role.REFERENCE: Evidence(
                "influence", reference.ids, by_reference - by_reference.mean()
            ),
        },
        galleries=(Gallery("Likeliest copies", Role.GENERATED, likeliest, nearest),),
    )
