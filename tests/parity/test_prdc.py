"""prdc's density and coverage are equal as counts; its precision and recall use < instead of ≤."""

from __future__ import annotations

import numpy as np
import pytest
from prdc import compute_prdc

from geneval.data import Features, Neighbours
from geneval.linalg import nearest
from geneval.metrics.fidelity.density_coverage import density_coverage
from geneval.metrics.fidelity.precision_recall import precision_recall
from geneval.resample import Context


@pytest.mark.parametrize(("n", "m", "d", "k"), [(300, 250, 6, 5), (200, 400, 32, 3)])
def test_counts_are_equal(n: int, m: int, d: int, k: int) -> None:
    """All four numbers agree where no distance ties with a radius."""
    rng = np.random.default_rng(n)
    x, y = rng.normal(size=(n, d)) * 0.9 + 0.1, rng.normal(size=(m, d))
    generated = Features(tuple(f"{i:05d}" for i in range(n)), x)
    reference = Features(tuple(f"{i:05d}" for i in range(m)), y)
    near = [Neighbours(f.ids, *nearest(f.x, k + 1)) for f in (generated, reference)]
    expected = compute_prdc(real_features=y, fake_features=x, nearest_k=k)
    precision, recall = precision_recall(generated, reference, *near, Context(), k=k)
    density, coverage = density_coverage(generated, reference, near[1], Context(), k=k)
    for estimate, total in ((precision, n), (recall, m), (density, n * k), (coverage, m)):
        assert estimate.number is not None
        assert round(estimate.number * total) == round(expected[estimate.output] * total)
