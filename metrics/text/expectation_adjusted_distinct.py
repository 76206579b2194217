"""Expectation-adjusted distinct: how many words differ, of as many as chance would make differ.

    expectation_adjusted_distinct = N / ( V · (1 − ((V − 1) / V)^C) )

Input: one text a record. N is the number of different words of all outputs, C the number of words,
V the option `vocabulary`; the denominator is how many of V equally likely words C draws are
expected to show. Longer outputs are not punished for their length, as they are by distinct-1. Range
[0, ∞), about 1 where words are drawn evenly; higher is more diverse. The value hangs on V, which is
therefore in the signature; 30,522 is the vocabulary of BERT's tokeniser. Undefined without words,
and where more than V different words are used.

It still depends on the number of outputs, so a comparison takes equal n only, and the interval is
the spread at this n, by the jackknife.

Paper: Liu et al. 2022, arXiv:2202.13587.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from geneval.data import Fields
from geneval.items import Floats, jackknifed
from geneval.metric import Undefined, fields, metric
from geneval.metrics.text.distinct_n import example, own_and_all
from geneval.options import AtLeast
from geneval.resample import Context
from geneval.text.corpus import by_id
from geneval.text.words import SPLIT, Words
from geneval.value import Estimate, OutputSpec


def adjusted(different: Any, count: Any, vocabulary: int) -> Floats:
    """Different words over those expected in `count` even draws; 0 for no words. Both any shape."""
    expected = -vocabulary * np.expm1(count * np.log1p(-1 / vocabulary))
    return np.asarray(different / np.where(count > 0, expected, 1.0), dtype=np.float64)


@metric(
    "expectation_adjusted_distinct",
    version=1,
    paper="arXiv:2202.13587",
    min_n=2,
    n_match="exact",
    outputs=[OutputSpec("expectation_adjusted_distinct", "higher", range=(0, None))],
    needs=lambda o: {"texts": fields("generated", "written")},
    example=example,
)
def expectation_adjusted_distinct(
    texts: Fields,
    context: Context,
    *,
    vocabulary: Annotated[int, AtLeast(2)] = 30_522,
    words: Words = "unicode",
) -> list[Estimate]:
    """Different words over those expected."""
    texts = by_id(texts)
    tokens = [SPLIT[words](text) for text in texts.columns["written"]]
    sizes = np.array([len(text) for text in tokens])
    own, different = own_and_all(tokens)
    if not different:
        raise Undefined("no output has a word, so that there is nothing to count")
    if different > vocabulary:
        raise Undefined(f"{different:,} different words: set vocabulary to at least as many")
    number = float(adjusted(different, sizes.sum(), vocabulary))
    without = adjusted(different - own, sizes.sum() - sizes, vocabulary)
    output = "expectation_adjusted_distinct"
    return [jackknifed(context, output, number, without, texts.ids, (0, None))]
