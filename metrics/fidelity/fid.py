"""Fréchet distance between two sets of features (FID when they are Inception's pool3).

    ‖μ₁−μ₂‖² + tr(Σ₁ + Σ₂ − 2(Σ₁Σ₂)^½)

Input: generated features [n, d] and reference features [m, d] or their moments; statistics float64,
covariances with ddof 1. Unit: squared feature units; range [0, ∞); best 0; symmetric.

The plain distance `fid` is biased upwards at finite n, the more the larger d is, and two models of
equal quality but different shape have different bias. Its interval is therefore the spread at this
n. `debiased` takes the bias off in two steps: the trace of the root is that of the population
behind two sample covariances when samples and dimensions grow together (Tiomoko and Couillet 2019,
arXiv:1903.03447; `geneval/frechet.py` has the formula), which gives v; and the jackknife takes off
what that leaves, most of all with features of heavy tails,

    v − Σ over both sides of (N−1)(mean of v without sample i − v),     N = n and m.

It may be slightly negative near 0, carries the population interval from the influence function

    ψ(x) = 2(μ₁−μ₂)ᵀ(x−μ₁) + (x−μ₁)ᵀ(I−T)(x−μ₁),   T the transport map between the Gaussians,

as SE² = Var(ψ_gen)/n + Var(ψ_ref)/m, and is what comparisons use. A side with no more samples than
features has the jackknife alone. Below n/d = 4 part of the bias may remain and the finding says so.
With a reference known only by its moments the value is conditional on that reference. Undefined
below 3 samples a side.

Paper: Heusel et al. 2017, arXiv:1706.08500. Agrees with torch-fidelity and pytorch-fid on the same
features to 1e-6 relative; where n < d their matrix square root is itself off by about 1e-8.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from geneval.data import Features, Moments
from geneval.frechet import frechet_parts
from geneval.linalg import Floats
from geneval.metric import Undefined, features, metric
from geneval.resample import Context, jackknife_bias, standard_error
from geneval.value import Estimate, Evidence, Gallery, Interval, OutputSpec, Role

SINGULAR = (
    "fewer samples than features: the covariance is singular and most of the number is bias; read "
    "the debiased estimate, or KID"
)
ENOUGH = 4  # n/d below which heavy tails leave a bias (docs/statistics.md)
LEAST = 3  # samples a side, so that two remain when one is left out
SHOWN = 24  # samples in the gallery of the costliest


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Two Gaussian clouds; damage moves and widens the generated one."""
    ids = tuple(f"{i:04d}" for i in range(300))
    x, y = rng.normal(size=(2, 300, 8))
    return {
        "generated": Features(ids, x * (1 + damage) + 2 * damage),
        "reference": Features(ids, y),
    }


@metric(
    "fid",
    version=2,
    paper="arXiv:1706.08500",
    min_n=20,
    outputs=[
        OutputSpec("fid", "lower", range=(0, None), compared_by="debiased"),
        OutputSpec("debiased", "lower"),
    ],
    needs=lambda o: {
        "generated": features("generated"),
        "reference": features("reference", or_moments=True),
    },
    example=example,
    conventions={"ddof": 1},
    identity={"fid": 0.0},
    symmetric=("fid", "debiased"),
)
def fid(
    generated: Features,
    reference: Features | Moments,
    context: Context,
) -> list[Estimate]:
    """The Fréchet distance and its debiased estimate."""
    counted = [generated.n] if isinstance(reference, Moments) else [generated.n, reference.n]
    if min(counted) < LEAST:
        raise Undefined(f"{min(counted)} samples on one side, the covariance needs {LEAST}")
    n = {Role.GENERATED: generated.n, Role.REFERENCE: reference.n}
    parts = frechet_parts(generated.x, reference if isinstance(reference, Moments) else reference.x)
    sides = [(Role.GENERATED, generated.ids, parts.a)]
    if not isinstance(reference, Moments) and parts.b is not None:
        sides.append((Role.REFERENCE, reference.ids, parts.b))
    debiased, variance = parts.corrected, 0.0
    for _, _, side in sides:
        debiased -= jackknife_bias(parts.corrected, side.left_out)
        variance += standard_error(side.influence) ** 2
    evidence = {role: Evidence("influence", ids, side.influence) for role, ids, side in sides}
    plain = max(parts.distance, 0.0)
    se = float(np.sqrt(variance))
    population = context.interval(debiased, se, "influence function", "population")
    return [
        Estimate(
            output="fid",
            number=plain,
            n=n,
            interval=context.interval(plain, se, "influence function", "at_n", (0, None)),
            galleries=(costliest(generated, parts.a.influence),),
            finding=SINGULAR if min(counted) <= generated.d else "",
        ),
        Estimate(
            output="debiased",
            number=debiased,
            n=n,
            interval=population,
            evidence=evidence,
            finding=_caution(generated, reference, population),
        ),
    ]


def costliest(generated: Features, influence: Floats) -> Gallery:
    """The generated samples that add most to the distance, by their influence."""
    order = np.argsort(-influence, kind="stable")[:SHOWN]
    return Gallery(
        title="Samples that cost the most",
        role=Role.GENERATED,
        ids=tuple(generated.ids[row] for row in order),
        captions=tuple(f"{influence[row]:+.3g}" for row in order),
    )


def _caution(
    generated: Features, reference: Features | Moments, population: Interval | None
) -> str:
    notes = []
    if population is not None and population.high < 0:
        notes.append(
            "below zero by more than chance: the sets are more alike than independent samples are, "
            "as when they share samples or have fixed class counts"
        )
    least = min(generated.n, reference.n or generated.n)
    if least < ENOUGH * generated.d:
        notes.append(
            f"n/d is {least / generated.d:.2g}, below {ENOUGH}: part of the bias may remain"
        )
    if isinstance(reference, Moments):
        notes.append("conditional on the reference, which is known only by its moments")
    return "; ".join(notes)
