"""geneval.flips: the samples that a comparison turns on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from geneval.compare import compare, from_json, to_json
from geneval.engine.progress import Silent
from geneval.evaluator import evaluate
from geneval.flips import flips
from geneval.reports.comparedoc import comparison_view
from geneval.reports.html import render_comparison
from geneval.result import Result

WANTED = ["the cat sees a dog", "a man finds the house", "never say never again", "rain falls"]


def result(texts: list[str], name: str, out: Path | None = None, **overrides: Any) -> Result:
    """The result of these texts under a suite that pairs by id."""
    records = [
        {"id": f"q{i}", "hypothesis": text, "references": [wanted]}
        for i, (text, wanted) in enumerate(zip(texts, WANTED, strict=True))
    ]
    return evaluate(
        "exact_match,ter,bleu",
        samples=records,
        name=name,
        out=out,
        overrides={"pair_by": "id"} | overrides,
        progress=Silent(),
    )


def test_right_and_wrong() -> None:
    """What was right and is wrong has fallen; what was wrong and is right has risen."""
    before = result([WANTED[0], WANTED[1], "nothing", "rain fell"], "before")
    after = result([WANTED[0], "a man", WANTED[2], "rain fell"], "after")
    found = flips(after, before, "exact_match")
    assert found is not None
    assert (found.better, found.worse, found.same) == (1, 1, 2)
    assert [(f.id, f.before, f.after) for f in found.fallen] == [("q1", 1.0, 0.0)]
    assert [(f.id, f.before, f.after) for f in found.risen] == [("q2", 0.0, 1.0)]


def test_lower_is_better_and_sentences_of_a_corpus_score() -> None:
    """TER falls where a text gets better; BLEU's sentences are of the orders they are long for."""
    before = result(["x y", *WANTED[1:]], "before")
    after = result([*WANTED[:3], "rain rain rain"], "after")
    ter, bleu = flips(after, before, "ter"), flips(after, before, "bleu")
    assert ter is not None
    assert bleu is not None
    assert [f.id for f in ter.risen] == [f.id for f in bleu.risen] == ["q0"]
    assert [f.id for f in ter.fallen] == [f.id for f in bleu.fallen] == ["q3"]
    (risen,) = ter.risen
    assert (risen.before, risen.after) == (100.0, 0.0)
    (fallen,) = bleu.fallen
    assert fallen.before == pytest.approx(100.0)  # two words: bigrams are the longest there are


@pytest.mark.parametrize(
    ("metrics", "address"),
    [
        ("language_fidelity", "language_fidelity.lines"),
        ("ngram_novelty", "ngram_novelty.novelty_2"),
        ("repetition", "repetition.diversity"),
        ("spelling_errors", "spelling_errors"),
    ],
)
def test_a_share_of_nothing_is_no_score(metrics: str, address: str) -> None:
    """A blank output has no line, n-gram or word to judge: it neither falls nor rises."""
    said = [f"every morning they walk to the river and see {i} ships again" for i in range(4)]
    results = [
        evaluate(
            metrics,
            samples=[
                {"hypothesis": text, "references": ["they go home"], "lang": "en"} for text in texts
            ],
            name=name,
            progress=Silent(),
        )
        for name, texts in (("before", said), ("after", ["", *said[1:]]))
    ]
    found = flips(results[1], results[0], address)
    assert found is not None
    assert (found.better, found.worse, found.same) == (0, 0, 3)


def test_metrics_of_texts_named_alone_pair() -> None:
    """`geneval compare --suite exact_match A=… B=…` pairs by id as the shipped suites do."""
    records = [{"id": f"q{i}", "hypothesis": t, "references": [t]} for i, t in enumerate(WANTED)]
    a, b = (evaluate("exact_match", samples=records, name=n, progress=Silent()) for n in "ab")
    found = flips(a, b, "exact_match")
    assert found is not None
    assert found.same == len(WANTED)


def test_nothing_pairs_unless_the_suite_says_so() -> None:
    """Without `pair_by: id` equal ids are a coincidence."""
    a, b = (result(WANTED, name, pair_by=None) for name in "ab")
    assert flips(a, b, "exact_match") is None
    assert flips(result(WANTED, "a"), result(WANTED, "b"), "nothing") is None


def test_a_report_shows_both_texts_beside_the_reference(tmp_path: Path) -> None:
    """The comparison counts the samples that moved and shows them, escaped."""
    before = result(WANTED, "before", tmp_path)
    after = result(["the cat <b>sees</b> a dog", *WANTED[1:]], "after", tmp_path)
    comparison = compare([before, after])
    assert from_json(to_json(comparison)) == comparison
    view = comparison_view(comparison, tmp_path)
    moved = {one.address: one for one in view.moved}
    assert (moved["exact_match"].worse, moved["exact_match"].same) == (1, 3)
    page = render_comparison(view)
    assert "Samples that moved" in page
    assert "<b>sees" not in page
    assert "1 → 0" in page


def test_a_comparison_in_which_nothing_moved_has_no_such_section(tmp_path: Path) -> None:
    """Equal texts under two names move nothing."""
    one = result(WANTED, "before", tmp_path)
    other = result(WANTED, "after", tmp_path)
    view = comparison_view(compare([one, other]), tmp_path)
    assert view.moved == ()
    assert "Samples that moved" not in render_comparison(view)
