"""geneval.probes.path_length: a checkpoint's own latents, as floats, against torchmetrics."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torchmetrics.functional.image import perceptual_path_length as peer
from torchmetrics.functional.image.lpips import _LPIPS

from geneval.data import Features
from geneval.errors import UsageError
from geneval.evaluator import open_job
from geneval.extractors.network import without_initial_values
from geneval.ledger import Ledger
from geneval.metric import Undefined
from geneval.metrics.robustness.perceptual_path_length import perceptual_path_length
from geneval.probes.path_length import between
from geneval.resample import Context
from geneval.run import execute
from geneval.samples.requests import latent_of, request_seed
from geneval.suite import load_suite
from geneval.value import Value

N, WIDTH = 30, 6

MODEL = """
import numpy as np
import torch
from geneval.checkpoint import Generator

WEIGHTS = torch.as_tensor(np.random.default_rng(3).normal(size=(6, 3 * 20 * 20))).float()

def images(latent):
    return torch.sigmoid(0.3 * latent @ WEIGHTS).reshape(-1, 3, 20, 20)

def floats(path, device):
    def generate(batch):
        return images(torch.as_tensor(np.stack(batch.columns["latent"])))
    return Generator(generate, latent=(6,))

def quantised(path, device):
    def generate(batch):
        made = images(torch.as_tensor(np.stack(batch.columns["latent"])))
        return (made * 255).round().to(torch.uint8)
    return Generator(generate, latent=(6,))
"""


@pytest.fixture(scope="session")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of VGG-16's convolutions in torchvision's layout."""
    with without_initial_values():
        net = _LPIPS(net="vgg", pnet_rand=True)
    path, draw = tmp_path_factory.mktemp("vgg") / "lpips-vgg.pth", torch.Generator().manual_seed(0)
    tensors: dict[str, torch.Tensor] = {}
    for name, tensor in net.net.state_dict().items():
        value = torch.randn(tensor.shape, generator=draw)
        scale = (2 / value[0].numel()) ** 0.5 if value.ndim > 1 else 0.1
        tensors[f"features.{name.split('.', 1)[1]}"] = value * scale
    torch.save(tensors, path)
    return path


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backbone: Path) -> Path:
    """A checkpoint whose adapters `small_model:floats` and `small_model:quantised` take latents."""
    (tmp_path / "small_model.py").write_text(MODEL)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("GENEVAL_WEIGHTS", str(backbone.parent))
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"")
    return path


def measured(model: Path, ledger: Ledger, adapter: str = "floats", **probe: Any) -> Value:
    """The path length of the model with options of the probe."""
    settings = [f"generate.n={N}"]
    if probe:
        chosen = ", ".join(f"{name}: {value}" for name, value in probe.items())
        entry = f"{{name: path-length, {chosen}}}"
        settings.append(f"metrics.perceptual_path_length.extractor={entry}")
    suite = load_suite("perceptual_path_length", settings)
    job = open_job(suite, ledger, checkpoint=model, adapter=f"small_model:{adapter}")
    return execute(job).result["perceptual_path_length"]


def latents(other: bool = False) -> NDArray[np.float32]:
    """The requests' latents, or the ones that each of them steps towards."""
    seeds = [request_seed(0, f"{i:08d}") for i in range(N)]
    if other:
        seeds = [request_seed(seed, "path") for seed in seeds]
    return np.stack([latent_of(seed, (WIDTH,)) for seed in seeds])


