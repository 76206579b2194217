"""Metrics of features on texts, from records to results, by the encoder that needs no model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from geneval.cli.outcome import text
from geneval.errors import UsageError
from geneval.evaluator import open_job
from geneval.extractors.char_ngrams import CharNgrams
from geneval.ledger import Ledger
from geneval.metrics.diversity.vendi import vendi_parts
from geneval.result import Result
from geneval.run import execute
from geneval.suite import load_suite
from geneval.value import Role

NGRAMS = ("samples={kind: texts}", "extractor=char-ngrams")
PLACES = ["harbour", "market", "station", "library", "河边", "山上", "车站", "图书馆"]


def written(seed: int, n: int, words: int = 8) -> list[str]:
    """Sentences of the first few of eight places, in two scripts."""
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(PLACES[:words], size=6)) + f" {i}" for i in range(n)]


def result(ledger: Ledger, metrics: str, *settings: str, **given: Any) -> Result:
    """A run of metrics on texts by char-ngrams."""
    suite = load_suite(metrics, [*NGRAMS, *settings])
    return execute(open_job(suite, ledger, **given)).result


def test_vendi_counts_different_texts(ledger: Ledger) -> None:
    """Equal texts are one sample; the score is that of the encoder's rows."""
    same = result(ledger, "vendi", samples=["one and the same text"] * 30)
    assert same["vendi"].number == pytest.approx(1, abs=1e-6)
    texts = written(0, 30)
    expected, _ = vendi_parts(CharNgrams(512).embed(texts), 1.0)
    assert result(ledger, "vendi", samples=texts)["vendi"].number == pytest.approx(expected)


def test_frechet_distance_of_texts(ledger: Ledger) -> None:
    """0 of a set to itself, more the fewer words one set has; the floor has no JPEG."""
    reference, settings = written(1, 120), ("extractor={name: char-ngrams, width: 16}",)
    found = {
        words: result(
            ledger, "fid", *settings, samples=written(2, 100, words), reference=reference
        )["fid"]
        for words in (8, 6, 2)
    }
    itself = result(ledger, "fid", *settings, samples=reference, reference=reference)["fid"]
    assert itself.number == pytest.approx(0, abs=1e-6)
    numbers = [found[words].number or 0.0 for words in (8, 6, 2)]
    assert numbers == sorted(numbers)
    floor = found[2].floor
    assert floor is not None
    assert floor.number is not None
    assert floor.jpeg is None
    assert floor.number < numbers[2]


def test_floors_of_texts_are_printed_without_jpeg(ledger: Ledger) -> None:
    """Where no value has the second mark, neither column nor legend speaks of it."""
    suite = load_suite("fid", [*NGRAMS])
    job = open_job(suite, ledger, samples=written(1, 60), reference=written(2, 60))
    told = text(execute(job))
    assert "floor (n)" in told
    assert "against each other" in told
    assert "JPEG" not in told


def test_a_set_of_references_may_be_of_another_size(ledger: Ledger) -> None:
    """MAUVE takes two sets that do not pair, or the references of the records themselves."""
    texts, reference = written(3, 60), written(4, 90)
    apart = result(ledger, "mauve", samples=texts, reference=reference)["mauve"]
    assert apart.n == {Role.GENERATED: 60, Role.REFERENCE: 90}
    records = [{"hypothesis": text, "references": [text]} for text in texts]
    assert result(ledger, "mauve", samples=records)["mauve"].number == pytest.approx(1)


def test_similarity_takes_references_from_a_file_of_their_own(ledger: Ledger) -> None:
    """References that lie by themselves pair with the samples by id."""
    texts = written(5, 20)
    found = result(ledger, "semantic_similarity", samples=texts, reference=texts)
    value = found["semantic_similarity"]
    assert value.number == pytest.approx(1, abs=1e-6)
    assert dict(value.signature.fields)["nrefs"] == 1


@pytest.mark.parametrize(
    ("metric", "names"),
    [
        ("vendi", "char-ngrams or sentence-transformers:"),
        ("mauve", "char-ngrams or sentence-transformers:"),
        ("semantic_similarity", "sentence-transformers:NAME_OR_PATH or char-ngrams"),
        ("bertscore", "transformers:NAME_OR_PATH"),
        ("perplexity", "causal-lm:NAME_OR_PATH"),
    ],
)
def test_texts_need_an_encoder_that_is_named(ledger: Ledger, metric: str, names: str) -> None:
    """The extractor of suites of images is never taken for texts; one sentence says what would."""
    records = [{"hypothesis": text, "references": [text]} for text in written(6, 30)]
    with pytest.raises(UsageError, match=f"{metric} needs a model that reads texts.*{names}"):
        open_job(load_suite(metric, [NGRAMS[0]]), ledger, samples=records)


def test_extractors_and_samples_of_different_kinds(ledger: Ledger) -> None:
    """An extractor of images is refused for texts, and one of texts for images."""
    of_images = load_suite("vendi", [NGRAMS[0], "extractor=pixels"])
    with pytest.raises(UsageError, match=r"reads images, and samples holds texts.*char-ngrams"):
        open_job(of_images, ledger, samples=written(7, 30))
    images = np.zeros((30, 4, 4, 3), dtype=np.uint8)
    with pytest.raises(UsageError, match="reads texts, and samples holds images"):
        open_job(load_suite("vendi", [NGRAMS[1]]), ledger, samples=images)


def test_an_optional_metric_without_its_model_is_skipped(ledger: Ledger) -> None:
    """A suite may ask for BERTScore where a model is there, and go on where none is."""
    absent = ("metrics.bertscore.extractor=transformers:/absent", "metrics.bertscore.optional=true")
    suite = load_suite("vendi,bertscore", [*NGRAMS, *absent])
    job = open_job(suite, ledger, samples=written(8, 30))
    assert "no model there" in job.plan.skipped["bertscore"]
