"""`dinov2-vits14`, `dinov2-vitb14`, `dinov2-vitl14`: self-supervised features of natural images.

The class token after the last normalisation (384, 768, 1024 wide) for images of 224 x 224, fed as
in dgm-eval: Pillow's bicubic on bytes to the square, ImageNet's mean and deviation. torch-fidelity
feeds the same networks with TensorFlow 1 resizing (`preset: tf1` here), which gives other numbers.

The networks are timm's with DINOv2's own weights files. Those hold position embeddings of a 37 x 37
grid; they are brought to 16 x 16 as DINOv2 does it: bicubic, at a scale of 16.1 / 37.

Sources: Oquab et al. 2023, arXiv:2304.07193; Stein et al. 2023, arXiv:2306.04675 (dgm-eval).
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from geneval.checkpoint import load_tensors
from geneval.errors import CheckpointError
from geneval.extractors.extractor import Layer, extractor
from geneval.extractors.network import Network, NetworkExtractor
from geneval.extractors.preprocess import Preset, imagenet
from geneval.extractors.runtime import ON_CPU, Running
from geneval.extractors.torchvision_schemas import declare_schemas

if TYPE_CHECKING:
    import torch

SIDE = 224
PATCHES = 16  # along a side
OFFSET = 0.1  # that DINOv2 adds to the number of patches when it scales its grid


def network(model: str) -> torch.nn.Module:
    """The untrained network by timm's name: pixels to the class token."""
    declare_schemas()  # timm imports torchvision
    import timm
    from torch import nn

    vit: nn.Module = timm.create_model(model, img_size=SIDE, num_classes=0)
    vit.register_forward_hook(lambda module, given, made: {"cls": made})
    return vit


def tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of DINOv2's file, positions scaled, without the mask that only training needs."""
    found = load_tensors(path)
    found.pop("mask_token", None)
    if "pos_embed" not in found:
        raise CheckpointError(f"{path} holds no weights of DINOv2: it lacks 'pos_embed'")
    found["pos_embed"] = scaled_positions(found["pos_embed"])
    return found


def scaled_positions(positions: torch.Tensor) -> torch.Tensor:
    """Position embeddings [1, 1 + grid², d] of a square grid for one of `PATCHES` a side."""
    import torch

    own, grid = positions[:, :1], positions[:, 1:].float()
    side = round(grid.shape[1] ** 0.5)
    if side == PATCHES:
        return positions
    square = grid.reshape(1, side, side, -1).permute(0, 3, 1, 2)
    scale = (PATCHES + OFFSET) / side
    square = torch.nn.functional.interpolate(square, scale_factor=(scale, scale), mode="bicubic")
    return torch.cat([own, square.permute(0, 2, 3, 1).flatten(1, 2)], dim=1)


def _register(name: str, model: str, width: int) -> None:
    declared = Network(
        name=name,
        side=SIDE,
        layers={"cls": Layer("features", width)},
        build=partial(network, model),
        scale=imagenet,
        load=tensors,
    )

    def build(
        *, preset: Preset = "dino", running: Running = ON_CPU, weights: Path | None = None
    ) -> NetworkExtractor:
        return NetworkExtractor(declared, preset, running, weights)

    build.__doc__ = f"DINOv2 {model.split('_')[1]}, class token ({width}), as in dgm-eval."
    extractor(name)(build)


for _name, _model, _width in (
    ("dinov2-vits14", "vit_small_patch14_dinov2", 384),
    ("dinov2-vitb14", "vit_base_patch14_dinov2", 768),
    ("dinov2-vitl14", "vit_large_patch14_dinov2", 1024),
):
    _register(_name, _model, _width)
