"""One pass over all pairs of rows of two sets, tile by tile, each product of rows computed once.

Whatever wants something of the pairs (nearest rows, rows in balls, sums of a kernel) is a `Taker`
and is handed every tile. Products of matrices are fast but round; they are taken of centred rows,
in float32 unless a taker asks for float64, and every tile says how far its squared distances can be
off. Within that margin takers decide by `row_distances`, which are differences in float64.

Nothing n x m is ever held: a tile is a square of about `TILE_BYTES`, larger on a GPU.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import torch
from numpy.typing import NDArray

from geneval.linalg import Ints, chosen_device

TILE_BYTES = 8 * 2**20
LEAST_ROWS = 64  # of a tile, below which a product of matrices is slow
_ON_GPU = 64  # times larger tiles, for multiplications are short there
_SQUARABLE = (1e-15, 1e15)  # lengths of rows whose squares float32 holds with all its digits

Rows = NDArray[Any]


class Taker(Protocol):
    """What takes from every tile; `exact` asks for products in float64."""

    exact: bool

    def take(self, tile: Tile) -> None:
        """Take from a tile. Its tensors are shared with other takers and must not be changed."""


@dataclass(frozen=True, eq=False)
class Block:
    """The rows `part` of x [n, d], and how they lie about `centre` float64 [d]."""

    x: Rows
    part: slice
    centre: torch.Tensor
    dtype: torch.dtype

    @cached_property
    def rows(self) -> torch.Tensor:
        """Float64 [t, d]."""
        return take_rows(self.x, self.part)

    @cached_property
    def centred(self) -> torch.Tensor:
        """Rows less the centre [t, d], in the precision of the products."""
        return (self.rows - self.centre).to(self.dtype)

    @cached_property
    def lengths(self) -> torch.Tensor:
        """Lengths of the centred rows, float64 [t]."""
        return (self.rows - self.centre).square_().sum(1).sqrt()

    @cached_property
    def raw_lengths(self) -> torch.Tensor:
        """Lengths of the rows as they are, float64 [t]."""
        return self.rows.norm(dim=1)

    @cached_property
    def along(self) -> torch.Tensor:
        """c·x − c·c/2 [t], which added for both rows makes a product of centred rows a raw one."""
        return self.rows @ self.centre - self.centre @ self.centre / 2

    def __len__(self) -> int:
        return self.part.stop - self.part.start


@dataclass(frozen=True, eq=False)
class Tile:
    """All pairs of a block of x with a block of y.

    `mirrored` says that x and y are one set and that the tile stands for its mirror image as well.
    """

    x: Block
    y: Block
    mirrored: bool = False

    @cached_property
    def _products(self) -> torch.Tensor:
        return self.x.centred @ self.y.centred.T

    @cached_property
    def products(self) -> torch.Tensor:
        """x·y of the rows as they are, float64 [t, s]."""
        return self._products.double().add(self.x.along[:, None]).add_(self.y.along)

    @cached_property
    def squared(self) -> torch.Tensor:
        """Squared distances [t, s] by ‖x‖² + ‖y‖² − 2xy, off by `slack` at most."""
        squared = self._products.mul(-2).add_(self.x.lengths.square().to(self.x.dtype)[:, None])
        return squared.add_(self.y.lengths.square().to(self.x.dtype))

    @property
    def slack(self) -> torch.Tensor:
        """How far `squared` and squared `row_distances` can differ, by column: float64 [s]."""
        return error(self) * (self.y.lengths + self.x.lengths.max()).square()

    @property
    def transposed(self) -> Tile:
        """The same pairs with x and y exchanged."""
        other = Tile(self.y, self.x)
        other.__dict__["squared"] = self.squared.T
        return other

    @property
    def refined(self) -> Tile:
        """The same pairs in float64."""
        sides = (Block(b.x, b.part, b.centre, torch.float64) for b in (self.x, self.y))
        return Tile(*sides, self.mirrored)


def error(tile: Tile) -> float:
    """What (‖x‖ + ‖y‖)² is multiplied by to bound the error of a squared distance.

    With unit roundoff u, d summands in any order err by d·u·‖x‖‖y‖ (Higham 2002, eq. 3.5), and
    2‖x‖‖y‖ ≤ (‖x‖ + ‖y‖)²/2. Rounding the rows costs 2u, the norms and the sum of three 4u; two
    more are in reserve. The distance from differences errs by (d + 8) of float64's u.
    """
    d = len(tile.x.centre)
    u, double = (torch.finfo(one).eps / 2 for one in (tile.x.dtype, torch.float64))
    return (d / 2 + 8) * u + (d + 8) * double


def sweep(x: Rows, y: Rows | None, takers: Sequence[Taker]) -> None:
    """Hand every pair of rows of x [n, d] and y [m, d] to the takers, tile by tile.

    Without y the pairs are those of x with itself: the tiles on the diagonal, and of two that
    mirror each other one, which says so.
    """
    other = x if y is None else y
    centre = _mean(x) if y is None else (_mean(x) + _mean(other)) / 2
    exact = any(taker.exact for taker in takers)
    dtype = torch.float64 if exact or not _fit_float32(x, other, centre) else torch.float32
    edge = _edge()
    for start in range(0, len(x), edge):
        a = Block(x, slice(start, min(start + edge, len(x))), centre, dtype)
        if y is None:
            _hand(Tile(a, a), takers)
        for begin in range(start + edge if y is None else 0, len(other), edge):
            b = Block(other, slice(begin, min(begin + edge, len(other))), centre, dtype)
            _hand(Tile(a, b, mirrored=y is None), takers)


def _hand(tile: Tile, takers: Sequence[Taker]) -> None:
    for taker in takers:
        taker.take(tile)


def _edge() -> int:
    size = TILE_BYTES * (_ON_GPU if chosen_device() == "cuda" else 1)
    return max(LEAST_ROWS, math.isqrt(size // 8))


def _mean(x: Rows) -> torch.Tensor:
    total = torch.zeros(x.shape[1], dtype=torch.float64, device=chosen_device())
    for part in parts(len(x), x.shape[1]):
        total += take_rows(x, part).sum(0)
    return total / len(x)


def _fit_float32(x: Rows, y: Rows, centre: torch.Tensor) -> bool:
    """Whether no centred row of both sets is too long or too short for float32."""
    least, most = _SQUARABLE
    for side in (x,) if x is y else (x, y):
        for part in parts(len(side), side.shape[1]):
            lengths = Block(side, part, centre, torch.float64).lengths
            if not ((lengths < most) & ((lengths > least) | (lengths == 0))).all():
                return False
    return True


def parts(n: int, d: int) -> Iterator[slice]:
    """Slices of n rows of width d, each within `TILE_BYTES` of float64."""
    step = max(1, TILE_BYTES // (8 * max(1, d)))
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


def take_rows(x: Rows, rows: slice | Ints) -> torch.Tensor:
    """Rows of an array in float64 on the device of the block."""
    return torch.tensor(x[rows], device=chosen_device()).double()


def row_distances(x: Rows, i: Ints, y: Rows, j: Ints) -> torch.Tensor:
    """Euclidean distance [p] of the rows i [p] of x from the rows j of y, from differences."""
    found = [torch.zeros(0, dtype=torch.float64, device=chosen_device())]
    for part in parts(len(i), x.shape[1]):
        apart = take_rows(x, i[part]).sub_(take_rows(y, j[part]))
        found.append(apart.square_().sum(-1).sqrt_())
    return torch.cat(found)
