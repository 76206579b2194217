"""Perturbations of images: uint8 [h, w, 3] in and out, of any size, which stays.

Where ImageNet-C (Hendrycks and Dietterich 2019, "Benchmarking Neural Network Robustness to Common
Corruptions and Perturbations", arXiv:1903.12261) defines a corruption, definition and severities
are those for images of 224 pixels; values are rounded where the published code cuts them off, which
is half a level on average. Severities of the others are this project's own. What is drawn does not
depend on the severity, so that a severer image differs from the original where a milder one does.
"""

from __future__ import annotations

import io
import math
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from geneval.options import AtLeast, AtMost
from geneval.perturb.perturbation import perturbation

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]
Rng = np.random.Generator
Positive = Annotated[float, AtLeast(0)]
Share = Annotated[float, AtLeast(0), AtMost(1)]
IMAGENET_C = "ImageNet-C, Hendrycks and Dietterich 2019"
GREY = 128


def _unit(image: Pixels) -> Floats:
    """Levels as float64 in 0..1."""
    return image.astype(np.float64) / 255


def _levels(x: Floats) -> Pixels:
    """Floats in 0..1, cut off there, as rounded levels."""
    levels: Pixels = np.rint(x.clip(0, 1) * 255).astype(np.uint8)
    return levels


@perturbation(
    "gaussian_noise", "image", severity={"sigma": (0.08, 0.12, 0.18, 0.26, 0.38)}, source=IMAGENET_C
)
def gaussian_noise(image: Pixels, rng: Rng, *, sigma: Positive = 0.18) -> Pixels:
    """Normal noise of deviation `sigma` (of the range 0 to 1) on every value."""
    return _levels(_unit(image) + sigma * rng.standard_normal(image.shape))


@perturbation("shot_noise", "image", severity={"photons": (60, 25, 12, 5, 3)}, source=IMAGENET_C)
def shot_noise(image: Pixels, rng: Rng, *, photons: Annotated[int, AtLeast(1)] = 12) -> Pixels:
    """Poisson noise: every value is a count whose mean is the value (0 to 1) times `photons`."""
    return _levels(rng.poisson(_unit(image) * photons) / photons)


@perturbation(
    "salt_and_pepper",
    "image",
    severity={"share": (0.03, 0.06, 0.09, 0.17, 0.27)},
    source=IMAGENET_C,
)
def salt_and_pepper(image: Pixels, rng: Rng, *, share: Share = 0.09) -> Pixels:
    """Impulse noise: a `share` of the values becomes 0 or 255, either as likely."""
    is_hit = rng.random(image.shape) < share
    is_salt = rng.random(image.shape) < 0.5
    return np.where(is_hit, np.where(is_salt, np.uint8(255), np.uint8(0)), image)


@perturbation(
    "gaussian_blur", "image", severity={"sigma": (1.0, 2.0, 3.0, 4.0, 6.0)}, source=IMAGENET_C
)
def gaussian_blur(image: Pixels, rng: Rng, *, sigma: Positive = 3.0) -> Pixels:
    """Each channel under a Gaussian of `sigma` pixels, cut at four sigma, edges repeated."""
    blurred = ndimage.gaussian_filter(_unit(image), (sigma, sigma, 0), mode="nearest", truncate=4)
    return _levels(blurred)


@perturbation(
    "motion_blur",
    "image",
    severity={"radius": (10, 15, 15, 15, 20), "sigma": (3.0, 5.0, 8.0, 12.0, 15.0)},
    source=IMAGENET_C,
)
def motion_blur(
    image: Pixels,
    rng: Rng,
    *,
    radius: Annotated[int, AtLeast(0)] = 15,
    sigma: Annotated[float, AtLeast(0.1)] = 8.0,
    angle: Annotated[float, AtLeast(0), AtMost(90)] = 45.0,
) -> Pixels:
    """One half of a Gaussian of `sigma` pixels along a line of 2·`radius`+1 pixels.

    The line's direction is drawn from −`angle` to `angle` degrees; edges are repeated.
    """
    steps = np.arange(2 * radius + 1)
    weights = np.exp(-(steps**2) / (2 * sigma**2))
    weights /= weights.sum()
    turned = math.radians(rng.uniform(-1, 1) * angle)
    rows, columns = np.arange(image.shape[0]), np.arange(image.shape[1])
    x, blurred = _unit(image), np.zeros(image.shape)
    for step, weight in zip(steps, weights, strict=True):
        at = (rows + round(step * math.sin(turned))).clip(0, len(rows) - 1)
        across = (columns + round(step * math.cos(turned))).clip(0, len(columns) - 1)
        blurred += weight * x[at][:, across]
    return _levels(blurred)


