"""Train the demonstration's checkpoints (about half a minute on two cores).

    python -m geneval.examples.digits.train_generator examples/digits

One run gives `step-000250`, `step-001000` and `step-004000`. A second gives `collapsed`, a model
that never saw three of the classes: asked for one of them it draws a digit of another class.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from geneval.examples.digits.data import Split, load_split
from geneval.examples.digits.generator import PIXELS, Flow

STEPS = (250, 1000, 4000)
COLLAPSED_STEPS = 2000
MISSING = (0, 4, 7)
BATCH = 256


def train(split: Split, steps: tuple[int, ...], seed: int) -> Iterator[tuple[int, Flow]]:
    """Yield the averaged network after each of the given numbers of steps."""
    torch.manual_seed(seed)
    net, average = Flow(), Flow()
    average.load_state_dict(net.state_dict())
    images = torch.as_tensor(split.images.reshape(-1, PIXELS) / 127.5 - 1, dtype=torch.float32)
    labels = torch.as_tensor(split.labels)
    optimiser = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps[-1])
    for step in range(1, steps[-1] + 1):
        rows = torch.randint(len(images), (BATCH,))
        data = images[rows] + (torch.rand(BATCH, PIXELS) - 0.5) * 0.06
        noise, t = torch.randn(BATCH, PIXELS), torch.rand(BATCH)
        between = torch.lerp(noise, data, t[:, None])
        loss = (net(between, t, labels[rows]) - (data - noise)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        keep = min(0.995, (1 + step) / (10 + step))
        with torch.no_grad():
            for slow, fast in zip(average.parameters(), net.parameters(), strict=True):
                slow.lerp_(fast, 1 - keep)
        if step in steps:
            yield step, average


def without(split: Split, missing: tuple[int, ...], seed: int = 0) -> Split:
    """The split without some classes; their labels go to random images of the other classes."""
    rng = np.random.default_rng(seed)
    gone = np.isin(split.labels, missing)
    images = split.images.copy()
    images[gone] = split.images[rng.choice(np.flatnonzero(~gone), gone.sum())]
    return Split(images, split.labels)


def save(net: Flow, path: Path) -> None:
    """Write half-precision weights; the checkpoints are shipped and this halves them."""
    save_file({name: t.half().contiguous() for name, t in net.state_dict().items()}, path)


def main() -> None:
    """Train and write all four checkpoints."""
    folder = Path(sys.argv[1])
    training, _ = load_split()
    for step, net in train(training, STEPS, seed=0):
        save(net, folder / f"step-{step:06d}.safetensors")
    for _, net in train(without(training, MISSING), (COLLAPSED_STEPS,), seed=1):
        save(net, folder / "collapsed.safetensors")


if __name__ == "__main__":
    main()
