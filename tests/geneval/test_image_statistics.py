"""geneval.extractors.image_statistics: closed forms, plain loops, blur and noise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from geneval.errors import ExitCode
from geneval.evaluator import open_job
from geneval.extractors import image_statistics as module
from geneval.extractors.extractor import build_extractor
from geneval.extractors.image_statistics import STATISTICS
from geneval.ledger import Ledger
from geneval.metrics.fidelity.image_statistics import NAMES
from geneval.run import execute
from geneval.samples.sampleset import Batch
from geneval.suite import load_suite

Images = NDArray[np.uint8]


def of(images: Images) -> dict[str, NDArray[np.float32]]:
    """Each statistic of images [b, h, w, 3]."""
    built = build_extractor("image-statistics", {}, "cpu", None)
    rows = built(Batch.of(image=images), ("statistics",))["statistics"]
    assert rows.dtype == np.float32
    assert rows.shape == (len(images), built.layers["statistics"].width)
    return dict(zip(STATISTICS, rows.T, strict=True))


def colour(red: int, green: int, blue: int) -> Images:
    """One image [1, 6, 7, 3] of one colour."""
    return np.tile(np.array([red, green, blue], dtype=np.uint8), (1, 6, 7, 1))


def natural(seed: int = 0, side: int = 64) -> Image.Image:
    """A picture with edges and colours."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((side, side), Image.Resampling.NEAREST)


def by_loops(image: Images) -> dict[str, float]:
    """The formulas of one image [h, w, 3], pixel by pixel in Python."""
    height, width, _ = image.shape
    rgb = image.astype(float).tolist()
    y = [[0.299 * r + 0.587 * g + 0.114 * b for r, g, b in row] for row in rgb]

    def reflected(i: int, j: int) -> float:
        i, j = abs(i), abs(j)
        i = 2 * (height - 1) - i if i >= height else i
        j = 2 * (width - 1) - j if j >= width else j
        return y[i][j]

    laplacian, response = [], []
    for i in range(height):
        for j in range(width):
            around = sum(reflected(i + a, j + b) for a, b in ((-1, 0), (1, 0), (0, -1), (0, 1)))
            laplacian.append(around - 4 * y[i][j])
            if 0 < i < height - 1 and 0 < j < width - 1:
                weight = {0: 4, 1: -2, 2: 1}
                response.append(
                    sum(
                        weight[abs(a) + abs(b)] * y[i + a][j + b]
                        for a in (-1, 0, 1)
                        for b in (-1, 0, 1)
                    )
                )
    rg = [r - g for row in rgb for r, g, b in row]
    yb = [(r + g) / 2 - b for row in rgb for r, g, b in row]
    count = (width - 2) * (height - 2)
    return {
        "sharpness": float(np.var(laplacian)),
        "colourfulness": math.hypot(np.std(rg), np.std(yb))
        + 0.3 * math.hypot(np.mean(rg), np.mean(yb)),
        "noise": math.sqrt(math.pi / 2) / (6 * count) * sum(map(abs, response)),
        "exposure": float(np.mean(y)) / 255,
    }


