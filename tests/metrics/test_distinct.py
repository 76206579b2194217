"""distinct_n and expectation_adjusted_distinct: counts by hand, chance, and honest intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from geneval.data import Fields
from geneval.metric import find_metric
from geneval.resample import Context
from geneval.value import Estimate, Role


def measured(name: str, texts: list[str], **options: Any) -> dict[str, Estimate]:
    """Estimates by output."""
    spec = find_metric(name)
    ids = tuple(f"{i:04d}" for i in range(len(texts)))
    complete = spec.check_options(options)
    found = spec.under(complete).measure(
        {"texts": Fields(ids, {"written": texts})}, Context(), complete
    )
    return {estimate.output: estimate for estimate in found}


TEXTS = ["a b a b", "b a c", ""]  # bigrams: ab ba ab | ba ac


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [3 / 7, 3 / 7, 3 / 7]),  # bigrams ab, ba, ac; trigrams aba, bab, bac
        ({"denominator": "ngrams"}, [3 / 7, 3 / 5, 1]),
        ({"scope": "sentence"}, [(2 / 4 + 3 / 3) / 2, (2 / 4 + 2 / 3) / 2, (2 / 4 + 1 / 3) / 2]),
        ({"scope": "sentence", "denominator": "ngrams"}, [3 / 4, (2 / 3 + 1) / 2, 1]),
    ],
)
def test_counts_by_hand(options: dict[str, Any], expected: list[float]) -> None:
    """Different n-grams over tokens or n-grams, of the corpus or a mean; a blank text adds none."""
    found = measured("distinct_n", TEXTS, **options)
    assert [found[f"distinct_{n}"].number for n in (1, 2, 3)] == pytest.approx(expected)


def test_outputs_follow_from_max_n_and_what_is_too_short_is_a_problem() -> None:
    """Of one-word outputs there are no bigrams to divide by."""
    found = measured("distinct_n", ["a", "a"], max_n=2, denominator="ngrams")
    assert list(found) == ["distinct_1", "distinct_2"]
    assert found["distinct_1"].number == 0.5
    assert "2 words in a row" in str(found["distinct_2"].problem)


def test_chinese_is_counted_by_characters() -> None:
    """Words of a script without spaces are its characters, unless spaces are to part them."""
    assert measured("distinct_n", ["好好学习", "天天向上"])["distinct_1"].number == 6 / 8
    plain = measured("distinct_n", ["好好学习", "天天向上"], words="whitespace")
    assert plain["distinct_1"].number == 1


def zipfian(rng: np.random.Generator, n: int) -> list[str]:
    """Texts of 20 words with probabilities falling as 1/rank."""
    p = 1 / np.arange(1, 2001)
    return [" ".join(f"w{w}" for w in rng.choice(2000, size=20, p=p / p.sum())) for _ in range(n)]


def test_the_interval_covers_the_mean_at_this_n() -> None:
    """Over 200 draws of 60 texts the jackknife's interval holds the mean value at n = 60.

    It is meant for 95 %; Efron and Stein (1981) say that it errs on the wide side. Of 200 draws
    fewer than 181 have a chance below 0.2 % at 95 %.
    """
    rng = np.random.default_rng(0)
    found = [measured("distinct_n", zipfian(rng, 60), max_n=1)["distinct_1"] for _ in range(200)]
    numbers = [estimate.number for estimate in found if estimate.number is not None]
    truth = float(np.mean(numbers))
    held = [e.interval.low <= truth <= e.interval.high for e in found if e.interval]
    assert len(held) == 200
    assert sum(held) >= 181
    assert {e.interval.target for e in found if e.interval} == {"at_n"}


def test_influence_is_that_of_leaving_a_text_out() -> None:
    """Evidence of a text is (n − 1) times what the value loses without it, centred."""
    found = measured("distinct_n", ["a b", "b c d", "e"])["distinct_1"]
    without = np.array([4 / 4, 3 / 3, 4 / 5])
    expected = 2 * (without.mean() - without)
    assert found.evidence[Role.GENERATED].rows == pytest.approx(expected)


@pytest.mark.parametrize("count", [3, 40])
def test_even_draws_have_an_expectation_adjusted_distinct_of_1(count: int) -> None:
    """Of V equally likely words, as many differ as expected, however many are drawn."""
    rng = np.random.default_rng(1)
    numbers = []
    for _ in range(300):
        texts = [" ".join(map(str, rng.integers(0, 30, size=count))) for _ in range(2)]
        found = measured("expectation_adjusted_distinct", texts, vocabulary=30)
        numbers.append(found["expectation_adjusted_distinct"].number)
    error = float(np.std(numbers)) / np.sqrt(len(numbers))
    assert float(np.mean(numbers)) == pytest.approx(1, abs=4 * error)


def test_expectation_adjusted_distinct_by_hand() -> None:
    """Two words, V = 2: of 3 draws 2·(1 − 1/8) = 1.75 words are expected."""
    found = measured("expectation_adjusted_distinct", ["a b", "a"], vocabulary=2)
    assert found["expectation_adjusted_distinct"].number == pytest.approx(2 / 1.75)


def test_expectation_adjusted_distinct_needs_words_within_its_vocabulary() -> None:
    """More different words than V, or none at all, have no value."""
    few = measured("expectation_adjusted_distinct", ["a b", "c"], vocabulary=2)
    assert "vocabulary" in str(few["expectation_adjusted_distinct"].problem)
    none = measured("expectation_adjusted_distinct", ["", "…"])
    assert "no output has a word" in str(none["expectation_adjusted_distinct"].problem)
