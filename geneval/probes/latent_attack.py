"""`latent-attack`: the largest change of an image that a small change of its latent can make.

For each request with latent z and each radius of `eps`, the largest

    distance( G(z), G(z + δ) )   over   ‖δ‖ ≤ eps·√d

found by projected gradient ascent in L2 from random points of the ball, and beside it the mean and
the largest over random directions of full length: what noise of that size does by chance. Steps are
as long as the radius, so that on a linear generator the ascent is the power iteration.
The distance is that of `latent-sensitivity`. Radii are taken in ascending order, and the best point
of a smaller one counts for the larger too.

Rows: whether the adapter gives images with their gradient (`geneval.Generator(forward=…)`), without
which the rest is 0; then for each radius the change under attack, by chance on average and at most.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from numpy.typing import NDArray

from geneval.checkpoint import Checkpoint
from geneval.errors import CheckpointError
from geneval.extractors.extractor import Layer, extractor
from geneval.extractors.network import full_precision
from geneval.options import AtLeast
from geneval.probes.adversarial import radii
from geneval.probes.attacks import Goal, pgd, random_starts, tried
from geneval.probes.latents import Change, directions, of_three_colours
from geneval.samples.requests import request_seed
from geneval.samples.sampleset import Batch
from geneval.signature import Scalar

if TYPE_CHECKING:
    import torch

KINDS = ("attacked", "mean", "largest")


class LatentAttack:
    """The probe; `bind` must have given it the checkpoint."""

    labels = None

    def __init__(
        self, change: Change, eps: Sequence[str | float], steps: int, restarts: int, count: int
    ) -> None:
        self.change = change
        self.radii = radii(eps)
        self.steps = steps
        self.restarts = restarts
        self.count = count
        self.notes: tuple[str, ...] = change.notes
        self.checkpoint: Checkpoint | None = None

    @property
    def identity(self) -> Mapping[str, Scalar]:
        """The distance's own identity, the radii and how they are searched."""
        return {
            **self.change.identity,
            "ext": "latent-attack",
            "eps": "+".join(self.radii),
            "steps": self.steps,
            "restarts": self.restarts,
            "directions": self.count,
        }

    @property
    def layers(self) -> Mapping[str, Layer]:
        """The changes of every radius."""
        columns = ("gradient", *(f"{kind} {eps}" for eps in self.radii for kind in KINDS))
        return {"latent_attack": Layer("latent_attack", len(columns), ("latent", "seed"), columns)}

    def bind(self, checkpoint: Checkpoint) -> None:
        """Say whose latents these are."""
        self.checkpoint = checkpoint

    def __call__(self, batch: Batch, layers: Collection[str]) -> Mapping[str, NDArray[np.float32]]:
        """The rows of requests with latents and seeds."""
        import torch

        assert self.checkpoint is not None, "the run binds a probe to its checkpoint"
        z = torch.as_tensor(np.stack(batch.columns["latent"]), device=self.change.device)
        if not self.checkpoint.has_gradient:
            return {"latent_attack": np.zeros((len(z), 1 + 3 * len(self.radii)), dtype=np.float32)}
        with full_precision():
            goal = self._goal(z, batch)
            columns, best = [torch.ones(len(z)).to(z)], tried(goal, z)
            for name, eps in self.radii.items():
                seeds = [request_seed(seed, f"attack {name}") for seed in batch.columns["seed"]]
                chance = [np.random.default_rng(seed) for seed in seeds]
                size = eps * z[0].numel() ** 0.5
                starts = [random_starts(z, size, chance, "l2", None) for _ in range(self.restarts)]
                found = pgd(
                    goal, z, size, starts, norm="l2", steps=self.steps, step=size, bounds=None
                )
                best = best.or_better(found)
                noise = self._by_chance(goal, z, eps, batch)
                columns += [best.loss, noise.mean(dim=0), noise.amax(dim=0)]
        return {"latent_attack": torch.stack(columns, dim=1).float().cpu().numpy()}

    def caution(self, unlikeness: NDArray[np.float32]) -> str:
        """Nothing is out of place."""
        return ""

    def _goal(self, z: torch.Tensor, batch: Batch) -> Goal:
        """The distance of what other latents give from what these give; nothing ever wins."""
        import torch

        with torch.no_grad():
            here = self._images(z, batch)

        def goal(at: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            apart = self.change(self._images(at, batch), here)
            return apart, torch.zeros(len(apart), dtype=torch.bool, device=apart.device)

        return goal

    def _by_chance(self, goal: Goal, z: torch.Tensor, eps: float, batch: Batch) -> torch.Tensor:
        """The changes [directions, b] of random steps of full length."""
        import torch

        ways = (directions(batch, f"chance {k}") for k in range(self.count))
        return torch.stack([tried(goal, z + eps * torch.as_tensor(one).to(z)).loss for one in ways])

    def _images(self, z: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Images [b, 3, h, w] of latents, with their gradient."""
        assert self.checkpoint is not None, "the run binds a probe to its checkpoint"
        made = self.checkpoint.forward(z, batch)
        if not made.is_floating_point():
            raise CheckpointError(
                f"{self.checkpoint.name}: forward gives bytes, not floats in 0..1"
            )
        return of_three_colours(made.to(self.change.device), len(z))


@extractor("latent-attack", network="distance")
def latent_attack(
    *,
    distance: str = "pixels",
    eps: Sequence[str | float] = (0.05, 0.1, 0.2),
    steps: Annotated[int, AtLeast(1)] = 20,
    restarts: Annotated[int, AtLeast(1)] = 1,
    directions: Annotated[int, AtLeast(1)] = 4,
    device: str = "cpu",
    weights: Path | None = None,
) -> LatentAttack:
    """The largest change of images within a ball about their latents, against random steps."""
    return LatentAttack(Change(distance, device, weights), eps, steps, restarts, directions)
