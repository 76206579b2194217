"""Device kernels behind numpy in and out: tiled neighbours, tiled kernel sums.

Arithmetic is float64 on the device chosen with `on_device` (the CPU where a device has no float64).
Nothing n x n is ever held: sweeps go by tiles of about `TILE_BYTES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

TILE_BYTES = 16 * 2**20
_LEAST_ROWS = 64  # of a tile, below which a product of matrices is slow
_BORDER = 1e-11  # relative width in which a product-form distance is recomputed exactly
_device: ContextVar[str] = ContextVar("geneval_linalg_device", default="cpu")

Floats = NDArray[np.float64]
Kernel = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Ints = NDArray[np.int64]


@contextmanager
def on_device(name: str) -> Iterator[None]:
    """Run the kernels inside the block on `cpu` or `cuda`; `mps` has no float64 and means `cpu`."""
    token = _device.set("cpu" if name == "mps" else name)
    try:
        yield
    finally:
        _device.reset(token)


# -------------------------------------------------------------------------------- neighbours


def nearest(x: NDArray[Any], k: int, among: NDArray[Any] | None = None) -> tuple[Floats, Ints]:
    """Euclidean distance and row of the k nearest rows of `among` for every row of x, both [n, k].

    Without `among` the neighbours are sought in x itself and a row is not its own neighbour.
    Distances ascend; they are computed from differences, so equal rows are at distance 0 exactly.
    """
    rows = as_tensor(x)
    others = rows if among is None else as_tensor(among)
    available = len(others) - (among is None)
    if not 1 <= k <= available:
        raise ValueError(f"k = {k} neighbours asked of {available}")
    distance = np.empty((len(rows), k))
    index = np.empty((len(rows), k), dtype=np.int64)
    for start, squared in squared_distances(rows, others):
        if among is None:
            squared.diagonal(start).fill_(torch.inf)
        near = squared.topk(k, dim=1, largest=False).indices
        part = slice(start, start + len(squared))
        exact = torch.stack(
            [row_distances(rows[part], others[near[:, j]]) for j in range(k)], dim=1
        )
        order = exact.argsort(dim=1, stable=True)
        distance[part] = as_array(exact.gather(1, order))
        index[part] = near.gather(1, order).cpu().numpy()
    return distance, index


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


def balls(
    x: NDArray[Any], centres: NDArray[Any], inner: Floats, outer: Floats, inclusive: bool
) -> Balls:
    """Membership of every row of x [n, d] in the balls around `centres` [m, d].

    A row lies in ball j when its distance is ≤ inner[j] (inclusive) or < inner[j]; likewise for the
    shell's outer radius. Distances close to a radius are recomputed from differences, so that ties
    are ties.
    """
    rows, middles = as_tensor(x), as_tensor(centres)
    radius_in, radius_out = as_tensor(inner), as_tensor(outer)
    n, m = len(rows), len(middles)
    held, only_ball = np.zeros(n, dtype=np.int64), np.full(n, -1, dtype=np.int64)
    holds, shell, last = (np.zeros(m, dtype=np.int64) for _ in range(3))
    loose = [np.empty((0, 2), dtype=np.int64)]
    norms = middles.square().sum(1)
    for start, squared in squared_distances(rows, middles):
        part = rows[start : start + len(squared)]
        slack = _BORDER * (norms + part.square().sum(1).max())
        i, j = (squared <= radius_out.square() + slack).nonzero().unbind(1)
        near = squared[i, j]
        inside = _within(near, part, middles, i, j, radius_in, slack, inclusive)
        between = _within(near, part, middles, i, j, radius_out, slack, inclusive) & ~inside
        row, ball = (i + start).cpu().numpy(), j.cpu().numpy()
        inside_, between_ = inside.cpu().numpy(), between.cpu().numpy()
        held[start : start + len(part)] = np.bincount(row[inside_] - start, minlength=len(part))
        holds += np.bincount(ball[inside_], minlength=m)
        shell += np.bincount(ball[between_], minlength=m)
        only_ball[row[inside_]] = ball[inside_]
        last[ball[inside_]] = row[inside_]
        kept = between_ & (held[row] <= 1)
        loose.append(np.stack([row[kept], ball[kept]], axis=1))
    return Balls(
        held=held,
        holds=holds,
        only_ball=np.where(held == 1, only_ball, -1),
        only_row=np.where(holds == 1, last, -1),
        shell=shell,
        shell_pairs=np.concatenate(loose),
    )


def _within(
    near: torch.Tensor,
    part: torch.Tensor,
    middles: torch.Tensor,
    i: torch.Tensor,
    j: torch.Tensor,
    radius: torch.Tensor,
    slack: torch.Tensor,
    inclusive: bool,
) -> torch.Tensor:
    """For pairs (row i, ball j) at squared distance `near`: does the row lie within the radius."""
    limit = radius.square()[j]
    inside = near < limit
    border = ((near - limit).abs() <= slack[j]).nonzero().squeeze(1)
    for pairs in border.split(max(1, TILE_BYTES // (8 * part.shape[1]))):
        apart = row_distances(part[i[pairs]], middles[j[pairs]])
        reach = radius[j[pairs]]
        inside[pairs] = apart <= reach if inclusive else apart < reach
    return inside


def squared_distances(
    rows: torch.Tensor, others: torch.Tensor
) -> Iterator[tuple[int, torch.Tensor]]:
    """Tiles [t, m] of squared distances with the row they start at, by ‖x‖² + ‖y‖² − 2xy."""
    lengths = others.square().sum(1)
    step = max(_LEAST_ROWS, TILE_BYTES // (8 * max(1, len(others))))
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        squared = torch.addmm(lengths.expand(len(part), -1), part, others.T, alpha=-2.0)
        yield start, squared.add_(part.square().sum(1)[:, None]).clamp_(min=0.0)


def row_distances(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Euclidean distance between each row of a and the same row of b, from differences."""
    return (a - b).square().sum(-1).sqrt()


