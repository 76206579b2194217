"""Monge Inception Distance (MIND): how far projections of the samples must move, on average.

    3d · mean over directions u of  1/n Σᵢ ( (u·x)₍ᵢ₎ − (u·y)₍ᵢ₎ )²,   ₍ᵢ₎ the i-th smallest

Input: generated features [n, d] and reference features [m, d]; arithmetic float64. Unit: squared
feature units; range [0, ∞); best 0; symmetric. A shift μ of every coordinate gives 3dμ², three
times what `fid` gives, up to the directions drawn: 3d · mean (u·shift)², within √(2/directions).

`directions` unit vectors and, where n and m differ, min(n, m) samples of the longer side are drawn
by a torch generator with `seed` in canonical id order, which are torch-fidelity's draws. `n` counts
the samples used.

`mind` is the literature's number. It is biased upwards at finite n, so its interval is the spread
at this n: SE² = Var(ψ_gen)/n + Var(ψ_ref)/n, where ψ averages the potentials of the projections,
ψ'(s) = 2(s − T(s)) with T the monotone map from one side to the other. `debiased` takes the bias
off by a jackknife that deletes a block of either side at once,

    v − (K−1)(mean of v without blocks k − v),     K = `blocks`,

may be slightly negative near 0, and is what comparisons use. Its population interval adds the
spread over directions, Var(v_u)/directions, because the definition averages over all of them; in
comparisons the directions are shared. Where the two sides agree ψ overstates the noise, so the
interval is long rather than short. Undefined below 2·K samples a side.

Paper: Berthet et al. 2026, arXiv:2605.06797. Agrees with the formula written out as a loop.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from geneval.data import Features
from geneval.metric import Undefined, features, metric
from geneval.metrics.fidelity.fid import example
from geneval.options import AtLeast
from geneval.resample import Context, standard_error
from geneval.sweeps import sliced_draws, sliced_parts
from geneval.value import Estimate, Evidence, OutputSpec, Role


@metric(
    "mind",
    version=1,
    paper="arXiv:2605.06797",
    min_n=20,
    outputs=[
        OutputSpec("mind", "lower", range=(0, None), compared_by="debiased"),
        OutputSpec("debiased", "lower"),
    ],
    needs=lambda o: {"generated": features("generated"), "reference": features("reference")},
    example=example,
    conventions={"scale": "3d"},
    identity={"mind": 0.0},
    symmetric=("mind", "debiased"),
)
def mind(
    generated: Features,
    reference: Features,
    context: Context,
    *,
    directions: Annotated[int, AtLeast(2)] = 1000,
    seed: Annotated[int, AtLeast(0)] = 2020,
    blocks: Annotated[int, AtLeast(2)] = 10,
) -> list[Estimate]:
    """The sliced distance and its debiased estimate; `blocks` is the jackknife's K."""
    n, m, d = generated.n, reference.n, generated.d
    if min(n, m) < 2 * blocks:
        raise Undefined(f"needs 2 samples for each of {blocks} blocks a side: set blocks lower")
    rows_x, rows_y, axes = sliced_draws(n, m, d, directions, seed)
    x, y = generated.take(rows_x), reference.take(rows_y)
    parts = sliced_parts(
        x.x, y.x, axes, context.blocks(x.ids, blocks), context.blocks(y.ids, blocks)
    )
    scale = 3.0 * d
    plain = scale * float(parts.distances.mean())
    each = blocks * parts.distances - (blocks - 1) * parts.left_out.mean(axis=0)
    debiased, over_directions = scale * float(each.mean()), scale * standard_error(each)
    psi_x, psi_y = scale * parts.influence_x, scale * parts.influence_y
    se = float(np.hypot(standard_error(psi_x), standard_error(psi_y)))
    counts = {Role.GENERATED: x.n, Role.REFERENCE: y.n}
    finding = f"standard error over {directions} directions {over_directions:.3g}"
    if n != m:
        role, more = ("generated", n) if n > m else ("reference", m)
        finding += f"; {min(n, m)} of {more} {role} samples used, as many as the other side has"
    return [
        Estimate(
            output="mind",
            number=plain,
            n=counts,
            interval=context.interval(plain, se, "influence function", "at_n", (0, None)),
        ),
        Estimate(
            output="debiased",
            number=debiased,
            n=counts,
            interval=context.interval(
                debiased,
                float(np.hypot(se, over_directions)),
                "influence function and directions",
                "population",
            ),
            evidence={
                Role.GENERATED: Evidence("influence", x.ids, psi_x),
                Role.REFERENCE: Evidence("influence", y.ids, psi_y),
            },
            finding=finding,
        ),
    ]
