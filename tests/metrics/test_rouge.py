"""rouge: rouge-score's own test values, and rouge-score itself on random text."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nltk
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score import rouge_scorer
from rouge_score.rouge_scorer import RougeScorer

from geneval.data import Fields
from geneval.errors import UsageError
from geneval.metric import find_metric
from geneval.metrics.text.rouge import chosen_tokenizers
from geneval.resample import Context
from geneval.text.rouge_scores import (
    RougeType,
    common_places,
    places_of,
    rouge_of,
    shared_summary,
)
from geneval.value import Estimate, Role

ALL = [*(f"rouge{n}" for n in range(1, 10)), "rougeL", "rougeLsum"]
WORDS = ["the", "dog", "dogs", "running", "runs", "skies", "12", "naïve", "a"]


def written(words: list[str]) -> st.SearchStrategy[str]:
    """Texts of up to four lines of these words."""
    line = st.lists(st.sampled_from(words), max_size=14).map(" ".join)
    return st.lists(line, max_size=4).map("\n".join)


WANTED, MADE = written(WORDS), written([*WORDS, "的"])
FEW = st.lists(st.integers(0, 3), max_size=12)


def texts(hypotheses: Sequence[str], references: Sequence[Any], **columns: Any) -> Fields:
    """Records of these texts; a reference that is one text is a list of one."""
    lists = [[one] if isinstance(one, str) else list(one) for one in references]
    ids = tuple(f"{i:04d}" for i in range(len(lists)))
    return Fields(ids, {"hypothesis": list(hypotheses), "references": lists, **columns})


def measured(given: Fields, **options: Any) -> dict[str, Estimate]:
    """Estimates by output."""
    spec = find_metric("rouge")
    checked = spec.check_options(options)
    found = spec.under(checked).measure({"texts": given}, Context(), checked)
    return {one.output: one for one in found}


def scored(kind: str, hypothesis: str, reference: Any, **options: Any) -> tuple[float, ...]:
    """Precision, recall and F1 of one record, which stands there twice."""
    options = {"tokenizer": "rouge", **options}
    one = measured(texts([hypothesis] * 2, [reference] * 2), types=[kind], **options)[kind]
    assert one.number is not None, one.problem
    columns = one.tables[0].columns
    assert columns["f1"][0] == pytest.approx(one.number, abs=1e-15)
    return tuple(float(columns[name][0] or 0) for name in ("precision", "recall", "f1"))


# ------------------------------------------- rouge-score's rouge_scorer_test.py (0.1.2)

FIVE, TWICE = "w1 w2 w3 w4 w5", "w1 w2 w6 w7 w8\nw1 w3 w8 w9 w5"


@pytest.mark.parametrize(
    ("kind", "reference", "hypothesis", "expected"),
    [
        ("rouge1", "testing one two", "testing", (1, 1 / 3, 1 / 2)),
        ("rouge1", "testing one two", "testing one", (1, 2 / 3, 4 / 5)),
        ("rouge2", "testing one two", "testing one", (1, 1 / 2, 2 / 3)),
        ("rougeL", "testing one two", "testing one", (1, 2 / 3, 4 / 5)),
        ("rougeL", "testing one two", "testing two", (1, 2 / 3, 4 / 5)),
        ("rouge1", ["first text", "first something"], "text first", (1, 1, 1)),
        ("rouge2", ["first text", "first something"], "text first", (0, 0, 0)),
        ("rougeL", ["first text", "first something"], "text first", (1 / 2, 1 / 2, 1 / 2)),
        ("rougeLsum", FIVE, TWICE, (0.4, 0.8, 0.64 / 1.2)),
        ("rougeLsum", FIVE, "", (0, 0, 0)),
        ("rougeLsum", "", "w1", (0, 0, 0)),
        ("rougeLsum", FIVE, "/", (0, 0, 0)),
        *((kind, "testing one two", "", (0, 0, 0)) for kind in ALL),
    ],
)
def test_values_of_rouge_scores_tests(
    kind: str, reference: Any, hypothesis: str, expected: tuple[float, ...]
) -> None:
    """testRouge1 to testRougeLsum, to their 7 places (F1 of rougeLsum by its formula)."""
    assert scored(kind, hypothesis, reference) == pytest.approx(expected, abs=1e-7)


def test_sentences_are_lines() -> None:
    """testRougeLSumSentenceSplitting: exchanged sentences on lines are equal, in a row half."""
    wanted, made = "First sentence.\nSecond Sentence.", "Second sentence.\nFirst Sentence."
    assert scored("rougeLsum", made, wanted, use_stemmer=True)[2] == 1.0
    made, wanted = made.replace("\n", " "), wanted.replace("\n", " ")
    assert scored("rougeLsum", made, wanted, use_stemmer=True)[2] == 0.5


def test_union_of_subsequences() -> None:
    """testSummaryLevelLcs: the example in section 3.2 of Lin 2004, 4 hits among 5 and 10 tokens."""
    assert shared_summary([[1, 2, 6, 7, 8], [1, 3, 8, 9, 5]], [[1, 2, 3, 4, 5]]) == 4


def test_means_over_records() -> None:
    """scoring_test.py's aggregates of three scores: 2/3, 4/9 and 3/6, here plain means."""
    found = measured(texts(["a", "b", "a b c"], ["a b c"] * 3), types=["rouge1"])["rouge1"]
    scores = [1 / 2, 1 / 2, 1]
    assert found.number == pytest.approx(np.mean(scores))
    assert found.evidence[Role.GENERATED].rows.tolist() == pytest.approx(scores)
    assert found.interval is not None
    half = 1.959964 * np.std(scores, ddof=1) / np.sqrt(3)
    assert found.interval.high - 2 / 3 == pytest.approx(half, abs=1e-6)
    columns = found.tables[0].columns
    assert columns["precision"] == pytest.approx([1])
    assert columns["recall"] == pytest.approx([5 / 9])


