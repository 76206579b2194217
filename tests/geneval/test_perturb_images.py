"""geneval.perturb.images: published parameters, closed forms, and statistics of what is drawn."""

from __future__ import annotations

import colorsys
import io
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from geneval.examples.digits.data import load_split
from geneval.perturb.images import plasma
from geneval.perturb.perturbation import all_perturbations, applied

IMAGES = sorted(name for name, spec in all_perturbations().items() if spec.kind == "image")

# Hendrycks and Dietterich 2019: hendrycks/robustness, ImageNet-C/create_c/make_imagenet_c.py
PUBLISHED = {
    "gaussian_noise": {"sigma": (0.08, 0.12, 0.18, 0.26, 0.38)},
    "shot_noise": {"photons": (60, 25, 12, 5, 3)},
    "salt_and_pepper": {"share": (0.03, 0.06, 0.09, 0.17, 0.27)},
    "gaussian_blur": {"sigma": (1, 2, 3, 4, 6)},
    "motion_blur": {"radius": (10, 15, 15, 15, 20), "sigma": (3, 5, 8, 12, 15)},
    "haze": {"density": (1.5, 2.0, 2.5, 2.5, 3.0), "decay": (2.0, 2.0, 1.7, 1.5, 1.4)},
    "contrast": {"factor": (0.4, 0.3, 0.2, 0.1, 0.05)},
    "brightness": {"added": (0.1, 0.2, 0.3, 0.4, 0.5)},
    "jpeg": {"quality": (25, 18, 15, 10, 7)},
    "pixelate": {"scale": (0.6, 0.5, 0.4, 0.3, 0.25)},
}


def changed(name: str, image: np.ndarray, seed: int = 0, **options: object) -> np.ndarray:
    """The image perturbed, as floats."""
    made: np.ndarray = applied(name, options)(image, np.random.default_rng(seed))
    return made.astype(np.float64)


def flat(level: int, side: int = 200) -> np.ndarray:
    """An image of one level."""
    return np.full((side, side, 3), level, np.uint8)


@pytest.mark.parametrize("name", PUBLISHED)
def test_severities_are_the_published_ones(name: str) -> None:
    """What ImageNet-C defines has its parameters."""
    assert all_perturbations()[name].severity == PUBLISHED[name]
    assert "ImageNet-C" in all_perturbations()[name].source


def test_what_is_not_published_does_not_say_so() -> None:
    """Only what ImageNet-C defines names it as its source."""
    named = {name for name in IMAGES if all_perturbations()[name].source}
    assert named == PUBLISHED.keys()


@pytest.mark.parametrize("name", IMAGES)
@given(
    image=arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(3))),
    severity=st.integers(1, 5),
)
@settings(max_examples=25, deadline=None)
def test_any_image_stays_an_image(name: str, image: np.ndarray, severity: int) -> None:
    """uint8 of the same shape, the same twice, the original untouched, down to a single pixel."""
    image.flags.writeable = False
    step = applied(name, {"severity": severity})
    made, again = (step(image, np.random.default_rng(7)) for _ in range(2))
    assert (made.dtype, made.shape) == (np.uint8, image.shape)
    assert np.array_equal(made, again)


@pytest.mark.parametrize("name", IMAGES)
def test_severity_takes_images_further_away(name: str) -> None:
    """The mean distance from thirty digits of 64 pixels grows with every severity.

    But for haze of severity 4, which is as dense as 3, and rougher.
    """
    digits = load_split()[1].images[:30]
    whole = [
        np.asarray(Image.fromarray(one).convert("RGB").resize((64, 64), Image.Resampling.BICUBIC))
        for one in digits
    ]

    def distance(severity: int) -> float:
        pairs = [(changed(name, one, i, severity=severity), one) for i, one in enumerate(whole)]
        return float(np.mean([np.abs(made - one).mean() for made, one in pairs]))

    apart = [distance(severity) for severity in (1, 2, 3, 4, 5) if (name, severity) != ("haze", 4)]
    assert apart[0] > 0
    assert all(a < b for a, b in pairwise(apart)), apart


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("gaussian_noise", {"sigma": 0.0}),
        ("salt_and_pepper", {"share": 0.0}),
        ("gaussian_blur", {"sigma": 0.0}),
        ("motion_blur", {"radius": 0}),
        ("pixelate", {"scale": 1.0}),
        ("brightness", {"added": 0.0}),
        ("contrast", {"factor": 1.0}),
        ("haze", {"density": 0.0}),
        ("resize", {"scale": 1.0}),
        ("crop", {"keep": 1.0}),
        ("rotation", {"degrees": 0.0}),
        ("colour_jitter", {"strength": 0.0}),
        ("occlusion", {"share": 0.0}),
    ],
)
def test_nothing_done_changes_nothing(
    name: str, options: dict[str, float], rng: np.random.Generator
) -> None:
    """The weakest option of each is the identity, to the bit."""
    image = rng.integers(0, 256, (17, 23, 3), dtype=np.uint8)
    assert np.array_equal(changed(name, image, **options), image)


