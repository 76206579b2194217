"""CIFAR-10's archive: read in the published order, and refused where it is something else."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from geneval.errors import SampleError
from geneval.samples.cifar import RECORD, TEST, TRAIN, read_cifar10


def archive(path: Path, files: Mapping[str, bytes]) -> Path:
    """A tar.gz of files below `cifar-10-batches-bin`, as the published one has them."""
    with tarfile.open(path, "w:gz") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return path


def batches() -> dict[str, bytes]:
    """Two records a file: the label and the red, green and blue plane count on from file to file.

    In the archive the files lie in another order than their names.
    """
    made = {
        name: b"".join(
            bytes([i]) + bytes([3 * i]) * 1024 + bytes([3 * i + 1]) * 1024 + bytes([9]) * 1024
            for i in (2 * number, 2 * number + 1)
        )
        for number, name in enumerate(TRAIN + TEST)
    }
    return {"readme.html": b"no records", **dict(reversed(made.items()))}


def test_images_labels_and_order(tmp_path: Path) -> None:
    """Channels are planes of a record, labels its first byte, and files count by name."""
    train, test = read_cifar10(archive(tmp_path / "cifar.tar.gz", batches()))
    assert (train.name, len(train.ids), len(test.ids)) == ("CIFAR-10 train", 10, 2)
    assert train.column("label") == [str(i) for i in range(10)]
    assert test.column("label") == ["10", "11"]
    images = np.stack(train.read(train.ids).columns["image"])
    assert images.shape == (10, 32, 32, 3)
    expected = np.array([[3 * i, 3 * i + 1, 9] for i in range(10)], np.uint8)
    assert np.array_equal(images, np.broadcast_to(expected[:, None, None], images.shape))


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ({"data_batch_3.bin": b""}, "data_batch_3.bin holds 0 bytes, not records of 3073"),
        ({"test_batch.bin": bytes(RECORD + 1)}, "test_batch.bin holds 3074 bytes"),
    ],
    ids=["missing", "other records"],
)
def test_another_archive_is_refused(tmp_path: Path, damage: dict[str, bytes], told: str) -> None:
    """A batch that is missing or of other records is named."""
    path = archive(tmp_path / "cifar.tar.gz", batches() | damage)
    with pytest.raises(SampleError, match=f"not CIFAR-10's binary version: {told}"):
        read_cifar10(path)


@pytest.mark.parametrize("part", [0.0, 0.5], ids=["empty", "cut off"])
def test_a_broken_archive_is_one_sentence(tmp_path: Path, part: float) -> None:
    """A file cut off, or no archive at all, names the file and is no traceback."""
    path = archive(tmp_path / "cifar.tar.gz", batches())
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    with pytest.raises(SampleError, match=r"cifar\.tar\.gz cannot be read as CIFAR-10"):
        read_cifar10(path)
