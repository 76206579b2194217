"""reference_ngram_perplexity: probabilities that sum to 1, NLTK's model, values by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.lm import WittenBellInterpolated
from nltk.util import everygrams

from geneval.data import Fields
from geneval.metric import find_metric
from geneval.metrics.text.reference_ngram_perplexity import (
    LETTERS,
    bits_per_byte,
    fitted,
    perplexity,
)
from geneval.resample import Context
from geneval.text.witten_bell import BEGIN, END, WittenBell
from geneval.value import Estimate, Role

TEXTS = st.lists(st.lists(st.sampled_from("abc"), max_size=6), min_size=1, max_size=6)
CONTEXT = st.lists(st.sampled_from([*"abcd", BEGIN]), max_size=4).map(tuple)


def no_spelling(token: str) -> float:
    """Unknown tokens are left to be counted as such."""
    raise AssertionError(token)


@given(TEXTS, CONTEXT, st.integers(1, 4))
@settings(deadline=None)
def test_probabilities_sum_to_1(
    texts: list[list[str]], context: tuple[str, ...], order: int
) -> None:
    """Over the words seen, the end, and one unknown word, after any context, seen or not."""
    model = WittenBell(texts, order, no_spelling)
    known = [model.probability(token, context) for token in model.vocabulary]
    assert math.fsum(known) + model.probability("unknown", context) == pytest.approx(1, abs=1e-12)


@given(TEXTS, CONTEXT)
@settings(deadline=None)
def test_higher_orders_are_nltks(texts: list[list[str]], context: tuple[str, ...]) -> None:
    """NLTK's interpolation on the same counts, with this model's single words below it."""
    order = 3
    model = WittenBell(texts, order, no_spelling)
    padded = [[BEGIN, BEGIN, *text, END] for text in texts]
    grams = [[g for g in everygrams(one, max_len=order) if g[-1] != BEGIN] for one in padded]
    peer = WittenBellInterpolated(order)
    peer.fit(grams, vocabulary_text=[token for one in padded for token in one])
    peer.estimator.unigram_score = lambda word: model.probability(word, ())
    for token in model.vocabulary:
        expected = peer.unmasked_score(token, context[-2:] or None)
        assert model.probability(token, context) == pytest.approx(expected, abs=1e-12)


def test_a_bigram_by_hand() -> None:
    """After `a b`, `a c`: P(b) = 1/(6+4), as of 6 tokens with the ends; P(b|a) = (1 + 2/10)/4."""
    model = fitted([["a", "b"], ["a", "c"]], 2)
    assert model.probability("b", ()) == pytest.approx(1 / 10)
    assert model.probability("b", ("a",)) == pytest.approx(1.2 / 4)
    assert model.probability("x", ("a",)) == pytest.approx(2 / 4 * 4 / 10)


def test_a_letter_that_no_reference_has() -> None:
    """Of the letter model of `a`: P(end) = 1/4 = P(a), an unknown letter 2/4 of 1/0x110000.

    Above it the word model of order 1, `a` with its end, gives an unknown word 2/4.
    """
    letters = WittenBell(["a"], 1, lambda _: -math.log(LETTERS))
    expected = math.log(2 / 4) - math.log(LETTERS) + math.log(1 / 4)
    assert letters.log_probability("ü") == pytest.approx(expected)
    words = WittenBell([["a"]], 1, letters.log_probability)
    assert words.log_probability(["ü"]) == pytest.approx(
        math.log(2 / 4) + expected + math.log(1 / 4)
    )


def measured(said: list[str], known: list[str], **options: Any) -> dict[str, Estimate]:
    """Estimates by output."""
    spec = find_metric("reference_ngram_perplexity")
    sets = [Fields(tuple(f"{i}" for i in range(len(t))), {"written": t}) for t in (said, known)]
    given = dict(zip(("texts", "known"), sets, strict=True))
    found = spec.measure(given, Context(), spec.check_options(options))
    return {estimate.output: estimate for estimate in found}


def test_values_are_of_the_corpus() -> None:
    """Sums of log-probabilities over sums of words and of bytes: 2 + 1 and 0 + 1 words, 4 + 1."""
    found = measured(["a b", ""], ["a b", "a c"], order=2)
    model = fitted([["a", "b"], ["a", "c"]], 2)
    nats = -model.log_probability(["a", "b"]) - model.log_probability([])
    assert found["reference_ngram_perplexity"].number == pytest.approx(math.exp(nats / 4))
    assert found["bits_per_byte"].number == pytest.approx(nats / math.log(2) / (3 + 1 + 1))
    assert found["bits_per_byte"].evidence[Role.GENERATED].rows[:, 1:].tolist() == [[3, 4], [1, 1]]
    assert "0 of 2 words" in found["bits_per_byte"].finding


def test_perplexity_of_even_choice() -> None:
    """n nats for n·log 8 are a perplexity of 8 and three bits, of one byte each."""
    sums = np.array([[5 * math.log(8), 5, 5]])
    assert perplexity(sums) == pytest.approx(8)
    assert bits_per_byte(sums) == pytest.approx(3)


def test_endless_words_have_a_number() -> None:
    """A word of ten thousand strange letters is beyond any perplexity, and still finite."""
    found = measured(["嗯" * 10_000, "a"], ["a b", "b"], words="whitespace")
    assert found["reference_ngram_perplexity"].number == pytest.approx(math.exp(300))
    assert found["bits_per_byte"].number is not None


def test_references_without_words() -> None:
    """There is nothing to fit."""
    found = measured(["a", "b"], ["…"])
    assert "no reference has a word" in str(found["bits_per_byte"].problem)