# Token numbers of lines 0 to 3 of target_multi.0.txt and prediction_multi.0.txt, random letters of
# rouge-score's testdata/pyrouge_files: as they are, and stemmed by NLTK. Lines 0 and 1 are those of
# its target.txt and prediction.txt.
NUMBERS = json.loads((Path(__file__).parents[1] / "data" / "rouge_155.json").read_bytes())


@pytest.mark.parametrize(
    ("form", "kind", "lines", "expected"),
    [
        ("plain", "rouge1", [0], (0.68750, 0.40741, 0.51163)),
        ("plain", "rouge1", [1], (0.65385, 0.40476, 0.50000)),
        ("stemmed", "rouge1", [0], (0.68750, 0.40741, 0.51163)),
        ("stemmed", "rouge1", [1], (0.69231, 0.42857, 0.52941)),
        ("plain", "rouge2", [0], (0.53333, 0.30769, 0.39024)),
        ("plain", "rouge2", [1], (0.48000, 0.29268, 0.36364)),
        ("stemmed", "rouge2", [0], (0.53333, 0.30769, 0.39024)),
        ("stemmed", "rouge2", [1], (0.48000, 0.29268, 0.36364)),
        ("plain", "rougeL", [0], (0.68750, 0.40741, 0.51163)),
        ("plain", "rougeL", [1], (0.65385, 0.40476, 0.50000)),
        ("stemmed", "rougeLsum", [0, 1, 2, 3], (0.66667, 0.36538, 0.47205)),
    ],
)
def test_values_of_the_original_rouge(
    form: str, kind: RougeType, lines: list[int], expected: tuple[float, ...]
) -> None:
    """ROUGE-1.5.5 in Perl, by test…AgainstRouge155 of rouge_scorer_test.py, to its 5 places."""
    made, wanted = (
        [NUMBERS[form][side][line] for line in lines] for side in ("prediction", "target")
    )
    (found,) = rouge_of([kind], made, wanted)
    assert (found.precision, found.recall, found.f1) == pytest.approx(expected, abs=5e-6)


