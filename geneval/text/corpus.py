"""A score of a corpus from sufficient statistics per segment: sums in, one number out.

sacrebleu tokenises and counts; sums, intervals and comparisons are geneval's, on the same counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from geneval.data import Fields
from geneval.items import Floats, worst_of
from geneval.metric import RANGE_SLACK
from geneval.resample import Context, bootstrap_sums
from geneval.signature import Scalar
from geneval.value import Estimate, Evidence, Ids, Role

_AT_A_TIME = 1024  # segments, since sacrebleu holds the n-grams of all references it is given
NO_LOG = -9999999999.0  # what stands for the logarithm of 0, as in sacrebleu


def by_id(texts: Fields) -> Fields:
    """The same rows sorted by id, so that no order of rows changes a resample."""
    order = sorted(range(len(texts.ids)), key=texts.ids.__getitem__)
    columns = {name: [cells[row] for row in order] for name, cells in texts.columns.items()}
    return Fields(tuple(texts.ids[row] for row in order), columns)


def reference_count(references: Sequence[Sequence[str | None]]) -> int | str:
    """How many references a record has; `var` where records differ."""
    counts = {sum(text is not None for text in texts) for texts in references}
    return counts.pop() if len(counts) == 1 else "var"


def best_of_references(texts: Fields, score: Callable[[str, str], float]) -> Floats:
    """The best score(hypothesis, reference) of each record, float64 [n]."""
    pairs = zip(texts.columns["hypothesis"], texts.columns["references"], strict=True)
    best = [max(score(made, one) for one in wanted if one is not None) for made, wanted in pairs]
    return np.array(best, dtype=np.float64)


def share(sums: Floats, _: Any = None) -> Floats:
    """The first count over the second [b] of sums [b, 2]; 0 where the second is 0.

    It is the `reduce` of metrics that are a share of summed counts.
    """
    first, second = sums[:, 0], sums[:, 1]
    return np.divide(first, second, out=np.zeros(len(sums)), where=second > 0)


def own_share(rows: Floats, _: Any = None) -> Floats:
    """The share of single samples [n], NaN where the second count is 0; an `alone` to `share`."""
    return np.where(rows[:, 1] > 0, share(rows), np.nan)


def segment_statistics(
    scorer: Any, hypotheses: Sequence[str], references: Sequence[Sequence[str | None]]
) -> Floats:
    """What a metric of sacrebleu counts of every segment, float64 [n, k], and its signature kept.

    `references` is a list per segment; sacrebleu takes a list per reference, which is why it is
    turned here and nowhere else.
    """
    counted = []
    for start in range(0, len(hypotheses), _AT_A_TIME):
        part = slice(start, start + _AT_A_TIME)
        turned = list(zip(*references[part], strict=True))
        counted += scorer._extract_corpus_statistics(list(hypotheses[part]), turned)
    return np.array(counted, dtype=np.float64)


def signature_of(scorer: Any, references: Sequence[Sequence[str | None]]) -> str:
    """sacrebleu's own signature of a metric that has counted segments."""
    count = reference_count(references)
    scorer.num_refs = -1 if count == "var" else count
    return str(scorer.get_signature())


def corpus_estimate(
    context: Context,
    output: str,
    ids: Ids,
    statistics: Floats,
    reduce: Callable[[Floats], Floats],
    items: Floats,
    *,
    range_: tuple[float | None, float | None],
    worst_first: int = 1,
    signed: Mapping[str, Scalar] | None = None,
    finding: str = "",
    title: str = "Least like their references",
) -> Estimate:
    """The value of summed statistics [n, k] of rows sorted by id, with its bootstrap interval.

    Resamples that all agree, as those of perfect segments do, are no certainty and no interval.
    `reduce` makes values [b] of sums [b, k]; `items` [n] are the scores of the segments alone, of
    which `worst_first` −1 says that the largest is the worst.
    """
    number = float(reduce(statistics.sum(axis=0)[None])[0])
    (sums,) = bootstrap_sums((statistics,), context.generator("segments"))
    se = float(np.std(reduce(sums), ddof=1))
    interval = context.interval(number, se, "multinomial bootstrap", "population", range_)
    varies = se > RANGE_SLACK * max(1.0, abs(number))
    return Estimate(
        output=output,
        number=number,
        n={Role.GENERATED: len(ids)},
        interval=interval if varies else None,
        no_interval=None if varies else "no segment differs from the others",
        evidence={Role.GENERATED: Evidence("statistics", ids, statistics)},
        signed=signed or {},
        finding=finding,
        galleries=(worst_of(ids, items, worst_first, title),),
    )
