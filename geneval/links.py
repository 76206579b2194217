"""Rows that lie within reach of each other, and the groups that they form.

One sweep over all pairs (`geneval.tiles`) counts them and joins them into groups as it goes, so
that memory does not grow with the number of pairs. Pairs in doubt are measured by differences.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geneval.linalg import Ints
from geneval.tiles import Extent, Rows, Tile, row_distances, sweep


@dataclass(frozen=True)
class Links:
    """Who is near whom among n rows.

    `degree` int64 [n] counts the other rows within reach of a row; `only` int64 [n] is the single
    one where the count is 1, else −1. `group` int64 [n] numbers the connected components from 0, by
    their first row.
    """

    degree: Ints
    only: Ints
    group: Ints

    @property
    def pairs(self) -> int:
        """Pairs of rows within reach."""
        return int(self.degree.sum()) // 2

    @property
    def sizes(self) -> Ints:
        """Rows in every group [groups]; a row near no other is a group of one."""
        return np.bincount(self.group)

    @property
    def redundant(self) -> int:
        """Rows that could go without a group going."""
        return len(self.group) - len(self.sizes)


def links(x: Rows, reach: float) -> Links:
    """The pairs of rows of x [n, d] at a Euclidean distance of at most `reach`, as counts."""
    taker = Linked(len(x), reach)
    sweep(x, None, [taker])
    return taker.result()


class Linked:
    """Takes the pairs within reach of one set with itself."""

    def __init__(self, n: int, reach: float) -> None:
        self._reach = reach
        self._degree, self._last = np.zeros((2, n), dtype=np.int64)
        self._group: Ints = np.arange(n)

    def wants_double(self, extent: Extent) -> bool:
        """Never: pairs in doubt are measured by differences."""
        return False

    def take(self, tile: Tile) -> None:
        """Count and join the pairs of a tile, each once."""
        near = tile.squared <= (self._reach**2 + tile.slack).to(tile.squared.dtype)
        if not tile.mirrored:
            near = near.triu(diagonal=1)
        i, j = near.nonzero().unbind(1)
        doubt = tile.squared[i, j].double() >= self._reach**2 - tile.slack[j]
        row, other = (i + tile.x.part.start).cpu().numpy(), (j + tile.y.part.start).cpu().numpy()
        within = np.ones(len(row), dtype=bool)
        unsure = doubt.cpu().numpy()
        apart = row_distances(tile.x.side.x, row[unsure], tile.y.side.x, other[unsure])
        within[unsure] = (apart <= self._reach).cpu().numpy()
        if within.any():
            self._add(row[within], other[within])

    def _add(self, row: Ints, other: Ints) -> None:
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        n = len(self._group)
        for one, two in ((row, other), (other, row)):
            self._degree += np.bincount(one, minlength=n)
            self._last[one] = two
        places = self._group[row], self._group[other]
        graph = coo_array((np.ones(len(row), dtype=np.int8), places), shape=(n, n))
        _, number = connected_components(graph, directed=False)
        self._group = number.astype(np.int64)[self._group]

    def result(self) -> Links:
        """The counts, after the last tile."""
        _, first, group = np.unique(self._group, return_index=True, return_inverse=True)
        number = np.argsort(np.argsort(first))
        return Links(self._degree, np.where(self._degree == 1, self._last, -1), number[group])
