"""Values with intervals, evidence and the worst samples: means of scores, and jackknives.

A mean is moved by each sample alone; a value that is no mean tells by the values without each.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from geneval.resample import Context, standard_error, wilson
from geneval.signature import Scalar
from geneval.value import Estimate, Evidence, Gallery, Ids, Role

Floats = NDArray[np.float64]
SHOWN = 24  # samples in the gallery


def mean_of(
    context: Context,
    output: str,
    scores: Floats,
    ids: Ids,
    range_: tuple[float | None, float | None],
    *,
    worst_first: int = 1,
    finding: str = "",
    signed: Mapping[str, Scalar] | None = None,
    title: str = "Least like their reference",
    share: bool = False,
) -> Estimate:
    """The mean of scores [n] per sample; `worst_first` is −1 where the largest is the worst.

    The mean of zeros and ones is a `share`, with Wilson's interval in place of the normal one, and
    shows none but the worse kind.
    """
    number = float(scores.mean())
    interval = None
    if share:
        interval = wilson(float(scores.sum()), len(scores), context.level, "population")
    elif np.ptp(scores) > 0:
        se = standard_error(scores)
        interval = context.interval(number, se, "central limit theorem", "population", range_)
    bad = np.flatnonzero(scores != float(worst_first > 0)) if share else np.arange(len(scores))
    shown = tuple(ids[row] for row in bad)
    return Estimate(
        output=output,
        number=number,
        n={Role.GENERATED: len(scores)},
        interval=interval,
        no_interval=None if interval else "no sample differs from the others",
        evidence={Role.GENERATED: Evidence("scores", ids, scores)},
        signed=signed or {},
        finding=finding,
        galleries=(worst_of(shown, scores[bad], worst_first, title),) if shown else (),
    )


def jackknifed(
    context: Context,
    output: str,
    number: float,
    without: Floats,
    ids: Ids,
    range_: tuple[float | None, float | None],
) -> Estimate:
    """A value of a whole set, and what it is `without` [n] each sample.

    Its interval is the spread at this n; the jackknife's variance is too large if anything (Efron
    and Stein 1981), also for counts of what is distinct, which draws with replacement make too few.
    """
    influence = (len(ids) - 1) * (without.mean() - without)
    varies = bool(np.ptp(without) > 0)
    se = standard_error(influence) if varies else 0.0
    return Estimate(
        output=output,
        number=number,
        n={Role.GENERATED: len(ids)},
        interval=context.interval(number, se, "jackknife", "at_n", range_) if varies else None,
        no_interval=None if varies else "the value is the same whichever sample is left out",
        evidence={Role.GENERATED: Evidence("influence", ids, influence)},
    )


def worst_of(ids: Ids, scores: Floats, worst_first: int, title: str) -> Gallery:
    """The samples with the worst scores [n], the worst first, captioned with these."""
    order = np.argsort(worst_first * scores, kind="stable")[:SHOWN]
    return Gallery(
        title,
        Role.GENERATED,
        tuple(ids[row] for row in order),
        tuple(f"{scores[row]:.4g}" for row in order),
    )
