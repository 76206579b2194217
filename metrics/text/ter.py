"""Translation edit rate: the edits that would turn the hypotheses into references.

    ter = 100 · Σ edits to the nearest reference / Σ mean length of the references

Input: hypotheses and references by record. An edit inserts, deletes or replaces a word, or shifts
a block of up to ten words by up to fifty; shifts are found greedily, as Tercom does. Range [0, ∞):
above 100 where a hypothesis needs more edits than its references have words. Lower is better. No
words on either side is 0; a hypothesis without words in its references is 100.

Words are parted by spaces, lower-cased unless `case_sensitive`. `asian_support` (with `normalized`)
makes every Han character a word, while runs of kana stay together; both are on where `lang`, else
the script of the references, asks for it, and off elsewhere, unless the suite says. Where more than
a tenth of the references are of a script without spaces and are not parted, the value is a problem,
as it is for a record of several thousand words: the work grows with the square of the length.

The interval is of the population of segments, by multinomial bootstrap on edits and lengths of the
segments, which are the evidence.

Paper: Snover et al. 2006 (AMTA), with sacrebleu as the implementation that counts. Equal to
sacrebleu.corpus_ter.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from geneval.data import Fields
from geneval.items import Floats
from geneval.metric import Undefined, fields, metric
from geneval.metrics.text.bleu import example
from geneval.resample import Context
from geneval.text.corpus import (
    by_id,
    corpus_estimate,
    reference_count,
    segment_statistics,
    signature_of,
)
from geneval.text.scripts import is_spaced
from geneval.text.tokenizers import MOST_UNFIT, languages
from geneval.value import Estimate, OutputSpec

MOST_PAIRS = 5_000**2  # of words of both sides; sacrebleu needs 200 MB and seconds for as many


def corpus_ter(sums: Floats, o: Any = None) -> Floats:
    """TER [b] of summed statistics [b, 2]: edits and mean lengths of the references."""
    edits, length = sums.T
    whole = np.where(edits > 0, 100.0, 0.0)  # where the references have no words
    found: Floats = np.divide(100 * edits, length, out=whole, where=length > 0)
    return found


@metric(
    "ter",
    version=1,
    min_n=2,
    n_match="any",
    outputs=[OutputSpec("ter", "lower", range=(0, None))],
    needs=lambda o: {"texts": fields("generated", "hypothesis", "references", also=["lang"])},
    example=example,
    reduce={"ter": corpus_ter},
)
def ter(
    texts: Fields,
    context: Context,
    *,
    normalized: bool | None = None,
    asian_support: bool | None = None,
    no_punct: bool = False,
    case_sensitive: bool = False,
) -> list[Estimate]:
    """Corpus TER of the hypotheses."""
    from sacrebleu.metrics.ter import TER

    texts = by_id(texts)
    hypotheses, references = texts.columns["hypothesis"], texts.columns["references"]
    asian = [name in ("zh", "ja") for name in languages(references, texts.columns.get("lang"))]
    ways = [
        (
            one if normalized is None else normalized,
            one if asian_support is None else asian_support,
        )
        for one in asian
    ]
    _require_parted(ways, references)
    _require_short(texts)
    statistics, signatures = np.empty((len(ways), 2)), []
    for way in sorted(set(ways)):
        scorer = TER(
            normalized=way[0],
            asian_support=way[1],
            no_punct=no_punct,
            case_sensitive=case_sensitive,
        )
        rows = [row for row, other in enumerate(ways) if other == way]
        statistics[rows] = segment_statistics(
            scorer, [hypotheses[row] for row in rows], [references[row] for row in rows]
        )
        signatures.append(f"TER|{signature_of(scorer, references)}")
    return [
        corpus_estimate(
            context,
            "ter",
            texts.ids,
            statistics,
            corpus_ter,
            corpus_ter(statistics),
            range_=(0, None),
            worst_first=-1,
            signed={
                "normalized": _joined(way[0] for way in ways),
                "asian_support": _joined(way[1] for way in ways),
                "nrefs": reference_count(references),
                "sacrebleu": " and ".join(signatures),
            },
        )
    ]


def _require_parted(ways: list[tuple[bool, bool]], references: Any) -> None:
    """Raise `Undefined` when too many references are one word each for want of spaces."""
    unfit = [
        row
        for row, texts in enumerate(references)
        if ways[row] != (True, True) and not all(is_spaced(text) for text in texts if text)
    ]
    if len(unfit) > MOST_UNFIT * len(references):
        raise Undefined(
            f"{len(unfit)} of {len(references)} references are of a script without spaces between "
            "words: set normalized: true and asian_support: true, which part Han characters, "
            "or use chrf"
        )


def _require_short(texts: Fields) -> None:
    """Raise `Undefined` for texts whose table of edits no machine holds: TER is of sentences."""
    columns = texts.columns["hypothesis"], texts.columns["references"]
    for sample, made, wanted in zip(texts.ids, *columns, strict=True):
        longest = max(_least_words(text) for text in wanted if text is not None)
        if _least_words(made) * longest > MOST_PAIRS:
            raise Undefined(
                f"record {sample} is too long, with {_least_words(made):,} words to {longest:,} of "
                "a reference: give one sentence a record, or use chrf or edit_similarity"
            )


def _least_words(text: str) -> int:
    """Words of a text by spaces, or its characters where these are letters without spaces."""
    return len(text.split()) if is_spaced(text) else len(text)


def _joined(switches: Any) -> str:
    return "+".join("yes" if one else "no" for one in sorted(set(switches)))
