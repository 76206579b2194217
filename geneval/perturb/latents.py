"""Perturbations of latents: float32 arrays of any shape, d values each."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from geneval.options import AtLeast
from geneval.perturb.perturbation import perturbation

Latent = NDArray[np.float32]


@perturbation("latent_noise", "latent", severity={"norm": (0.05, 0.1, 0.2, 0.4, 0.8)})
def latent_noise(
    latent: Latent, rng: np.random.Generator, *, norm: Annotated[float, AtLeast(0)] = 0.2
) -> Latent:
    """A step of `norm`·√d in a direction that is drawn; a standard normal latent's norm is √d."""
    direction = rng.standard_normal(latent.shape)
    length = float(np.linalg.norm(direction))
    step = norm * math.sqrt(latent.size) / length * direction if length else direction
    return (latent + step).astype(np.float32)


@perturbation("latent_scale", "latent", severity={"factor": (1.1, 1.25, 1.5, 2.0, 3.0)})
def latent_scale(latent: Latent, rng: np.random.Generator, *, factor: float = 1.5) -> Latent:
    """The latent times `factor`: further from the origin than latents are drawn."""
    return (latent * factor).astype(np.float32)
