"""Nearest rows and rows in balls, exact: ties are ties, whatever the tile and the device.

Tiles of products (`geneval.tiles`) leave few pairs in doubt; those are measured by differences.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from geneval.linalg import Floats, Ints, as_array, as_tensor, zeros
from geneval.tiles import Extent, Rows, Tile, error, parts, row_distances, sweep, take_rows

_SPARE = 6  # rows kept beyond the k nearest, so that rounding seldom hides one of these
_DOUBTFUL = 1 / 32  # share of the pairs in doubt from which products in float64 are less work

# ---------------------------------------------------------------------------------- nearest


def nearest(x: Rows, k: int, among: Rows | None = None) -> tuple[Floats, Ints]:
    """Euclidean distance and row of the k nearest rows of `among` for every row of x, both [n, k].

    Without `among` the neighbours are sought in x itself and a row is not its own neighbour.
    Distances ascend and are those of `row_distances`, so equal rows are at distance 0 exactly. Of
    rows at equal distance the lower ones are taken, and any where the distance is 0.
    """
    taker = Nearest(x, k, among)
    sweep(x, among, [taker])
    return taker.result()


class Nearest:
    """Takes the k nearest rows of `among`, or of x itself, for every row of x.

    `own` [n] names for every row of x the row of `among` that is itself and does not count.
    """

    def __init__(
        self, x: Rows, k: int, among: Rows | None, own: Ints | None = None, exact: bool = False
    ) -> None:
        self._exact = exact
        self._x, self._k = x, k
        self._y = x if among is None else among
        self._own = np.arange(len(x)) if among is None else own
        available = len(self._y) - (self._own is not None)
        if not 1 <= k <= available:
            raise ValueError(f"k = {k} neighbours asked of {available}")
        self._kept = min(k + _SPARE, available)
        self._all_kept = self._kept == available
        self._squared = zeros(len(x), self._kept).fill_(torch.inf)
        self._index = torch.zeros_like(self._squared, dtype=torch.int64)
        self._margin = zeros(len(x))

    def wants_double(self, extent: Extent) -> bool:
        """When float32 has left rows in doubt."""
        return self._exact

    def take(self, tile: Tile) -> None:
        """Merge the nearest of a tile into those known."""
        self._merge(tile)
        if tile.mirrored:
            self._merge(tile.transposed)

    def _merge(self, tile: Tile) -> None:
        rows, squared = tile.x.part, tile.squared
        if self._own is not None:
            own = self._own[rows] - tile.y.part.start
            here = np.flatnonzero((own >= 0) & (own < squared.shape[1]))
            if len(here):
                squared = squared.clone()
                squared[here, own[here]] = torch.inf
        near = squared.topk(min(self._kept, squared.shape[1]), 1, largest=False)
        values = torch.cat([self._squared[rows], near.values.double()], 1)
        index = torch.cat([self._index[rows], near.indices + tile.y.part.start], 1)
        self._squared[rows], which = values.topk(self._kept, 1, largest=False)
        self._index[rows] = index.gather(1, which)
        margin = error(tile) * (tile.x.lengths + tile.y.lengths.max()).square()
        self._margin[rows] = self._margin[rows].maximum(margin)

    def result(self) -> tuple[Floats, Ints]:
        """Distance and row of the k nearest, both [n, k]."""
        squared, index = as_array(self._squared), self._index.cpu().numpy()
        margin = as_array(self._margin)
        first = np.zeros(squared.shape, dtype=bool)
        np.put_along_axis(first, squared.argsort(axis=1)[:, : self._k], True, 1)
        distance = np.full(squared.shape, np.inf)
        self._measure(distance, index, first)
        reach = np.where(first, distance, 0).max(axis=1) ** 2 + margin
        self._measure(distance, index, ~first & (squared <= reach[:, None]))
        distance, index = _lowest(distance, index, self._k)
        last = distance[:, -1]
        certain = (last**2 + margin < squared.max(axis=1)) | (last == 0) | self._all_kept
        rest = np.flatnonzero(~certain)
        if len(rest):
            distance[rest], index[rest] = self._again(rest)
        return distance, index

    def _measure(self, distance: Floats, index: Ints, wanted: NDArray[np.bool_]) -> None:
        rows, columns = wanted.nonzero()
        found = row_distances(self._x, rows, self._y, index[rows, columns])
        distance[rows, columns] = as_array(found)

    def _again(self, rows: Ints) -> tuple[Floats, Ints]:
        """The same for rows [r] of which rounding may have hidden a neighbour, more exactly."""
        own = None if self._own is None else self._own[rows]
        x = self._x[rows]
        if self._exact:
            return _by_differences(x, self._k, self._y, own)
        taker = Nearest(x, self._k, self._y, own, exact=True)
        sweep(x, self._y, [taker])
        return taker.result()


def _by_differences(x: Rows, k: int, y: Rows, own: Ints | None) -> tuple[Floats, Ints]:
    """The k nearest rows of y for every row of x, all pairs measured."""
    distance, index = np.empty((len(x), k)), np.empty((len(x), k), dtype=np.int64)
    for part in parts(len(x), len(y)):
        rows = take_rows(x, part)
        apart = torch.cat(
            [
                torch.cdist(rows, take_rows(y, some), compute_mode="donot_use_mm_for_euclid_dist")
                for some in parts(*y.shape)
            ],
            1,
        )
        if own is not None:
            apart[np.arange(len(rows)), own[part]] = torch.inf
        near = apart.sort(dim=1, stable=True).indices[:, :k].cpu().numpy()
        i = np.repeat(np.arange(part.start, part.stop), k)
        found = as_array(row_distances(x, i, y, near.ravel())).reshape(near.shape)
        distance[part], index[part] = _lowest(found, near, k)
    return distance, index


def _lowest(distance: Floats, index: Ints, k: int) -> tuple[Floats, Ints]:
    """The k least distances of every row and their index, by distance, then by index."""
    order = np.lexsort((index, distance), axis=1)[:, :k]
    return np.take_along_axis(distance, order, 1), np.take_along_axis(index, order, 1)


# ------------------------------------------------------------------------------------ balls


@dataclass(frozen=True)
class Balls:
    """Which rows of x lie in which balls, as counts and as the pairs that one removal can change.

    `held` int64 [n] counts the balls that hold a row, `holds` int64 [m] the rows in a ball;
    `only_ball` [n] and `only_row` [m] name the single one where the count is 1, else -1. `shell`
    int64 [m] counts rows between the inner and the outer radius of a ball; `shell_pairs` int64
    [p, 2] lists those (row, ball) whose row lies in at most one ball.
    """

    held: Ints
    holds: Ints
    only_ball: Ints
    only_row: Ints
    shell: Ints
    shell_pairs: Ints


def balls(x: Rows, centres: Rows, inner: Floats, outer: Floats, inclusive: bool) -> Balls:
    """Membership of every row of x [n, d] in the balls around `centres` [m, d].

    A row lies in ball j when its distance is ≤ inner[j] (inclusive) or < inner[j]; likewise for the
    shell's outer radius. Distances close to a radius are recomputed from differences, so that ties
    are ties.
    """
    taker = Members(len(x), inner, outer, inclusive)
    sweep(x, centres, [taker])
    return taker.result()


class Members:
    """Takes which rows lie in which balls; `swapped` where the balls are around the rows of x."""

    def __init__(
        self, n: int, inner: Floats, outer: Floats, inclusive: bool, swapped: bool = False
    ) -> None:
        self._radii = as_tensor(inner), as_tensor(outer)
        self._inclusive, self._swapped = inclusive, swapped
        self._held, self._only_ball = np.zeros(n, dtype=np.int64), np.full(n, -1, dtype=np.int64)
        self._holds, self._shell, self._last = np.zeros((3, len(inner)), dtype=np.int64)
        self._loose = [np.empty((0, 2), dtype=np.int64)]

    def wants_double(self, extent: Extent) -> bool:
        """Never: pairs in doubt are measured by differences."""
        return False

    def take(self, tile: Tile) -> None:
        """Count the pairs of a tile."""
        self._count(tile.transposed if self._swapped else tile)

    def _count(self, tile: Tile) -> None:
        inner, outer = (radius[tile.y.part] for radius in self._radii)
        bound = (outer.square() + tile.slack).to(tile.squared.dtype)
        i, j = (tile.squared <= bound).nonzero().unbind(1)
        near, slack = tile.squared[i, j].double(), tile.slack[j]
        doubt = (near - inner.square()[j]).abs() <= slack
        doubt |= (near - outer.square()[j]).abs() <= slack
        if tile.x.dtype is torch.float32 and doubt.sum() > _DOUBTFUL * tile.squared.numel():
            self._count(tile.refined)
            return
        row, ball = (i + tile.x.part.start).cpu().numpy(), (j + tile.y.part.start).cpu().numpy()
        which = doubt.cpu().numpy()
        apart = near.clamp_(min=0.0).sqrt_()
        apart[doubt] = row_distances(tile.x.side.x, row[which], tile.y.side.x, ball[which])
        within = torch.le if self._inclusive else torch.lt
        inside = within(apart, inner[j]).cpu().numpy()
        self._add(row[inside], ball[inside])
        between = within(apart, outer[j]).cpu().numpy() & ~inside
        self._shell += np.bincount(ball[between], minlength=len(self._shell))
        between &= self._held[row] <= 1
        self._loose.append(np.stack([row[between], ball[between]], axis=1))

    def _add(self, row: Ints, ball: Ints) -> None:
        self._held += np.bincount(row, minlength=len(self._held))
        self._holds += np.bincount(ball, minlength=len(self._holds))
        self._only_ball[row], self._last[ball] = ball, row

    def result(self) -> Balls:
        """The counts, after the last tile."""
        loose = np.concatenate(self._loose)
        return Balls(
            held=self._held,
            holds=self._holds,
            only_ball=np.where(self._held == 1, self._only_ball, -1),
            only_row=np.where(self._holds == 1, self._last, -1),
            shell=self._shell,
            shell_pairs=loose[self._held[loose[:, 0]] <= 1],
        )
