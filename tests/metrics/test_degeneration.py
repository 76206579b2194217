"""repetition, degenerate_outputs, truncated_outputs and prompt_copy: counts by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geneval.data import Fields
from geneval.metric import find_metric
from geneval.resample import Context
from geneval.text.ngrams import longest_run, ngrams
from geneval.value import Estimate


def measured(name: str, said: list[str], also: Any = None, **options: Any) -> dict[str, Estimate]:
    """Estimates by output."""
    spec = find_metric(name)
    ids = tuple(f"{i:04d}" for i in range(len(said)))
    given = {"texts": Fields(ids, {"written": said, **(also or {})})}
    found = spec.measure(given, Context(), spec.check_options(options))
    return {estimate.output: estimate for estimate in found}


# ------------------------------------------------------------------------------ repetition


def test_repetition_by_hand() -> None:
    """`a b a b a` has 2 of 4 bigrams, 2 of 3 trigrams and 2 of 2 4-grams; `c d e` repeats none.

    The mean of seq-rep-2 is (1/2 + 0)/2; diversity is that of sums: (2+2)/6 · (2+1)/4 · 2/2.
    """
    found = measured("repetition", ["a b a b a", "c d e"])
    assert found["seq_rep_2"].number == pytest.approx(1 / 4)
    assert found["seq_rep_3"].number == pytest.approx((1 / 3 + 0) / 2)
    assert found["seq_rep_4"].number == 0
    assert found["diversity"].number == pytest.approx(4 / 6 * 3 / 4)
    assert "1 outputs of fewer than 4 words" in found["seq_rep_4"].finding


def test_one_word_over_and_over() -> None:
    """m words have m − n + 1 equal n-grams: seq-rep-n is 1 − 1/(m − n + 1)."""
    found = measured("repetition", ["go " * 20] * 3)
    for n in (2, 3, 4):
        assert found[f"seq_rep_{n}"].number == pytest.approx(1 - 1 / (21 - n))
    assert found["diversity"].number == pytest.approx(1 / (19 * 18 * 17))


def test_short_outputs_have_nothing_to_repeat() -> None:
    """No n-gram is a problem of the outputs that need one, not a perfect score."""
    found = measured("repetition", ["a b", "c d", ""])
    assert found["seq_rep_2"].number == 0
    for output in ("seq_rep_3", "seq_rep_4", "diversity"):
        assert found[output].problem


# ------------------------------------------------------------------------ empty, duplicate


def test_empty_and_duplicate_outputs() -> None:
    """Case, forms and punctuation make no other output; blank ones are no copies of each other."""
    alike = ["Hello, world!", "hello world", "!!!", "!!!", "再见。", "再见"]
    said = [*alike, "", " \u200b\n", "other"]
    found = measured("degenerate_outputs", said)
    assert found["empty"].number == pytest.approx(2 / 9)
    assert found["duplicate"].number == pytest.approx(6 / 9)
    assert found["duplicate"].finding == "most often, 2 times: 再见。"
    assert set(found["empty"].galleries[0].ids) == {"0006", "0007"}  # no other one is shown


def test_rates_of_0_have_an_interval() -> None:
    """Wilson's upper end of no case in 96 is z²/(n + z²)."""
    found = measured("degenerate_outputs", [f"text {i}" for i in range(96)])
    z2 = 1.959964**2
    for output in ("empty", "duplicate"):
        interval = found[output].interval
        assert interval is not None
        assert not found[output].galleries
        assert interval.high == pytest.approx(z2 / (96 + z2), rel=1e-6)


# ------------------------------------------------------------------------------- truncated


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("It ended.", False),
        ("“Did it end?”", False),
        ("(It did!)  ", False),
        ("结束了。」", False),
        ("यह समाप्त हुआ।", False),
        ("هل انتهى؟", False),
        ("And then…", False),
        ("", False),
        ("And then the", True),
        ("然后他说，", True),
        ("First, second;", True),
    ],
)
def test_the_end_of_a_sentence_in_several_scripts(text: str, cut: bool) -> None:
    """The last mark tells, behind quotes and brackets; an empty text is not cut off."""
    found = measured("truncated_outputs", [text, "Whole.", "Whole."])["truncated_outputs"]
    assert found.number == pytest.approx(cut / 3)
    assert found.signed == {"by": "end"}


@pytest.mark.parametrize("column", ["finish_reason", "stop_reason"])
def test_a_reason_is_better_than_a_guess(column: str) -> None:
    """Where records say why they ended, punctuation tells nothing."""
    reasons = ["length", "MAX_TOKENS", "stop", "end_turn"]
    said = ["Whole.", "Whole.", "and", "so"]
    found = measured("truncated_outputs", said, {column: reasons})["truncated_outputs"]
    assert found.number == 0.5
    assert found.signed == {"by": column}


def test_answers_without_marks_are_not_cut_off() -> None:
    """One-word answers have no full stop: undefined by outputs and by references alike."""
    for also in (None, {"references": [["42"], ["Paris"]]}):
        found = measured("truncated_outputs", ["42", "Paris"], also)["truncated_outputs"]
        assert "finish_reason" in str(found.problem)
    wanted = {"references": [["A whole sentence.", None], ["Another one.", "A third"]]}
    assert (
        measured("truncated_outputs", ["A whole", "And"], wanted)["truncated_outputs"].number == 1
    )


# ---------------------------------------------------------------------------- prompt copies


@pytest.mark.parametrize(
    ("said", "copied"),
    [
        ("Write a poem about the sea", True),
        ("WRITE a poem, about the sea: blue waves", True),
        ("A poem about the sea, as asked", True),  # 5 of 6 words in one run
        ("A poem about a sea", False),
        ("The sea, a poem about", False),
        ("", False),
    ],
)
def test_a_prompt_given_back(said: str, copied: bool) -> None:
    """Four fifths of the prompt in one run of words are a copy."""
    prompt = "Write a poem about the sea"
    found = measured("prompt_copy", [said, "no"], {"prompt": [prompt, prompt]})["prompt_copy"]
    assert found.number == copied / 2


def test_short_prompts_are_left_out() -> None:
    """Hello may be answered with Hello; where all prompts are that short there is no value."""
    also = {"prompt": ["Hello!", "写一首关于海的诗"]}
    found = measured("prompt_copy", ["Hello!", "写一首关于海的诗：蓝"], also)["prompt_copy"]
    assert found.number == 1
    assert "1 records" in found.finding
    also = {"prompt": ["Hello!", "Bye"]}
    assert "least_words" in str(measured("prompt_copy", ["a", "b"], also)["prompt_copy"].problem)


TOKENS = st.lists(st.sampled_from("ab"), max_size=12)


@given(TOKENS, TOKENS)
@settings(deadline=None)
def test_longest_run_by_definition(one: list[str], other: list[str]) -> None:
    """The longest n of which both have an n-gram in common, found by trying all."""
    lengths = [n for n in range(1, 13) if set(ngrams(one, n)) & set(ngrams(other, n))]
    assert longest_run(one, other) == max(lengths, default=0)


def test_n_grams_are_windows() -> None:
    """As many as fit, in order."""
    assert ngrams("abc", 2) == [("a", "b"), ("b", "c")]
    assert ngrams("abc", 4) == []
    assert np.array_equal([len(ngrams("a" * 9, n)) for n in (1, 5, 9)], [9, 5, 1])
