"""Authenticity: the share of generated samples that are no closer copies than training data hold.

    authentic(g) = 1 where ‖g − t‖ > ‖t − t'‖,  t the training sample nearest to g,
                                               t' the training sample nearest to t

Input: for every generated sample its 2 nearest training samples, and for every training sample its
2 nearest others. Range [0, 1]; higher is better. Copies give 0, also of training samples that
repeat, since both distances are then 0. Bad samples that lie far from everything give 1: read it
beside fidelity. Nor is the rest a share of memorised samples: of samples that are fresh draws from
the training distribution 37 % are authentic in 2 dimensions, 52 % in 6 and 87 % in 256 (Gaussian,
m = 800). Published as a percentage (AuthPct, 100 times this); the FLD package subtracts 50.

It depends on n and on the number m of training samples, so the interval is the spread at this n. It
counts both: the samples asked, and the training samples by the exact change when one is left out
(its followers move to their next nearest, and whoever it was nearest to gets a wider radius). It is
Wilson's at the effective sample size p(1−p)/SE². Undefined below 3 training samples.

Paper: Alaa et al. 2022, arXiv:2102.08921. Counts equal the definition on whole distance matrices.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from geneval.data import Neighbours
from geneval.linalg import Floats
from geneval.metric import metric, neighbours
from geneval.resample import Context, proportion_interval
from geneval.value import Estimate, Evidence, Gallery, OutputSpec, Role

SHOWN = 24  # samples in a gallery


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Two clouds of one distribution; damage replaces generated samples by training samples."""
    from geneval.neighbours import nearest

    ids = tuple(f"{i:04d}" for i in range(200))
    x, train = rng.normal(size=(2, 200, 6))
    copied = rng.random(200) < damage
    x = np.where(copied[:, None], train, x)
    return {
        "generated": Neighbours(ids, *nearest(x, 2, train), ids),
        "train": Neighbours(ids, *nearest(train, 2)),
    }


@metric(
    "authenticity",
    version=1,
    paper="arXiv:2102.08921",
    min_n=2,
    outputs=[OutputSpec("authenticity", "higher", range=(0, 1))],
    needs=lambda o: {
        "generated": neighbours("generated", 2, among="train"),
        "train": neighbours("train", 2),
    },
    example=example,
    conventions={"ties": ">"},
)
def authenticity(generated: Neighbours, train: Neighbours, context: Context) -> list[Estimate]:
    """The share of authentic samples."""
    apart, radius = generated.radius(1), train.radius(1)[generated.index[:, 0]]
    scores = (apart > radius).astype(np.float64)
    influence = left_out(generated, train)
    return [
        Estimate(
            output="authenticity",
            number=float(scores.mean()),
            n={Role.GENERATED: len(scores), Role.TRAIN: len(train.ids)},
            interval=proportion_interval(scores, influence, context.level, "wilson, leave-one-out"),
            evidence={
                Role.GENERATED: Evidence("scores", generated.ids, scores),
                Role.TRAIN: Evidence("influence", train.ids, influence),
            },
            galleries=closest(generated, apart / np.maximum(radius, np.finfo(float).tiny)),
        )
    ]


def left_out(generated: Neighbours, train: Neighbours) -> Floats:
    """Influence [m] of every training sample on the share, from leaving it out."""
    m = len(train.ids)
    (first, second), (apart, further) = generated.index.T[:2], generated.distance.T[:2]
    nearest, (inner, outer) = train.index[:, 0], train.distance.T[:2]
    now = (apart > inner[first]).astype(np.float64)
    # Without `first` the sample follows `second`, whose own nearest `first` may have been.
    followed = further > np.where(nearest[second] == first, outer[second], inner[second])
    widened = apart > outer[first]  # without the training sample nearest to `first`
    change = np.bincount(first, followed - now, m)
    change += np.bincount(nearest[first], widened - now, m)
    influence = -(m - 1) * change / len(now)
    centred: Floats = influence - influence.mean()
    return centred


def closest(generated: Neighbours, closeness: Floats) -> tuple[Gallery, Gallery]:
    """The generated samples of least `closeness` [n], and the nearest training sample of each."""
    order = np.argsort(closeness, kind="stable")[:SHOWN]
    ids = tuple(generated.ids[row] for row in order)
    nearest = tuple(generated.nearest(row) for row in order)
    told = tuple(f"{closeness[row]:.3g}" for row in order)
    pairs = tuple(zip(ids, nearest, told, strict=True))
    return (
        Gallery(
            "Nearest to the training samples",
            Role.GENERATED,
            ids,
            tuple(f"{far} from {other}" for _, other, far in pairs),
        ),
        Gallery(
            "The training samples next to these",
            Role.TRAIN,
            nearest,
            tuple(f"{far} from {sample}" for sample, _, far in pairs),
        ),
    )
