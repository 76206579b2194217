"""BLEU: how many word n-grams of the hypotheses the references have, with a penalty for brevity.

    bleu = 100 · BP · exp( mean over n = 1 … max_ngram_order of  log p_n )
    BP = 1 if c ≥ r, else exp(1 − r/c)

Input: hypotheses and references by record. p_n is the share of the hypotheses' n-grams that the
references have, counts summed over the corpus and clipped in each segment at the most that one
reference has; c is the length of the hypotheses, r that of the references closest in length, the
shorter on a tie. Range [0, 100]; higher is better. Without a match at any order it is 0; the k-th
order without a match gets 1 / (2^k · n-grams) (`smooth_method: exp`), `smooth_value` / n-grams
(`floor`), or `smooth_value` is added to both counts of every order above 1 (`add-k`). A corpus
score is that of summed counts, never the mean over segments.

The tokeniser is the option `tokenize`, else what the record's `lang` asks for (zh: `zh`, ja:
`ja-mecab`, ko: `ko-mecab`, `char` where that is not installed, others `13a`), else what the script
of the references does. Where more than a tenth of the references are of a script without spaces
between words, a tokeniser that goes by spaces is a problem, not a score.

The interval is of the population of segments, by multinomial bootstrap on the counts of the
segments, which are the evidence: comparisons resample both systems alike. Items are shown with
their sentence BLEU, of the orders that a sentence is long enough for.

Paper: Papineni et al. 2002 (ACL); Post 2018, arXiv:1804.08771, whose sacrebleu tokenises and
counts. Equal to sacrebleu.corpus_bleu.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Annotated, Any, Literal

import numpy as np

from geneval.data import Fields
from geneval.items import Floats
from geneval.metric import fields, metric
from geneval.options import AtLeast
from geneval.resample import Context
from geneval.text.corpus import (
    NO_LOG,
    by_id,
    corpus_estimate,
    reference_count,
    segment_statistics,
    signature_of,
)
from geneval.text.tokenizers import Tokenizer, chosen
from geneval.value import Estimate, OutputSpec

Smoothing = Literal["exp", "floor", "add-k", "none"]
_DEFAULT = {"floor": 0.1, "add-k": 1.0}  # of smooth_value
_WORDS = ["the", "a", "dog", "cat", "man", "house", "sees", "bites", "finds", "old", "red", "never"]


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Sentences of a few words with two references; damage replaces words by codes."""
    hypothesis, references = [], []
    for i in range(60):
        words = list(rng.choice(_WORDS, size=int(rng.integers(6, 14))))
        other = [w if rng.random() < 0.8 else str(rng.choice(_WORDS)) for w in words]
        broken = [w if rng.random() > damage else f"x{i}{j}" for j, w in enumerate(words)]
        hypothesis.append(" ".join([*broken[:-1], "." if damage < 1 else "!"]))
        references.append([" ".join([*words[:-1], "."]), " ".join([*other, "."])])
    ids = tuple(f"{i:04d}" for i in range(60))
    return {"texts": Fields(ids, {"hypothesis": hypothesis, "references": references})}


def sentence_bleu(counts: Floats, o: Any) -> Floats:
    """BLEU [n] of the counts [n, …] of single sentences, of the orders each is long enough for."""
    return corpus_bleu(counts, o, effective=True)


