"""`lpips-alex`, `lpips-vgg`: the learned distance of each image and its reference of the same id.

The layer `lpips` has the rows of `pairwise`: score, least side, two sizes. The networks are
torchvision's AlexNet and VGG-16 with their published ImageNet weights, which are all that the
weights file holds; the linear layers on top (version 0.1) come with torchmetrics, whose code puts
the two together. Images go in at their own size, from 0..255 to −1..1; nothing is resized.

Sources: Zhang et al. 2018, arXiv:1801.03924; torchmetrics 1.9 (Apache-2.0), after the authors'
`lpips` (BSD-2-Clause).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from geneval.checkpoint import load_tensors
from geneval.extractors.extractor import Layer, extractor
from geneval.extractors.network import fill, without_initial_values
from geneval.extractors.pairwise import COMPARED, WIDTH, compared, unit_range
from geneval.extractors.torchvision_schemas import declare_schemas
from geneval.extractors.weights import doubts, find_weights, weights_digest
from geneval.samples.sampleset import Batch
from geneval.signature import Digest, Scalar

if TYPE_CHECKING:
    import torch

Net = Literal["alex", "vgg"]
LEAST: Mapping[Net, int] = {"alex": 31, "vgg": 16}  # below it a pooling layer has nothing to pool


class Lpips:
    """LPIPS on one backbone; it is loaded with the first batch."""

    labels = None

    def __init__(self, net: Net, device: str, weights: Path | None) -> None:
        self.net: Net = net
        self.name = f"lpips-{net}"
        self.device = device
        self.weights = find_weights(self.name, weights)
        self._digest: Digest = weights_digest(self.name, self.weights)
        self._net: torch.nn.Module | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_net": None}

    @property
    def identity(self) -> Mapping[str, Scalar]:
        """The backbone's weights and the version of the linear layers."""
        return {
            "ext": self.name,
            "weights": self._digest,
            "resize": "none",
            "prec": "fp32",
            "linear": "0.1",
        }

    @property
    def layers(self) -> Mapping[str, Layer]:
        """The distance."""
        return {"lpips": Layer("lpips", WIDTH, COMPARED)}

    @property
    def notes(self) -> tuple[str, ...]:
        """A caution when the backbone's weights are not the published ones."""
        return doubts(self.name, self._digest)

    def __call__(self, batch: Batch, layers: Collection[str]) -> Mapping[str, NDArray[np.float32]]:
        """The rows of a batch."""
        return {"lpips": compared(batch, LEAST[self.net], self.device, self._distance)}

    def caution(self, unlikeness: NDArray[np.float32]) -> str:
        """Nothing is known of which images are out of place."""
        return ""

    def _distance(self, image: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.loaded()(unit_range(image), unit_range(target), normalize=True)
        return found.flatten()

    def loaded(self) -> torch.nn.Module:
        """The backbone with its weights under the linear layers, on its device."""
        if self._net is None:
            declare_schemas()  # torchmetrics imports torchvision
            from torchmetrics.functional.image.lpips import _LPIPS

            with without_initial_values():
                net = _LPIPS(net=self.net, pnet_rand=True)
            tensors = backbone(load_tensors(self.weights), net.net)
            fill(net.net, tensors, self.weights, self.name)
            self._net = net.to(self.device).eval()
        return self._net


def backbone(tensors: Mapping[str, torch.Tensor], net: torch.nn.Module) -> dict[str, torch.Tensor]:
    """A torchvision file's convolutions under the names of `net`, which cuts them into slices."""
    names = {f"features.{name.split('.', 1)[1]}": name for name in net.state_dict()}
    return {
        names.get(name, name): tensor
        for name, tensor in tensors.items()
        if not name.startswith("classifier.")
    }


@extractor("lpips-alex")
def lpips_alex(*, device: str = "cpu", weights: Path | None = None) -> Lpips:
    """LPIPS on AlexNet: the learned distance of each image and its reference of the same id."""
    return Lpips("alex", device, weights)


@extractor("lpips-vgg")
def lpips_vgg(*, device: str = "cpu", weights: Path | None = None) -> Lpips:
    """LPIPS on VGG-16: the learned distance of each image and its reference of the same id."""
    return Lpips("vgg", device, weights)
