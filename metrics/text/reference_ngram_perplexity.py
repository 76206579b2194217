"""Perplexity of the outputs under an n-gram model of the reference texts.

    reference_ngram_perplexity = exp( − Σ log P(text) / Σ (words + 1) )
    bits_per_byte              = − Σ log2 P(text) / Σ bytes

Input: one text a record of the outputs and of the references, which as a whole fit the model. Sums
are over outputs, so both are values of the corpus and no means. A text is its words, those of the
option `words`, and its end, which is foretold too; its bytes are those of its words in UTF-8 with a
space between them and one for the end. Lower is more like the references; ranges [1, ∞) and [0, ∞).
A perplexity beyond e^300 is given as e^300. Perplexities compare only between like word lists and
references; bits per byte depend less on how words are parted.

The model is Witten and Bell's interpolation of orders 1 … `order`: after a context h that was seen
N times with T different words after it,

    P(w | h) = (count(h w) + T · P(w | shorter h)) / (N + T)

Nothing is left out as unknown: below order 1 all of the mass is that of a word not in the
references, which is spelt out by a model of the same kind over the letters of the references'
words, of order 3; a letter that they do not have is one of 0x110000. Copies of references score
best, so read it beside `ngram_novelty`.

The intervals are of the population of outputs, given the references, by multinomial bootstrap.
Perplexity is skewed where words are often spelt out: there, bits per byte tell more surely.

Source: Witten and Bell 1991, doi:10.1109/18.87000, interpolated as in Chen and Goodman 1999.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

import numpy as np

from geneval.data import Fields
from geneval.items import Floats
from geneval.metric import Undefined, fields, metric
from geneval.metrics.text.distinct_n import example as texts_of
from geneval.options import AtLeast
from geneval.resample import Context
from geneval.text.corpus import by_id, corpus_estimate
from geneval.text.witten_bell import WittenBell
from geneval.text.words import SPLIT, Words
from geneval.value import Estimate, OutputSpec

LETTERS = 0x110000  # code points of Unicode
_LETTER_ORDER = 3
_MOST = 300.0  # nats a word beyond which a perplexity is as good as none


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Outputs of the words of the references; damage replaces that share by made-up ones."""
    known, made = (texts_of(rng, 0)["texts"] for _ in range(2))
    said = [
        " ".join(f"q{i}x" if rng.random() < damage else w for i, w in enumerate(text.split()))
        for text in made.columns["written"]
    ]
    return {"texts": replace(made, columns={"written": said}), "known": known}


def fitted(texts: Sequence[Sequence[str]], order: int) -> WittenBell:
    """The model of tokenised texts, with one of their letters for words that they do not have."""
    different = sorted({word for text in texts for word in text})
    letters = WittenBell(different, _LETTER_ORDER, lambda _: -math.log(LETTERS))
    return WittenBell(texts, order, letters.log_probability)


def perplexity(sums: Floats, _: Any = None) -> Floats:
    """Perplexity [b] of sums [b, 3] of nats, words with ends, and bytes."""
    return np.asarray(np.exp(np.minimum(sums[:, 0] / sums[:, 1], _MOST)), dtype=np.float64)


def bits_per_byte(sums: Floats, _: Any = None) -> Floats:
    """Bits per byte [b] of the same sums."""
    return np.asarray(sums[:, 0] / math.log(2) / sums[:, 2], dtype=np.float64)


@metric(
    "reference_ngram_perplexity",
    version=1,
    min_n=2,
    n_match="any",
    outputs=[
        OutputSpec("reference_ngram_perplexity", "lower", range=(1, None)),
        OutputSpec("bits_per_byte", "lower", unit="bits", range=(0, None)),
    ],
    needs=lambda o: {
        "texts": fields("generated", "written"),
        "known": fields("reference", "written"),
    },
    example=example,
    reduce={"reference_ngram_perplexity": perplexity, "bits_per_byte": bits_per_byte},
)
def reference_ngram_perplexity(
    texts: Fields,
    known: Fields,
    context: Context,
    *,
    order: Annotated[int, AtLeast(1)] = 3,
    words: Words = "unicode",
) -> list[Estimate]:
    """How unlikely the outputs are to a model of the references."""
    texts, split = by_id(texts), SPLIT[words]
    references = [split(text) for text in known.columns["written"]]
    if not any(references):
        raise Undefined("no reference has a word to fit a model on")
    model = fitted(references, order)
    made = [split(text) for text in texts.columns["written"]]
    rows = np.array([_sums(model, text) for text in made])
    finding = _unknown(made, set(model.vocabulary))
    return [
        corpus_estimate(
            context,
            output,
            texts.ids,
            rows,
            reduce,
            reduce(rows),
            range_=(low, None),
            worst_first=-1,
            finding=finding,
            title="Least like the references",
        )
        for output, reduce, low in (
            ("reference_ngram_perplexity", perplexity, 1.0),
            ("bits_per_byte", bits_per_byte, 0.0),
        )
    ]


def _sums(model: WittenBell, text: Sequence[str]) -> tuple[float, int, int]:
    """Nats, words with the end, and bytes of a tokenised text."""
    return -model.log_probability(text), len(text) + 1, len(" ".join(text).encode()) + 1


def _unknown(made: Sequence[Sequence[str]], known: set[str]) -> str:
    """How many words had to be spelt out, in words."""
    unknown = sum(word not in known for text in made for word in text)
    return (
        f"{unknown:,} of {sum(map(len, made)):,} words are in no reference; the references have "
        f"{len(known) - 1:,} different ones"
    )
