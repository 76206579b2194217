"""pytorch-fid and geneval on the same files, weights, statistics and constant images.

pytorch-fid takes its weights from an address; only that download is replaced, by the twin's.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from pytorch_fid import fid_score, inception

from geneval.checkpoint import load_tensors
from geneval.data import Features, Moments
from geneval.extractors.inception import network, scaled
from geneval.extractors.network import fill
from geneval.extractors.preprocess import resized
from geneval.frechet import frechet_distance
from geneval.metrics.fidelity.fid import fid
from geneval.resample import Context
from geneval.result import Result

PEER = "pytorch-fid"
CPU = torch.device("cpu")

Parity = Callable[..., None]
Pictures = Callable[[int, int], list[NDArray[np.uint8]]]


@pytest.fixture
def twin(inception_twin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pytorch-fid finds the twin's weights at its address; it loads them strictly."""

    def load(url: str, progress: bool) -> dict[str, torch.Tensor]:
        assert url == inception.FID_WEIGHTS_URL
        return dict(torch.load(inception_twin, weights_only=True))

    monkeypatch.setattr(inception, "load_state_dict_from_url", load)


def features(x: NDArray[np.float64]) -> Features:
    """Features with numbered ids."""
    return Features(tuple(f"{i:05d}" for i in range(len(x))), x)


@pytest.mark.usefixtures("twin")
def test_fid_of_files(
    folders: tuple[Path, Path], measured: Callable[..., Result], parity: Parity
) -> None:
    """FID agrees to 5e-4 relative; pytorch-fid takes images of several sizes one at a time only."""
    ours = measured("pytorch")["fid"].number
    paths = [str(path) for path in folders]
    theirs = fid_score.calculate_fid_given_paths(paths, 1, CPU, 2048, num_workers=0)
    parity(peer=PEER, what="FID of files, preset pytorch", ours=ours, theirs=theirs, rel=5e-4)


@pytest.mark.usefixtures("twin")
def test_the_layer(pictures: Pictures, inception_twin: Path, parity: Parity) -> None:
    """pool3 of the same input agrees to 1e-5, the tolerance of float32 sums."""
    images = torch.as_tensor(np.stack([picture[:32, :32] for picture in pictures(3, 4)]))
    pixels = scaled(resized(images, 299, "pytorch"), "pytorch")
    model = inception.InceptionV3(resize_input=False, normalize_input=False).eval()
    net = network()
    fill(net, load_tensors(inception_twin), inception_twin, "inception-v3")
    with torch.inference_mode():
        theirs = model(pixels)[0].flatten(1)
        ours = net.eval()(pixels)["pool3"]
    parity(peer=PEER, what="layer pool3", ours=ours, theirs=theirs, abs=1e-5)


@pytest.mark.parametrize(("n", "m", "d"), [(600, 500, 8), (400, 700, 64)])
def test_fid_of_features(n: int, m: int, d: int, parity: Parity) -> None:
    """FID agrees to 1e-6 relative on the same features."""
    rng = np.random.default_rng(n)
    x, y = rng.normal(size=(n, d)) + 0.1, rng.normal(size=(m, d)) * np.arange(1, d + 1) ** -0.5
    sides = [(side.mean(axis=0), np.cov(side, rowvar=False)) for side in (x, y)]
    theirs = fid_score.calculate_frechet_distance(*sides[0], *sides[1])
    plain, _ = fid(features(x), features(y), Context())
    parity(peer=PEER, what="FID of features", ours=plain.number, theirs=theirs, rel=1e-6)


def test_means_of_zeros_and_ones(parity: Parity) -> None:
    """Its own test: with Σ = I the distance is the number of dimensions, exactly.

    tests/geneval/test_frechet.py has it in 2,048 dimensions.
    """
    zeros, ones, eye = np.zeros(256), np.ones(256), np.eye(256)
    theirs = fid_score.calculate_frechet_distance(zeros, eye, ones, eye)
    ours = frechet_distance(Moments(None, zeros, eye), Moments(None, ones, eye))
    assert theirs == 256
    what = "FID of means of zeros and ones, Σ = I, C = 256"
    parity(peer=PEER, what=what, ours=ours, theirs=theirs, exact=True)


class MeanColour(torch.nn.Module):
    """In place of the network: the mean of every channel."""

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """One layer [b, 3, 1, 1]."""
        return [x.mean(dim=(2, 3), keepdim=True)]


def test_three_constant_images(tmp_path: Path, parity: Parity) -> None:
    """Its own test: black, grey and white images have μ = 0.5 and every entry of Σ 0.25."""
    for level in (0, 127, 255):
        Image.fromarray(np.full((4, 4, 3), level, np.uint8)).save(tmp_path / f"{level}.png")
    mean, cov = fid_score.compute_statistics_of_path(str(tmp_path), MeanColour(), 3, 3, CPU, 0)
    ours = features(np.repeat(np.array([[0.0], [127 / 255], [1.0]]), 3, axis=1)).moments()
    assert ours.cov == pytest.approx(np.full((3, 3), 0.25), rel=1e-4)  # 127 is not half of 255
    # Its features are float32: 127/255 is 1e-8 off.
    parity(peer=PEER, what="μ of 3 constant images", ours=ours.mean, theirs=mean, abs=1e-7)
    parity(peer=PEER, what="Σ of 3 constant images", ours=ours.cov, theirs=cov, abs=1e-7)


def test_identical_images(parity: Parity) -> None:
    """Sets of one image over and over: Σ = 0, and the distance is that of the means, exactly."""
    black, white = np.zeros((30, 16)), np.ones((30, 16))
    sides = [(side.mean(axis=0), np.cov(side, rowvar=False)) for side in (black, white)]
    theirs = fid_score.calculate_frechet_distance(*sides[0], *sides[1])
    plain, _ = fid(features(black), features(white), Context())
    assert plain.number == 16
    what = "FID of identical images against others"
    parity(peer=PEER, what=what, ours=plain.number, theirs=theirs, exact=True)


@pytest.mark.usefixtures("twin")
@pytest.mark.parametrize("size", [(32, 32), (75, 40), (299, 299), (400, 300)])
def test_the_networks_input(
    size: tuple[int, int], rng: np.random.Generator, parity: Parity
) -> None:
    """Resized without antialiasing and scaled by 127.5: pytorch-fid does it on floats in 0..1."""
    images = torch.as_tensor(rng.integers(0, 256, (2, *size, 3), dtype=np.uint8))
    model = inception.InceptionV3([0])
    model.blocks = torch.nn.ModuleList([torch.nn.Identity()])
    (theirs,) = model(images.permute(0, 3, 1, 2) / 255)
    ours = scaled(resized(images, 299, "pytorch"), "pytorch")
    what = "input of the network, preset pytorch"
    parity(peer=PEER, what=what, ours=ours, theirs=theirs, abs=1e-6)
