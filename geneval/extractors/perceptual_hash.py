"""`perceptual-hash`: 64 bits an image that stay when it is scaled or compressed; no network.

The layer `bits` [64] holds 0 or 1 in float32, so that the squared Euclidean distance of two rows is
the Hamming distance of the hashes. A bit says whether one of the 64 coefficients (1..8, 1..8) of
the type-II discrete cosine transform of the image exceeds their median, where the image is luma
Y = 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601) averaged over the areas of a 32 x 32 grid. The
constant and the purely vertical and horizontal waves are left out, so brightness counts for
nothing. Coefficients are rounded to 1e-3 of a level first: what rounding alone would decide is
equal. An image of one colour has only zeros.

Two photographs differ in some 32 bits, an image and its JPEG or its half in 0 to 6. Mirroring and
cropping change the hash. Digits on black and the like differ in fewer bits than photographs do.

Source: Zauner 2010, Implementation and Benchmarking of Perceptual Image Hash Functions (thesis),
whose DCT hash also blurs first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from geneval.extractors.extractor import Layer, extractor
from geneval.samples.sampleset import Batch
from geneval.signature import Scalar

SIDE = 32  # of the grid
WAVES = 8  # frequencies each way
STEP = 1e-3  # levels to which coefficients are rounded
LUMA = (0.299, 0.587, 0.114)


class PerceptualHash:
    """The hash of every image."""

    labels = None
    notes: tuple[str, ...] = ()
    identity: Mapping[str, Scalar] = {"ext": "perceptual-hash", "resize": "area32", "prec": "fp64"}
    layers: Mapping[str, Layer] = {"bits": Layer("features", WAVES**2)}

    def __call__(self, batch: Batch, layers: Collection[str]) -> Mapping[str, NDArray[np.float32]]:
        """The bits of uint8 images [b, h, w, 3]; one at a time, for images may be large."""
        rows = [_bits(np.asarray(image)) for image in batch.columns["image"]]
        return {"bits": np.array(rows, dtype=np.float32).reshape(-1, WAVES**2)}

    def caution(self, unlikeness: NDArray[np.float32]) -> str:
        """Nothing is out of place."""
        return ""


def waves() -> NDArray[np.float64]:
    """Cosines [8, 32] of the frequencies 1..8, orthonormal."""
    angle = np.pi * np.outer(np.arange(1, WAVES + 1), np.arange(SIDE) + 0.5) / SIDE
    scaled: NDArray[np.float64] = np.cos(angle) * np.sqrt(2 / SIDE)
    return scaled


def _bits(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The hash [64] of an image [h, w, 3]."""
    import torch
    from torch.nn.functional import adaptive_avg_pool2d

    luma = torch.as_tensor(image @ np.array(LUMA))
    grid = adaptive_avg_pool2d(luma[None], SIDE)[0].numpy()
    coefficients = np.rint(waves() @ grid @ waves().T / STEP).ravel()
    above: NDArray[np.float64] = (coefficients > np.median(coefficients)).astype(np.float64)
    return above


@extractor("perceptual-hash")
def perceptual_hash() -> PerceptualHash:
    """64 bits an image by cosine transform, for near duplicates; no network, no download."""
    return PerceptualHash()
