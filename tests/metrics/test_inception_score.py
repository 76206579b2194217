"""Inception Score: closed forms, splits, and what is undefined."""

from __future__ import annotations

import numpy as np
import pytest

from geneval.data import Features
from geneval.metric import Undefined
from geneval.metrics.fidelity.inception_score import inception_score
from geneval.resample import Context


def logits(x: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Features:
    """Logits with numbered ids."""
    return Features(tuple(f"{i:05d}" for i in range(len(x))), x)


def one_hot(n: int, classes: int) -> Features:
    """Sure answers, every class equally often."""
    return logits(np.eye(classes)[np.arange(n) % classes] * 1000.0)


@pytest.mark.parametrize("classes", [2, 7, 10])
def test_sure_and_varied_answers_give_the_number_of_classes(classes: int) -> None:
    """Closed form: one-hot over K classes, evenly, is K."""
    (score,) = inception_score(one_hot(classes * 100, classes), Context(), splits=1)
    assert score.number == pytest.approx(classes, rel=1e-9)


def test_one_answer_for_all_gives_one() -> None:
    """Closed form: no variety is 1, however sure each answer."""
    (score,) = inception_score(logits(np.tile([9.0, 0.0, 0.0], (50, 1))), Context(), splits=5)
    assert score.number == pytest.approx(1.0, abs=1e-12)


def test_huge_logits_neither_overflow_nor_vanish() -> None:
    """exp(1000) is never formed and a probability of zero never meets a logarithm."""
    x = np.zeros((40, 3))
    x[np.arange(40), np.arange(40) % 3] = 5000.0
    (score,) = inception_score(logits(x), Context(), splits=2)
    assert score.number is not None
    assert 1 <= score.number <= 3


def test_splits_are_cut_as_the_peers_cut_them() -> None:
    """Parts are i·n//splits, after RandomState(seed).permutation; the value is their mean."""
    x = np.random.default_rng(0).normal(size=(103, 6)) * 3
    (score,) = inception_score(logits(x), Context(), splits=4, seed=5)
    p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    p = p[np.random.RandomState(5).permutation(103)]
    parts = [p[i * 103 // 4 : (i + 1) * 103 // 4] for i in range(4)]
    scores = [np.exp((q * np.log(q / q.mean(0))).sum(1).mean()) for q in parts]
    assert score.number == pytest.approx(np.mean(scores), rel=1e-12)
    assert f"{np.std(scores):.6g}" in score.finding


def test_more_splits_than_samples_is_undefined() -> None:
    """A part without samples has no score; the sentence names the option."""
    with pytest.raises(Undefined, match="set splits"):
        inception_score(one_hot(8, 2), Context(), splits=9)


def test_the_interval_is_the_spread_over_redraws() -> None:
    """The influence SE agrees with the spread of the score over 200 redraws."""
    numbers, errors = [], []
    for seed in range(200):
        x = np.random.default_rng(seed).normal(size=(400, 5)) * 2
        (score,) = inception_score(logits(x), Context(), splits=1)
        assert score.number is not None
        assert score.interval is not None
        numbers.append(score.number)
        errors.append((score.interval.high - score.interval.low) / (2 * 1.959964))
    # A standard deviation of 200 draws is known within 10 % (two of its standard errors).
    assert np.mean(errors) == pytest.approx(np.std(numbers, ddof=1), rel=0.15)
