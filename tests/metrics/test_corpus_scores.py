"""bleu, chrf and ter: sacrebleu's own test values, and sacrebleu itself on random text."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from geneval.data import Fields
from geneval.metric import find_metric
from geneval.metrics.text.bleu import corpus_bleu
from geneval.metrics.text.chrf import corpus_chrf
from geneval.metrics.text.ter import corpus_ter
from geneval.resample import (
    Context,
    approximate_randomization,
    bootstrap_sums,
    paired_bootstrap,
)
from geneval.text import corpus
from geneval.text.corpus import segment_statistics
from geneval.value import Estimate, Role

WORDS = [
    *("el", "perro", "的", "dog,", "bit;", "the", "man.", "was", "中文", "it?", "naïve", "Straße"),
    *("(no)", "one", "'surprised'", "12,5", "&amp;"),
]
HYPOTHESES = ["The dog bit the man.", "It wasn't surprising.", "The man had just bitten him."]
BLEU_OPTIONS = ("tokenize", "lowercase", "smooth_method", "smooth_value")
REFERENCES = [  # by record; sacrebleu's tests have them by reference
    ["The dog bit the man.", "The dog had bit the man."],
    ["It was not unexpected.", "No one was surprised."],
    ["The man bit him first.", "The man had bitten the dog."],
]


def texts(hypotheses: Sequence[str], references: Sequence[Any], **columns: Any) -> Fields:
    """Records of these texts; a reference that is one text is a list of one."""
    lists = [[one] if isinstance(one, str) else list(one) for one in references]
    ids = tuple(f"{i:04d}" for i in range(len(lists)))
    return Fields(ids, {"hypothesis": list(hypotheses), "references": lists, **columns})


def measured(name: str, given: Fields, **options: Any) -> Estimate:
    """The estimate of a metric with one output."""
    spec = find_metric(name)
    (found,) = spec.measure({"texts": given}, Context(), spec.check_options(options))
    return found


def number(name: str, given: Fields, **options: Any) -> float:
    """Its number."""
    found = measured(name, given, **options)
    assert found.number is not None, found.problem
    return found.number


def twice(hypotheses: Sequence[str], references: Sequence[Any]) -> Fields:
    """The records two times over, which changes no corpus score; a value needs two records."""
    return texts([*hypotheses, *hypotheses], [*references, *references])


def random_texts(rng: np.random.Generator, n: int, references: int) -> Fields:
    """Sentences in several scripts, some blank, with so many references, some of them missing."""

    def sentence() -> str:
        return " ".join(rng.choice(WORDS, size=int(rng.integers(0, 12))))

    lists = [[sentence() for _ in range(references)] for _ in range(n)]
    for one in lists[::5]:
        one[1:] = [None] * (references - 1)  # type: ignore[list-item]
    hypotheses = [
        one[0] if rng.random() < 0.2 else " ".join([*one[0].split()[2:], sentence()])
        for one in lists
    ]
    return texts(hypotheses, lists)


# -------------------------------------------------------- sacrebleu's test_bleu.py (2.6.0)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 48.530827),
        ({"tokenize": "none"}, 49.1919566),
        ({"tokenize": "13a"}, 48.530827),
        ({"tokenize": "intl"}, 43.91623493),
        ({"smooth_method": "none"}, 48.530827),
    ],
)
def test_bleu_of_sacrebleus_example(options: dict[str, Any], expected: float) -> None:
    """test_corpus_bleu of sacrebleu's test_bleu.py, to its own 1e-8 (48.530827 has 6 decimals)."""
    found = number("bleu", texts(HYPOTHESES, REFERENCES), **options)
    assert found == pytest.approx(expected, abs=5e-7 if expected == 48.530827 else 6e-8)


@pytest.mark.parametrize(
    ("order", "expected"),
    [(1, "77.65"), (2, "60.50"), (3, "53.93"), (4, "48.53"), (5, "46.14"), (6, "43.28")],
)
def test_bleu_of_other_orders(order: int, expected: str) -> None:
    """test_max_ngram_order of sacrebleu's test_bleu.py."""
    found = number("bleu", texts(HYPOTHESES, REFERENCES), max_ngram_order=order)
    assert f"{found:.2f}" == expected


