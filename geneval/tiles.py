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
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import torch
from numpy.typing import NDArray

from geneval.linalg import Ints, chosen_device, exact_products

TILE_BYTES = 4 * 2**20
LEAST_ROWS = 64  # of a tile, below which a product of matrices is slow
_ON_GPU = 64  # times larger tiles, for multiplications are short there
_SQUARABLE = (1e-15, 1e15)  # lengths of rows whose squares float32 holds with all its digits

Rows = NDArray[Any]


class Taker(Protocol):
    """Takes from every tile, in float64 where it wants that."""

    def wants_double(self, extent: Extent) -> bool:
        """Whether products of rows of this extent are wanted in float64."""

    def take(self, tile: Tile) -> None:
        """Take from a tile. Its tensors are shared with other takers and must not be changed."""


@dataclass(frozen=True)
class Extent:
    """How far the rows [n, d] of two sets reach: the longest of them centred, and all as they are.

    `fits_float32` says whether no centred row is too long or too short for float32.
    """

    d: int
    longest_centred: float
    longest: float
    shortest: float
    fits_float32: bool


class Side:
    """The rows of x [n, d], and how they lie about `centre` float64 [d].

    `lengths` float64 [n] are those of the rows less the centre, `raw_lengths` those of the rows as
    they are. `along` float64 [n] is c·x − c·c/2, which added for both rows makes a product of
    centred rows one of raw rows.
    """

    def __init__(self, x: Rows, centre: torch.Tensor) -> None:
        self.x, self.centre = x, centre
        raw, along, lengths = [], [], []
        for part in parts(*x.shape):
            rows = take_rows(x, part)
            raw.append(rows.norm(dim=1))
            along.append(rows @ centre - centre @ centre / 2)
            lengths.append(rows.sub_(centre).norm(dim=1))
        self.raw_lengths, self.along = torch.cat(raw), torch.cat(along)
        self.lengths = torch.cat(lengths)


class Block:
    """Some rows of a side: `centred` [t, d] in the precision of the products, and lengths."""

    def __init__(self, side: Side, part: slice, dtype: torch.dtype) -> None:
        self.side, self.part, self.dtype = side, part, dtype
        self.raw_lengths, self.along = side.raw_lengths[part], side.along[part]
        self.lengths = side.lengths[part]
        self.centred = take_rows(side.x, part).sub_(side.centre).to(dtype)


class Scratch:
    """Tensors that tile after tile writes into; freed and taken anew they scatter the heap."""

    def __init__(self) -> None:
        self._flat: dict[tuple[str, torch.dtype], torch.Tensor] = {}

    def take(self, name: str, shape: torch.Size, dtype: torch.dtype) -> torch.Tensor:
        """A tensor of this name and shape, with whatever was written into it last."""
        flat = self._flat.get((name, dtype))
        if flat is None or len(flat) < shape.numel():
            flat = torch.empty(shape.numel(), dtype=dtype, device=chosen_device())
            self._flat[name, dtype] = flat
        return flat[: shape.numel()].view(shape)


@dataclass(frozen=True, eq=False)
class Tile:
    """All pairs of a block of x with a block of y.

    `mirrored` says that x and y are one set and that the tile stands for its mirror image as well.
    """

    x: Block
    y: Block
    mirrored: bool = False
    scratch: Scratch = field(default_factory=Scratch)

    def room(self, name: str, dtype: torch.dtype = torch.float64) -> torch.Tensor:
        """A tensor [t, s] to write into, until another tile takes it by the same name."""
        return self.scratch.take(
            name, torch.Size((len(self.x.centred), len(self.y.centred))), dtype
        )

    @cached_property
    def _products(self) -> torch.Tensor:
        room = self.room("centred products", self.x.dtype)
        return torch.mm(self.x.centred, self.y.centred.T, out=room)

    @cached_property
    def products(self) -> torch.Tensor:
        """x·y of the rows as they are, float64 [t, s]."""
        room = self.room("products")
        return torch.add(self._products, self.x.along[:, None], out=room).add_(self.y.along)

    @cached_property
    def squared(self) -> torch.Tensor:
        """Squared distances [t, s] by ‖x‖² + ‖y‖² − 2xy, off by `slack` at most."""
        of_x, of_y = (block.lengths.square().to(block.dtype) for block in (self.x, self.y))
        room = self.room("squared", self.x.dtype)
        return torch.mul(self._products, -2, out=room).add_(of_x[:, None]).add_(of_y)

    @property
    def slack(self) -> torch.Tensor:
        """How far `squared` and squared `row_distances` can differ, by column: float64 [s]."""
        reach: torch.Tensor = self.y.lengths + self.x.lengths.max()
        return reach.square().mul_(error(self))

    @property
    def transposed(self) -> Tile:
        """The same pairs with x and y exchanged."""
        other = Tile(self.y, self.x)
        other.__dict__["squared"] = self.squared.T
        return other

    @property
    def refined(self) -> Tile:
        """The same pairs in float64."""
        x, y = (Block(b.side, b.part, torch.float64) for b in (self.x, self.y))
        return Tile(x, y, self.mirrored)


