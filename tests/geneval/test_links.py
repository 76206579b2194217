"""geneval.links: pairs and groups against SciPy, exact at the border, in any order and tiling."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist

from geneval import tiles
from geneval.links import links


def test_groups_are_scipys_components(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over several tiles, degrees and groups are those of the whole matrix of distances."""
    monkeypatch.setattr(tiles, "TILE_BYTES", 4 * 64 * 64)
    x = rng.normal(size=(300, 3)).astype(np.float32)
    x[200:220] = x[:20]
    near = cdist(x.astype(np.float64), x.astype(np.float64)) <= 0.3
    np.fill_diagonal(near, False)
    found = links(x, 0.3)
    _, group = connected_components(near, directed=False)
    np.testing.assert_array_equal(found.degree, near.sum(axis=1))
    assert found.pairs == near.sum() // 2
    np.testing.assert_array_equal(found.group[:, None] == found.group, group[:, None] == group)
    assert found.redundant == 300 - group.max() - 1
    single = found.degree == 1
    np.testing.assert_array_equal(found.only[single], near[single].argmax(axis=1))
    assert (found.only[~single] == -1).all()


def test_groups_are_numbered_by_their_first_row() -> None:
    """0.0 and 0.1 hang together through 0.05; the number follows the first row."""
    found = links(np.array([[5.0], [0.0], [0.1], [9.0], [0.05], [5.0]]), 0.06)
    assert found.group.tolist() == [0, 1, 1, 2, 1, 0]
    assert found.sizes.tolist() == [2, 3, 1]
    assert found.redundant == 3


@given(st.integers(1, 64), st.integers(0, 64), st.integers(0, 2**32 - 1))
def test_bits_at_the_reach_are_within_it(width: int, differing: int, seed: int) -> None:
    """A Hamming distance counts at its root and not 1e-12 below, far from the origin too."""
    differing = min(differing, width)
    row = np.random.default_rng(seed).integers(0, 2, width).astype(np.float32)
    other = row.copy()
    other[:differing] = 1 - other[:differing]
    pair, reach = np.stack([row, other]) + np.float32(1000), differing**0.5
    assert links(pair, reach * (1 + 1e-12)).pairs == 1
    if differing:
        assert links(pair, reach * (1 - 1e-12)).pairs == 0


def test_a_reach_of_nothing_takes_equal_rows_only() -> None:
    """Rows that float32 products cannot tell apart are told apart."""
    x = np.full((3, 8), 1e4)
    x[2, 0] += 1e-6
    found = links(x, 0.0)
    assert found.degree.tolist() == [1, 1, 0]
