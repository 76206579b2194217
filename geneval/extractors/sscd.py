"""`sscd`: descriptors for image copy detection, for finding copies of training images.

ResNet-50 with generalised-mean pooling (p = 3), a linear layer to 512 and length 1: two images of
cosine 0.75, which is a distance of 0.71, are copies with 90 % precision by the authors' account
(`sscd_disc_mixup` on DISC). Images are resized to 288 x 288, bilinear with antialiasing, and
standardised by ImageNet's mean and deviation; the authors resize the shorter side to 288 or the
image to a square, which squashes it, as here. They resize bytes, which rounds; the presets do not.

The weights are the authors' file `sscd_disc_mixup.torchvision.pt` (CC BY-NC 4.0), of which they
publish no digest. So nothing is fetched: give it in the suite (`weights: {sscd: PATH}`) or add it
with `geneval weights add sscd PATH`; its own digest stands in every signature.

Source: Pizzi et al. 2022, arXiv:2202.10261.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from geneval.checkpoint import load_tensors
from geneval.extractors.extractor import Layer, extractor
from geneval.extractors.network import Network, NetworkExtractor
from geneval.extractors.preprocess import Preset, imagenet
from geneval.extractors.runtime import ON_CPU, Running
from geneval.extractors.torchvision_schemas import declare_schemas

if TYPE_CHECKING:
    import torch

WIDTH = 512
POWER = 3.0  # of the mean over places
LEAST = 1e-6  # that an activation counts before it is raised
PREFIX = "backbone."  # of the names in the file


def network() -> torch.nn.Module:
    """The untrained network: pixels [b, 3, h, w] to descriptors of length 1."""
    declare_schemas()
    import torch
    from torchvision.models import resnet50

    class GeneralisedMean(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raised = x.clamp(min=LEAST).pow(POWER)
            return raised.mean(dim=(2, 3)).pow(1 / POWER)

    net: torch.nn.Module = resnet50(num_classes=WIDTH)
    net.avgpool = GeneralisedMean()
    net.register_forward_hook(
        lambda module, given, made: {"descriptor": torch.nn.functional.normalize(made)}
    )
    return net


def tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of the authors' file under torchvision's names."""
    return {name.removeprefix(PREFIX): one for name, one in load_tensors(path).items()}


SSCD = Network(
    name="sscd",
    side=288,
    layers={"descriptor": Layer("features", WIDTH)},
    build=network,
    scale=imagenet,
    load=tensors,
)


@extractor("sscd")
def sscd(
    *, preset: Preset = "antialias", running: Running = ON_CPU, weights: Path | None = None
) -> NetworkExtractor:
    """SSCD descriptors (512) for finding copies; weights must be given by path."""
    return NetworkExtractor(SSCD, preset, running, weights)
