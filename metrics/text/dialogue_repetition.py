"""Dialogue repetition: how much the assistant says again what it has said before.

    dialogue_repetition = mean over dialogues of
        n-grams of later turns that stand in an earlier turn of the assistant
        / n-grams of later turns

Input: `turns`, a list of {role, content} a record; turns whose role is `assistant` count. n is
`order`; tokens are the words of `words`, and n-grams do not reach over the end of a turn. Later
turns are those after the assistant's first. Range [0, 1]; lower is better. Dialogues without an
n-gram in a later turn are left out; undefined where none is left. A table has the mean at each of
the assistant's turns. Repetition within a turn is that of `repetition`.

The interval is of the mean of the population of dialogues, by the central limit theorem.

Source: the definition above, seq-rep-n (Welleck et al. 2020, arXiv:1908.04319) across turns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np

from geneval.data import Fields
from geneval.metric import fields, metric
from geneval.metrics.text.distinct_n import example as texts_of
from geneval.options import AtLeast
from geneval.resample import Context
from geneval.text.ngrams import ngrams
from geneval.text.turns import Turns, answers, mean_share
from geneval.text.words import SPLIT, Words
from geneval.value import Estimate, OutputSpec


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Dialogues of three exchanges; damage puts the first answer in place of later ones."""
    said = [texts_of(rng, 0)["texts"].columns["written"] for _ in range(6)]
    turns = []
    for user1, first, user2, second, user3, third in zip(*said, strict=True):
        later = [first if rng.random() < damage else text for text in (second, third)]
        texts = (user1, first, user2, later[0], user3, later[1])
        turns.append(
            [
                {"role": ("user", "assistant")[i % 2], "content": text}
                for i, text in enumerate(texts)
            ]
        )
    return {"texts": Fields(tuple(f"{i:04d}" for i in range(len(turns))), {"turns": turns})}


def repeated(turns: Turns, order: int, words: Words) -> list[tuple[int, int]]:
    """N-grams that an earlier turn has, and n-grams, of each answer; none of the first."""
    found = []
    for answer in answers(turns):
        grams = ngrams(SPLIT[words](answer.text), order) if answer.own else []
        before = {g for text in answer.own for g in ngrams(SPLIT[words](text), order)}
        found.append((sum(gram in before for gram in grams), len(grams)))
    return found


@metric(
    "dialogue_repetition",
    version=1,
    min_n=1,
    n_match="any",
    outputs=[OutputSpec("dialogue_repetition", "lower", range=(0, 1))],
    needs=lambda o: {"texts": fields("generated", "turns")},
    example=example,
)
def dialogue_repetition(
    texts: Fields,
    context: Context,
    *,
    order: Annotated[int, AtLeast(1)] = 3,
    words: Words = "unicode",
) -> list[Estimate]:
    """The mean share of n-grams that the assistant says again."""
    parts = [repeated(turns, order, words) for turns in texts.columns["turns"]]
    found = mean_share(
        context,
        "dialogue_repetition",
        texts.ids,
        parts,
        lacking="a second answer",
        undefined=f"no dialogue has a second turn of the assistant with {order} words",
        title="Most repetitive across turns",
        part="repeated",
        worst_first=-1,
    )
    return [found]
