"""geneval.extractors: the published networks, with random weights in their published layouts."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from numpy.typing import NDArray
from PIL import Image
from torch_fidelity.feature_extractor_vgg16 import FeatureExtractorVGG16
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize

from geneval.data import LabelSpace
from geneval.errors import CheckpointError, UsageError
from geneval.extractors import weights
from geneval.extractors.clip import Clip
from geneval.extractors.dinov2 import network as dinov2_network
from geneval.extractors.dinov2 import scaled_positions
from geneval.extractors.extractor import all_extractors, build_extractor, layer_of, weights_name
from geneval.extractors.network import NetworkExtractor, without_initial_values
from geneval.extractors.preprocess import resized
from geneval.ledger import file_digest
from geneval.samples.sampleset import Batch

Pictures = Callable[[int, int], list[NDArray[np.uint8]]]
OTHERS = (
    "digits",
    "pixels",
    "pairwise",
    "image-statistics",
    "generation-cost",
    "char-ngrams",
    "perceptual-hash",
)
OTHERS += ("adversarial", "latent-sensitivity", "latent-attack")  # probes of what others load
WITH_WEIGHTS = [n for n in all_extractors() if n not in OTHERS]
NETWORKS = [n for n in WITH_WEIGHTS if not n.startswith(("lpips-", "path-"))]


def built(name: str, path: Path, **options: Any) -> NetworkExtractor:
    """The extractor of that name with a weights file."""
    found = build_extractor(name, options, "cpu", path)
    assert isinstance(found, NetworkExtractor)
    return found


def randomised(net: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """The network with small random weights from a seed."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        for tensor in (*net.parameters(), *net.buffers()):
            if tensor.is_floating_point():
                tensor.copy_(torch.randn(tensor.shape) * 0.03)
    return net.eval()