@perturbation("jpeg", "image", severity={"quality": (25, 18, 15, 10, 7)}, source=IMAGENET_C)
def jpeg(
    image: Pixels, rng: Rng, *, quality: Annotated[int, AtLeast(1), AtMost(95)] = 15
) -> Pixels:
    """The image saved as JPEG (`quality` 1 to 95, 4:2:0) and read again."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="JPEG", quality=quality)
    return np.asarray(Image.open(buffer).convert("RGB"))


@perturbation(
    "pixelate", "image", severity={"scale": (0.6, 0.5, 0.4, 0.3, 0.25)}, source=IMAGENET_C
)
def pixelate(image: Pixels, rng: Rng, *, scale: Share = 0.4) -> Pixels:
    """Sides reduced to ⌊`scale`·side⌋ by means over areas, and enlarged again by repetition."""
    height, width = image.shape[:2]
    small = (max(1, int(width * scale)), max(1, int(height * scale)))
    reduced = Image.fromarray(image).resize(small, Image.Resampling.BOX)
    return np.asarray(reduced.resize((width, height), Image.Resampling.BOX))


@perturbation(
    "brightness", "image", severity={"added": (0.1, 0.2, 0.3, 0.4, 0.5)}, source=IMAGENET_C
)
def brightness(
    image: Pixels, rng: Rng, *, added: Annotated[float, AtLeast(-1), AtMost(1)] = 0.3
) -> Pixels:
    """The value of HSV, which is the largest channel (0 to 1), plus `added`, cut off at 0 and 1."""
    x = _unit(image)
    value = x.max(axis=2, keepdims=True)
    lit = (value + added).clip(0, 1)
    return _levels(np.where(value > 0, x * lit / np.where(value > 0, value, 1), lit))


@perturbation(
    "contrast", "image", severity={"factor": (0.4, 0.3, 0.2, 0.1, 0.05)}, source=IMAGENET_C
)
def contrast(image: Pixels, rng: Rng, *, factor: Positive = 0.2) -> Pixels:
    """Distances of the values from their channel's mean times `factor`."""
    x = _unit(image)
    mean = x.mean(axis=(0, 1))
    return _levels(mean + (x - mean) * factor)


@perturbation(
    "haze",
    "image",
    severity={"density": (1.5, 2.0, 2.5, 2.5, 3.0), "decay": (2.0, 2.0, 1.7, 1.5, 1.4)},
    source=IMAGENET_C,
)
def haze(
    image: Pixels,
    rng: Rng,
    *,
    density: Positive = 2.5,
    decay: Annotated[float, AtLeast(1)] = 1.7,
) -> Pixels:
    """Fog: `density` times a plasma fractal in 0..1 is added, then the old maximum restored.

    The fractal's amplitude falls by `decay`² with each halving of its steps.
    """
    height, width = image.shape[:2]
    x = _unit(image)
    brightest = x.max()
    side = 1 << max(height - 1, width - 1, 1).bit_length()
    fog = plasma(side, decay, rng)[:height, :width, None]
    whole = brightest + density
    return _levels((x + density * fog) * (brightest / whole if whole else 0.0))


