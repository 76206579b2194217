"""Vendi score: the effective number of different samples among the generated ones.

    exp H_q(λ),   λ the eigenvalues of XᵀX/n with rows x of length 1,
    H_1 = −Σ λ log λ,   H_q = log(Σ λ^q) / (1 − q)

Input: generated features [n, d]; every row is divided by its length, so that XXᵀ holds cosines;
arithmetic float64. Unit: samples; range [1, n]; higher is more diverse. n equal samples give 1,
n orthogonal ones n. `order` is q: 1 is the published score, 2 the effective rank of RKE, and a
higher order hears less of rare modes. The eigenvalues come from the smaller of the d x d and n x n
matrices.

The score grows with n until it has seen everything, so its interval is the spread at this n and a
comparison takes equal n only. It comes from the influence of a sample on the score,

    V · (−xᵀ log(S) x − H_1),   V · q/(1−q) · (xᵀ S^(q−1) x / Σ λ^q − 1),   S = XᵀX/n

whose interval held the mean score at this n in 94 to 95 % of 150 simulated draws, and in 90 % where
n < d and the spectrum is flat. Undefined for a feature vector of length 0.

Paper: Friedman and Dieng 2023, arXiv:2210.02410; order: Pasarkar and Dieng 2023, arXiv:2310.12952.
Agrees with vendi-score's `score_dual` to 1e-8.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np

from geneval.data import Features
from geneval.linalg import Floats
from geneval.metric import Undefined, features, metric
from geneval.options import AtLeast
from geneval.resample import Context, standard_error
from geneval.sweeps import unit_spectrum
from geneval.value import Estimate, Evidence, OutputSpec, Role


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """A cloud around one direction; damage draws it together."""
    ids = tuple(f"{i:04d}" for i in range(200))
    x = rng.normal(size=(200, 8)) / (1 + 3 * damage)
    return {"generated": Features(ids, x + np.eye(8)[0])}


@metric(
    "vendi",
    version=1,
    paper="arXiv:2210.02410",
    min_n=2,
    n_match="exact",
    outputs=[OutputSpec("vendi", "higher", range=(1, None), unit="samples")],
    needs=lambda o: {"generated": features("generated")},
    example=example,
    conventions={"kernel": "cosine"},
)
def vendi(
    generated: Features, context: Context, *, order: Annotated[float, AtLeast(0.1)] = 1.0
) -> list[Estimate]:
    """The effective number of different samples, of the given order."""
    lengths = np.linalg.norm(np.asarray(generated.x, dtype=np.float64), axis=1)
    if not lengths.all():
        empty = generated.ids[int(np.flatnonzero(lengths == 0)[0])]
        raise Undefined(f"the features of {empty} are all 0, so that it has no direction")
    value, influence = vendi_parts(generated.x, order)
    bounds = (1.0, float(generated.n))
    se = standard_error(influence)
    return [
        Estimate(
            output="vendi",
            number=value,
            n={Role.GENERATED: generated.n},
            interval=context.interval(value, se, "influence function", "at_n", bounds),
            evidence={Role.GENERATED: Evidence("influence", generated.ids, influence)},
        )
    ]


def vendi_parts(x: np.ndarray[Any, Any], order: float) -> tuple[float, Floats]:
    """The score of rows x [n, d], none of length 0, and every row's influence [n] on it."""
    values, along = unit_spectrum(x)
    if order == 1:
        entropy = -(values * np.log(values)).sum()
        change = -(along @ np.log(values)) - entropy
    else:
        total = (values**order).sum()
        entropy = np.log(total) / (1 - order)
        change = order / (1 - order) * (along @ values ** (order - 1) / total - 1)
    score = float(np.exp(entropy))
    influence: Floats = score * (change - change.mean())
    return score, influence
