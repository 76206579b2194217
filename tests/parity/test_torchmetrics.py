"""torchmetrics with an identity network, given our features as its images.

It computes in float32 inside `update` unless set to double, shuffles the Inception Score without a
seed and takes its spread with ddof 1, so the score is compared with a single split.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.inception import InceptionScore
from torchmetrics.image.kid import KernelInceptionDistance
from torchmetrics.image.mifid import (
    MemorizationInformedFrechetInceptionDistance,
    _compute_cosine_distance,
)

from geneval.data import Features
from geneval.metrics.fidelity.fid import fid
from geneval.metrics.fidelity.inception_score import inception_score
from geneval.metrics.fidelity.kid import kid
from geneval.metrics.fidelity.mifid import mifid
from geneval.resample import Context

D = 24


class Identity(torch.nn.Module):
    """Takes features for images."""

    num_features = D

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Flattened input."""
        return x.flatten(1)


def features(n: int, seed: int, shift: float = 0.0) -> Features:
    """Features with numbered ids."""
    x = np.random.default_rng(seed).normal(size=(n, D)) + shift
    return Features(tuple(f"{i:05d}" for i in range(n)), x)


def test_fid() -> None:
    """FID agrees to 1e-6 relative in double precision."""
    generated, reference = features(500, 0, 0.2), features(400, 1)
    metric = FrechetInceptionDistance(
        feature=Identity(), input_img_size=(1, 1, D), normalize=True, antialias=False
    ).set_dtype(torch.float64)
    metric.update(torch.tensor(reference.x).reshape(-1, 1, 1, D), real=True)
    metric.update(torch.tensor(generated.x).reshape(-1, 1, 1, D), real=False)
    plain, _ = fid(generated, reference, Context())
    assert plain.number == pytest.approx(float(metric.compute()), rel=1e-6)


def test_inception_score() -> None:
    """With one split, where its unseeded shuffle cannot matter, the score agrees to 1e-5.

    torchmetrics computes this metric in float32.
    """
    generated = features(700, 2)
    metric = InceptionScore(feature=Identity(), splits=1, normalize=False)
    metric.update(torch.tensor(generated.x, dtype=torch.float32).reshape(-1, 1, 1, D))
    (score,) = inception_score(generated, Context(), splits=1)
    assert score.number == pytest.approx(float(metric.compute()[0]), rel=1e-5)


def test_kid() -> None:
    """With subsets of all samples, where its unseeded draws cannot matter, KID is our exact one."""
    generated, reference = features(300, 3, 0.1), features(300, 4)
    metric = KernelInceptionDistance(
        feature=Identity(), subsets=2, subset_size=300, normalize=False
    ).set_dtype(torch.float64)
    metric.update(torch.tensor(reference.x), real=True)
    metric.update(torch.tensor(generated.x), real=False)
    _, exact = kid(generated, reference, Context(), subsets=2, subset_size=300)
    assert exact.number == pytest.approx(float(metric.compute()[0]), rel=1e-6)


@pytest.mark.parametrize(("shift", "penalised"), [(0.2, False), (4.0, True)])
def test_mifid(shift: float, penalised: bool) -> None:
    """MiFID agrees to 1e-6 relative, with a penalty (a common direction) and without.

    Its class averages the least distance over the real samples and not, as the paper
    does, over the generated ones; given the sets the other way round it is the same.
    """
    generated, reference = features(500, 5, shift), features(400, 6, 0.9 * shift)
    metric = MemorizationInformedFrechetInceptionDistance(feature=Identity(), normalize=False)
    metric.update(torch.tensor(generated.x), real=True)
    metric.update(torch.tensor(reference.x), real=False)
    plain, _, distance = mifid(generated, reference, Context())
    assert distance.number is not None
    assert (distance.number < 0.1) == penalised
    assert plain.number == pytest.approx(float(metric.compute()), rel=1e-6)
    least = _compute_cosine_distance(torch.tensor(generated.x), torch.tensor(reference.x), 1.0)
    assert distance.number == pytest.approx(float(least), rel=1e-9)
