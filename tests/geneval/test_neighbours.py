"""Nearest rows, rows in balls and kernel sums against brute force, whatever the tile."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from geneval import kernels, tiles
from geneval.kernels import Cubic, Directions, Subsets, kernel_sums, subset_mmds
from geneval.neighbours import balls, nearest
from geneval.pairs import Around, Asks, answer

Floats = NDArray[np.float64]


@given(
    n=st.integers(2, 30),
    m=st.integers(1, 30),
    d=st.integers(1, 4),
    k=st.integers(1, 5),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=60, deadline=None)
def test_nearest_equals_brute_force(n: int, m: int, d: int, k: int, seed: int) -> None:
    """Distances and order, on integer grids full of ties."""
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 4, (n, d)) * 1.0, rng.integers(0, 4, (m, d)) * 1.0
    apart = np.sqrt(((x[:, None] - y) ** 2).sum(-1))
    distance, index = nearest(x, min(k, m), y)
    assert np.array_equal(distance, np.sort(apart, axis=1)[:, : min(k, m)])
    assert np.array_equal(np.take_along_axis(apart, index, 1), distance)
    k = min(k, n - 1)
    within = np.sqrt(((x[:, None] - x) ** 2).sum(-1))
    np.fill_diagonal(within, np.inf)
    own, own_index = nearest(x, k)
    assert np.array_equal(own, np.sort(within, axis=1)[:, :k])
    assert (own_index != np.arange(n)[:, None]).all()


def test_equal_rows_are_at_distance_zero_exactly() -> None:
    """Duplicates far from the origin are not told apart by rounding."""
    x = np.full((6, 512), 1e4) + np.repeat(np.random.default_rng(0).normal(size=(3, 512)), 2, 0)
    distance, _ = nearest(x, 1)
    assert (distance == 0).all()


@given(
    n=st.integers(1, 25),
    m=st.integers(3, 25),
    d=st.integers(1, 3),
    inclusive=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=80, deadline=None)
def test_balls_equal_brute_force(n: int, m: int, d: int, inclusive: bool, seed: int) -> None:
    """Counts, single holders and shell pairs, on integer grids full of ties."""
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 6, (n, d)) * 1.0, rng.integers(0, 6, (m, d)) * 1.0
    radius, _ = nearest(y, 2)
    inner, outer = radius[:, 0], radius[:, 1]
    apart = np.sqrt(((x[:, None] - y) ** 2).sum(-1))
    inside = apart <= inner if inclusive else apart < inner
    between = (apart <= outer if inclusive else apart < outer) & ~inside
    found = balls(x, y, inner, outer, inclusive)
    assert np.array_equal(found.held, inside.sum(1))
    assert np.array_equal(found.holds, inside.sum(0))
    assert np.array_equal(found.shell, between.sum(0))
    only_ball = [row.argmax() if row.sum() == 1 else -1 for row in inside]
    only_row = [column.argmax() if column.sum() == 1 else -1 for column in inside.T]
    assert found.only_ball.tolist() == only_ball
    assert found.only_row.tolist() == only_row
    loose = {(i, j) for i, j in np.argwhere(between).tolist() if inside[i].sum() <= 1}
    assert {tuple(pair) for pair in found.shell_pairs.tolist()} == loose


def test_kernel_sums_equal_the_matrix() -> None:
    """Row, column and square sums of (x·y/d + 1)³, with and without the diagonal."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 3)), rng.normal(size=(25, 3))
    matrix = (x @ y.T / 3 + 1) ** 3
    sums = kernel_sums(Cubic(), x, y)
    assert sums.rows == pytest.approx(matrix.sum(1))
    assert sums.columns == pytest.approx(matrix.sum(0))
    assert sums.squares == pytest.approx((matrix**2).sum())
    inner = (x @ x.T / 3 + 1) ** 3
    np.fill_diagonal(inner, 0)
    own = kernel_sums(Cubic(), x)
    assert own.rows == pytest.approx(inner.sum(1))
    assert own.squares == pytest.approx((inner**2).sum())


