"""How networks are run: faster forms give the plain network's layers, or are not used."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import geneval
from geneval.errors import CheckpointError, UsageError
from geneval.examples.digits.data import Split
from geneval.extractors import runtime
from geneval.extractors.extractor import Layer, build_extractor
from geneval.extractors.inception import INCEPTION
from geneval.extractors.network import Network, NetworkExtractor
from geneval.extractors.runtime import Runner, Running
from geneval.run import resolve_device

Pictures = Callable[[int, int], list[NDArray[np.uint8]]]
SIDE = 8


class Toy(torch.nn.Module):
    """One convolution with a batch norm; runs out of memory above `most` images."""

    def __init__(self, most: int = 10**6) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = torch.nn.Conv2d(3, 5, 3)
        self.norm = torch.nn.BatchNorm2d(5)
        self.norm.running_mean = torch.linspace(-0.2, 0.2, 5)
        self.most = most

    def forward(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Features [b, 5]."""
        if len(pixels) > self.most:
            raise torch.OutOfMemoryError("too many")
        return {"features": self.norm(self.conv(pixels)).relu().mean(dim=(2, 3))}


def folded(net: torch.nn.Module) -> None:
    """Fold the norm of a toy, as its definition says."""
    assert isinstance(net, Toy)
    net.conv = torch.nn.utils.fusion.fuse_conv_bn_eval(net.conv, net.norm)
    net.norm = torch.nn.Identity()  # type: ignore[assignment]


def broken(net: torch.nn.Module) -> None:
    """A fold that changes the numbers."""
    assert isinstance(net, Toy)
    net.norm = torch.nn.Identity()  # type: ignore[assignment]


def not_a_number(net: torch.nn.Module) -> None:
    """A fold that makes NaN."""
    assert isinstance(net, Toy)
    torch.nn.init.constant_(net.conv.weight, float("nan"))


def impossible(net: torch.nn.Module) -> None:
    """A fold that fails."""
    raise RuntimeError("no such\n operator")


