"""Structural similarity over five scales of every sample and its own reference: the mean.

    ms_ssim = mean over samples of  l₅^β₅ · Π over scales i of  cs_i^β_i

with cs_i the mean contrast and structure term of `ssim` after i − 1 halvings, l₅ · cs₅ the whole of
`ssim` at the last, β = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333); a negative term counts as 0.

Input: rows [n, 6] of the extractor `pairwise`, layer `ms_ssim`: the score of a generated image and
the reference image of the same id, then the sizes of both; window, edges, channels and constants
are those of `ssim`. Range [0, 1]; higher is better; 1 for an image that equals its reference. The
interval is of the mean of the population, by the central limit theorem. Undefined where an image
and its reference differ in size or have a side below 176: after four halvings the window of 11
would not fit.

Paper: Wang, Simoncelli and Bovik 2003, doi:10.1109/ACSSC.2003.1292216. The scores are torchmetrics'
function's.
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
    """Scores of about 0.9; damage takes them to about 0.1."""
    return {"pairs": pairs_of(0.9 - 0.8 * damage + rng.uniform(-0.1, 0.1, 80))}


@metric(
    "ms_ssim",
    version=1,
    paper="doi:10.1109/ACSSC.2003.1292216",
    min_n=2,
    n_match="any",
    outputs=[OutputSpec("ms_ssim", "higher", range=(0, 1))],
    needs=lambda o: {"pairs": features("generated", extractor="pairwise", layer="ms_ssim")},
    example=example,
    conventions={"channels": "rgb", "window": "gauss11", "edges": "reflect", "negative": "0"},
)
def ms_ssim(pairs: Features, context: Context) -> list[Estimate]:
    """The mean similarity over scales."""
    scores = scores_of(pairs, "ms_ssim").clip(0, 1)  # rounding may carry it past an end
    return [mean_of(context, "ms_ssim", scores, pairs.ids, (0, 1))]
