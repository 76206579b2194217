"""Learned perceptual distance (LPIPS) of every sample and its own reference: the mean.

    lpips = mean over samples of  Σ over layers l of  mean over places of  w_l · ( f_l − g_l )²

with f_l and g_l the activations of a network on the two images, each place divided by its length,
and w_l ≥ 0 one weight a channel, fitted to what people called alike.

Input: rows [n, 6] of the extractor `lpips-alex` or `lpips-vgg` (option `net`), layer `lpips`: the
distance of a generated image and the reference image of the same id, then the sizes of both.
Range [0, ∞); lower is better; 0 for an image that equals its reference; seldom above 1. AlexNet is
what the authors advise for comparing, VGG-16 is what papers on reconstruction often report; the two
cannot be compared. The linear layers are those of version 0.1.

The interval is of the mean of the population, by the central limit theorem. Undefined where an
image and its reference differ in size or have a side below 31 (AlexNet) or 16 (VGG-16).

Paper: Zhang et al. 2018, arXiv:1801.03924. Agrees with the authors' package `lpips` and with
torchmetrics on equal weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from geneval.data import Features
from geneval.items import mean_of
from geneval.metric import features, metric
from geneval.metrics.paired.psnr import pairs_of, scores_of
from geneval.resample import Context
from geneval.value import Estimate, OutputSpec


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Distances of about 0.1; damage makes them large."""
    return {"pairs": pairs_of(0.1 + damage + rng.uniform(-0.05, 0.05, 80))}


@metric(
    "lpips",
    version=1,
    paper="arXiv:1801.03924",
    min_n=2,
    n_match="any",
    outputs=[OutputSpec("lpips", "lower", range=(0, None))],
    needs=lambda o: {
        "pairs": features("generated", extractor=f"lpips-{o.net}", layer="lpips"),
    },
    example=example,
)
def lpips(
    pairs: Features, context: Context, *, net: Literal["alex", "vgg"] = "alex"
) -> list[Estimate]:
    """The mean distance; `net` chooses the extractor."""
    scores = scores_of(pairs, "lpips")
    return [mean_of(context, "lpips", scores, pairs.ids, (0, None), worst_first=-1)]
