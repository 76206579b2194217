"""geneval.extractors: the registry, where weights come from, and pixels in closed form."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.torch import save_file

from geneval.checkpoint import load_tensors
from geneval.errors import CheckpointError, UsageError
from geneval.evaluator import open_job
from geneval.extractors.digits import EMBEDDED
from geneval.extractors.extractor import (
    FeatureExtractor,
    all_extractors,
    build_extractor,
    layer_of,
)
from geneval.extractors.pixels import pixels
from geneval.extractors.weights import find_weights
from geneval.ledger import Ledger, file_digest
from geneval.run import execute
from geneval.samples.sampleset import Batch
from geneval.suite import load_suite


def run(built: FeatureExtractor, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """All layers of images."""
    return dict(built(Batch.of(image=images), tuple(built.layers)))


@pytest.mark.usefixtures("twin_weights")
@pytest.mark.parametrize("name", ["digits", "inception-v3", "pixels"])
def test_every_extractor_keeps_its_promises(name: str, rng: np.random.Generator) -> None:
    """Layers are float32 [b, width] under the declared names, and the identity names it."""
    built = build_extractor(name, {}, "cpu", None)
    columns = run(built, rng.integers(0, 256, (3, 12, 10, 3), dtype=np.uint8))
    assert set(columns) == set(built.layers)
    for layer, rows in columns.items():
        assert rows.shape == (3, built.layers[layer].width)
        assert rows.dtype == np.float32
    assert built.identity["ext"] == name
    assert {"resize", "prec"} <= set(built.identity)
    logits = layer_of(built, "logits")
    if built.labels is not None:
        assert logits is not None
        assert built.layers[logits].width == len(built.labels.names)
    assert isinstance(built.notes, tuple)
    assert all_extractors()[name].documentation


def test_the_extractors_that_need_no_download() -> None:
    """`digits` and `pixels` are there without any file or network."""
    assert {"digits", "pixels"} <= set(all_extractors())


def test_layers_are_found_by_role() -> None:
    """A role gives the layer's name, a role that is absent None."""
    built = build_extractor("digits", {}, "cpu", None)
    assert layer_of(built, "logits") == "logits"
    assert layer_of(pixels(), "logits") is None


@pytest.mark.parametrize(
    ("name", "options", "weights", "said"),
    [
        ("digit", {}, None, "'digit'.*'digits'"),
        ("pixels", {"sides": 4}, None, "'sides'.*'side'"),
        ("pixels", {"side": "4"}, None, "side"),
        ("pixels", {"side": True}, None, "side"),
        ("pixels", {"side": 0}, None, "side = 0"),
        ("pixels", {"side": 65}, None, "side = 65"),
        ("digits", {"device": "cuda"}, None, "device"),
        ("digits", {"weights": "x"}, None, "weights"),
        ("pixels", {}, Path("any.safetensors"), "pixels.*no weights"),
        ("digits", {}, Path("/absent.safetensors"), "digits.*absent"),
    ],
)
def test_what_cannot_be_built_is_a_usage_error(
    name: str, options: dict[str, object], weights: Path | None, said: str
) -> None:
    """Unknown names offer the nearest one; wrong options and weights are named."""
    with pytest.raises(UsageError, match=said):
        build_extractor(name, options, "cpu", weights)


def test_options_reach_the_extractor_and_its_identity() -> None:
    """`side: 4` makes another extractor, which its identity tells."""
    small, default = (build_extractor("pixels", o, "cpu", None) for o in ({"side": 4}, {}))
    assert small.layers["features"].width == 48  # 3 channels, 4 x 4
    assert default.layers["features"].width == 192  # 3 channels, 8 x 8
    assert small.identity != default.identity


def test_weights_of_the_suite_make_another_identity(tmp_path: Path) -> None:
    """Other weights of the same extractor are told apart by their digest."""
    shipped = build_extractor("digits", {}, "cpu", None)
    copy = tmp_path / "mine.safetensors"
    copy.write_bytes(EMBEDDED.read_bytes())
    assert build_extractor("digits", {}, "cpu", copy).identity == shipped.identity
    copy.write_bytes(b"other")
    other = build_extractor("digits", {}, "cpu", copy)
    assert other.identity["weights"] == file_digest(copy) != shipped.identity["weights"]


