"""Self-BLEU: how much an output is made of what the other outputs say, mean over outputs.

    self_bleu = mean over outputs of BLEU(output, references: all the other outputs)

Input: one text a record; lower is more diverse. Two definitions go by this name:

- `texygen`: geometric mean of the clipped precisions of n-grams up to 3, the numerator 0.1 where
  none matches, times the brevity penalty exp(1 − r/c) for c < r, as NLTK's `sentence_bleu` with its
  first smoothing; range [0, 1]. Tokens are the words of `words`; the output itself is never among
  its references.
- `helm`: sacrebleu's sentence BLEU up to 4-grams, smoothing `exp`, of the orders that the output is
  long enough for; range [0, 100]. Tokens are those of `tokenize`, by default what `lang`, else the
  script asks for (`13a` for English).

A sentence's n-grams are clipped at the most that another output has, which needs the largest and
second largest count of each n-gram alone: exact, and linear in the number of outputs. `max_n` is
the longest n-gram where it is not to be 3 or 4. The value rises with the number of outputs, so a
comparison takes equal n only; every score leans on all the outputs, so there is no interval of
independent scores.

Paper: Zhu et al. 2018, arXiv:1802.01886 (`texygen`); Liang et al. 2022, arXiv:2211.09110 (`helm`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Annotated, Literal

import numpy as np

from geneval.data import Fields
from geneval.items import Floats, worst_of
from geneval.metric import fields, metric
from geneval.metrics.text.bleu import corpus_bleu
from geneval.metrics.text.distinct_n import example
from geneval.options import AtLeast
from geneval.resample import Context
from geneval.text.corpus import by_id
from geneval.text.ngrams import Gram, ngrams
from geneval.text.tokenizers import Tokenizer, chosen
from geneval.text.words import SPLIT, Words
from geneval.value import Estimate, OutputSpec, Role

Definition = Literal["texygen", "helm"]
_ORDER = {"texygen": 3, "helm": 4}
_TOP = {"texygen": 1, "helm": 100}
_EPSILON = 0.1  # what stands for no match, in `texygen`


def leave_one_out(tokens: Sequence[Sequence[str]], order: int) -> Floats:
    """Counts of each text against all others, float64 [n, 2 + 2·order], as BLEU takes them.

    Lengths c and r (the nearest one, the shorter on a tie), clipped matches, n-grams.
    """
    found = np.zeros((len(tokens), 2 + 2 * order))
    found[:, 0] = lengths = np.array([len(text) for text in tokens])
    found[:, 1] = _nearest(lengths)
    for n in range(1, order + 1):
        counts = [Counter(ngrams(text, n)) for text in tokens]
        top = _two_largest(counts)
        for row, own in enumerate(counts):
            found[row, 1 + n] = sum(
                min(count, top[gram][1] if top[gram][2] == row else top[gram][0])
                for gram, count in own.items()
            )
        found[:, 1 + order + n] = np.maximum(lengths - n + 1, 0)
    return found


def _two_largest(counts: Sequence[Counter[Gram]]) -> dict[Gram, tuple[int, int, int]]:
    """For every n-gram its largest count in a text, the second largest, and whose the first is."""
    top: dict[Gram, tuple[int, int, int]] = {}
    for row, own in enumerate(counts):
        for gram, count in own.items():
            first, second, owner = top.get(gram, (0, 0, -1))
            if count > first:
                top[gram] = (count, first, row)
            elif count > second:
                top[gram] = (first, count, owner)
    return top


def _nearest(lengths: Floats) -> Floats:
    """The length of another text that is nearest to each length [n], the shorter on a tie."""
    present, counts = np.unique(lengths, return_counts=True)
    found = {}
    for length, count in zip(present, counts, strict=True):
        others = present if count > 1 else present[present != length]
        found[length] = min(others, key=lambda other: (abs(other - length), other))
    return np.array([found[length] for length in lengths], dtype=np.float64)


def texygen_bleu(rows: Floats, order: int) -> Floats:
    """BLEU [n] in 0 … 1 of counts [n, 2 + 2·order]; 0 without a common word."""
    c, r = rows[:, 0], rows[:, 1]
    matches, totals = rows[:, 2 : 2 + order], np.maximum(rows[:, 2 + order :], 1)
    logs = np.log(np.where(matches > 0, matches, _EPSILON) / totals)
    penalty = np.where(c > r, 1.0, np.exp(1 - r / np.maximum(c, 1)))
    return np.where(matches[:, 0] > 0, penalty * np.exp(logs.mean(axis=1)), 0.0)


def helm_bleu(rows: Floats, order: int) -> Floats:
    """BLEU [n] in 0 … 100 of counts [n, 2 + 2·order], of the orders that a text is long enough for.

    Smoothed as sacrebleu's sentence BLEU is.
    """
    o = SimpleNamespace(smooth_method="exp", smooth_value=None, max_ngram_order=order)
    return corpus_bleu(rows, o, effective=True)


def _as_sacrebleu(
    texts: Sequence[str], lang: Sequence[str] | None, tokenize: Tokenizer | None
) -> tuple[list[list[str]], str]:
    """The tokens of sacrebleu's tokenisers, and the names of these."""
    from sacrebleu.metrics.bleu import BLEU

    choice = chosen([[text] for text in texts], lang, tokenize)
    scorers = {name: BLEU(tokenize=name, force=True) for name in choice.used}
    tokens = [
        scorers[name]._preprocess_segment(text).split()
        for name, text in zip(choice.names, texts, strict=True)
    ]
    return tokens, choice.signed


@metric(
    "self_bleu",
    version=1,
    paper="arXiv:1802.01886",
    min_n=2,
    n_match="exact",
    outputs=lambda o: [OutputSpec("self_bleu", "lower", range=(0, _TOP[o.definition]))],
    needs=lambda o: {"texts": fields("generated", "written", also=["lang"])},
    example=example,
)
def self_bleu(
    texts: Fields,
    context: Context,
    *,
    definition: Definition = "texygen",
    words: Words = "unicode",
    tokenize: Tokenizer | None = None,
    max_n: Annotated[int | None, AtLeast(1)] = None,
) -> list[Estimate]:
    """The mean BLEU of outputs against all the others."""
    texts = by_id(texts)
    said, order = texts.columns["written"], max_n or _ORDER[definition]
    if definition == "texygen":
        tokens, tokenizer = [SPLIT[words](text) for text in said], "words"
        scores = texygen_bleu(leave_one_out(tokens, order), order)
    else:
        tokens, tokenizer = _as_sacrebleu(said, texts.columns.get("lang"), tokenize)
        scores = helm_bleu(leave_one_out(tokens, order), order)
    return [
        Estimate(
            output="self_bleu",
            number=float(scores.mean()),
            n={Role.GENERATED: len(said)},
            no_interval="the score of each output leans on all the others",
            signed={"max_n": order, "tokenize": tokenizer},
            galleries=(worst_of(texts.ids, scores, -1, "Most like the other outputs"),),
        )
    ]
