"""`image-statistics`: sharpness, colourfulness, noise and exposure of every image; no network.

The layer `statistics` [4] holds, with R, G, B in 0..255 and luma Y = 0.299 R + 0.587 G + 0.114 B
(ITU-R BT.601):

- sharpness: variance over all pixels of the Laplacian of Y, kernel [0 1 0; 1 −4 1; 0 1 0], edges
  reflected without repeating the edge, as in OpenCV; Pech-Pacheco et al. 2000,
  doi:10.1109/ICPR.2000.903548. Squared levels; noise counts as sharpness.
- colourfulness: √(σ²_rg + σ²_yb) + 0.3 · √(μ²_rg + μ²_yb) with rg = R − G and yb = (R + G) / 2 − B;
  Hasler and Süsstrunk 2003, doi:10.1117/12.477378. Levels; 0 for grey, 109 for extremely colourful.
- noise: √(π/2) / 6 · mean of |Y * [1 −2 1; −2 4 −2; 1 −2 1]| where the kernel fits, the deviation
  of Gaussian noise on Y; Immerkær 1996, doi:10.1006/cviu.1996.0060. Levels; texture raises it.
- exposure: the mean of Y / 255, in 0..1.

Variances divide by the number of pixels. All four follow the size of the image: nothing is resized.
An image with a side below 3 has none, and its row is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geneval.extractors.extractor import Layer, extractor
from geneval.samples.sampleset import Batch
from geneval.signature import Scalar

if TYPE_CHECKING:
    import torch

PIXELS = 2**21  # of images at a time: a dozen planes of floats are made of each
LEAST = 3  # side of the kernels


class ImageStatistics:
    """Four numbers an image."""

    labels = None
    notes: tuple[str, ...] = ()

    def __init__(self, device: str) -> None:
        self.device = device

    @property
    def identity(self) -> Mapping[str, Scalar]:
        """Images are measured as they are."""
        return {"ext": "image-statistics", "resize": "none", "prec": "fp32"}

    @property
    def layers(self) -> Mapping[str, Layer]:
        """One layer of all statistics."""
        return {"statistics": Layer("statistics", len(STATISTICS))}

    def __call__(self, batch: Batch, layers: Collection[str]) -> Mapping[str, NDArray[np.float32]]:
        """The statistics of uint8 images [b, h, w, 3]."""
        import torch

        images = batch.columns["image"]
        height, width = np.shape(images)[1:3]
        rows = np.full((len(images), len(STATISTICS)), np.nan, dtype=np.float32)
        if min(height, width) < LEAST:
            return {"statistics": rows}
        at_once = max(1, PIXELS // (height * width))
        with torch.inference_mode():
            for start in range(0, len(images), at_once):
                part = slice(start, start + at_once)
                colours = torch.as_tensor(images[part], device=self.device).to(torch.float32)
                red, green, blue = colours.unbind(dim=3)
                planes = red, green, blue, 0.299 * red + 0.587 * green + 0.114 * blue
                found = [statistic(*planes) for statistic in STATISTICS.values()]
                rows[part] = torch.stack(found, dim=1).cpu().numpy()
        return {"statistics": rows}

    def caution(self, unlikeness: NDArray[np.float32]) -> str:
        """Nothing is out of place."""
        return ""


# Sums below are of pairs of equal terms first, so that a constant image gives exactly 0.


def _sharpness(
    red: torch.Tensor, green: torch.Tensor, blue: torch.Tensor, luma: torch.Tensor
) -> torch.Tensor:
    from torch.nn.functional import pad

    y = pad(luma[:, None], (1, 1, 1, 1), mode="reflect")[:, 0]
    around = (y[:, :-2, 1:-1] + y[:, 2:, 1:-1]) + (y[:, 1:-1, :-2] + y[:, 1:-1, 2:])
    return (around - 4 * luma).flatten(1).var(dim=1, correction=0)


def _colourfulness(
    red: torch.Tensor, green: torch.Tensor, blue: torch.Tensor, luma: torch.Tensor
) -> torch.Tensor:
    rg, yb = (red - green).flatten(1), ((red + green) / 2 - blue).flatten(1)
    spread = (rg.var(dim=1, correction=0) + yb.var(dim=1, correction=0)).sqrt()
    return spread + 0.3 * (rg.mean(dim=1) ** 2 + yb.mean(dim=1) ** 2).sqrt()


def _noise(
    red: torch.Tensor, green: torch.Tensor, blue: torch.Tensor, luma: torch.Tensor
) -> torch.Tensor:
    y = luma
    corners = (y[:, :-2, :-2] + y[:, :-2, 2:]) + (y[:, 2:, :-2] + y[:, 2:, 2:])
    sides = (y[:, :-2, 1:-1] + y[:, 2:, 1:-1]) + (y[:, 1:-1, :-2] + y[:, 1:-1, 2:])
    response = corners - 2 * sides + 4 * y[:, 1:-1, 1:-1]
    return math.sqrt(math.pi / 2) / 6 * response.abs().flatten(1).mean(dim=1)


def _exposure(
    red: torch.Tensor, green: torch.Tensor, blue: torch.Tensor, luma: torch.Tensor
) -> torch.Tensor:
    return luma.flatten(1).mean(dim=1) / 255


STATISTICS: Mapping[str, Callable[..., torch.Tensor]] = {
    "sharpness": _sharpness,
    "colourfulness": _colourfulness,
    "noise": _noise,
    "exposure": _exposure,
}


@extractor("image-statistics")
def image_statistics(*, device: str = "cpu") -> ImageStatistics:
    """Sharpness, colourfulness, noise and exposure of every image, no network."""
    return ImageStatistics(device)
