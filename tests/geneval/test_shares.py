"""Counts of classes against scipy, scikit-learn, closed forms and enumerated distributions."""

from __future__ import annotations

from itertools import product
from math import comb, factorial, prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import binomtest, chi2_contingency, chisquare, fisher_exact
from scipy.stats import entropy as scipy_entropy
from scipy.stats.contingency import association
from sklearn.utils.class_weight import compute_class_weight

from geneval import shares
from geneval.resample import holm

QUICK = settings(max_examples=100, deadline=None, database=None, derandomize=True)
some_counts = st.lists(st.integers(0, 60), min_size=2, max_size=8).filter(sum)
P_SE = 4 * 0.5 / 100  # four standard errors of a p-value of 9,999 draws, at the most


def rng() -> np.random.Generator:
    """The same draws for every test."""
    return np.random.default_rng(7)


def as_shares(counts: list[int]) -> np.ndarray:
    """Counts over their sum."""
    return np.array(counts) / sum(counts)


@given(some_counts)
@QUICK
def test_divergence_and_entropy_are_scipys(counts: list[int]) -> None:
    """In bits and nats; scipy's Jensen–Shannon distance is the root of the divergence."""
    p, q = as_shares(counts), as_shares(counts[::-1])
    assert shares.entropy(p) == pytest.approx(scipy_entropy(p), abs=1e-12)
    assert shares.jensen_shannon(p, q) == pytest.approx(jensenshannon(p, q, base=2) ** 2, abs=1e-12)


@given(some_counts)
@QUICK
def test_gini_is_the_mean_difference(counts: list[int]) -> None:
    """Half the relative mean absolute difference of all pairs of shares."""
    p = as_shares(counts)
    expected = np.abs(p[:, None] - p[None]).mean() / (2 * p.mean())
    assert shares.gini(p) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("k", [1, 2, 7])
def test_closed_forms_of_evenness(k: int) -> None:
    """Even shares: entropy ln k, Gini 0. All in one class: entropy 0, Gini (k − 1)/k."""
    even, one = np.full(k, 1 / k), np.eye(k)[0]
    assert shares.entropy(even) == pytest.approx(np.log(k))
    assert shares.gini(even) == pytest.approx(0, abs=1e-15)
    assert shares.entropy(one) == 0
    assert shares.gini(one) == pytest.approx((k - 1) / k)


def test_disjoint_shares_are_as_far_apart_as_can_be() -> None:
    """Both distances are 1."""
    p, q = np.array([0.5, 0.5, 0, 0]), np.array([0, 0, 0.1, 0.9])
    assert shares.total_variation(p, q) == pytest.approx(1)
    assert shares.jensen_shannon(p, q) == pytest.approx(1)


@given(some_counts.filter(lambda counts: sum(map(bool, counts)) > 1))
@QUICK
def test_weights_are_scikit_learns(counts: list[int]) -> None:
    """`balanced` over the classes that are there."""
    x = np.array(counts)
    there = np.flatnonzero(x)
    expected = compute_class_weight("balanced", classes=there, y=np.repeat(np.arange(len(x)), x))
    found = shares.balanced_weights(x)
    assert [found[i] for i in there] == pytest.approx(list(expected))
    assert all(found[i] is None for i in np.flatnonzero(x == 0))


def test_large_counts_are_tested_as_scipy_does() -> None:
    """Pearson's χ² of two samples, of one against shares, and of a table."""
    x, y, q = np.array([60, 30, 10]), np.array([80, 75, 45]), np.array([0.5, 0.3, 0.2])
    two, one = shares.homogeneity(x, y, rng()), shares.fit(x, q, rng())
    expected = chi2_contingency(np.stack([x, y]), correction=False)
    assert (two.statistic, two.p) == pytest.approx((expected.statistic, expected.pvalue))
    expected = chisquare(x, 100 * q)
    assert (one.statistic, one.p) == pytest.approx((expected.statistic, expected.pvalue))
    table = np.array([[20, 30, 15], [25, 12, 40]])
    expected = chi2_contingency(table, correction=False)
    found = shares.independence(table, rng())
    assert (found.statistic, found.p) == pytest.approx((expected.statistic, expected.pvalue))
    assert (two.freedom, one.freedom, found.freedom) == (2, 2, 2)
    assert not (two.monte_carlo or one.monte_carlo or found.monte_carlo)


