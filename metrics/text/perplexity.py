"""Perplexity: how surprising a language model finds the texts, per token, word and byte.

    perplexity = exp(−Σ log p / Σ tokens),   word_perplexity = exp(−Σ log p / Σ words)
    bits_per_byte = −Σ log p / (ln 2 · Σ bytes)

Input: the layer `likelihood` of a causal language model, which must be named (`extractor:
causal-lm:NAME_OR_PATH`; with `conditional: true` of texts after their prompts), and the texts.
Sums are over all texts, so long ones count for more; a mean of the texts' own perplexities is
another number. Ranges [1, ∞), [1, ∞) and [0, ∞); lower is likelier to that model, which praises
dull and repeated text as well. Tokens are the model's own, so `perplexity` compares under one
model's tokeniser only; `bits_per_byte` (of UTF-8) and `word_perplexity` compare across them.
`words` are those of any script, characters where no space parts them (`unicode`), or what spaces
part (`whitespace`, as in lm-evaluation-harness).

The intervals are of the population of texts, by multinomial bootstrap on the sums of texts.
Undefined where no text has a token, word or byte; a perplexity above e^100 is a problem.

Source: Jelinek et al. 1977 (JASA 62, S63); bits per byte as in lm-evaluation-harness.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from geneval.data import Features, Fields
from geneval.items import Floats
from geneval.metric import features, fields, metric
from geneval.resample import Context
from geneval.text.corpus import corpus_estimate
from geneval.text.words import SPLIT, Words
from geneval.value import Estimate, OutputSpec

MOST = 100  # nats per unit, above which a perplexity is no number to read
_TITLE = "Least likely to the model"


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Texts of 5 to 30 words at 3 nats a token; damage makes them three times as surprising."""
    ids = tuple(f"{i:04d}" for i in range(60))
    counts = rng.integers(5, 30, size=60)
    nats = counts * rng.uniform(2.0, 4.0, size=60) * (1 + 2 * damage)
    return {
        "likelihood": Features(ids, np.column_stack([-nats, counts])),
        "texts": Fields(ids, {"written": ["word " * count for count in counts]}),
    }


def nats_per_unit(sums: Floats) -> Floats:
    """Nats per unit [b] of sums [b, 2] of nats and units; 0 where there are no units."""
    found: Floats = np.zeros(len(sums))
    np.divide(sums[:, 0], sums[:, 1], out=found, where=sums[:, 1] > 0)
    return found


def perplexity_of(sums: Floats, o: Any = None) -> Floats:
    """Perplexities [b] of sums [b, 2]; a resample's is kept finite."""
    found: Floats = np.exp(np.minimum(nats_per_unit(sums), 3 * MOST))
    return found


def own_perplexity(rows: Floats, o: Any = None) -> Floats:
    """Perplexities [n] of single texts; NaN of one without units."""
    return np.where(rows[:, 1] > 0, perplexity_of(rows), np.nan)


def own_bits(rows: Floats, o: Any = None) -> Floats:
    """Bits per unit [n] of single texts; NaN of one without units."""
    return np.where(rows[:, 1] > 0, bits_of(rows), np.nan)


def bits_of(sums: Floats, o: Any = None) -> Floats:
    """Bits per unit [b] of sums [b, 2]."""
    return nats_per_unit(sums) / math.log(2)


@metric(
    "perplexity",
    version=1,
    min_n=2,
    n_match="any",
    outputs=[
        OutputSpec("perplexity", "lower", range=(1, None)),
        OutputSpec("word_perplexity", "lower", range=(1, None)),
        OutputSpec("bits_per_byte", "lower", unit="bits", range=(0, None)),
    ],
    needs=lambda o: {
        "likelihood": features("generated", layer="likelihood"),
        "texts": fields("generated", "written"),
    },
    example=example,
    reduce={
        "perplexity": perplexity_of,
        "word_perplexity": perplexity_of,
        "bits_per_byte": bits_of,
    },
    alone={
        "perplexity": own_perplexity,
        "word_perplexity": own_perplexity,
        "bits_per_byte": own_bits,
    },
)
def perplexity(
    likelihood: Features, texts: Fields, context: Context, *, words: Words = "unicode"
) -> list[Estimate]:
    """Perplexity per token and word, bits per byte."""
    order = np.array(sorted(range(likelihood.n), key=likelihood.ids.__getitem__))
    likelihood = likelihood.take(order)
    written = dict(zip(texts.ids, texts.columns["written"], strict=True))
    rows = likelihood.x.astype(np.float64)
    own = [written[sample] for sample in likelihood.ids]
    units = {
        "perplexity": rows[:, 1],
        "word_perplexity": np.array([len(SPLIT[words](text)) for text in own], dtype=np.float64),
        "bits_per_byte": np.array([len(text.encode()) for text in own], dtype=np.float64),
    }
    return [_estimate(context, name, likelihood.ids, -rows[:, 0], n) for name, n in units.items()]


def _estimate(
    context: Context, output: str, ids: tuple[str, ...], nats: Floats, units: Floats
) -> Estimate:
    statistics = np.column_stack([nats, units])
    total = statistics.sum(axis=0)
    unit = {"perplexity": "token", "word_perplexity": "word", "bits_per_byte": "byte"}[output]
    if total[1] == 0:
        told = f"no text has a {unit}, so that there is nothing to be likely"
        return Estimate(output=output, problem=told)
    if unit != "byte" and total[0] > MOST * total[1]:
        told = f"{total[0] / total[1]:.3g} nats per {unit}: read bits_per_byte, or set `words`"
        return Estimate(output=output, problem=told)
    reduce = bits_of if unit == "byte" else perplexity_of
    return corpus_estimate(
        context,
        output,
        ids,
        statistics,
        reduce,
        bits_of(statistics),
        range_=(0.0 if unit == "byte" else 1.0, None),
        worst_first=-1,
        finding=f"{total[0] / math.log(2):,.0f} bits of {total[1]:,.0f} {unit}s",
        title=_TITLE,
    )
