"""geneval.samples.images: encoded bytes to uint8 RGB, every rule of its docstring."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image

from geneval.errors import SampleError
from geneval.samples import images
from geneval.samples.images import Alpha, decode, encode_png, thumbnail

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 4, 3), dtype=np.uint8)
WHITE, BLACK = [255, 255, 255], [0, 0, 0]


def _encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _palette(**options: Any) -> bytes:
    """Two pixels: palette entry 0 is (10, 20, 30), entry 1 is (200, 100, 50)."""
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    return _encoded(image, **options)


def _of(mode: str, pixels: list[object], **options: Any) -> bytes:
    """A PNG of one row of pixels."""
    image = Image.new(mode, (len(pixels), 1))
    for x, pixel in enumerate(pixels):
        image.putpixel((x, 0), pixel)  # type: ignore[arg-type]
    return _encoded(image, **options)


def _png(width: int, height: int, depth: int, colour: int, rows: bytes = b"") -> bytes:
    """A PNG written by hand: the header says what it likes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def _animation(kind: str) -> bytes:
    frames = [Image.fromarray(PIXELS), Image.fromarray(255 - PIXELS)]
    return _encoded(frames[0], kind, save_all=True, append_images=frames[1:])


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(_of("1", [0, 1]), [BLACK, WHITE], id="1"),
        pytest.param(_of("L", [7, 200]), [[7, 7, 7], [200, 200, 200]], id="L"),
        pytest.param(_of("LA", [(7, 0), (200, 9)]), [[7, 7, 7], [200, 200, 200]], id="LA"),
        pytest.param(_palette(), [[10, 20, 30], [200, 100, 50]], id="P"),
        pytest.param(_palette(transparency=0), [[10, 20, 30], [200, 100, 50]], id="P-transparent"),
        pytest.param(_of("RGB", [(1, 2, 3), (4, 5, 6)]), [[1, 2, 3], [4, 5, 6]], id="RGB"),
        pytest.param(_of("RGBA", [(1, 2, 3, 0), (4, 5, 6, 9)]), [[1, 2, 3], [4, 5, 6]], id="RGBA"),
    ],
)
def test_every_mode_becomes_rgb_and_alpha_is_dropped(data: bytes, expected: list[object]) -> None:
    """Grey repeats over the channels, palettes are looked up, alpha is dropped by default."""
    decoded = decode(data)
    assert decoded.dtype == np.uint8
    assert decoded.tolist() == [expected]


@pytest.mark.parametrize(
    ("alpha", "opacity", "expected"),
    [  # c·a + background·(1 − a) with a = opacity / 255, exact integers for c = 200, 100, 50
        ("drop", 0, [200, 100, 50]),
        ("drop", 51, [200, 100, 50]),
        ("white", 0, WHITE),
        ("white", 51, [244, 224, 214]),
        ("white", 255, [200, 100, 50]),
        ("black", 0, BLACK),
        ("black", 51, [40, 20, 10]),
        ("black", 255, [200, 100, 50]),
    ],
)
def test_alpha_rule_of_rgba(alpha: Alpha, opacity: int, expected: list[int]) -> None:
    """`white` and `black` composite by the opacity, `drop` ignores it."""
    data = _of("RGBA", [(200, 100, 50, opacity)])
    assert decode(data, alpha).tolist() == [[expected]]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(_of("LA", [(7, 0), (9, 255)]), id="LA"),
        pytest.param(_of("L", [7, 9], transparency=7), id="L-key"),
        pytest.param(_of("RGB", [(7, 7, 7), (9, 9, 9)], transparency=(7, 7, 7)), id="RGB-key"),
    ],
)
def test_alpha_composites_whatever_carries_transparency(data: bytes) -> None:
    """A transparent pixel shows the background, an opaque one itself, in grey and keyed images."""
    assert decode(data, "white").tolist() == [[WHITE, [9, 9, 9]]]


def test_alpha_composites_a_transparent_palette_entry() -> None:
    """A transparent palette entry shows the background too."""
    assert decode(_palette(transparency=0), "white").tolist() == [[WHITE, [200, 100, 50]]]


