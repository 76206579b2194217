"""self_bleu: NLTK and sacrebleu leave-one-out, text by text, and the time of many texts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from sacrebleu.metrics.bleu import BLEU

from geneval.data import Fields
from geneval.metric import find_metric
from geneval.metrics.text.self_bleu import helm_bleu, texygen_bleu
from geneval.resample import Context
from geneval.text.leave_one_out import leave_one_out
from geneval.value import Estimate, Role

TEXTS = st.lists(st.lists(st.sampled_from("abcde"), max_size=8), min_size=3, max_size=9)


def by_nltk(tokens: list[list[str]], order: int) -> list[float]:
    """NLTK's sentence BLEU of every text against the others, as Texygen asks for it."""
    smooth, weights = SmoothingFunction().method1, (1 / order,) * order
    return [
        float(sentence_bleu(tokens[:i] + tokens[i + 1 :], text, weights, smooth))
        for i, text in enumerate(tokens)
    ]


@given(TEXTS, st.integers(1, 5))
@settings(max_examples=150, deadline=None)
def test_texygen_is_nltk_leave_one_out(tokens: list[list[str]], order: int) -> None:
    """Score of every text to 1e-12, equal counts, equal lengths and blank texts included."""
    found = texygen_bleu(leave_one_out(tokens, order).rows, order)
    assert found.tolist() == pytest.approx(by_nltk(tokens, order), abs=1e-12)


@given(TEXTS)
@settings(max_examples=150, deadline=None)
def test_helm_is_sacrebleu_leave_one_out(tokens: list[list[str]]) -> None:
    """Sentence BLEU-4 with the effective order, to 1e-9."""
    scorer = BLEU(effective_order=True, tokenize="none")
    texts = [" ".join(text) for text in tokens]
    expected = [
        scorer.sentence_score(text, texts[:i] + texts[i + 1 :]).score
        for i, text in enumerate(texts)
    ]
    assert helm_bleu(leave_one_out(tokens, 4).rows, 4).tolist() == pytest.approx(expected, abs=1e-9)


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=6), min_size=4, max_size=9))
@settings(max_examples=150, deadline=None)
def test_evidence_is_the_value_without_each_text(tokens: list[list[str]]) -> None:
    """The same as counting all the texts anew without one, to 1e-12."""
    found = measured([" ".join(text) for text in tokens])
    without = np.array(
        [
            texygen_bleu(leave_one_out(tokens[:i] + tokens[i + 1 :], 3).rows, 3).mean()
            for i in range(len(tokens))
        ]
    )
    expected = (len(tokens) - 1) * (without.mean() - without)
    assert found.evidence[Role.GENERATED].rows == pytest.approx(expected, abs=1e-12)


def measured(texts: list[str], **options: object) -> Estimate:
    """The estimate of texts."""
    spec = find_metric("self_bleu")
    complete = spec.check_options(options)
    ids = tuple(f"{i:04d}" for i in range(len(texts)))
    given = {"texts": Fields(ids, {"written": texts})}
    (found,) = spec.under(complete).measure(given, Context(), complete)
    return found


SAID = ["The cat, it seems, sat.", "A cat sat on the mat.", "The dog sat on the mat, too."]


def test_the_tokens_of_helm_are_13a() -> None:
    """On plain English the metric is sacrebleu's default sentence BLEU, and signs its tokeniser."""
    scorer = BLEU(effective_order=True)
    scores = [scorer.sentence_score(t, [u for u in SAID if u is not t]).score for t in SAID]
    found = measured(SAID, definition="helm")
    assert found.number == pytest.approx(np.mean(scores), abs=1e-9)
    assert found.signed == {"max_n": 4, "tokenize": "13a"}


def test_outputs_that_are_all_the_same_have_the_highest_value() -> None:
    """1 or 100, by definition; nothing in common is 0."""
    same = ["the cat sat on the mat"] * 3
    assert measured(same).number == pytest.approx(1, abs=1e-12)
    assert measured(same, definition="helm").number == pytest.approx(100, abs=1e-9)
    assert measured(["a b", "c d", "e"]).number == 0


def test_chinese_takes_its_own_tokeniser() -> None:
    """Characters are told apart in both definitions."""
    texts = ["今天下雨了。", "今天下雪了。", "明天出太阳。"]
    assert measured(texts, definition="helm").signed["tokenize"] == "zh"
    tokens = [list(text[:-1]) for text in texts]
    assert measured(texts).number == pytest.approx(math.fsum(by_nltk(tokens, 3)) / 3, abs=1e-12)
