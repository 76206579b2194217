"""chrF, and with `word_order: 2` chrF++: agreement in character (and word) n-grams, as F_β.

    chrf = 100 · (1 + β²) P R / (β² P + R),   P and R averaged over the orders

Input: hypotheses and references by record. P is the share of the hypotheses' n-grams of an order
that the references have, R the share of the references' that the hypotheses have, on counts summed
over the corpus; orders are 1 … `char_order` of characters without spaces and 1 … `word_order` of
words with punctuation split off. Range [0, 100]; higher is better. Orders of which either side has
no n-grams are left out of the averages; `eps_smoothing: true` instead takes F of every order, with
10⁻¹⁶ for what is not defined, and averages these, as chrF++.py does. Of several references a
segment counts the one with the highest F.

It needs no tokeniser and serves every language. The interval is of the population of segments, by
multinomial bootstrap on the counts of the segments, which are the evidence.

Paper: Popović 2015 (W15-3049) and 2017 (W17-4770), with sacrebleu as the implementation that
counts. Equal to sacrebleu.corpus_chrf.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Annotated, Any

import numpy as np

from geneval.data import Fields
from geneval.items import Floats
from geneval.metric import fields, metric
from geneval.metrics.text.bleu import example
from geneval.options import AtLeast
from geneval.resample import Context
from geneval.text.corpus import (
    by_id,
    corpus_estimate,
    reference_count,
    segment_statistics,
    signature_of,
)
from geneval.value import Estimate, OutputSpec

EPS = 1e-16


def corpus_chrf(sums: Floats, o: Any) -> Floats:
    """chrF [b] of summed counts [b, 3·orders]: n-grams of hypotheses, of references, in both."""
    made, wanted, both = np.moveaxis(sums.reshape(len(sums), -1, 3), 2, 0)
    factor = float(o.beta) ** 2
    precision = np.divide(both, made, out=np.full_like(both, EPS), where=made > 0)
    recall = np.divide(both, wanted, out=np.full_like(both, EPS), where=wanted > 0)
    if o.eps_smoothing:
        below = factor * precision + recall
        above = (1 + factor) * precision * recall
        each = np.divide(above, below, out=np.full_like(both, EPS), where=below > 0)
        return np.asarray(100 * each.sum(axis=1) / (o.char_order + o.word_order))
    there = (made > 0) & (wanted > 0)
    orders = np.maximum(there.sum(axis=1), 1)
    p = np.where(there, precision, 0.0).sum(axis=1) / orders
    r = np.where(there, recall, 0.0).sum(axis=1) / orders
    below = factor * p + r
    above = 100 * (1 + factor) * p * r
    found: Floats = np.divide(above, below, out=np.zeros(len(sums)), where=below > 0)
    return np.minimum(found, 100.0)


@metric(
    "chrf",
    version=1,
    min_n=2,
    n_match="any",
    outputs=[OutputSpec("chrf", "higher", range=(0, 100))],
    needs=lambda o: {"texts": fields("generated", "hypothesis", "references")},
    example=example,
    reduce={"chrf": corpus_chrf},
)
def chrf(
    texts: Fields,
    context: Context,
    *,
    char_order: Annotated[int, AtLeast(1)] = 6,
    word_order: Annotated[int, AtLeast(0)] = 0,
    beta: Annotated[int, AtLeast(1)] = 2,
    lowercase: bool = False,
    whitespace: bool = False,
    eps_smoothing: bool = False,
) -> list[Estimate]:
    """Corpus chrF of the hypotheses; chrF++ with two orders of words."""
    from sacrebleu.metrics.chrf import CHRF

    texts = by_id(texts)
    references = texts.columns["references"]
    options: dict[str, Any] = {
        "char_order": char_order,
        "word_order": word_order,
        "beta": beta,
        "eps_smoothing": eps_smoothing,
    }
    scorer = CHRF(lowercase=lowercase, whitespace=whitespace, **options)
    statistics = segment_statistics(scorer, texts.columns["hypothesis"], references)
    o = SimpleNamespace(**options)
    name = f"chrF{beta}{'+' * word_order}"
    return [
        corpus_estimate(
            context,
            "chrf",
            texts.ids,
            statistics,
            lambda sums: corpus_chrf(sums, o),
            corpus_chrf(statistics, o),
            range_=(0, 100),
            signed={
                "nrefs": reference_count(references),
                "sacrebleu": f"{name}|{signature_of(scorer, references)}",
            },
        )
    ]
