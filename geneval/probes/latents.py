"""What probes of latents share: images of other latents, and how far apart two images are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geneval.checkpoint import Checkpoint
from geneval.errors import CheckpointError, UsageError
from geneval.extractors.extractor import build_extractor, layer_of
from geneval.extractors.lpips import Lpips
from geneval.samples.requests import latent_of, request_seed
from geneval.samples.sampleset import Batch
from geneval.signature import Scalar

if TYPE_CHECKING:
    import torch

SIDE = 64  # of images that LPIPS compares


class Change:
    """How far apart images are: root mean square of `pixels`, LPIPS, or features of an extractor.

    Images are floats [b, 3, h, w] in 0..1; distances [b] carry their gradient.
    """

    def __init__(self, name: str, device: str, weights: Path | None = None) -> None:
        self.name = name
        self.device = device
        self.built: Any = None
        if name == "pixels":
            if weights is not None:
                raise UsageError("the distance of pixels has no weights")
            return
        self.built = build_extractor(name, {}, device, weights)
        self.layer = layer_of(self.built, "features") or ""
        has_slope = self.layer and hasattr(self.built, "forward")
        if not (has_slope or isinstance(self.built, Lpips)):
            raise UsageError(
                f"distance {name}: give pixels, lpips-alex, lpips-vgg, or an extractor of images "
                "with features and `forward`, such as digits or inception-v3"
            )

    @property
    def identity(self) -> Mapping[str, Scalar]:
        """The name, and what the network behind it is."""
        own = {} if self.built is None else dict(self.built.identity)
        own |= {"resize": f"area{SIDE}"} if isinstance(self.built, Lpips) else {}
        return {"prec": "fp32", **own, "distance": self.name}

    @property
    def notes(self) -> tuple[str, ...]:
        """Those of the network."""
        found: tuple[str, ...] = () if self.built is None else self.built.notes
        return found

    def __call__(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """The distance of each image from the other one, [b]."""
        if self.built is None:
            return root((a - b).flatten(1).square().mean(dim=1))
        if isinstance(self.built, Lpips):
            sides = (brought_to(one, SIDE) for one in (a, b))
            found: torch.Tensor = self.built.loaded()(*sides, normalize=True).flatten()
            return found
        here, there = (self.built.forward(one)[self.layer] for one in (a, b))
        return root((here - there).square().sum(dim=1))


def root(squares: torch.Tensor) -> torch.Tensor:
    """Square roots whose slope at 0 is 0 and not infinite."""
    return squares.where(squares > 0, 1.0).sqrt() * (squares > 0)


def images_of(
    checkpoint: Checkpoint | None, batch: Batch, latents: NDArray[np.float32], device: str
) -> torch.Tensor:
    """What the checkpoint makes of these requests with other latents, [b, 3, h, w], as given."""
    import torch

    assert checkpoint is not None, "the run binds a probe to its checkpoint"
    asked = Batch(batch.ids, {**batch.columns, "latent": list(latents)})
    made: Any = checkpoint.raw(asked)
    if isinstance(made, torch.Tensor):
        images = made.detach().to(device)
    else:
        images = torch.as_tensor(np.asarray(made), device=device).movedim(-1, 1)
    return of_three_colours(images, len(latents))


def of_three_colours(images: torch.Tensor, n: int) -> torch.Tensor:
    """Images [n, c, h, w] with three channels; raises `CheckpointError` for what is none."""
    if images.ndim != 4 or len(images) != n:
        raise CheckpointError(f"{n} requests gave images of {tuple(images.shape)}")
    return images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images[:, :3]


def brought_to(images: torch.Tensor, side: int) -> torch.Tensor:
    """Float images brought to the side: areas averaged when both sides shrink."""
    from torch.nn.functional import interpolate

    size = (side, side)
    if min(images.shape[2:]) > side:
        return interpolate(images.float(), size, mode="area")
    return interpolate(images.float(), size, mode="bilinear", align_corners=False)


def directions(batch: Batch, stream: str) -> NDArray[np.float32]:
    """A direction [b, …] for each request's latent, of root mean square 1, from its own seed."""
    shape = np.shape(batch.columns["latent"][0])
    seeds = [request_seed(seed, stream) for seed in batch.columns["seed"]]
    drawn = np.stack([latent_of(seed, shape) for seed in seeds]).astype(np.float64)
    squares = (drawn**2).reshape(len(drawn), -1).mean(axis=1)
    found: NDArray[np.float32] = (drawn / np.sqrt(squares).reshape(-1, *[1] * len(shape))).astype(
        np.float32
    )
    return found
