"""Feature likelihood divergence (FLD): how likely held-out samples are around the generated ones.

    FLD = 100 · (−1/(m·d) Σ over reference samples r of log p(r) − baseline)
    p = 1/n Σ over generated g of Normal(g, σ_g² I),   σ maximising the likelihood of the training
                                                       samples

Input: features [n, d] of generated, reference (held-out) and training samples; all are brought to
mean 0 and deviation 1 of the reference (ddof 1), features that are constant there are left out.
Arithmetic float64. Unit: hundredths of a nat per feature; range (−∞, ∞); lower is better. A copy of
a training sample is fitted by a narrow Gaussian that is of no use to the reference, so that FLD is
of fidelity, diversity and novelty at once.

`gap` is 100/d times the mean log density of the training samples less that of the reference: the
generalisation gap, lower is better; the authors' code gives its negative. Widths are fitted to the
training samples, so it is a little above 0 for fresh samples too.

`baseline` is the negative log density per feature that a perfect model would have, 0 unless set:
differences between models hold without one. The authors' is that of one half of the training
samples fitted to the other, 1.2861071825 for DINOv2's features of CIFAR-10.

Widths are fitted by expectation maximisation over all pairs, from the distance to the nearest
training sample on, until a round gains less than `TOLERANCE` nats a feature: a plain maximum of the
likelihood, where the authors' code takes 50 steps of Adam with a Gaussian about the training mean
beside, for at most 10,000 generated samples. No width is below `LEAST` deviations, which bounds
what copies cost.

Both depend on n: intervals are the spread at this n, by the influence of every reference sample, of
every generated one on the mixture, and for the gap of training samples; that other samples would
fit other widths is left out. Undefined below 3 samples a side.

Paper: Jiralerspong et al. 2023, arXiv:2302.04440. Widths are a maximum by `scipy.optimize`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from geneval.data import Features
from geneval.linalg import Floats
from geneval.metric import Undefined, features, metric
from geneval.neighbours import nearest
from geneval.resample import Context, standard_error
from geneval.sweeps import MixtureSums, mixture_sums
from geneval.value import Estimate, Evidence, Gallery, OutputSpec, Role

LEAST = 0.01  # of a width, in deviations of a feature
TOLERANCE = 1e-5  # nats a feature that a round of fitting must gain
ROUNDS = 200  # of fitting, at most
SHOWN = 24  # samples in the gallery


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Three clouds of one distribution; damage replaces generated samples by training samples."""
    ids = tuple(f"{i:04d}" for i in range(120))
    x, reference, train = rng.normal(size=(3, 120, 6))
    x = np.where((rng.random(120) < damage)[:, None], train, x)
    return {
        "generated": Features(ids, x),
        "reference": Features(ids, reference),
        "train": Features(ids, train),
    }


@metric(
    "fld",
    version=1,
    paper="arXiv:2302.04440",
    min_n=3,
    outputs=[OutputSpec("fld", "lower"), OutputSpec("gap", "lower")],
    needs=lambda o: {role: features(role) for role in ("generated", "reference", "train")},
    example=example,
    conventions={"ddof": 1, "least_width": LEAST, "tolerance": TOLERANCE},
)
def fld(
    generated: Features,
    reference: Features,
    train: Features,
    context: Context,
    *,
    baseline: float = 0.0,
) -> list[Estimate]:
    """The divergence of the reference, and how much likelier the training samples are."""
    sides = {Role.GENERATED: generated, Role.REFERENCE: reference, Role.TRAIN: train}
    n: dict[Role, int | None] = {role: side.n for role, side in sides.items()}
    for role, side in sides.items():
        if side.n < 3:
            raise Undefined(f"{side.n} {role} samples, fld needs 3: give more")
    x, y, t = standardised(generated, reference, train)
    variance = fitted(t, x)
    scale = 100 / x.shape[1]
    of_reference, of_train = (mixture_sums(rows, x, variance) for rows in (y, t))
    likely, known = (scale * float(of.log_density.mean()) for of in (of_reference, of_train))
    moves = influences(of_reference, of_train, scale)
    return [
        Estimate(
            output=output,
            number=value,
            n=n,
            interval=context.interval(
                value, error(moves[output].values()), "influence function", "at_n"
            ),
            evidence={
                role: Evidence("influence", sides[role].ids, rows)
                for role, rows in moves[output].items()
            },
            finding=finding,
            galleries=galleries,
        )
        for output, value, finding, galleries in (
            ("fld", -likely - 100 * baseline, "" if baseline else "no baseline is taken off", ()),
            ("gap", known - likely, "", (narrowest(generated, variance),)),
        )
    ]


def influences(
    of_reference: MixtureSums, of_train: MixtureSums, scale: float
) -> dict[str, dict[Role, Floats]]:
    """Influence of every sample on the divergence and on the gap, by output and role."""
    # A Gaussian of more weight adds where it explains more than the others do.
    fresh, known = (
        scale * (found.mass * len(found.mass) / len(found.log_density) - 1)
        for found in (of_reference, of_train)
    )
    unlikely = -scale * of_reference.log_density
    moves = {
        "fld": {Role.GENERATED: -fresh, Role.REFERENCE: unlikely},
        "gap": {
            Role.GENERATED: known - fresh,
            Role.REFERENCE: unlikely,
            Role.TRAIN: scale * of_train.log_density,
        },
    }
    return {
        output: {role: rows - rows.mean() for role, rows in of.items()}
        for output, of in moves.items()
    }


def error(moves: Iterable[Floats]) -> float:
    """Standard error from the influences of independent sides."""
    return float(np.linalg.norm([standard_error(rows) for rows in moves]))


def standardised(
    generated: Features, reference: Features, train: Features
) -> tuple[Floats, Floats, Floats]:
    """The rows of all sides in deviations of the reference about its mean, float64."""
    of = np.asarray(reference.x, dtype=np.float64)
    mean, deviation = of.mean(0), of.std(0, ddof=1)
    kept = np.ptp(of, axis=0) > 0
    if not kept.any():
        raise Undefined(
            "all reference samples have the same features: give a reference that varies"
        )
    x, y, t = (
        ((np.asarray(side.x, dtype=np.float64) - mean) / np.where(kept, deviation, 1.0))[:, kept]
        for side in (generated, reference, train)
    )
    return x, y, t


def fitted(train: Floats, centres: Floats) -> Floats:
    """Variances [n] of Gaussians about `centres` [n, d] that make rows [m, d] likeliest."""
    d = train.shape[1]
    variance: Floats = (nearest(centres, 1, train)[0][:, 0] ** 2 / d).clip(LEAST**2)
    before = -math.inf
    for _ in range(ROUNDS):
        found = mixture_sums(train, centres, variance)
        likelihood = float(found.log_density.mean()) / d
        if likelihood - before < TOLERANCE:
            break
        before = likelihood
        explains = found.mass > np.finfo(np.float64).tiny
        variance[explains] = found.spread[explains] / found.mass[explains] / d
        variance.clip(LEAST**2, out=variance)
    return variance


def narrowest(generated: Features, variance: Floats) -> Gallery:
    """The samples with the narrowest Gaussians, which the training samples lie next to."""
    order = np.argsort(variance, kind="stable")[:SHOWN]
    return Gallery(
        "Fitted most narrowly to training samples",
        Role.GENERATED,
        tuple(generated.ids[row] for row in order),
        tuple(f"width {np.sqrt(variance[row]):.3g}" for row in order),
    )