def corpus_bleu(sums: Floats, o: Any, effective: bool = False) -> Floats:
    """BLEU [b] of summed counts [b, 2 + 2·max_ngram_order]: lengths c and r, matches, n-grams.

    With `effective` the mean is over the orders that have n-grams, for single sentences.
    """
    order = o.max_ngram_order
    c, r = sums[:, 0], sums[:, 1]
    matches, totals = sums[:, 2 : 2 + order], sums[:, 2 + order : 2 + 2 * order]
    value = _DEFAULT.get(o.smooth_method, 0.0) if o.smooth_value is None else o.smooth_value
    logs = np.full(matches.shape, NO_LOG)
    present = np.ones(len(sums), dtype=bool)
    depth = np.full(len(sums), 0 if effective else order)
    halved = np.ones(len(sums))
    for n in range(order):
        added = value if o.smooth_method == "add-k" and n else 0.0
        hits, total = matches[:, n] + added, totals[:, n] + added
        present = present & (total > 0)  # orders after the first without n-grams count nothing
        depth = np.where(present & effective, n + 1, depth)
        missed = present & (hits == 0)
        halved = np.where(missed, halved * 2, halved)
        if o.smooth_method in ("exp", "floor"):
            hits = np.where(missed, value if o.smooth_method == "floor" else 1 / halved, hits)
        known = present & (hits > 0)
        logs[known, n] = np.log(100 * hits[known] / total[known])
    counted = np.arange(order) < depth[:, None]
    mean = np.where(counted, logs, 0.0).sum(axis=1) / np.maximum(depth, 1)
    with np.errstate(divide="ignore", over="ignore"):
        penalty = np.where(c < r, np.exp(1 - r / np.where(c > 0, c, np.nan)), 1.0)
    score = np.minimum(np.nan_to_num(penalty) * np.exp(mean), 100.0)
    return np.where((matches > 0).any(axis=1), score, 0.0)


@metric(
    "bleu",
    version=1,
    paper="arXiv:1804.08771",
    min_n=2,
    n_match="any",
    outputs=[OutputSpec("bleu", "higher", range=(0, 100))],
    needs=lambda o: {"texts": fields("generated", "hypothesis", "references", also=["lang"])},
    example=example,
    reduce={"bleu": corpus_bleu},
    alone={"bleu": sentence_bleu},
)
def bleu(
    texts: Fields,
    context: Context,
    *,
    tokenize: Tokenizer | None = None,
    lowercase: bool = False,
    smooth_method: Smoothing = "exp",
    smooth_value: Annotated[float | None, AtLeast(0)] = None,
    max_ngram_order: Annotated[int, AtLeast(1)] = 4,
) -> list[Estimate]:
    """Corpus BLEU of the hypotheses."""
    from sacrebleu.metrics.bleu import BLEU

    texts = by_id(texts)
    hypotheses, references = texts.columns["hypothesis"], texts.columns["references"]
    choice = chosen(references, texts.columns.get("lang"), tokenize)
    options: dict[str, Any] = {
        "smooth_method": smooth_method,
        "smooth_value": smooth_value,
        "max_ngram_order": max_ngram_order,
    }
    statistics = np.empty((len(hypotheses), 2 + 2 * max_ngram_order))
    signatures = []
    for name in choice.used:
        scorer = BLEU(tokenize=name, lowercase=lowercase, force=True, **options)
        rows = [row for row, other in enumerate(choice.names) if other == name]
        statistics[rows] = segment_statistics(
            scorer, [hypotheses[row] for row in rows], [references[row] for row in rows]
        )
        signatures.append(f"BLEU|{signature_of(scorer, references)}")
    o = SimpleNamespace(**options)
    told = _told(statistics.sum(axis=0), max_ngram_order)
    return [
        corpus_estimate(
            context,
            "bleu",
            texts.ids,
            statistics,
            lambda sums: corpus_bleu(sums, o),
            sentence_bleu(statistics, o),
            range_=(0, 100),
            signed={
                "tokenize": choice.signed,
                "nrefs": reference_count(references),
                "sacrebleu": " and ".join(signatures),
            },
            finding="; ".join(part for part in (told, choice.note) if part),
        )
    ]


def _told(sums: Floats, order: int) -> str:
    """Precisions and lengths, as sacrebleu prints them."""
    c, r, *counts = sums
    precisions = [
        f"{100 * hits / total if total else 0:.1f}"
        for hits, total in zip(counts[:order], counts[order:], strict=True)
    ]
    return (
        f"precisions {'/'.join(precisions)}, length {c:,.0f} of {r:,.0f} tokens in the references "
        f"(ratio {c / r if r else 0:.3f})"
    )
