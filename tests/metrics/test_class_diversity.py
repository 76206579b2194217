"""Class diversity: closed forms, scipy, undefined cases and the intervals' coverage."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import entropy

from geneval.data import Labels, LabelSpace
from geneval.metrics.balance.class_diversity import OUTPUTS, class_diversity
from geneval.resample import Context
from geneval.value import Estimate, Role


def measured(counts: list[int], **options: Any) -> dict[str, Estimate]:
    """Estimates by output of so many samples of the classes 0, 1, ….."""
    codes = np.repeat(np.arange(len(counts)), counts)
    ids = tuple(f"{i:05d}" for i in range(len(codes)))
    given = Labels(ids, codes, LabelSpace(tuple(str(i) for i in range(len(counts)))))
    return {e.output: e for e in class_diversity(given, Context(), **options)}


def test_even_classes() -> None:
    """Entropy 1, effective number k, Gini 0, ratio 1."""
    found = measured([25] * 4)
    numbers = [found[spec.name].number for spec in OUTPUTS]
    assert numbers == pytest.approx([1, 4, 0, 1], abs=1e-12)
    assert found["gini"].signed == {"k": 4}
    assert found["effective_classes"].interval is not None
    assert found["effective_classes"].interval.high == 4


def test_uneven_classes_by_hand() -> None:
    """Counts 10, 30, 60: scipy's entropy; Gini (−2·0.1 + 2·0.6)/3; ratio 6."""
    found = measured([30, 60, 10])
    nats = float(entropy([30, 60, 10]))
    assert found["entropy"].number == pytest.approx(nats / np.log(3), rel=1e-12)
    assert found["effective_classes"].number == pytest.approx(np.exp(nats), rel=1e-12)
    assert found["gini"].number == pytest.approx(1 / 3)
    ratio = found["imbalance_ratio"]
    assert ratio.number == 6
    assert ratio.interval is not None
    factor = np.exp(1.959964 * np.sqrt(1 / 60 + 1 / 10))  # Katz et al. 1978, of one sample
    assert [ratio.interval.low, ratio.interval.high] == pytest.approx([6 / factor, 6 * factor])


def test_a_class_that_is_declared_and_never_drawn() -> None:
    """It counts, and in the ratio as half a sample, which is said."""
    found = measured([50, 50], classes=["0", "1", "2"])
    assert found["effective_classes"].number == pytest.approx(2)
    assert found["entropy"].number == pytest.approx(np.log(2) / np.log(3))
    assert found["imbalance_ratio"].number == 100
    assert found["imbalance_ratio"].finding == "no samples of 2: the ratio is a lower bound"


def test_one_class() -> None:
    """Everything in one of several: no spread. One class in all: its entropy has no scale."""
    found = measured([40, 0])
    assert found["effective_classes"].number == 1
    assert found["gini"].number == 0.5
    assert found["entropy"].no_interval == "no resample of the counts differs"
    alone = measured([40])
    assert "one class only" in str(alone["entropy"].problem)
    assert alone["imbalance_ratio"].number == 1


def test_evenness_falls_with_the_planted_imbalance() -> None:
    """Every output moves its worse way with each step."""
    runs = [measured([100 + 3 * s, 100 - s, 100 - s, 100 - s]) for s in (0, 5, 20, 60, 95)]
    for spec in OUTPUTS:
        numbers = [run[spec.name].number or 0 for run in runs]
        assert numbers == sorted(numbers, reverse=spec.direction == "higher")
        assert len(set(numbers)) == len(numbers)


def test_intervals_are_the_spread_at_this_n() -> None:
    """They hold the mean over runs in about 95 % of 150 runs."""
    rng = np.random.default_rng(4)
    runs = [measured(rng.multinomial(300, [0.4, 0.3, 0.2, 0.1]).tolist()) for _ in range(150)]
    for spec in OUTPUTS:
        found = [run[spec.name] for run in runs]
        mean = np.mean([one.number for one in found])
        inside = [one.interval.low <= mean <= one.interval.high for one in found if one.interval]
        assert np.mean(inside) >= 0.95 - 3 * (0.95 * 0.05 / 150) ** 0.5


@pytest.mark.parametrize("output", [spec.name for spec in OUTPUTS])
def test_influences_are_the_derivatives(output: str) -> None:
    """One sample more of a class moves the value by its influence over n."""
    counts = [3000, 2000, 1000]
    found = measured(counts)[output]
    rows = found.evidence[Role.GENERATED].rows
    for code, first in enumerate(np.cumsum([0, *counts[:-1]])):
        more = [count + (i == code) for i, count in enumerate(counts)]
        moved = (measured(more)[output].number or 0) - (found.number or 0)
        assert moved * 6001 == pytest.approx(rows[first], rel=2e-3, abs=2e-3)