def through_pillow(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Pillow's bicubic, width first, as `Image.resize` goes up to version 12."""
    wide = Image.fromarray(image).resize((width, image.shape[0]), Image.Resampling.BICUBIC)
    return np.asarray(wide.resize((width, height), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("name", NETWORKS)
def test_layers_are_as_wide_as_declared(name: str, tmp_path: Path) -> None:
    """Every network gives the layers it declares for images of its own size (on no device)."""
    path = tmp_path / "empty.pth"
    path.touch()
    mine = built(name, path)
    with torch.device("meta"):
        net = mine.network.build().eval()
        made = dict(net(torch.empty(2, 3, mine.network.side, mine.network.side)))
        if isinstance(mine, Clip):
            made["text"] = net.encode_text(torch.zeros(2, 77, dtype=torch.long))  # type: ignore[operator]
            made |= {"source_image": made["image"], "source_text": made["text"]}
    assert {k: tuple(v.shape) for k, v in made.items()} == {
        layer: (2, spec.width) for layer, spec in mine.layers.items()
    }
    assert all_extractors()[name].documentation


def test_dino_is_pillows_bicubic(pictures: Pictures) -> None:
    """Preset `dino` gives Pillow's bytes but for ties of rounding: one in a thousand by 1."""
    for image in pictures(1, 5):
        mine = resized(torch.as_tensor(image[None]), 224, "dino")[0].permute(1, 2, 0).numpy()
        apart = np.abs(mine - through_pillow(image, 224, 224))
        assert apart.max() <= 1
        assert (apart > 0).mean() < 1e-3


def test_clip_is_torchvisions_resize_and_crop(pictures: Pictures) -> None:
    """Preset `clip` gives the bytes of the transform that open_clip makes, but for such ties."""
    transform = Compose([Resize(224, InterpolationMode.BICUBIC), CenterCrop(224)])
    for image in pictures(1, 5):
        mine = resized(torch.as_tensor(image[None]), 224, "clip")[0].permute(1, 2, 0).numpy()
        height, width = image.shape[:2]
        if height > width:  # where Pillow 13 may begin with the height
            expected = through_pillow(image, int(224 * height / width), 224)
            expected = np.asarray(CenterCrop(224)(Image.fromarray(expected)))
        else:
            expected = np.asarray(transform(Image.fromarray(image)))
        apart = np.abs(mine - expected)
        assert apart.max() <= 1
        assert (apart > 0).mean() < 1e-3


@pytest.fixture(scope="session")
def vgg_twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of VGG-16 in torchvision's layout."""
    with without_initial_values():
        net = torchvision.models.vgg16()
    path = tmp_path_factory.mktemp("vgg") / "vgg16.pth"
    torch.save(randomised(net).state_dict(), path)
    return path


def test_vgg16_is_torch_fidelitys(vgg_twin: Path, pictures: Pictures) -> None:
    """The same images and weights give torch-fidelity's features."""
    peer = FeatureExtractorVGG16("vgg16", ["fc2_relu"], str(vgg_twin))
    mine = built("vgg16", vgg_twin)
    for image in pictures(1, 3):
        with torch.inference_mode():
            (expected,) = peer(torch.as_tensor(image[None]).permute(0, 3, 1, 2))
        found = mine.of_images(image[None])["fc2_relu"]
        assert found.shape == (1, 4096)
        assert np.abs(expected.numpy()).max() > 0
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * float(expected.max()))


@pytest.fixture(scope="session")
def dino_twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of DINOv2's ViT-S/14 in its own layout: a grid of 37 x 37, a mask token."""
    tensors = dict(randomised(dinov2_network("vit_small_patch14_dinov2")).state_dict())
    grid = torch.randn(1, 1 + 37 * 37, 384, generator=torch.Generator().manual_seed(1))
    tensors |= {"pos_embed": grid * 0.03, "mask_token": torch.zeros(1, 384)}
    tensors |= {name: torch.ones(384) for name in tensors if name.endswith("gamma")}
    path = tmp_path_factory.mktemp("dino") / "dinov2-vits14.pth"
    torch.save(tensors, path)
    return path


def test_dinov2_takes_its_own_file(dino_twin: Path, pictures: Pictures) -> None:
    """The class token, after the published preparation; the preset says which."""
    mine = built("dinov2-vits14", dino_twin)
    assert (mine.identity["resize"], mine.notes != ()) == ("dino", True)
    (image,) = pictures(1, 1)
    net = mine.loaded()
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    pixels = (through_pillow(image, 224, 224) / 255 - mean) / std
    with torch.inference_mode():
        prepared = torch.as_tensor(pixels, dtype=torch.float32).permute(2, 0, 1)[None]
        expected = net.forward_features(prepared)[:, 0]  # type: ignore[operator]
    found = mine.of_images(image[None])["cls"]
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)
    other = built("dinov2-vits14", dino_twin, preset="tf1").of_images(image[None])["cls"]
    assert np.abs(other - found).max() > 2e-4


def test_positions_are_scaled_as_dinov2_does(rng: np.random.Generator) -> None:
    """Cubic convolution (a = −0.75) at DINOv2's scale of 16.1 / 37, written out along one axis."""
    row = rng.normal(size=37)
    grid = torch.as_tensor(np.tile(row, (37, 1)), dtype=torch.float32)
    positions = torch.cat([torch.full((1, 1, 1), 9.0), grid.reshape(1, -1, 1)], dim=1)
    found = scaled_positions(positions)
    assert found.shape == (1, 257, 1)
    assert found[0, 0, 0] == 9.0

    def kernel(t: float, a: float = -0.75) -> float:
        t = abs(t)
        near, far = (a + 2) * t**3 - (a + 3) * t**2 + 1, a * (t**3 - 5 * t**2 + 8 * t - 4)
        return near if t <= 1 else far if t < 2 else 0.0

    for i in range(16):
        at = (i + 0.5) * 37 / 16.1 - 0.5
        taps = range(int(np.floor(at)) - 1, int(np.floor(at)) + 3)
        expected = sum(kernel(at - t) * row[min(max(t, 0), 36)] for t in taps)
        assert found[0, 1 + 16 * 5 + i, 0] == pytest.approx(expected, abs=1e-4)


@pytest.fixture(scope="session")
def sscd_twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of SSCD's ResNet-50 under the names of the authors' torchvision file."""
    with without_initial_values():
        net = torchvision.models.resnet50(num_classes=512)
    tensors = randomised(net).state_dict()
    tensors |= {name: one.abs() + 0.1 for name, one in tensors.items() if "running_var" in name}
    path = tmp_path_factory.mktemp("sscd") / "sscd_disc_mixup.torchvision.pt"
    torch.save({f"backbone.{name}": one for name, one in tensors.items()}, path)
    return path


def test_sscd_is_generalised_mean_pooling_of_a_resnet(sscd_twin: Path, pictures: Pictures) -> None:
    """Torchvision's own network up to its pooling, then the paper's formula, written out."""
    mine = built("sscd", sscd_twin)
    assert (mine.identity["resize"], mine.identity["ext"]) == ("antialias", "sscd")
    peer = torchvision.models.resnet50(num_classes=512).eval()
    file = torch.load(sscd_twin, weights_only=True)
    peer.load_state_dict({name.removeprefix("backbone."): one for name, one in file.items()})
    trunk = torch.nn.Sequential(*list(peer.children())[:-2])
    (image,) = pictures(1, 1)
    resize = Compose([Resize([288, 288], antialias=True)])
    pixels = resize(torch.as_tensor(image).permute(2, 0, 1).float()) / 255
    mean, std = (
        torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    with torch.inference_mode():
        places = trunk(((pixels - mean) / std)[None])[0].flatten(1).double()
        pooled = (places.clamp(min=1e-6) ** 3).mean(1) ** (1 / 3)
        made = peer.fc.weight.double() @ pooled + peer.fc.bias.double()
    found = mine.of_images(image[None])["descriptor"][0]
    assert np.linalg.norm(found) == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(found, (made / made.norm()).numpy(), rtol=0, atol=1e-5)


def test_sscd_takes_no_other_networks_file(vgg_twin: Path, pictures: Pictures) -> None:
    """A file of other weights is refused with the first name that does not fit."""
    with pytest.raises(CheckpointError, match="holds no weights of sscd"):
        built("sscd", vgg_twin).of_images(pictures(1, 1)[0][None])


@pytest.fixture(scope="session")
def clip_twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of CLIP ViT-B/32 in open_clip's layout."""
    import open_clip

    with without_initial_values():
        net = open_clip.create_model("ViT-B-32-quickgelu", pretrained=None)
    path = tmp_path_factory.mktemp("clip") / "clip-vit-b-32.pth"
    torch.save(randomised(net).state_dict(), path)
    return path


def test_clip_is_open_clips(clip_twin: Path, pictures: Pictures) -> None:
    """Images through open_clip's own transform and texts through its tokenizer: its embeddings."""
    import open_clip

    with without_initial_values():
        net, _, transform = open_clip.create_model_and_transforms("ViT-B-32-quickgelu")
    net.load_state_dict(torch.load(clip_twin, weights_only=True))
    tokens = open_clip.get_tokenizer("ViT-B-32-quickgelu")
    images = [image for image in pictures(1, 5) if image.shape[0] <= image.shape[1]]
    texts = ["a cat", "a Dog on a mat", "a cat", "x" * 400]
    with torch.inference_mode():
        seen = net.eval().encode_image(torch.stack([transform(Image.fromarray(i)) for i in images]))
        read = net.encode_text(tokens(texts))
    mine = built("clip-vit-b-32", clip_twin)
    assert isinstance(mine, Clip)
    for image, row in zip(images, seen, strict=True):
        found = mine(Batch.of(image=image[None]), ("image",))["image"][0]
        np.testing.assert_allclose(found, row, rtol=1e-3, atol=1e-3 * float(row.abs().max()))
    made = mine(Batch.of(prompt=texts), ("text",))
    assert set(made) == {"text"}  # no image, no image tower
    np.testing.assert_allclose(made["text"], read, rtol=1e-4, atol=1e-4)
    assert np.array_equal(made["text"][0], made["text"][2])


def test_edits_have_four_layers(clip_twin: Path, rng: np.random.Generator) -> None:
    """Source image and source prompt go through the same towers."""
    mine = built("clip-vit-b-32", clip_twin)
    a, b = rng.integers(0, 256, (2, 1, 40, 40, 3), dtype=np.uint8)
    batch = Batch.of(image=a, source_image=b, prompt=["a"], source_prompt=["b"])
    made = mine(batch, tuple(mine.layers))
    other = mine(Batch.of(image=b, prompt=["b"]), ("image", "text"))
    assert np.array_equal(made["source_image"], other["image"])
    assert np.array_equal(made["source_text"], other["text"])
    assert not np.array_equal(made["image"], made["source_image"])


def test_clip_is_a_classifier_of_the_classes_it_is_given(
    clip_twin: Path, rng: np.random.Generator
) -> None:
    """Logits are open_clip's: exp(logit_scale) times the cosines with the classes' texts."""
    images = rng.integers(0, 256, (3, 40, 40, 3), dtype=np.uint8)
    classes = {"0": "cat", "1": "Dog on a mat"}
    mine = built("clip-vit-b-32", clip_twin, classes=classes)
    assert mine.labels == LabelSpace(("0", "1"))
    assert layer_of(mine, "logits") == "logits"
    found = mine(Batch.of(image=images), ("logits",))
    texts = ["a photo of a cat.", "a photo of a Dog on a mat."]
    towers = built("clip-vit-b-32", clip_twin)
    made = towers(Batch.of(image=images, prompt=texts[:1] * 2 + texts[1:]), ("image", "text"))
    image, text = (torch.as_tensor(made[name]).double() for name in ("image", "text"))
    cosines = torch.nn.functional.cosine_similarity(image[:, None], text[None, 1:], dim=2)
    scale = torch.load(clip_twin, weights_only=True)["logit_scale"].double().exp()
    np.testing.assert_allclose(found["logits"], scale * cosines, rtol=1e-4)
    assert "Dog on a mat" in str(mine.identity["classes"])
    assert towers.labels is None
    assert "classes" not in towers.identity
    again = pickle.loads(pickle.dumps(mine))
    assert np.array_equal(again(Batch.of(image=images), ("logits",))["logits"], found["logits"])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"classes": ["cat", "cat"]}, "at least two, each once"),
        ({"classes": ["cat"]}, "at least two, each once"),
        ({"classes": ["cat", "dog"], "template": "a photo"}, "has no {}"),
    ],
)
def test_classes_of_clip_must_make_sense(
    clip_twin: Path, options: dict[str, Any], told: str
) -> None:
    """What cannot be asked is refused before any image is read."""
    with pytest.raises(UsageError, match=told):
        built("clip-vit-b-32", clip_twin, **options)


