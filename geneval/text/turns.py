"""Conversations: what the assistant said at each of its turns, and what was said before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from geneval.value import Cell, DetailTable

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