def test_weights_are_sought_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite's path goes before `$GENEVAL_WEIGHTS`, and that before the package."""
    given, folder, embedded = tmp_path / "given", tmp_path / "folder", tmp_path / "embedded"
    folder.mkdir()
    for path in (given, folder / "net.safetensors", embedded):
        path.touch()
    monkeypatch.delenv("GENEVAL_WEIGHTS", raising=False)
    assert find_weights("net", None, embedded) == embedded
    monkeypatch.setenv("GENEVAL_WEIGHTS", str(folder))
    assert find_weights("net", None, embedded) == folder / "net.safetensors"
    assert find_weights("net", given, embedded) == given
    assert find_weights("other", None, embedded) == embedded


def test_missing_weights_say_where_they_were_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One error says what is missing, the places looked at and how to bring it."""
    monkeypatch.setenv("GENEVAL_WEIGHTS", str(tmp_path))
    with pytest.raises(UsageError) as caught:
        find_weights("net", None)
    said = str(caught.value)
    assert all(part in said for part in ("net", str(tmp_path), "weights:", "geneval weights add"))


def test_inception_without_weights_says_how_to_get_them() -> None:
    """Where neither weights nor a network are there, one error says what to do."""
    with pytest.raises(UsageError, match="run `geneval weights pull inception-v3`"):
        build_extractor("inception-v3", {}, "cpu", None)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda t: t.pop("fc.bias"), "it lacks 'fc.bias'"),
        (lambda t: t.update(extra=t["fc.bias"].clone()), "it has an unknown tensor 'extra'"),
        (lambda t: t.update({"fc.bias": t["fc.bias"][:5]}), "size mismatch for fc.bias"),
    ],
)
def test_wrong_weights_are_named(
    inception_twin: Path, tmp_path: Path, damage: Callable[[dict[str, Any]], object], said: str
) -> None:
    """A file that is not this network's says which tensor is wrong."""
    tensors = load_tensors(inception_twin)
    damage(tensors)
    path = tmp_path / "wrong.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    built = build_extractor("inception-v3", {}, "cpu", path)
    with pytest.raises(CheckpointError, match=said):
        run(built, np.zeros((1, 32, 32, 3), dtype=np.uint8))


def test_batches_change_no_feature(inception_twin: Path, rng: np.random.Generator) -> None:
    """Alone or among many, an image has its features, to the rounding of float32 sums."""
    built = build_extractor("inception-v3", {}, "cpu", inception_twin)
    images = rng.integers(0, 256, (3, 40, 30, 3), dtype=np.uint8)
    together = run(built, images)
    for layer, rows in together.items():
        alone = np.concatenate([run(built, images[i : i + 1])[layer] for i in range(3)])
        assert np.allclose(rows, alone, rtol=1e-4, atol=1e-4 * np.abs(rows).max())


def test_presets_stand_in_the_identity(inception_twin: Path) -> None:
    """Another resize rule is another extractor."""
    tf1, clean = (
        build_extractor("inception-v3", {"preset": preset}, "cpu", inception_twin).identity
        for preset in ("tf1", "clean")
    )
    assert (tf1["resize"], clean["resize"]) == ("tf1", "clean")
    with pytest.raises(UsageError, match="preset = 'lanczos' does not fit"):
        build_extractor("inception-v3", {"preset": "lanczos"}, "cpu", inception_twin)


def test_a_given_file_that_is_absent_is_not_replaced(tmp_path: Path) -> None:
    """A wrong path is an error even where the package has weights of its own."""
    (tmp_path / "embedded").touch()
    with pytest.raises(UsageError, match="absent"):
        find_weights("net", tmp_path / "absent", tmp_path / "embedded")


