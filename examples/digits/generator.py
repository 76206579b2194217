"""A small class-conditional generator of digits by flow matching, and its geneval adapter.

Flow matching (Lipman et al. 2022, arXiv:2210.02747): the network learns the velocity x₁ − x₀ along
straight lines from noise to data and is integrated from noise with the midpoint rule.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from geneval.checkpoint import Generator, load_into
from geneval.samples.sampleset import Batch

PIXELS = 64
STEPS = 20
CLASSES = tuple("0123456789")


class Flow(nn.Module):
    """Velocity of flattened images [b, 64] in −1..1 at time t [b] for classes [b]."""

    def __init__(self, width: int = 224, embedding: int = 64) -> None:
        super().__init__()
        self.label = nn.Embedding(len(CLASSES), embedding)
        self.time = nn.Linear(16, embedding)
        self.enter = nn.Linear(PIXELS + embedding, width)
        self.hidden1 = nn.Linear(width + embedding, width)
        self.hidden2 = nn.Linear(width + embedding, width)
        self.leave = nn.Linear(width, PIXELS)

    def forward(self, x: torch.Tensor, t: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Velocity [b, 64]."""
        angle = torch.pi * t[:, None] * 2.0 ** torch.arange(-1, 7)
        about = self.time(torch.cat([angle.sin(), angle.cos()], dim=1)) + self.label(label)
        h = nn.functional.silu(self.enter(torch.cat([x, about], dim=1)))
        h = h + nn.functional.silu(self.hidden1(torch.cat([h, about], dim=1)))
        h = h + nn.functional.silu(self.hidden2(torch.cat([h, about], dim=1)))
        velocity: torch.Tensor = self.leave(h)
        return velocity


def draw(net: Flow, noise: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """Images [b, 1, 8, 8] in 0..1 from noise [b, 64]."""
    with torch.inference_mode():
        return integrated(net, noise, label)


def integrated(net: Flow, noise: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """The same with its gradient."""
    x = noise
    for k in range(STEPS):
        t = torch.full((len(x),), k / STEPS)
        middle = x + net(x, t, label) / (2 * STEPS)
        x = x + net(middle, t + 0.5 / STEPS, label) / STEPS
    return ((x + 1) / 2).clamp(0, 1).reshape(-1, 1, 8, 8)


def load(path: Path, device: str, *, latents: bool = False) -> Generator:
    """The adapter: `geneval run digits --checkpoint FILE --adapter digits`.

    With `latents` the noise comes with the requests, so that probes can move it.
    """
    del device  # 64 pixels are drawn faster on the CPU than they are moved to a device
    net = Flow()
    load_into(net, path)
    net.eval()

    def generate(batch: Batch) -> torch.Tensor:
        if latents:
            noise = torch.as_tensor(np.stack(batch.columns["latent"]))
        else:
            noise = torch.stack([_noise(seed) for seed in batch.columns["seed"]])
        return draw(net, noise, _label(batch))

    def forward(noise: torch.Tensor, batch: Batch) -> torch.Tensor:
        return integrated(net, noise.cpu(), _label(batch))

    if latents:
        return Generator(generate, CLASSES, (PIXELS,), forward)
    return Generator(generate, CLASSES)


def _label(batch: Batch) -> torch.Tensor:
    return torch.tensor([CLASSES.index(name) for name in batch.columns["label"]])


def _noise(seed: int) -> torch.Tensor:
    """Each request's own noise, so that a sample does not depend on its batch."""
    return torch.randn(PIXELS, generator=torch.Generator().manual_seed(seed))
