"""Exact match: the share of hypotheses that equal one of their references.

    exact_match = share of records with  normal(hypothesis) ∈ { normal(reference) }

Input: hypotheses and references by record. Range [0, 1]; higher is better. `normalize: none`
compares the texts as they are but for space at either end; `squad` lower-cases, drops ASCII
punctuation and the words a, an, the, and squeezes spaces. A blank hypothesis equals a blank
reference. The interval is Wilson's, of the population.

Source: the evaluation script of SQuAD (Rajpurkar et al. 2016, arXiv:1606.05250) for `squad`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from geneval.data import Fields
from geneval.items import mean_of
from geneval.metric import fields, metric
from geneval.resample import Context
from geneval.text.corpus import best_of_references, reference_count
from geneval.text.normal import NORMAL, Normalize
from geneval.value import Estimate, OutputSpec


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Short answers that are right; damage makes that share of them wrong."""
    answers = [f"the number {rng.integers(100, 999)} of {i}" for i in range(80)]
    wrong = rng.random(80) < damage
    given = [
        f"none {i}" if bad else a for i, (a, bad) in enumerate(zip(answers, wrong, strict=True))
    ]
    references = [[answer, answer.replace("the ", "")] for answer in answers]
    ids = tuple(f"{i:04d}" for i in range(80))
    return {"texts": Fields(ids, {"hypothesis": given, "references": references})}


@metric(
    "exact_match",
    version=1,
    min_n=1,
    n_match="any",
    outputs=[OutputSpec("exact_match", "higher", range=(0, 1))],
    needs=lambda o: {"texts": fields("generated", "hypothesis", "references")},
    example=example,
)
def exact_match(
    texts: Fields, context: Context, *, normalize: Normalize = "none"
) -> list[Estimate]:
    """The share of hypotheses that are right to the letter."""
    normal = NORMAL[normalize]
    scores = best_of_references(texts, lambda made, wanted: normal(made) == normal(wanted))
    signed = {"nrefs": reference_count(texts.columns["references"])}
    return [mean_of(context, "exact_match", scores, texts.ids, (0, 1), signed=signed, share=True)]
