"""geneval.samples.arrays: npy, npz, NumPy and torch images in every layout."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from geneval.errors import SampleError
from geneval.ledger import Ledger
from geneval.samples.arrays import ArraySet, from_memory, read_array_file
from geneval.samples.images import Alpha

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 6, 7, 3), dtype=np.uint8)
GREY = PIXELS[..., :1]
LABELS = np.array([3, 1, 4, 1, 5])


def _pixels(samples: ArraySet) -> NDArray[np.uint8]:
    return np.stack(samples.read(samples.ids).columns["image"])


def _saved(path: Path, *arrays: Any, **named: Any) -> Path:
    np.savez(path, *arrays, **named)
    return path


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        pytest.param(PIXELS, PIXELS, id="NHWC"),
        pytest.param(PIXELS.transpose(0, 3, 1, 2), PIXELS, id="NCHW"),
        pytest.param(GREY[..., 0], GREY.repeat(3, 3), id="NHW"),
        pytest.param(GREY, GREY.repeat(3, 3), id="NHW1"),
        pytest.param(GREY.transpose(0, 3, 1, 2), GREY.repeat(3, 3), id="N1HW"),
        pytest.param(np.concatenate([PIXELS, GREY], 3), PIXELS, id="NHW4-alpha-dropped"),
        pytest.param(PIXELS / 255, PIXELS, id="float64"),
        pytest.param((PIXELS / 255).astype(np.float32), PIXELS, id="float32"),
        pytest.param((PIXELS / 255).astype(np.float16), PIXELS, id="float16"),
        pytest.param(torch.as_tensor(PIXELS), PIXELS, id="tensor-NHWC"),
        pytest.param(torch.as_tensor(PIXELS).permute(0, 3, 1, 2), PIXELS, id="tensor-NCHW"),
        pytest.param(torch.as_tensor(PIXELS / 255).permute(0, 3, 1, 2), PIXELS, id="tensor-float"),
        pytest.param(torch.as_tensor(GREY[..., 0]), GREY.repeat(3, 3), id="tensor-NHW"),
        pytest.param(
            torch.as_tensor(PIXELS / 255).permute(0, 3, 1, 2).requires_grad_(), PIXELS, id="grad"
        ),
    ],
)
def test_every_layout_gives_the_same_rgb(images: Any, expected: NDArray[np.uint8]) -> None:
    """NHWC, NCHW and grey, uint8 and floats in 0..1, NumPy and torch: uint8 [h, w, 3]."""
    decoded = _pixels(from_memory(images))
    assert decoded.dtype == np.uint8
    assert np.array_equal(decoded, expected)


def test_a_bfloat16_tensor_is_read_like_its_float32() -> None:
    """What a model makes under bf16 autocast is floats in 0..1 like any other."""
    images = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0)).bfloat16()
    assert np.array_equal(_pixels(from_memory(images)), _pixels(from_memory(images.float())))


def test_ambiguous_shapes_go_by_where_they_come_from() -> None:
    """[n, 3, h, 3] is NHWC as an array and NCHW as a tensor."""
    images = np.arange(9, dtype=np.uint8).reshape(1, 3, 1, 3)
    assert _pixels(from_memory(images)).shape == (1, 3, 1, 3)
    assert _pixels(from_memory(torch.as_tensor(images))).shape == (1, 1, 3, 3)


@given(
    arrays(
        np.uint8,
        st.tuples(st.integers(1, 4), st.integers(5, 8), st.integers(5, 8), st.just(3)),
    )
)
def test_content_follows_from_the_pixels_alone(
    tmp_path_factory: pytest.TempPathFactory, pixels: NDArray[np.uint8]
) -> None:
    """uint8 NHWC, an NCHW tensor in 0..1 and an npz have the same content digests."""
    folder = tmp_path_factory.mktemp("same")
    path = _saved(folder / "a.npz", pixels)
    tensor = torch.as_tensor(pixels).permute(0, 3, 1, 2) / 255
    expected = from_memory(pixels).content()
    assert from_memory(tensor).content() == expected
    assert read_array_file(path, Ledger(folder)).content() == expected


def test_content_tells_pixels_and_shapes_apart() -> None:
    """One changed value changes one digest, and the same bytes in another shape all of them."""
    changed = PIXELS.copy()
    changed[2, 0, 0, 0] ^= 1
    before, after = from_memory(PIXELS).content(), from_memory(changed).content()
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, True, False, True, True]
    turned = from_memory(PIXELS.reshape(5, 7, 6, 3)).content()
    assert not set(before) & set(turned)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, 0), (1.0, 255), (0.2, 51), (0.4999, 127), (0.51, 130), (1 / 255, 1), (0.9999, 255)],
)
def test_floats_are_rounded_to_256_levels(value: float, expected: int) -> None:
    """A float x becomes x·255 to the nearest integer, as if it had been saved."""
    assert _pixels(from_memory(np.full((1, 1, 1), value))).tolist() == [[[[expected] * 3]]]


@pytest.mark.parametrize(
    ("images", "said"),
    [
        pytest.param(np.full((2, 4, 4), np.nan), "0..1", id="all-nan"),
        pytest.param(np.where(np.arange(32).reshape(2, 4, 4) == 7, np.nan, 0.5), "0..1", id="nan"),
        pytest.param(np.full((2, 4, 4), np.inf), "0..1", id="inf"),
        pytest.param(np.full((2, 4, 4), -1.0), "-1 to -1", id="negative"),
        pytest.param(np.full((2, 4, 4), 1.01), "1.01", id="above-one"),
        pytest.param(PIXELS.astype(np.float32), "uint8", id="float-0-255"),
        pytest.param(PIXELS.astype(np.int64), "int64", id="int64"),
        pytest.param(PIXELS.astype(np.uint16), "uint16", id="uint16"),
        pytest.param(PIXELS > 9, "bool", id="bool"),
        pytest.param(np.array([[["a"]]]), "dtype", id="text"),
        pytest.param(PIXELS.astype(object), "object", id="object"),
        pytest.param(np.zeros((4, 4), np.uint8), r"\(4, 4\)", id="2d"),
        pytest.param(np.zeros((3, 5, 5, 2), np.uint8), r"\(3, 5, 5, 2\)", id="two-channels"),
        pytest.param(np.zeros((1, 2, 3, 4, 3), np.uint8), r"\(1, 2, 3, 4, 3\)", id="5d"),
        pytest.param(np.zeros((0, 4, 4, 3), np.uint8), r"\(0, 4, 4, 3\)", id="no-images"),
        pytest.param(np.zeros((4, 0, 4, 3), np.uint8), r"\(4, 0, 4, 3\)", id="no-rows"),
        pytest.param(np.float32(0.5), r"\(\)", id="scalar"),
    ],
)
def test_what_is_no_image_is_refused(images: Any, said: str) -> None:
    """Wrong shapes, types and ranges are a `SampleError` that names the array and the fault."""
    with pytest.raises(SampleError, match=said) as caught:
        from_memory(images, name="mine")
    assert "mine" in str(caught.value)


@pytest.mark.parametrize(
    "labels",
    [LABELS, LABELS.astype(np.uint8), ["3", "1", "4", "1", "5"], torch.as_tensor(LABELS)],
)
def test_labels_become_strings(labels: Any) -> None:
    """Integers and strings name the same classes."""
    samples = from_memory(PIXELS, labels)
    assert samples.fields == {"image": "image", "label": "label"}
    assert list(samples.column("label")) == ["3", "1", "4", "1", "5"]
    assert samples.read(("000002", "000000")).columns["label"] == ["4", "3"]


@pytest.mark.parametrize(
    "labels",
    [LABELS[:4], LABELS[:, None], np.eye(5), LABELS / 2, LABELS > 1, np.array([None] * 5)],
)
def test_labels_that_do_not_fit_are_refused(labels: Any) -> None:
    """Another length, one-hot rows, floats, booleans and objects are an error."""
    with pytest.raises(SampleError, match="labels"):
        from_memory(PIXELS, labels)


def test_ids_are_row_numbers_that_sort() -> None:
    """Ids are zero-padded, so that their order is the order of the rows."""
    samples = from_memory(np.zeros((1200, 1, 1), np.uint8))
    assert samples.ids[:2] == ("000000", "000001")
    assert list(samples.ids) == sorted(samples.ids)
    assert samples.fields == {"image": "image"}


def test_npz_holds_images_and_labels(tmp_path: Path, ledger: Ledger) -> None:
    """`arr_0` are the images, `arr_1` the labels."""
    samples = read_array_file(_saved(tmp_path / "a.npz", PIXELS, LABELS), ledger)
    assert np.array_equal(_pixels(samples), PIXELS)
    assert list(samples.column("label")) == [str(label) for label in LABELS]


def test_npz_with_one_array_needs_no_name(tmp_path: Path, ledger: Ledger) -> None:
    """A single array is the images, whatever it is called."""
    samples = read_array_file(_saved(tmp_path / "a.npz", samples=PIXELS), ledger)
    assert np.array_equal(_pixels(samples), PIXELS)
    assert samples.fields == {"image": "image"}


def test_npz_without_arr_0_lists_what_it_has(tmp_path: Path, ledger: Ledger) -> None:
    """Among several named arrays none is guessed."""
    path = _saved(tmp_path / "a.npz", pictures=PIXELS, classes=LABELS)
    with pytest.raises(SampleError, match=r"arr_0.*pictures, classes"):
        read_array_file(path, ledger)


def test_npy_holds_images(tmp_path: Path, ledger: Ledger) -> None:
    """A `.npy` is images without labels."""
    np.save(tmp_path / "a.npy", PIXELS)
    samples = read_array_file(tmp_path / "a.npy", ledger)
    assert np.array_equal(_pixels(samples), PIXELS)
    assert samples.fields == {"image": "image"}
    assert samples.name == str(tmp_path / "a.npy")


def test_content_of_a_file_is_remembered_until_it_changes(tmp_path: Path, ledger: Ledger) -> None:
    """A second reader with the same ledger sees the same digests, and new ones of new images."""
    path = _saved(tmp_path / "a.npz", PIXELS)
    first = read_array_file(path, ledger).content()
    assert read_array_file(path, ledger).content() == first
    _saved(path, 255 - PIXELS[:3])
    assert read_array_file(path, ledger).content() == from_memory(255 - PIXELS[:3]).content()


class Trap:
    """Leaves a trace where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["a.npy", "images.npz", "labels.npz"])