@pytest.mark.parametrize("x", [(4, 1, 1), (0, 3, 5), (2, 2, 2), (7, 0, 0)])
def test_small_counts_against_shares_have_the_exact_p(x: tuple[int, ...]) -> None:
    """The multinomial probability of all outcomes with a statistic at least as large."""
    q, n = (0.5, 0.3, 0.2), sum(x)

    def statistic(counts: tuple[int, ...]) -> float:
        return sum((c - n * s) ** 2 / (n * s) for c, s in zip(counts, q, strict=True))

    exact = 0.0
    for counts in product(range(n + 1), repeat=3):
        if sum(counts) == n and statistic(counts) >= statistic(x) - 1e-9:
            ways = factorial(n) / prod(map(factorial, counts))
            exact += ways * prod(s**c for c, s in zip(counts, q, strict=True))
    found = shares.fit(np.array(x), np.array(q), rng())
    assert found.monte_carlo
    assert found.p == pytest.approx(exact, abs=P_SE)


@pytest.mark.parametrize(("x", "y"), [((4, 1, 1), (2, 5, 6)), ((0, 3), (5, 1)), ((1, 2), (2, 1))])
def test_small_counts_of_two_samples_have_the_exact_p(
    x: tuple[int, ...], y: tuple[int, ...]
) -> None:
    """The hypergeometric probability of all splits with a statistic at least as large."""
    total, n = [a + b for a, b in zip(x, y, strict=True)], sum(x)

    def statistic(counts: tuple[int, ...]) -> float:
        table = np.array([counts, np.subtract(total, counts)])
        return float(chi2_contingency(table, correction=False).statistic)

    exact = sum(
        prod(comb(t, c) for t, c in zip(total, counts, strict=True)) / comb(sum(total), n)
        for counts in product(*(range(t + 1) for t in total))
        if sum(counts) == n and statistic(counts) >= statistic(x) - 1e-9
    )
    found = shares.homogeneity(np.array(x), np.array(y), rng())
    assert found.monte_carlo
    assert found.p == pytest.approx(exact, abs=P_SE)
    assert found.p == shares.homogeneity(np.array(y), np.array(x), rng()).p


def test_a_small_table_has_fishers_p() -> None:
    """Of 2 × 2 tables with equal margins χ² orders as probability does, so p is Fisher's."""
    table = np.array([[5, 1], [1, 5]])
    found = shares.independence(table, rng())
    assert found.monte_carlo
    assert found.p == pytest.approx(fisher_exact(table).pvalue, abs=P_SE)


@pytest.mark.parametrize("how", ["two samples", "target", "table"])
def test_the_monte_carlo_tests_have_their_size(how: str) -> None:
    """Under the null, few samples are rejected at 5 % in 5 % of runs or less, and not in none."""
    draw, q, rejected, runs = rng(), np.array([0.6, 0.25, 0.1, 0.05]), 0, 300
    for _ in range(runs):
        x, y = draw.multinomial(25, q), draw.multinomial(20, q)
        if how == "two samples":
            p = shares.homogeneity(x, y, draw).p
        elif how == "target":
            p = shares.fit(x, q, draw).p
        else:
            table = draw.multinomial(30, np.outer(q, q).ravel()).reshape(4, 4)
            p = shares.independence(table, draw).p
        rejected += p <= 0.05
    assert 0.005 <= rejected / runs <= 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5


def test_what_has_no_share_must_not_be_drawn() -> None:
    """One sample of an impossible class refutes the target, and the finding says so."""
    found = shares.fit(np.array([500, 1]), np.array([1.0, 0.0]), rng())
    assert found.p == 0
    assert "no share" in str(found)


def test_classes_by_themselves_are_fishers_and_binomial() -> None:
    """Each class against the rest with the smaller tail doubled, then Holm's adjustment."""
    x, y, q = np.array([12, 30, 3]), np.array([30, 40, 0]), np.array([0.5, 0.3, 0.2])
    n, m = x.sum(), y.sum()
    two, one = [], []
    for a, b, share in zip(x, y, q, strict=True):
        table = [[a, n - a], [b, m - b]]
        tails = [fisher_exact(table, side).pvalue for side in ("less", "greater")]
        two.append(min(1, 2 * min(tails)))
        tails = [binomtest(a, n, share, side).pvalue for side in ("less", "greater")]
        one.append(min(1, 2 * min(tails)))
    assert list(shares.apart(x, y)) == pytest.approx(holm(two), rel=1e-9)
    assert list(shares.apart(x, q)) == pytest.approx(holm(one), rel=1e-9)


def test_cramers_v_is_scipys() -> None:
    """Of tables whose rows and columns all have samples."""
    table = np.array([[20, 30, 15], [25, 12, 40]])
    assert shares.cramers_v(table) == pytest.approx(association(table), rel=1e-12)
    assert shares.cramers_v(np.array([[9, 0], [0, 4]])) == pytest.approx(1)
    assert shares.cramers_v(np.array([[4, 8], [2, 4]])) == pytest.approx(0, abs=1e-9)
