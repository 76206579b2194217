"""What each text of many shares with all the others, in time linear in their number."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from geneval.items import Floats
from geneval.text.ngrams import Gram, ngrams


@dataclass(frozen=True)
class Counts:
    """Counts of texts against all others, as BLEU takes them, and what they are without one more.

    `rows` float64 [n, 2 + 2·order]: lengths c and r (the nearest one, the shorter on a tie),
    clipped matches, n-grams. `changed` [p, 2 + 2·order] are those of the text `of` [p] where the
    text `without` [p] is gone; pairs that are not named change nothing.
    """

    rows: Floats
    changed: Floats
    of: NDArray[np.int64]
    without: NDArray[np.int64]


def leave_one_out(tokens: Sequence[Sequence[str]], order: int) -> Counts:
    """The counts of each tokenised text, of three or more, against all others."""
    rows = np.zeros((len(tokens), 2 + 2 * order))
    rows[:, 0] = [len(text) for text in tokens]
    less = defaultdict[tuple[int, int], Floats](lambda: np.zeros(2 + 2 * order))
    _count_lengths(rows, less)
    for n in range(1, order + 1):
        rows[:, 1 + order + n] = np.maximum(rows[:, 0] - n + 1, 0)
        _count_matches([ngrams(text, n) for text in tokens], 1 + n, rows, less)
    pairs = np.array(list(less), dtype=np.int64).reshape(-1, 2)
    changed = rows[pairs[:, 0]] - np.array(list(less.values())).reshape(-1, 2 + 2 * order)
    return Counts(rows, changed, pairs[:, 0], pairs[:, 1])


def _count_matches(
    grams: Sequence[Sequence[Gram]], column: int, rows: Floats, less: dict[tuple[int, int], Floats]
) -> None:
    """Add matches of one order, and what is less of them without the text that has most of it."""
    held = defaultdict[Gram, list[tuple[int, int]]](list)
    for row, own in enumerate(grams):
        for gram, count in Counter(own).items():
            held[gram].append((count, row))
    for holders in held.values():
        first, second, third = [*nlargest(3, holders), (0, -1), (0, -1)][:3]
        for count, row in holders:
            best = second if row == first[1] else first
            next_best = second if row not in (first[1], second[1]) else third
            matches = min(count, best[0])
            rows[row, column] += matches
            if lost := matches - min(count, next_best[0]):
                less[row, best[1]][column] += lost


def _count_lengths(rows: Floats, less: dict[tuple[int, int], Floats]) -> None:
    """Set the nearest length among the other texts, and what it is less without the only one."""
    held = defaultdict[float, list[int]](list)
    for row, length in enumerate(rows[:, 0].tolist()):
        held[length].append(row)
    for length, own in held.items():
        others = sorted(held, key=lambda other: (abs(other - length), other))
        for row in own:
            first, second = list(islice(_others(others, held, row), 2))
            rows[row, 1] = first[0]
            if first[0] != second[0]:
                less[row, first[1]][1] = first[0] - second[0]


def _others(
    lengths: Sequence[float], held: Mapping[float, Sequence[int]], row: int
) -> Iterator[tuple[float, int]]:
    """Length and row of the other texts, in the order of lengths."""
    return ((length, other) for length in lengths for other in held[length] if other != row)
