"""The same features given to torch-fidelity and to geneval give the same numbers.

torch-fidelity's own float32 kernel is 6.5e-5 off for KID, so features are handed over as float64.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from geneval.data import Features, Neighbours
from geneval.frechet import frechet_distance
from geneval.metrics.fidelity.fid import fid
from geneval.metrics.fidelity.inception_score import inception_score
from geneval.metrics.fidelity.kid import kid
from geneval.metrics.fidelity.precision_recall import precision_recall
from geneval.neighbours import nearest
from geneval.resample import Context

PEER = "torch-fidelity"
SHAPES = [(600, 500, 8), (400, 700, 64)]

Parity = Callable[..., None]


def features(n: int, d: int, seed: int, shift: float = 0.0) -> Features:
    """Correlated features with a heavy-tailed spectrum, as networks have them."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) * np.arange(1, d + 1) ** -0.5 + shift
    return Features(tuple(f"{i:05d}" for i in range(n)), x)


@pytest.mark.parametrize(("n", "m", "d"), SHAPES)
def test_fid(n: int, m: int, d: int, parity: Parity) -> None:
    """FID agrees to 1e-6 relative."""
    generated, reference = features(n, d, 0, 0.1), features(m, d, 1)
    sides = [fid_features_to_statistics(torch.tensor(f.x)) for f in (generated, reference)]
    theirs = fid_statistics_to_metric(*sides, verbose=False)["frechet_inception_distance"]
    plain, _ = fid(generated, reference, Context())
    parity(peer=PEER, what="FID of features", ours=plain.number, theirs=theirs, rel=1e-6)


def statistics(n: int, d: int, seed: int) -> tuple[float, float]:
    """Our distance and torch-fidelity's for its own test's features."""
    state = np.random.RandomState(seed)
    drawn = [Features(tuple(f"{i:05d}" for i in range(n)), state.randn(n, d)) for side in range(2)]
    sides = [fid_features_to_statistics(torch.tensor(f.x)) for f in drawn]
    theirs = fid_statistics_to_metric(*sides, verbose=False)["frechet_inception_distance"]
    return frechet_distance(drawn[0].moments(), drawn[1].moments()), theirs


@pytest.mark.parametrize("d", [2**power for power in range(1, 9)])
def test_statistics(d: int, parity: Parity) -> None:
    """Its own test of statistics, N = 2 … 2^15 and C = 2 … 256, to its five decimals.

    With N ≤ C the covariances are singular and torch-fidelity adds the roots of rounding errors, up
    to 6e-5 in all, so that the tolerance is the relative one of features. Ours adds none:
    tests/geneval/test_frechet.py.
    """
    for power in range(1, 16):
        ours, theirs = statistics(2**power, d, 2023)
        if 2**power > d:
            what = "FID of statistics, N = 4 … 2^15 > C = 2 … 256"
            parity(peer=PEER, what=what, ours=ours, theirs=theirs, abs=5e-6)
        else:
            what = "FID of singular statistics, N = 2 … 256 ≤ C = 2 … 256"
            parity(peer=PEER, what=what, ours=ours, theirs=theirs, rel=1e-6)


def test_singular_statistics(parity: Parity) -> None:
    """Its 4 × 4 case, where a real root of a rounded eigenvalue once gave NaN."""
    ours, theirs = statistics(4, 4, 1)
    what = "FID of singular 4 × 4 statistics"
    parity(peer=PEER, what=what, ours=ours, theirs=theirs, abs=5e-6)


@pytest.mark.parametrize(("n", "m", "d"), SHAPES)
def test_kid(n: int, m: int, d: int, parity: Parity) -> None:
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
    what, theirs = "KID of features, same subsets", expected["kernel_inception_distance_mean"]
    parity(peer=PEER, what=what, ours=literature.number, theirs=theirs, rel=1e-6)
    spread, theirs = literature.finding.split()[-1], expected["kernel_inception_distance_std"]
    # The finding prints six digits.
    parity(peer=PEER, what="spread of KID", ours=float(spread), theirs=theirs, rel=1e-5)


@pytest.mark.parametrize("splits", [1, 10])
def test_inception_score(splits: int, parity: Parity) -> None:
    """The Inception Score agrees to 1e-6 relative, mean and standard deviation over splits."""
    x = np.random.default_rng(4).normal(size=(1003, 20)) * 2
    generated = Features(tuple(f"{i:05d}" for i in range(len(x))), x)
    expected = isc_features_to_metric(torch.tensor(x), splits=splits, shuffle=True, rng_seed=2020)
    (score,) = inception_score(generated, Context(), splits=splits)
    what, theirs = f"IS of logits, splits: {splits}", expected["inception_score_mean"]
    parity(peer=PEER, what=what, ours=score.number, theirs=theirs, rel=1e-6)
    spread, theirs = score.finding.split()[-1], expected["inception_score_std"]
    what = f"spread of IS, splits: {splits}"
    parity(peer=PEER, what=what, ours=float(spread), theirs=theirs, rel=1e-5)


@pytest.mark.parametrize(("n", "m", "d"), SHAPES)
def test_precision_and_recall(n: int, m: int, d: int, parity: Parity) -> None:
    """Precision and recall are equal as counts; torch-fidelity's first input is the generated."""
    compare("no ties", features(n, d, 5, 0.1), features(m, d, 6), parity)


@pytest.mark.parametrize(("n", "m", "d"), [(150, 120, 2), (90, 200, 3)])
def test_precision_and_recall_with_ties(n: int, m: int, d: int, parity: Parity) -> None:
    """On a grid full of ties as well: both count a sample at exactly the radius."""
    rng = np.random.default_rng(n)
    generated, reference = (
        Features(
            tuple(f"{i:05d}" for i in range(size)), rng.integers(low, low + 18, (size, d)) * 1.0
        )
        for size, low in ((n, 6), (m, 0))
    )
    compare("with ties", generated, reference, parity)


def compare(ties: str, generated: Features, reference: Features, parity: Parity) -> None:
    """Precision and recall on either side, counted."""
    expected = prc_features_to_metric(
        torch.tensor(generated.x), torch.tensor(reference.x), prc_neighborhood=3, verbose=False
    )
    near = [Neighbours(f.ids, *nearest(f.x, 4)) for f in (generated, reference)]
    estimates = precision_recall(generated, reference, *near, Context())
    for estimate, total in zip(estimates, (generated.n, reference.n), strict=True):
        what, theirs = f"{estimate.output} of features, {ties}", expected[estimate.output]
        parity(peer=PEER, what=what, ours=estimate.number, theirs=theirs, count_of=total)
