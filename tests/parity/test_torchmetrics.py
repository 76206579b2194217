"""torchmetrics on the same files and weights, and with an identity network on the same features.

It computes in float32 inside `update` unless set to double, and its resize antialiases. It draws
without a seed, so that it is compared where no draw matters, or is given our draws in place of
torch's `randperm`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchmetrics.image.fid import FrechetInceptionDistance, NoTrainInceptionV3
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
from geneval.result import Result

PEER = "torchmetrics"
D = 24
N = 24  # images a side

Parity = Callable[..., None]


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


def read(folder: Path) -> list[torch.Tensor]:
    """Images uint8 [1, 3, h, w] in the order of their names."""
    files = sorted(folder.iterdir())
    images = [np.array(Image.open(file).convert("RGB")) for file in files]
    return [torch.as_tensor(image).permute(2, 0, 1)[None] for image in images]


@pytest.fixture(scope="module")
def images(folders: tuple[Path, Path]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """The images of both folders."""
    return read(folders[0]), read(folders[1])


@pytest.fixture(scope="module")
def result(measured: Callable[..., Result]) -> Result:
    """What geneval says of the files with torchmetrics' resize rule."""
    return measured("antialias", "metrics.inception_score.splits=1")


def test_fid_of_files(
    images: tuple[list[torch.Tensor], list[torch.Tensor]],
    inception_twin: Path,
    result: Result,
    parity: Parity,
) -> None:
    """FID agrees to 5e-4 relative, and KID of all samples, where no draw matters, to 1e-5."""
    distance = FrechetInceptionDistance(2048, feature_extractor_weights_path=str(inception_twin))
    kernel = KernelInceptionDistance(distance.inception, subsets=1, subset_size=N)
    for real, side in enumerate(images):
        for image in side:
            distance.update(image, real=bool(real))
            kernel.update(image, real=bool(real))
    ours, theirs = result["fid"].number, distance.compute()
    what = "FID of files, preset antialias"
    parity(peer=PEER, what=what, ours=ours, theirs=theirs, rel=5e-4)
    ours, theirs = result["kid.unbiased"].number, kernel.compute()[0]
    what = "KID of files, preset antialias"
    parity(peer=PEER, what=what, ours=ours, theirs=theirs, abs=1e-5)


def test_inception_score_of_files(
    images: tuple[list[torch.Tensor], list[torch.Tensor]],
    inception_twin: Path,
    result: Result,
    parity: Parity,
) -> None:
    """IS agrees to 1e-3 relative with one split.

    The metric has no parameter for a weights file, so it is given torchmetrics' network.
    """
    net = NoTrainInceptionV3(
        "twin", ["logits_unbiased"], feature_extractor_weights_path=str(inception_twin)
    )
    metric = InceptionScore(net, splits=1)
    for image in images[0]:
        metric.update(image)
    ours, theirs = result["inception_score"].number, metric.compute()[0]
    what = "IS of files, preset antialias, splits: 1"
    parity(peer=PEER, what=what, ours=ours, theirs=theirs, rel=1e-3)


def test_fid(parity: Parity) -> None:
    """FID agrees to 1e-6 relative in double precision."""
    generated, reference = features(500, 0, 0.2), features(400, 1)
    metric = FrechetInceptionDistance(
        feature=Identity(), input_img_size=(1, 1, D), normalize=True, antialias=False
    ).set_dtype(torch.float64)
    metric.update(torch.tensor(reference.x).reshape(-1, 1, 1, D), real=True)
    metric.update(torch.tensor(generated.x).reshape(-1, 1, 1, D), real=False)
    plain, _ = fid(generated, reference, Context())
    ours, theirs = plain.number, metric.compute()
    parity(peer=PEER, what="FID of features", ours=ours, theirs=theirs, rel=1e-6)


