"""Latent sensitivity: how much an image changes for each unit of noise on its latent.

    sᵢ = distance( G(zᵢ), G(zᵢ + step·u) ) / step,   ‖u‖ = √d

    latent_sensitivity = mean over requests of the mean over directions u
    p95, largest       = 95 % quantile and maximum over requests of the maximum over directions

Input: rows [n, 3] of the probe `latent-sensitivity`: mean and maximum over the directions, and
whether the generator gave floats. A unit of noise is a deviation of 1 in every coordinate of the
latent; the unit of the distance is the probe's (pixels: root mean square in 0..1). Range [0, ∞);
lower is smoother, and 0 is a generator that ignores its latent: read it beside diversity.

The maximum over random directions is a lower bound of the local Lipschitz constant. The interval of
the mean is by the central limit theorem, that of p95 by order statistics (from about 75 requests
on), both of the population; the largest has none. Undefined for a generator that gives bytes, whose
small steps are rounding.

Source: differences of a deterministic map; see perceptual_path_length for the paper's variant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from geneval.data import Features
from geneval.items import Floats, mean_of, worst_of
from geneval.metric import Undefined, features, metric
from geneval.resample import Context, order_interval
from geneval.value import DetailTable, Estimate, OutputSpec, Role

SHARES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)  # of the table


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Changes around 0.3; damage makes the generator jump."""
    mean = rng.lognormal(np.log(0.3) + damage, 0.3, 300)
    largest = mean * (1 + rng.random(300))
    ids = tuple(f"{i:04d}" for i in range(300))
    return {"changes": Features(ids, np.stack([mean, largest, np.ones(300)], axis=1))}


@metric(
    "latent_sensitivity",
    version=1,
    min_n=10,
    n_match="any",
    outputs=[
        OutputSpec("latent_sensitivity", "lower", range=(0, None)),
        OutputSpec("p95", "lower", range=(0, None)),
        OutputSpec("largest", "lower", range=(0, None)),
    ],
    needs=lambda o: {"changes": features("generated", layer="sensitivity")},
    example=example,
    extractor="latent-sensitivity",
)
def latent_sensitivity(changes: Features, context: Context) -> list[Estimate]:
    """Mean, 95 % quantile and largest change."""
    x = changes.x.astype(np.float64)
    if not x[:, 2].all():
        raise Undefined(
            "the adapter gives bytes, whose steps are rounding: let generate return floats in 0..1"
        )
    n = {Role.GENERATED: changes.n}
    whole = mean_of(context, "latent_sensitivity", x[:, 0], changes.ids, (0, None))
    interval = order_interval(x[:, 1], 0.95, context.level)
    return [
        replace(whole, galleries=(), tables=(_table(x),)),
        Estimate(
            output="p95",
            number=float(np.quantile(x[:, 1], 0.95)),
            n=n,
            interval=interval,
            no_interval=None if interval else "too few requests to bound their 95 % quantile",
        ),
        Estimate(
            output="largest",
            number=float(x[:, 1].max()),
            n=n,
            no_interval="a larger one may lie among requests that were not made",
            galleries=(worst_of(changes.ids, x[:, 1], -1, "the roughest latents"),),
        ),
    ]


def _table(x: Floats) -> DetailTable:
    """The distribution over requests, as quantiles."""
    columns = {
        name: [float(one) for one in np.quantile(x[:, column], SHARES)]
        for column, name in enumerate(("mean over directions", "largest over directions"))
    }
    title = "Change per unit of latent noise, by share of requests"
    return DetailTable(title, {"share of requests": list(SHARES), **columns}, "line")
