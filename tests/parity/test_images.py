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
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

from geneval.extractors.inception import INCEPTION, scaled
from geneval.extractors.network import NetworkExtractor
from geneval.extractors.preprocess import resized
from geneval.result import Result

SUBSETS, SIZE = 5, 16  # as in the fixture `measured`
N = 24
PEER = "torch-fidelity"

Parity = Callable[..., None]
Pictures = Callable[[int, int], list[NDArray[np.uint8]]]


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
        samples_find_ext="png,jpg,webp",
        cache=False,
        verbose=False,
    )
    return found


@pytest.fixture(scope="module")
def result(measured: Callable[..., Result]) -> Result:
    """What `geneval run image-quality --samples A --reference B` says, with local weights."""
    return measured("tf1")


def test_fid_of_files(result: Result, peer: Mapping[str, float], parity: Parity) -> None:
    """FID agrees to 5e-4 relative."""
    ours, theirs = result["fid"].number, peer["frechet_inception_distance"]
    parity(peer=PEER, what="FID of files, preset tf1", ours=ours, theirs=theirs, rel=5e-4)


def test_kid_of_files(result: Result, peer: Mapping[str, float], parity: Parity) -> None:
    """KID agrees to 1e-5 with the same subsets."""
    ours, theirs = result["kid"].number, peer["kernel_inception_distance_mean"]
    parity(peer=PEER, what="KID of files, preset tf1", ours=ours, theirs=theirs, abs=1e-5)


def test_inception_score_of_files(
    result: Result, peer: Mapping[str, float], parity: Parity
) -> None:
    """IS agrees to 1e-3 relative, with torch-fidelity's shuffle."""
    ours, theirs = result["inception_score"].number, peer["inception_score_mean"]
    parity(peer=PEER, what="IS of files, preset tf1", ours=ours, theirs=theirs, rel=1e-3)


@pytest.mark.parametrize("name", ["precision", "recall"])
def test_precision_and_recall_of_files(
    name: str, result: Result, peer: Mapping[str, float], parity: Parity
) -> None:
    """The same samples lie in the same balls: equal counts (torch-fidelity divides in fp32)."""
    ours, theirs = result[f"precision_recall.{name}"].number, peer[name]
    parity(peer=PEER, what=f"{name} of files, preset tf1", ours=ours, theirs=theirs, count_of=N)


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
    """The three layers of the four images by the network as built, before anything is folded.

    How far the folded form may be off is held by tests/geneval/test_runtime.py: with these random
    weights any other order of additions is 6e-5 off.
    """
    mine = NetworkExtractor(INCEPTION, "tf1", weights=inception_twin)
    with torch.inference_mode():
        pixels = scaled(resized(torch.as_tensor(batch), 299, "tf1"), "tf1")
        made = mine.loaded()(pixels.contiguous())  # the layout that torch-fidelity's network gets
    return {name: values.numpy() for name, values in made.items()}


@pytest.fixture(scope="module")
def net(inception_twin: Path) -> FeatureExtractorInceptionV3:
    """torch-fidelity's network with the same weights."""
    return FeatureExtractorInceptionV3(
        "twin", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(inception_twin)
    )


def test_layers_are_those_of_torch_fidelity(
    batch: NDArray[np.uint8],
    layers: Mapping[str, NDArray[np.float32]],
    net: FeatureExtractorInceptionV3,
    parity: Parity,
) -> None:
    """pool3 and the unbiased logits agree to 1e-5, the tolerance of float32 sums."""
    expected = net(torch.as_tensor(batch).permute(0, 3, 1, 2))
    for name, theirs in zip(("pool3", "logits_unbiased"), expected, strict=True):
        parity(peer=PEER, what=f"layer {name}", ours=layers[name], theirs=theirs, abs=1e-5)


def test_the_spatial_layer_is_adms(
    batch: NDArray[np.uint8],
    layers: Mapping[str, NDArray[np.float32]],
    net: FeatureExtractorInceptionV3,
    parity: Parity,
) -> None:
    """`Mixed_6d.branch1x1`, 7 channels of 17 x 17, channel last, through torch-fidelity's net."""
    seen: list[torch.Tensor] = []
    hook = net.Mixed_6d.branch1x1.register_forward_hook(lambda module, given, out: seen.append(out))
    net(torch.as_tensor(batch).permute(0, 3, 1, 2))
    hook.remove()
    theirs = seen[0].numpy()[:, :7].transpose(0, 2, 3, 1).reshape(len(batch), -1)
    assert layers["spatial"].shape == (4, 2023)
    parity(peer=PEER, what="layer spatial", ours=layers["spatial"], theirs=theirs, abs=1e-5)


def test_the_twin_is_healthy(layers: Mapping[str, NDArray[np.float32]]) -> None:
    """Random weights whose outputs were constant would prove nothing."""
    for values in layers.values():
        assert np.isfinite(values).all()
        assert values.std(axis=0).mean() > 0.01 * np.abs(values).mean()


@pytest.mark.parametrize("size", [(32, 32), (75, 40), (299, 299), (400, 300)])
def test_tf1_is_bit_exact(size: tuple[int, int], rng: np.random.Generator, parity: Parity) -> None:
    """The floats are those of torch-fidelity's resize, which are TensorFlow's."""
    images = torch.as_tensor(rng.integers(0, 256, (2, *size, 3), dtype=np.uint8))
    theirs = interpolate_bilinear_2d_like_tensorflow1x(
        images.permute(0, 3, 1, 2).float(), size=(299, 299), align_corners=False
    )
    ours = resized(images, 299, "tf1")
    parity(peer=PEER, what="resize of preset tf1", ours=ours, theirs=theirs, exact=True)


def test_presets_differ(rng: np.random.Generator) -> None:
    """Each preset is another rule: comparing values of two would compare the rules."""
    images = torch.as_tensor(rng.integers(0, 256, (1, 512, 512, 3), dtype=np.uint8))
    found = [resized(images, 299, preset) for preset in ("tf1", "clean", "pytorch", "antialias")]
    for i, one in enumerate(found):
        assert one.shape == (1, 3, 299, 299)
        assert all((one - other).abs().mean() > 1 for other in found[:i])
