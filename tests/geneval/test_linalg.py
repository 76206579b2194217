"""Device kernels against brute force, closed forms and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geneval import linalg


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
    distance, index = linalg.nearest(x, min(k, m), y)
    assert np.array_equal(distance, np.sort(apart, axis=1)[:, : min(k, m)])
    assert np.array_equal(np.take_along_axis(apart, index, 1), distance)
    k = min(k, n - 1)
    within = np.sqrt(((x[:, None] - x) ** 2).sum(-1))
    np.fill_diagonal(within, np.inf)
    own, own_index = linalg.nearest(x, k)
    assert np.array_equal(own, np.sort(within, axis=1)[:, :k])
    assert (own_index != np.arange(n)[:, None]).all()


def test_equal_rows_are_at_distance_zero_exactly() -> None:
    """Duplicates far from the origin are not told apart by rounding."""
    x = np.full((6, 512), 1e4) + np.repeat(np.random.default_rng(0).normal(size=(3, 512)), 2, 0)
    distance, _ = linalg.nearest(x, 1)
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
    radius, _ = linalg.nearest(y, 2)
    inner, outer = radius[:, 0], radius[:, 1]
    apart = np.sqrt(((x[:, None] - y) ** 2).sum(-1))
    inside = apart <= inner if inclusive else apart < inner
    between = (apart <= outer if inclusive else apart < outer) & ~inside
    found = linalg.balls(x, y, inner, outer, inclusive)
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
    sums = linalg.kernel_sums(linalg.polynomial_kernel, x, y)
    assert sums.rows == pytest.approx(matrix.sum(1))
    assert sums.columns == pytest.approx(matrix.sum(0))
    assert sums.squares == pytest.approx((matrix**2).sum())
    inner = (x @ x.T / 3 + 1) ** 3
    np.fill_diagonal(inner, 0)
    own = linalg.kernel_sums(linalg.polynomial_kernel, x)
    assert own.rows == pytest.approx(inner.sum(1))
    assert own.squares == pytest.approx((inner**2).sum())


def test_tiles_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every sweep gives the same whatever the tile, down to one row at a time."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(50, 6)), rng.normal(size=(40, 6))
    radius, _ = linalg.nearest(y, 4)

    def sweep() -> tuple[object, ...]:
        ball = linalg.balls(x, y, radius[:, 2], radius[:, 3], True)
        return (
            linalg.nearest(x, 3)[0].round(12).tolist(),
            linalg.nearest(x, 3, y)[1].tolist(),
            ball.held.tolist(),
            ball.only_row.tolist(),
            sorted(map(tuple, ball.shell_pairs.tolist())),
            linalg.kernel_sums(linalg.polynomial_kernel, x, y).rows.round(9).tolist(),
        )

    whole = sweep()
    monkeypatch.setattr(linalg, "TILE_BYTES", 1)
    assert sweep() == whole


def test_too_many_neighbours_are_refused() -> None:
    """There are n − 1 others at most."""
    with pytest.raises(ValueError, match="3 neighbours asked of 2"):
        linalg.nearest(np.zeros((3, 2)), 3)
