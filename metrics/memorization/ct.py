"""C_T: a test of data copying by distances to the nearest training sample, within cells.

    C_T = Σ w_c z_c / Σ w_c,   w_c the share of reference samples in cell c,
    z_c = (U_c − mean) / deviation,   U_c = #{(g, r) in cell c: δ(g) > δ(r)} + ½ #{equal}

Input: features of generated, reference (held-out) and training samples [n, d], and the distance
δ(x) of the former two to their nearest training sample. Unit: standard deviations; range (−∞, ∞),
target 0. Far below 0 generated samples lie nearer to the training samples than fresh data do
(copying), far above further off (underfitting). z_c is the Mann-Whitney statistic in its deviations
when generated and reference samples have one distribution, with midranks and without continuity
correction. Copies of some and bad samples elsewhere can cancel within a cell; see `nearest_train`.

Cells are those of `cells` means of the training samples in their first `dimensions` principal
components (scikit-learn's k-means, 10 starts, `seed`, one thread); cells count that have `least`
generated samples. δ is the distance to the nearest of all training samples; the authors' code looks
within the cell and adds half a pair for continuity. dgm-eval uses 3 cells of 64 components without
a seed. The two-sided p-value in the finding is of C_T ~ N(0, Σ w_c² / (Σ w_c)²), its distribution
for samples of one distribution when the cells are given.

z grows with the root of n, so the interval is the spread at these numbers of samples, by DeLong's
placements of generated and reference samples; training samples and cells are taken as given.
Undefined where no cell has enough samples.

Paper: Meehan et al. 2020, arXiv:2004.05675. z agrees with `scipy.stats.mannwhitneyu`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from geneval.data import Features, Neighbours
from geneval.linalg import Floats, Ints
from geneval.metric import Undefined, features, metric, neighbours
from geneval.options import AtLeast
from geneval.ranks import mann_whitney, normal_tail, placements
from geneval.resample import Context, standard_error
from geneval.value import DetailTable, Estimate, Evidence, Gallery, OutputSpec, Role

SHOWN = 24  # samples in the gallery


@dataclass(frozen=True)
class Cell:
    """A cell: rows of generated and reference samples in it, z, and placements of both [n], [m]."""

    generated: Ints
    reference: Ints
    z: float
    slope: float
    placed_generated: Floats
    placed_reference: Floats


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Three clouds of one distribution; damage replaces generated samples by training samples."""
    from geneval.neighbours import nearest

    ids = tuple(f"{i:04d}" for i in range(240))
    x, reference, train = rng.normal(size=(3, 240, 4)) + rng.integers(0, 2, (3, 240, 1)) * 6.0
    x = np.where((rng.random(240) < damage)[:, None], train, x)
    return {
        "generated": Features(ids, x),
        "reference": Features(ids, reference),
        "train": Features(ids, train),
        "near_generated": Neighbours(ids, *nearest(x, 1, train), ids),
        "near_reference": Neighbours(ids, *nearest(reference, 1, train), ids),
    }


@metric(
    "ct",
    version=1,
    paper="arXiv:2004.05675",
    min_n=20,
    n_match="exact",
    outputs=[OutputSpec("ct", "target", unit="standard deviations")],
    needs=lambda o: {
        "generated": features("generated"),
        "reference": features("reference"),
        "train": features("train"),
        "near_generated": neighbours("generated", 1, among="train"),
        "near_reference": neighbours("reference", 1, among="train"),
    },
    example=example,
    conventions={"ties": "half", "kmeans": "scikit-learn, 10 starts"},
)
def ct(
    generated: Features,
    reference: Features,
    train: Features,
    near_generated: Neighbours,
    near_reference: Neighbours,
    context: Context,
    *,
    cells: Annotated[int, AtLeast(1)] = 3,
    dimensions: Annotated[int, AtLeast(1)] = 64,
    least: Annotated[int, AtLeast(1)] = 20,
    seed: int = 0,
) -> list[Estimate]:
    """The mean z over the cells, with the test's p-value and the cells."""
    places = cells_of(train, (generated, reference), min(cells, train.n), dimensions, seed)
    near = near_generated.radius(1), near_reference.radius(1)
    found = [compared(*rows, *near) for rows in well_filled(places, cells, least)]
    sizes = np.array([len(cell.reference) for cell in found], dtype=np.float64)
    weights = sizes / sizes.sum()
    number = float(weights @ [cell.z for cell in found])
    by_mine, by_theirs = influences(found, weights, generated.n, reference.n)
    se = float(np.hypot(standard_error(by_mine), standard_error(by_theirs)))
    z = number / float(np.linalg.norm(weights))
    return [
        Estimate(
            output="ct",
            number=number,
            n={Role.GENERATED: generated.n, Role.REFERENCE: reference.n, Role.TRAIN: train.n},
            interval=context.interval(number, se, "DeLong placements", "at_n"),
            evidence={
                Role.GENERATED: Evidence("influence", generated.ids, by_mine),
                Role.REFERENCE: Evidence("influence", reference.ids, by_theirs),
            },
            finding=told(z, len(found), cells),
            tables=(table(found),),
            galleries=(most_copied(found, near_generated),),
        )
    ]


