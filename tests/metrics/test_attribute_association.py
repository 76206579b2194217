"""Association of two attributes: scipy's V, independence, and what exceeds the reference."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2_contingency
from scipy.stats.contingency import association

from geneval.data import Fields
from geneval.metric import Undefined
from geneval.metrics.balance.attribute_association import attribute_association
from geneval.resample import Context
from geneval.value import Estimate


def of_table(table: list[list[int]]) -> Fields:
    """Samples with these counts of first × second."""
    rows = [(i, j) for i, row in enumerate(table) for j, n in enumerate(row) for _ in range(n)]
    ids = tuple(f"{i:05d}" for i in range(len(rows)))
    return Fields(ids, {"first": [i for i, _ in rows], "second": [str(j) for _, j in rows]})


def measured(generated: list[list[int]], reference: list[list[int]]) -> dict[str, Estimate]:
    """Estimates by output."""
    found = attribute_association(of_table(generated), of_table(reference), Context())
    return {e.output: e for e in found}


def test_strength_and_test_are_scipys() -> None:
    """V and p of a table of large counts, and the excess over another."""
    x, y = [[20, 30, 15], [25, 12, 40]], [[40, 42, 41], [44, 39, 41]]
    found = measured(x, y)
    assert found["cramers_v"].number == pytest.approx(association(x))
    expected = chi2_contingency(x, correction=False).pvalue
    assert found["p_value"].number == pytest.approx(expected)
    assert found["excess"].number == pytest.approx(association(x) - association(y))


def test_attributes_that_follow_from_each_other_stand_out() -> None:
    """V is 1, the excess's interval lies above 0, and the finding has both strengths."""
    found = measured([[50, 0], [0, 50]], [[25, 25], [25, 25]])
    assert found["cramers_v"].number == pytest.approx(1)
    assert found["excess"].interval is not None
    assert found["excess"].interval.low > 0
    assert "first and second 1, in the reference 0" in found["cramers_v"].finding


def test_one_value_cannot_be_associated() -> None:
    """With one value in either set there is no table."""
    with pytest.raises(Undefined, match="one value only"):
        measured([[5, 5]], [[5, 5]])


def test_the_interval_is_the_spread_at_this_n() -> None:
    """It holds the mean over runs in about 95 % of 150 runs."""
    rng, found = np.random.default_rng(3), []
    law = np.array([[0.35, 0.15], [0.2, 0.3]])
    for _ in range(150):
        table = rng.multinomial(200, law.ravel()).reshape(2, 2).tolist()
        found.append(measured(table, [[5, 5], [5, 5]])["cramers_v"])
    mean = np.mean([one.number for one in found])
    inside = sum(one.interval.low <= mean <= one.interval.high for one in found if one.interval)
    assert inside / 150 >= 0.95 - 3 * (0.95 * 0.05 / 150) ** 0.5
