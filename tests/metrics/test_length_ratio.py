"""length_ratio: counts by hand, and BLEU's own lengths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from sacrebleu.metrics.bleu import BLEU

from geneval.data import Fields
from geneval.metric import find_metric
from geneval.resample import Context
from geneval.value import Estimate, Role


def measured(hypotheses: Sequence[str], other: Sequence[Any], **options: Any) -> Estimate:
    """The estimate of records of these texts and references or sources."""
    ids = tuple(map(str, range(len(hypotheses))))
    column = options.get("against", "references")
    spec = find_metric("length_ratio")
    texts = Fields(ids, {"hypothesis": hypotheses, column: other})
    (found,) = spec.measure({"texts": texts}, Context(), spec.check_options(options))
    return found


def test_the_closest_reference_counts_and_the_shorter_on_a_tie() -> None:
    """By hand: 3 words beside 2 and 4 take 2, 1 beside 3 and None take 3: 4 / 5."""
    ratio = measured(["a b c", "a"], [["a b c d", "a b"], ["a b c", None]])
    assert ratio.number == pytest.approx(4 / 5)
    assert ratio.evidence[Role.GENERATED].rows.tolist() == [[3, 2], [1, 3]]
    assert ratio.signed == {"nrefs": "var"}
    assert ratio.finding == "4 words to 5"


def test_lengths_are_those_of_bleu() -> None:
    """On text whose words spaces part, sys_len / ref_len of sacrebleu with tokenize none."""
    made = ["a b c d", "e f", "g h i j k l m"]
    references = [["a b", "a b c d e"], ["e f g h", "e"], ["g h i", "g h i j k l m n o"]]
    peer = BLEU(tokenize="none").corpus_score(made, list(zip(*references, strict=True)))
    ratio = measured(made, references, words="whitespace")
    assert ratio.number == pytest.approx(peer.sys_len / peer.ref_len)


def test_compression_against_the_source() -> None:
    """Chinese counts characters: 2 of 8 and 2 of 4 words."""
    ratio = measured(
        ["火车。", "two words"], ["火车早上七点出发", "four words of it"], against="source"
    )
    assert ratio.number == pytest.approx(4 / 12)
    assert ratio.signed == {}


def test_nothing_to_measure_against_is_a_problem() -> None:
    """Blank references have no length, which is no infinite ratio."""
    ratio = measured(["a", "b"], [[""], ["..."]])
    assert ratio.problem == "the references have no words to measure against"
