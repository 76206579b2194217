"""How strongly differences speak: verdicts in tiers, over all values of one entry."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

from geneval.difference import POWER, Difference, better_by
from geneval.replicates import ALPHA
from geneval.resample import holm
from geneval.value import OutputSpec

Tier = Literal[
    "regression",
    "likely regression",
    "no evidence",
    "equivalent",
    "improvement",
    "different",
    "insufficient data",
]


@dataclass(frozen=True)
class Tiered:
    """A tier, None where nothing was compared, and the n that would decide what is undecided."""

    tier: Tier | None = None
    needed: int | None = None


def tiers(
    differences: Sequence[Difference | None],
    specs: Sequence[OutputSpec],
    margins: Sequence[float | None],
) -> list[Tiered]:
    """The tier of every difference of one entry.

    - equivalent: the 90 % interval lies within the margin (two one-sided tests at 5 %)
    - regression, improvement: shown at 5 % with Holm over the values compared; `different` where
      a value has no better or worse
    - likely regression: worse at 5 % on its own, but not among so many values
    - insufficient data: no test, or one that misses a difference of the margin in more than a
      fifth of cases
    - no evidence: none of these

    Values that are compared by the same output (`fid` by `fid.debiased`) count once.
    """
    known = {d.address: d.p for d in differences if d is not None and d.p is not None}
    adjusted = dict(zip(known, holm(list(known.values())), strict=True))
    return [
        Tiered() if found is None else _tier(found, adjusted.get(found.address, 1.0), spec, margin)
        for found, spec, margin in zip(differences, specs, margins, strict=True)
    ]


def _tier(found: Difference, p: float, spec: OutputSpec, margin: float | None) -> Tiered:
    if found.problem or found.number is None:
        return Tiered()
    if found.se is None or found.p is None:
        return Tiered("insufficient data")
    quantile = NormalDist().inv_cdf
    if margin is not None and abs(found.number) + quantile(1 - ALPHA) * found.se <= margin:
        return Tiered("equivalent")
    worse = better_by(spec, found.number) < 0
    if p < ALPHA:
        if spec.direction == "target":
            return Tiered("different")
        return Tiered("regression" if worse else "improvement")
    if worse and found.p < ALPHA and spec.direction != "target":
        return Tiered("likely regression", found.needed)
    seen = (quantile(1 - ALPHA / 2) + quantile(POWER)) * found.se
    if margin is not None and seen > margin:
        return Tiered("insufficient data", _for_margin(found, margin))
    return Tiered("no evidence", found.needed)


def _for_margin(found: Difference, margin: float) -> int | None:
    """The n at which equal entries would be shown equivalent with 80 % power."""
    if found.n is None or found.se is None or margin == 0:
        return None
    quantile = NormalDist().inv_cdf
    return math.ceil(
        found.n * ((quantile(1 - ALPHA) + quantile((1 + POWER) / 2)) * found.se / margin) ** 2
    )
