"""Structural similarity of every sample and its own reference: the mean over the samples.

    ssim = mean of  (2 μ₁ μ₂ + c₁) (2 σ₁₂ + c₂) / ( (μ₁² + μ₂² + c₁) (σ₁² + σ₂² + c₂) )

Input: rows [n, 6] of the extractor `pairwise`, layer `ssim`: the mean over all pixels and the three
channels of a generated image and the reference image of the same id, then the sizes of both. Local
means, variances and covariance are weighted by a Gaussian window of 11 x 11, σ = 1.5, with edges
reflected; values in 0..1, c₁ = 0.01², c₂ = 0.03². Range [−1, 1]; higher is better; 1 for an image
that equals its reference.

The authors' own code takes one channel, leaves the edges out and halves large images first;
scikit-image's default is a flat window of 7: their numbers differ in the second digit. The interval
is of the mean of the population, by the central limit theorem. Undefined where an image and its
reference differ in size or have a side below 6.

Paper: Wang et al. 2004, doi:10.1109/TIP.2003.819861. The scores are torchmetrics' function's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from geneval.data import Features
from geneval.items import mean_of
from geneval.metric import features, metric
from geneval.metrics.paired.psnr import pairs_of, scores_of
from geneval.resample import Context
from geneval.value import Estimate, OutputSpec


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Scores of about 0.9; damage takes them to about 0."""
    return {"pairs": pairs_of(0.9 * (1 - damage) + rng.uniform(-0.1, 0.1, 80))}


@metric(
    "ssim",
    version=1,
    paper="doi:10.1109/TIP.2003.819861",
    min_n=2,
    n_match="any",
    outputs=[OutputSpec("ssim", "higher", range=(-1, 1))],
    needs=lambda o: {"pairs": features("generated", extractor="pairwise", layer="ssim")},
    example=example,
    conventions={"channels": "rgb", "window": "gauss11", "edges": "reflect"},
)
def ssim(pairs: Features, context: Context) -> list[Estimate]:
    """The mean similarity."""
    scores = scores_of(pairs, "ssim").clip(-1, 1)  # rounding may carry it past an end
    return [mean_of(context, "ssim", scores, pairs.ids, (-1, 1))]
