"""prdc's density and coverage are equal as counts; its precision and recall use < instead of ≤."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from prdc import compute_prdc

from geneval.data import Features, Neighbours
from geneval.metrics.fidelity.density_coverage import density_coverage
from geneval.metrics.fidelity.precision_recall import precision_recall
from geneval.neighbours import nearest
from geneval.resample import Context

PEER = "prdc"

Parity = Callable[..., None]


def both(x: NDArray[Any], y: NDArray[Any], k: int) -> list[tuple[str, float | None, float, int]]:
    """Every output: its name, our number, prdc's, and what it is a share of."""
    n, m = len(x), len(y)
    generated = Features(tuple(f"{i:05d}" for i in range(n)), x)
    reference = Features(tuple(f"{i:05d}" for i in range(m)), y)
    near = [Neighbours(f.ids, *nearest(f.x, k + 1)) for f in (generated, reference)]
    expected = compute_prdc(real_features=y, fake_features=x, nearest_k=k)
    estimates = [
        *precision_recall(generated, reference, *near, Context(), k=k),
        *density_coverage(generated, reference, near[1], Context(), k=k),
    ]
    totals = {"precision": n, "recall": m, "density": n * k, "coverage": m}
    return [(e.output, e.number, expected[e.output], totals[e.output]) for e in estimates]


@pytest.mark.parametrize(("n", "m", "d", "k"), [(300, 250, 6, 5), (200, 400, 32, 3)])
def test_counts_are_equal(n: int, m: int, d: int, k: int, parity: Parity) -> None:
    """All four numbers agree where no distance ties with a radius."""
    rng = np.random.default_rng(n)
    x, y = rng.normal(size=(n, d)) * 0.9 + 0.1, rng.normal(size=(m, d))
    for name, ours, theirs, total in both(x, y, k):
        what = f"{name} of features, no ties"
        parity(peer=PEER, what=what, ours=ours, theirs=theirs, count_of=total)


@pytest.mark.parametrize(("n", "m", "d", "k"), [(150, 120, 2, 5), (90, 200, 3, 3)])
def test_ties(n: int, m: int, d: int, k: int, parity: Parity) -> None:
    """On a grid full of ties density and coverage are equal; with < fewer lie in prdc's balls."""
    rng = np.random.default_rng(n)
    x, y = rng.integers(6, 24, (n, d)) * 1.0, rng.integers(0, 18, (m, d)) * 1.0
    precision, recall, *same_rule = both(x, y, k)
    for name, ours, theirs, total in same_rule:
        what = f"{name} of features, with ties"
        parity(peer=PEER, what=what, ours=ours, theirs=theirs, count_of=total)
    for _, inclusive, strict, _ in (precision, recall):
        assert inclusive is not None
        assert inclusive > strict


def test_identical_samples() -> None:
    """Copies of one sample: nothing lies strictly inside a ball of radius 0, everything within."""
    found = both(np.ones((8, 3)), np.ones((9, 3)), 3)
    assert [ours for _, ours, _, _ in found] == [1, 1, 0, 0]
    assert [theirs for _, _, theirs, _ in found] == [0, 0, 0, 0]
