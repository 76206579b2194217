"""geneval.items: intervals and galleries of means, shares and jackknifed values."""

from __future__ import annotations

import numpy as np
import pytest

from geneval.items import Floats, jackknifed, mean_of
from geneval.resample import Context
from geneval.value import Role

IDS = ("a", "b", "c", "d")


def scores(*numbers: float) -> Floats:
    """Scores as metrics have them."""
    return np.array(numbers, dtype=np.float64)


def test_a_mean_of_one_score_has_no_interval() -> None:
    """Nothing is known of the spread of a single score."""
    found = mean_of(Context(), "x", scores(0.5), ("a",), (0, 1))
    assert found.number == 0.5
    assert found.interval is None
    assert found.no_interval


@pytest.mark.parametrize(("worst_first", "shown"), [(1, {"b", "d"}), (-1, {"a", "c"})])
def test_a_share_shows_the_worse_kind_only(worst_first: int, shown: set[str]) -> None:
    """Of zeros and ones, those that pull the share the wrong way."""
    found = mean_of(
        Context(), "x", scores(1, 0, 1, 0), IDS, (0, 1), worst_first=worst_first, share=True
    )
    assert set(found.galleries[0].ids) == shown
    none = mean_of(Context(), "x", scores(1, 1, 1, 1), IDS, (0, 1), share=True)
    assert not none.galleries
    assert none.interval is not None


def test_the_jackknife_of_a_mean_is_its_standard_error() -> None:
    """Of means without each sample it gives the usual interval, and the samples as evidence."""
    x = scores(1, 2, 4, 9)
    found = jackknifed(Context(), "x", 4.0, (x.sum() - x) / 3, IDS, (None, None))
    assert found.interval is not None
    half = 1.959964 * x.std(ddof=1) / 2
    assert found.interval.high == pytest.approx(4 + half, rel=1e-6)
    assert found.interval.target == "at_n"
    assert found.evidence[Role.GENERATED].rows == pytest.approx(x - 4)


def test_a_value_that_no_sample_moves_has_no_interval() -> None:
    """No spread is no certainty."""
    found = jackknifed(Context(), "x", 1.0, scores(1, 1, 1, 1), IDS, (0, 1))
    assert found.interval is None
    assert found.no_interval