def test_python_objects_are_refused_and_not_run(tmp_path: Path, ledger: Ledger, name: str) -> None:
    """An array of objects is an error that says why, and none of its code runs."""
    objects = np.array([Trap(tmp_path / "ran")] * 5, dtype=object)
    path = tmp_path / name
    if name == "a.npy":
        np.save(path, objects, allow_pickle=True)
    else:
        np.savez(path, *([objects] if name == "images.npz" else [PIXELS, objects]))
    with pytest.raises(SampleError, match=r"Python objects") as caught:
        read_array_file(path, ledger)
    assert str(path) in str(caught.value)
    assert not (tmp_path / "ran").exists()


def _npy(folder: Path) -> bytes:
    np.save(folder / "made.npy", PIXELS)
    return (folder / "made.npy").read_bytes()


def _npz(folder: Path) -> bytes:
    np.savez_compressed(folder / "made.npz", PIXELS)
    return (folder / "made.npz").read_bytes()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.npy", lambda folder: b""),
        ("empty.npz", lambda folder: b""),
        ("text.npy", lambda folder: b"no array"),
        ("text.npz", lambda folder: b"no array"),
        ("cut.npy", lambda folder: _npy(folder)[:-9]),
        ("cut.npz", lambda folder: _npz(folder)[:-9]),
        ("really-npy.npz", _npy),
        ("really-npz.npy", _npz),
    ],
)
def test_broken_and_misnamed_files_are_named(
    tmp_path: Path, ledger: Ledger, name: str, content: Any
) -> None:
    """A file that is cut, empty, or no array of its kind is a `SampleError` naming it."""
    path = tmp_path / name
    path.write_bytes(content(tmp_path))
    with pytest.raises(SampleError, match=name):
        read_array_file(path, ledger)


