"""The same features given to torch-fidelity and to geneval give the same numbers.

torch-fidelity's own float32 kernel is 6.5e-5 off for KID, so features are handed over as float64.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from geneval.data import Features, Neighbours
from geneval.linalg import nearest
from geneval.metrics.fidelity.fid import fid
from geneval.metrics.fidelity.inception_score import inception_score
from geneval.metrics.fidelity.kid import kid
from geneval.metrics.fidelity.precision_recall import precision_recall
from geneval.resample import Context

SHAPES = [(600, 500, 8), (400, 700, 64)]


def features(n: int, d: int, seed: int, shift: float = 0.0) -> Features:
    """Correlated features with a heavy-tailed spectrum, as networks have them."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) * np.arange(1, d + 1) ** -0.5 + shift
    return Features(tuple(f"{i:05d}" for i in range(n)), x)


@pytest.mark.parametrize(("n", "m", "d"), SHAPES)
def test_fid(n: int, m: int, d: int) -> None:
    """FID agrees to 1e-6 relative."""
    generated, reference = features(n, d, 0, 0.1), features(m, d, 1)
    sides = [fid_features_to_statistics(torch.tensor(f.x)) for f in (generated, reference)]
    expected = fid_statistics_to_metric(*sides, verbose=False)["frechet_inception_distance"]
    plain, _ = fid(generated, reference, Context())
    assert plain.number == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("n", "m", "d"), SHAPES)
def test_kid(n: int, m: int, d: int) -> None:
    """KID agrees to 1e-6 relative with the same subsets, mean and standard deviation."""
    generated, reference = features(n, d, 2, 0.1), features(m, d, 3)
    expected = kid_features_to_metric(
        torch.tensor(generated.x),
        torch.tensor(reference.x),
        kid_subset_size=300,
        kid_subsets=20,
        verbose=False,
    )
    literature, _ = kid(generated, reference, Context(), subsets=20, subset_size=300)
    mean = expected["kernel_inception_distance_mean"]
    assert literature.number == pytest.approx(mean, rel=1e-6)
    spread = float(literature.finding.split()[-1])
    # The finding prints six digits.
    assert spread == pytest.approx(expected["kernel_inception_distance_std"], rel=1e-5)


@pytest.mark.parametrize("splits", [1, 10])
def test_inception_score(splits: int) -> None:
    """The Inception Score agrees to 1e-6 relative, mean and standard deviation over splits."""
    x = np.random.default_rng(4).normal(size=(1003, 20)) * 2
    generated = Features(tuple(f"{i:05d}" for i in range(len(x))), x)
    expected = isc_features_to_metric(torch.tensor(x), splits=splits, shuffle=True, rng_seed=2020)
    (score,) = inception_score(generated, Context(), splits=splits)
    assert score.number == pytest.approx(expected["inception_score_mean"], rel=1e-6)
    spread = float(score.finding.split()[-1])
    assert spread == pytest.approx(expected["inception_score_std"], rel=1e-5, abs=1e-12)


@pytest.mark.parametrize(("n", "m", "d"), SHAPES)
def test_precision_and_recall(n: int, m: int, d: int) -> None:
    """Precision and recall are equal as counts; torch-fidelity's first input is the generated."""
    generated, reference = features(n, d, 5, 0.1), features(m, d, 6)
    expected = prc_features_to_metric(
        torch.tensor(generated.x), torch.tensor(reference.x), prc_neighborhood=3, verbose=False
    )
    near = [Neighbours(f.ids, *nearest(f.x, 4)) for f in (generated, reference)]
    precision, recall = precision_recall(generated, reference, *near, Context())
    assert precision.number is not None
    assert recall.number is not None
    assert round(precision.number * n) == round(float(expected["precision"]) * n)
    assert round(recall.number * m) == round(float(expected["recall"]) * m)
