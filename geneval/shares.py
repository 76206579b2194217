"""Counts of classes: how far apart, how even, and whether they are of one distribution.

Counts are int64 [classes], shares float64 [..., classes] that add up to 1 along the last axis.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geneval.data import Labels
from geneval.resample import Context, holm
from geneval.value import Evidence

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
FEW = 5  # expected samples in a class below which χ² is not trusted to follow its distribution
TRIALS = 9_999  # draws of a Monte Carlo test, so that p is a multiple of 1/10,000
_AT_ONCE = 2**20  # counts that are drawn at a time


@dataclass(frozen=True)
class Pearson:
    """Pearson's statistic with its degrees of freedom, p-value, and how p was found."""

    statistic: float
    freedom: int
    p: float
    monte_carlo: bool = False

    def __str__(self) -> str:
        """`χ² = 4.2 with 3 degrees of freedom, …`."""
        if math.isinf(self.statistic):
            return "a class was drawn that has no share in what is expected"
        how = f", p from {TRIALS:,} Monte Carlo draws" if self.monte_carlo else ""
        return f"χ² = {self.statistic:.4g} with {self.freedom} degrees of freedom{how}"


def counts(labels: Labels, names: Sequence[str]) -> Ints:
    """Samples [classes] in each of the named classes."""
    present = np.bincount(labels.codes, minlength=len(labels.space.names))
    by_name = dict(zip(labels.space.names, present.tolist(), strict=True))
    return np.array([by_name.get(name, 0) for name in names], dtype=np.int64)


def influence(labels: Labels, names: Sequence[str], slope: Floats) -> Evidence:
    """Influence of every sample on a value whose derivative by the classes' shares is `slope`."""
    code = {name: i for i, name in enumerate(names)}
    score = slope[[code[name] for name in labels.names()]]
    return Evidence("influence", labels.ids, score - score.mean())


def total_variation(p: Floats, q: Floats) -> Floats:
    """½ Σ |p − q| of shares [..., k], in [0, 1]."""
    return np.asarray(np.abs(p - q).sum(-1) / 2)


def jensen_shannon(p: Floats, q: Floats) -> Floats:
    """Jensen–Shannon divergence of shares [..., k] in bits, in [0, 1] (Lin 1991)."""
    return np.asarray(entropy((p + q) / 2) - (entropy(p) + entropy(q)) / 2) / math.log(2)


