"""The spatial Fréchet distance is FID on another layer, and nothing else."""

from __future__ import annotations

import numpy as np

from geneval.data import Features
from geneval.metric import find_metric
from geneval.metrics.fidelity.fid import fid
from geneval.metrics.fidelity.sfid import sfid
from geneval.resample import Context


def test_it_is_fid_of_the_features_it_is_given(rng: np.random.Generator) -> None:
    """Number, bias, interval and evidence are those of `fid` on the same array."""
    ids = tuple(f"{i:03d}" for i in range(200))
    x, y = (Features(ids, rng.normal(size=(200, 6)) + shift) for shift in (0.3, 0.0))
    for mine, theirs in zip(sfid(x, y, Context()), fid(x, y, Context()), strict=True):
        assert mine.number == theirs.number
        assert mine.interval == theirs.interval
        assert set(mine.evidence) == set(theirs.evidence)


def test_it_asks_for_the_spatial_layer() -> None:
    """Both needs are of the layer role that keeps places, which pixels and digits do not have."""
    needs = find_metric("sfid").needs({})
    assert {need.layer for need in needs.values()} == {"spatial"}
