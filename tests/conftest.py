"""What every test shares: a ledger of its own, and the digits as real data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from geneval.examples.digits.data import Split, load_split
from geneval.extractors.torchvision_schemas import declare_schemas
from geneval.ledger import Ledger

declare_schemas()  # torch-fidelity and torchmetrics import torchvision


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh ledger folder that every command of the test uses."""
    root = tmp_path_factory.mktemp("cache")
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