def test_blank_hypotheses_are_not_removed() -> None:
    """sacrebleu's test_bleu.py: three empty hypotheses give 0, not an error."""
    assert number("bleu", texts(["", "", ""], REFERENCES)) == 0.0


@pytest.mark.parametrize(
    ("hypothesis", "reference", "expected"),
    [
        ("this is a test", "this is a test", 1.0),
        ("this is a fest", "this is a test", 0.223606797749979),
        ("test", "a test", 0.3678794411714425),
        ("a test", "a test", 1.0),
        ("a little test", "a test", 0.03218297948685433),
    ],
)
def test_raw_bleu(hypothesis: str, reference: str, expected: float) -> None:
    """test_raw_bleu and test_effective_order of sacrebleu's test_bleu.py: floor 0.01, no tokeniser.

    Its raw_corpus_bleu uses the effective order, so the scores are those of single segments.
    """
    o = SimpleNamespace(smooth_method="floor", smooth_value=0.01, max_ngram_order=4)
    scorer = BLEU(tokenize="none", force=True)
    rows = segment_statistics(scorer, [hypothesis], [[reference]])
    found = corpus_bleu(rows, o, effective=True)[0] / 100
    assert found == pytest.approx(expected, abs=1e-8)


def test_statistics_of_a_segment() -> None:
    """test_statistics of sacrebleu's test_bleu.py: matches 4, 2, 1, 0 of 6, 5, 4, 3 n-grams."""
    made, wanted = "am I am a character sequence", "I am a symbol string sequence a a"
    found = measured("bleu", texts([made, made], [wanted, wanted]), tokenize="none")
    for row in found.evidence[Role.GENERATED].rows.tolist():
        assert row == [6, 8, 4, 2, 1, 0, 6, 5, 4, 3]


SYS = "Producția de zahăr primă va fi exprimată în ceea ce privește zahărul alb;"
REF = "producţia de zahăr brut se exprimă în zahăr alb;"


@pytest.mark.parametrize(
    ("method", "value", "lowercase", "tokenize", "expected"),
    [
        ("exp", None, False, "13a", 8.493),
        ("none", None, False, "13a", 0.0),
        ("floor", None, False, "13a", 4.51688),
        ("floor", 0.1, False, "13a", 4.51688),
        ("floor", 0.5, False, "13a", 10.10),
        ("add-k", None, False, "13a", 14.882),
        ("add-k", 1, False, "13a", 14.882),
        ("add-k", 2, False, "13a", 21.389),
        ("exp", None, False, "none", 7.347),
        ("exp", None, False, "intl", 8.493),
        ("exp", None, False, "char", 40.8759),
        ("exp", None, True, "char", 42.0267),
    ],
)
def test_sentence_bleu(
    method: str, value: float | None, lowercase: bool, tokenize: str, expected: float
) -> None:
    """sacrebleu's test_sentence_bleu.py, to its 1e-3: what the gallery says of one item."""
    given = texts([SYS, SYS], [REF, REF])
    options = {"smooth_method": method, "smooth_value": value, "lowercase": lowercase}
    found = measured("bleu", given, tokenize=tokenize, **options)
    rows = found.evidence[Role.GENERATED].rows
    o = SimpleNamespace(smooth_method=method, smooth_value=value, max_ngram_order=4)
    assert corpus_bleu(rows, o, effective=True)[0] == pytest.approx(expected, abs=1e-3)
    (gallery,) = found.galleries
    assert float(gallery.captions[0]) == pytest.approx(expected, abs=5e-3)


@pytest.mark.parametrize("method", ["exp", "none", "floor", "add-k"])
def test_no_common_word_is_0(method: str) -> None:
    """sacrebleu's test_sentence_bleu.py (#141): smoothing does not reward what has no match."""
    given = texts(["this is a cat"] * 2, ["okay thanks"] * 2)
    assert number("bleu", given, smooth_method=method) == 0.0


# -------------------------------------------------------- sacrebleu's test_chrf.py (2.6.0)

