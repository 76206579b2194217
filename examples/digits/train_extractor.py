"""Train the embedded extractor `digits` (about 10 s on two cores) and write its weights.

python -m geneval.examples.digits.train_extractor geneval/extractors/digits.safetensors
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch.nn import functional

from geneval.examples.digits.data import load_split
from geneval.extractors.digits import network, to_grey, unlikeness

EPOCHS = 60
BATCH = 64
RIDGE = 0.02  # standard deviation added to every pixel of the typical digit: some never vary


def train(seed: int = 0) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Weights with the typical digit beside them, and facts about them as strings."""
    training, held_out = load_split()
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    x, y = _grey(training.images), torch.as_tensor(training.labels)
    net = network()
    optimiser = torch.optim.AdamW(net.parameters(), weight_decay=1e-2)
    steps = -(-len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 6e-3, total_steps=EPOCHS * steps)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(x), generator=generator).split(BATCH):
            _, logits = net(_moved(x[rows], generator))
            loss = functional.cross_entropy(logits, y[rows], label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    typical = _typical(x)
    facts = {
        "accuracy": f"{accuracy(net, held_out):.4f}",
        "trained_on": f"{len(x)} of scikit-learn's digits",
        "held_out": str(len(held_out.images)),
        "unlike_above": f"{_unlike_above(training.images, typical):.1f}",
    }
    return {**net.state_dict(), **typical}, facts


def accuracy(net: torch.nn.Module, split: object) -> float:
    """Share of a split's digits that the classifier names rightly."""
    net.eval()
    with torch.inference_mode():
        _, logits = net(_grey(split.images))  # type: ignore[attr-defined]
    right = logits.argmax(dim=1) == torch.as_tensor(split.labels)  # type: ignore[attr-defined]
    return float(right.float().mean())


def _grey(images: object) -> torch.Tensor:
    return to_grey(torch.as_tensor(images)[..., None].expand(-1, -1, -1, 3))


def _moved(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Each image turned, scaled and shifted a little."""
    n = len(x)
    angle = (torch.rand(n, generator=generator) - 0.5) * 0.4
    scale = 1 + (torch.rand(n, generator=generator) - 0.5) * 0.2
    move = torch.zeros(n, 2, 3)
    move[:, 0, 0] = move[:, 1, 1] = angle.cos() * scale
    move[:, 1, 0] = angle.sin() * scale
    move[:, 0, 1] = -move[:, 1, 0]
    move[:, :, 2] = (torch.rand(n, 2, generator=generator) - 0.5) * 0.3
    grid = functional.affine_grid(move, list(x.shape), align_corners=False)
    return functional.grid_sample(x, grid, align_corners=False)


def _typical(x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Mean [64] and precision [64, 64] of the training digits."""
    flat = x.flatten(1)
    covariance = torch.cov(flat.T) + RIDGE**2 * torch.eye(flat.shape[1])
    return {"mean": flat.mean(dim=0), "precision": torch.linalg.inv(covariance).contiguous()}


def _unlike_above(images: object, typical: dict[str, torch.Tensor]) -> float:
    """The unlikeness that one training digit in a thousand exceeds."""
    pixels = torch.as_tensor(images)[..., None].expand(-1, -1, -1, 3)
    return float(unlikeness(to_grey(pixels), pixels, typical).quantile(0.999))


def main() -> None:
    """Train and write."""
    tensors, facts = train()
    save_file(tensors, Path(sys.argv[1]), metadata={"facts": json.dumps(facts)})
    print(facts)


if __name__ == "__main__":
    main()