def test_gaussian_noise_has_its_deviation() -> None:
    """On mid grey, mean 0 and the deviation asked for (of 120,000 draws: within 1 %)."""
    apart = (changed("gaussian_noise", flat(128), sigma=0.08) - 128) / 255
    assert abs(apart.mean()) < 0.001
    assert apart.std() == pytest.approx(0.08, rel=0.01)


def test_shot_noise_is_poisson() -> None:
    """Mean x and variance x/photons, in levels that are counts over photons."""
    x = 51 / 255
    noisy = changed("shot_noise", flat(51), photons=60) / 255
    assert noisy.mean() == pytest.approx(x, rel=0.01)
    assert noisy.var() == pytest.approx(x / 60, rel=0.02)
    assert np.abs(noisy * 60 - np.rint(noisy * 60)).max() < 60 / 255 / 2 + 1e-9


def test_salt_and_pepper_hits_its_share() -> None:
    """A share of the values of every channel by itself, half of them white."""
    noisy = changed("salt_and_pepper", flat(128), share=0.2)
    hit = noisy != 128
    assert hit.mean() == pytest.approx(0.2, rel=0.03)
    assert (noisy[hit] == 255).mean() == pytest.approx(0.5, rel=0.03)
    assert set(np.unique(noisy)) == {0, 128, 255}
    assert (hit[..., 0] & hit[..., 1]).mean() == pytest.approx(0.04, rel=0.1)


def test_gaussian_blur_of_a_point() -> None:
    """A white point becomes the product of two normalised Gaussians cut at four sigma."""
    point = flat(0, 21)
    point[10, 10] = 255
    weight = np.exp(-0.5 * np.arange(-4, 5) ** 2)
    weight /= weight.sum()
    expected = np.zeros((21, 21))
    expected[6:15, 6:15] = 255 * np.outer(weight, weight)
    blurred = changed("gaussian_blur", point, sigma=1.0)
    assert np.abs(blurred - expected[..., None]).max() <= 0.5


def test_motion_blur_of_a_point() -> None:
    """Without a turn, a white point is drawn out to one side with the weights exp(−i²/2σ²)."""
    point = flat(0, 41)
    point[20, 30] = 255
    weights = np.exp(-(np.arange(21) ** 2) / (2 * 3.0**2))
    expected = 255 * weights / weights.sum()
    blurred = changed("motion_blur", point, radius=10, sigma=3.0, angle=0.0)
    assert np.abs(blurred[20, 30:9:-1] - expected[:, None]).max() <= 0.5
    assert blurred.sum() == blurred[20].sum()


def test_motion_blur_turns_as_drawn() -> None:
    """Points of many draws lie within the angle; the line is not always the same."""
    point = flat(0, 81)
    point[30, 60] = 255
    drawn = set()
    for seed in range(20):
        blurred = changed("motion_blur", point, seed, radius=10, sigma=15.0, angle=45.0)[..., 0]
        rows, columns = np.nonzero(blurred)
        drawn.add(tuple(rows))
        assert blurred.sum() == pytest.approx(255, abs=0.5 * 21)
        assert (np.abs(rows - 30) <= 60 - columns + 1).all()
    assert len(drawn) > 10


