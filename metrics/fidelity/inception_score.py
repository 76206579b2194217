"""Inception Score: how sure a classifier is of each sample and how varied its answers are.

    exp( mean over samples of KL( p(y|x) ‖ p(y) ) ),   averaged over `splits` parts

Input: logits [n, classes] of the generated samples; softmax and logarithms in float64. Range
[1, classes]; higher is better. One class for all gives 1, K classes evenly and surely give K.

With Inception the logits are those without the last layer's bias, over all 1,008 outputs, as in the
original. Samples are shuffled by NumPy's RandomState(`seed`) in canonical id order and cut at
i·n//splits, as torch-fidelity does. The score is biased downwards at finite n, so the interval is
the spread at this n, from the influence IS·(KL(x) − mean KL). Undefined when a part would be empty.

Paper: Salimans et al. 2016, arXiv:1606.03498. Agrees with torch-fidelity to 1e-6 relative on the
same logits; torchmetrics differs by its unseeded shuffle, float32 and ddof of the spread.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any

import numpy as np

from geneval.data import Features
from geneval.linalg import Floats
from geneval.metric import Undefined, logits, metric
from geneval.options import AtLeast
from geneval.resample import Context, standard_error
from geneval.value import Estimate, Evidence, OutputSpec, Role


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Sure answers spread over ten classes; damage makes them unsure."""
    x = rng.normal(size=(500, 10))
    x[np.arange(500), rng.integers(0, 10, 500)] += 8 * (1 - damage)
    return {"generated": Features(tuple(f"{i:04d}" for i in range(500)), x)}


@metric(
    "inception_score",
    version=1,
    paper="arXiv:1606.03498",
    min_n=10,
    outputs=[OutputSpec("inception_score", "higher", range=(1, None))],
    needs=lambda o: {"generated": logits("generated")},
    example=example,
)
def inception_score(
    generated: Features,
    context: Context,
    *,
    splits: Annotated[int, AtLeast(1)] = 10,
    shuffle: bool = True,
    seed: Annotated[int, AtLeast(0)] = 2020,
) -> list[Estimate]:
    """The mean score over the splits."""
    if splits > generated.n:
        raise Undefined(f"{generated.n} samples cannot be cut into {splits} splits; set splits")
    p, log_p = probabilities(generated.x)
    order = np.arange(generated.n)
    if shuffle:
        order = np.random.RandomState(seed).permutation(generated.n)
    bounds = [i * generated.n // splits for i in range(splits + 1)]
    parts = [order[a:b] for a, b in pairwise(bounds)]
    scores = np.array([np.exp(divergence(p[rows], log_p[rows]).mean()) for rows in parts])
    number = float(scores.mean())
    kl = divergence(p, log_p)
    influence = number * (kl - kl.mean())
    return [
        Estimate(
            output="inception_score",
            number=number,
            n={Role.GENERATED: generated.n},
            interval=context.interval(
                number, standard_error(influence), "influence function", "at_n", (1, None)
            ),
            evidence={Role.GENERATED: Evidence("influence", generated.ids, influence)},
            finding=f"standard deviation over {splits} splits {scores.std():.6g}",
        )
    ]


def probabilities(x: np.ndarray[Any, Any]) -> tuple[Floats, Floats]:
    """Softmax and log-softmax of logits [n, classes] in float64."""
    shifted = x.astype(np.float64) - x.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return np.exp(log_p), log_p


def divergence(p: Floats, log_p: Floats) -> Floats:
    """KL divergence [n] of every row from the mean row."""
    marginal = np.log(np.maximum(p.mean(axis=0), np.finfo(np.float64).tiny))
    kl: Floats = (p * (log_p - marginal)).sum(axis=1)
    return kl
