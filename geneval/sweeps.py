"""Kernels that one metric alone needs: sorted projections, cosines, balls, mixtures of Gaussians.

As in `linalg`, arithmetic is float64 on the chosen device, numpy stands on both sides, and a sweep
holds no more than a few tiles of about `TILE_BYTES`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from geneval.linalg import Floats, Ints, as_array, as_tensor
from geneval.tiles import LEAST_ROWS, TILE_BYTES

_DIRECTIONS = 64  # projected at a time, at most


# ------------------------------------------------------------------------- sorted projections


@dataclass(frozen=True)
class Sliced:
    """Squared Wasserstein distances of projections, with what intervals need.

    `distances` float64 [directions]; `left_out` [blocks, directions] the same without each block of
    both sides; `influence_x` and `influence_y` [n] that of every sample on the mean distance.
    """

    distances: Floats
    left_out: Floats
    influence_x: Floats
    influence_y: Floats


def sliced_draws(n: int, m: int, d: int, directions: int, seed: int) -> tuple[Ints, Ints, Floats]:
    """Rows of the two sides, min(n, m) each and ascending, and unit vectors [directions, d].

    One generator draws, in this order: a permutation of the longer side, whose first rows stay, and
    the directions in single precision. These are torch-fidelity's draws.
    """
    generator = torch.Generator("cpu").manual_seed(seed)
    rows = [np.arange(size) for size in (n, m)]
    for side, size in enumerate((n, m)):
        if size > min(n, m):
            drawn = torch.randperm(size, generator=generator)[: min(n, m)]
            rows[side] = np.sort(drawn.numpy())
    normal = torch.randn(directions, d, generator=generator, dtype=torch.float32).double()
    return rows[0], rows[1], (normal / normal.norm(dim=1, keepdim=True)).numpy()


def sliced_parts(
    x: NDArray[Any], y: NDArray[Any], directions: Floats, block_x: Ints, block_y: Ints
) -> Sliced:
    """Mean squared difference of the sorted projections of x and y, both [n, d], per direction.

    Block k must have as many rows in x as in y.
    """
    rows_x, rows_y, axes = as_tensor(x), as_tensor(y), as_tensor(directions)
    label_x, label_y = (torch.as_tensor(b, device=rows_x.device) for b in (block_x, block_y))
    count, n = int(block_x.max()) + 1, len(rows_x)
    distances = np.empty(len(axes))
    left_out = np.empty((count, len(axes)))
    total_x, total_y = torch.zeros_like(rows_x[:, 0]), torch.zeros_like(rows_y[:, 0])
    for start in range(0, len(axes), step := _per_tile(n)):
        part = axes[start : start + step]
        a, order_a = (part @ rows_x.T).sort(dim=1)
        b, order_b = (part @ rows_y.T).sort(dim=1)
        gap = a - b
        here = slice(start, start + len(part))
        distances[here] = as_array(gap.square().mean(1))
        in_a, in_b = label_x[order_a], label_y[order_b]
        for k in range(count):
            # Deleting a block keeps the order of the rest, so nothing is sorted again.
            rest = (a[in_a != k] - b[in_b != k]).view(len(part), -1)
            left_out[k, here] = as_array(rest.square().mean(1))
        total_x += _potential(a, gap, order_a)
        total_y += _potential(b, -gap, order_b)
    total_x, total_y = total_x / len(axes), total_y / len(axes)
    return Sliced(
        distances,
        left_out,
        as_array(total_x - total_x.mean()),
        as_array(total_y - total_y.mean()),
    )


def _potential(ordered: torch.Tensor, gap: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    """Kantorovich potentials [n] of projections [t, n], summed over the directions of a tile.

    The potential's slope is 2(s − T(s)) with the transport map T, whose values at the projections
    are `ordered − gap`; between two of them the slope is taken as linear.
    """
    rises = (ordered[:, 1:] - ordered[:, :-1]) * (gap[:, 1:] + gap[:, :-1])
    potential = torch.nn.functional.pad(rises.cumsum(1), (1, 0))
    return torch.zeros_like(ordered).scatter_(1, order, potential).sum(0)


def _per_tile(n: int) -> int:
    return max(1, min(_DIRECTIONS, TILE_BYTES // (8 * n)))


# ------------------------------------------------------------------------------------- cosines


def cosine_distances(x: NDArray[Any], y: NDArray[Any]) -> tuple[Floats, Ints]:
    """The two least 1 − |cos| [n, 2] of every row of x to the rows of y, ascending, and their rows.

    No row may have length 0. With a single row of y the second distance is infinite.
    """
    rows, others = _unit(x), _unit(y)
    distance, index = np.full((len(rows), 2), np.inf), np.zeros((len(rows), 2), dtype=np.int64)
    step = max(1, TILE_BYTES // (8 * len(others)))
    for start in range(0, len(rows), step):
        cosine = (rows[start : start + step] @ others.T).abs_()
        near = cosine.topk(min(2, len(others)), dim=1)
        part = (slice(start, start + len(cosine)), slice(near.values.shape[1]))
        # Rounding may carry a cosine past 1.
        distance[part] = as_array((1 - near.values).clamp_(min=0.0))
        index[part] = near.indices.cpu().numpy()
    return distance, index


def _unit(x: NDArray[Any]) -> torch.Tensor:
    rows = as_tensor(x)
    return rows.div(rows.norm(dim=1, keepdim=True))


def unit_spectrum(x: NDArray[Any]) -> tuple[Floats, Floats]:
    """Eigenvalues [k] above rounding of XᵀX/n with rows x [n, d] brought to length 1.

    And the squared component [n, k] of every row along each eigenvector. The smaller of XᵀX and XXᵀ
    is taken apart, which have these eigenvalues in common. No row may have length 0.
    """
    rows = _unit(x)
    n, d = rows.shape
    if n < d:
        values, vectors = torch.linalg.eigh(rows @ rows.T / n)
        along = vectors.square_().mul_(n * values)
    else:
        values, vectors = torch.linalg.eigh(rows.T @ rows / n)
        along = (rows @ vectors).square_()
    keep = values > len(values) * torch.finfo(values.dtype).eps
    return as_array(values[keep]), as_array(along[:, keep])


# ---------------------------------------------------------------------------- ratios of distances


@dataclass(frozen=True)
class Ratios:
    """How many times a row of x fits into the ball it fits best: radius over distance, largest.

    `best` [n] and the centre's row `ball` [n]; `second` [n] without that ball. `pairs` int64 [p, 2]
    are (row, ball) whose ball grown to its outer radius would beat `best`, by `grown` [p].
    """

    best: Floats
    ball: Ints
    second: Floats
    pairs: Ints
    grown: Floats


def ball_ratios(x: NDArray[Any], centres: NDArray[Any], inner: Floats, outer: Floats) -> Ratios:
    """Largest ratio of radius to distance for rows of x [n, d] over balls [m]; m is at least 2.

    A row that equals a centre has an infinite ratio, also where the radius is 0. The largest and
    the nearest ball of a row are measured again from differences, so that ties are ties.
    """
    rows, middles, radius = as_tensor(x), as_tensor(centres), as_tensor(inner)
    small, large = radius.square(), as_tensor(outer).square()
    best, second = np.empty(len(rows)), np.empty(len(rows))
    ball = np.empty(len(rows), dtype=np.int64)
    pairs, grown = [np.empty((0, 2), dtype=np.int64)], [np.empty(0)]
    for start, squared in _squared_distances(rows, middles):
        part = rows[start : start + len(squared)]
        values, leading = (small / squared).nan_to_num_(torch.inf, torch.inf).topk(2, dim=1)
        two = torch.stack([leading[:, 0], squared.argmin(dim=1)])
        exact = radius[two] / torch.stack([_row_distances(part, middles[one]) for one in two])
        most, which = exact.nan_to_num_(torch.inf, torch.inf).max(dim=0)
        chosen = two.gather(0, which[None])[0]
        rest = torch.where(chosen == leading[:, 0], values[:, 1], values[:, 0]).sqrt()
        more = (large / squared).sqrt_()
        i, j = (more > most[:, None]).nonzero().unbind(1)
        here = slice(start, start + len(part))
        best[here], second[here] = as_array(most), as_array(rest.minimum(most))
        ball[here] = chosen.cpu().numpy()
        pairs.append(torch.stack([i + start, j], dim=1).cpu().numpy())
        grown.append(as_array(more[i, j]))
    return Ratios(best, ball, second, np.concatenate(pairs), np.concatenate(grown))


@dataclass(frozen=True)
class Smallest:
    """The smallest ball that holds each row: its `radius` [n] and its centre's row `ball` [n].

    `second` [n] is the radius without that ball. Radii are infinite where no ball is left.
    """

    radius: Floats
    ball: Ints
    second: Floats


def smallest_balls(x: NDArray[Any], centres: NDArray[Any], radius: Floats) -> Smallest:
    """The smallest of the balls [m] around `centres` that hold each row of x; m is at least 2.

    A row at the radius itself is inside. Rows near a radius are measured from differences, so that
    ties are ties.
    """
    rows, middles, reach = as_tensor(x), as_tensor(centres), as_tensor(radius)
    squared_reach, longest = reach.square(), middles.norm(dim=1)
    first, second = np.empty(len(rows)), np.empty(len(rows))
    ball = np.empty(len(rows), dtype=np.int64)
    rounding = (rows.shape[1] + 8) * torch.finfo(torch.float64).eps
    for start, squared in _squared_distances(rows, middles):
        part = rows[start : start + len(squared)]
        slack = (part.norm(dim=1)[:, None] + longest).square_().mul_(rounding)
        inside = squared <= squared_reach
        i, j = ((squared - squared_reach).abs() <= slack).nonzero().unbind(1)
        inside[i, j] = _row_distances(part[i], middles[j]) <= reach[j]
        held = torch.where(inside, reach, torch.inf).topk(2, dim=1, largest=False)
        here = slice(start, start + len(part))
        first[here], second[here] = as_array(held.values[:, 0]), as_array(held.values[:, 1])
        ball[here] = held.indices[:, 0].cpu().numpy()
    return Smallest(first, ball, second)


# ---------------------------------------------------------------------------------- mixtures


@dataclass(frozen=True)
class MixtureSums:
    """Log density float64 [m] of rows x under a mixture of Gaussians, and sums over the rows.

    `mass` float64 [n] is how much of the rows each Gaussian explains, `spread` [n] the sum of their
    squared distances from its centre, weighted so.
    """

    log_density: Floats
    mass: Floats
    spread: Floats


def mixture_sums(x: NDArray[Any], centres: NDArray[Any], variance: Floats) -> MixtureSums:
    """Sums for rows x [m, d] under Gaussians of equal weight around `centres` [n, d].

    `variance` [n] is that of each in every direction.
    """
    rows, middles, width = as_tensor(x), as_tensor(centres), as_tensor(variance)
    n, d = middles.shape
    offset = -d / 2 * (width.log() + math.log(2 * math.pi)) - math.log(n)
    found, mass, spread = [], torch.zeros_like(width), torch.zeros_like(width)
    for _, squared in _squared_distances(rows, middles):
        log = (squared / (-2 * width)).add_(offset)
        total = log.logsumexp(1)
        share = log.sub_(total[:, None]).exp_()
        mass += share.sum(0)
        spread += share.mul_(squared).sum(0)
        found.append(total)
    return MixtureSums(as_array(torch.cat(found)), as_array(mass), as_array(spread))


def _squared_distances(
    rows: torch.Tensor, others: torch.Tensor
) -> Iterator[tuple[int, torch.Tensor]]:
    """Tiles [t, m] of squared distances with the row they start at, by ‖x‖² + ‖y‖² − 2xy."""
    lengths = others.square().sum(1)
    step = max(LEAST_ROWS, TILE_BYTES // (8 * max(1, len(others))))
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        squared = torch.addmm(lengths.expand(len(part), -1), part, others.T, alpha=-2.0)
        yield start, squared.add_(part.square().sum(1)[:, None]).clamp_(min=0.0)


def _row_distances(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Euclidean distance between each row of a and the same row of b, from differences."""
    return (a - b).square().sum(-1).sqrt()
