"""Sample consistency: how alike several outputs of the same prompt are.

    jaccard          = mean over prompts of the mean over pairs of outputs of  |A ∩ B| / |A ∪ B|
    length_variation = mean over prompts of  standard deviation / mean  of the outputs' lengths

Input: `samples`, a list of outputs a record. A and B are the sets of different words of two
outputs; two without words are alike (1). Lengths are in words, their deviation with one degree of
freedom less than outputs; where no output has a word the lengths do not vary (0). Ranges [0, 1] and
[0, ∞); higher `jaccard` and lower `length_variation` are more consistent. For tasks that want
different answers, read them the other way round. Records with a single output are left out;
undefined where none is left.

The intervals are of the mean of the population of prompts, by the central limit theorem.

Source: Jaccard 1912, and the coefficient of variation, over the outputs of a prompt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from geneval.data import Fields
from geneval.items import mean_of
from geneval.metric import Undefined, fields, metric
from geneval.resample import Context
from geneval.text.words import SPLIT, Words
from geneval.value import Estimate, OutputSpec

_WORDS = [f"word{i}" for i in range(40)]


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Four answers a prompt that differ in a word or two; damage makes them differ in all."""
    samples = []
    for _ in range(40):
        answer = list(rng.choice(_WORDS, size=10))
        samples.append([_varied(rng, answer, 0.1 + 0.9 * damage) for _ in range(4)])
    return {"texts": Fields(tuple(f"{i:04d}" for i in range(40)), {"samples": samples})}


def _varied(rng: np.random.Generator, answer: Sequence[str], much: float) -> str:
    words = [str(rng.choice(_WORDS)) if rng.random() < much else word for word in answer]
    return " ".join(words[: len(words) - int(rng.integers(0, 1 + round(8 * much)))])


def mean_jaccard(texts: Sequence[Sequence[str]]) -> float:
    """The mean over pairs of tokenised texts, of which there are two or more."""
    pairs = combinations([set(text) for text in texts], 2)
    return float(np.mean([len(a & b) / len(a | b) if a or b else 1.0 for a, b in pairs]))


def variation(lengths: Sequence[int]) -> float:
    """Standard deviation over mean of two or more lengths; 0 where all are 0."""
    return float(np.std(lengths, ddof=1) / np.mean(lengths)) if any(lengths) else 0.0


@metric(
    "sample_consistency",
    version=1,
    min_n=1,
    n_match="any",
    outputs=[
        OutputSpec("jaccard", "higher", range=(0, 1)),
        OutputSpec("length_variation", "lower", range=(0, None)),
    ],
    needs=lambda o: {"texts": fields("generated", "samples")},
    example=example,
    conventions={"ddof": 1},
)
def sample_consistency(
    texts: Fields, context: Context, *, words: Words = "unicode"
) -> list[Estimate]:
    """How alike the outputs of a prompt are, in words and in length."""
    samples = texts.columns["samples"]
    kept = [row for row, outputs in enumerate(samples) if len(outputs) > 1]
    if not kept:
        raise Undefined("no record has several samples; give each several outputs of its prompt")
    ids = tuple(texts.ids[row] for row in kept)
    tokens = [[SPLIT[words](text) for text in samples[row]] for row in kept]
    alike = np.array([mean_jaccard(outputs) for outputs in tokens])
    varied = np.array([variation([len(text) for text in outputs]) for outputs in tokens])
    left = len(samples) - len(kept)
    counts = sorted({len(outputs) for outputs in tokens})
    span = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    told = f"; {left:,} with a single one left out" if left else ""
    finding = f"{span} samples a prompt{told}"
    return [
        mean_of(
            context, "jaccard", alike, ids, (0, 1), finding=finding, title="Least alike in words"
        ),
        mean_of(
            context,
            "length_variation",
            varied,
            ids,
            (0, None),
            worst_first=-1,
            finding=finding,
            title="Most different in length",
        ),
    ]
