"""The images themselves as features: no network, no weights, a floor to compare extractors with."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from geneval.errors import UsageError
from geneval.extractors.extractor import Layer, extractor
from geneval.samples.sampleset import Batch
from geneval.signature import Scalar


class Pixels:
    """RGB values in 0..1 of the image averaged to side x side, flattened."""

    labels = None
    notes: tuple[str, ...] = ()

    def __init__(self, side: int) -> None:
        if not 1 <= side <= 64:
            raise UsageError(f"extractor pixels: side = {side} is not between 1 and 64")
        self.side = side

    @property
    def identity(self) -> Mapping[str, Scalar]:
        """The resize rule is all there is."""
        return {"ext": "pixels", "resize": f"area{self.side}", "prec": "fp32"}

    @property
    def layers(self) -> Mapping[str, Layer]:
        """One layer of features."""
        return {"features": Layer("features", 3 * self.side**2)}

    def __call__(self, batch: Batch, layers: Collection[str]) -> Mapping[str, NDArray[np.float32]]:
        """Area averages of uint8 images [b, h, w, 3]."""
        import torch

        pixels = torch.as_tensor(batch.columns["image"]).to(torch.float32).permute(0, 3, 1, 2) / 255
        small = torch.nn.functional.adaptive_avg_pool2d(pixels, self.side)
        return {"features": small.flatten(1).numpy()}

    def caution(self, unlikeness: NDArray[np.float32]) -> str:
        """Nothing is out of place for pixels."""
        return ""


@extractor("pixels")
def pixels(*, side: int = 8) -> Pixels:
    """Area-averaged RGB pixels (side x side), no network: a baseline feature space."""
    return Pixels(side)