# ------------------------------------------------------------- rouge-score on random text


@pytest.mark.parametrize("stemmed", [False, True])
@settings(deadline=None, max_examples=60)
@given(made=st.tuples(MADE, MADE, MADE), wanted=st.tuples(WANTED, WANTED, WANTED, WANTED))
def test_every_type_equals_rouge_score(
    stemmed: bool, made: tuple[str, ...], wanted: tuple[str, ...]
) -> None:
    """Every score and the mean precision and recall, with one and with two references."""
    lists = [[wanted[0]], [wanted[1]], [wanted[2], wanted[3]]]
    found = measured(texts(made, lists), types=ALL, tokenizer="rouge", use_stemmer=stemmed)
    scorer = RougeScorer(ALL, use_stemmer=stemmed)
    peers = [scorer.score_multi(one, text) for one, text in zip(lists, made, strict=True)]
    for kind in ALL:
        rows = found[kind].evidence[Role.GENERATED].rows
        assert rows == pytest.approx([one[kind].fmeasure for one in peers], abs=1e-9)
    columns = found["rouge1"].tables[0].columns
    for name in ("precision", "recall"):
        means = [np.mean([getattr(one[kind], name) for one in peers]) for kind in ALL]
        assert columns[name] == pytest.approx(means, abs=1e-9)


@given(wanted=FEW, made=FEW)
def test_the_subsequence_is_the_one_rouge_score_traces_back(
    wanted: list[int], made: list[int]
) -> None:
    """Few different tokens have many longest common subsequences; the places are the package's."""
    found = common_places(wanted, places_of(made), len(made))
    assert found[::-1] == rouge_scorer.lcs_ind(wanted, made)


def test_subsequences_of_long_sentences() -> None:
    """The same of sentences longer than a machine word."""
    rng = np.random.default_rng(0)
    for _ in range(5):
        wanted, made = rng.integers(0, 20, size=(2, 150)).tolist()
        found = common_places(wanted, places_of(made), len(made))
        assert found[::-1] == rouge_scorer.lcs_ind(wanted, made)


