"""Perceptual path length (PPL): how far an image moves for a tiny step of its latent, on average.

    mean over requests of  LPIPS( G(z), G(z + ε-step towards another latent) ) / ε²,   1 % cut off

Input: rows [n, 2] of the probe `path-length`: the length of each request's step and whether the
generator gave floats. Unit: perceptual distance per squared step; range [0, ∞); lower is smoother.
Lengths below the 1 % and above the 99 % quantile (`trim`) are left out, as in the paper's code.

The interval is of the population's trimmed mean, from its influence: lengths beyond a quantile
count as that quantile (Huber 1981, section 3.3). Undefined for a generator that gives bytes: at
ε = 1e-4 their lengths are rounding (torch-fidelity's documentation has 1146.9 for bytes and 31.0
for floats of one model).

Paper: Karras et al. 2018, arXiv:1812.04948. Agrees with torchmetrics on equal latents and weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np

from geneval.data import Features
from geneval.metric import Undefined, features, metric
from geneval.options import AtLeast
from geneval.resample import Context, standard_error
from geneval.value import Estimate, Evidence, Gallery, OutputSpec, Role

SHOWN = 12  # samples in a gallery


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Lengths around 100; damage makes the way longer."""
    lengths = rng.lognormal(np.log(100) + damage, 0.4, 400)
    ids = tuple(f"{i:04d}" for i in range(400))
    return {"lengths": Features(ids, np.stack([lengths, np.ones(400)], axis=1))}


@metric(
    "perceptual_path_length",
    version=1,
    paper="arXiv:1812.04948",
    min_n=10,
    n_match="any",
    outputs=[OutputSpec("perceptual_path_length", "lower", range=(0, None))],
    needs=lambda o: {"lengths": features("generated", layer="path_length")},
    example=example,
    extractor="path-length",
)
def perceptual_path_length(
    lengths: Features, context: Context, *, trim: Annotated[float, AtLeast(0.0)] = 0.01
) -> list[Estimate]:
    """The trimmed mean of the lengths."""
    if not lengths.x[:, 1].all():
        raise Undefined(
            "the adapter gives bytes, whose steps are rounding: let generate return floats in 0..1"
        )
    if trim >= 0.5:
        raise Undefined(f"trim = {trim} leaves nothing")
    each = lengths.x[:, 0].astype(np.float64)
    low, high = np.quantile(each, (trim, 1 - trim), method="lower")
    kept = each[(each >= low) & (each <= high)]
    number = float(kept.mean())
    held = each.clip(low, high)
    influence = (held - held.mean()) * (len(each) / len(kept))
    worst = np.argsort(-each, kind="stable")[:SHOWN]
    return [
        Estimate(
            output="perceptual_path_length",
            number=number,
            n={Role.GENERATED: len(each)},
            interval=context.interval(
                number, standard_error(influence), "influence function", "population", (0, None)
            ),
            evidence={Role.GENERATED: Evidence("influence", lengths.ids, influence)},
            galleries=(
                Gallery(
                    "the roughest latents",
                    Role.GENERATED,
                    tuple(lengths.ids[row] for row in worst),
                    tuple(f"{each[row]:.4g}" for row in worst),
                ),
            ),
        )
    ]
