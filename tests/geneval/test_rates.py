"""geneval.rates: SciPy's tests, levels and powers counted out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from geneval.rates import POWER, fewer, more, noticed_loss, noticed_share, share_above


def test_conditional_tests_are_scipys_binomial_tests() -> None:
    """Given the sum, a count is binomial: scipy.stats.binomtest's one-sided p-values."""
    one = binomtest(3, 3 + 17, 500 * 0.5 / (500 * 0.5 + 700), alternative="less").pvalue
    assert float(fewer(3, 17, 500, 700, 0.5)) == pytest.approx(one, rel=1e-12)
    other = binomtest(17, 17 + 3, 500 / 1200, alternative="greater").pvalue
    assert float(more(17, 3, 500, 700)) == pytest.approx(other, rel=1e-12)
    third = binomtest(17, 500, 0.01, alternative="greater").pvalue
    assert float(share_above(17, 500, 0.01)) == pytest.approx(third, rel=1e-12)


def test_no_counts_are_no_evidence() -> None:
    """0 of 0 has p = 1 either way."""
    assert float(fewer(0, 0, 10, 10, 0.5)) == 1.0
    assert float(more(0, 0, 10, 10)) == 1.0


@pytest.mark.parametrize("share", [0.02, 0.1, 0.4])
def test_level_is_kept_at_the_margin(share: float) -> None:
    """A class at exactly half of its share is called lost no more often than alpha, in truth."""
    n, m, alpha = 400, 300, 0.05
    x, y = np.arange(n + 1), np.arange(m + 1)
    called = fewer(x[:, None], y[None], n, m, 0.5) <= alpha
    chances = binom.pmf(x, n, share / 2)[:, None] * binom.pmf(y, m, share)
    assert (chances * called).sum() <= alpha


@pytest.mark.parametrize(("n", "m"), [(2000, 2000), (2000, 600), (400, 400)])
def test_the_noticed_loss_is_noticed_with_that_power(n: int, m: int) -> None:
    """Power counted over all pairs of counts is 80 %, within what nine quantiles leave open."""
    share, alpha = 0.1, 0.01 / 40
    loss = noticed_loss(share, n, m, 0.5, alpha)
    assert loss is not None
    x, y = np.arange(n + 1), np.arange(m + 1)
    called = fewer(x[:, None], y[None], n, m, 0.5) <= alpha
    chances = binom.pmf(x, n, share * (1 - loss))[:, None] * binom.pmf(y, m, share)
    assert POWER - 0.03 <= (chances * called).sum() <= POWER + 0.08


def test_a_loss_that_cannot_be_noticed_is_none() -> None:
    """Of 10 expected samples even none is no evidence of less than half at this level."""
    assert noticed_loss(0.1, 100, 100, 0.5, 0.01 / 40) is None


def test_noticed_share_has_the_power() -> None:
    """n draws with that share hold the least count with probability 0.8."""
    assert binom.sf(19, 1000, noticed_share(20, 1000)) == pytest.approx(POWER, rel=1e-9)
