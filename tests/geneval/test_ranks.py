"""geneval.ranks: placements and the Mann-Whitney test, with scipy and scikit-learn beside them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu
from sklearn.metrics import roc_auc_score

from geneval.ranks import mann_whitney, normal_tail, placements

few = st.lists(st.integers(0, 6), min_size=1, max_size=30)


@given(few, few)
def test_placements_are_counted_pairs(x: list[int], y: list[int]) -> None:
    """The share of y below each of x, ties half, by counting all pairs."""
    a, b = np.array(x, dtype=float), np.array(y, dtype=float)
    expected = ((a[:, None] > b) + (a[:, None] == b) / 2).mean(axis=1)
    assert placements(a, b) == pytest.approx(expected, abs=1e-12)


@given(few, few)
def test_u_and_its_p_value_are_scipys(x: list[int], y: list[int]) -> None:
    """U, and the normal approximation with ties and without continuity correction."""
    a, b = np.array(x, dtype=float), np.array(y, dtype=float)
    found = mann_whitney(a, b)
    if len(set(x + y)) == 1:  # nothing to rank: scipy divides by 0
        assert found.z == 0
        return
    peer = mannwhitneyu(a, b, alternative="less", use_continuity=False, method="asymptotic")
    assert found.u == pytest.approx(peer.statistic, abs=1e-9)
    assert normal_tail(found.z) == pytest.approx(peer.pvalue, rel=1e-9)


def test_u_is_the_area_under_the_curve() -> None:
    """U over n·m is scikit-learn's AUROC."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(0.4, 1, 70).round(1), rng.normal(0, 1, 110).round(1)
    area = roc_auc_score(np.repeat([1, 0], [70, 110]), np.concatenate([x, y]))
    assert mann_whitney(x, y).u / (70 * 110) == pytest.approx(area, rel=1e-12)
    assert placements(x, y).mean() == pytest.approx(area, rel=1e-12)
