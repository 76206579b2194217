"""geneval.extractors.perceptual_hash: SciPy's transform, and what must not change the hash."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.fft import dctn

from geneval.extractors.extractor import build_extractor
from geneval.samples.sampleset import Batch

Images = NDArray[np.uint8]


def bits(*images: Images) -> NDArray[np.float32]:
    """Hashes [b, 64]."""
    found = build_extractor("perceptual-hash", {}, "cpu", None)(Batch.of(image=images), ("bits",))
    assert found["bits"].dtype == np.float32
    return found["bits"]


def picture(seed: int, side: int = 128) -> Image.Image:
    """A smooth picture of large coloured patches."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)


def test_bits_are_scipys_coefficients_above_their_median() -> None:
    """scipy.fft.dctn of the luma of a 32 x 32 image, frequencies 1..8 each way."""
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    luma = image @ np.array([0.299, 0.587, 0.114])
    coefficients = dctn(luma, norm="ortho")[1:9, 1:9].ravel()
    expected = coefficients > np.median(coefficients)
    np.testing.assert_array_equal(bits(image)[0], expected)
    assert expected.sum() == 32


def test_jpeg_scale_and_brightness_keep_the_hash() -> None:
    """JPEG of quality 50, half the size, and 20 levels more change at most 6 bits of 64."""
    original = picture(1)
    buffer = io.BytesIO()
    original.save(buffer, "JPEG", quality=50)
    smaller = original.resize((64, 64), Image.Resampling.BOX)
    brighter = Image.eval(original, lambda level: level * 200 // 255 + 20)
    base = bits(np.asarray(original))[0]
    for changed in (Image.open(buffer), smaller, brighter):
        assert np.abs(bits(np.asarray(changed))[0] - base).sum() <= 6


def test_other_pictures_have_other_hashes() -> None:
    """Pairs of different pictures differ in about half of the bits, in none less than 10."""
    rows = bits(*(np.asarray(picture(seed)) for seed in range(20)))
    apart = np.abs(rows[:, None] - rows).sum(axis=2)[np.triu_indices(20, 1)]
    assert apart.min() >= 10
    assert apart.mean() == pytest.approx(32, abs=3)


def test_images_of_one_colour_have_no_bit_set() -> None:
    """Rounding does not decide: colours, sizes and even sides below the grid's give zeros."""
    for colour, side in ((0, 8), (77, 32), (255, 45)):
        assert not bits(np.full((side, side + 3, 3), colour, dtype=np.uint8)).any()
