"""Generation speed: samples a second, the latency of a batch, and peak memory of a checkpoint.

    throughput = Σ samples / Σ seconds, over batches
    latency_p50, latency_p95: quantiles of a batch's seconds, batches weighted by their samples

Input: for every sample the seconds, size and memory of the batch it was generated in
(`generation-cost`). A batch's seconds run from handing it to the checkpoint until its samples are
there, so its size (`generate.batch_size`; 1 for the latency of single requests) belongs to the
number and stands in the signature; loading the checkpoint is left out, warming up is not.
Extractors may work beside a generator of images, which slows both. Range [0, ∞); throughput is
better when higher (samples a second), latency (seconds) and peak memory (MiB, of the process or its
GPU) when lower.

The interval of the throughput is that of a ratio over batches, linearised; that of a quantile is by
order statistics of the batches. Both take batches as independent; fewer than 5 have no interval,
and a maximum has none.

Source: Cochran 1977, Sampling Techniques, 6.3 (ratio); David and Nagaraja 2003, 7.1 (quantiles).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from geneval.data import Features
from geneval.items import Floats
from geneval.metric import Undefined, features, metric
from geneval.resample import Context
from geneval.value import Estimate, Interval, OutputSpec, Role

LEAST = 5  # batches for an interval
_MIB = 2**20


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Thirty batches of four; damage makes them slower and larger."""
    seconds = np.repeat(rng.gamma(50, 0.01 * (1 + damage), 30), 4)
    cost = np.stack([seconds, np.full(120, 4.0), np.full(120, 2e9 * (1 + damage))], axis=1)
    return {"cost": Features(tuple(f"{i:04d}" for i in range(120)), cost.astype(np.float32))}


def batches(cost: Floats) -> tuple[Floats, Floats, Floats]:
    """Seconds, sizes and samples present of every batch [k], of rows [n, 3] that repeat by batch.

    Two batches of equal size and time to the last bit count as one that is twice as large.
    """
    found, counts = np.unique(cost[:, :2], axis=0, return_counts=True)
    times = np.maximum(1.0, np.round(counts / found[:, 1]))
    return (
        np.repeat(found[:, 0], times.astype(int)),
        np.repeat(found[:, 1], times.astype(int)),
        (np.repeat(counts / times, times.astype(int))),
    )


@metric(
    "generation_speed",
    version=1,
    min_n=1,
    n_match="any",
    outputs=[
        OutputSpec("throughput", "higher", "samples/s", range=(0, None)),
        OutputSpec("latency_p50", "lower", "s", range=(0, None)),
        OutputSpec("latency_p95", "lower", "s", range=(0, None)),
        OutputSpec("peak_memory", "lower", "MiB", range=(0, None)),
    ],
    needs=lambda o: {"cost": features("generated", layer="cost")},
    example=example,
    extractor="generation-cost",
)
def generation_speed(cost: Features, context: Context) -> list[Estimate]:
    """Throughput, latency and memory."""
    rows = cost.x.astype(np.float64)
    if not (rows > 0).all():
        raise Undefined("a batch took no time or has no samples")
    seconds, sizes, present = batches(rows)
    signed = {"batch": int(sizes.max())}
    n = {Role.GENERATED: cost.n}
    told = f"{len(seconds)} batches of up to {int(sizes.max())}"

    def made(output: str, number: float, interval: Interval | None, why: str) -> Estimate:
        return Estimate(
            output=output,
            number=number,
            n=n,
            interval=interval,
            no_interval=None if interval else why,
            signed=signed,
            finding=told if output == "throughput" else "",
        )

    few = f"{len(seconds)} batches are too few"
    rate, spread = throughput(seconds, sizes)
    about = context.interval(rate, spread, "ratio over batches", "population", (0, None))
    quantiles = [
        made(f"latency_p{q}", *quantile(seconds, present, q / 100, context.level), few)
        for q in (50, 95)
    ]
    return [
        made("throughput", rate, about if len(seconds) >= LEAST else None, few),
        *quantiles,
        made("peak_memory", float(rows[:, 2].max()) / _MIB, None, "a maximum has none"),
    ]


def throughput(seconds: Floats, sizes: Floats) -> tuple[float, float]:
    """Samples a second over batches [k], and the standard error of this ratio (0 for one batch)."""
    k, rate = len(seconds), float(sizes.sum() / seconds.sum())
    squares = float(((sizes - rate * seconds) ** 2).sum())
    return rate, float(np.sqrt(squares * k / max(k - 1, 1)) / seconds.sum())


def quantile(
    seconds: Floats, weights: Floats, q: float, level: float
) -> tuple[float, Interval | None]:
    """The weighted quantile of batches' seconds [k], with its interval by order statistics.

    There is none where the batches are too few for the upper end to be one of them.
    """
    from scipy.stats import binom

    order = np.argsort(seconds, kind="stable")
    reached = np.cumsum(weights[order]) / weights.sum()
    ordered, k = seconds[order], len(seconds)
    number = float(ordered[np.searchsorted(reached, q - 1e-12)])
    tail = (1 - level) / 2
    low, high = int(binom.ppf(tail, k, q)) - 1, int(binom.ppf(1 - tail, k, q))
    if k < LEAST or high >= k or low < 0:
        return number, None
    ends = float(min(ordered[low], number)), float(max(ordered[high], number))
    return number, Interval(*ends, level, "order statistics of batches", "population")