@pytest.mark.parametrize("kind", [".npz", ".npy"])
def test_a_damaged_file_never_raises_anything_else(
    tmp_path: Path, ledger: Ledger, kind: str
) -> None:
    """Whichever byte of the first 400 is damaged, the file reads or is a `SampleError`."""
    whole = _npz(tmp_path) if kind == ".npz" else _npy(tmp_path)
    path = tmp_path / f"damaged{kind}"
    escaped: dict[int, str] = {}
    for at in range(min(len(whole), 400)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x81]) + whole[at + 1 :])
        try:
            read_array_file(path, ledger)
        except SampleError:
            continue
        except Exception as error:
            escaped[at] = f"{type(error).__name__}: {error}"
    assert escaped == {}


def test_digests_follow_the_alpha_rule(tmp_path: Path, ledger: Ledger) -> None:
    """What the manifest remembers for one alpha rule is not taken for another."""
    path = tmp_path / "a.npy"
    np.save(path, np.random.default_rng(0).integers(0, 256, (3, 4, 4, 4), dtype=np.uint8))
    os.utime(path, (1e9, 1e9))
    rules: tuple[Alpha, ...] = ("drop", "white")
    known = [read_array_file(path, ledger, rule).content() for rule in rules]
    anew = [read_array_file(path, Ledger(tmp_path / rule), rule).content() for rule in rules]
    assert known == anew
    assert known[0] != known[1]
