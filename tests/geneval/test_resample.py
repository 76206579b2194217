"""Intervals, jackknife, blocks and Holm, against independent sources and closed forms."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest, norm, sem

from geneval.resample import (
    Context,
    bootstrap,
    holm,
    jackknife_bias,
    lowest_hashed,
    order_interval,
    proportion_interval,
    quantile,
    standard_error,
    wilson,
)

QUICK = settings(max_examples=200, deadline=None, database=None, derandomize=True)
IDS = tuple(f"{i:05d}" for i in range(1003))


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.99, 0.9999])
def test_quantile(level: float) -> None:
    """The two-sided normal quantile equals scipy's."""
    assert quantile(level) == pytest.approx(norm.ppf(0.5 + level / 2), rel=1e-12)


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
@pytest.mark.parametrize(
    ("k", "n"), [(0, 1), (1, 1), (0, 50), (50, 50), (1, 50), (17, 50), (999, 1000), (3, 7)]
)
def test_wilson_equals_scipy(k: int, n: int, level: float) -> None:
    """Wilson's interval is scipy.stats.binomtest's."""
    expected = binomtest(k, n).proportion_ci(level, "wilson")
    interval = wilson(k, n, level, "population")
    assert interval.low == pytest.approx(expected.low, abs=1e-12)
    assert interval.high == pytest.approx(expected.high, abs=1e-12)
    assert (interval.level, interval.target) == (level, "population")


@QUICK
@given(st.integers(1, 10**7), st.floats(0, 1), st.floats(0.51, 0.9999))
def test_wilson_stays_inside(n: int, share: float, level: float) -> None:
    """The interval lies in [0, 1] and holds the share itself."""
    k = round(share * n)
    interval = wilson(k, n, level, "population")
    assert 0 <= interval.low <= k / n <= interval.high <= 1


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_sure_proportion_has_the_interval_of_n(share: float) -> None:
    """Where every sample says the same, the interval is Wilson's at n: never a point."""
    interval = proportion_interval(np.full(50, share), np.zeros(50), 0.95, "balls")
    expected = wilson(50 * share, 50, 0.95, "at_n")
    assert (interval.low, interval.high) == (expected.low, expected.high)
    assert interval.high - interval.low > 0.05
    assert (interval.method, interval.target) == ("balls", "at_n")


def test_proportion_interval_without_the_other_set() -> None:
    """With no influence from the other set it is Wilson's at p(1-p)/SE² = n - 1."""
    scores = np.repeat([0.0, 1.0], [30, 70])
    interval = proportion_interval(scores, np.zeros(10), 0.95, "balls")
    # SE² = p(1-p)/(n-1) with ddof 1, so the effective size is 99
    expected = wilson(0.7 * 99, 99, 0.95, "at_n")
    assert interval.low == pytest.approx(expected.low, rel=1e-12)
    assert interval.high == pytest.approx(expected.high, rel=1e-12)


def test_the_other_set_widens_the_interval(rng: np.random.Generator) -> None:
    """Spread in the set that makes the balls makes the interval longer."""
    scores = np.repeat([0.0, 1.0], [30, 70])
    alone = proportion_interval(scores, np.zeros(100), 0.95, "balls")
    both = proportion_interval(scores, rng.normal(size=100), 0.95, "balls")
    assert both.high - both.low > alone.high - alone.low
    assert 0 <= both.low <= 0.7 <= both.high <= 1


def test_interval_of_a_standard_error() -> None:
    """A value ± 1.959964 standard errors at 0.95 (normal table)."""
    interval = Context().interval(10.0, 2.0, "made", "population")
    assert interval.low == pytest.approx(10 - 3.919928, abs=1e-6)
    assert interval.high == pytest.approx(10 + 3.919928, abs=1e-6)
    assert (interval.level, interval.method, interval.target) == (0.95, "made", "population")


@pytest.mark.parametrize(
    ("number", "low", "high"), [(0.1, 0.0, None), (0.9, None, 1.0), (-1e-12, -1e-12, None)]
)
def test_interval_is_cut_at_the_range(number: float, low: float | None, high: float | None) -> None:
    """The interval of a bounded output stays within its range and still holds the number."""
    interval = Context().interval(number, 0.3, "made", "at_n", (0, 1))
    assert interval.low <= number <= interval.high
    assert low is None or interval.low == low
    assert high is None or interval.high == high


