"""The embedded extractor: a small classifier of handwritten digits, so that nothing is downloaded.

Trained by examples/digits/train_extractor.py on two thirds of scikit-learn's digits (8x8 grey); its
accuracy on the other third stands in the weights file and is asserted by a test. Images are turned
grey, averaged to 8x8 and scaled to 0..1. Layers: `features` (64), `logits` (10, label names "0" to
"9") and `unlikeness`, the squared Mahalanobis distance of the 8x8 image from the training digits
plus a term for colour, by which images unlike digits are recognised.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geneval.checkpoint import load_tensors
from geneval.data import LabelSpace
from geneval.errors import CheckpointError
from geneval.extractors.extractor import Layer, extractor
from geneval.extractors.weights import find_weights
from geneval.ledger import file_digest
from geneval.samples.sampleset import Batch
from geneval.signature import Scalar

if TYPE_CHECKING:
    import torch

EMBEDDED = Path(__file__).with_name("digits.safetensors")
WIDTH = 64
SIDE = 8
COLOUR_SCALE = 0.02  # mean deviation from grey that counts as one standard deviation
UNLIKE_SHARE = 0.25  # share of unlike samples from which a set gets the warning


def network() -> torch.nn.Module:
    """The untrained classifier: grey images [b, 1, 8, 8] in 0..1 to (features, logits)."""
    from torch import nn

    class Classifier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(1, 32, 3, padding=1)
            self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
            self.conv3 = nn.Conv2d(64, 64, 3, padding=1)
            self.features = nn.Linear(64 * 4, WIDTH)
            self.logits = nn.Linear(WIDTH, 10)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            x = self.conv1(x).relu()
            x = nn.functional.max_pool2d(self.conv2(x).relu(), 2)
            x = nn.functional.max_pool2d(self.conv3(x).relu(), 2)
            features = self.features(x.flatten(1))
            return features, self.logits(nn.functional.gelu(features))

    return Classifier()


def to_grey(images: NDArray[np.uint8] | torch.Tensor) -> torch.Tensor:
    """uint8 images [b, h, w, 3] to grey [b, 1, 8, 8] in 0..1, averaged over areas."""
    import torch

    grey = torch.as_tensor(images).to(torch.float32).mean(dim=3, keepdim=True).permute(0, 3, 1, 2)
    return averaged(grey / 255)


def averaged(grey: torch.Tensor) -> torch.Tensor:
    """Grey images [b, 1, h, w] averaged over areas to [b, 1, 8, 8]."""
    import torch

    return torch.nn.functional.adaptive_avg_pool2d(grey, SIDE)


class Digits:
    """The extractor; the network is loaded with the first batch."""

    labels = LabelSpace(tuple("0123456789"))
    notes: tuple[str, ...] = ()
    layers: Mapping[str, Layer] = {
        "features": Layer("features", WIDTH),
        "logits": Layer("logits", 10),
        "unlikeness": Layer("unlikeness", 1),
    }

    def __init__(self, weights: Path, device: str) -> None:
        self.weights = weights
        self.device = device
        self._weights_digest = file_digest(weights)
        self._loaded: tuple[torch.nn.Module, Mapping[str, torch.Tensor]] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_loaded": None}

    @property
    def identity(self) -> Mapping[str, Scalar]:
        """Weights, resize rule and precision."""
        return {
            "ext": "digits",
            "weights": self._weights_digest,
            "resize": "area8",
            "prec": "fp32",
        }

    def __call__(self, batch: Batch, layers: Collection[str]) -> Mapping[str, NDArray[np.float32]]:
        """Features, logits and unlikeness of uint8 images [b, h, w, 3]."""
        import torch

        net, typical = self._load()
        with torch.inference_mode():
            pixels = torch.as_tensor(batch.columns["image"], device=self.device)
            grey = to_grey(pixels)
            features, logits = net(grey)
            unlike = unlikeness(grey, pixels, typical)
        return {
            "features": features.cpu().numpy(),
            "logits": logits.cpu().numpy(),
            "unlikeness": unlike[:, None].cpu().numpy(),
        }

    def forward(self, pixels: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Features and logits of float images [b, 3, h, w] in 0..1, with their gradient."""
        net, _ = self._load()
        features, logits = net(averaged(pixels.to(self.device).mean(dim=1, keepdim=True)))
        return {"features": features, "logits": logits}

    def caution(self, unlikeness: NDArray[np.float32]) -> str:
        """A warning when too many samples are no digits."""
        share = float(np.mean(unlikeness > self.threshold)) if unlikeness.size else 0.0
        if share <= UNLIKE_SHARE:
            return ""
        return (
            f"{share:.0%} of the samples are unlike the handwritten digits that the extractor "
            "digits was trained on: numbers in its feature space have no meaning for them"
        )

    @property
    def threshold(self) -> float:
        """Unlikeness that one training digit in a thousand exceeds."""
        return float(self.facts["unlike_above"])

    @property
    def facts(self) -> Mapping[str, str]:
        """What the training script wrote beside the weights: accuracy, threshold, split."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self.weights, framework="numpy") as file:
                facts: Mapping[str, str] = json.loads(file.metadata()["facts"])
            float(facts["unlike_above"])
        except (OSError, SafetensorError, TypeError, KeyError, ValueError) as error:
            raise CheckpointError(f"{self.weights} holds no weights of `digits`") from error
        return facts

    def _load(self) -> tuple[torch.nn.Module, Mapping[str, torch.Tensor]]:
        if self._loaded is None:
            typical = {name: t.to(self.device) for name, t in load_tensors(self.weights).items()}
            net = network()
            own = net.state_dict()
            if set(typical) != {*own, "mean", "precision"}:
                raise CheckpointError(f"{self.weights} holds no weights of `digits`")
            net.load_state_dict({name: typical.pop(name) for name in own})
            self._loaded = net.to(self.device).eval(), typical
        return self._loaded


def unlikeness(
    grey: torch.Tensor, pixels: torch.Tensor, typical: Mapping[str, torch.Tensor]
) -> torch.Tensor:
    """Squared Mahalanobis distance [b] from typical digits, plus the squared scaled colour."""
    apart = grey.flatten(1) - typical["mean"]
    distance = (apart @ typical["precision"] * apart).sum(dim=1)
    colour = pixels.float() - pixels.float().mean(dim=3, keepdim=True)
    return distance + (colour.abs().mean(dim=(1, 2, 3)) / 255 / COLOUR_SCALE).square()


@extractor("digits")
def digits(*, device: str = "cpu", weights: Path | None = None) -> Digits:
    """Small classifier of handwritten digits, embedded: 64 features, 10 logits, no download."""
    return Digits(find_weights("digits", weights, EMBEDDED), device)
