"""Repetition: how much outputs repeat their own n-grams.

    seq_rep_n = mean over outputs of  1 − different n-grams / n-grams,   n = 2, 3, 4
    diversity = Π over n = 2, 3, 4 of  Σ different n-grams / Σ n-grams,  sums over outputs

Input: one text a record, its tokens the words of `words`. Range [0, 1]; `seq_rep_n` is better lower
and `diversity` higher. N-grams are told apart within an output only, so outputs that are all alike
may score perfectly: `distinct_n` and `self_bleu` see that. An output with fewer than n words has no
n-gram and is left out of that mean, so outputs should be of like length: longer ones repeat more.
Undefined where no output has n words.

The interval of `seq_rep_n` is of the mean of the population, by the central limit theorem, that of
`diversity` of the population of outputs, by multinomial bootstrap on their counts.

Paper: Welleck et al. 2020, arXiv:1908.04319 (seq-rep-n); Su et al. 2022, arXiv:2202.06417
(diversity).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from geneval.data import Fields
from geneval.items import Floats, mean_of
from geneval.metric import fields, metric
from geneval.metrics.text.distinct_n import example
from geneval.resample import Context
from geneval.text.corpus import by_id, corpus_estimate
from geneval.text.ngrams import ngrams
from geneval.text.words import SPLIT, Words
from geneval.value import Estimate, OutputSpec

ORDERS = (2, 3, 4)
_TITLE = "Most repetitive"


def diversity(sums: Floats, _: Any = None) -> Floats:
    """Diversity [b] of sums [b, 6]: different n-grams for each n, then n-grams for each n.

    An order of which there are no n-grams repeats none.
    """
    different, total = sums[:, :3], sums[:, 3:]
    shares = np.where(total > 0, different / np.maximum(total, 1), 1.0)
    return np.asarray(shares.prod(axis=1), dtype=np.float64)


def own_diversity(rows: Floats, _: Any = None) -> Floats:
    """Diversity [n] of the same counts of single outputs; NaN of one without n-grams."""
    return np.where(rows[:, 3:].any(axis=1), diversity(rows), np.nan)


@metric(
    "repetition",
    version=1,
    paper="arXiv:1908.04319",
    min_n=2,
    n_match="any",
    outputs=[
        *(OutputSpec(f"seq_rep_{n}", "lower", range=(0, 1)) for n in ORDERS),
        OutputSpec("diversity", "higher", range=(0, 1)),
    ],
    needs=lambda o: {"texts": fields("generated", "written")},
    example=example,
    reduce={"diversity": diversity},
    alone={"diversity": own_diversity},
)
def repetition(texts: Fields, context: Context, *, words: Words = "unicode") -> list[Estimate]:
    """Repeated n-grams of outputs, and how diverse all orders together are."""
    texts = by_id(texts)
    tokens = [SPLIT[words](text) for text in texts.columns["written"]]
    grams = [[ngrams(text, n) for n in ORDERS] for text in tokens]
    different = np.array([[len(set(one)) for one in text] for text in grams], dtype=np.float64)
    total = np.array([[len(one) for one in text] for text in grams], dtype=np.float64)
    rows = np.hstack([different, total])
    found = [_repeated(context, texts, n, rows[:, i], rows[:, 3 + i]) for i, n in enumerate(ORDERS)]
    if not total[:, -1].any():
        problem = f"no output has {ORDERS[-1]} words, so that there is nothing to count"
        return [*found, Estimate(output="diversity", problem=problem)]
    return [
        *found,
        corpus_estimate(
            context,
            "diversity",
            texts.ids,
            rows,
            diversity,
            diversity(rows),
            range_=(0, 1),
            title=_TITLE,
        ),
    ]


def _repeated(
    context: Context, texts: Fields, n: int, different: Floats, total: Floats
) -> Estimate:
    """The mean share of n-grams that an output repeats."""
    output, kept = f"seq_rep_{n}", np.flatnonzero(total)
    left = len(total) - len(kept)
    if not len(kept):
        return Estimate(output=output, problem=f"no output has {n} words to repeat")
    scores = 1 - different[kept] / total[kept]
    return mean_of(
        context,
        output,
        scores,
        tuple(texts.ids[row] for row in kept),
        (0, 1),
        worst_first=-1,
        finding=f"{left:,} outputs of fewer than {n} words are left out" if left else "",
        title=_TITLE,
    )
