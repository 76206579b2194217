"""BERTScore: how well the tokens of hypothesis and reference match, as a network sees them.

    precision = Σ w(h) max over r of cos(h, r) / Σ w(h),   recall likewise over the reference's
    f1 = 2 · precision · recall / (precision + recall),    mean over records of each

Input: the layer `bertscore` of an encoder, which must be named; its options choose states and
weights: `extractor: {name: transformers:NAME_OR_PATH, layer: 17, idf: true}`. Published scores are
those of roberta-large, layer 17 (English), bert-base-chinese, layer 8 (Chinese), and
bert-base-multilingual-cased, layer 9 (others). Tokens are word pieces with their context; of
several references each of the three takes its best. Without idf the tokens that begin and end a
text weigh 0; with it a token weighs log((N + 1) / (df + 1)), df being how many of the N references
hold it.

Range [−1, 1], in practice 0.3 to 1; higher is better. Scores lie close together; given `baseline_…`
numbers b, as the authors publish for each model and layer, each is (x − b) / (1 − b), at most 1. A
blank hypothesis or reference scores 0, and an F1 of parts not above 0 is 0. Undefined where all
tokens of a text weigh 0. The intervals are of the mean of the population, by the central limit
theorem.

Paper: Zhang et al. 2020, arXiv:1904.09675. Agrees with bert_score to 1e-5 on one tokeniser.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from geneval.data import Features, Fields
from geneval.items import Floats, mean_of
from geneval.metric import Undefined, features, fields, metric
from geneval.resample import Context
from geneval.text.corpus import reference_count
from geneval.value import Estimate, OutputSpec

COLUMNS = {"f1": 2, "precision": 0, "recall": 1}  # of the layer's rows


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Scores near 0.8; damage takes them towards 0."""
    ids = tuple(f"{i:04d}" for i in range(60))
    p, r = rng.uniform(0.6, 1.0, size=(2, 60)) * (1 - 0.9 * damage)
    return {
        "pairs": Features(ids, np.column_stack([p, r, 2 * p * r / (p + r)])),
        "texts": Fields(ids, {"hypothesis": ["text"] * 60, "references": [["text"]] * 60}),
    }


def rescaled(scores: Floats, baseline: float | None) -> Floats:
    """Scores [n] on a scale on which the baseline is 0 and 1 stays 1."""
    if baseline is None:
        return scores
    if not baseline < 1:
        raise Undefined(f"a baseline of {baseline:g} leaves no scale: it must be below 1")
    return (scores - baseline) / (1 - baseline)


@metric(
    "bertscore",
    version=1,
    paper="arXiv:1904.09675",
    min_n=2,
    n_match="any",
    outputs=lambda o: [
        OutputSpec(
            name,
            "higher",
            range=(-1 if getattr(o, f"baseline_{name}") is None else None, 1),
        )
        for name in COLUMNS
    ],
    needs=lambda o: {
        "pairs": features("generated", layer="bertscore"),
        "texts": fields("generated", "hypothesis", "references"),
    },
    example=example,
)
def bertscore(
    pairs: Features,
    texts: Fields,
    context: Context,
    *,
    baseline_precision: float | None = None,
    baseline_recall: float | None = None,
    baseline_f1: float | None = None,
) -> list[Estimate]:
    """Mean F1, precision and recall."""
    rows = pairs.x.astype(np.float64)
    if np.isnan(rows).any():
        first = pairs.ids[int(np.flatnonzero(np.isnan(rows).any(axis=1))[0])]
        raise Undefined(
            f"all tokens of a text of {first} weigh 0, being in every reference: leave out `idf`"
        )
    baselines = {"f1": baseline_f1, "precision": baseline_precision, "recall": baseline_recall}
    blank = sum(not text.strip() for text in texts.columns["hypothesis"])
    return [
        mean_of(
            context,
            name,
            rescaled(rows[:, column], baselines[name]),
            pairs.ids,
            (-1.0 if baselines[name] is None else None, 1.0),
            signed={"nrefs": reference_count(texts.columns["references"])},
            finding=f"{blank} blank hypotheses score 0" if blank else "",
        )
        for name, column in COLUMNS.items()
    ]
