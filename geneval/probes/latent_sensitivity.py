"""`latent-sensitivity`: how much an image changes for a little noise on its latent.

For each request with latent z and some random directions u of root mean square 1, from its seed,

    distance( G(z), G(z + step·u) ) / step

with the distance of `pixels` (root mean square, 0..1), LPIPS, or the features of an extractor. The
largest over the directions estimates the local Lipschitz constant from below. Unlike
`path-length`, which steps towards another latent and squares the step, it needs no network.

Rows: the mean over the directions, the largest, and whether the generator gave floats (1) or bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from geneval.checkpoint import Checkpoint
from geneval.extractors.extractor import Layer, extractor
from geneval.extractors.network import full_precision
from geneval.options import AtLeast
from geneval.probes.latents import Change, directions, images_of
from geneval.samples.sampleset import Batch
from geneval.signature import Scalar


class LatentSensitivity:
    """The probe; `bind` must have given it the checkpoint."""

    labels = None
    layers: Mapping[str, Layer] = {
        "sensitivity": Layer("sensitivity", 3, ("latent", "seed"), ("mean", "largest", "floats"))
    }

    def __init__(self, change: Change, step: float, count: int) -> None:
        self.change = change
        self.step = step
        self.count = count
        self.checkpoint: Checkpoint | None = None

    @property
    def identity(self) -> Mapping[str, Scalar]:
        """The distance's own identity, the step and the number of directions."""
        return {
            **self.change.identity,
            "ext": "latent-sensitivity",
            "step": self.step,
            "directions": self.count,
        }

    @property
    def notes(self) -> tuple[str, ...]:
        """Those of the distance."""
        return self.change.notes

    def bind(self, checkpoint: Checkpoint) -> None:
        """Say whose latents these are."""
        self.checkpoint = checkpoint

    def __call__(self, batch: Batch, layers: Collection[str]) -> Mapping[str, NDArray[np.float32]]:
        """The rows of requests with latents and seeds."""
        import torch

        latents, device = np.stack(batch.columns["latent"]), self.change.device
        here = images_of(self.checkpoint, batch, latents, device)
        rates = np.zeros((self.count, len(latents)))
        for k in range(self.count if here.is_floating_point() else 0):
            moved = latents + np.float32(self.step) * directions(batch, f"sensitivity {k}")
            there = images_of(self.checkpoint, batch, moved, device)
            with torch.inference_mode(), full_precision():
                apart = self.change(here.float(), there.float()).double()
            rates[k] = apart.cpu().numpy() / self.step
        floats = np.full(len(latents), float(here.is_floating_point()))
        rows = np.stack([rates.mean(axis=0), rates.max(axis=0), floats], axis=1)
        return {"sensitivity": rows.astype(np.float32)}

    def caution(self, unlikeness: NDArray[np.float32]) -> str:
        """Nothing is out of place."""
        return ""


@extractor("latent-sensitivity", network="distance")
def latent_sensitivity(
    *,
    distance: str = "pixels",
    step: Annotated[float, AtLeast(1e-4)] = 0.01,
    directions: Annotated[int, AtLeast(1)] = 4,
    device: str = "cpu",
    weights: Path | None = None,
) -> LatentSensitivity:
    """How much images change for a little noise on their latents; pixels, LPIPS or features."""
    return LatentSensitivity(Change(distance, device, weights), step, directions)
