"""Degenerate outputs: how many are empty, and how many say what another output says too.

    empty     = share of outputs without a character but space and invisible ones
    duplicate = share of outputs that equal another output, both not empty

Input: one text a record. Range [0, 1]; lower is better. Outputs are equal when they have the same
words in the same order: lower-cased, compatibility forms folded, punctuation and space left aside;
outputs without words, such as symbols, when they are the same text. Every copy counts, the first
one too.

The intervals are Wilson's, of the population. `duplicate` rises with the number of outputs, so a
comparison takes equal n only; its interval takes outputs as independent, which the two of a pair
are not, and is too narrow by a factor of √2 where copies come in pairs.

Source: rates as in the literature on degeneration (Holtzman et al. 2020, arXiv:1904.09751), with
the definitions above.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from geneval.data import Fields
from geneval.items import mean_of
from geneval.metric import fields, metric
from geneval.resample import Context
from geneval.text.normal import is_empty, wording
from geneval.value import Estimate, OutputSpec


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Answers that are all different; damage empties some of them and makes others the same."""
    fate = rng.random(80) / max(damage, 1e-9)
    said = [
        "" if f < 0.3 else "I cannot say." if f < 0.8 else f"The answer to {i} is {rng.random()}."
        for i, f in enumerate(fate)
    ]
    return {"texts": Fields(tuple(f"{i:04d}" for i in range(80)), {"written": said})}


@metric(
    "degenerate_outputs",
    version=1,
    min_n=2,
    n_match="exact",
    outputs=[
        OutputSpec("empty", "lower", range=(0, 1)),
        OutputSpec("duplicate", "lower", range=(0, 1)),
    ],
    needs=lambda o: {"texts": fields("generated", "written")},
    example=example,
)
def degenerate_outputs(texts: Fields, context: Context) -> list[Estimate]:
    """The shares of empty and of duplicate outputs."""
    said = texts.columns["written"]
    empty = np.array([is_empty(text) for text in said], dtype=np.float64)
    forms = [wording(text) for text in said]
    copies = Counter(form for form, none in zip(forms, empty, strict=True) if not none)
    duplicate = np.array([copies[form] > 1 for form in forms], dtype=np.float64)
    form, times = max(copies.items(), key=lambda item: (item[1], item[0]), default=("", 0))
    most = " ".join(said[forms.index(form)].split()) if times > 1 else ""
    told = f"most often, {times:,} times: {most:.60}" if most else ""
    found = (("empty", empty, "", "Empty"), ("duplicate", duplicate, told, "Said more than once"))
    return [
        mean_of(
            context,
            output,
            scores,
            texts.ids,
            (0, 1),
            worst_first=-1,
            finding=finding,
            title=title,
            share=True,
        )
        for output, scores, finding, title in found
    ]
