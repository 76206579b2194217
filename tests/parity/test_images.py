"""From image files to numbers: torch-fidelity and geneval on the same folders and weights.

torch-fidelity is called with `inception-v3-compat` for every metric. Tolerances are those of the
protocols: FID 5e-4 relative, KID 1e-5 absolute with the same subsets, IS 1e-3, precision and recall
exact. Weights are random (no download), which changes no step on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
import torch_fidelity
from numpy.typing import NDArray
from PIL import Image
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

from geneval.evaluator import open_job
from geneval.extractors.inception import INCEPTION
from geneval.extractors.network import NetworkExtractor
from geneval.extractors.preprocess import resized
from geneval.ledger import Ledger
from geneval.result import Result
from geneval.run import execute
from geneval.suite import load_suite

SUBSETS, SIZE = 5, 16
N = 24


Pictures = Callable[[int, int], list[NDArray[np.uint8]]]


def folder(root: Path, drawn: list[NDArray[np.uint8]]) -> Path:
    """A folder of PNG and JPEG files in modes RGB, L, RGBA and P."""
    root.mkdir()
    for i, pixels in enumerate(drawn):
        image = Image.fromarray(pixels)
        if i % 6 == 1:
            image = image.convert("L")
        if i % 6 == 3:
            image.putalpha(Image.fromarray(pixels[..., 0]))
        if i % 6 == 5:
            image = image.convert("P")
        lossy = i % 4 == 2 and image.mode in ("RGB", "L")
        image.save(root / f"{i:03d}{'.jpg' if lossy else '.png'}")
    return root


@pytest.fixture(scope="module")
def folders(pictures: Pictures, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Generated and reference images."""
    place = tmp_path_factory.mktemp("images")
    sides = {"generated": pictures(1, N), "reference": pictures(2, N)}
    generated, reference = (folder(place / name, drawn) for name, drawn in sides.items())
    return generated, reference


@pytest.fixture(scope="module")
def peer(folders: tuple[Path, Path], inception_twin: Path) -> Mapping[str, float]:
    """What torch-fidelity says; it takes images of several sizes one at a time only."""
    found: Mapping[str, float] = torch_fidelity.calculate_metrics(
        input1=str(folders[0]),
        input2=str(folders[1]),
        cuda=False,
        batch_size=1,
        isc=True,
        fid=True,
        kid=True,
        prc=True,
        feature_extractor="inception-v3-compat",
        feature_extractor_weights_path=str(inception_twin),
        kid_subsets=SUBSETS,
        kid_subset_size=SIZE,
        samples_find_ext="png,jpg",
        cache=False,
        verbose=False,
    )
    return found


@pytest.fixture(scope="module")
def result(
    folders: tuple[Path, Path], inception_twin: Path, tmp_path_factory: pytest.TempPathFactory
) -> Result:
    """What `geneval run image-quality --samples A --reference B` says, with local weights."""
    settings = [
        f"metrics.kid.subsets={SUBSETS}",
        f"metrics.kid.subset_size={SIZE}",
        f"weights.inception-v3={inception_twin}",
    ]
    ledger = Ledger(tmp_path_factory.mktemp("ledger"))
    suite = load_suite("image-quality", settings)
    return execute(open_job(suite, ledger, samples=folders[0], reference=folders[1])).result


def test_fid_of_files(result: Result, peer: Mapping[str, float]) -> None:
    """FID agrees to 5e-4 relative."""
    assert result["fid"].number == pytest.approx(peer["frechet_inception_distance"], rel=5e-4)


def test_kid_of_files(result: Result, peer: Mapping[str, float]) -> None:
    """KID agrees to 1e-5 with the same subsets."""
    assert result["kid"].number == pytest.approx(peer["kernel_inception_distance_mean"], abs=1e-5)


def test_inception_score_of_files(result: Result, peer: Mapping[str, float]) -> None:
    """IS agrees to 1e-3 relative, with torch-fidelity's shuffle."""
    assert result["inception_score"].number == pytest.approx(peer["inception_score_mean"], rel=1e-3)


def test_precision_and_recall_of_files(result: Result, peer: Mapping[str, float]) -> None:
    """The same samples lie in the same balls: equal counts (torch-fidelity divides in fp32)."""
    for name in ("precision", "recall"):
        mine = result[f"precision_recall.{name}"].number
        assert mine is not None
        assert (mine * N, peer[name] * N) == pytest.approx((round(mine * N),) * 2, abs=1e-5)


