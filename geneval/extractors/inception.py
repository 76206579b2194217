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

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geneval.checkpoint import load_tensors
from geneval.errors import CheckpointError
from geneval.extractors.extractor import Layer, extractor
from geneval.extractors.preprocess import Preset, resized, scaled
from geneval.extractors.torchvision_schemas import declare_schemas
from geneval.extractors.weights import PUBLISHED, find_weights
from geneval.ledger import file_digest
from geneval.signature import Scalar

if TYPE_CHECKING:
    import torch

SIDE = 299
CHUNK = 32  # images through the network at a time: activations of more would fill the memory
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


class InceptionV3:
    """The extractor; the network is loaded with the first batch."""

    labels = None
    layers: Mapping[str, Layer] = {
        "pool3": Layer("features", 2048),
        "logits_unbiased": Layer("logits", 1008),
        "spatial": Layer("spatial", 17 * 17 * SPATIAL_CHANNELS),
    }

    def __init__(self, weights: Path, preset: Preset, device: str) -> None:
        self.weights = weights
        self.preset = preset
        self.device = device
        self._digest = file_digest(weights)
        self._net: torch.nn.Module | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_net": None}

    @property
    def identity(self) -> Mapping[str, Scalar]:
        """Weights, resize rule and precision."""
        return {
            "ext": "inception-v3",
            "weights": self._digest,
            "resize": self.preset,
            "prec": "fp32",
        }

    @property
    def notes(self) -> tuple[str, ...]:
        """A caution when the weights are not the published ones, whose numbers papers report."""
        return PUBLISHED["inception-v3"].doubts("inception-v3", self._digest)

    def __call__(self, images: NDArray[np.uint8]) -> Mapping[str, NDArray[np.float32]]:
        """All layers of uint8 images [b, h, w, 3]."""
        import torch

        net = self._load()
        parts: dict[str, list[NDArray[np.float32]]] = {name: [] for name in self.layers}
        with torch.inference_mode():
            for start in range(0, len(images), CHUNK):
                chunk = torch.as_tensor(images[start : start + CHUNK], device=self.device)
                pixels = scaled(resized(chunk, SIDE, self.preset), self.preset)
                for name, values in net(pixels).items():
                    parts[name].append(values.cpu().numpy())
        return {name: np.concatenate(values) for name, values in parts.items()}

    def caution(self, unlikeness: NDArray[np.float32]) -> str:
        """Nothing is known of which images are out of place."""
        return ""

    def _load(self) -> torch.nn.Module:
        if self._net is None:
            net = network()
            load_network(net, self.weights, "inception-v3")
            self._net = net.to(self.device).eval()
        return self._net


def load_network(net: torch.nn.Module, path: Path, name: str) -> None:
    """Fill a network with a weights file; counters of batches, which some files lack, stay out."""
    tensors = {k: v for k, v in load_tensors(path).items() if not k.endswith("num_batches_tracked")}
    wanted = {k for k in net.state_dict() if not k.endswith("num_batches_tracked")}
    wrong = sorted(wanted ^ set(tensors))
    if wrong:
        lacks = "lacks" if wrong[0] in wanted else "has an unknown tensor"
        raise CheckpointError(f"{path} holds no weights of {name}: it {lacks} {wrong[0]!r}")
    try:
        net.load_state_dict(tensors, strict=False)
    except RuntimeError as error:  # a tensor of another shape
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{path} holds no weights of {name}: {reason}") from error


@extractor("inception-v3")
def inception_v3(
    *, preset: Preset = "tf1", device: str = "cpu", weights: Path | None = None
) -> InceptionV3:
    """Inception of 2015, on which FID, KID, IS and sFID are defined; presets by resize rule."""
    return InceptionV3(find_weights("inception-v3", weights), preset, device)
