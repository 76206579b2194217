"""CIDEr-D: the n-grams that a caption shares with its references, weighted by how telling they are.

    cider = 10 · mean over n = 1 … 4 and references of
            exp(−(|h| − |r|)² / 2σ²) · Σ_g min(h_g, r_g) · r_g / (‖h‖ ‖r‖)

Input: hypotheses and references by record, several references each. h_g and r_g are counts of the
n-gram g times its weight log(N / df): N records, of which df have g in a reference, at least 1; |h|
and |r| are lengths in words. Range [0, 10]; higher is better; a caption of fewer than 4 words stays
below 10. Where a caption has no n-gram of an order, or none that sets records apart, the order
counts 0. Undefined where no n-gram of any reference does, as with a single record.

Words are those of any script, characters where no space parts them (`words: unicode`; the paper's
code removes punctuation and lowers case too), or what spaces part (`whitespace`). Nothing is
stemmed. Weights follow from the references given, so values of other references do not compare.

The interval is of the mean of the population, by the central limit theorem, for these weights.

Paper: Vedantam et al. 2015, arXiv:1411.5726, in its variant D (σ = 6, no stemming, clipped counts).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, NamedTuple

import numpy as np

from geneval.data import Fields
from geneval.items import Floats, mean_of
from geneval.metric import Undefined, fields, metric
from geneval.metrics.text.bleu import example
from geneval.options import AtLeast
from geneval.resample import Context
from geneval.text.corpus import reference_count
from geneval.text.ngrams import Gram, ngrams
from geneval.text.words import SPLIT, Words
from geneval.value import Estimate, OutputSpec

TOP = 10.0  # what the score of a perfect caption is


class Caption(NamedTuple):
    """Weighted n-grams of a caption by order, the norm of each order, and its words."""

    vectors: Sequence[Mapping[Gram, float]]
    norms: Sequence[float]
    length: int


def counted(words: Sequence[str], most: int) -> list[Counter[Gram]]:
    """How often each n-gram occurs, for n = 1 … most."""
    return [Counter(ngrams(words, n)) for n in range(1, most + 1)]


def weighted(words: Sequence[str], most: int, found_in: Mapping[Gram, int], n: int) -> Caption:
    """A caption under the weights of n records, `found_in` of which have an n-gram."""
    vectors = [
        {gram: count * math.log(n / max(1, found_in.get(gram, 0))) for gram, count in some.items()}
        for some in counted(words, most)
    ]
    norms = [math.sqrt(sum(x * x for x in vector.values())) for vector in vectors]
    return Caption(vectors, norms, len(words))


def similarity(made: Caption, wanted: Caption, sigma: float) -> float:
    """The mean over orders, in [0, 1]."""
    total = 0.0
    for h, r, *norms in zip(made.vectors, wanted.vectors, made.norms, wanted.norms, strict=True):
        if all(norms):
            shared = sum(min(x, r[gram]) * r[gram] for gram, x in h.items() if gram in r)
            total += shared / math.prod(norms)
    apart = made.length - wanted.length
    return total / len(made.vectors) * math.exp(-(apart**2) / (2 * sigma**2))


def cider_d(
    made: Sequence[Sequence[str]],
    wanted: Sequence[Sequence[Sequence[str]]],
    most: int = 4,
    sigma: float = 6.0,
) -> Floats:
    """The score [n] of each record's words, by the words of its references."""
    n, found_in = len(made), Counter[Gram]()
    for texts in wanted:
        found_in.update({gram for words in texts for some in counted(words, most) for gram in some})
    if all(count == n for count in found_in.values()):
        raise Undefined("no n-gram tells the references of one record from those of another")
    scores = []
    for words, texts in zip(made, wanted, strict=True):
        one = weighted(words, most, found_in, n)
        others = [weighted(text, most, found_in, n) for text in texts]
        scores.append(TOP * sum(similarity(one, other, sigma) for other in others) / len(others))
    return np.array(scores)


@metric(
    "cider",
    version=1,
    paper="arXiv:1411.5726",
    min_n=2,
    n_match="any",
    outputs=[OutputSpec("cider", "higher", range=(0, TOP))],
    needs=lambda o: {"texts": fields("generated", "hypothesis", "references")},
    example=example,
)
def cider(
    texts: Fields,
    context: Context,
    *,
    words: Words = "unicode",
    max_ngram_order: Annotated[int, AtLeast(1)] = 4,
    sigma: Annotated[float, AtLeast(0.1)] = 6.0,
) -> list[Estimate]:
    """The mean CIDEr-D of the hypotheses."""
    split, references = SPLIT[words], texts.columns["references"]
    made = [split(text) for text in texts.columns["hypothesis"]]
    wanted = [[split(text) for text in some if text is not None] for some in references]
    scores = cider_d(made, wanted, max_ngram_order, sigma)
    signed = {"nrefs": reference_count(references)}
    title = "Least like their references"
    return [mean_of(context, "cider", scores, texts.ids, (0, TOP), signed=signed, title=title)]
