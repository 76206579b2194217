"""Intervals, jackknife and bootstrap, all on explicit generators.

Randomness is a function of the run's seed and a named stream, never of global state, position in a
folder or Python's salted `hash`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from geneval.value import Ids, Interval

Target = Literal["population", "at_n"]
Floats = NDArray[np.float64]
WEIGHT_BYTES = 2**26  # of the weights of resamples that are held at a time


@dataclass(frozen=True)
class Context:
    """What a metric may know of the run: its seed and the level of its intervals."""

    seed: int = 0
    level: float = 0.95

    def generator(self, stream: str) -> np.random.Generator:
        """A generator of its own for the named stream, from sha256(run seed, stream)."""
        material = hashlib.sha256(f"{self.seed}\0{stream}".encode()).digest()
        return np.random.default_rng(int.from_bytes(material, "big"))

    def blocks(self, ids: Ids, count: int) -> NDArray[np.int64]:
        """A block number [n] for every id: `count` blocks of equal size (within one).

        Blocks follow the rank of sha256(seed, id), so a folder sorted by class is not cut by class.
        """
        order = np.argsort([_hashed(self.seed, i) for i in ids], kind="stable")
        block = np.empty(len(ids), dtype=np.int64)
        block[order] = np.arange(len(ids)) % count
        return block

    def interval(
        self,
        number: float,
        se: float,
        method: str,
        target: Target,
        range_: tuple[float | None, float | None] = (None, None),
    ) -> Interval:
        """Number ± z·se at the run's level, cut at the ends of the output's range."""
        half = quantile(self.level) * se
        low, high = number - half, number + half
        low = low if range_[0] is None else min(max(low, range_[0]), number)
        high = high if range_[1] is None else max(min(high, range_[1]), number)
        return Interval(float(low), float(high), self.level, method, target)


def quantile(level: float) -> float:
    """Two-sided standard normal quantile: 1.959964 for a level of 0.95."""
    return NormalDist().inv_cdf(0.5 + level / 2)


def shuffled(ids: Ids, stream: str) -> Ids:
    """The ids in an order of their own for the named stream, that of sha256(stream, id)."""
    return tuple(sorted(ids, key=lambda i: hashlib.sha256(f"{stream}\0{i}".encode()).digest()))


def lowest_hashed(ids: Ids, n: int) -> NDArray[np.int64]:
    """Rows of the n ids with the lowest SHA-256, in canonical order: a subset free of position."""
    order = sorted(range(len(ids)), key=lambda row: _hashed(0, ids[row]))
    return np.array(sorted(order[:n]), dtype=np.int64)


def wilson(successes: float, n: float, level: float, target: Target) -> Interval:
    """Wilson score interval of a proportion (Wilson 1927): inside [0, 1], sound at 0 and n."""
    z2 = quantile(level) ** 2
    p = successes / n
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (p * (1 - p) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    low, high = min(max(centre - half, 0.0), p), max(min(centre + half, 1.0), p)
    return Interval(low, high, level, "wilson", target)


def order_interval(values: Floats, share: float, level: float) -> Interval | None:
    """Interval of a quantile between two of the values [n], for any population; None if n is small.

    The number of values below the quantile is binomial (David and Nagaraja 2003, section 7.1).
    """
    from scipy.stats import binom

    n, tail = len(values), (1 - level) / 2
    low, high = (int(binom.ppf(p, n, share)) for p in (tail, 1 - tail))
    if low < 1 or high >= n:
        return None
    ordered = np.sort(values)
    ends = float(ordered[low - 1]), float(ordered[high])
    return Interval(*ends, level, "order statistics", "population")


def proportion_interval(
    scores: NDArray[np.float64], influence: NDArray[np.float64], level: float, method: str
) -> Interval:
    """Interval at n of a share that is the mean of `scores` [n] and also moved by another set.

    `influence` [m] is that of the other set. Wilson's interval at the effective sample size
    p(1−p)/SE², which stays inside [0, 1]; at 0, at 1 and without spread it is that of n.
    """
    p, n = float(scores.mean()), len(scores)
    variance = standard_error(scores) ** 2 + standard_error(influence) ** 2
    effective = min(p * (1 - p) / variance, n) if variance > 0 and 0 < p < 1 else float(n)
    interval = wilson(p * effective, effective, level, "at_n")
    return Interval(interval.low, interval.high, level, method, "at_n")


def jackknife_bias(value: float, left_out: Sequence[float] | NDArray[np.float64]) -> float:
    """The jackknife's estimate of bias, (K − 1)(mean of the K left-out values − value).

    Quenouille (1956); what is left out, samples or blocks, must be of equal size within rounding.
    """
    return (len(left_out) - 1) * (float(np.mean(left_out)) - value)


def standard_error(influence: NDArray[np.float64]) -> float:
    """Standard error of a statistic from the influence [n] of its samples."""
    return float(np.std(influence, ddof=1) / math.sqrt(len(influence)))


def clustered_error(scores: NDArray[np.float64], clusters: Sequence[Hashable]) -> float | None:
    """Standard error of the mean of scores [n] that go together in clusters; None for one cluster.

    √(G/(G−1) Σ_g (Σ_{i∈g} (s_i − s̄))²) / n over G clusters (Liang and Zeger 1986); with clusters of
    one it is the usual standard error.
    """
    number = {cluster: i for i, cluster in enumerate(dict.fromkeys(clusters))}
    if len(number) < 2:
        return None
    place = [number[cluster] for cluster in clusters]
    sums = np.bincount(place, weights=scores - scores.mean())
    return float(math.sqrt(len(sums) / (len(sums) - 1) * (sums**2).sum()) / len(scores))


def bootstrap(
    counts: Sequence[NDArray[np.int64]],
    statistic: Callable[..., float | Floats],
    rng: np.random.Generator,
    resamples: int = 1000,
) -> Floats:
    """Values [resamples, …] of a statistic of class counts, each side redrawn multinomially."""
    draws = [rng.multinomial(c.sum(), c / c.sum(), size=resamples) for c in counts]
    return np.array([statistic(*rows) for rows in zip(*draws, strict=True)])


def bootstrap_sums(
    parts: Sequence[Floats], rng: np.random.Generator, resamples: int = 1000
) -> list[Floats]:
    """Sums [resamples, k] over n rows drawn with replacement, the same rows of every part [n, k].

    A resample is a vector of multinomial weights, so nothing is gathered: weights of a few
    resamples at a time, `WEIGHT_BYTES` of them, meet the rows in one product.
    """
    n = len(parts[0])
    found: list[list[Floats]] = [[] for _ in parts]
    for count in _chunks(resamples, n):
        weights = np.empty((count, n))
        for row in weights:
            row[:] = np.bincount(rng.integers(0, n, size=n), minlength=n)
        for sums, rows in zip(found, parts, strict=True):
            sums.append(weights @ rows)
    return [np.concatenate(sums) for sums in found]


def paired_bootstrap(
    a: Floats,
    b: Floats,
    reduce: Callable[[Floats], Floats],
    rng: np.random.Generator,
    resamples: int = 1000,
) -> tuple[float, float]:
    """Standard error of the difference of two values, and p of Koehn's (2004) paired test.

    `reduce` makes values [m] of sums [m, k] of the rows `a` and `b` [n, k] of the same samples. p
    is the share of resampled differences that lie further above their mean, in size, than the
    difference itself is large: Moses' and sacrebleu's test. No difference at all has p = 1.
    """
    real = abs(float((reduce(a.sum(0)[None]) - reduce(b.sum(0)[None]))[0]))
    one, other = bootstrap_sums((a, b), rng, resamples)
    differences = reduce(one) - reduce(other)
    sizes = np.abs(differences)
    p = (int((sizes - sizes.mean() > real).sum()) + 1) / (resamples + 1) if real else 1.0
    return float(np.std(differences, ddof=1)), p


def approximate_randomization(
    a: Floats,
    b: Floats,
    reduce: Callable[[Floats], Floats],
    rng: np.random.Generator,
    trials: int = 10_000,
) -> float:
    """Two-sided p-value of no difference: rows of `a` and `b` [n, k] change sides by coin tosses.

    Noreen (1989); the share of trials whose difference is at least the one at hand. MultEval and
    sacrebleu count larger ones only, which calls any difference in a single segment significant.
    With signs M of ±1 both sides follow from one product: ½(Σ(a+b) ± M(a−b)). No difference at all
    has p = 1.
    """
    total, apart = (a + b).sum(0), a - b
    real = abs(float((reduce(a.sum(0)[None]) - reduce(b.sum(0)[None]))[0]))
    if real == 0:
        return 1.0
    real -= 1e-12 * max(1.0, real)  # what rounding makes smaller is not smaller
    larger, n = 0, len(a)
    for count in _chunks(trials, n):
        bits = np.frombuffer(rng.bytes(count * n // 8 + 1), dtype=np.uint8)
        signs = np.unpackbits(bits)[: count * n].reshape(count, n) * 2.0 - 1.0
        moved = signs @ apart
        sizes = np.abs(reduce((total + moved) / 2) - reduce((total - moved) / 2))
        larger += int((sizes >= real).sum())
    return (larger + 1) / (trials + 1)


def _chunks(total: int, n: int) -> Iterator[int]:
    """How many vectors of n weights to hold at a time, until there were `total`."""
    most = max(1, WEIGHT_BYTES // (8 * n))
    for start in range(0, total, most):
        yield min(most, total - start)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's (1979) step-down adjusted p-values, in the order given."""
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = running
    return adjusted


def _hashed(seed: int, text: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{text}".encode()).digest()
