"""`pairwise`: each image against its own reference image, the one of the same id; no network.

Layers `mse`, `ssim` and `ms_ssim`, of images in 0..1. A row holds the score, the least side that
the score is defined for, height and width of the image, height and width of its reference; where
sizes differ or a side is too small the score is 0, and the metric says why there is none.

`mse` is the mean squared error, from whole numbers; `ssim` and `ms_ssim` are torchmetrics'
functions for the one and the other, in single precision throughout.

Sources: torchmetrics 1.9 (Apache-2.0); the metrics of the same names.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geneval.extractors.extractor import Layer, extractor
from geneval.extractors.network import full_precision
from geneval.extractors.torchvision_schemas import declare_schemas
from geneval.samples.sampleset import Batch
from geneval.signature import Scalar

if TYPE_CHECKING:
    import torch

COMPARED = ("image", "target")  # the fields that are compared
WIDTH = 6  # of a row: score, least side, two sizes
PIXELS = 2**19  # of images that are compared at a time: activations of more would fill the memory
Score = Callable[["torch.Tensor", "torch.Tensor"], "torch.Tensor"]


class Pairwise:
    """The scores that need no network."""

    labels = None
    notes: tuple[str, ...] = ()

    def __init__(self, device: str) -> None:
        self.device = device

    @property
    def identity(self) -> Mapping[str, Scalar]:
        """Images are compared as they are."""
        return {"ext": "pairwise", "resize": "none", "prec": "fp32"}

    @property
    def layers(self) -> Mapping[str, Layer]:
        """One layer a score."""
        return {name: Layer(name, WIDTH, COMPARED) for name in SCORES}

    def __call__(self, batch: Batch, layers: Collection[str]) -> Mapping[str, NDArray[np.float32]]:
        """Rows of the layers that are asked for."""
        return {name: compared(batch, LEAST[name], self.device, SCORES[name]) for name in layers}

    def caution(self, unlikeness: NDArray[np.float32]) -> str:
        """Nothing is out of place."""
        return ""


def compared(batch: Batch, least: int, device: str, score: Score) -> NDArray[np.float32]:
    """Rows float32 [b, 6] of a batch; `score` takes two tensors uint8 [b, h, w, 3] to [b]."""
    import torch

    images, targets = (batch.columns[name] for name in COMPARED)
    sizes = (*np.shape(images)[1:3], *np.shape(targets)[1:3])
    rows = np.zeros((len(images), WIDTH), dtype=np.float32)
    rows[:, 1:] = (least, *sizes)
    if sizes[:2] != sizes[2:] or min(sizes) < least:
        return rows
    at_once = max(1, PIXELS // (sizes[0] * sizes[1]))
    with torch.inference_mode(), full_precision():
        for start in range(0, len(images), at_once):
            part = slice(start, start + at_once)
            pair = (torch.as_tensor(side[part], device=device) for side in (images, targets))
            rows[part, 0] = score(*pair).cpu().numpy()
    return rows


def unit_range(images: torch.Tensor) -> torch.Tensor:
    """Images uint8 [b, h, w, 3] as float32 [b, 3, h, w] in 0..1."""
    import torch

    return images.to(torch.float32).permute(0, 3, 1, 2) / 255


def _mse(image: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    total = ((image.int() - target.int()) ** 2).flatten(1).sum(dim=1).cpu()
    return total.double() / (image[0].numel() * 255**2)


def _ssim(image: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    declare_schemas()  # torchmetrics imports torchvision
    from torchmetrics.functional.image import structural_similarity_index_measure

    found = structural_similarity_index_measure(
        unit_range(image), unit_range(target), data_range=1.0, reduction="none"
    )
    assert not isinstance(found, tuple)
    return found


def _ms_ssim(image: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    declare_schemas()
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

    return multiscale_structural_similarity_index_measure(
        unit_range(image), unit_range(target), data_range=1.0, reduction="none"
    )


SCORES: Mapping[str, Score] = {"mse": _mse, "ssim": _ssim, "ms_ssim": _ms_ssim}
# The window of 11 reflects 5 pixels at each edge, and must fit the image after four halvings.
LEAST: Mapping[str, int] = {"mse": 1, "ssim": 6, "ms_ssim": 11 * 2**4}


@extractor("pairwise")
def pairwise(*, device: str = "cpu") -> Pairwise:
    """Squared error, SSIM and MS-SSIM of each image and its reference of equal id, no network."""
    return Pairwise(device)
