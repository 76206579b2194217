"""Edit similarity: 1 minus the edit distance in characters over the longer text's length.

    edit_similarity = mean of  max over references of  1 − Levenshtein(h, r) / max(|h|, |r|)

Input: hypotheses and references by record. Insertions, deletions and replacements of a character
(a Unicode code point) cost 1 each. Range [0, 1]; higher is better; 1 for a hypothesis that equals
one of its references, blank texts included. It needs no tokeniser and serves every language.

The interval is of the mean of the population, by the central limit theorem.

Source: Levenshtein 1966, as rapidfuzz computes it.
"""

from __future__ import annotations

from geneval.data import Fields
from geneval.items import mean_of
from geneval.metric import fields, metric
from geneval.metrics.text.exact_match import example
from geneval.resample import Context
from geneval.text.corpus import best_of_references, reference_count
from geneval.value import Estimate, OutputSpec


@metric(
    "edit_similarity",
    version=1,
    min_n=2,
    n_match="any",
    outputs=[OutputSpec("edit_similarity", "higher", range=(0, 1))],
    needs=lambda o: {"texts": fields("generated", "hypothesis", "references")},
    example=example,
)
def edit_similarity(texts: Fields, context: Context) -> list[Estimate]:
    """The mean similarity to the nearest reference."""
    from rapidfuzz.distance import Levenshtein

    scores = best_of_references(texts, Levenshtein.normalized_similarity)
    signed = {"nrefs": reference_count(texts.columns["references"])}
    return [mean_of(context, "edit_similarity", scores, texts.ids, (0, 1), signed=signed)]