RISK = (
    "risk assessment must be made of those who are qualified and expertise in the sector - these "
    "are the scientists ."
)
RISK_REF = (
    "risk assessment has to be undertaken by those who are qualified and expert in that area - "
    "that is the scientists ."
)
OBAMA_REF = "Das Verhältnis zwischen Obama und Netanyahu ist nicht gerade freundschaftlich."


@pytest.mark.parametrize(
    ("hypotheses", "references", "options", "expected"),
    [
        (["abcdefg"], ["hijklmnop"], {"eps_smoothing": True}, 0.0),
        ([""], ["reference"], {"eps_smoothing": True}, 0.0),
        (["aa"], ["ab"], {"eps_smoothing": True}, 8.3333),
        (["a", "b"], ["a", "c"], {"eps_smoothing": True}, 8.3333),
        (["a"], ["a"], {"eps_smoothing": True}, 16.6667),
        (["a b c"], ["abc"], {"eps_smoothing": True}, 50.0),
        ([f" {RISK}"], [RISK_REF], {"eps_smoothing": True}, 63.361730),
        (
            [" Die    Beziehung zwischen  Obama und Netanjahu ist nicht gerade  freundlich. "],
            [OBAMA_REF],
            {"eps_smoothing": True},
            64.1302698,
        ),
        (["a"], ["a"], {}, 100.0),
        ([""], ["reference"], {}, 0.0),
        (["a b c"], ["abc"], {}, 100.0),
        (["a", "b"], ["a", "c"], {}, 50.0),
        (["aa"], ["ab"], {}, 25.0),
        (
            ["Die Beziehung zwischen Obama und Netanjahu ist nicht gerade freundlich."],
            [OBAMA_REF],
            {"whitespace": True},
            67.3481606,
        ),
        ([RISK], [RISK_REF], {"whitespace": True}, 65.2414427),
    ],
)
def test_chrf_of_sacrebleus_examples(
    hypotheses: list[str], references: list[str], options: dict[str, Any], expected: float
) -> None:
    """test_chrf, test_chrf_eff_order and test_chrf_keep_whitespace, beta 3, to their 1e-4."""
    found = number("chrf", twice(hypotheses, references), beta=3, **options)
    assert found == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("hypothesis", "reference", "expected"),
    [
        (
            "Co nás nejvíc trápí, protože lékaři si vybírají, kdo bude žít a kdo zemře.",
            "Nejvíce smutní jsme z toho, že musíme rozhodovat o tom, kdo bude žít a kdo zemře.",
            39.14078509,
        ),
        (
            "Nebo prostě nemají vybavení, které by jim pomohlo, uvedli lékaři.",
            "A někdy nemáme ani potřebný materiál, abychom jim pomohli, popsali lékaři.",
            31.22557079,
        ),
        (
            "Lapali po dechu, jejich životy skončily dřív, než skutečně začaly.",
            "Lapali po dechu a pak jejich život skončil - dřív, než skutečně mohl začít, "
            "připomněli.",
            57.15704367,
        ),
    ],
)
def test_chrf_of_sentences(hypothesis: str, reference: str, expected: float) -> None:
    """test_chrf_sentence_level of sacrebleu's test_chrf.py, to its 1e-4."""
    found = number("chrf", twice([hypothesis], [reference]), eps_smoothing=True)
    assert found == pytest.approx(expected, abs=1e-4)


# -------------------------------------------------------- sacrebleu's test_ter.py (2.6.0)


def test_ter_of_a_book_is_told_and_not_tried() -> None:
    """Fifty thousand words a side took 13 GB and minutes: the record is named at once."""
    for text in ("word " * 50_000, "他去图书馆看书" * 7_000):
        problem = str(measured("ter", texts(["a word", text], ["a word", text])).problem)
        assert "record 0001 is too long" in problem
        assert "chrf" in problem


