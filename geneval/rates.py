"""Exact tests of two counts, and the effect that such a test would notice.

Counts x of n and y of m are taken as Poisson; given their sum, x is then binomial with the share of
n (Przyborowski and Wilenski 1940). For counts that are binomial the tests err on the safe side.
"""

from __future__ import annotations

import numpy as np

from geneval.linalg import Floats, Ints

POWER = 0.8  # with which an effect is said to be noticed
_DRAWS = 9  # quantiles that stand for the distribution of the reference's count
_LOSSES = np.arange(1, 101) / 100

Counts = Ints | int


def fewer(x: Counts, y: Counts, n: float, m: float, ratio: float) -> Floats:
    """p-values of x/n being `ratio` times y/m or more, small where it is less."""
    from scipy.stats import binom

    return np.asarray(binom.cdf(x, np.add(x, y), n * ratio / (n * ratio + m)))


def more(x: Counts, y: Counts, n: float, m: float) -> Floats:
    """p-values of x/n being y/m or less, small where it is more."""
    from scipy.stats import binom

    return np.asarray(binom.sf(np.subtract(x, 1), np.add(x, y), n / (n + m)))


def share_above(x: Counts, n: int, share: float) -> Floats:
    """p-values of x of n being draws with a probability of `share` or less."""
    from scipy.stats import binom

    return np.asarray(binom.sf(np.subtract(x, 1), n, share))


def noticed_loss(share: float, n: int, m: int, ratio: float, alpha: float) -> float | None:
    """The least loss of a class of this share that `fewer` notices; None if it notices none.

    A loss of 1 is of the whole class; at level alpha and `POWER`, to a hundredth.
    """
    from scipy.stats import binom

    y = binom.ppf((np.arange(_DRAWS) + 0.5) / _DRAWS, m, share).astype(np.int64)
    x = np.arange(int(n * share) + 2)
    rejected = fewer(x[None], y[:, None], n, m, ratio) <= alpha
    most = np.cumprod(rejected, axis=1).sum(axis=1) - 1  # the largest x that is too few
    power = np.asarray(binom.cdf(most[:, None], n, share * (1 - _LOSSES))).mean(axis=0)
    enough = np.flatnonzero(power >= POWER)
    return float(_LOSSES[enough[0]]) if len(enough) else None


def noticed_share(least: int, n: int) -> float:
    """The share of which n draws hold at least `least` with probability `POWER`."""
    from scipy.stats import beta

    return float(beta.ppf(POWER, least, n - least + 1))