def plasma(side: int, decay: float, rng: Rng) -> Floats:
    """A fractal [side, side] in 0..1, side a power of two, by diamonds and squares on a torus.

    Each point is the mean of its four neighbours and uniform noise; Fournier, Fussell and Carpenter
    1982, "Computer Rendering of Stochastic Models".
    """
    field = np.zeros((side, side))
    step, amplitude = side, 1.0
    while step > 1:
        half = step // 2
        noise = amplitude * rng.uniform(-1, 1, (3, side // step, side // step))
        corners = field[::step, ::step]
        centres = (corners + np.roll(corners, -1, 0)) / 2
        field[half::step, half::step] = (centres + np.roll(centres, -1, 1)) / 2 + noise[0]
        centres = field[half::step, half::step]
        across = corners + np.roll(corners, -1, 1) + centres + np.roll(centres, 1, 0)
        field[::step, half::step] = across / 4 + noise[1]
        down = corners + np.roll(corners, -1, 0) + centres + np.roll(centres, 1, 1)
        field[half::step, ::step] = down / 4 + noise[2]
        step, amplitude = half, amplitude / decay**2
    field -= field.min()
    highest: float = field.max()
    return field / highest if highest > 0 else field


@perturbation("resize", "image", severity={"scale": (0.75, 0.5, 0.35, 0.25, 0.15)})
def resize(image: Pixels, rng: Rng, *, scale: Share = 0.35, antialias: bool = True) -> Pixels:
    """Sides reduced to `scale` of theirs and enlarged again, both bicubic.

    Without `antialias` the reduction looks at the nearest 4×4 pixels alone, as many libraries do.
    """
    height, width = image.shape[:2]
    small = (max(1, round(width * scale)), max(1, round(height * scale)))
    whole = Image.fromarray(image)
    if antialias:
        reduced = whole.resize(small, Image.Resampling.BICUBIC)
    else:
        stretch = (width / small[0], 0, 0, 0, height / small[1], 0)
        affine, bicubic = Image.Transform.AFFINE, Image.Resampling.BICUBIC
        reduced = whole.transform(small, affine, stretch, bicubic)
    return np.asarray(reduced.resize((width, height), Image.Resampling.BICUBIC))


@perturbation("crop", "image", severity={"keep": (0.95, 0.9, 0.8, 0.65, 0.5)})
def crop(image: Pixels, rng: Rng, *, keep: Share = 0.8) -> Pixels:
    """A part of `keep` of both sides, at a place that is drawn, enlarged to the whole (bicubic)."""
    height, width = image.shape[:2]
    high, wide = max(1, round(height * keep)), max(1, round(width * keep))
    down, across = rng.random(2)
    top, left = round(down * (height - high)), round(across * (width - wide))
    part = Image.fromarray(image).crop((left, top, left + wide, top + high))
    return np.asarray(part.resize((width, height), Image.Resampling.BICUBIC))


@perturbation("rotation", "image", severity={"degrees": (2.0, 5.0, 10.0, 20.0, 40.0)})
def rotation(image: Pixels, rng: Rng, *, degrees: Positive = 10.0) -> Pixels:
    """The image turned by `degrees`, clockwise or not as drawn; bilinear, edges mirrored."""
    turned = degrees if rng.random() < 0.5 else -degrees
    return _levels(ndimage.rotate(_unit(image), turned, reshape=False, order=1, mode="mirror"))


@perturbation("colour_jitter", "image", severity={"strength": (0.1, 0.2, 0.3, 0.45, 0.6)})
def colour_jitter(image: Pixels, rng: Rng, *, strength: Share = 0.3) -> Pixels:
    """Brightness, contrast and saturation times 1 ± `strength`, hue turned by ±`strength`/4 turns.

    The four are drawn uniformly, from 1 − `strength` to 1 + `strength`.
    """
    light, apart, colour, turn = rng.uniform(-1, 1, 4) * strength
    x = _unit(image) * (1 + light)
    mean = x.mean()
    x = (mean + (x - mean) * (1 + apart)) @ _TO_YIQ.T
    angle = turn / 4 * 2 * np.pi
    turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    x[..., 1:] = (1 + colour) * x[..., 1:] @ turned.T
    return _levels(x @ np.linalg.inv(_TO_YIQ).T)


_TO_YIQ = np.array(  # luma and two axes of colour, NTSC 1953
    [[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]]
)


@perturbation("occlusion", "image", severity={"share": (0.05, 0.1, 0.2, 0.35, 0.5)})
def occlusion(
    image: Pixels, rng: Rng, *, share: Share = 0.2, count: Annotated[int, AtLeast(1)] = 1
) -> Pixels:
    """`count` grey rectangles of the image's proportions at places that are drawn.

    Each has `share`/`count` of the area; they may lie over each other.
    """
    covered = image.copy()
    height, width = image.shape[:2]
    side = math.sqrt(share / count)
    high, wide = round(height * side), round(width * side)
    for down, across in rng.random((count, 2)):
        top, left = round(down * (height - high)), round(across * (width - wide))
        covered[top : top + high, left : left + wide] = GREY
    return covered
