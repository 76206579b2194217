"""Comparisons of two samples of numbers by rank: placements and the Mann-Whitney test."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class MannWhitney:
    """U of x [n] against y [m]: pairs in which x is larger, ties counted half.

    `mean` and `deviation` are those of U when both have one distribution, corrected for ties.
    """

    u: float
    mean: float
    deviation: float

    @property
    def z(self) -> float:
        """U in deviations from its mean, without continuity correction; 0 where all are tied."""
        return (self.u - self.mean) / self.deviation if self.deviation > 0 else 0.0


def placements(x: Floats, y: Floats) -> Floats:
    """For every number of x [n] the share of y [m] below it, ties counted half."""
    ordered = np.sort(y)
    below, upto = (np.searchsorted(ordered, x, side) for side in ("left", "right"))
    shares: Floats = (below + upto) / (2 * len(y))
    return shares


def mann_whitney(x: Floats, y: Floats) -> MannWhitney:
    """The Mann-Whitney statistic (1947) of two samples, neither of them empty."""
    n, m = len(x), len(y)
    together = n + m
    _, ties = np.unique(np.concatenate([x, y]), return_counts=True)
    tied = float((ties.astype(np.float64) ** 3 - ties).sum()) / max(together * (together - 1), 1)
    variance = n * m / 12 * (together + 1 - tied)
    return MannWhitney(
        u=float(placements(x, y).sum() * m),
        mean=n * m / 2,
        deviation=math.sqrt(max(variance, 0.0)),
    )


def normal_tail(z: float) -> float:
    """Probability that a standard normal variable is at most z."""
    return NormalDist().cdf(z)
