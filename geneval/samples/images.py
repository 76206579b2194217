"""One encoded image to uint8 RGB, with every rule stated.

- Accepted formats: PNG, JPEG, WebP, still images of at most `MAX_PIXELS` pixels.
- Grey is repeated over the channels; palettes are looked up; CMYK is converted by Pillow's formula
  without colour profile.
- 16-bit grey is divided by 257 and rounded; 16-bit colour PNGs lose their low byte in Pillow.
- Alpha is dropped, as torch-fidelity and clean-fid do; `white` and `black` composite instead.
- EXIF rotation is applied, so that an image is seen as a viewer shows it.
"""

from __future__ import annotations

import io
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from geneval.errors import SampleError

Alpha = Literal["drop", "white", "black"]
EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp")
FORMATS = ("PNG", "JPEG", "WEBP")
MAX_PIXELS = 64 * 2**20


def decode(data: bytes, alpha: Alpha = "drop") -> NDArray[np.uint8]:
    """Decode an encoded image to uint8 [h, w, 3]; raises `SampleError` with the reason."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _refuse(image)
            image.load()
            return _to_rgb(ImageOps.exif_transpose(image), alpha)
    except SampleError:
        raise
    except Exception as error:  # Pillow raises a dozen types on broken data
        raise SampleError(f"cannot be decoded: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    text = str(error)
    return "it is no readable PNG, JPEG or WebP image" if "cannot identify image" in text else text


def _refuse(image: Image.Image) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise SampleError(f"has {width}×{height} pixels, above the cap of {MAX_PIXELS:,}")
    # A camera's JPEG may carry a preview as a second frame (MPO); the first is the picture.
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
        raise SampleError("is animated; geneval evaluates still images")


def _to_rgb(image: Image.Image, alpha: Alpha) -> NDArray[np.uint8]:
    if image.mode.startswith("I"):
        grey = np.rint(np.asarray(image, dtype=np.float64) / 257).clip(0, 255).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if alpha != "drop" and image.has_transparency_data:
        opaque = Image.new("RGBA", image.size, alpha)
        image = Image.alpha_composite(opaque, image.convert("RGBA"))
    return np.asarray(image.convert("RGB"), dtype=np.uint8)


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """PNG bytes of uint8 [h, w, 3]."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def thumbnail(pixels: NDArray[np.uint8], side: int) -> tuple[bytes, str]:
    """An image whose longer side is at most `side`, with the extension of its format.

    Small images keep their very pixels as PNG; reduced ones are WebP, a tenth of the size.
    """
    if max(pixels.shape[:2]) <= side:
        return encode_png(pixels), ".png"
    image = Image.fromarray(pixels)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, format="WEBP", quality=80)
    return buffer.getvalue(), ".webp"


def to_rgb_rows(
    rows: NDArray[Any], channels_first: bool, alpha: Alpha = "drop"
) -> NDArray[np.uint8]:
    """Array images to uint8 [b, h, w, 3]: grey repeated, alpha as asked, floats quantised."""
    if rows.ndim == 3:
        rows = rows[..., None]
    elif channels_first:
        rows = rows.transpose(0, 2, 3, 1)
    if rows.dtype != np.uint8:
        rows = np.rint(rows.astype(np.float64) * 255).astype(np.uint8)
    if rows.shape[3] == 1:
        rows = np.repeat(rows, 3, axis=3)
    if alpha != "drop" and rows.shape[3] == 4:
        return np.stack([_to_rgb(Image.fromarray(pixels), alpha) for pixels in rows])
    return np.ascontiguousarray(rows[..., :3])
