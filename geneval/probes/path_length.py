"""`path-length`: how far a generator's image moves, perceptually, for a tiny step of its latent.

For each request with latent z₁ a second one z₂ is drawn from the request's seed; the layer is

    LPIPS( G(I(z₁, z₂; t)), G(I(z₁, z₂; t + ε)) ) / ε²

with LPIPS on VGG-16, images brought to `side` pixels (areas averaged, as in torchmetrics), t = 0
(`sampling: end`) or uniform in 0..1 from the seed (`full`), and I linear (`lerp`) or along the
great circle (`slerp`). Everything else of the request stays the same for both images, which are
compared as floats: quantised to bytes, a step of 1e-4 would measure rounding and nothing else.
Rows: the length, and whether the generator gave floats (1) or bytes (0).

Paper: Karras et al. 2018, arXiv:1812.04948. Defaults are those of torch-fidelity and torchmetrics.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray

from geneval.checkpoint import Checkpoint
from geneval.extractors.extractor import Layer, extractor
from geneval.extractors.lpips import Lpips
from geneval.extractors.network import full_precision
from geneval.options import AtLeast
from geneval.probes.latents import brought_to, images_of
from geneval.samples.requests import latent_of, request_seed
from geneval.samples.sampleset import Batch
from geneval.signature import Scalar

Interpolation = Literal["lerp", "slerp"]
Sampling = Literal["end", "full"]


class PathLength:
    """The probe; `bind` must have given it the checkpoint."""

    labels = None
    layers: Mapping[str, Layer] = {"path_length": Layer("path_length", 2, ("latent", "seed"))}

    def __init__(
        self,
        lpips: Lpips,
        epsilon: float,
        interpolation: Interpolation,
        sampling: Sampling,
        side: int,
    ) -> None:
        self.lpips = lpips
        self.epsilon = epsilon
        self.interpolation = interpolation
        self.sampling = sampling
        self.side = side
        self.checkpoint: Checkpoint | None = None

    @property
    def identity(self) -> Mapping[str, Scalar]:
        """The distance's own identity and the four choices."""
        return {
            **self.lpips.identity,
            "ext": "path-length",
            "resize": f"area{self.side}",
            "epsilon": self.epsilon,
            "interpolation": self.interpolation,
            "sampling": self.sampling,
        }

    @property
    def notes(self) -> tuple[str, ...]:
        """Those of the distance."""
        return self.lpips.notes

    def bind(self, checkpoint: Checkpoint) -> None:
        """Say whose latents these are."""
        self.checkpoint = checkpoint

    def __call__(self, batch: Batch, layers: Collection[str]) -> Mapping[str, NDArray[np.float32]]:
        """The rows of requests with latents and seeds."""
        import torch

        latents = np.stack(batch.columns["latent"])
        seeds = [request_seed(seed, "path") for seed in batch.columns["seed"]]
        others = np.stack([latent_of(seed, latents.shape[1:]) for seed in seeds])
        start = np.zeros(len(seeds))
        if self.sampling == "full":
            start = np.array([np.random.default_rng(seed).random() for seed in seeds])
        rows = np.zeros((len(seeds), 2), dtype=np.float32)
        here, there = (
            images_of(
                self.checkpoint,
                batch,
                between(latents, others, t, self.interpolation),
                self.lpips.device,
            )
            for t in (start, start + self.epsilon)
        )
        rows[:, 1] = here.is_floating_point()
        if here.is_floating_point():
            with torch.inference_mode(), full_precision():
                sides = (brought_to(one, self.side) for one in (here, there))
                apart = self.lpips.loaded()(*sides, normalize=True).flatten()
            rows[:, 0] = (apart.double() / self.epsilon**2).cpu().numpy()
        return {"path_length": rows}

    def caution(self, unlikeness: NDArray[np.float32]) -> str:
        """Nothing is out of place."""
        return ""


def between(
    a: NDArray[np.float32], b: NDArray[np.float32], t: NDArray[np.float64], how: Interpolation
) -> NDArray[np.float32]:
    """The points [n, …] at `t` [n] on the ways from a to b, computed in float64."""
    x, y = (side.reshape(len(side), -1).astype(np.float64) for side in (a, b))
    at = t[:, None]
    if how == "lerp":
        found = x + (y - x) * at
    else:
        unit = [side / np.linalg.norm(side, axis=1, keepdims=True) for side in (x, y)]
        angle = np.arccos(np.clip((unit[0] * unit[1]).sum(axis=1, keepdims=True), -1, 1))
        found = (np.sin((1 - at) * angle) * x + np.sin(at * angle) * y) / np.sin(angle)
    return found.reshape(a.shape).astype(np.float32)


@extractor("path-length", weights="lpips-vgg")
def path_length(
    *,
    epsilon: Annotated[float, AtLeast(1e-6)] = 1e-4,
    interpolation: Interpolation = "lerp",
    sampling: Sampling = "end",
    side: Annotated[int, AtLeast(16)] = 64,
    device: str = "cpu",
    weights: Path | None = None,
) -> PathLength:
    """Perceptual length of a small step of a checkpoint's latent: LPIPS on VGG-16 over ε²."""
    return PathLength(Lpips("vgg", device, weights), epsilon, interpolation, sampling, side)