def cells_of(
    train: Features, asked: tuple[Features, Features], cells: int, dimensions: int, seed: int
) -> list[Ints]:
    """The cell of every row of the sets asked, from k-means of the training rows in id order."""
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    train = train.take(np.array(sorted(range(train.n), key=lambda row: train.ids[row])))
    moments = train.moments()
    axes = np.linalg.eigh(moments.cov).eigenvectors[:, ::-1][:, :dimensions]
    rows = [(np.asarray(one.x, dtype=np.float64) - moments.mean) @ axes for one in (train, *asked)]
    with threadpool_limits(1):  # sums in another order could move a sample to another cell
        means = KMeans(cells, n_init=10, random_state=seed).fit(rows[0])
        return [means.predict(one).astype(np.int64) for one in rows[1:]]


def well_filled(places: list[Ints], cells: int, least: int) -> list[tuple[Ints, Ints]]:
    """Rows of generated and reference samples in each cell that has enough of the former.

    Raises `Undefined` where none has; `places` hold the cell of every row of both.
    """
    generated, reference = places
    rows = [(np.flatnonzero(generated == c), np.flatnonzero(reference == c)) for c in range(cells)]
    found = [(mine, theirs) for mine, theirs in rows if len(mine) >= least and len(theirs)]
    if not found:
        raise Undefined(
            f"no cell has {least} generated samples and a reference sample: give more samples, or "
            "set cells or least lower"
        )
    return found


def compared(generated: Ints, reference: Ints, near: Floats, near_reference: Floats) -> Cell:
    """The comparison of one cell; `near` and `near_reference` are the distances of all samples."""
    x, y = near[generated], near_reference[reference]
    test = mann_whitney(x, y)
    slope = len(x) * len(y) / test.deviation if test.deviation > 0 else 0.0
    return Cell(generated, reference, test.z, slope, placements(x, y), placements(y, x))


def influences(found: list[Cell], weights: Floats, n: int, m: int) -> tuple[Floats, Floats]:
    """Influence of every generated [n] and reference [m] sample: its placement in its cell."""
    generated, reference = np.zeros(n), np.zeros(m)
    for weight, cell in zip(weights, found, strict=True):
        rise = weight * cell.slope
        apart = cell.placed_generated - cell.placed_generated.mean()
        generated[cell.generated] = rise * apart * n / len(apart)
        apart = cell.placed_reference.mean() - cell.placed_reference
        reference[cell.reference] = rise * apart * m / len(apart)
    return generated - generated.mean(), reference - reference.mean()


def told(z: float, counted: int, cells: int) -> str:
    """The test in words."""
    p = 2 * normal_tail(-abs(z))
    which = "nearer to" if z < 0 else "further from"
    said = f"generated samples lie {which} the training samples than held-out ones (p = {p:.3g})"
    return said + (f"; {counted} of {cells} cells have enough samples" if counted < cells else "")


def table(found: list[Cell]) -> DetailTable:
    """The cells, the most copied first."""
    rows = sorted(found, key=lambda cell: cell.z)
    return DetailTable(
        "Cells, from nearest to the training samples to furthest",
        {
            "cell": list(range(1, len(rows) + 1)),
            "generated": [len(cell.generated) for cell in rows],
            "reference": [len(cell.reference) for cell in rows],
            "z": [cell.z for cell in rows],
        },
    )


def most_copied(found: list[Cell], near: Neighbours) -> Gallery:
    """The generated samples nearest to the training samples, in the cell of the lowest z."""
    rows = min(found, key=lambda cell: cell.z).generated
    rows = rows[np.argsort(near.radius(1)[rows], kind="stable")][:SHOWN]
    return Gallery(
        "Nearest to training samples in the cell of the lowest z",
        Role.GENERATED,
        tuple(near.ids[row] for row in rows),
        tuple(f"{near.distance[row, 0]:.3g} from {near.nearest(row)}" for row in rows),
    )