def test_signatures_and_cautions(result: Result) -> None:
    """Every value says extractor, resize rule and layer, and that the weights are not published."""
    for value in result.values():
        fields = dict(value.signature.fields)
        assert (fields["ext"], fields["resize"]) == ("inception-v3", "tf1")
        assert value.interval is not None or value.problem
    assert dict(result["fid"].signature.fields)["layer"] == "pool3"
    assert any(
        "inception-v3 are not the published ones" in told for told in result.document.cautions
    )


@pytest.fixture(scope="module")
def batch(pictures: Pictures) -> NDArray[np.uint8]:
    """Four images of one size."""
    return np.stack([picture[:32, :32] for picture in pictures(3, 4)])


@pytest.fixture(scope="module")
def layers(batch: NDArray[np.uint8], inception_twin: Path) -> Mapping[str, NDArray[np.float32]]:
    """The three layers of the four images."""
    return NetworkExtractor(INCEPTION, "tf1", "cpu", inception_twin).of_images(batch)


def test_layers_are_those_of_torch_fidelity(
    batch: NDArray[np.uint8], layers: Mapping[str, NDArray[np.float32]], inception_twin: Path
) -> None:
    """pool3 and the unbiased logits agree to 1e-5, the tolerance of float32 sums."""
    net = FeatureExtractorInceptionV3(
        "twin", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(inception_twin)
    )
    pool3, logits = net(torch.as_tensor(batch).permute(0, 3, 1, 2))
    assert np.allclose(layers["pool3"], pool3, rtol=1e-5, atol=1e-5)
    assert np.allclose(layers["logits_unbiased"], logits, rtol=1e-5, atol=1e-5)


def test_the_spatial_layer_is_adms(
    batch: NDArray[np.uint8], layers: Mapping[str, NDArray[np.float32]], inception_twin: Path
) -> None:
    """`Mixed_6d.branch1x1`, 7 channels of 17 x 17, channel last, through torch-fidelity's net."""
    net = FeatureExtractorInceptionV3(
        "twin", ["2048"], feature_extractor_weights_path=str(inception_twin)
    )
    seen: list[torch.Tensor] = []
    net.Mixed_6d.branch1x1.register_forward_hook(lambda module, given, out: seen.append(out))
    net(torch.as_tensor(batch).permute(0, 3, 1, 2))
    expected = seen[0].numpy()[:, :7].transpose(0, 2, 3, 1).reshape(len(batch), -1)
    assert layers["spatial"].shape == (4, 2023)
    assert np.allclose(layers["spatial"], expected, rtol=1e-5, atol=1e-5)


def test_the_twin_is_healthy(layers: Mapping[str, NDArray[np.float32]]) -> None:
    """Random weights whose outputs were constant would prove nothing."""
    for values in layers.values():
        assert np.isfinite(values).all()
        assert values.std(axis=0).mean() > 0.01 * np.abs(values).mean()


@pytest.mark.parametrize("size", [(32, 32), (75, 40), (299, 299), (400, 300)])
def test_tf1_is_bit_exact(size: tuple[int, int], rng: np.random.Generator) -> None:
    """The floats are those of torch-fidelity's resize, which are TensorFlow's."""
    images = torch.as_tensor(rng.integers(0, 256, (2, *size, 3), dtype=np.uint8))
    expected = interpolate_bilinear_2d_like_tensorflow1x(
        images.permute(0, 3, 1, 2).float(), size=(299, 299), align_corners=False
    )
    assert torch.equal(resized(images, 299, "tf1"), expected)


@pytest.mark.parametrize("size", [(32, 32), (75, 40), (256, 256), (640, 480)])
def test_clean_is_pils_bicubic_on_floats(size: tuple[int, int], rng: np.random.Generator) -> None:
    """clean-fid resizes each channel with PIL on floats: on noise, the worst case, 3e-5 of 255."""
    images = rng.integers(0, 256, (1, *size, 3), dtype=np.uint8)
    found = resized(torch.as_tensor(images), 299, "clean")[0].numpy()
    for channel in range(3):
        plane = Image.fromarray(images[0, ..., channel].astype(np.float32), mode="F")
        expected = np.asarray(plane.resize((299, 299), Image.Resampling.BICUBIC)).clip(0, 255)
        assert np.abs(found[channel] - expected).max() <= 3e-5


def test_presets_differ(rng: np.random.Generator) -> None:
    """Each preset is another rule: comparing values of two would compare the rules."""
    images = torch.as_tensor(rng.integers(0, 256, (1, 512, 512, 3), dtype=np.uint8))
    found = [resized(images, 299, preset) for preset in ("tf1", "clean", "pytorch", "antialias")]
    for i, one in enumerate(found):
        assert one.shape == (1, 3, 299, 299)
        assert all((one - other).abs().mean() > 1 for other in found[:i])