def test_tiles_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every sweep gives the same whatever the tile, down to one row at a time."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(50, 6)), rng.normal(size=(40, 6))
    radius, _ = nearest(y, 4)

    def sweep() -> tuple[object, ...]:
        ball = balls(x, y, radius[:, 2], radius[:, 3], True)
        return (
            nearest(x, 3)[0].round(12).tolist(),
            nearest(x, 3, y)[1].tolist(),
            ball.held.tolist(),
            ball.only_row.tolist(),
            sorted(map(tuple, ball.shell_pairs.tolist())),
            kernel_sums(Cubic(), x, y).rows.round(9).tolist(),
        )

    whole = sweep()
    monkeypatch.setattr(tiles, "TILE_BYTES", 1)
    assert sweep() == whole


def test_too_many_neighbours_are_refused() -> None:
    """There are n − 1 others at most."""
    with pytest.raises(ValueError, match="3 neighbours asked of 2"):
        nearest(np.zeros((3, 2)), 3)


def by_hand(x: Floats, y: Floats, own: bool) -> Floats:
    """Distances of all pairs from differences, a row's own left out."""
    apart = np.array([np.sqrt(((row - y) ** 2).sum(-1)) for row in x])
    if own:
        np.fill_diagonal(apart, np.inf)
    return apart


