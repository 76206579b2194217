"""IS∞: the Inception Score extrapolated to infinitely many generated samples.

    IS_N = IS∞ + slope · 1/N,   a least-squares line through `points` sizes N

Input: logits [n, classes] of the generated samples; softmax and logarithms in float64. The score of
a size is exp(mean KL(p(y|x) ‖ p(y))) of all its samples at once, without splits. Higher is better;
range: unbounded, as the line may end slightly outside the score's own [1, classes].

Sizes, draws and `smallest` are those of `fid_infinity`. The score is biased downwards by about
1/N, the more the more classes there are, which the line takes off.

The interval is a population interval: the samples' influence IS·(KL(x) − mean KL), weighted by how
much the draws of the line count each sample, holds the sampling of all n and the regression's own
noise. It does not hold a bend of the line, which is to be expected where N is below a few times the
number of classes; the finding gives R². Undefined where fewer than 3 sizes differ.

Paper: Chong and Forsyth 2020, arXiv:1911.07023.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from geneval.data import Features
from geneval.metric import logits, metric
from geneval.metrics.fidelity.fid_infinity import fitted, sized_draws
from geneval.metrics.fidelity.inception_score import divergence, example, probabilities
from geneval.options import AtLeast
from geneval.resample import Context, standard_error
from geneval.value import Estimate, Evidence, OutputSpec, Role


@metric(
    "is_infinity",
    version=1,
    paper="arXiv:1911.07023",
    min_n=20,
    outputs=[OutputSpec("is_infinity", "higher")],
    needs=lambda o: {"generated": logits("generated")},
    example=example,
)
def is_infinity(
    generated: Features,
    context: Context,
    *,
    points: Annotated[int, AtLeast(3)] = 15,
    smallest: Annotated[int | None, AtLeast(2)] = None,
    seed: Annotated[int, AtLeast(0)] = 2020,
) -> list[Estimate]:
    """The end of the line through IS_N, drawn from `smallest` samples to all."""
    p, log_p = probabilities(generated.x)
    draws = sized_draws(generated.n, points, smallest, seed)
    values = np.exp([divergence(p[rows], log_p[rows]).mean() for rows in draws])
    kl = divergence(p, log_p)
    line = fitted(draws, values)
    weighted = line.influence(np.exp(kl.mean()) * (kl - kl.mean()), draws)
    return [
        Estimate(
            output="is_infinity",
            number=line.end,
            n={Role.GENERATED: generated.n},
            interval=context.interval(
                line.end, standard_error(weighted), "influence of the fitted line", "population"
            ),
            evidence={Role.GENERATED: Evidence("influence", generated.ids, weighted)},
            finding=line.described(),
            tables=(line.table("IS_N"),),
        )
    ]
