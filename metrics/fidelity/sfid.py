"""Spatial Fréchet distance (sFID): FID in features that keep where things are.

    ‖μ₁−μ₂‖² + tr(Σ₁ + Σ₂ − 2(Σ₁Σ₂)^½)   on an early map of the network instead of its last pooling

Input: the extractor's spatial layer [n, d] of the generated and the reference samples; statistics
float64, covariances with ddof 1. Unit: squared feature units; range [0, ∞); best 0; symmetric. With
`inception-v3` the layer is that of ADM: the first 7 channels of `Mixed_6d.branch1x1`, 17 x 17, d =
2,023, flattened with the channel last.

Bias, the debiased estimate, intervals and undefined cases are those of `fid`.

Paper: Nash et al. 2021, arXiv:2103.03841; the layer as in Dhariwal and Nichol 2021 (ADM).
"""

from __future__ import annotations

from dataclasses import replace

from geneval.data import Features, Moments
from geneval.metric import features, metric
from geneval.metrics.fidelity.fid import example, fid
from geneval.resample import Context
from geneval.value import Estimate, OutputSpec


@metric(
    "sfid",
    version=2,
    paper="arXiv:2103.03841",
    min_n=20,
    outputs=[
        OutputSpec("sfid", "lower", range=(0, None), compared_by="debiased"),
        OutputSpec("debiased", "lower"),
    ],
    needs=lambda o: {
        "generated": features("generated", layer="spatial"),
        "reference": features("reference", layer="spatial", or_moments=True),
    },
    example=example,
    conventions={"ddof": 1},
    identity={"sfid": 0.0},
    symmetric=("sfid", "debiased"),
)
def sfid(
    generated: Features,
    reference: Features | Moments,
    context: Context,
) -> list[Estimate]:
    """The Fréchet distance of the spatial layer and its debiased estimate."""
    plain, debiased = fid(generated, reference, context)
    return [replace(plain, output="sfid"), debiased]
