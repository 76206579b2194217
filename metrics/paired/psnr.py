"""Peak signal-to-noise ratio of every sample and its own reference: the mean over the samples.

    psnr = mean over samples of  min( −10 · log10(MSE), cap ),   MSE of values in 0..1

Input: rows [n, 6] of the extractor `pairwise`, layer `mse`: the mean squared error over all pixels
and the three channels of a generated image and the reference image of the same id, then the sizes
of both. Unit: dB; range [0, ∞); higher is better. A difference of d levels of 255 everywhere is
20 · log10(255 / d): 48.13 dB for 1, 28.13 dB for 10.

An image that equals its reference has infinite PSNR, and one such sample would decide a plain mean:
every sample counts as `cap` at most, 100 dB unless set, and the finding says how many did. Below it
stay all images of 8 bits of which one value in 150,000 is off by a level.

It is the mean of the samples' ratios, as super-resolution papers report it, not the ratio of their
pooled error, torchmetrics' default. RGB, all pixels: papers that take the luma or crop edges get
other numbers. The interval is of the mean of the population, by the central limit theorem.
Undefined where an image and its reference differ in size.

Source: the definition of ITU-T J.340. Agrees with torchmetrics' function on each sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np

from geneval.data import Features
from geneval.items import mean_of
from geneval.linalg import Floats
from geneval.metric import Undefined, features, metric
from geneval.options import AtLeast
from geneval.resample import Context
from geneval.value import Estimate, OutputSpec


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Errors of about 0.001; damage makes them a hundred times as large."""
    return {"pairs": pairs_of(0.001 * 100**damage * rng.uniform(0.5, 1.5, 80))}


def pairs_of(scores: Floats) -> Features:
    """Rows of scores [n] for pairs of equal size."""
    ids = tuple(f"{i:04d}" for i in range(len(scores)))
    return Features(ids, np.column_stack([scores, np.full((len(scores), 5), [1, 8, 8, 8, 8])]))


@metric(
    "psnr",
    version=1,
    min_n=2,
    n_match="any",
    outputs=[OutputSpec("psnr", "higher", unit="dB", range=(0, None))],
    needs=lambda o: {"pairs": features("generated", extractor="pairwise", layer="mse")},
    example=example,
    conventions={"channels": "rgb"},
)
def psnr(
    pairs: Features, context: Context, *, cap: Annotated[float, AtLeast(1)] = 100.0
) -> list[Estimate]:
    """The mean ratio in decibels."""
    error = scores_of(pairs, "psnr")
    with np.errstate(divide="ignore"):
        ratio = np.maximum(-10 * np.log10(error), 0.0)
    equal, capped = int((error == 0).sum()), int((ratio >= cap).sum())
    told = f"{equal} of {pairs.n} samples equal their reference; {capped} count as {cap:g} dB"
    return [
        mean_of(
            context,
            "psnr",
            np.minimum(ratio, cap),
            pairs.ids,
            (0, None),
            finding=told if capped else "",
        )
    ]


def scores_of(pairs: Features, name: str) -> Floats:
    """The scores [n] of rows of a pairwise layer, if all are defined."""
    rows = pairs.x.astype(np.float64)
    least, height, width, *target = rows[:, 1:].T
    unequal = np.flatnonzero((height != target[0]) | (width != target[1]))
    if len(unequal):
        first = unequal[0]
        raise Undefined(
            f"{pairs.ids[first]} is {width[first]:g} x {height[first]:g} pixels and its reference "
            f"{target[1][first]:g} x {target[0][first]:g} ({len(unequal)} of {pairs.n} samples "
            f"differ in size): {name} compares pixel by pixel, so bring them to one size"
        )
    small = np.flatnonzero(np.minimum(height, width) < least)
    if len(small):
        first = small[0]
        raise Undefined(
            f"{pairs.ids[first]} is {width[first]:g} x {height[first]:g} pixels: {name} needs "
            f"sides of at least {least[first]:g} ({len(small)} of {pairs.n} samples are smaller)"
        )
    return rows[:, 0]