@pytest.mark.parametrize(
    ("hypothesis", "reference", "expected"),
    [
        ("aaaa bbbb cccc dddd", "aaaa bbbb cccc dddd", 0.0),
        ("dddd eeee ffff", "aaaa bbbb cccc", 100.0),
        ("", "a", 100.0),
        ("a", "", 100.0),
        ("", "", 0.0),
        ("d e f g h a b c", "a b c d e f g h", 12.5),  # a single shift
    ],
)
def test_ter_of_sacrebleus_examples(hypothesis: str, reference: str, expected: float) -> None:
    """test_ter of sacrebleu's test_ter.py, to its 1e-3."""
    assert number("ter", twice([hypothesis], [reference])) == pytest.approx(expected, abs=1e-3)


# ------------------------------------------------------------- sacrebleu on random text


@pytest.mark.parametrize("references", [1, 3])
@pytest.mark.parametrize(
    ("name", "options", "scorer"),
    [
        ("bleu", {"tokenize": "char"}, BLEU(tokenize="char")),
        ("bleu", {"tokenize": "zh", "lowercase": True}, BLEU(tokenize="zh", lowercase=True)),
        ("bleu", {"smooth_method": "add-k"}, BLEU(smooth_method="add-k")),
        ("bleu", {"smooth_method": "floor"}, BLEU(smooth_method="floor")),
        ("chrf", {}, CHRF()),
        ("chrf", {"word_order": 2}, CHRF(word_order=2)),
        ("chrf", {"eps_smoothing": True, "beta": 3}, CHRF(eps_smoothing=True, beta=3)),
        ("ter", {}, TER()),
        ("ter", {"normalized": True, "asian_support": True}, TER(True, False, True)),
    ],
)
def test_corpus_and_segments_equal_sacrebleu(
    name: str, options: dict[str, Any], scorer: Any, references: int
) -> None:
    """Corpus score, score of every segment and signature are sacrebleu's, blank texts included."""
    given = random_texts(np.random.default_rng(references), 60, references)
    hypotheses, lists = given.columns["hypothesis"], given.columns["references"]
    found = measured(name, given, **options)
    corpus = scorer.corpus_score(hypotheses, list(zip(*lists, strict=True)))
    assert found.number == pytest.approx(corpus.score, abs=1e-9)
    assert str(scorer.get_signature()) in str(found.signed["sacrebleu"])
    o = SimpleNamespace(**find_metric(name).check_options(options))
    rows = found.evidence[Role.GENERATED].rows
    if name == "bleu":
        scorer = BLEU(
            effective_order=True, **{k: v for k, v in vars(o).items() if k in BLEU_OPTIONS}
        )
        each = corpus_bleu(rows, o, effective=True)
    else:
        each = {"chrf": corpus_chrf, "ter": corpus_ter}[name](rows, o)
    for made, wanted, score in zip(hypotheses, lists, each, strict=True):
        alone = scorer.sentence_score(made, [one for one in wanted if one is not None])
        assert score == pytest.approx(alone.score, abs=1e-9)


