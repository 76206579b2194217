"""geneval.extractors.digits: accuracy from the shipped weights, and when it warns."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from sklearn.datasets import load_sample_image

from geneval.errors import GenevalError
from geneval.examples.digits.data import Split
from geneval.extractors.digits import EMBEDDED, Digits, digits
from geneval.ledger import file_digest
from geneval.samples.sampleset import Batch


@pytest.fixture(scope="module")
def extractor() -> Digits:
    """The extractor with the shipped weights."""
    return _built()


@pytest.fixture
def held_out(digits: tuple[Split, Split]) -> NDArray[np.uint8]:
    """The 600 held-out digits as RGB."""
    return _rgb(digits[1].images)


def run(built: Digits, images: NDArray[np.uint8]) -> Mapping[str, NDArray[np.float32]]:
    """All layers of images."""
    return built(Batch.of(image=images), tuple(built.layers))


def _built(weights: Path | None = None) -> Digits:
    built = digits(weights=weights)
    assert isinstance(built, Digits)
    return built


def _rgb(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(grey[..., None], 3, axis=3)


def _caution(extractor: Digits, images: NDArray[np.uint8]) -> str:
    return extractor.caution(run(extractor, np.ascontiguousarray(images))["unlikeness"])


def _tiles(name: str) -> NDArray[np.uint8]:
    """60 tiles of 64 x 64 pixels of one of scikit-learn's photos."""
    photo = load_sample_image(name)
    return np.stack(
        [photo[y : y + 64, x : x + 64] for y in range(0, 384, 64) for x in range(0, 640, 64)]
    )


def test_held_out_accuracy(
    extractor: Digits, digits: tuple[Split, Split], held_out: NDArray[np.uint8]
) -> None:
    """At least 98 % of 600 digits never trained on are named rightly, and the facts say so."""
    assert extractor.labels.names == tuple("0123456789")
    predicted = run(extractor, held_out)["logits"].argmax(axis=1)
    accuracy = float(np.mean(predicted == digits[1].labels))
    assert accuracy >= 0.98  # what the project promises of its embedded extractor
    assert float(extractor.facts["accuracy"]) == round(accuracy, 4)
    assert int(extractor.facts["held_out"]) == len(held_out)


def test_no_held_out_digit_was_trained_on(digits: tuple[Split, Split]) -> None:
    """The split is of all 1,797 digits, 1,197 and 600, and no image is in both."""
    train, rest = ({image.tobytes() for image in split.images} for split in digits)
    assert (len(digits[0].images), len(digits[1].images)) == (1197, 600)
    assert not train & rest


def test_digits_draw_no_caution(
    extractor: Digits, digits: tuple[Split, Split], held_out: NDArray[np.uint8]
) -> None:
    """Training digits, held-out digits and enlarged ones are what it was trained on."""
    assert _caution(extractor, held_out) == ""
    assert _caution(extractor, _rgb(digits[0].images)) == ""
    assert _caution(extractor, held_out.repeat(4, axis=1).repeat(4, axis=2)) == ""


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda d, rng: rng.integers(0, 256, d.shape, dtype=np.uint8), id="noise"),
        pytest.param(
            lambda d, rng: _rgb(rng.integers(0, 256, d.shape[:3], dtype=np.uint8)), id="grey-noise"
        ),
        pytest.param(lambda d, rng: 255 - d, id="inverted"),
        pytest.param(lambda d, rng: d.transpose(0, 2, 1, 3), id="on-their-side"),
        pytest.param(lambda d, rng: np.full_like(d, 255), id="white"),
        pytest.param(lambda d, rng: _tiles("china.jpg"), id="photo"),
        pytest.param(lambda d, rng: _tiles("flower.jpg"), id="other-photo"),
        pytest.param(
            lambda d, rng: _rgb(_tiles("flower.jpg").mean(axis=3).astype(np.uint8)), id="grey-photo"
        ),
    ],
)
def test_other_images_draw_a_caution(
    extractor: Digits, held_out: NDArray[np.uint8], rng: np.random.Generator, make: object
) -> None:
    """Images unlike digits are told that the numbers have no meaning."""
    assert callable(make)
    assert "no meaning" in _caution(extractor, make(held_out[:200], rng))


@pytest.mark.parametrize(("strange", "warned"), [(0, False), (20, False), (30, True), (100, True)])
def test_the_caution_needs_a_quarter(
    extractor: Digits, held_out: NDArray[np.uint8], strange: int, warned: bool
) -> None:
    """Some strange samples among 100 are no reason to doubt the set; more than 25 are."""
    unlike = run(extractor, held_out)["unlikeness"].ravel()
    typical = held_out[np.argsort(unlike, kind="stable")[: 100 - strange]]
    mixed = np.concatenate([typical, 255 - held_out[:strange]])
    assert (_caution(extractor, mixed) != "") is warned


def test_no_samples_draw_no_caution(extractor: Digits) -> None:
    """An empty set is nothing to warn of."""
    with np.errstate(all="raise"):
        assert extractor.caution(np.empty((0, 1), np.float32)) == ""


def test_enlarged_digits_have_the_same_features(
    extractor: Digits, held_out: NDArray[np.uint8]
) -> None:
    """Averaging areas undoes a repetition of pixels; DESIGN.md, Speed, allows 1e-5."""
    small = run(extractor, held_out[:50])
    large = run(extractor, held_out[:50].repeat(3, axis=1).repeat(5, axis=2))
    for layer in ("features", "logits"):
        np.testing.assert_allclose(large[layer], small[layer], rtol=1e-5, atol=1e-5)


def test_classes_lie_apart_in_feature_space(
    extractor: Digits, digits: tuple[Split, Split], held_out: NDArray[np.uint8]
) -> None:
    """Features carry the class: the nearest training class mean is right for 95 % of digits."""
    train = run(extractor, _rgb(digits[0].images))["features"]
    means = np.stack([train[digits[0].labels == c].mean(axis=0) for c in range(10)])
    features = run(extractor, held_out)["features"]
    nearest = ((features[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    assert np.mean(nearest == digits[1].labels) >= 0.95


def test_it_travels_after_use(extractor: Digits, held_out: NDArray[np.uint8]) -> None:
    """An extractor that has run pickles small and gives the same rows in another process."""
    before = run(extractor, held_out[:5])
    data = pickle.dumps(extractor)
    after = run(pickle.loads(data), held_out[:5])
    assert len(data) < 10_000  # the network stays behind
    assert all(np.array_equal(after[layer], before[layer]) for layer in before)


def test_identity_follows_the_weights(tmp_path: Path, extractor: Digits) -> None:
    """The signature's digest is that of the weights file, and other weights give another."""
    assert extractor.identity["weights"] == file_digest(EMBEDDED)
    tensors = load_file(EMBEDDED)
    tensors["logits.bias"] += 1
    save_file(tensors, tmp_path / "digits.safetensors")
    other = _built(tmp_path / "digits.safetensors")
    assert other.identity["weights"] != extractor.identity["weights"]


@pytest.mark.parametrize("content", ["another network", "no tensors"])
def test_weights_that_do_not_fit_are_named(tmp_path: Path, content: str) -> None:
    """A weights file of something else is one error that names it."""
    path = tmp_path / "other.safetensors"
    if content == "another network":
        save_file({"weight": torch.zeros(2)}, path)
    else:
        path.write_text(content)
    with pytest.raises(GenevalError, match=r"other\.safetensors"):
        run(_built(path), np.zeros((1, 8, 8, 3), np.uint8))
