"""Shares behind a classifier's mistakes: closed forms, scipy's constrained solution, recovery."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import lsq_linear

from geneval.confusion import condition, confusions, corrected_shares, rates
from geneval.data import Labels

QUICK = settings(max_examples=60, deadline=None, database=None, derandomize=True)


def test_two_classes_by_hand() -> None:
    """The share of the first is (f − b)/(a − b), a and b how often either is taken for it."""
    a, b, f = 0.9, 0.2, 0.48
    matrix = np.array([[a, b], [1 - a, 1 - b]])
    assert corrected_shares(matrix, np.array([f, 1 - f]))[0] == pytest.approx((f - b) / (a - b))


def test_mistakes_are_counted_by_name() -> None:
    """Rows are true classes, columns predicted ones; an uncounted class is never mistaken."""
    ids = ("0", "1", "2", "3")
    truth, found = Labels.of(ids, ["a", "a", "b", "a"]), Labels.of(ids, ["a", "b", "b", "a"])
    table = confusions(truth, found, ["b", "a", "c"])
    assert table.tolist() == [[1, 0, 0], [1, 2, 0], [0, 0, 0]]
    assert np.allclose(rates(table), [[1, 1 / 3, 0], [0, 2 / 3, 0], [0, 0, 1]])


@given(st.integers(2, 6), st.integers(0, 10_000))
@QUICK
def test_shares_are_recovered(k: int, seed: int) -> None:
    """What M makes of any shares is corrected to these shares."""
    rng = np.random.default_rng(seed)
    matrix = 0.7 * np.eye(k) + 0.3 * rng.dirichlet(np.ones(k), size=k).T
    p = rng.dirichlet(np.ones(k))
    assert np.allclose(corrected_shares(matrix, matrix @ p), p, atol=1e-9)


@given(st.integers(2, 5), st.integers(0, 10_000))
@QUICK
def test_shares_that_no_mixture_gives_are_the_nearest(k: int, seed: int) -> None:
    """Where the inverse is negative, scipy's bounded least squares has the same answer."""
    rng = np.random.default_rng(seed)
    matrix = 0.5 * np.eye(k) + 0.5 * rng.dirichlet(np.ones(k), size=k).T
    f = np.eye(k)[0]
    expected = lsq_linear(matrix, f, (0, np.inf), tol=1e-14).x
    found = corrected_shares(matrix, f)
    assert found.min() >= 0
    assert np.allclose(found, expected / expected.sum(), atol=1e-5)


def test_classes_that_cannot_be_told_apart_have_no_condition() -> None:
    """A classifier that guesses has a singular matrix."""
    assert condition(np.full((2, 2), 0.5)) > 1e15
    assert condition(np.eye(3)) == pytest.approx(1)