class Scripted(torch.nn.Module):
    """Tensors in a TorchScript archive, as OpenAI publishes CLIP."""

    def __init__(self, tensors: Mapping[str, torch.Tensor]) -> None:
        super().__init__()
        self.visual = torch.nn.Linear(1, 1)
        self.register_buffer("input_resolution", torch.tensor(224))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Something."""
        return self.visual(x)


def test_scripts_are_read_only_when_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A TorchScript archive can run code: only the file with the published digest is opened."""
    path = tmp_path / "clip.pt"
    torch.jit.save(torch.jit.script(Scripted({})), path)  # type: ignore[no-untyped-call]
    mine = built("clip-vit-b-32", path)
    with pytest.raises(CheckpointError, match="is a TorchScript archive, which can run code"):
        mine.loaded()
    known = weights.Published("https://example.org/clip.pt", file_digest(path))
    monkeypatch.setitem(weights.PUBLISHED, "clip-vit-b-32", known)  # type: ignore[arg-type]
    with pytest.raises(CheckpointError, match="it lacks"):  # it is opened, and is another network's
        mine.loaded()


def test_any_model_of_timm(tmp_path: Path, pictures: Pictures) -> None:
    """`timm:NAME` gives timm's features before the classifier, from timm's own weights file."""
    import timm

    net = randomised(timm.create_model("resnet18"))
    path = tmp_path / "resnet18.pth"
    torch.save(net.state_dict(), path)
    mine = built("timm:resnet18", path)
    assert mine.identity["ext"] == "timm:resnet18"
    assert mine.layers["features"].width == 512
    (image,) = pictures(1, 1)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    pixels = torch.as_tensor((through_pillow(image, 224, 224) / 255 - mean) / std).float()
    with torch.inference_mode():
        features = net.forward_features(pixels.permute(2, 0, 1)[None])  # type: ignore[operator]
        expected = net.forward_head(features, pre_logits=True)  # type: ignore[operator]
    found = mine.of_images(image[None])["features"]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_timm_needs_a_model_it_knows() -> None:
    """A slip in the name is an error with the nearest model; absent weights say what to do."""
    with pytest.raises(UsageError, match="did you mean 'resnet18'"):
        build_extractor("timm:resnet1818", {}, "cpu", None)
    with pytest.raises(UsageError, match="geneval weights add timm:resnet18 PATH"):
        build_extractor("timm:resnet18", {}, "cpu", None)


@pytest.mark.parametrize("name", [n for n in WITH_WEIGHTS if weights_name(n, {}) == n])
def test_absent_weights_say_what_to_do(name: str) -> None:
    """Without weights and network one error names the places, the command and the suite's key."""
    with pytest.raises(UsageError) as told:
        build_extractor(name, {}, "cpu", None)
    for part in ("looked in", f"weights add {name}", f"{{{name}: PATH}}"):
        assert part in str(told.value)
    assert (f"weights pull {name}" in str(told.value)) == (name in weights.PUBLISHED)