def _area_means(images: NDArray[np.uint8], side: int) -> NDArray[np.float64]:
    """Means over rows ⌊i·h/s⌋ to ⌈(i + 1)·h/s⌉ and columns likewise, channels first."""
    n, h, w, _ = images.shape
    small = np.empty((n, 3, side, side))
    for i in range(side):
        for j in range(side):
            rows = slice(i * h // side, -(-(i + 1) * h // side))
            columns = slice(j * w // side, -(-(j + 1) * w // side))
            small[:, :, i, j] = images[:, rows, columns].mean(axis=(1, 2)) / 255
    return small.reshape(n, -1)


@pytest.mark.parametrize(
    ("height", "width", "side"), [(8, 8, 8), (16, 24, 8), (13, 9, 4), (5, 7, 1), (3, 2, 8)]
)
def test_pixels_are_area_means(
    height: int, width: int, side: int, rng: np.random.Generator
) -> None:
    """Pixels are the RGB means over areas in 0..1, also of odd sizes and of small images."""
    images = rng.integers(0, 256, (4, height, width, 3), dtype=np.uint8)
    rows = run(pixels(side=side), images)["features"]
    np.testing.assert_allclose(rows, _area_means(images, side), rtol=1e-5, atol=1e-6)


def test_pixels_of_an_image_of_that_size_are_its_pixels() -> None:
    """With nothing to average, features are the pixels / 255, channels first."""
    image = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3) * 20
    rows = run(pixels(side=2), image)["features"]
    expected = np.array([0, 60, 120, 180, 20, 80, 140, 200, 40, 100, 160, 220]) / 255
    np.testing.assert_allclose(rows[0], expected, rtol=1e-6)


def test_pixels_have_no_caution() -> None:
    """No image is out of place for pixels."""
    assert pixels().caution(np.full((3, 1), 1e9, np.float32)) == ""


MINE = """
import numpy as np
from geneval.extractors.extractor import Layer

class Mean:
    labels = None
    notes = ()
    layers = {"mean": Layer("features", 3)}
    identity = {"ext": "mean", "resize": "none", "prec": "fp32"}

    def __init__(self, times): self.times = times

    def __call__(self, batch, layers):
        images = batch.columns["image"]
        return {"mean": (images.mean(axis=(1, 2)) * self.times).astype(np.float32)}

    def caution(self, unlikeness): return ""

def mean(*, times: int = 1): return Mean(times)

def nothing(): return object()

def broken(): raise RuntimeError("no such model")

number = 3
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An extractor of one's own in the working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "my_features.py").write_text(MINE)
    yield
    sys.modules.pop("my_features", None)


@pytest.mark.usefixtures("mine")
def test_an_extractor_of_ones_own(ledger: Ledger, rng: np.random.Generator) -> None:
    """`module:function` builds it with its options, and a whole run uses it."""
    images = rng.integers(0, 256, (60, 6, 6, 3), dtype=np.uint8)
    choice = "extractor={name: my_features:mean, times: 2}"
    for metric in ("fid", "cmmd"):
        job = open_job(load_suite(metric, [choice]), ledger, samples=images, reference=images)
        result = execute(job).result
        assert result[metric].number == pytest.approx(0, abs=1e-6)
        assert dict(result[metric].signature.fields)["ext"] == "mean"


@pytest.mark.usefixtures("mine")
@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("my_features:mean", {"times": "2"}, "option times = '2' does not fit"),
        ("my_features:mena", {}, "unknown function 'mena'; did you mean 'mean'"),
        ("my_features:number", {}, "number is no function"),
        ("my_features:nothing", {}, "what it builds has no identity"),
        ("no_features:mean", {}, "there is no module 'no_features'"),
        ("my_features:", {}, "write module:function"),
    ],
)
def test_what_is_no_extractor_is_told(name: str, options: dict[str, object], said: str) -> None:
    """One sentence says what is wrong with an extractor of one's own."""
    with pytest.raises(UsageError, match=said):
        build_extractor(name, options, "cpu", None)


@pytest.mark.usefixtures("mine")
def test_a_builder_that_fails_is_told() -> None:
    """An error of the user's code is one sentence with its type."""
    with pytest.raises(CheckpointError, match="cannot be built: RuntimeError: no such model"):
        build_extractor("my_features:broken", {}, "cpu", None)