# ----------------------------------------------------------------------------------- kernels


@dataclass(frozen=True)
class KernelSums:
    """Sums of a kernel matrix: over each row [n], over each column [m], and of all its squares."""

    rows: Floats
    columns: Floats
    squares: float


def kernel_sums(kernel: Kernel, x: NDArray[Any], y: NDArray[Any] | None = None) -> KernelSums:
    """Sums of k(x, y) over all pairs of rows; without y over the pairs i ≠ j of x."""
    rows = as_tensor(x)
    others = rows if y is None else as_tensor(y)
    row_sums = np.empty(len(rows))
    columns = torch.zeros(len(others), dtype=torch.float64, device=others.device)
    squares = 0.0
    step = max(_LEAST_ROWS, TILE_BYTES // (32 * max(1, len(others))))
    for start in range(0, len(rows), step):
        values = kernel(rows[start : start + step], others)
        if y is None:
            values.diagonal(start).zero_()
        row_sums[start : start + step] = as_array(values.sum(1))
        columns += values.sum(0)
        squares += float(values.square().sum())
    return KernelSums(row_sums, as_array(columns), squares)


def polynomial_mmd(x: NDArray[Any], y: NDArray[Any]) -> float:
    """Unbiased squared MMD of two samples of equal size m under (x·y/d + 1)³.

    Diagonals are left out of the two inner matrices, the cross matrix is whole.
    """
    m, a, b = len(x), as_tensor(x), as_tensor(y)
    total = polynomial_kernel(a, b).sum() * (2 / (m * m))
    for side in (a, b):
        kernel = polynomial_kernel(side, side)
        total -= (kernel.sum() - kernel.trace()) / (m * (m - 1))
    return -float(total)


def gaussian_kernel(sigma: float) -> Kernel:
    """exp(−‖a−b‖² / 2σ²) for all pairs of rows."""

    def kernel(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        squared = a.square().sum(1)[:, None] + b.square().sum(1) - 2 * (a @ b.T)
        return squared.clamp_(min=0.0).div_(-2 * sigma**2).exp_()

    return kernel


def polynomial_kernel(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """(a·b/d + 1)³ for all pairs of rows."""
    base = (a @ b.T).div_(a.shape[1]).add_(1.0)
    return (base * base).mul_(base)


def as_tensor(x: NDArray[Any]) -> torch.Tensor:
    """An array in float64 on the device of the block."""
    return torch.as_tensor(np.asarray(x, dtype=np.float64)).to(_device.get())


def as_array(x: torch.Tensor) -> Floats:
    """A tensor back as an array."""
    return x.cpu().numpy()
