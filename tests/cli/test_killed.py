"""A run that is killed at any moment goes on where it was, and ends with the same numbers."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from geneval.examples.digits.data import Split
from geneval.result import Result

SAMPLES = 5 * 1024 + 100  # six shards a side
KILLS = 3
COMMAND = ("run", "fid,kid", "--samples", "a.npz", "--reference", "b.npz")
CHOICES = ("extractor=slow:build", "metrics.kid.subset_size=100", "floor=false")
SLOW = '''
"""The digits extractor, slow enough to be killed in the middle of any shard."""
import time
from geneval.extractors.digits import Digits, EMBEDDED

class Slow(Digits):
    def __call__(self, batch, layers):
        time.sleep(0.04)
        return super().__call__(batch, layers)

def build(*, device: str = "cpu"):
    return Slow(EMBEDDED, device)
'''


def jittered(split: Split, seed: int, path: Path) -> Path:
    """Digits of a split with a little noise, as npz."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, len(split.images), SAMPLES)
    noise = rng.integers(-6, 7, (SAMPLES, *split.images.shape[1:]))
    images = np.clip(split.images[rows].astype(np.int64) + noise, 0, 255).astype(np.uint8)
    return Split(images, split.labels[rows]).save(path)


def start(folder: Path, cache: str, workers: int) -> subprocess.Popen[bytes]:
    """`geneval run` in a process of its own."""
    words = [*COMMAND, "--workers", str(workers), "--out", cache]
    words += [word for choice in CHOICES for word in ("--set", choice)]
    return subprocess.Popen(
        [sys.executable, "-m", "geneval", *words],
        cwd=folder,
        env={**os.environ, "GENEVAL_CACHE": str(folder / f"cache-{cache}")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,  # so that worker processes are killed with it
    )


def finished(folder: Path, cache: str, workers: int) -> tuple[str, int]:
    """The digest of a run's result, and how many samples came from the ledger."""
    process = start(folder, cache, workers)
    _, told = process.communicate()
    assert process.returncode == 0, told.decode()
    (path,) = (folder / cache).rglob("result.json")
    document = Result.load(path.parent).document
    return document.digest, sum(one["cached"] for one in document.timing["passes"].values())


def shards(folder: Path, cache: str) -> int:
    """How many shards the ledger holds."""
    return len(list((folder / f"cache-{cache}").rglob("*.safetensors")))


@pytest.fixture(scope="module")
def world(digits: tuple[Split, Split], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two sets of samples and the slow extractor."""
    folder = tmp_path_factory.mktemp("killed")
    jittered(digits[0], 1, folder / "a.npz")
    jittered(digits[1], 2, folder / "b.npz")
    (folder / "slow.py").write_text(SLOW)
    return folder


@pytest.fixture(scope="module")
def undisturbed(world: Path) -> str:
    """The digest of a run that nobody killed."""
    digest, cached = finished(world, "undisturbed", 0)
    assert cached == 0
    return digest


@pytest.mark.parametrize("workers", [0, 2])
def test_killed_runs_go_on_to_the_same_digest(world: Path, undisturbed: str, workers: int) -> None:
    """Killed at random moments of the extraction, the run keeps what was done and ends equal."""
    cache = f"killed-{workers}"
    moment = random.Random(workers)
    kept = [0]
    for _ in range(KILLS):
        process = start(world, cache, workers)
        while shards(world, cache) <= kept[-1] and process.poll() is None:
            time.sleep(0.02)
        time.sleep(moment.uniform(0, 0.3))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL, "it ended before it could be killed"
        assert not list((world / cache).rglob("result.json")), "no half a result is left"
        kept.append(shards(world, cache))
    assert sorted(set(kept)) == kept, "every start goes on from what the one before had done"
    digest, cached = finished(world, cache, workers)
    assert digest == undisturbed
    assert 0 < cached < 2 * SAMPLES
