"""geneval.extractors.pairwise and lpips: each image and its reference, against torchmetrics."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from numpy.typing import NDArray
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
    structural_similarity_index_measure,
)
from torchmetrics.image import (
    LearnedPerceptualImagePatchSimilarity,
    MultiScaleStructuralSimilarityIndexMeasure,
    PeakSignalNoiseRatio,
    StructuralSimilarityIndexMeasure,
)

from geneval.errors import CheckpointError
from geneval.evaluator import open_job
from geneval.extractors import pairwise as module
from geneval.extractors.extractor import FeatureExtractor, build_extractor
from geneval.extractors.lpips import LEAST as LEAST_OF_LPIPS
from geneval.extractors.lpips import Lpips, Net
from geneval.extractors.network import without_initial_values
from geneval.extractors.pairwise import LEAST
from geneval.ledger import Ledger
from geneval.run import execute
from geneval.samples.sampleset import Batch
from geneval.suite import load_suite

Images = NDArray[np.uint8]
MODELS = {"alex": torchvision.models.alexnet, "vgg": torchvision.models.vgg16}


def images(n: int, height: int, width: int, seed: int = 0) -> Images:
    """Smooth colours with grain, uint8 [n, h, w, 3]."""
    rng = np.random.default_rng(seed)
    coarse = torch.as_tensor(rng.uniform(0, 255, (n, 3, 5, 5)))
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    grain = rng.normal(0, 8, (n, height, width, 3))
    return (smooth.permute(0, 2, 3, 1).numpy() + grain).clip(0, 255).astype(np.uint8)


def spoiled(originals: Images, sigma: float = 20) -> Images:
    """The images with noise, of another strength each."""
    noise = np.random.default_rng(9).normal(0, sigma, originals.shape)
    strength = np.linspace(0.2, 1, len(originals)).reshape(-1, 1, 1, 1)
    return (originals + strength * noise).clip(0, 255).astype(np.uint8)


def rows(built: FeatureExtractor, image: Images, target: Images, layer: str) -> NDArray[Any]:
    """The rows of one layer."""
    return built(Batch.of(image=image, target=target), (layer,))[layer]


def unit(one: Images) -> torch.Tensor:
    """As torchmetrics takes images: float32 [b, 3, h, w] in 0..1."""
    return torch.as_tensor(one).permute(0, 3, 1, 2).float() / 255


@pytest.mark.parametrize("at_once", [2**19, 1])
def test_scores_are_those_of_torchmetrics_classes(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Per sample, in one piece or many, what torchmetrics' modules say of the whole batch."""
    monkeypatch.setattr(module, "PIXELS", at_once)
    target = images(4, 180, 200)
    image = spoiled(target)
    built = build_extractor("pairwise", {}, "cpu", None)
    psnr = PeakSignalNoiseRatio(data_range=1.0, reduction="none", dim=(1, 2, 3))
    peers = {
        "mse": psnr,
        "ssim": StructuralSimilarityIndexMeasure(data_range=1.0, reduction="none"),
        "ms_ssim": MultiScaleStructuralSimilarityIndexMeasure(data_range=1.0, reduction="none"),
    }
    for layer, peer in peers.items():
        found = rows(built, image, target, layer)
        expected = peer(unit(image), unit(target)).numpy()
        score = -10 * np.log10(found[:, 0]) if layer == "mse" else found[:, 0]
        np.testing.assert_allclose(score, expected, rtol=1e-5)
        assert len(set(score.round(3))) == 4
        assert found[:, 1:].tolist() == [[LEAST[layer], 180, 200, 180, 200]] * 4
        assert found.dtype == np.float32


def test_equal_images_score_best_and_all_wrong_is_worst() -> None:
    """No error and similarity 1 for an image and itself; black against white is an error of 1."""
    built, one = build_extractor("pairwise", {}, "cpu", None), images(2, 176, 180)
    black, white = np.zeros_like(one), np.full_like(one, 255)
    assert rows(built, one, one, "mse")[:, 0].tolist() == [0, 0]
    assert rows(built, black, white, "mse")[:, 0].tolist() == [1, 1]
    for layer in ("ssim", "ms_ssim"):
        assert rows(built, one, one, layer)[:, 0] == pytest.approx(1, abs=1e-6)


