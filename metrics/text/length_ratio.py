"""Length ratio: the words of the hypotheses over those of what they are measured against.

    length_ratio = Σ words of the hypotheses / Σ words of the others

Input: hypotheses by record, and by `against` their `references` (of several the one closest in
length, the shorter on a tie, as in BLEU) or their `source`, which gives the compression of
summaries. Range [0, ∞); neither end is better: 1 is the length of the references, and a ratio that
moves between checkpoints often explains why other values do. Undefined where the others have no
words.

Words are those of any script, characters where no space parts them (`words: unicode`), or what
spaces part (`whitespace`). A table tells how the ratios of records are spread.

The interval is of the population of records, by multinomial bootstrap on both counts, which are the
evidence.

Source: BLEU's brevity penalty (Papineni et al. 2002), whose lengths these are.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from geneval.data import Fields
from geneval.metric import Undefined, fields, metric
from geneval.metrics.text.length import example, spread
from geneval.resample import Context
from geneval.text.corpus import by_id, corpus_estimate, reference_count, share
from geneval.text.words import SPLIT, Words
from geneval.value import Estimate, OutputSpec

Against = Literal["references", "source"]


@metric(
    "length_ratio",
    version=1,
    min_n=2,
    n_match="any",
    outputs=[OutputSpec("length_ratio", "target", range=(0, None))],
    needs=lambda o: {"texts": fields("generated", "hypothesis", o.against)},
    example=example,
    identity={"length_ratio": 1.0},
    reduce={"length_ratio": share},
)
def length_ratio(
    texts: Fields, context: Context, *, against: Against = "references", words: Words = "unicode"
) -> list[Estimate]:
    """Words of the hypotheses over words of what they are measured against."""
    texts, split = by_id(texts), SPLIT[words]
    lengths = [len(split(text)) for text in texts.columns["hypothesis"]]
    others: list[list[str | None]] = [
        [one] if isinstance(one, str) else list(one) for one in texts.columns[against]
    ]
    closest = [
        min((len(split(one)) for one in some if one is not None), key=lambda n: (abs(n - own), n))
        for own, some in zip(lengths, others, strict=True)
    ]
    counts = np.array([lengths, closest], dtype=np.float64).T
    if not any(closest):
        raise Undefined(f"the {against} have no words to measure against")
    ratios = share(counts)
    signed = {"nrefs": reference_count(others)} if against == "references" else {}
    found = corpus_estimate(
        context,
        "length_ratio",
        texts.ids,
        counts,
        share,
        ratios,
        range_=(0, None),
        worst_first=-1,
        signed=signed,
        finding=f"{counts[:, 0].sum():,.0f} words to {counts[:, 1].sum():,.0f}",
    )
    told = spread("Spread of ratios", ratios[counts[:, 1] > 0], "ratio")
    return [replace(found, tables=(told,))]
