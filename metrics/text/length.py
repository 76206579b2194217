"""Length: how many words an output has, mean over outputs.

    length = mean over outputs of the number of words

Input: one text a record; words are those of `words`, of which `unicode` counts characters in
scripts without spaces. Unit: words; range [0, ∞). No length is better than another as such; a
table tells how lengths are spread. The interval is of the mean of the population, by the central
limit theorem.

Source: the definition above.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from geneval.data import Fields
from geneval.items import Floats, mean_of
from geneval.metric import fields, metric
from geneval.resample import Context
from geneval.text.words import SPLIT, Words
from geneval.value import DetailTable, Estimate, OutputSpec

_SHARES = (0, 5, 25, 50, 75, 95, 100)  # per cent


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Outputs as long as their references; damage drops that share of their words."""
    whole = [["word"] * int(rng.integers(5, 30)) for _ in range(60)]
    said = [" ".join(words[: round(len(words) * (1 - damage))]) for words in whole]
    references = [[" ".join(words)] for words in whole]
    columns: dict[str, list[Any]] = {"written": said, "hypothesis": said, "references": references}
    return {"texts": Fields(tuple(f"{i:04d}" for i in range(60)), columns)}


def spread(title: str, numbers: Floats, name: str) -> DetailTable:
    """Percentiles of numbers [n]."""
    columns: dict[str, list[Any]] = {
        "percentile": list(_SHARES),
        name: [float(one) for one in np.percentile(numbers, _SHARES)],
    }
    return DetailTable(title, columns, "line")


@metric(
    "length",
    version=1,
    min_n=1,
    n_match="any",
    outputs=[OutputSpec("length", "target", unit="words", range=(0, None))],
    needs=lambda o: {"texts": fields("generated", "written")},
    example=example,
)
def length(texts: Fields, context: Context, *, words: Words = "unicode") -> list[Estimate]:
    """The mean number of words."""
    counts = np.array([len(SPLIT[words](text)) for text in texts.columns["written"]], dtype=float)
    found = mean_of(
        context, "length", counts, texts.ids, (0, None), worst_first=-1, title="Longest, in words"
    )
    return [replace(found, tables=(spread("Spread of lengths", counts, "words"),))]