def test_context_level() -> None:
    """The run's level decides how wide intervals are: 2.575829 at 0.99 (normal table)."""
    interval = Context(level=0.99).interval(0.0, 1.0, "made", "population")
    assert interval.high == pytest.approx(2.575829, abs=1e-6)
    assert interval.level == 0.99


@pytest.mark.parametrize("count", [2, 3, 10, 1003])
@pytest.mark.parametrize("n", [1003, 1000, 11])
def test_blocks_are_balanced(n: int, count: int) -> None:
    """Blocks differ in size by one at most."""
    sizes = np.bincount(Context().blocks(IDS[:n], count), minlength=count)
    assert sizes.sum() == n
    assert sizes.max() - sizes.min() <= 1


def test_blocks_follow_ids_not_positions(rng: np.random.Generator) -> None:
    """A sample is in the same block wherever it stands in the folder."""
    shuffled = tuple(rng.permutation(IDS))
    here = dict(zip(IDS, Context(3).blocks(IDS, 10), strict=True))
    there = dict(zip(shuffled, Context(3).blocks(shuffled, 10), strict=True))
    assert here == there


def test_blocks_do_not_cut_by_class() -> None:
    """A folder sorted by class is not cut by class: every block has about half of each."""
    ids = tuple(f"{label}/{i:04d}" for label in "ab" for i in range(500))
    block = Context().blocks(ids, 10)
    first = np.bincount(block[:500], minlength=10)
    # hypergeometric, 100 of 1,000 drawn: mean 50, sd 4.7; 4 sd are 19
    assert np.abs(first - 50).max() <= 19


def test_blocks_depend_on_the_seed() -> None:
    """Another seed makes other blocks."""
    assert (Context(0).blocks(IDS, 10) != Context(1).blocks(IDS, 10)).any()


def test_lowest_hashed_follows_ids(rng: np.random.Generator) -> None:
    """The subset is of ids, whatever their order, and comes in the order given."""
    shuffled = tuple(rng.permutation(IDS))
    here = [IDS[row] for row in lowest_hashed(IDS, 100)]
    rows = lowest_hashed(shuffled, 100)
    assert {shuffled[row] for row in rows} == set(here)
    assert len(here) == 100
    assert here == sorted(here)
    assert rows.tolist() == sorted(rows.tolist())


def test_lowest_hashed_is_nested() -> None:
    """A smaller n takes a subset of what a larger n takes, so numbers at two n share samples."""
    chosen = [set(lowest_hashed(IDS, n).tolist()) for n in (0, 10, 500, 1003, 5000)]
    assert all(small <= large for small, large in pairwise(chosen))
    assert [len(rows) for rows in chosen] == [0, 10, 500, 1003, 1003]


def test_lowest_hashed_does_not_cut_by_class() -> None:
    """The first n of a folder sorted by class are of all classes."""
    ids = tuple(f"{label}/{i:04d}" for label in "ab" for i in range(500))
    rows = lowest_hashed(ids, 100)
    # hypergeometric: mean 50, sd 4.7; 4 sd are 19
    assert abs(int((rows < 500).sum()) - 50) <= 19


