"""ngram_novelty and sample_consistency: counts by hand, and runs found by trying all."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geneval.data import Fields
from geneval.metric import find_metric
from geneval.metrics.text.ngram_novelty import LEAST_COPY, Copies
from geneval.resample import Context
from geneval.text.ngrams import longest_run
from geneval.value import Estimate, Role


def column(name: str, cells: list[Any]) -> Fields:
    """Records with one column."""
    return Fields(tuple(f"{i:04d}" for i in range(len(cells))), {name: cells})


def measured(name: str, given: dict[str, Any], **options: Any) -> dict[str, Estimate]:
    """Estimates by output."""
    spec = find_metric(name)
    found = spec.measure(given, Context(), spec.check_options(options))
    return {estimate.output: estimate for estimate in found}


def novelty(made: list[str], known: list[str]) -> dict[str, Estimate]:
    """The novelty of outputs against known texts."""
    return measured(
        "ngram_novelty", {"texts": column("written", made), "known": column("written", known)}
    )


def test_novelty_by_hand() -> None:
    """Against `a b c` and `d e`, c d is new: an n-gram does not reach over the end of a text.

    Of a b c d: no word, 1 of 3 bigrams, 1 of 2 trigrams and the one 4-gram are new; of x: a word.
    """
    found = novelty(["a b c d", "x"], ["a b c", "d e"])
    numbers = [found[f"novelty_{n}"].number for n in (1, 2, 3, 4)]
    assert numbers == pytest.approx([1 / 5, 1 / 3, 1 / 2, 1])
    assert found["longest_copy"].number == 0  # three words in a row are no copy
    rows = found["novelty_2"].evidence[Role.GENERATED].rows
    assert rows.tolist() == [[1, 3], [0, 0]]


def test_copies_are_shown() -> None:
    """The longest run is told in words and in the table of lengths."""
    known = ["one two three four five six seven", "un deux trois"]
    found = novelty(["so two three four five six then", "un deux trois", "nothing"], known)
    copy = found["longest_copy"]
    assert copy.number == pytest.approx(5 / 3)
    assert copy.finding == "the longest, of 5 words: two three four five six"
    assert copy.tables[0].columns["outputs"][:2] == [2, 1]
    assert copy.galleries[0].ids[0] == "0000"
    assert copy.galleries[0].captions[0] == "5"


def test_a_set_is_no_news_to_itself() -> None:
    """Texts held against themselves have no new n-gram and are copies from end to end."""
    texts = ["今天天气很好我们去公园", "the sun is out and we go to the park"]
    found = novelty(texts, texts)
    assert {found[f"novelty_{n}"].number for n in (1, 2, 3, 4)} == {0}
    assert found["longest_copy"].number == (11 + 10) / 2


def test_too_short_for_an_order_is_a_problem() -> None:
    """Without a bigram none can be new."""
    found = novelty(["a", "b"], ["a b"])
    assert found["novelty_1"].number == 0
    assert "2 words" in str(found["novelty_2"].problem)


TEXT = st.lists(st.sampled_from("ab"), max_size=20)


@given(TEXT, st.lists(TEXT, max_size=4))
@settings(deadline=None)
def test_the_longest_copy_is_the_longest_run_shared_with_any_text(
    made: list[str], known: list[list[str]]
) -> None:
    """By bisection over every known text; shorter than 5 words is none."""
    longest = max((longest_run(made, text) for text in known), default=0)
    length, at = Copies([made], known).longest(made)
    assert length == (longest if longest >= LEAST_COPY else 0)
    assert not length or any(longest_run(made[at : at + length], t) == length for t in known)


# ---------------------------------------------------------------------- sample_consistency


def test_consistency_by_hand() -> None:
    """Pairs of {a, b}, {a, b}, {a, c}: 1, 1/3, 1/3; lengths 2, 2, 2 and 1, 3: √2 / 2."""
    samples = [["a b", "b a", "a c"], ["x", "x x x"], ["alone"]]
    found = measured("sample_consistency", {"texts": column("samples", samples)})
    assert found["jaccard"].number == pytest.approx((5 / 9 + 1) / 2)
    assert found["length_variation"].number == pytest.approx(2**0.5 / 2 / 2)
    assert found["jaccard"].finding == "2 to 3 samples a prompt; 1 with a single one left out"
    assert found["jaccard"].n == {Role.GENERATED: 2}


def test_blank_samples_are_alike() -> None:
    """Nothing equals nothing, and lengths of 0 do not vary."""
    samples = [["", "…"], ["", "a"]]
    found = measured("sample_consistency", {"texts": column("samples", samples)})
    assert found["jaccard"].number == pytest.approx((1 + 0) / 2)
    assert found["length_variation"].number == pytest.approx((0 + 2**0.5) / 2)


def test_one_sample_a_prompt_has_no_consistency() -> None:
    """Undefined, with what to do."""
    found = measured("sample_consistency", {"texts": column("samples", [["a"], ["b"]])})
    assert "several outputs" in str(found["jaccard"].problem)
