"""generation_speed: throughput, latency and memory of batches."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from geneval.data import Features
from geneval.metric import find_metric
from geneval.metrics.efficiency.generation_speed import batches, quantile, throughput
from geneval.resample import Context
from geneval.value import Estimate


def measured(seconds: list[float], sizes: list[int], memory: float = 2**21) -> dict[str, Estimate]:
    """The estimates of batches of these seconds and sizes."""
    rows = [[s, n, memory] for s, n in zip(seconds, sizes, strict=True) for _ in range(n)]
    ids = tuple(f"{i:04d}" for i in range(len(rows)))
    cost = Features(ids, np.array(rows, dtype=np.float32))
    found = find_metric("generation_speed").measure({"cost": cost}, Context(0), {})
    return {estimate.output: estimate for estimate in found}


def test_by_hand() -> None:
    """Ten samples in 2.5 s; the median sample waited 1 s; no interval from three batches."""
    found = measured([1.0, 1.0 + 2**-10, 0.5 - 2**-10], [4, 4, 2])
    assert found["throughput"].number == pytest.approx(10 / 2.5, rel=1e-6)
    assert found["latency_p50"].number == 1.0
    assert found["latency_p95"].number == 1.0 + 2**-10
    assert found["peak_memory"].number == 2.0
    assert found["throughput"].interval is None
    assert "3 batches are too few" in str(found["throughput"].no_interval)
    assert dict(found["throughput"].signed) == {"batch": 4}


def test_batches_are_told_apart_by_their_cost() -> None:
    """Rows of one batch are one batch; equal ones of full size count as often as they are there."""
    rows = np.array([[1.0, 2, 0]] * 4 + [[2.0, 3, 0]] * 3 + [[2.0, 2, 0]] * 1)
    seconds, sizes, present = batches(rows)
    found = sorted(zip(seconds, sizes, present, strict=True))
    assert found == [(1.0, 2, 2), (1.0, 2, 2), (2.0, 2, 1), (2.0, 3, 3)]


def test_the_interval_of_the_throughput_covers() -> None:
    """Of 400 sets of 40 batches the interval holds the true rate in 95 %, within sampling error."""
    rng, held = np.random.default_rng(0), 0
    for _ in range(400):
        seconds = rng.gamma(4, 0.25, 40)  # mean 1
        rate, se = throughput(seconds, np.full(40, 8.0))
        held += abs(rate - 8.0) <= 1.96 * se
    assert binom.ppf(0.001, 400, 0.93) <= held <= 400


def test_the_interval_of_a_quantile_covers() -> None:
    """Of 400 sets of 100 batches the interval holds the true quantiles at least in 95 %."""
    rng = np.random.default_rng(1)
    for q, truth in ((0.5, np.log(2)), (0.95, np.log(20))):  # of an exponential time
        held = 0
        for _ in range(400):
            _, interval = quantile(rng.exponential(1, 100), np.ones(100), q, 0.95)
            assert interval is not None
            held += interval.low <= truth <= interval.high
        assert held >= binom.ppf(0.001, 400, 0.95)
