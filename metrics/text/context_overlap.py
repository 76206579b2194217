"""Context overlap: how many content words of the assistant come from what others said before it.

    context_overlap = mean over dialogues of
        content words of the assistant that stand in an earlier turn of another
        / content words of the assistant

Input: `turns`, a list of {role, content} a record; turns of all roles but `assistant` are the
context of the assistant's turns after them. Tokens are the words of `words`. Content words are
those that stand in the contexts of at most the share `common` of all dialogues, or of one, so that
a language needs no list of its small words, though a suite of few dialogues keeps some of them.
Range [0, 1]; higher is closer to the context, and 1 is a parrot. Dialogues without a content word
of the assistant are left out; undefined where none is left. A table has the mean at each of the
assistant's turns.

The interval is of the mean of the population of dialogues, by the central limit theorem.

Source: the definition above, the precision of words against the context.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np

from geneval.data import Fields
from geneval.metric import fields, metric
from geneval.metrics.text.distinct_n import example as texts_of
from geneval.options import AtLeast
from geneval.resample import Context
from geneval.text.turns import Turns, answers, mean_share
from geneval.text.words import SPLIT, Words
from geneval.value import Estimate, OutputSpec


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """A question and an answer with topics of their own; damage answers that share on another."""
    small = texts_of(rng, 0)["texts"].columns["written"]
    turns = []
    for i, text in enumerate(small):
        topic = f"topic{i} place{i}" if rng.random() >= damage else f"nothing{i} never{i}"
        turns.append(
            [
                {"role": "user", "content": f"topic{i} {text} place{i}"},
                {"role": "assistant", "content": f"{text} {topic}"},
            ]
        )
    return {"texts": Fields(tuple(f"{i:04d}" for i in range(len(turns))), {"turns": turns})}


def common_words(dialogues: Sequence[Turns], most: float, words: Words) -> set[str]:
    """Words in the contexts of more than the share `most` of dialogues, and of more than one."""
    counts = Counter[str]()
    for turns in dialogues:
        others = [turn["content"] for turn in turns if turn["role"] != "assistant"]
        counts.update({word for text in others for word in SPLIT[words](text)})
    return {word for word, count in counts.items() if count > max(1.0, most * len(dialogues))}


def taken(turns: Turns, common: set[str], words: Words) -> list[tuple[int, int]]:
    """Of each turn of the assistant, content words that others said before, and content words."""
    found = []
    for answer in answers(turns):
        content = [word for word in SPLIT[words](answer.text) if word not in common]
        before = {word for text in answer.others for word in SPLIT[words](text)}
        found.append((sum(word in before for word in content), len(content)))
    return found


@metric(
    "context_overlap",
    version=1,
    min_n=2,
    n_match="close",
    outputs=[OutputSpec("context_overlap", "higher", range=(0, 1))],
    needs=lambda o: {"texts": fields("generated", "turns")},
    example=example,
)
def context_overlap(
    texts: Fields,
    context: Context,
    *,
    common: Annotated[float, AtLeast(0)] = 0.1,
    words: Words = "unicode",
) -> list[Estimate]:
    """The mean share of content words that come from the context."""
    dialogues = texts.columns["turns"]
    small = common_words(dialogues, common, words)
    parts = [taken(turns, small, words) for turns in dialogues]
    found = mean_share(
        context,
        "context_overlap",
        texts.ids,
        parts,
        lacking="a content word",
        undefined="the assistant has no content word in any dialogue; raise common",
        title="Furthest from their context",
        part="from context",
    )
    return [found]
