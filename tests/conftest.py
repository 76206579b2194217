"""What every test shares: a ledger of its own, and the digits as real data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from geneval.evaluator import open_job
from geneval.examples.digits.data import Split, load_split
from geneval.examples.digits.demo import FOLDER
from geneval.extractors.inception import network, scaled
from geneval.extractors.preprocess import resized
from geneval.extractors.torchvision_schemas import declare_schemas
from geneval.ledger import Ledger
from geneval.reports.write import RUN_WRITERS
from geneval.run import execute
from geneval.suite import Suite

declare_schemas()  # torch-fidelity and torchmetrics import torchvision


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh ledger folder that every command of the test uses, and no network."""
    root = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("GENEVAL_CACHE", str(root))
    return root


@pytest.fixture
def ledger(cache: Path) -> Ledger:
    """The ledger of the test."""
    return Ledger(cache)


@pytest.fixture(scope="session")
def digits() -> tuple[Split, Split]:
    """The training digits (1,197) and the held-out digits (600)."""
    return load_split()


@pytest.fixture(scope="session")
def digit_files(
    digits: tuple[Split, Split], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """The same as npz files."""
    folder = tmp_path_factory.mktemp("digits")
    train, held_out = digits
    return train.save(folder / "train.npz"), held_out.save(folder / "held-out.npz")


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with a fixed seed."""
    return np.random.default_rng(0)


Pictures = Callable[[int, int], list[NDArray[np.uint8]]]


@pytest.fixture(scope="session")
def pictures() -> Pictures:
    """Draws n images [h, w, 3] of a seed: smooth colours with grain, of several sizes."""

    def draw(seed: int, n: int) -> list[NDArray[np.uint8]]:
        rng = np.random.default_rng(seed)
        found = []
        for i in range(n):
            height, width = [(32, 32), (64, 48), (120, 200), (299, 299), (333, 310)][i % 5]
            coarse = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)
            smooth = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
            grain = rng.normal(0, 12 + 6 * seed, (height, width, 3))
            found.append((np.asarray(smooth) + grain).clip(0, 255).astype(np.uint8))
        return found

    return draw


@pytest.fixture(scope="session")
def inception_twin(pictures: Pictures, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights for `inception-v3` with healthy activations, as torch-fidelity stores them.

    Convolutions keep torch's initial weights from a fixed seed; the statistics of batch norms are
    those of 30 pictures, so that every layer's output has mean 0 and deviation 1 before its ReLU.
    The last layer is 20 times what torch begins with, or every Inception Score would be near 1.
    """
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = network()
        for norm in net.modules():
            if isinstance(norm, torch.nn.BatchNorm2d):
                norm.momentum = None  # the plain average over what it sees
        drawn = [torch.as_tensor(one[None]) for seed in (1, 2) for one in pictures(seed, 15)]
        with torch.inference_mode():
            net.train()(scaled(torch.cat([resized(one, 299, "tf1") for one in drawn]), "tf1"))
            net.fc.weight.mul_(20)
    path = tmp_path_factory.mktemp("weights") / "inception-v3.pth"
    torch.save(net.state_dict(), path)
    return path


@pytest.fixture
def twin_weights(inception_twin: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """$GENEVAL_WEIGHTS with random weights for every extractor that needs a file."""
    monkeypatch.setenv("GENEVAL_WEIGHTS", str(inception_twin.parent))
    return inception_twin.parent


@pytest.fixture(scope="session")
def run_checkpoints(digit_files: tuple[Path, Path]) -> Callable[..., dict[str, Path]]:
    """Runs shipped checkpoints by name under a suite, below a place; their run directories."""

    def run(place: Path, suite: Suite, *names: str, train: Path | None = None) -> dict[str, Path]:
        found = {}
        for name in names:
            job = open_job(
                suite,
                Ledger(place / "cache"),
                checkpoint=FOLDER / f"{name}.safetensors",
                reference=digit_files[1],
                train=train,
                origin={"command": f"geneval run digits --checkpoint {name}.safetensors"},
            )
            directory = execute(job, place / "runs", RUN_WRITERS).directory
            assert directory is not None
            found[name] = directory
        return found

    return run