def test_jpeg_is_pillows(rng: np.random.Generator) -> None:
    """What Pillow saves and reads."""
    image = rng.integers(0, 256, (30, 20, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=25)
    assert np.array_equal(changed("jpeg", image, severity=1), np.asarray(Image.open(file)))


def test_pixelate_is_means_of_blocks(rng: np.random.Generator) -> None:
    """At half the side, each block of 2×2 pixels has its mean, rounded by rows and columns."""
    image = rng.integers(0, 256, (8, 12, 3), dtype=np.uint8)
    means = image.reshape(4, 2, 6, 2, 3).mean(axis=(1, 3))
    expected = means.repeat(2, axis=0).repeat(2, axis=1)
    assert np.abs(changed("pixelate", image, scale=0.5) - expected).max() <= 1


@given(pixel=st.tuples(*[st.integers(0, 255)] * 3), added=st.floats(-1, 1))
@settings(max_examples=200, deadline=None)
def test_brightness_is_the_value_of_hsv(pixel: tuple[int, int, int], added: float) -> None:
    """As colorsys of the standard library converts there and back."""
    hue, saturation, value = colorsys.rgb_to_hsv(*(level / 255 for level in pixel))
    expected = colorsys.hsv_to_rgb(hue, saturation, min(max(value + added, 0), 1))
    made = changed("brightness", np.array([[pixel]], np.uint8), added=added)[0, 0] / 255
    assert np.abs(made - expected).max() <= 0.5 / 255 + 1e-9


def test_contrast_keeps_the_means() -> None:
    """Levels 100 and 200 at factor 0.4 are 130 and 170; channels have means of their own."""
    image = flat(100, 10)
    image[5:, :, 0] = 200
    made = changed("contrast", image, factor=0.4)
    assert (made[:5, :, 0] == 130).all()
    assert (made[5:, :, 0] == 170).all()
    assert (made[..., 1:] == 100).all()


def test_haze_keeps_the_maximum() -> None:
    """On one level v, haze lies from v²/(v+density) where there is no fog to v where it is full."""
    v, density = 200 / 255, 1.5
    made = changed("haze", flat(200, 256), density=density, decay=2.0) / 255
    assert made.max() == pytest.approx(v, abs=1e-9)
    assert made.min() == pytest.approx(v * v / (v + density), abs=0.5 / 255)
    assert (made[..., 0] == made[..., 2]).all()


def test_plasma_is_rougher_with_less_decay() -> None:
    """From 0 to 1, and neighbours differ the more the slower amplitudes fall."""
    fields = [plasma(64, decay, np.random.default_rng(1)) for decay in (2.0, 1.7, 1.4)]
    for field in fields:
        assert (field.min(), field.max()) == (0, 1)
    steps = [np.abs(np.diff(field, axis=0)).mean() for field in fields]
    assert steps == sorted(steps)


def test_plasma_without_small_noise_is_interpolated() -> None:
    """When amplitudes fall at once, what follows the first noise is the mean of its neighbours."""
    field = plasma(8, 1e6, np.random.default_rng(0))
    assert field[2, 2] == pytest.approx(
        (field[0, 0] + field[0, 4] + field[4, 0] + field[4, 4]) / 4, abs=1e-9
    )
    assert field[0, 2] == pytest.approx(
        (field[0, 0] + field[0, 4] + field[2, 2] + field[6, 2]) / 4, abs=1e-9
    )


def test_resize_without_antialias_aliases() -> None:
    """Lines of one pixel become grey when means are taken, and moiré when they are not."""
    lines = flat(0, 64)
    lines[:, ::2] = 255
    smooth, moire = (
        changed("resize", lines, scale=0.3, antialias=antialias)[8:-8, 8:-8].std()
        for antialias in (True, False)
    )
    assert smooth < 15 < 60 < moire


def test_crop_is_a_part_at_a_place_drawn() -> None:
    """On a ramp the cropped values span the part kept, and start where they were drawn."""
    ramp = np.broadcast_to(np.arange(200, dtype=np.uint8)[:, None, None], (200, 40, 3)).copy()
    starts = set()
    for seed in range(10):
        made = changed("crop", ramp, seed, keep=0.5)
        assert made.max() - made.min() == pytest.approx(99, abs=1)
        starts.add(made.min())
    assert len(starts) > 5


def test_rotation_by_a_right_angle(rng: np.random.Generator) -> None:
    """By 90° a square image is `np.rot90`, one way or the other."""
    image = rng.integers(0, 256, (15, 15, 3), dtype=np.uint8)
    ways = [np.rot90(image), np.rot90(image, -1)]
    found = set()
    for seed in range(10):
        made = changed("rotation", image, seed, degrees=90.0)
        (way,) = [i for i, one in enumerate(ways) if np.array_equal(made, one)]
        found.add(way)
    assert found == {0, 1}


def test_colour_jitter_within_its_strength() -> None:
    """Grey stays grey, its level within the strength; a hue turns by a quarter of it at most."""
    levels = [changed("colour_jitter", flat(100, 2), seed, strength=0.2) for seed in range(40)]
    for made in levels:
        assert np.ptp(made[0, 0]) == 0
        assert 80 <= made[0, 0, 0] <= 120
    assert min(m.min() for m in levels) < 85 < 115 < max(m.max() for m in levels)
    red = np.array([[[150, 100, 100]]], np.uint8)
    for seed in range(40):
        pixel = changed("colour_jitter", red, seed, strength=0.2)[0, 0] / 255
        hue = colorsys.rgb_to_hsv(*pixel)[0]
        assert min(hue, 1 - hue) < 0.2 / 4 + 0.03  # of YIQ's turn, not HSV's


def test_occlusion_covers_its_share() -> None:
    """One rectangle of the image's proportions, grey; several have the share together at most."""
    made = changed("occlusion", np.zeros((100, 200, 3), np.uint8), share=0.25)
    rows, columns = np.nonzero(made[..., 0])
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (50, 100)
    assert (made == 128).sum() == made.size / 4
    several = changed("occlusion", np.zeros((100, 200, 3), np.uint8), share=0.25, count=4)
    assert 0.1 < (several == 128).mean() <= 0.25
    assert math.isclose((several != 0).mean(), (several == 128).mean())
