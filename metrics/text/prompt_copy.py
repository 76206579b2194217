"""Prompt copy: how many outputs give their prompt back instead of an answer.

    prompt_copy = share of outputs with  longest run of words shared with the prompt
                                         ≥ `threshold` · words of the prompt

Input: one text and one `prompt` a record; words are those of `words`. An output that equals or
contains its prompt shares all of it. Range [0, 1]; lower is better. Prompts of fewer than
`least_words` words are too easily said again: their records are left out, and the value is
undefined where none is left. The interval is Wilson's, of the population.

Source: the definition above.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np

from geneval.data import Fields
from geneval.items import mean_of
from geneval.metric import Undefined, fields, metric
from geneval.metrics.text.distinct_n import example as texts_of
from geneval.options import AtLeast
from geneval.resample import Context
from geneval.text.ngrams import longest_run
from geneval.text.words import SPLIT, Words
from geneval.value import Estimate, OutputSpec


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Prompts and other texts after them; damage puts the prompt in place of that share of them."""
    prompts, others = (texts_of(rng, 0)["texts"] for _ in range(2))
    pairs = zip(prompts.columns["written"], others.columns["written"], strict=True)
    said = [f"{p} {o}" if rng.random() < damage else o for p, o in pairs]
    columns = {"written": said, "prompt": prompts.columns["written"]}
    return {"texts": Fields(prompts.ids, columns)}


@metric(
    "prompt_copy",
    version=1,
    min_n=1,
    n_match="any",
    outputs=[OutputSpec("prompt_copy", "lower", range=(0, 1))],
    needs=lambda o: {"texts": fields("generated", "written", "prompt")},
    example=example,
)
def prompt_copy(
    texts: Fields,
    context: Context,
    *,
    threshold: Annotated[float, AtLeast(0)] = 0.8,
    least_words: Annotated[int, AtLeast(1)] = 4,
    words: Words = "unicode",
) -> list[Estimate]:
    """The share of outputs that have most of their prompt in one piece."""
    split = SPLIT[words]
    prompts = [split(text) for text in texts.columns["prompt"]]
    kept = [row for row, prompt in enumerate(prompts) if len(prompt) >= least_words]
    if not kept:
        raise Undefined(f"no prompt has {least_words} words; lower least_words")
    said = texts.columns["written"]
    shares = [longest_run(split(said[row]), prompts[row]) / len(prompts[row]) for row in kept]
    left = len(prompts) - len(kept)
    return [
        mean_of(
            context,
            "prompt_copy",
            np.array([share >= threshold for share in shares], dtype=np.float64),
            tuple(texts.ids[row] for row in kept),
            (0, 1),
            worst_first=-1,
            finding=f"{left:,} records with shorter prompts are left out" if left else "",
            title="Give their prompt back",
            share=True,
        )
    ]
