"""`vgg16`: the network that precision and recall were published on.

torchvision's VGG-16 with its published ImageNet weights, fed as in torch-fidelity (TensorFlow 1
resize to 224, ImageNet's mean and deviation); the layer `fc2_relu` [4096] is the second fully
connected one after its ReLU. Kynkäänniemi et al. 2019 use a TensorFlow conversion of the same
network, whose numbers differ in the third digit.

Sources: Simonyan and Zisserman 2015, arXiv:1409.1556; torch-fidelity 0.4 (Apache-2.0).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from geneval.extractors.extractor import Layer, extractor
from geneval.extractors.network import Network, NetworkExtractor
from geneval.extractors.preprocess import Preset, imagenet
from geneval.extractors.runtime import ON_CPU, Running
from geneval.extractors.torchvision_schemas import declare_schemas

if TYPE_CHECKING:
    import torch


def network() -> torch.nn.Module:
    """The untrained network, with the last layer that its weights file holds but nothing asks."""
    declare_schemas()
    from torchvision.models import VGG
    from torchvision.models.vgg import cfgs, make_layers

    class Vgg16(VGG):  # type: ignore[misc]
        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            x = self.avgpool(self.features(x)).flatten(1)
            return {"fc2_relu": self.classifier[:5](x)}

    return Vgg16(make_layers(cfgs["D"]), init_weights=False)


VGG16 = Network(
    name="vgg16",
    side=224,
    layers={"fc2_relu": Layer("features", 4096)},
    build=network,
    scale=imagenet,
)


@extractor("vgg16")
def vgg16(
    *, preset: Preset = "tf1", running: Running = ON_CPU, weights: Path | None = None
) -> NetworkExtractor:
    """VGG-16 of ImageNet, second fully connected layer: precision and recall as published."""
    return NetworkExtractor(VGG16, preset, running, weights)
