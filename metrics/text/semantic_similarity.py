"""Semantic similarity: the cosine of hypothesis and reference as an encoder of texts sees them.

    semantic_similarity = mean of  max over references of  cos(E(h), E(r))

Input: the layer `similarity` of an encoder of texts, which must be named: a sentence encoder
(`extractor: sentence-transformers:NAME_OR_PATH`), or any other (`transformers:…`). With
`char-ngrams` it is a likeness of spelling. Range [−1, 1]; higher is better; 1 for a hypothesis that
equals one of its references. What counts as much or little differs between encoders, and only
values of one encoder compare: unrelated sentences may score 0.1 with one and 0.7 with another.

The interval is of the mean of the population, by the central limit theorem. Undefined where an
embedding has length 0.

Paper: Reimers and Gurevych 2019, arXiv:1908.10084.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from geneval.data import Features, Fields
from geneval.items import mean_of
from geneval.metric import Undefined, features, fields, metric
from geneval.resample import Context
from geneval.text.corpus import reference_count
from geneval.value import Estimate, OutputSpec


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Cosines near 0.8; damage takes them towards 0."""
    ids = tuple(f"{i:04d}" for i in range(60))
    scores = rng.uniform(0.6, 1.0, size=(60, 1)) * (1 - damage)
    return {
        "pairs": Features(ids, scores),
        "texts": Fields(ids, {"references": [["text"]] * 60}),
    }


@metric(
    "semantic_similarity",
    version=1,
    paper="arXiv:1908.10084",
    min_n=2,
    n_match="any",
    outputs=[OutputSpec("semantic_similarity", "higher", range=(-1, 1))],
    needs=lambda o: {
        "pairs": features("generated", layer="similarity"),
        "texts": fields("generated", "references"),
    },
    example=example,
)
def semantic_similarity(pairs: Features, texts: Fields, context: Context) -> list[Estimate]:
    """The mean cosine with the nearest reference."""
    scores = pairs.x[:, 0].astype(np.float64)
    if np.isnan(scores).any():
        first = pairs.ids[int(np.flatnonzero(np.isnan(scores))[0])]
        raise Undefined(f"an embedding of {first} has length 0, so that it has no direction")
    signed = {"nrefs": reference_count(texts.columns["references"])}
    return [mean_of(context, "semantic_similarity", scores, pairs.ids, (-1, 1), signed=signed)]