def error(tile: Tile) -> float:
    """What (‖x‖ + ‖y‖)² is multiplied by to bound the error of a squared distance.

    With unit roundoff u, d summands in any order err by d·u·‖x‖‖y‖ (Higham 2002, eq. 3.5), and
    2‖x‖‖y‖ ≤ (‖x‖ + ‖y‖)²/2. Rounding the rows costs 2u, norms and sums of three 4u, two are in
    reserve. Norms and the distance from differences are sums in float64 and err by d + 8 of its u.
    """
    d = len(tile.x.side.centre)
    u, double = (torch.finfo(one).eps / 2 for one in (tile.x.dtype, torch.float64))
    return (d / 2 + 8) * u + 2 * (d + 8) * double


def sweep(x: Rows, y: Rows | None, takers: Sequence[Taker]) -> None:
    """Hand every pair of rows of x [n, d] and y [m, d] to the takers, tile by tile.

    Without y the pairs are those of x with itself: the tiles on the diagonal, and of two that
    mirror each other one, which says so.
    """
    other = x if y is None else y
    centre = _mean(x) if y is None else (_mean(x) + _mean(other)) / 2
    one = Side(x, centre)
    two = one if y is None else Side(other, centre)
    extent = _extent(one, two)
    exact = any(taker.wants_double(extent) for taker in takers)
    dtype = torch.float64 if exact or not extent.fits_float32 else torch.float32
    edge, scratch = _edge(dtype), Scratch()
    with exact_products():
        _all_tiles(one, two, edge, dtype, scratch, takers)


def _all_tiles(
    one: Side,
    two: Side,
    edge: int,
    dtype: torch.dtype,
    scratch: Scratch,
    takers: Sequence[Taker],
) -> None:
    """Hand the tiles of two sides to the takers; of one side with itself each pair once."""
    x, y = one.x, two.x
    is_one = one is two
    for start in range(0, len(x), edge):
        a = Block(one, slice(start, min(start + edge, len(x))), dtype)
        if is_one:
            _hand(Tile(a, a, scratch=scratch), takers)
        for begin in range(start + edge if is_one else 0, len(y), edge):
            b = Block(two, slice(begin, min(begin + edge, len(y))), dtype)
            _hand(Tile(a, b, is_one, scratch), takers)


def _hand(tile: Tile, takers: Sequence[Taker]) -> None:
    for taker in takers:
        taker.take(tile)


def _edge(dtype: torch.dtype) -> int:
    size = TILE_BYTES * (_ON_GPU if chosen_device() == "cuda" else 1)
    return max(LEAST_ROWS, math.isqrt(size // dtype.itemsize))


def _mean(x: Rows) -> torch.Tensor:
    total = torch.zeros(x.shape[1], dtype=torch.float64, device=chosen_device())
    for part in parts(len(x), x.shape[1]):
        total += take_rows(x, part).sum(0)
    return total / len(x)


def _extent(one: Side, two: Side) -> Extent:
    lengths = torch.cat([one.raw_lengths, two.raw_lengths])
    centred = torch.cat([one.lengths, two.lengths])
    least, most = _SQUARABLE
    fits = (centred < most) & ((centred > least) | (centred == 0))
    return Extent(
        d=one.x.shape[1],
        longest_centred=float(centred.max()),
        longest=float(lengths.max()),
        shortest=float(lengths.min()),
        fits_float32=bool(fits.all()),
    )


def parts(n: int, d: int) -> Iterator[slice]:
    """Slices of n rows of width d, each within `TILE_BYTES` of float64."""
    step = max(1, TILE_BYTES // (8 * max(1, d)))
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


def take_rows(x: Rows, rows: slice | Ints) -> torch.Tensor:
    """Rows of an array in float64 on the device of the block."""
    return torch.tensor(x[rows], device=chosen_device()).double()


def row_distances(x: Rows, i: Ints, y: Rows, j: Ints) -> torch.Tensor:
    """Euclidean distance [p] of the rows i [p] of x from the rows j of y, from differences."""
    apart = torch.empty(len(i), dtype=torch.float64, device=chosen_device())
    for part in parts(len(i), x.shape[1]):
        difference = take_rows(x, i[part]).sub_(take_rows(y, j[part]))
        torch.sum(difference.square_(), dim=1, out=apart[part])
    return apart.sqrt_()