def test_grey_of_16_bit_is_divided_by_257_and_rounded() -> None:
    """All 65,536 values are v / 257 rounded; 257 is odd, so there are no ties."""
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    expected = (2 * values.astype(np.int64) + 257) // 514
    decoded = decode(_encoded(Image.fromarray(values)))
    assert np.array_equal(decoded, np.repeat(expected[:, :, None], 3, axis=2))


def test_colour_of_16_bit_loses_its_low_byte() -> None:
    """A 16-bit RGB pixel keeps its high bytes."""
    rows = b"\0" + struct.pack(">HHH", 0x12FF, 0x3400, 0xFF80)
    assert decode(_png(1, 1, 16, 2, rows)).tolist() == [[[0x12, 0x34, 0xFF]]]


def test_cmyk_jpeg_is_converted_without_profile() -> None:
    """Each channel is (255 − ink)(255 − black) / 255, rounded, of what the JPEG holds."""
    inks = np.random.default_rng(1).integers(0, 256, (8, 8, 4), dtype=np.uint8)
    data = _encoded(Image.fromarray(inks, mode="CMYK"), "JPEG", quality=95)
    held = 255 - np.asarray(Image.open(io.BytesIO(data))).astype(np.float64)
    expected = np.rint(held[..., :3] * held[..., 3:] / 255)
    assert np.array_equal(decode(data), expected)


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [  # Exif 2.3, tag 0x0112: how row 0 and column 0 of the file lie in the scene
        (1, PIXELS),
        (2, PIXELS[:, ::-1]),
        (3, PIXELS[::-1, ::-1]),
        (4, PIXELS[::-1]),
        (5, PIXELS.transpose(1, 0, 2)),
        (6, np.rot90(PIXELS, -1)),
        (7, PIXELS[::-1, ::-1].transpose(1, 0, 2)),
        (8, np.rot90(PIXELS)),
    ],
)
@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_exif_rotation_is_applied(kind: str, orientation: int, upright: NDArray[np.uint8]) -> None:
    """An image is seen as a viewer shows it, for all eight orientations."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = _encoded(Image.fromarray(PIXELS), kind, exif=exif, lossless=True)
    assert np.array_equal(decode(data), upright)


def test_exif_rotation_of_a_jpeg() -> None:
    """A JPEG marked as lying on its side is the unmarked one turned."""
    exif = Image.Exif()
    exif[0x0112] = 6
    plain = decode(_encoded(Image.fromarray(PIXELS), "JPEG"))
    turned = decode(_encoded(Image.fromarray(PIXELS), "JPEG", exif=exif))
    assert np.array_equal(turned, np.rot90(plain, -1))


@pytest.mark.parametrize("channels", [3, 4])
def test_lossless_webp_is_exact(channels: int) -> None:
    """WebP decodes to the very pixels it holds, with alpha dropped."""
    pixels = np.random.default_rng(2).integers(1, 256, (5, 7, channels), dtype=np.uint8)
    data = _encoded(Image.fromarray(pixels), "WEBP", lossless=True, exact=True)
    assert np.array_equal(decode(data), pixels[..., :3])


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("cut.png", _encoded(Image.fromarray(PIXELS))[:60]),
        ("cut.jpg", _encoded(Image.fromarray(PIXELS), "JPEG")[:-30]),
        ("cut.webp", _encoded(Image.fromarray(PIXELS), "WEBP", lossless=True)[:-30]),
        ("head.png", b"\x89PNG\r\n\x1a\n"),
        ("empty.png", b""),
        ("text.png", b"this is no image"),
        ("gif.png", _encoded(Image.fromarray(PIXELS), "GIF")),
        ("bmp.jpg", _encoded(Image.fromarray(PIXELS), "BMP")),
        ("tiff.webp", _encoded(Image.fromarray(PIXELS), "TIFF")),
    ],
)
def test_broken_and_foreign_files_are_refused(name: str, data: bytes) -> None:
    """What is cut short, empty or of another format is a `SampleError` with the reason."""
    with pytest.raises(SampleError, match=r"^cannot be decoded: \w"):
        decode(data)


def test_the_content_decides_and_not_the_extension() -> None:
    """A PNG that is called .jpg is read."""
    assert np.array_equal(decode(encode_png(PIXELS)), PIXELS)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_animations_are_refused(kind: str) -> None:
    """Several frames are an error that says so, not a silent first frame."""
    with pytest.raises(SampleError, match="is animated"):
        decode(_animation(kind))


def test_a_photo_with_a_second_picture_in_it_is_still() -> None:
    """A JPEG that carries a preview (the multi-picture format of phones) is its first picture."""
    photo = Image.fromarray(PIXELS)
    preview = _encoded(photo, "MPO", save_all=True, append_images=[photo.resize((2, 3))])
    assert preview[:3] == _encoded(photo, "JPEG")[:3]  # a JPEG to every viewer
    with Image.open(io.BytesIO(preview)) as first:
        expected = np.asarray(first.convert("RGB"))
    assert np.array_equal(decode(preview), expected)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("block", [b"garbage!", b"MM\0*\0\0\0\x08\0\x05\x01\x12\0\x03"])
def test_a_broken_exif_block_does_not_break_the_image(block: bytes) -> None:
    """Metadata that cannot be read leaves the pixels as they are."""
    plain = _encoded(Image.fromarray(PIXELS), "JPEG")
    exif = b"\xff\xe1" + struct.pack(">H", 8 + len(block)) + b"Exif\0\0" + block
    assert np.array_equal(decode(plain[:2] + exif + plain[2:]), decode(plain))


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(("width", "height"), [(8192, 8193), (10_000, 10_000), (60_000, 60_000)])
def test_pixel_cap_refuses_by_the_header(width: int, height: int) -> None:
    """Above 64 Mi pixels (8192 × 8192) an image is refused before it is decoded."""
    with pytest.raises(SampleError, match=r"cap|exceeds limit"):
        decode(_png(width, height, 1, 0))


def test_pixel_cap_is_inclusive(monkeypatch: pytest.MonkeyPatch) -> None:
    """An image of exactly the cap is read, one pixel more is not."""
    monkeypatch.setattr(images, "MAX_PIXELS", 24)
    assert decode(encode_png(PIXELS)).shape == (6, 4, 3)
    monkeypatch.setattr(images, "MAX_PIXELS", 23)
    with pytest.raises(SampleError, match="cap of 23"):
        decode(encode_png(PIXELS))


@given(arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))))
def test_png_keeps_every_pixel(pixels: NDArray[np.uint8]) -> None:
    """`decode` undoes `encode_png` exactly, for any image."""
    assert np.array_equal(decode(encode_png(pixels)), pixels)


@pytest.mark.filterwarnings("ignore")
@given(
    data=st.sampled_from(
        [_encoded(Image.fromarray(PIXELS), kind) for kind in ("PNG", "JPEG", "WEBP")]
    ),
    at=st.integers(0, 10_000),
    value=st.integers(0, 255),
    cut=st.booleans(),
)
def test_damage_gives_an_image_or_a_sample_error(
    data: bytes, at: int, value: int, cut: bool
) -> None:
    """A changed or missing byte never raises anything but a `SampleError` with a reason."""
    at %= len(data)
    damaged = data[:at] if cut else data[:at] + bytes([value]) + data[at + 1 :]
    try:
        decoded = decode(damaged)
    except SampleError as error:
        assert str(error)
    else:
        assert decoded.dtype == np.uint8
        assert decoded.shape[2:] == (3,)


def test_thumbnail_of_a_small_image_keeps_its_pixels() -> None:
    """What fits is a PNG of the same pixels."""
    data, extension = thumbnail(PIXELS, 6)
    assert extension == ".png"
    assert np.array_equal(decode(data), PIXELS)


def test_thumbnail_of_a_large_image_fits_and_keeps_its_shape() -> None:
    """What does not fit is reduced to the side, in proportion."""
    data, extension = thumbnail(np.zeros((200, 100, 3), dtype=np.uint8), 50)
    assert extension == ".webp"
    assert decode(data).shape == (50, 25, 3)
