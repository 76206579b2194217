"""SQuAD's F1: the tokens that hypothesis and reference share, as multisets, mean over records.

    f1 = 2 · |H ∩ R| / (|H| + |R|),   the best of the references

Input: hypotheses and references by record. H and R are multisets of tokens of the texts in SQuAD's
normal form: lower-cased, without ASCII punctuation and the words a, an, the. Range [0, 1]; higher
is better. Where either side has no tokens the score is 1 if both have none and 0 otherwise.

Tokens are what spaces part (`tokens: words`) or characters (`characters`, as for Chinese reading
comprehension); unless set, characters where `lang`, else the script of the references, is one that
does not part words by spaces. The interval is of the mean of the population, by the central limit
theorem.

Paper: Rajpurkar et al. 2016, arXiv:1606.05250, whose evaluation script (of 2.0) this follows.
"""

from __future__ import annotations

from collections import Counter
from typing import Literal

import numpy as np

from geneval.data import Fields
from geneval.items import mean_of
from geneval.metric import fields, metric
from geneval.metrics.text.exact_match import example
from geneval.resample import Context
from geneval.text.corpus import best_of_references, reference_count
from geneval.text.normal import squad_normal
from geneval.text.tokenizers import languages
from geneval.value import Estimate, OutputSpec

Tokens = Literal["words", "characters"]


def token_f1(made: list[str], wanted: list[str]) -> float:
    """F1 of two multisets of tokens."""
    if not made or not wanted:
        return float(made == wanted)
    return 2 * (Counter(made) & Counter(wanted)).total() / (len(made) + len(wanted))


@metric(
    "squad_f1",
    version=1,
    paper="arXiv:1606.05250",
    min_n=2,
    n_match="any",
    outputs=[OutputSpec("squad_f1", "higher", range=(0, 1))],
    needs=lambda o: {"texts": fields("generated", "hypothesis", "references", also=["lang"])},
    example=example,
)
def squad_f1(texts: Fields, context: Context, *, tokens: Tokens | None = None) -> list[Estimate]:
    """The mean F1 of shared tokens."""
    references = texts.columns["references"]
    asked = languages(references, texts.columns.get("lang"))
    by_record: list[Tokens] = [
        tokens or ("characters" if one in ("zh", "ja", "unspaced") else "words") for one in asked
    ]
    scores = np.empty(len(asked))
    for way in set(by_record):
        rows = [row for row, other in enumerate(by_record) if other == way]
        scores[rows] = best_of_references(texts, _SCORES[way])[rows]
    signed = {
        "tokens": "+".join(sorted(set(by_record))),
        "nrefs": reference_count(references),
    }
    return [mean_of(context, "squad_f1", scores, texts.ids, (0, 1), signed=signed)]


def _by_words(made: str, wanted: str) -> float:
    return token_f1(squad_normal(made).split(), squad_normal(wanted).split())


def _by_characters(made: str, wanted: str) -> float:
    one, other = (list(squad_normal(text).replace(" ", "")) for text in (made, wanted))
    return token_f1(one, other)


_SCORES = {"words": _by_words, "characters": _by_characters}