@pytest.mark.parametrize("at_once", [2**21, 1])
def test_it_is_the_formulas(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images of noise against loops, in one piece and one at a time; columns as the metric's."""
    monkeypatch.setattr(module, "PIXELS", at_once)
    images = np.random.default_rng(1).integers(0, 256, (3, 9, 12, 3)).astype(np.uint8)
    found = of(images)
    assert list(found) == list(NAMES)
    for i, image in enumerate(images):
        for name, expected in by_loops(image).items():
            assert found[name][i] == pytest.approx(expected, rel=2e-5)


@pytest.mark.parametrize("grey", [0, 1, 77, 255])
def test_a_constant_grey_has_its_exposure_and_nothing_else(grey: int) -> None:
    """No edge, no colour, no noise: exactly 0, and exposure grey / 255."""
    found = of(colour(grey, grey, grey))
    assert [float(found[name][0]) for name in ("sharpness", "colourfulness", "noise")] == [0, 0, 0]
    assert found["exposure"][0] == pytest.approx(grey / 255, rel=1e-6)


@pytest.mark.parametrize(
    ("rgb", "luma", "rg", "yb"),
    [
        ((255, 0, 0), 0.299, 255, 127.5),
        ((0, 255, 0), 0.587, -255, 127.5),
        ((0, 0, 255), 0.114, 0, -255),
    ],
)
def test_pure_colours(rgb: tuple[int, int, int], luma: float, rg: float, yb: float) -> None:
    """One colour has no spread: colourfulness 0.3 · √(rg² + yb²), exposure BT.601's weight."""
    found = of(colour(*rgb))
    assert found["colourfulness"][0] == pytest.approx(0.3 * math.hypot(rg, yb), rel=1e-6)
    assert found["exposure"][0] == pytest.approx(luma, rel=1e-6)
    assert (found["sharpness"][0], found["noise"][0]) == (0, 0)


def test_a_grey_picture_has_no_colour() -> None:
    """Equal channels give exactly 0, whatever they show."""
    image = np.array(natural().convert("L").convert("RGB"))[None]
    assert of(image)["colourfulness"][0] == 0
    assert of(np.array(natural())[None])["colourfulness"][0] > 50


@pytest.mark.parametrize("sigma", [2.0, 5.0, 15.0])
def test_noise_is_the_deviation_of_gaussian_noise(sigma: float) -> None:
    """On grey and on a slope, within 3 % (rounding to bytes adds 1/12 to the variance)."""
    grain = np.random.default_rng(2).normal(0, sigma, (200, 200))
    slope = np.linspace(90, 160, 200)
    for base in (128.0, slope):
        image = np.repeat((base + grain).round().clip(0, 255)[..., None], 3, axis=2)
        found = of(image.astype(np.uint8)[None])["noise"][0]
        assert found == pytest.approx(math.sqrt(sigma**2 + 1 / 12), rel=0.03)


def test_blur_noise_and_light_move_them_as_they_should() -> None:
    """Blur takes sharpness, noise adds noise and sharpness, dimming takes light and colour."""
    picture = natural()
    image = np.asarray(picture)
    grain = np.random.default_rng(3).normal(0, 10, image.shape)
    found = of(
        np.stack(
            [
                image,
                np.asarray(picture.filter(ImageFilter.GaussianBlur(2))),
                (image + grain).clip(0, 255).astype(np.uint8),
                image // 2,
            ]
        )
    )
    plain, blurred, noisy, dim = 0, 1, 2, 3
    sharp, noise = found["sharpness"], found["noise"]
    assert sharp[blurred] < 0.1 * sharp[plain] < 0.1 * sharp[noisy]
    assert noise[blurred] < noise[plain] < noise[noisy]
    assert found["exposure"][dim] == pytest.approx(found["exposure"][plain] / 2, abs=0.002)
    assert found["colourfulness"][dim] == pytest.approx(found["colourfulness"][plain] / 2, rel=0.01)


def test_images_below_3_pixels_have_none() -> None:
    """The kernels do not fit; at 3 they do."""
    for height, width in ((2, 9), (9, 2), (1, 1)):
        assert all(
            np.isnan(v).all() for v in of(np.zeros((2, height, width, 3), np.uint8)).values()
        )
    assert all(np.isfinite(v).all() for v in of(np.zeros((2, 3, 3, 3), np.uint8)).values())


def test_a_suite_needs_the_name_only(ledger: Ledger) -> None:
    """`image_statistics` brings its extractor; blurred samples are found less sharp."""
    pictures = [natural(seed) for seed in range(30)]
    reference = np.stack([np.asarray(one) for one in pictures])
    samples = np.stack(
        [np.asarray(one.filter(ImageFilter.GaussianBlur(1))) for one in pictures[::-1]]
    )
    suite = load_suite("image_statistics")
    outcome = execute(open_job(suite, ledger, samples=samples, reference=reference))
    assert outcome.exit_code == ExitCode.PASSED
    sharpness = outcome.result["sharpness"]
    assert sharpness.finding.startswith("less sharp: median ")
    assert (sharpness.number or 0) > 2 > 0.1 > (outcome.result["exposure"].number or 0)
    signature = dict(sharpness.signature.fields)
    assert (signature["ext"], signature["layer"]) == ("image-statistics", "statistics")
