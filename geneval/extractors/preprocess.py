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
- `dino`: Pillow's bicubic on bytes to the square, sides squashed: dgm-eval's for DINOv2.
- `clip`: Pillow's bicubic on bytes of the shorter side, then the middle square: OpenAI's CLIP and
  open_clip.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

Preset = Literal["tf1", "clean", "pytorch", "antialias", "dino", "clip"]
ROUNDING: tuple[Preset, ...] = ("dino", "clip")  # to bytes on the way, through which no slope comes
Statistics = tuple[float, float, float]  # one number a channel, of pixels in 0..1
IMAGENET_MEAN: Statistics = (0.485, 0.456, 0.406)
IMAGENET_STD: Statistics = (0.229, 0.224, 0.225)


def resized(images: torch.Tensor, side: int, preset: Preset) -> torch.Tensor:
    """Images uint8 [b, h, w, 3] as float32 [b, 3, side, side] in 0..255."""
    import torch

    return brought(images.to(torch.float32).permute(0, 3, 1, 2), side, preset)


def brought(pixels: torch.Tensor, side: int, preset: Preset) -> torch.Tensor:
    """Pixels float32 [b, 3, h, w] in 0..255 as [b, 3, side, side]."""
    return _RULES[preset](pixels, side)


def standardised(pixels: torch.Tensor, mean: Statistics, std: Statistics) -> torch.Tensor:
    """Pixels [b, 3, h, w] in 0..255 to 0..1, less the mean, over the deviation of each channel."""
    import torch

    shape = (1, 3, 1, 1)
    centre = torch.tensor(mean, device=pixels.device).reshape(shape)
    spread = torch.tensor(std, device=pixels.device).reshape(shape)
    return (pixels / 255 - centre) / spread


def imagenet(pixels: torch.Tensor, preset: Preset) -> torch.Tensor:
    """Pixels in 0..255, standardised by ImageNet's mean and deviation."""
    return standardised(pixels, IMAGENET_MEAN, IMAGENET_STD)


def _tf1(pixels: torch.Tensor, side: int) -> torch.Tensor:
    """Bilinear interpolation at i·in/out, first along rows and then along columns.

    The order of operations is that of TensorFlow's kernel, so that the floats are the same. Pixels
    are gathered with their channels together, as they came and as the network wants them.
    """
    import torch

    def places(size: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        scale = torch.tensor(size / side, dtype=torch.float32, device=pixels.device)
        at = torch.arange(side, dtype=torch.float32, device=pixels.device) * scale
        low = at.long()
        return low, (low + 1).clamp(max=size - 1), at - low

    y, y_next, dy = places(pixels.shape[2])
    x, x_next, dx = places(pixels.shape[3])
    rows = pixels.permute(0, 2, 3, 1).contiguous()
    left, right = rows.index_select(2, x), rows.index_select(2, x_next)
    across = left + (right - left) * dx[:, None]
    upper, lower = across.index_select(1, y), across.index_select(1, y_next)
    return (upper + (lower - upper) * dy[:, None, None]).permute(0, 3, 1, 2)


def _clean(pixels: torch.Tensor, side: int) -> torch.Tensor:
    """In double precision, as PIL, where the device has it: float32 is 5e-3 off on noise."""
    exact = pixels if pixels.device.type == "mps" else pixels.double()
    return _interpolated(exact, side, "bicubic", antialias=True).clamp(0, 255).float()


def _pytorch(pixels: torch.Tensor, side: int) -> torch.Tensor:
    return _interpolated(pixels, side, "bilinear", antialias=False)


def _antialias(pixels: torch.Tensor, side: int) -> torch.Tensor:
    return _interpolated(pixels, side, "bilinear", antialias=True)


def _dino(pixels: torch.Tensor, side: int) -> torch.Tensor:
    return _pillow(pixels, side, side)


def _clip(pixels: torch.Tensor, side: int) -> torch.Tensor:
    """The shorter side to `side`; the longer one is cut to whole pixels, as torchvision does."""
    height, width = pixels.shape[2:]
    if height <= width:
        pixels = _pillow(pixels, side, int(side * width / height))
    else:
        pixels = _pillow(pixels, int(side * height / width), side)
    height, width = pixels.shape[2:]
    top, left = round((height - side) / 2), round((width - side) / 2)
    return pixels[:, :, top : top + side, left : left + side]


def _pillow(pixels: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Bicubic with antialiasing as Pillow to 12 does it on bytes: width, then height, each rounded.

    Pillow 13 begins with the height where that is cheaper, which moves single pixels of tall images
    by up to 8 of 255; published numbers were made before.
    """
    import torch
    from torch.nn.functional import interpolate

    exact = pixels if pixels.device.type == "mps" else pixels.double()
    for size in ((pixels.shape[2], width), (height, width)):
        exact = interpolate(exact, size, mode="bicubic", align_corners=False, antialias=True)
        exact = torch.floor(exact + 0.5).clamp(0, 255)
    return exact.float()


def _interpolated(pixels: torch.Tensor, side: int, mode: str, *, antialias: bool) -> torch.Tensor:
    from torch.nn.functional import interpolate

    size = (side, side)
    return interpolate(pixels, size, mode=mode, align_corners=False, antialias=antialias)


_RULES: Mapping[Preset, Callable[[torch.Tensor, int], torch.Tensor]] = {
    "tf1": _tf1,
    "clean": _clean,
    "pytorch": _pytorch,
    "antialias": _antialias,
    "dino": _dino,
    "clip": _clip,
}
