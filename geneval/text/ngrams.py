"""Runs of neighbouring tokens: the n-grams of a text, and the longest run that two texts share."""

from __future__ import annotations

from collections.abc import Sequence

Gram = tuple[str, ...]


def ngrams(tokens: Sequence[str], n: int) -> list[Gram]:
    """The n-grams in their order; none of a text shorter than n."""
    return list(zip(*(tokens[start:] for start in range(n)), strict=False))


def longest_run(one: Sequence[str], other: Sequence[str]) -> int:
    """The length of the longest run of tokens that stands in both, by bisection over lengths."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if set(ngrams(one, middle)).isdisjoint(ngrams(other, middle)):
            high = middle - 1
        else:
            low = middle
    return low
