"""clean-fid and geneval on the same files, weights and features.

clean-fid takes any callable for its network, so that nothing is downloaded: the twin, which gets
the resized pixels in 0..255 as clean-fid's own network does.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from cleanfid import fid as clean
from cleanfid.resize import build_resizer
from numpy.typing import NDArray

from geneval.checkpoint import load_tensors
from geneval.data import Features
from geneval.extractors.inception import network, scaled
from geneval.extractors.network import fill
from geneval.extractors.preprocess import resized
from geneval.metrics.fidelity.fid import fid
from geneval.metrics.fidelity.kid import kid
from geneval.resample import Context
from geneval.result import Result

PEER = "clean-fid"
N = 24

Parity = Callable[..., None]


def features(n: int, d: int, seed: int, shift: float = 0.0) -> Features:
    """Features with numbered ids."""
    x = np.random.default_rng(seed).normal(size=(n, d)) * np.arange(1, d + 1) ** -0.5 + shift
    return Features(tuple(f"{i:05d}" for i in range(n)), x)


class Twin:
    """The network as clean-fid calls it, which keeps what it answered."""

    def __init__(self, weights: Path) -> None:
        self.net = network()
        fill(self.net, load_tensors(weights), weights, "inception-v3")
        self.net.eval()
        self.seen: list[torch.Tensor] = []

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """pool3 of pixels [b, 3, 299, 299] in 0..255."""
        found: torch.Tensor = self.net(scaled(pixels, "clean"))["pool3"]
        self.seen.append(found)
        return found


def test_files(
    folders: tuple[Path, Path],
    inception_twin: Path,
    measured: Callable[..., Result],
    parity: Parity,
) -> None:
    """FID agrees to 5e-4 relative, and KID of all samples, where no draw matters, to 1e-5."""
    result, twin = measured("clean"), Twin(inception_twin)
    theirs = clean.compute_fid(
        *map(str, folders),
        mode="clean",
        num_workers=0,
        device=torch.device("cpu"),
        custom_feat_extractor=twin,
        verbose=False,
    )
    what = "FID of files, preset clean"
    parity(peer=PEER, what=what, ours=result["fid"].number, theirs=theirs, rel=5e-4)
    generated, reference = torch.cat(twin.seen).numpy().reshape(2, N, 2048)
    theirs = clean.kernel_distance(reference, generated, num_subsets=1, max_subset_size=N)
    what = "KID of files, preset clean"
    parity(peer=PEER, what=what, ours=result["kid.unbiased"].number, theirs=theirs, abs=1e-5)


@pytest.mark.parametrize(("n", "m", "d"), [(600, 500, 8), (400, 700, 64)])
def test_fid_of_features(n: int, m: int, d: int, parity: Parity) -> None:
    """FID agrees to 1e-6 relative on the same features."""
    generated, reference = features(n, d, 0, 0.1), features(m, d, 1)
    theirs = clean.fid_from_feats(generated.x, reference.x)
    plain, _ = fid(generated, reference, Context())
    parity(peer=PEER, what="FID of features", ours=plain.number, theirs=theirs, rel=1e-6)


@pytest.mark.parametrize(("n", "m", "d"), [(600, 500, 8), (400, 700, 64)])
def test_kid_of_features(n: int, m: int, d: int, parity: Parity) -> None:
    """KID agrees to 1e-6 with the same subsets: NumPy's global generator is given our seed.

    clean-fid draws from its second set first.
    """
    generated, reference = features(n, d, 2, 0.1), features(m, d, 3)
    np.random.seed(2020)
    theirs = clean.kernel_distance(reference.x, generated.x, num_subsets=20, max_subset_size=300)
    literature, _ = kid(generated, reference, Context(), subsets=20, subset_size=300)
    what = "KID of features, same subsets"
    parity(peer=PEER, what=what, ours=literature.number, theirs=theirs, rel=1e-6)


def test_kid_is_unseeded() -> None:
    """Two calls on the same features give two numbers, and a mean only."""
    generated, reference = features(60, 4, 4), features(60, 4, 5)
    first, second = (
        clean.kernel_distance(generated.x, reference.x, num_subsets=3, max_subset_size=20)
        for _ in range(2)
    )
    assert isinstance(first, float)
    assert first != second


def test_too_large_subsets_are_shrunk_silently() -> None:
    """clean-fid answers with subsets of all; geneval says that the protocol was not followed."""
    generated, reference = features(60, 4, 4), features(60, 4, 5)
    whole, shrunk = (
        clean.kernel_distance(generated.x, reference.x, num_subsets=1, max_subset_size=size)
        for size in (60, 1000)
    )
    assert whole == pytest.approx(shrunk, rel=1e-9)
    literature, _ = kid(generated, reference, Context(), subset_size=1000)
    assert literature.number is None
    assert "60 samples are too few for subsets of 1000" in literature.problem


@pytest.mark.parametrize("size", [(32, 32), (75, 40), (256, 256), (640, 480)])
def test_resize_clean(size: tuple[int, int], rng: np.random.Generator, parity: Parity) -> None:
    """clean-fid resizes each channel with PIL on floats: on noise, the worst case, 3e-5 of 255."""
    image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    ours = one(image, "clean")
    theirs = build_resizer("clean")(image)
    parity(peer=PEER, what="resize of preset clean", ours=ours, theirs=theirs, abs=3e-5)


@pytest.mark.parametrize("size", [(32, 32), (75, 40), (256, 256), (640, 480)])
def test_resize_pytorch(size: tuple[int, int], rng: np.random.Generator, parity: Parity) -> None:
    """The preset `pytorch` is clean-fid's `legacy_pytorch`."""
    image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    ours = one(image, "pytorch")
    theirs = build_resizer("legacy_pytorch")(image)
    parity(peer=PEER, what="resize of preset pytorch", ours=ours, theirs=theirs, abs=3e-5)


def one(image: NDArray[np.uint8], preset: str) -> NDArray[np.float32]:
    """One resized image [299, 299, 3]."""
    pixels: NDArray[np.float32] = resized(torch.as_tensor(image[None]), 299, preset)[0].numpy()
    return pixels.transpose(1, 2, 0)
