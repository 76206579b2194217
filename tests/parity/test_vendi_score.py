"""vendi-score's number of the same features, by the smaller of its two matrices."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from vendi_score import vendi as peer

from geneval.metrics.diversity.vendi import vendi_parts

PEER = "vendi-score"

Parity = Callable[..., None]


@pytest.mark.parametrize("shape", [(300, 20), (40, 90), (64, 64)])
@pytest.mark.parametrize("order", [1.0, 2.0, 0.5])
def test_score_of_features(
    shape: tuple[int, int], order: float, rng: np.random.Generator, parity: Parity
) -> None:
    """The smaller matrix, because by the larger one its order 0.5 adds up rounding."""
    x = rng.normal(size=shape) + 0.5
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    is_tall = shape[0] > shape[1]
    theirs = peer.score_dual(unit, q=order) if is_tall else peer.score_K(unit @ unit.T, q=order)
    ours, _ = vendi_parts(x, order)
    what = f"Vendi score of features, order {order:g}"
    parity(peer=PEER, what=what, ours=ours, theirs=theirs, rel=1e-8)
