"""The probes of latents, on a linear generator where sensitivity and attack have closed forms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from geneval.errors import UsageError
from geneval.evaluator import evaluate, open_job
from geneval.examples.digits.demo import FOLDER
from geneval.examples.digits.generator import load
from geneval.extractors.extractor import build_extractor
from geneval.ledger import Ledger
from geneval.result import Result
from geneval.run import execute
from geneval.samples.requests import RequestSet
from geneval.suite import load_suite

N, WIDTH, PIXELS = 30, 6, 3 * 4 * 4
MODEL = """
import numpy as np
import torch
from geneval.checkpoint import Generator

WEIGHTS = torch.as_tensor(np.random.default_rng(3).normal(size=(6, 48))).float()

def images(latent, batch):
    return (0.5 + 0.001 * latent @ WEIGHTS).reshape(-1, 3, 4, 4)

def generate(batch):
    return images(torch.as_tensor(np.stack(batch.columns["latent"])), batch)

def linear(path, device):
    return Generator(generate, latent=(6,), forward=images)

def without_slope(path, device):
    return Generator(generate, latent=(6,))

def quantised(path, device):
    return Generator(lambda b: (generate(b) * 255).round().to(torch.uint8), latent=(6,))
"""
WEIGHTS = 0.001 * np.random.default_rng(3).normal(size=(WIDTH, PIXELS))
SCALE = np.sqrt(WIDTH / PIXELS)  # from lengths to root mean squares of both sides


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint whose images are a linear map of their latents."""
    (tmp_path / "linear_model.py").write_text(MODEL)
    monkeypatch.syspath_prepend(str(tmp_path))
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"")
    return path


def measured(model: Path, metric: str, probe: str = "", adapter: str = "linear") -> Result:
    """A metric of the model with options of its probe."""
    settings = [f"generate.n={N}"]
    settings += [f"metrics.{metric}.extractor={{{probe}}}"] if probe else []
    job = open_job(
        load_suite(metric, settings),
        Ledger(model.parent / "cache"),
        checkpoint=model,
        adapter=f"linear_model:{adapter}",
    )
    return execute(job).result


def test_sensitivity_of_a_linear_map(model: Path) -> None:
    """It lies below the largest singular value, and on average at the Frobenius norm.

    With ‖u‖² = d the mean of ‖Wu‖² over directions is ‖W‖²_F, so that the root mean square of the
    pixels is ‖W‖_F / √pixels; the mean of a norm lies a little below the root of the mean square.
    """
    found = measured(
        model, "latent_sensitivity", "name: latent-sensitivity, step: 0.1, directions: 40"
    )
    bound = SCALE * np.linalg.norm(WEIGHTS, ord=2)
    typical = np.linalg.norm(WEIGHTS) / np.sqrt(PIXELS)
    mean, largest = (
        found[one].number for one in ("latent_sensitivity", "latent_sensitivity.largest")
    )
    assert mean is not None
    assert largest is not None
    assert 0.93 * typical < mean < typical
    assert 0.95 * bound < largest < bound * (1 + 1e-3)


def test_the_step_does_not_matter_to_a_linear_map(model: Path) -> None:
    """A rate per unit of noise: steps of 0.05 and 0.5 measure the same."""
    small, large = (
        measured(model, "latent_sensitivity", f"name: latent-sensitivity, step: {step}")
        for step in (0.05, 0.5)
    )
    one, other = (r["latent_sensitivity"].number for r in (small, large))
    assert one == pytest.approx(other, rel=1e-3)


def test_attack_on_a_linear_map(model: Path) -> None:
    """Ascent reaches ε times the largest singular value; chance stays at the typical one."""
    found = measured(model, "latent_attack", "name: latent-attack, eps: [0.1, '1/2'], steps: 60")
    bound = SCALE * np.linalg.norm(WEIGHTS, ord=2)
    typical = np.linalg.norm(WEIGHTS) / np.sqrt(PIXELS)
    for eps, name in ((0.1, "0.1"), (0.5, "1/2")):
        attack, chance, advantage = (
            found[f"latent_attack{part}[eps={name}]"].number
            for part in ("", ".chance", ".advantage")
        )
        assert attack == pytest.approx(eps * bound, rel=1e-2)
        assert attack <= eps * bound * (1 + 1e-4)  # type: ignore[operator]
        assert chance == pytest.approx(eps * typical, rel=0.1)
        assert advantage == pytest.approx(attack / chance)  # type: ignore[operator]


def test_generators_that_do_not_serve(model: Path) -> None:
    """Bytes have no small steps, and an adapter without `forward` no gradient: both are told."""
    told = measured(model, "latent_sensitivity", adapter="quantised")["latent_sensitivity"].problem
    assert "let generate return floats" in str(told)
    told = measured(model, "latent_attack", adapter="without_slope")["latent_attack"].problem
    assert "let it return geneval.Generator(forward=…)" in str(told)
    with pytest.raises(UsageError, match="needs the field 'latent'"):
        evaluate("latent_sensitivity", samples=np.zeros((12, 8, 8, 3), dtype=np.uint8))
    with pytest.raises(UsageError, match="distance generation-cost: give pixels"):
        build_extractor("latent-sensitivity", {"distance": "generation-cost"}, "cpu", None)


def test_radii_that_are_not_asked_for(model: Path) -> None:
    """A gate on another ε is refused before any work."""
    with pytest.raises(UsageError, match=r"unknown eps '0\.3'"):
        open_job(
            load_suite("latent_attack", ['gates=["latent_attack[eps=0.3] <= 1"]']),
            Ledger(model.parent / "cache"),
            checkpoint=model,
            adapter="linear_model:linear",
        )


def test_the_digits_generator_has_a_gradient() -> None:
    """Its differentiable way gives the images of the usual one; without latents it has none."""
    made = load(FOLDER / "step-004000.safetensors", "cpu", latents=True)
    batch = RequestSet(6, 0, made.classes, latent=made.latent)
    requests = batch.read(batch.ids)
    z = torch.as_tensor(np.stack(requests.columns["latent"])).requires_grad_()
    assert made.forward is not None
    images = made.forward(z, requests)
    assert torch.allclose(images, made.generate(requests), atol=1e-6)
    (slope,) = torch.autograd.grad(images.sum(), z)
    assert (slope.flatten(1).abs().sum(1) > 0).all()
    plain = load(FOLDER / "step-004000.safetensors", "cpu")
    assert (plain.latent, plain.forward) == (None, None)


def test_distance_in_features_of_the_classifier(tmp_path: Path) -> None:
    """The features of `digits` are a distance too, and part of the signature."""
    suite = load_suite(
        "latent_sensitivity",
        [
            "generate={adapter: digits, n: 12, options: {latents: true}}",
            "metrics.latent_sensitivity.extractor={name: latent-sensitivity, distance: digits}",
        ],
    )
    found = evaluate(suite, checkpoint=FOLDER / "step-004000.safetensors")["latent_sensitivity"]
    assert found.number is not None
    assert found.number > 1
    assert dict(found.signature.fields)["distance"] == "digits"