def test_only_the_layers_asked_for_are_made() -> None:
    """PSNR of large sets must not cost an SSIM."""
    built, one = build_extractor("pairwise", {}, "cpu", None), images(1, 8, 8)
    assert set(built(Batch.of(image=one, target=one), ("mse",))) == {"mse"}


@pytest.mark.parametrize(
    ("layer", "least", "peer"),
    [
        ("ssim", 6, structural_similarity_index_measure),
        ("ms_ssim", 176, multiscale_structural_similarity_index_measure),
    ],
)
def test_the_least_side_is_torchmetrics_own(layer: str, least: int, peer: Any) -> None:
    """At the least side there is a score; one pixel less is a row without, and an error there."""
    built = build_extractor("pairwise", {}, "cpu", None)
    enough, small = images(1, least, least + 3), images(1, least - 1, least + 3)
    assert rows(built, enough, enough, layer)[0, 0] == pytest.approx(1, abs=1e-6)
    assert rows(built, small, small, layer)[0].tolist() == [0, least, *small.shape[1:3] * 2]
    with pytest.raises((RuntimeError, ValueError)):
        peer(unit(small), unit(small), data_range=1.0)


def test_unequal_sizes_give_rows_that_say_so() -> None:
    """There is no score, and both sizes stand in the row, height first."""
    built = build_extractor("pairwise", {}, "cpu", None)
    for layer, least in LEAST.items():
        found = rows(built, images(2, 20, 30), images(2, 20, 31), layer)
        assert found.tolist() == [[0, least, 20, 30, 20, 31]] * 2


def test_the_precision_of_the_process_is_left_alone() -> None:
    """Comparing switches reduced precision off for its own time only."""
    before = torch.backends.cudnn.allow_tf32
    test_equal_images_score_best_and_all_wrong_is_worst()
    assert torch.backends.cudnn.allow_tf32 == before