def test_split_summaries_equals_rouge_score(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in for Punkt's data, rougeLsum of running text is the package's."""
    monkeypatch.setattr(nltk, "sent_tokenize", lambda text: re.split(r"(?<=\.) ", text))
    made, wanted = "A dog barks. The man runs. It rains.", "It rains. A man runs. The dog barks."
    found = scored("rougeLsum", made, wanted, split_summaries=True)
    peer = RougeScorer(["rougeLsum"], split_summaries=True).score(wanted, made)["rougeLsum"]
    assert found == pytest.approx(tuple(peer), abs=1e-9)
    assert found[2] > scored("rougeLsum", made, wanted)[2]


def test_split_summaries_without_its_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is downloaded: the problem says what to do, and types without sentences need none."""
    monkeypatch.setattr(nltk.data, "path", [])
    given = texts(["one. two."] * 2, ["one. two."] * 2)
    found = measured(given, split_summaries=True)
    assert "python -m nltk.downloader punkt_tab" in str(found["rougeLsum"].problem)
    assert measured(given, split_summaries=True, types=["rougeL"])["rougeL"].number == 1.0


# ------------------------------------------------------------------ languages and options

CHINESE = ["火车早上七点出发。", "他在北京工作"]


def test_a_reference_that_loses_all_its_words_is_a_problem() -> None:
    """rouge-score gives Chinese 0; here the option that reads it so is refused with the remedy."""
    given = texts(CHINESE, CHINESE)
    for found in measured(given, tokenizer="rouge").values():
        assert found.problem is not None
        assert found.problem.startswith("2 of 2 records")
        assert "set tokenizer: unicode" in found.problem
    assert measured(given, tokenizer="unicode")["rougeL"].number == 1.0


def test_a_hypothesis_without_words_is_0() -> None:
    """A hypothesis in Chinese where English was wanted shares nothing, which is its score."""
    found = measured(texts([CHINESE[0], "a dog"], ["a dog", "a dog"]), tokenizer="rouge")
    assert found["rouge1"].number == 0.5


def test_a_reference_without_words_is_told() -> None:
    """Neither tokeniser has words for an emoji or a blank: its 0 is no finding on the text."""
    found = measured(texts(["👍", "a dog", "the cat"], ["👍", "  ", "the cat"]))["rougeL"]
    assert found.number == pytest.approx(1 / 3)
    assert found.finding == "2 records without a word in any reference score 0"


def test_chinese_by_characters() -> None:
    """Hand-computed: 我爱北京 and 我爱上海 share 2 of 4 characters and 1 of 3 pairs."""
    found = measured(texts(["我爱北京。"] * 2, ["我爱上海。"] * 2))
    assert [one.number for one in found.values()] == pytest.approx([1 / 2, 1 / 3, 1 / 2, 1 / 2])
    assert found["rouge1"].signed["tokenizer"] == "unicode"
    assert found["rouge1"].finding == "tokenised as unicode, by lang or script"


@pytest.mark.parametrize(
    ("references", "lang", "expected"),
    [
        (["a dog", "naïve dogs"], ["en", "en-GB"], ["rouge", "rouge"]),
        (["ein Hund", "a dog"], ["de", "eng"], ["unicode", "rouge"]),
        (["北京", "a dog"], ["en", "en"], ["unicode", "rouge"]),
        (["a dog " * 100, "naïve dogs"], None, ["rouge", "rouge"]),
        (["a dog", "Übermütige Köche"], None, ["unicode", "unicode"]),
        (["a dog " * 400, "北京"], None, ["rouge", "unicode"]),
        (["...", ""], None, ["rouge", "rouge"]),
        (["Собака бежит", "Kissa juoksee"], ["ru", "fi"], ["unicode", "unicode"]),
    ],
)
def test_the_tokeniser_follows_from_language_and_script(
    references: list[str], lang: list[str] | None, expected: list[str]
) -> None:
    """English is read as the package does, every other language by words of its own."""
    assert chosen_tokenizers([[one] for one in references], lang, None) == expected


def test_letters_with_marks_stay_in_their_words() -> None:
    """`naïve` is two words to rouge-score and one to `unicode`: 2 of 3 tokens shared, or 1 of 2."""
    made, wanted = "naïve dog", "naïve cat"
    assert scored("rouge1", made, wanted)[2] == pytest.approx(2 / 3)
    assert scored("rouge1", made, wanted, tokenizer="unicode")[2] == 1 / 2


def test_the_signature_has_what_the_output_follows_from() -> None:
    """One type's value is comparable whatever other types stand beside it."""
    given = texts(["a dog", "a cat"], ["a dog", "a cow"])
    alone, among = measured(given, types=["rougeL"]), measured(given)
    assert alone["rougeL"].signed == among["rougeL"].signed
    assert alone["rougeL"].signed == {"types": "rougeL", "tokenizer": "rouge", "nrefs": 1}


@pytest.mark.parametrize("kind", ["rougen", "rouge0", "rouge10"])
def test_types_that_there_are_not(kind: str) -> None:
    """testInvalidRougeTypes: refused before anything is read."""
    with pytest.raises(UsageError, match="types"):
        find_metric("rouge").check_options({"types": [kind]})


def test_a_missing_reference_is_left_out() -> None:
    """Records may have fewer references than others; the best of those present counts."""
    found = measured(texts(["a b"] * 2, [["a c", "a b"], ["a c", None]]), types=["rouge1"])
    assert found["rouge1"].evidence[Role.GENERATED].rows.tolist() == [1.0, 0.5]
    assert found["rouge1"].signed["nrefs"] == "var"
