"""cider: values by hand, the formula on dense vectors, and what must hold of any text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geneval.data import Fields
from geneval.metric import find_metric
from geneval.metrics.text.cider import cider_d
from geneval.resample import Context
from geneval.value import Estimate, Role

WORDS = ["a", "cat", "dog", "sits", "on"]
CAPTION = st.lists(st.sampled_from(WORDS), max_size=9)
RECORDS = st.lists(
    st.tuples(CAPTION, st.lists(CAPTION, min_size=1, max_size=3)), min_size=2, max_size=5
)


def measured(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Estimate:
    """The estimate of records of these texts."""
    ids = tuple(map(str, range(len(hypotheses))))
    texts = Fields(ids, {"hypothesis": hypotheses, "references": references})
    spec = find_metric("cider")
    (found,) = spec.measure({"texts": texts}, Context(), spec.check_options({}))
    return found


def scores(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """The score of every record."""
    rows: list[float] = measured(hypotheses, references).evidence[Role.GENERATED].rows.tolist()
    return rows


def test_captions_of_two_words() -> None:
    """By hand: `a` weighs log(2/2) = 0, all else log 2; 2 of the 4 orders are equal, or none.

    `a cat` for `a cat`: 10 · (1 + 1 + 0 + 0) / 4; for `a dog` nothing that counts is shared.
    """
    assert scores(["a cat", "a cat"], [["a cat"], ["a dog"]]) == pytest.approx([5, 0])


def test_repetition_is_clipped_and_length_costs() -> None:
    """By hand: `a cat cat` for `a cat`, each weight w = log 2, one word too long.

    Words: min(2w, w)·w / (2w · w) = 1/2. Pairs: w² / (√2·w · w) = 1/√2. Penalty exp(−1/72).
    """
    expected = 10 * (1 / 2 + 1 / math.sqrt(2)) / 4 * math.exp(-1 / 72)
    assert scores(["a cat cat", ""], [["a cat"], ["a dog"]]) == pytest.approx([expected, 0])


def test_references_are_averaged_and_count_once_a_record() -> None:
    """By hand: one of two references is matched, and `cat` in both of them is in one record."""
    found = scores(["a cat", "a dog"], [["a cat", "a bird"], ["a dog", "a dog"]])
    assert found == pytest.approx([2.5, 5])
    found = scores(["a cat", "a dog"], [["a cat", "a cat"], ["a dog", "a dog"]])
    assert found == pytest.approx([5, 5])


def test_chinese_captions() -> None:
    """By hand: characters are words and punctuation none; four of them match in every order."""
    assert scores(["白猫睡觉。", "黑狗"], [["白猫睡觉"], ["一辆火车"]]) == pytest.approx([10, 0])


def test_references_that_are_all_alike_are_a_problem() -> None:
    """Where every record has the same n-grams none of them weighs anything."""
    found = measured(["a cat", "a dog"], [["a cat"], ["a cat"]])
    assert found.problem == "no n-gram tells the references of one record from those of another"


def dense(made: list[str], wanted: list[list[list[str]]], row: int, sigma: float) -> float:
    """The formula for one record, on a vector over all n-grams of each order."""
    total = 0.0
    for n in range(1, 5):

        def grams(words: list[str], n: int = n) -> list[tuple[str, ...]]:
            return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]

        every = sorted(set(chain(grams(made), *(grams(r) for refs in wanted for r in refs))))
        df = [sum(any(g in grams(r) for r in refs) for refs in wanted) for g in every]
        idf = np.log(len(wanted) / np.maximum(df, 1))
        h = idf * [grams(made).count(g) for g in every]
        for reference in wanted[row]:
            r = idf * [grams(reference).count(g) for g in every]
            norms = np.linalg.norm(h) * np.linalg.norm(r)
            near = np.exp(-((len(made) - len(reference)) ** 2) / (2 * sigma**2))
            total += near * np.minimum(h, r) @ r / norms if norms else 0.0
    return 10 * total / 4 / len(wanted[row])


@given(records=RECORDS, sigma=st.sampled_from([2.0, 6.0]))
def test_scores_are_those_of_the_formula(
    records: list[tuple[list[str], list[list[str]]]], sigma: float
) -> None:
    """Sparse vectors give what dense ones do, empty captions included, and stay in [0, 10]."""
    made, wanted = [one for one, _ in records], [refs for _, refs in records]
    wanted[0] = [[*one, "telling"] for one in wanted[0]]
    found = cider_d(made, wanted, sigma=sigma)
    expected = [dense(one, wanted, row, sigma) for row, one in enumerate(made)]
    assert found == pytest.approx(expected, abs=1e-9)
    assert found.min() >= 0
    assert found.max() <= 10 + 1e-9
