"""Sums of kernel matrices over all pairs of two sets, tile by tile, added up in float64.

Products of many rows are float32 where that rounds no value of the kernel by more than `ROUNDING`,
and float64 otherwise. Roundings of single pairs are as often up as down: of 4,000 x 4,000 rows of
2,048 features KID was 2e-10 to 4e-10 off, of 10,000 x 10,000 likewise.

A kernel is plain data (`Cubic`, `Directions`, `Distance`), so that a plan can tell which ones share
a sweep.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from geneval.linalg import Floats, as_array, zeros
from geneval.tiles import Extent, Rows, Tile, sweep

ROUNDING = 1e-6  # of a kernel's value, in its own units
MANY = 2_000**2  # pairs from which on float32 is worth its rounding
UNIT = 2.0**-24  # what float32 rounds by, relatively


class Kernel(Protocol):
    """A kernel function of two rows, and the random subsets of both sides to sum it over."""

    @property
    def subsets(self) -> Subsets | None:
        """The subsets, if any."""

    def of(self, tile: Tile) -> torch.Tensor:
        """Its values [t, s] on a tile, float64, in the tile's room of the name "values"."""

    def rounding(self, extent: Extent) -> float:
        """About what a product of centred rows in float32 can change a value by."""


@dataclass(frozen=True)
class Subsets:
    """So many pairs of random subsets of `size` rows of either side, drawn without replacement.

    NumPy's RandomState(seed) draws, by turns, from x and from y: torch-fidelity's draws.
    """

    count: int
    size: int
    seed: int

    def draws(self, n: int, m: int) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Rows [size] of n and rows [size] of m, `count` times."""
        rng = np.random.RandomState(self.seed)
        for _ in range(self.count):
            yield rng.choice(n, self.size, replace=False), rng.choice(m, self.size, replace=False)


@dataclass(frozen=True)
class Cubic:
    """(x·y/d + 1)³."""

    subsets: Subsets | None = None

    def of(self, tile: Tile) -> torch.Tensor:
        """Values on a tile."""
        one = zeros().add_(1.0)
        d = len(tile.x.side.centre)
        base = torch.add(one, tile.products, alpha=1 / d, out=tile.room("base"))
        return torch.mul(base, base, out=tile.room("values")).mul_(base)

    def rounding(self, extent: Extent) -> float:
        """The slope of the cube at the longest rows, times the rounding of their product."""
        slope = 3 * (extent.longest**2 / extent.d + 1) ** 2 / extent.d
        return slope * extent.longest_centred**2 * UNIT


@dataclass(frozen=True)
class Directions:
    """exp(−‖u−v‖² / 2σ²) of u = x/‖x‖ and v = y/‖y‖; no row may have length 0."""

    sigma: float
    subsets: None = None

    def of(self, tile: Tile) -> torch.Tensor:
        """Values on a tile."""
        of_x = 1 / (tile.x.raw_lengths[:, None] * self.sigma**2)
        cosine = torch.mul(tile.products, of_x, out=tile.room("values")).div_(tile.y.raw_lengths)
        return cosine.sub_(1 / self.sigma**2).clamp_(max=0.0).exp_()

    def rounding(self, extent: Extent) -> float:
        """The rounding of a cosine, times the steepest slope of the kernel."""
        if extent.shortest == 0:  # the metric will say that such a row has no direction
            return math.inf
        cosine = extent.longest_centred**2 * UNIT / extent.shortest**2
        return cosine / self.sigma**2


@dataclass(frozen=True)
class Distance:
    """‖x − y‖."""

    subsets: None = None

    def of(self, tile: Tile) -> torch.Tensor:
        """Values on a tile."""
        return tile.room("values").copy_(tile.squared).clamp_(min=0.0).sqrt_()

    def rounding(self, extent: Extent) -> float:
        """That of the square of the longest rows, as a share of the distance between such."""
        return UNIT if extent.longest_centred else 0.0


@dataclass(frozen=True)
class KernelSums:
    """Sums of a kernel matrix: over each row [n], each column [m], all squares, each subset."""

    rows: Floats
    columns: Floats
    squares: float
    subsets: Floats


class Summed:
    """Takes the sums of a kernel; pairs of a row with itself do not count where `within` one set.

    `chosen` are the shares [n, count] and [m, count] of either side's rows in random subsets.
    """

    def __init__(
        self, kernel: Kernel, n: int, m: int, within: bool, chosen: tuple[Rows, Rows] | None = None
    ) -> None:
        self._kernel, self._within = kernel, within
        self._chosen = None if chosen is None else [torch.as_tensor(one) for one in chosen]
        self._rows, self._columns, self._squares = zeros(n), zeros(m), zeros()
        self._subsets = zeros(0 if chosen is None else chosen[0].shape[1])

    def wants_double(self, extent: Extent) -> bool:
        """Where float32 rounds the kernel too much, or few pairs neither cost nor average much."""
        pairs = len(self._rows) * len(self._columns)
        return pairs < MANY or self._kernel.rounding(extent) > ROUNDING

    def take(self, tile: Tile) -> None:
        """Add a tile, twice where it stands for its mirror image as well."""
        values = self._kernel.of(tile)
        if self._within and not tile.mirrored:
            values.fill_diagonal_(0.0)
        rows, columns, times = tile.x.part, tile.y.part, 1 + tile.mirrored
        self._rows[rows] += values.sum(1)
        self._columns[columns] += values.sum(0)
        if tile.mirrored:
            self._rows[columns] += values.sum(0)
            self._columns[rows] += values.sum(1)
        flat = values.view(-1)
        self._squares += times * flat.dot(flat)
        if self._chosen:
            left, right = self._chosen[0][rows].to(values), self._chosen[1][columns].to(values)
            self._subsets += times * (values @ right).mul_(left).sum(0)

    def result(self) -> KernelSums:
        """The sums, after the last tile."""
        arrays = (self._rows, self._columns, self._subsets)
        rows, columns, subsets = (as_array(one) for one in arrays)
        return KernelSums(rows, columns, float(self._squares), subsets)


@dataclass(frozen=True)
class PairSums:
    """Sums of a kernel within x (`inner`), within y (`other`) and between them (`cross`)."""

    inner: KernelSums
    other: KernelSums
    cross: KernelSums


def kernel_sums(kernel: Kernel, x: Rows, y: Rows | None = None) -> KernelSums:
    """Sums of k(x, y) over all pairs of rows; without y over the pairs i ≠ j of x."""
    taker = Summed(kernel, len(x), len(x if y is None else y), within=y is None)
    sweep(x, y, [taker])
    return taker.result()


def pair_takers(kernel: Kernel, x: Rows, y: Rows) -> tuple[Summed, Summed, Summed]:
    """Takers of the sums within x, within y and between them, over the kernel's subsets as well.

    Subsets whose own kernel matrices cost less than their share of the sweep are left out.
    """
    n, m, subsets = len(x), len(y), kernel.subsets
    if subsets is None or not _in_sweep(subsets, n, m, x.shape[1]):
        return Summed(kernel, n, n, True), Summed(kernel, m, m, True), Summed(kernel, n, m, False)
    a, b = (np.zeros((size, subsets.count), dtype=np.float32) for size in (n, m))
    for k, (rows_x, rows_y) in enumerate(subsets.draws(n, m)):
        a[rows_x, k] = b[rows_y, k] = 1.0
    return (
        Summed(kernel, n, n, True, (a, a)),
        Summed(kernel, m, m, True, (b, b)),
        Summed(kernel, n, m, False, (a, b)),
    )


def _in_sweep(subsets: Subsets, n: int, m: int, d: int) -> bool:
    """Whether it takes fewer operations to sum over subsets beside the sweep over all pairs.

    That is 2 for every pair and subset, against 2d for every pair within a subset.
    """
    fits = subsets.size <= min(n, m)
    return fits and (n * n + m * m) / 2 + n * m < 2 * subsets.size**2 * d


def subset_mmds(kernel: Kernel, sums: PairSums, x: Rows, y: Rows) -> Floats:
    """Unbiased squared MMD [count] of the kernel's subsets of x and y, of which `sums` may know.

    Diagonals are left out of the two inner matrices, the cross matrix is whole.
    """
    subsets = kernel.subsets
    assert subsets is not None
    totals = [sums.inner.subsets, sums.other.subsets, sums.cross.subsets]
    if not len(totals[0]):
        own = [
            (kernel_sums(kernel, a), kernel_sums(kernel, b), kernel_sums(kernel, a, b))
            for a, b in ((x[i], y[j]) for i, j in subsets.draws(len(x), len(y)))
        ]
        totals = [np.array([one.rows.sum() for one in side]) for side in zip(*own, strict=True)]
    inner, other, cross = totals
    mmds: Floats = (inner + other) / (subsets.size * (subsets.size - 1))
    return mmds - 2 * cross / subsets.size**2