def test_segments_are_counted_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of any size have the counts and the signature of the whole."""
    given = random_texts(np.random.default_rng(3), 20, 2)
    whole = measured("bleu", given)
    monkeypatch.setattr(corpus, "_AT_A_TIME", 7)
    parts = measured("bleu", given)
    rows = [one.evidence[Role.GENERATED].rows for one in (whole, parts)]
    assert np.array_equal(*rows)
    assert whole.signed == parts.signed


# ------------------------------------------------- sacrebleu's test_significance.py (2.6.0)

# Statistics [16 systems, 3,004 segments, 10] of sacrebleu's `BLEU(tokenize="none")` on the texts of
# its test/wmt17_en_de_systems.pkl.bz2 against their reference: numbers, no text. LIUM-NMT is first.
WMT = Path(__file__).parents[1] / "data" / "wmt17_en_de_bleu.npz"
MOSES = {  # p-values of Moses' bootstrap (mean of 3 runs), as test_significance.py has them
    "C-3MA.4959": 0.0,
    "FBK.4870": 0.01267,
    "KIT.4950": 0.02233,
    "LMU-nmt-reranked.4934": 0.04383,
    "LMU-nmt-single.4893": 0.20783,
    "online-A.0": 0.0,
    "online-B.0": 0.38100,
    "online-F.0": 0.0,
    "online-G.0": 0.0,
    "PROMT-Rule-based.4735": 0.0,
    "RWTH-nmt-ensemble.4921": 0.01167,
    "SYSTRAN.4847": 0.20983,
    "TALP-UPC.4834": 0.0,
    "uedin-nmt.4722": 0.0,
    "xmu.4910": 0.25483,
}
MULTEVAL = {  # p-values of MultEval's approximate randomization, 10,000 trials, BLEU; likewise
    "C-3MA.4959": 0.0001,
    "FBK.4870": 0.0218,
    "KIT.4950": 0.0410,
    "LMU-nmt-reranked.4934": 0.09029,
    "LMU-nmt-single.4893": 0.58494,
    "online-A.0": 0.0001,
    "online-B.0": 0.94111,
    "online-F.0": 0.0001,
    "online-G.0": 0.0001,
    "PROMT-Rule-based.4735": 0.0001,
    "RWTH-nmt-ensemble.4921": 0.0207,
    "SYSTRAN.4847": 0.59914,
    "TALP-UPC.4834": 0.0001,
    "uedin-nmt.4722": 0.0001,
    "xmu.4910": 0.71073,
}
OPTIONS = SimpleNamespace(smooth_method="exp", smooth_value=None, max_ngram_order=4)


@pytest.fixture(scope="module")
def systems() -> dict[str, Any]:
    """The statistics by system, named as in the tables above."""
    with np.load(WMT, allow_pickle=False) as file:
        names = [name.split(".", 1)[1].rsplit(".", 1)[0] for name in file["systems"].tolist()]
        return dict(zip(names, file["statistics"].astype(np.float64), strict=True))


def reduced(sums: Any) -> Any:
    """BLEU of summed statistics."""
    return corpus_bleu(sums, OPTIONS)


@pytest.mark.parametrize("name", MOSES)
def test_paired_bootstrap_is_moses(name: str, systems: dict[str, Any]) -> None:
    """Within sacrebleu's tolerance of 0.01 of Moses' p-values, over 8,000 resamples."""
    rng = np.random.default_rng(12345)
    _, p = paired_bootstrap(systems["LIUM-NMT.4900"], systems[name], reduced, rng, 8000)
    assert p == pytest.approx(MOSES[name], abs=0.01)


@pytest.mark.parametrize("name", MULTEVAL)
def test_approximate_randomization_is_multevals(name: str, systems: dict[str, Any]) -> None:
    """Within sacrebleu's tolerance of 0.01 of MultEval's p-values, over 10,000 trials."""
    rng = np.random.default_rng(12345)
    p = approximate_randomization(systems["LIUM-NMT.4900"], systems[name], reduced, rng)
    assert p == pytest.approx(MULTEVAL[name], abs=0.01)


@pytest.mark.parametrize("differing", [1, 2, 3])
def test_a_few_segments_are_no_significance(systems: dict[str, Any], differing: int) -> None:
    """Of k segments that differ all in one direction, 2^(1−k) of the tosses are as extreme.

    Counting larger differences only, as sacrebleu does, would give p = 1/(B + 1) for each k.
    """
    one, rng = systems["KIT.4950"], np.random.default_rng(0)
    other = one.copy()
    rows = np.flatnonzero(one[:, 2] > 4)[:differing]
    other[rows, 2:6] = 0  # these segments lose all their matches
    p = approximate_randomization(one, other, reduced, rng, 2000)
    assert p == pytest.approx(2.0 ** (1 - differing), abs=0.05)


def test_a_system_does_not_differ_from_itself(systems: dict[str, Any]) -> None:
    """No difference is never significant: p is 1."""
    one, rng = systems["KIT.4950"], np.random.default_rng(0)
    se, p = paired_bootstrap(one, one, reduced, rng, 50)
    assert se == 0
    assert p == 1.0
    assert approximate_randomization(one, one, reduced, rng, 50) == 1.0


def test_resamples_hold_little_at_a_time() -> None:
    """A resample of 100,000 segments draws n rows, and takes far less than 1 GB for a thousand."""
    rows = np.ones((100_000, 10))
    tracemalloc.start()
    (sums,) = bootstrap_sums((rows,), np.random.default_rng(0), 100)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (sums == 100_000).all()
    assert peak < 2**28