@pytest.fixture(scope="session")
def twins(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Random weights of AlexNet and VGG-16 in torchvision's layout, healthy in all layers."""
    found = {}
    for net, build in MODELS.items():
        with without_initial_values():
            model = build(weights=None)
        draw = torch.Generator().manual_seed(3)
        state = {}
        for name, tensor in model.state_dict().items():
            if name.startswith("classifier"):
                state[name] = torch.zeros(1)  # it is in the published file, and nothing reads it
            elif name.endswith("weight"):
                drawn = torch.randn(tensor.shape, generator=draw)
                state[name] = drawn * (2 / tensor[0].numel()) ** 0.5
            else:
                state[name] = torch.zeros(tensor.shape)
        found[net] = tmp_path_factory.mktemp("lpips") / f"lpips-{net}.pth"
        torch.save(state, found[net])
    return found


@pytest.fixture(params=["alex", "vgg"])
def twin(request: pytest.FixtureRequest, twins: dict[str, Path]) -> tuple[Net, Lpips]:
    """A backbone's name and the extractor with random weights for it."""
    built = build_extractor(f"lpips-{request.param}", {}, "cpu", twins[request.param])
    assert isinstance(built, Lpips)
    return request.param, built


def test_lpips_is_torchmetrics_with_the_same_backbone(
    twin: tuple[Net, Lpips], twins: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """torchmetrics' own class, given these weights as torchvision's, says the same distances."""
    net, built = twin
    build = MODELS[net]

    def pretrained(weights: Any) -> torch.nn.Module:
        model = build(weights=None)
        state = torch.load(twins[net])
        model.features.load_state_dict(
            {k[9:]: v for k, v in state.items() if k.startswith("features.")}
        )
        return model

    monkeypatch.setattr(torchvision.models, build.__name__, pretrained)
    peer = LearnedPerceptualImagePatchSimilarity(net_type=net, normalize=True)
    target = images(3, 64, 48)
    image = spoiled(target, 40)
    found = rows(built, image, target, "lpips")
    expected = [
        float(peer(unit(image[i : i + 1]), unit(target[i : i + 1])).detach()) for i in range(3)
    ]
    assert min(expected) > 1e-4
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-4)
    assert found[:, 1:].tolist() == [[LEAST_OF_LPIPS[net], 64, 48, 64, 48]] * 3


def test_lpips_is_the_authors_package(twin: tuple[Net, Lpips], twins: dict[str, Path]) -> None:
    """The package `lpips`: images as it prepares them, in −1..1."""
    import lpips

    net, built = twin
    peer = lpips.LPIPS(net=net, pnet_rand=True, verbose=False)
    state = torch.load(twins[net])
    names = {name: f"features.{name.split('.', 1)[1]}" for name in peer.net.state_dict()}
    peer.net.load_state_dict({name: state[there] for name, there in names.items()})
    target = images(3, 64, 80, seed=1)
    image = spoiled(target, 40)
    with torch.inference_mode():
        sides = [torch.cat([lpips.im2tensor(one) for one in side]) for side in (image, target)]
        expected = peer(*sides).flatten().numpy()
    np.testing.assert_allclose(rows(built, image, target, "lpips")[:, 0], expected, rtol=1e-4)


def test_lpips_of_an_image_and_itself_is_0(twin: tuple[Net, Lpips]) -> None:
    """It grows with the noise; at the least side there is a distance, below it none."""
    net, built = twin
    one = np.repeat(images(1, 40, 40), 3, axis=0)
    assert rows(built, one, one, "lpips")[:, 0].tolist() == [0, 0, 0]
    assert np.all(np.diff(rows(built, spoiled(one, 60), one, "lpips")[:, 0]) > 0)
    least = LEAST_OF_LPIPS[net]
    enough, small = images(2, least, least), images(2, least - 1, 40)
    assert rows(built, enough[:1], enough[1:], "lpips")[0, 0] > 0
    assert rows(built, small, small, "lpips")[0].tolist() == [
        0,
        least,
        least - 1,
        40,
        least - 1,
        40,
    ]
    with pytest.raises(RuntimeError):
        built.loaded()(unit(small), unit(small))


def test_lpips_says_what_it_is(twin: tuple[Net, Lpips]) -> None:
    """Unpublished weights are a caution; a pickled extractor leaves the network behind."""
    net, built = twin
    assert (built.identity["ext"], built.identity["linear"]) == (f"lpips-{net}", "0.1")
    assert "are not the published ones" in built.notes[0]
    built.loaded()
    again = pickle.loads(pickle.dumps(built))
    assert again._net is None
    assert again.identity == built.identity


def test_a_file_of_another_network_is_refused(twins: dict[str, Path]) -> None:
    """VGG's weights are not AlexNet's, and a tensor that lacks is named."""
    with pytest.raises(CheckpointError, match="holds no weights of lpips-alex"):
        Lpips("alex", "cpu", twins["vgg"]).loaded()


def test_a_suite_chooses_the_network_by_an_option(twins: dict[str, Path], ledger: Ledger) -> None:
    """`lpips: {net: vgg}` runs `lpips-vgg` alone, and says so in the signature."""
    target = images(4, 40, 40)
    image = spoiled(target)
    suite = load_suite("lpips", ["metrics.lpips.net=vgg", f"weights.lpips-vgg={twins['vgg']}"])
    value = execute(open_job(suite, ledger, samples=image, reference=target)).result["lpips"]
    expected = rows(Lpips("vgg", "cpu", twins["vgg"]), image, target, "lpips")[:, 0]
    assert value.number == pytest.approx(expected.mean(), rel=1e-5)
    signature = dict(value.signature.fields)
    assert (signature["ext"], signature["net"]) == ("lpips-vgg", "vgg")