def clusters(n: int, d: int, kind: str, seed: int) -> Floats:
    """Rows that are hard to tell apart in single precision."""
    rng = np.random.default_rng(seed)
    close = rng.normal(size=(n, d)) * 1e-3
    match kind:
        case "far from the origin":
            return 1e4 + close
        case "two far groups":  # no centre is near to all
            return np.where(np.arange(n)[:, None] % 2, 1e4, -1e4) + close
        case "copies":
            return close[rng.integers(0, max(2, n // 5), n)]
        case "beyond float32":
            return close * 1e30
        case "below float32":
            return close * 1e-30
        case _:
            return rng.integers(-2, 3, (n, d)) * 1.0


KINDS = [
    "far from the origin",
    "two far groups",
    "copies",
    "beyond float32",
    "below float32",
    "grid",
]


@pytest.mark.parametrize("kind", KINDS)
@given(
    n=st.integers(2, 90),
    m=st.integers(2, 90),
    d=st.sampled_from([1, 3, 40]),
    k=st.integers(1, 5),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=25, deadline=None)
def test_single_precision_hides_no_neighbour(
    kind: str, n: int, m: int, d: int, k: int, seed: int
) -> None:
    """Distances equal brute force in float64 to the last bits, and the rows are at them."""
    x, y = clusters(n, d, kind, seed), clusters(m, d, kind, seed + 1)
    for among, others in ((None, x), (y, y)):
        apart = by_hand(x, others, own=among is None)
        few = min(k, len(others) - (among is None))
        distance, index = nearest(x, few, among)
        expected = np.sort(apart, axis=1)[:, :few]
        # Sums of squares may be added up in another order.
        assert distance == pytest.approx(expected, rel=1e-14 * (d + 8), abs=0)
        there = np.take_along_axis(apart, index, 1)
        assert there == pytest.approx(distance, rel=1e-14 * (d + 8), abs=0)
        assert all(len(set(row)) == few for row in index.tolist())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("inclusive", [True, False])
def test_single_precision_moves_no_row_across_a_radius(kind: str, inclusive: bool) -> None:
    """Radii that are distances of the rows themselves: ties count as the convention says."""
    y = clusters(300, 8, kind, 0)
    x = np.concatenate([clusters(200, 8, kind, 1), y[:50]])
    radius, _ = nearest(y, 4)
    i, j = np.indices((250, 300)).reshape(2, -1)
    apart = tiles.row_distances(x, i, y, j).numpy().reshape(250, 300)
    assert apart == pytest.approx(by_hand(x, y, own=False), rel=1e-13, abs=0)
    within = np.less_equal if inclusive else np.less
    inside, reached = within(apart, radius[:, 2]), within(apart, radius[:, 3])
    found = balls(x, y, radius[:, 2], radius[:, 3], inclusive)
    assert np.array_equal(found.held, inside.sum(1))
    assert np.array_equal(found.holds, inside.sum(0))
    assert np.array_equal(found.shell, (reached & ~inside).sum(0))


@pytest.mark.parametrize("exact", [True, False])
def test_the_margin_holds(exact: bool) -> None:
    """Squared distances by products are off by no more than a tile says, and not by nothing."""
    rng = np.random.default_rng(0)
    x, y = 100 + rng.normal(size=(60, 500)), 100 + rng.normal(size=(70, 500))
    off: list[float] = []

    class Probe:
        """Compares a tile with differences."""

        def __init__(self, exact: bool) -> None:
            self.exact = exact

        def wants_double(self, extent: tiles.Extent) -> bool:
            """As the test asks."""
            return self.exact

        def take(self, tile: tiles.Tile) -> None:
            """Keep by how much the tile is off, in units of what it admits."""
            true = by_hand(x[tile.x.part], y[tile.y.part], own=False) ** 2
            off.append(float((np.abs(tile.squared.numpy() - true) / tile.slack.numpy()).max()))

    tiles.sweep(x, y, [Probe(exact)])
    assert 1e-5 < max(off) < 1


@pytest.mark.parametrize("size", [1, 8 * 70**2, 8 * 100**2])
def test_answers_do_not_depend_on_the_tile(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neighbours, their order among ties, balls, kernel sums and subsets, all asked at once."""
    rng = np.random.default_rng(5)
    x, y = rng.integers(0, 4, (230, 4)) * 1.0, rng.integers(0, 4, (190, 4)) * 1.0 + 1
    asks = Asks(
        frozenset({Cubic(Subsets(3, 40, 1)), Directions(1.0)}),
        frozenset({Around(3, True), Around(3, True, swapped=True), Around(2, False)}),
        k=4,
    )
    x, y = x + 0.5, y + 0.5  # no row of length 0
    whole = answer(x, y, asks)
    monkeypatch.setattr(tiles, "TILE_BYTES", size)
    tiled = answer(x, y, asks)
    for one, other in zip(whole.near, tiled.near, strict=True):
        assert one is not None
        assert other is not None
        assert np.array_equal(one[0], other[0])
    for ask, found in whole.balls.items():
        again = tiled.balls[ask]
        for name in ("held", "holds", "only_ball", "only_row", "shell"):
            assert np.array_equal(getattr(found, name), getattr(again, name))
        assert sorted(found.shell_pairs.tolist()) == sorted(again.shell_pairs.tolist())
    for kernel, sums in whole.sums.items():
        for part in ("inner", "other", "cross"):
            one_sums, other_sums = getattr(sums, part), getattr(tiled.sums[kernel], part)
            for name in ("rows", "columns", "squares", "subsets"):
                expected = getattr(one_sums, name)
                assert getattr(other_sums, name) == pytest.approx(expected, rel=1e-12)


def test_answers_together_are_the_answers_alone() -> None:
    """One sweep for all gives what each question gives by itself, also with the sets exchanged."""
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=(150, 5)), rng.normal(size=(120, 5)) + 0.2
    cubic = Cubic(Subsets(4, 30, 0))
    asks = Asks(frozenset({cubic, Directions(2.0)}), frozenset({Around(3, True)}), k=4)
    together = answer(x, y, asks)
    alone = answer(x, y, Asks(frozenset({cubic}))).sums[cubic]
    assert together.sums[cubic].cross.rows == pytest.approx(alone.cross.rows, rel=1e-12)
    radius, index = nearest(y, 4)
    near = together.near[1]
    assert near is not None
    assert np.array_equal(near[0], radius)
    assert np.array_equal(near[1], index)
    held = balls(x, y, radius[:, 2], radius[:, 3], inclusive=True).held
    assert np.array_equal(together.balls[Around(3, True)].held, held)
    exchanged = answer(y, x, Asks(frozenset({cubic}), frozenset({Around(3, True, swapped=True)})))
    assert exchanged.sums[cubic].cross.columns == pytest.approx(alone.cross.rows, rel=1e-12)
    assert np.array_equal(exchanged.balls[Around(3, True, swapped=True)].held, held)


def test_subsets_in_the_sweep_are_those_by_their_own_kernels() -> None:
    """Either way of summing over random subsets gives the same, whichever costs less."""
    rng = np.random.default_rng(7)
    x, y = rng.normal(size=(90, 64)), rng.normal(size=(80, 64)) + 0.1
    cubic = Cubic(Subsets(5, 60, 3))
    sums = answer(x, y, Asks(frozenset({cubic}))).sums[cubic]
    assert len(sums.inner.subsets) == 5  # many dimensions: summed beside all pairs
    bare = replace(sums, inner=replace(sums.inner, subsets=np.empty(0)))
    by_sweep, by_kernels = (subset_mmds(cubic, one, x, y) for one in (sums, bare))
    assert by_sweep == pytest.approx(by_kernels, rel=1e-9)
    few = Cubic(Subsets(5, 10, 3))
    low = answer(x[:, :2], y[:, :2], Asks(frozenset({few}))).sums[few]
    assert len(low.inner.subsets) == 0


def test_memory_does_not_grow_with_the_pairs() -> None:
    """Twice the rows on both sides are four times the pairs and much less than twice the memory.

    Resident memory of processes of their own, above what the imports take.
    """
    code = """
import resource, sys
import numpy as np, torch
from geneval.kernels import Cubic, Directions, Subsets
from geneval.pairs import Around, Asks, answer
torch.set_num_threads(1)
kernels = frozenset({Cubic(Subsets(2, 100, 0)), Directions(1.0)})
asks = Asks(kernels, frozenset({Around(3, True)}), 4)
rng = np.random.default_rng(0)
peaks = []
for n in (500, int(sys.argv[1])):
    answer(rng.normal(size=(n, 4)), rng.normal(size=(n, 4)), asks)
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
print(peaks[1] - peaks[0])
"""
    grown = [
        float(subprocess.check_output([sys.executable, "-c", code, str(n)], text=True))
        for n in (4_000, 8_000)
    ]
    # A table of 8,000 x 8,000 in float64 takes 512 MB; a tile 4 MB, of which a few are held.
    assert grown[1] < 80
    assert grown[1] < grown[0] + 20


def test_products_of_a_sweep_are_float32_at_least() -> None:
    """Bounds of rounding hold for float32; a program that allows TF32 changes nothing."""
    seen: list[str] = []

    class Probe:
        """Notes what products are allowed to be."""

        def wants_double(self, extent: tiles.Extent) -> bool:
            """No."""
            return False

        def take(self, tile: tiles.Tile) -> None:
            """Note it."""
            seen.append(torch.get_float32_matmul_precision())

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        tiles.sweep(np.eye(5), None, [Probe()])
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    assert seen == ["highest"]


def test_a_row_without_length_needs_no_more_than_float64() -> None:
    """Directions are undefined for it, which the metric says; others of the sweep go on."""
    extent = tiles.Extent(4, 1.0, 1.0, 0.0, True)
    assert Directions(10.0).rounding(extent) == np.inf


@pytest.mark.parametrize("kernel", [Cubic(), Directions(10.0)])
def test_many_pairs_in_float32_are_as_good(
    kernel: Cubic | Directions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The unbiased discrepancy of 2,100 rows a side moves by less than 1e-9."""
    rng = np.random.default_rng(3)
    x = np.maximum(rng.normal(0.3, 0.4, (2100, 64)), 0)
    y = np.maximum(rng.normal(0.32, 0.4, (2100, 64)), 0)
    found = []
    for least in (10**9, kernels.MANY):
        monkeypatch.setattr(kernels, "MANY", least)
        inner, other, cross = (kernel_sums(kernel, *pair) for pair in ((x,), (y,), (x, y)))
        pairs = 2100 * 2099
        value = (inner.rows.sum() + other.rows.sum()) / pairs - 2 * cross.rows.sum() / 2100**2
        found.append(value)
    assert found[0] != found[1]
    assert abs(found[0] - found[1]) < 1e-9