class Peer(torch.nn.Module):
    """The same generator as torchmetrics wants it; its two draws are our latents."""

    def __init__(self, place: Path) -> None:
        super().__init__()
        scope: dict[str, Any] = {}
        exec((place / "small_model.py").read_text(), scope)
        self.images = scope["images"]
        self.draws = iter([latents(), latents(other=True)])

    def sample(self, num_samples: int) -> torch.Tensor:
        """One side's latents."""
        return torch.as_tensor(next(self.draws))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Images in 0..255."""
        found: torch.Tensor = 255 * self.images(z)
        return found


@pytest.mark.parametrize("side", [64, 16])
def test_it_is_torchmetrics_path_length(
    model: Path, ledger: Ledger, backbone: Path, side: int
) -> None:
    """Equal latents, weights, step and resize give torchmetrics' number, growing and shrinking."""
    net = _LPIPS(net="vgg", pnet_rand=True, resize=side)
    ours = torch.load(backbone, weights_only=True)
    renamed = {n: ours[f"features.{n.split('.', 1)[1]}"] for n in net.net.state_dict()}
    net.net.load_state_dict(renamed)
    expected, _, each = peer(Peer(model.parent), N, resize=None, sim_net=net.eval(), epsilon=1e-2)
    found = measured(model, ledger, epsilon=0.01, side=side)
    assert len(each) < N  # the ends were cut off
    assert found.number == pytest.approx(float(expected), rel=2e-3)
    assert dict(found.signature.fields)["epsilon"] == 0.01


def test_bytes_are_refused(model: Path, ledger: Ledger) -> None:
    """A generator that rounds to bytes has no path length at this step, and is told why."""
    found = measured(model, ledger, "quantised")
    assert found.number is None
    assert "let generate return floats" in str(found.problem)


def test_ways_between_latents() -> None:
    """Linear points lie on the chord, spherical ones on the circle; both start at the first."""
    a = np.array([[1.0, 0.0], [0.0, 2.0]], np.float32)
    b = np.array([[0.0, 1.0], [2.0, 0.0]], np.float32)
    half = np.full(2, 0.5)
    np.testing.assert_allclose(between(a, b, half, "lerp"), [[0.5, 0.5], [1.0, 1.0]])
    root = 2**-0.5
    np.testing.assert_allclose(
        between(a, b, half, "slerp"), [[root, root], [2 * root, 2 * root]], rtol=1e-6
    )
    for how in ("lerp", "slerp"):
        assert np.array_equal(between(a, b, np.zeros(2), how), a)  # type: ignore[arg-type]


@pytest.mark.parametrize("choice", [{"interpolation": "slerp"}, {"sampling": "full"}])
def test_choices_change_the_number(model: Path, ledger: Ledger, choice: Mapping[str, str]) -> None:
    """Each choice is part of the signature and of what is remembered."""
    plain, other = measured(model, ledger), measured(model, ledger, **choice)
    assert plain.number != other.number
    ((name, value),) = choice.items()
    assert dict(other.signature.fields)[name] == value


def test_its_weights_are_those_of_lpips(
    model: Path, ledger: Ledger, backbone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A suite gives them as `lpips-vgg`."""
    monkeypatch.delenv("GENEVAL_WEIGHTS")
    suite = load_suite("perceptual_path_length", [f"weights.lpips-vgg={backbone}"])
    open_job(suite, ledger, checkpoint=model, adapter="small_model:floats")


def test_samples_have_no_latents(ledger: Ledger, rng: np.random.Generator, model: Path) -> None:
    """Samples without a checkpoint are refused before any work."""
    suite = load_suite("perceptual_path_length")
    images = rng.integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
    with pytest.raises(UsageError, match="needs the field 'latent' of every generated sample"):
        open_job(suite, ledger, samples=images)


def test_the_trimmed_mean_and_its_interval() -> None:
    """The interval of a trimmed mean covers its population value in 95 % of draws."""
    rng, inside = np.random.default_rng(0), 0
    ids = tuple(map(str, range(400)))
    draws = np.sort(rng.lognormal(0, 1, 4_000_000))
    truth = draws[len(draws) // 10 : -len(draws) // 10].mean()
    for _ in range(300):
        x = np.stack([rng.lognormal(0, 1, 400), np.ones(400)], axis=1)
        (found,) = perceptual_path_length(Features(ids, x), Context(), trim=0.1)
        assert found.interval is not None
        inside += found.interval.low <= truth <= found.interval.high
    assert 0.91 <= inside / 300 <= 0.98
    with pytest.raises(Undefined, match="leaves nothing"):
        perceptual_path_length(Features(ids, x), Context(), trim=0.5)