def entropy(p: Floats) -> Floats:
    """−Σ p ln p of shares [..., k], in nats."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(p > 0, -p * np.log(p), 0.0).sum(-1) + 0.0)  # no −0


def gini(p: Floats) -> Floats:
    """Gini coefficient of shares [..., k]: 0 when even, (k − 1)/k when all lie in one class.

    With shares in ascending order, Σ (2i − k − 1) p_i / k for i from 1.
    """
    k = p.shape[-1]
    return np.asarray((np.sort(p) * (2 * np.arange(1, k + 1) - k - 1)).sum(-1) / k)


def balanced_weights(x: Ints) -> list[float | None]:
    """n / (classes that are there · count) by class, None where there is nothing to weigh."""
    each = x.sum() / np.count_nonzero(x)
    return [float(each / count) if count else None for count in x.tolist()]


def spread(
    context: Context, number: float, se: float, range_: tuple[float | None, float | None]
) -> dict[str, Any]:
    """The fields of an estimate that say how sure it is, by the standard error of a bootstrap."""
    if se == 0:
        return {"no_interval": "no resample of the counts differs"}
    return {"interval": context.interval(number, se, "multinomial bootstrap", "at_n", range_)}


def homogeneity(x: Ints, y: Ints, rng: np.random.Generator) -> Pearson:
    """Pearson's test that two samples are of one distribution; classes in neither do not count.

    Below `FEW` expected samples in a class, p is by Monte Carlo under fixed margins: the smaller
    sample is redrawn from both without replacement.
    """
    total = (x + y)[x + y > 0]
    x = min((x, y), key=lambda side: side.sum())[x + y > 0]
    n, size = int(x.sum()), int(total.sum())
    expected = np.asarray(total * (n / size))

    def draw(trials: int) -> Ints:
        return rng.multivariate_hypergeometric(total, n, trials, method="marginals")

    return _pearson(x, expected, np.asarray(expected * (1 - n / size)), draw, len(x) - 1)


def fit(x: Ints, q: Floats, rng: np.random.Generator) -> Pearson:
    """Pearson's test that a sample is of the distribution of shares q; the rule is the same one.

    A sample in a class that has no share has probability 0: then p is 0.
    """
    n, there = int(x.sum()), q > 0
    if x[~there].any():
        return Pearson(math.inf, int(there.sum()), 0.0)
    q = q[there] / q[there].sum()

    def draw(trials: int) -> Ints:
        return rng.multinomial(n, q, trials)

    return _pearson(x[there], n * q, n * q, draw, len(q) - 1)


def independence(table: Ints, rng: np.random.Generator) -> Pearson:
    """Pearson's test that rows and columns of counts [r, c] are independent, by the same rule.

    Monte Carlo tables have the margins of the one given. Rows and columns of zeros do not count.
    """
    from scipy.stats import random_table

    table = table[table.any(axis=1)][:, table.any(axis=0)]
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    expected = np.outer(rows, columns).ravel() / table.sum()

    def draw(trials: int) -> Ints:
        law = random_table(rows, columns)
        return np.asarray(law.rvs(trials, random_state=rng), dtype=np.int64).reshape(trials, -1)

    freedom = (len(rows) - 1) * (len(columns) - 1)
    return _pearson(table.ravel(), expected, expected, draw, freedom)


def cramers_v(tables: Ints | Floats) -> Floats:
    """√(χ²/(n (min(r, c) − 1))) of counts [..., r, c], in [0, 1]; 0 for one row or column."""
    n, least = tables.sum((-2, -1)), min(tables.shape[-2:]) - 1
    expected = tables.sum(-1)[..., :, None] * tables.sum(-2)[..., None, :] / n[..., None, None]
    squares = ((tables - expected) ** 2 / np.where(expected > 0, expected, 1)).sum((-2, -1))
    return np.asarray(np.sqrt(squares / (n * max(least, 1))))


def _pearson(
    x: Ints, expected: Floats, scale: Floats, draw: Callable[[int], Ints], freedom: int
) -> Pearson:
    """Σ (x − expected)² / scale, against χ² or against what `draw(trials)` [trials, k] gives."""
    if not freedom:
        return Pearson(0.0, 0, 1.0)
    statistic = float(((x - expected) ** 2 / scale).sum())
    if expected.min() >= FEW:
        from scipy.special import chdtrc

        return Pearson(statistic, freedom, float(chdtrc(freedom, statistic)))
    at_once, beyond = max(1, _AT_ONCE // len(x)), 0
    least = statistic - 1e-9 * max(1.0, statistic)  # what rounding makes smaller is not smaller
    for start in range(0, TRIALS, at_once):
        drawn = draw(min(at_once, TRIALS - start))
        beyond += int((((drawn - expected) ** 2 / scale).sum(-1) >= least).sum())
    return Pearson(statistic, freedom, (beyond + 1) / (TRIALS + 1), monte_carlo=True)


def apart(x: Ints, against: Ints | Floats) -> Floats:
    """Holm's adjusted two-sided p [k] that a class by itself has another share than expected.

    `against` are the counts of another sample (Fisher's exact test of this class against the rest)
    or shares (the binomial test); either way the smaller tail is doubled.
    """
    from scipy.stats import binom, hypergeom

    n = int(x.sum())
    is_sample = np.issubdtype(against.dtype, np.integer)
    law = hypergeom(n + against.sum(), x + against, n) if is_sample else binom(n, against)
    return np.array(holm(np.minimum(1.0, 2 * np.minimum(law.cdf(x), law.sf(x - 1))).tolist()))
