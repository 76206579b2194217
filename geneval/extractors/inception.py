"""`inception-v3`: the Inception network of 2015 that FID, KID and IS are defined on.

The network and its weights are torch-fidelity's conversion of the TensorFlow graph (average pooling
without padding in the count, maximum pooling in the last block, 1,008 outputs), put together here
from its blocks so that one pass gives every layer:

- `pool3` [2048], role features: the last average pooling, of FID and KID;
- `logits_unbiased` [1008], role logits: the last layer without its bias, of IS;
- `spatial` [2023], role spatial: the first 7 channels of `Mixed_6d.branch1x1`, 17 x 17, flattened
  with the channel last, as in ADM's statistics: of sFID.

Sources: Szegedy et al. 2015, arXiv:1512.00567; torch-fidelity 0.4 (Apache-2.0).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from geneval.extractors.extractor import Layer, extractor
from geneval.extractors.network import Network, NetworkExtractor
from geneval.extractors.preprocess import Preset
from geneval.extractors.runtime import ON_CPU, Running
from geneval.extractors.torchvision_schemas import declare_schemas

if TYPE_CHECKING:
    import torch

SPATIAL_CHANNELS = 7


def network() -> torch.nn.Module:
    """The untrained network: input float32 [b, 3, 299, 299] to the three layers by name."""
    declare_schemas()  # torch-fidelity imports torchvision
    from torch import nn
    from torch_fidelity import feature_extractor_inceptionv3 as blocks

    class Inception(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.Conv2d_1a_3x3 = blocks.BasicConv2d(3, 32, kernel_size=3, stride=2)
            self.Conv2d_2a_3x3 = blocks.BasicConv2d(32, 32, kernel_size=3)
            self.Conv2d_2b_3x3 = blocks.BasicConv2d(32, 64, kernel_size=3, padding=1)
            self.Conv2d_3b_1x1 = blocks.BasicConv2d(64, 80, kernel_size=1)
            self.Conv2d_4a_3x3 = blocks.BasicConv2d(80, 192, kernel_size=3)
            self.Mixed_5b = blocks.InceptionA(192, pool_features=32)
            self.Mixed_5c = blocks.InceptionA(256, pool_features=64)
            self.Mixed_5d = blocks.InceptionA(288, pool_features=64)
            self.Mixed_6a = blocks.InceptionB(288)
            self.Mixed_6b = blocks.InceptionC(768, channels_7x7=128)
            self.Mixed_6c = blocks.InceptionC(768, channels_7x7=160)
            self.Mixed_6d = blocks.InceptionC(768, channels_7x7=160)
            self.Mixed_6e = blocks.InceptionC(768, channels_7x7=192)
            self.Mixed_7a = blocks.InceptionD(768)
            self.Mixed_7b = blocks.InceptionE_1(1280)
            self.Mixed_7c = blocks.InceptionE_2(2048)
            self.fc = nn.Linear(2048, 1008)

        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            pool = nn.functional.max_pool2d
            x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
            x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(pool(x, kernel_size=3, stride=2)))
            x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(pool(x, kernel_size=3, stride=2))))
            x = self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))
            spatial = self.Mixed_6d.branch1x1(x)[:, :SPATIAL_CHANNELS]
            x = self.Mixed_7a(self.Mixed_6e(self.Mixed_6d(x)))
            x = self.Mixed_7c(self.Mixed_7b(x))
            features = nn.functional.adaptive_avg_pool2d(x, 1).flatten(1)
            return {
                "pool3": features,
                "logits_unbiased": features @ self.fc.weight.T,
                "spatial": spatial.permute(0, 2, 3, 1).flatten(1),
            }

    return Inception()


def scaled(pixels: torch.Tensor, preset: Preset) -> torch.Tensor:
    """Pixels in 0..255 as (x − 128) / 128, and 2x / 255 − 1 for `pytorch`, as the tools do."""
    return 2 * (pixels / 255) - 1 if preset == "pytorch" else (pixels - 128) / 128


def folded(net: torch.nn.Module) -> None:
    """Fold every batch norm into the convolution before it."""
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_eval
    from torch_fidelity.feature_extractor_inceptionv3 import BasicConv2d

    for block in net.modules():
        if isinstance(block, BasicConv2d):
            block.conv = fuse_conv_bn_eval(block.conv, block.bn)
            block.bn = nn.Identity()


INCEPTION = Network(
    name="inception-v3",
    side=299,
    layers={
        "pool3": Layer("features", 2048),
        "logits_unbiased": Layer("logits", 1008),
        "spatial": Layer("spatial", 17 * 17 * SPATIAL_CHANNELS),
    },
    build=network,
    scale=scaled,
    fold=folded,
)


@extractor("inception-v3")
def inception_v3(
    *, preset: Preset = "tf1", running: Running = ON_CPU, weights: Path | None = None
) -> NetworkExtractor:
    """Inception of 2015, on which FID, KID, IS and sFID are defined; presets by resize rule."""
    return NetworkExtractor(INCEPTION, preset, running, weights)