def test_inception_score(parity: Parity) -> None:
    """With one split, where its unseeded shuffle cannot matter, the score agrees to 1e-5.

    torchmetrics computes this metric in float32.
    """
    generated = features(700, 2)
    metric = InceptionScore(feature=Identity(), splits=1, normalize=False)
    metric.update(torch.tensor(generated.x, dtype=torch.float32).reshape(-1, 1, 1, D))
    (score,) = inception_score(generated, Context(), splits=1)
    ours, theirs = score.number, metric.compute()[0]
    what = "IS of logits in float32, splits: 1"
    parity(peer=PEER, what=what, ours=ours, theirs=theirs, rel=1e-5)


def test_inception_score_over_splits(parity: Parity, monkeypatch: pytest.MonkeyPatch) -> None:
    """With our shuffle the mean over splits agrees; its spread has ddof 1, ours 0."""
    generated = features(700, 2)
    metric = InceptionScore(feature=Identity(), splits=10, normalize=False).set_dtype(torch.float64)
    metric.update(torch.tensor(generated.x).reshape(-1, 1, 1, D))
    order = np.random.RandomState(2020).permutation(700)
    monkeypatch.setattr(torch, "randperm", lambda n: torch.as_tensor(order))
    mean, spread = metric.compute()
    (score,) = inception_score(generated, Context(), splits=10)
    what = "IS of logits, splits: 10, our shuffle"
    parity(peer=PEER, what=what, ours=score.number, theirs=mean, rel=1e-6)
    ours = float(score.finding.split()[-1]) * (10 / 9) ** 0.5  # the finding prints six digits
    what = "spread of IS, splits: 10, our shuffle, ours times √(10/9)"
    parity(peer=PEER, what=what, ours=ours, theirs=spread, rel=1e-5)


def test_kid(parity: Parity) -> None:
    """With subsets of all samples, where its unseeded draws cannot matter, KID is our exact one."""
    generated, reference = features(300, 3, 0.1), features(300, 4)
    metric = KernelInceptionDistance(
        feature=Identity(), subsets=2, subset_size=300, normalize=False
    ).set_dtype(torch.float64)
    metric.update(torch.tensor(reference.x), real=True)
    metric.update(torch.tensor(generated.x), real=False)
    _, exact = kid(generated, reference, Context(), subsets=2, subset_size=300)
    ours, theirs = exact.number, metric.compute()[0]
    parity(peer=PEER, what="KID of all features", ours=ours, theirs=theirs, rel=1e-6)


def test_kid_of_subsets(parity: Parity, monkeypatch: pytest.MonkeyPatch) -> None:
    """With our draws the mean and spread over subsets agree; it draws from the real set first."""
    generated, reference = features(300, 3, 0.1), features(250, 4)
    metric = KernelInceptionDistance(
        feature=Identity(), subsets=20, subset_size=100, normalize=False
    ).set_dtype(torch.float64)
    metric.update(torch.tensor(reference.x), real=True)
    metric.update(torch.tensor(generated.x), real=False)
    state, draws = np.random.RandomState(2020), []
    for _ in range(20):
        ours, theirs = (state.choice(n, 100, replace=False) for n in (300, 250))
        draws += [theirs, ours]
    order = iter(draws)
    monkeypatch.setattr(torch, "randperm", lambda n: torch.as_tensor(next(order)))
    mean, spread = metric.compute()
    literature, _ = kid(generated, reference, Context(), subsets=20, subset_size=100)
    what = "KID of features, our subsets"
    parity(peer=PEER, what=what, ours=literature.number, theirs=mean, rel=1e-6)
    ours = float(literature.finding.split()[-1])  # prints six digits
    what = "spread of KID, our subsets"
    parity(peer=PEER, what=what, ours=ours, theirs=spread, rel=1e-5)


@pytest.mark.parametrize(("shift", "penalised"), [(0.2, False), (4.0, True)])
def test_mifid(parity: Parity, shift: float, penalised: bool) -> None:
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
    what = f"MiFID of features, {'near' if penalised else 'far from'} the reference"
    parity(peer=PEER, what=what, ours=plain.number, theirs=metric.compute(), rel=1e-6)
    least = _compute_cosine_distance(torch.tensor(generated.x), torch.tensor(reference.x), 1.0)
    assert distance.number == pytest.approx(float(least), rel=1e-9)
