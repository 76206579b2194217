"""geneval.engine.local: shards in this process and in a pool give the same rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geneval.engine.extract import PassWork, ShardReport, load_layer
from geneval.engine.local import run_pass
from geneval.extractors.digits import digits
from geneval.extractors.pixels import pixels
from geneval.ledger import Ledger
from geneval.samples.arrays import from_memory
from geneval.samples.folder import FolderSet

BROKEN = ("0003", "1025")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1,040 images of random grey in two sizes, two of them broken: two shards."""
    root = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for i in range(1040):
        side = 8 + 2 * (i % 2)
        grey = rng.integers(0, 256, (side, side), dtype=np.uint8)
        Image.fromarray(grey).save(root / f"{i:04d}.png", compress_level=1)
    for name in BROKEN:
        (root / f"{name}.png").write_bytes(b"broken")
    return root


def _work(folder: Path, ledger: Ledger) -> PassWork:
    extractors = {"digits": digits(), "pixels": pixels()}
    layers = {"digits": ("features", "logits"), "pixels": ("features",)}
    return PassWork(FolderSet(folder, ledger), extractors, layers, ledger)


def test_a_pool_gives_the_same_rows_as_this_process(folder: Path, tmp_path: Path) -> None:
    """With two workers, reports, ids and bad samples are the same, and rows up to rounding."""
    here, pool = (_work(folder, Ledger(tmp_path / name)) for name in ("here", "pool"))
    reports = list(run_pass(here)), list(run_pass(pool, workers=2))
    assert reports[0] == reports[1]
    assert [report.samples for report in reports[1]] == [1024, 16]
    assert [tuple(report.bad) for report in reports[1]] == [("0003",), ("1025",)]
    for name, layers in here.layers.items():
        for layer in layers:
            (a, a_ids), (b, b_ids) = load_layer(here, name, layer), load_layer(pool, name, layer)
            assert a_ids == b_ids
            assert len(a_ids) == 1038
            np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-5)  # DESIGN.md, Speed


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_one_shard_is_extracted_once(ledger: Ledger, workers: int) -> None:
    """A single shard needs no pool: it is reported once, and from the ledger the next time."""
    samples = from_memory(np.zeros((3, 4, 4), np.uint8))
    work = PassWork(samples, {"pixels": pixels()}, {"pixels": ("features",)}, ledger)
    assert list(run_pass(work, workers)) == [ShardReport(3, False, {})]
    assert list(run_pass(work, workers)) == [ShardReport(3, True, {})]


def test_shards_are_reported_as_they_are_done(ledger: Ledger) -> None:
    """Progress can be shown: the first report comes before the second shard is extracted."""
    samples = from_memory(np.zeros((1025, 1, 1), np.uint8))
    work = PassWork(samples, {"pixels": pixels()}, {"pixels": ("features",)}, ledger)
    reports = run_pass(work)
    assert next(reports).samples == 1024
    assert [ledger.has(*work.keys(shard).values()) for shard in (0, 1)] == [True, False]
    assert next(reports).samples == 1