@pytest.mark.parametrize("blocks", [2, 10, 50])
def test_jackknife_removes_a_bias_of_one_over_n(blocks: int) -> None:
    """A bias of exactly c/n is found exactly, by algebra."""
    n, truth, c = 100, 5.0, 3.0
    value = truth + c / n
    left_out = [truth + c / (n - n // blocks)] * blocks
    assert jackknife_bias(value, left_out) == pytest.approx(c / n, rel=1e-9)


def test_jackknife_makes_the_variance_unbiased(rng: np.random.Generator) -> None:
    """Debiasing the plug-in variance one sample at a time yields ddof 1 (Quenouille 1956)."""
    x = rng.normal(size=30)
    left_out = [float(np.delete(x, i).var()) for i in range(len(x))]
    debiased = float(x.var()) - jackknife_bias(float(x.var()), left_out)
    assert debiased == pytest.approx(x.var(ddof=1), rel=1e-12)


def test_standard_error_equals_scipy(rng: np.random.Generator) -> None:
    """The standard error of a mean is scipy.stats.sem."""
    x = rng.normal(size=37)
    assert standard_error(x - x.mean()) == pytest.approx(sem(x), rel=1e-12)


def test_bootstrap_spread_of_a_share() -> None:
    """The spread of a resampled share is sqrt(p(1-p)/n)."""
    draws = bootstrap(
        (np.array([300, 700]),), lambda x: x[0] / x.sum(), np.random.default_rng(0), 4000
    )
    assert len(draws) == 4000
    # sqrt(0.3 * 0.7 / 1000) = 0.014491; an sd from 4,000 draws is known to 1.1 %, 4 of it are 4.5 %
    assert draws.std() == pytest.approx(0.014491, rel=0.045)
    assert draws.mean() == pytest.approx(0.3, abs=4 * 0.014491 / 4000**0.5)


def test_bootstrap_redraws_each_side() -> None:
    """Two sides are redrawn independently, each at its own n."""
    statistic = bootstrap(
        (np.array([300, 700]), np.array([30, 70])),
        lambda x, y: x[0] / x.sum() - y[0] / y.sum(),
        np.random.default_rng(0),
        4000,
    )
    # sqrt(0.21 / 1000 + 0.21 / 100) = 0.048062, see above for the tolerance
    assert statistic.std() == pytest.approx(0.048062, rel=0.045)


@pytest.mark.parametrize(
    ("p", "adjusted"),
    [
        # Wikipedia's example for the method: 0.005 * 4, 0.01 * 3, 0.03 * 2, max(0.06, 0.04)
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.01, 0.02, 0.03], [0.03, 0.04, 0.04]),
        ([0.04], [0.04]),
        ([], []),
        ([0.5, 0.9], [1.0, 1.0]),
        ([0.02, 0.02], [0.04, 0.04]),
        ([0.0, 1.0], [0.0, 1.0]),
    ],
)
def test_holm_by_hand(p: list[float], adjusted: list[float]) -> None:
    """Holm's step-down procedure on examples worked by hand."""
    assert holm(p) == pytest.approx(adjusted)


@QUICK
@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_properties(p: list[float]) -> None:
    """Never below the p-value, never above Bonferroni's, and in the same order."""
    adjusted = holm(p)
    assert all(a >= q for a, q in zip(adjusted, p, strict=True))
    assert all(a <= min(1.0, len(p) * q) + 1e-12 for a, q in zip(adjusted, p, strict=True))
    order = sorted(range(len(p)), key=lambda i: p[i])
    assert all(adjusted[i] <= adjusted[j] for i, j in pairwise(order))
    assert holm(p[::-1]) == adjusted[::-1]


def test_streams_are_apart() -> None:
    """A stream's draws follow from its name and the run's seed, and from nothing else."""

    def draw(seed: int, stream: str) -> list[int]:
        return Context(seed).generator(stream).integers(0, 2**31, 8).tolist()

    np.random.seed(1)
    first = draw(0, "fid")
    np.random.seed(2)
    assert draw(0, "fid") == first
    assert len({tuple(draw(s, name)) for s in (0, 1, 10) for name in ("fid", "kid", "0", "")}) == 12


def test_randomness_survives_the_process() -> None:
    """Blocks and streams are equal in processes with different hash salts."""
    code = (
        "from geneval.resample import Context as C\n"
        "print(C(5).generator('x').random(), C(5).blocks(tuple('abcdefghij'), 3).tolist())"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": salt},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for salt in ("1", "2")
    }
    assert len(told) == 1
    assert told.pop().strip()


@pytest.mark.parametrize(("n", "share"), [(6, 0.5), (20, 0.5), (101, 0.5), (200, 0.95)])
def test_the_interval_of_a_quantile_holds_it(n: int, share: float) -> None:
    """Its ends are order statistics between which the binomial puts 95 %, and hardly more."""
    found = order_interval(np.arange(1.0, n + 1)[::-1], share, 0.95)
    assert found is not None
    low, high = int(found.low), int(found.high)
    below = binom(n, share)
    assert below.cdf(high - 1) - below.cdf(low - 1) >= 0.95
    assert below.cdf(low) > 0.025
    assert below.sf(high - 2) > 0.025


def test_too_few_values_bound_no_quantile() -> None:
    """Five values hold a median in 1 − 2/2⁵ of draws, less than 95 %; 50 do not bound the 95th."""
    assert order_interval(np.arange(5.0), 0.5, 0.95) is None
    assert order_interval(np.arange(50.0), 0.95, 0.95) is None