@pytest.fixture
def pixels() -> torch.Tensor:
    """Seven small images."""
    return torch.rand(7, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


def run(
    pixels: torch.Tensor, running: Running, fold: Callable[[torch.nn.Module], None] | None
) -> torch.Tensor:
    """The features of a toy."""
    with torch.inference_mode():
        return Runner("toy", Toy().eval(), running, fold)(pixels)["features"]


def test_folding_changes_nothing_and_is_used(
    pixels: torch.Tensor, caplog: pytest.LogCaptureFixture
) -> None:
    """The folded form gives the plain layers, without a word; the plain network stays as it is."""
    net = Toy().eval()
    seen: list[torch.nn.Module] = []

    def noted(own: torch.nn.Module) -> None:
        folded(own)
        seen.append(own)

    with torch.inference_mode():
        runner = Runner("toy", net, Running(), noted)
        found, plain = runner(pixels)["features"], net(pixels)["features"]
    np.testing.assert_allclose(found, plain, rtol=0, atol=1e-6 * float(plain.abs().max()))
    assert len(seen) == 1 and seen[0] is not net
    assert isinstance(net.norm, torch.nn.BatchNorm2d)
    assert not caplog.records


@pytest.mark.parametrize(
    ("fold", "told"),
    [
        (broken, "toy is not run folded: its layers are"),
        (not_a_number, "toy is not run folded: its layers are nan"),
        (impossible, "toy is not run folded: RuntimeError: no such operator"),
    ],
)
def test_a_form_that_does_not_hold_is_left_with_a_warning(
    fold: Callable[[torch.nn.Module], None],
    told: str,
    pixels: torch.Tensor,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Other numbers, NaN or an error: the plain network runs, and the log says why."""
    found = run(pixels, Running(), fold)
    with torch.inference_mode():
        assert torch.equal(found, Toy().eval()(pixels)["features"])
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith(told)


@pytest.mark.parametrize("runs", ["torch", "openvino"])
def test_bf16_is_near_and_other(runs: runtime.Runtime, pixels: torch.Tensor) -> None:
    """bfloat16 gives float32 layers a little off: 8 bits of mantissa are 4e-3 of a value."""
    found = run(pixels, Running("cpu", runs, "bf16"), folded)
    plain = run(pixels, Running(), None)
    assert found.dtype == torch.float32
    apart = float((found - plain).abs().max() / plain.abs().max())
    assert 1e-5 < apart < 2e-2


def test_openvino_gives_the_plain_layers(
    pixels: torch.Tensor, caplog: pytest.LogCaptureFixture
) -> None:
    """Any batch size, within the tolerance, without a warning."""
    net = Toy().eval()
    with torch.inference_mode():
        runner = Runner("toy", net, Running.on("openvino"), folded)
        for n in (7, 1, 3):
            found, plain = runner(pixels[:n])["features"], net(pixels[:n])["features"]
            np.testing.assert_allclose(found, plain, rtol=0, atol=1e-5 * float(plain.abs().max()))
    assert not caplog.records


def test_openvino_that_fails_is_left_for_torch(
    pixels: torch.Tensor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A network that OpenVINO cannot convert runs folded, and the log names the reason."""
    import openvino

    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("unsupported")

    monkeypatch.setattr(openvino, "convert_model", refuse)
    found = run(pixels, Running.on("openvino"), folded)
    assert torch.equal(found, run(pixels, Running(), folded))
    (record,) = caplog.records
    assert record.getMessage() == "toy is not run by OpenVINO: RuntimeError: unsupported"


def extractor_of(net: torch.nn.Module, path: Path) -> NetworkExtractor:
    """An extractor of a toy whose weights lie in a file."""
    torch.save(net.state_dict(), path)
    network = Network(
        name="toy",
        side=SIDE,
        layers={"features": Layer("features", 5)},
        build=lambda: net,
        scale=lambda pixels, preset: pixels / 255,
    )
    return NetworkExtractor(network, "antialias", weights=path)


def test_out_of_memory_halves_the_batch(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, rng: np.random.Generator
) -> None:
    """Fewer images at a time, said once for every halving; the layers stay the same."""
    images = rng.integers(0, 256, (40, 12, 12, 3), dtype=np.uint8)
    wanted = extractor_of(Toy(), tmp_path / "roomy.pth").of_images(images)["features"]
    small = extractor_of(Toy(most=5), tmp_path / "narrow.pth")
    found = small.of_images(images)["features"]
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6 * np.abs(wanted).max())
    assert [record.getMessage() for record in caplog.records] == [
        f"the memory does not suffice: toy takes {n} images at a time from here on" for n in (8, 4)
    ]
    caplog.clear()
    small.of_images(images)
    assert not caplog.records


def test_memory_for_no_image_at_all(tmp_path: Path, rng: np.random.Generator) -> None:
    """When not even one image fits, the error says so."""
    images = rng.integers(0, 256, (2, 12, 12, 3), dtype=np.uint8)
    with pytest.raises(CheckpointError, match="toy: the memory does not suffice for one image"):
        extractor_of(Toy(most=0), tmp_path / "none.pth").of_images(images)


@pytest.mark.parametrize("device", ["cpu", "openvino"])
def test_inception_runs_faster_with_the_same_layers(
    device: str, inception_twin: Path, pictures: Pictures, caplog: pytest.LogCaptureFixture
) -> None:
    """All three layers within 1e-4 of the plain network's largest, and no fallback.

    These random weights, unlike trained ones, carry a float32 rounding of 7e-5 to the end: that is
    how far the plain network is from itself in double precision.
    """
    images = np.stack([picture[:32, :32] for picture in pictures(5, 6)])
    mine = NetworkExtractor(INCEPTION, "tf1", Running.on(device), inception_twin)
    found = mine.of_images(images)
    plain = plain_layers(mine, images)
    for name, values in found.items():
        off = np.abs(values - plain[name]).max() / np.abs(plain[name]).max()
        assert 0 < off < 2e-4, name
    assert not caplog.records


def plain_layers(
    mine: NetworkExtractor, images: NDArray[np.uint8]
) -> Mapping[str, NDArray[np.float32]]:
    """What the network as built makes of the same images."""
    from geneval.extractors.preprocess import resized

    with torch.inference_mode():
        pixels = INCEPTION.scale(resized(torch.as_tensor(images), 299, "tf1"), "tf1")
        made = mine.loaded()(pixels)
    return {name: values.numpy() for name, values in made.items()}


@pytest.mark.parametrize("name", ["dinov2-vits14", "timm:resnet18"])
def test_transformers_and_others_in_bf16(
    name: str, tmp_path: Path, pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy that runs is really the one in bfloat16: its layers are near fp32's, not equal."""
    from geneval.extractors.dinov2 import network as dinov2
    from geneval.extractors.timm import network as resnet

    torch.manual_seed(0)
    net = dinov2("vit_small_patch14_dinov2") if name.startswith("dino") else resnet("resnet18")
    path = tmp_path / "weights.pth"
    torch.save(net.state_dict(), path)
    (image,) = pictures(1, 1)
    layers = []
    for precision in ("fp32", "bf16"):
        mine = build_extractor(name, {}, "cpu", path, precision)  # type: ignore[arg-type]
        assert mine.identity["prec"] == precision
        (layer,) = mine.of_images(image[None]).values()  # type: ignore[attr-defined]
        layers.append(layer)
    apart = np.abs(layers[0] - layers[1]).max() / np.abs(layers[0]).max()
    assert 1e-4 < apart < 0.1


def test_a_suite_in_bf16_that_no_extractor_can(digits: tuple[Split, Split]) -> None:
    """`precision: bf16` on an extractor without it is an error, not silently fp32."""
    a, b = (split.images for split in digits)
    with pytest.raises(UsageError, match="precision bf16: digits runs in fp32 only"):
        geneval.evaluate("fid", samples=a, reference=b, overrides={"precision": "bf16"})


def test_device_openvino_without_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to install; `auto` never takes it unasked."""
    assert resolve_device("openvino") == "openvino"
    assert resolve_device("auto") != "openvino"
    monkeypatch.setattr("geneval.run.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'geneval\[openvino\]'"):
        resolve_device("openvino")


def test_a_form_without_room_is_left_for_the_plain_network(
    pixels: torch.Tensor, caplog: pytest.LogCaptureFixture
) -> None:
    """Folding copies the network; where the memory holds one only, the plain one runs."""

    def too_large(net: torch.nn.Module) -> None:
        raise torch.OutOfMemoryError("no room for a copy")

    found = run(pixels, Running(), too_large)
    with torch.inference_mode():
        assert torch.equal(found, Toy().eval()(pixels)["features"])
    (record,) = caplog.records
    assert record.getMessage() == "toy is not run folded: OutOfMemoryError: no room for a copy"


def test_a_nan_in_any_layer_is_seen() -> None:
    """Also when it is not in the first."""
    good, bad = torch.ones(2, 3), torch.full((2, 3), float("nan"))
    wanted = {"a": good, "b": good}
    assert np.isnan(runtime._apart({"a": good, "b": bad}, wanted))
    assert runtime._apart(wanted, wanted) == 0.0


def test_float32_is_float32_whatever_the_program_around_allows() -> None:
    """TF32 and bfloat16 products are off inside networks, and as they were afterwards."""
    from geneval.extractors.network import full_precision

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16), full_precision():
            assert torch.get_float32_matmul_precision() == "highest"
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
