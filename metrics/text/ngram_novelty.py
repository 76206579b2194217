"""N-gram novelty: how much of what is written stands nowhere in a set of other texts.

    novelty_n    = n-grams of the outputs that stand nowhere in the set / n-grams of the outputs
    longest_copy = mean over outputs of the longest run of words that stands in the set

Input: one text a record of the outputs, and one text a record of the set they are held `against`:
`reference`, or `train` for memorisation. n is 1 … 4; n-grams do not reach over the end of a text.
Tokens are the words of `words`. Range of `novelty_n` [0, 1], higher copies less; `longest_copy` is
in words, lower copies less, and a run of fewer than 5 words is no copy (0). Text that nobody would
write is new too, so read novelty beside `reference_ngram_perplexity`. The value falls as the set
grows. Undefined where no output has n words.

The intervals are of the population of outputs, given the set: of `novelty_n` by multinomial
bootstrap on the counts of each output, of `longest_copy` by the central limit theorem.

Paper: McCoy et al. 2023, arXiv:2111.09509.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from geneval.data import Fields
from geneval.items import Floats, mean_of
from geneval.metric import fields, metric
from geneval.metrics.text.distinct_n import example as texts_of
from geneval.resample import Context
from geneval.text.corpus import by_id, corpus_estimate, own_share, share
from geneval.text.ngrams import Gram, ngrams
from geneval.text.words import SPLIT, Words
from geneval.value import DetailTable, Estimate, OutputSpec

Against = Literal["reference", "train"]
Tokens = Sequence[Sequence[str]]
ORDERS = (1, 2, 3, 4)
LEAST_COPY = 5  # words in a run that is no chance


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Outputs with words of their own; damage puts a text of the set in place of that share."""
    given = texts_of(rng, 0)["texts"]
    others = texts_of(rng, 0)["texts"].columns["written"]
    made = [
        known if rng.random() < damage else f"{other} new{i}"
        for i, (known, other) in enumerate(zip(given.columns["written"], others, strict=True))
    ]
    return {"texts": replace(given, columns={"written": made}), "known": given}


def new_ngrams(made: Tokens, known: Tokens, n: int) -> Floats:
    """How many n-grams of each text stand in none of the known ones, and how many it has [n, 2]."""
    grams = [ngrams(text, n) for text in made]
    new = {gram for text in grams for gram in text}
    for text in known:
        new.difference_update(ngrams(text, n))
    return np.array([[sum(g in new for g in text), len(text)] for text in grams], dtype=float)


class Copies:
    """Finds the longest run of words that one of the texts made shares with any known one."""

    def __init__(self, made: Tokens, known: Tokens) -> None:
        self._known = known
        wanted = {gram for text in made for gram in ngrams(text, LEAST_COPY)}
        self._starts = defaultdict[Gram, list[tuple[int, int]]](list)
        for row, text in enumerate(known):
            for start, gram in enumerate(ngrams(text, LEAST_COPY)):
                if gram in wanted:
                    self._starts[gram].append((row, start))

    def longest(self, text: Sequence[str]) -> tuple[int, int]:
        """Its length and where in `text` it starts; (0, 0) where none has `LEAST_COPY` words."""
        best = (0, 0)
        for at, gram in enumerate(ngrams(text, LEAST_COPY)):
            for row, start in self._starts.get(gram, ()):
                there = self._known[row]
                if at and start and text[at - 1] == there[start - 1]:
                    continue  # a part of the run that was found one word before
                length = LEAST_COPY
                while _goes_on(text, at + length, there, start + length):
                    length += 1
                best = max(best, (length, at), key=lambda found: found[0])
        return best


def _goes_on(one: Sequence[str], at: int, other: Sequence[str], start: int) -> bool:
    return at < len(one) and start < len(other) and one[at] == other[start]


@metric(
    "ngram_novelty",
    version=1,
    paper="arXiv:2111.09509",
    min_n=2,
    n_match="any",
    outputs=[
        *(OutputSpec(f"novelty_{n}", "higher", range=(0, 1)) for n in ORDERS),
        OutputSpec("longest_copy", "lower", unit="words", range=(0, None)),
    ],
    needs=lambda o: {
        "texts": fields("generated", "written"),
        "known": fields(o.against, "written"),
    },
    example=example,
    reduce={f"novelty_{n}": share for n in ORDERS},
    alone={f"novelty_{n}": own_share for n in ORDERS},
)
def ngram_novelty(
    texts: Fields,
    known: Fields,
    context: Context,
    *,
    against: Against = "reference",
    words: Words = "unicode",
) -> list[Estimate]:
    """New n-grams of every order, and the longest copies."""
    texts = by_id(texts)
    made = [SPLIT[words](text) for text in texts.columns["written"]]
    there = [SPLIT[words](text) for text in known.columns["written"]]
    found = [_novelty(context, texts, n, new_ngrams(made, there, n)) for n in ORDERS]
    return [*found, _longest_copy(context, texts, made, Copies(made, there))]


def _novelty(context: Context, texts: Fields, n: int, rows: Floats) -> Estimate:
    output = f"novelty_{n}"
    if not rows[:, 1].any():
        return Estimate(output=output, problem=f"no output has {n} words, new or not")
    return corpus_estimate(
        context,
        output,
        texts.ids,
        rows,
        share,
        np.where(rows[:, 1] > 0, share(rows), 1.0),
        range_=(0, 1),
        title=f"Fewest new {n}-grams",
    )


def _longest_copy(context: Context, texts: Fields, made: Tokens, copies: Copies) -> Estimate:
    """The mean length of the longest copy, with a table of lengths and the longest one itself."""
    runs = [copies.longest(text) for text in made]
    lengths = np.array([length for length, _ in runs], dtype=np.float64)
    row = int(lengths.argmax())
    length, at = runs[row]
    copied = " ".join(made[row][at : at + length])
    told = f"the longest, of {length:,} words: {copied:.120}" if length else ""
    estimate = mean_of(
        context,
        "longest_copy",
        lengths,
        texts.ids,
        (0, None),
        worst_first=-1,
        finding=told,
        title="Longest copies, in words",
    )
    return replace(estimate, tables=(_distribution(lengths),))


def _distribution(lengths: Floats) -> DetailTable:
    """How many outputs have a longest copy of which length, in bins that double."""
    ends = [LEAST_COPY * 2**i for i in range(6)]
    spans = zip([0, *ends], [*ends, np.inf], strict=True)
    counts = [int(((lengths >= low) & (lengths < high)).sum()) for low, high in spans]
    names = ["none", *(f"{e} to {2 * e - 1}" for e in ends[:-1]), f"{ends[-1]} and more"]
    return DetailTable("Longest copies", {"words": names, "outputs": counts}, "bars")
