"""How images become a network's input: named presets, batched on the device.

The resize rule moves FID more than anything else a user may forget to report, so each has a name
that stands in the signature:

- `tf1`: bilinear as in TensorFlow 1, without half-pixel centres and antialiasing: TTUR,
  torch-fidelity, ADM.
- `clean`: bicubic with antialiasing on floats, cut at 0 and 255: clean-fid, which does it with PIL;
  the two differ by at most 3e-5 of 255.
- `pytorch`: bilinear with half-pixel centres, no antialiasing: pytorch-fid, clean-fid's
  `legacy_pytorch`.
- `antialias`: bilinear with half-pixel centres and antialiasing: torchmetrics since 1.8.

Inception's input is then (x − 128) / 128, and 2x / 255 − 1 for `pytorch`, as in the same tools.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

Preset = Literal["tf1", "clean", "pytorch", "antialias"]


def resized(images: torch.Tensor, side: int, preset: Preset) -> torch.Tensor:
    """Images uint8 [b, h, w, 3] as float32 [b, 3, side, side] in 0..255."""
    import torch

    pixels = images.to(torch.float32).permute(0, 3, 1, 2)
    return _RULES[preset](pixels, side)


def scaled(pixels: torch.Tensor, preset: Preset) -> torch.Tensor:
    """Pixels in 0..255 as Inception's input, about -1..1."""
    return 2 * (pixels / 255) - 1 if preset == "pytorch" else (pixels - 128) / 128


def _tf1(pixels: torch.Tensor, side: int) -> torch.Tensor:
    """Bilinear interpolation at i·in/out, first along rows and then along columns.

    The order of operations is that of TensorFlow's kernel, so that the floats are the same.
    """
    import torch

    def places(size: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        scale = torch.tensor(size / side, dtype=torch.float32, device=pixels.device)
        at = torch.arange(side, dtype=torch.float32, device=pixels.device) * scale
        low = at.long()
        return low, (low + 1).clamp(max=size - 1), at - low

    y, y_next, dy = places(pixels.shape[2])
    x, x_next, dx = places(pixels.shape[3])
    upper, lower = pixels[:, :, y], pixels[:, :, y_next]
    upper = upper[..., x] + (upper[..., x_next] - upper[..., x]) * dx
    lower = lower[..., x] + (lower[..., x_next] - lower[..., x]) * dx
    return upper + (lower - upper) * dy[:, None]


def _clean(pixels: torch.Tensor, side: int) -> torch.Tensor:
    """In double precision, as PIL, where the device has it: float32 is 5e-3 off on noise."""
    exact = pixels if pixels.device.type == "mps" else pixels.double()
    return _interpolated(exact, side, "bicubic", antialias=True).clamp(0, 255).float()


def _pytorch(pixels: torch.Tensor, side: int) -> torch.Tensor:
    return _interpolated(pixels, side, "bilinear", antialias=False)


def _antialias(pixels: torch.Tensor, side: int) -> torch.Tensor:
    return _interpolated(pixels, side, "bilinear", antialias=True)


def _interpolated(pixels: torch.Tensor, side: int, mode: str, *, antialias: bool) -> torch.Tensor:
    from torch.nn.functional import interpolate

    size = (side, side)
    return interpolate(pixels, size, mode=mode, align_corners=False, antialias=antialias)


_RULES: Mapping[Preset, Callable[[torch.Tensor, int], torch.Tensor]] = {
    "tf1": _tf1,
    "clean": _clean,
    "pytorch": _pytorch,
    "antialias": _antialias,
}
