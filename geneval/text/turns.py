"""Conversations: what the assistant said at each of its turns, and what was said before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from geneval.items import mean_of
from geneval.metric import Undefined
from geneval.resample import Context
from geneval.value import Cell, DetailTable, Estimate, Ids

Turns = Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class Answer:
    """A turn of the assistant: its text, its own turns before it, and those of all others."""

    text: str
    own: tuple[str, ...]
    others: tuple[str, ...]


def answers(turns: Turns) -> list[Answer]:
    """The assistant's turns in their order."""
    own, others, found = list[str](), list[str](), []
    for turn in turns:
        if turn["role"] == "assistant":
            found.append(Answer(turn["content"], tuple(own), tuple(others)))
            own.append(turn["content"])
        else:
            others.append(turn["content"])
    return found


def mean_share(
    context: Context,
    output: str,
    ids: Ids,
    parts: Sequence[Sequence[tuple[int, int]]],
    *,
    lacking: str,
    undefined: str,
    title: str,
    part: str,
    worst_first: int = 1,
) -> Estimate:
    """The mean over dialogues of the share that the assistant's turns have together.

    `parts` are (part, whole) by dialogue and turn, `part` what to call the former. Dialogues
    without a whole are left out, with what they are `lacking` in the finding; raises `Undefined`
    where that is all of them.
    """
    sums = np.array([np.sum([(0, 0), *one], axis=0) for one in parts], dtype=np.float64)
    kept = np.flatnonzero(sums[:, 1])
    if not len(kept):
        raise Undefined(undefined)
    left = len(parts) - len(kept)
    estimate = mean_of(
        context,
        output,
        sums[kept, 0] / sums[kept, 1],
        tuple(ids[row] for row in kept),
        (0, 1),
        worst_first=worst_first,
        finding=f"{left:,} dialogues without {lacking} are left out" if left else "",
        title=title,
    )
    return replace(estimate, tables=(by_turn("By turn of the assistant", parts, part),))


def by_turn(title: str, parts: Sequence[Sequence[tuple[int, int]]], name: str) -> DetailTable:
    """The mean share at the assistant's turn 1, 2, 3 …, of (part, whole) by dialogue and turn.

    Turns without a whole are left out, as are numbers of turns that no dialogue has.
    """
    columns: dict[str, list[Cell]] = {"turn": [], name: [], "dialogues": []}
    for turn in range(max(map(len, parts), default=0)):
        there = [one[turn] for one in parts if len(one) > turn]
        shares = [part / whole for part, whole in there if whole]
        if shares:
            columns["turn"].append(turn + 1)
            columns[name].append(float(np.mean(shares)))
            columns["dialogues"].append(len(shares))
    return DetailTable(title, columns, "line")
