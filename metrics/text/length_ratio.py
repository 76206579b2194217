"""Length ratio: the words of the hypotheses over those of what they are measured against.

    length_ratio = Σ words of the hypotheses / Σ words of the others
    words = Σ words of the hypotheses / records   (not beside a second ratio, that to the source)

Input: hypotheses by record, and by `against` their `references` (of several the one closest in
length, the shorter on a tie, as in BLEU) or their `source`, which gives the compression of
summaries. Range [0, ∞); neither end is better: 1 is the length of the references, and a ratio that
moves between checkpoints often explains why other values do. Undefined where the others have no
words.

Words are those of any script, characters where no space parts them (`tokens: unicode`), or what
spaces part (`whitespace`).

The interval of the ratio is of the population of records, by multinomial bootstrap on both counts,
which are the evidence; that of the mean count by the central limit theorem.

Source: BLEU's brevity penalty (Papineni et al. 2002), whose lengths these are.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from geneval.data import Fields
from geneval.items import Floats, mean_of
from geneval.metric import Undefined, fields, metric
from geneval.metrics.text.bleu import example
from geneval.resample import Context
from geneval.text.corpus import by_id, corpus_estimate, reference_count
from geneval.text.words import SPLIT, Words
from geneval.value import Estimate, OutputSpec

Against = Literal["references", "source"]
RATIO = OutputSpec("length_ratio", "target", range=(0, None))
WORDS = OutputSpec("words", "target", unit="words", range=(0, None))


def ratio(sums: Floats, o: Any = None) -> Floats:
    """Ratio [b] of summed counts [b, 2]; 0 where a resample has no words to measure against."""
    made, other = sums.T
    found: Floats = np.divide(made, other, out=np.zeros(len(sums)), where=other > 0)
    return found


@metric(
    "length_ratio",
    version=1,
    min_n=2,
    n_match="any",
    outputs=lambda o: [RATIO, WORDS] if o.against == "references" else [RATIO],
    needs=lambda o: {"texts": fields("generated", "hypothesis", o.against)},
    example=example,
    reduce={"length_ratio": ratio},
)
def length_ratio(
    texts: Fields, context: Context, *, against: Against = "references", tokens: Words = "unicode"
) -> list[Estimate]:
    """The ratio of lengths and the mean length in words."""
    texts, split = by_id(texts), SPLIT[tokens]
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
    signed = {"nrefs": reference_count(others)} if against == "references" else {}
    found = corpus_estimate(
        context,
        "length_ratio",
        texts.ids,
        counts,
        ratio,
        counts[:, 0] / np.maximum(counts[:, 1], 1),
        range_=(0, None),
        worst_first=-1,
        signed=signed,
        finding=f"{counts[:, 0].sum():,.0f} words to {counts[:, 1].sum():,.0f}",
    )
    if against == "source":
        return [found]
    made, title = counts[:, 0], "Longest"
    words = mean_of(context, "words", made, texts.ids, (0, None), worst_first=-1, title=title)
    return [found, words]
