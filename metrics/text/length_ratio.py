"""Length ratio: how long outputs are beside their references.

    length_ratio = Σ words of the outputs / Σ words of the references

Input: hypotheses and references by record; of several references the mean length counts. Words are
those of `words`. Sums are over records. Range [0, ∞); 1 is the length of the references, so the
direction is a target. A table tells how the ratios of records are spread. Undefined where the
references have no words. The interval is of the population of records, by multinomial bootstrap.

Source: the definition above, as machine translation prints it beside BLEU.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from geneval.data import Fields
from geneval.metric import Undefined, fields, metric
from geneval.metrics.text.length import example, spread
from geneval.resample import Context
from geneval.text.corpus import by_id, corpus_estimate, reference_count, share
from geneval.text.words import SPLIT, Words
from geneval.value import Estimate, OutputSpec


@metric(
    "length_ratio",
    version=1,
    min_n=2,
    n_match="any",
    outputs=[OutputSpec("length_ratio", "target", range=(0, None))],
    needs=lambda o: {"texts": fields("generated", "hypothesis", "references")},
    example=example,
    identity={"length_ratio": 1.0},
    reduce={"length_ratio": share},
)
def length_ratio(texts: Fields, context: Context, *, words: Words = "unicode") -> list[Estimate]:
    """Words of the outputs over words of the references."""
    texts, split = by_id(texts), SPLIT[words]
    references = texts.columns["references"]
    made = [len(split(text)) for text in texts.columns["hypothesis"]]
    wanted = [np.mean([len(split(t)) for t in several if t is not None]) for several in references]
    if not any(wanted):
        raise Undefined("the references have no words to be as long as")
    rows = np.array([made, wanted], dtype=np.float64).T
    ratios = share(rows)
    estimate = corpus_estimate(
        context,
        "length_ratio",
        texts.ids,
        rows,
        share,
        ratios,
        range_=(0, None),
        signed={"nrefs": reference_count(references)},
        title="Shortest beside their references",
    )
    told = spread("Spread of ratios", ratios[rows[:, 1] > 0], "ratio")
    return [replace(estimate, tables=(told,))]
