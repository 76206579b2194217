"""CIFAR-10 in its binary version, read out of the archive as it is published.

`data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin` are records of 1 + 3,072 bytes: the
label, then the image 32 x 32 with channels first. The archive is read once from front to back and
never unpacked; nothing in it is a pickle.
"""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from geneval.errors import SampleError
from geneval.samples.arrays import ArraySet

RECORD = 1 + 3 * 32 * 32
TRAIN = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
TEST = ("test_batch.bin",)


def read_cifar10(path: Path) -> tuple[ArraySet, ArraySet]:
    """Training and test images in the published order; raises `SampleError`."""
    batches: dict[str, bytes] = {}
    try:
        with tarfile.open(path, "r|gz") as archive:
            for member in archive:
                name = PurePosixPath(member.name).name
                file = archive.extractfile(member) if name in TRAIN + TEST else None
                if file is not None:
                    batches[name] = file.read()
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise SampleError(f"{path} cannot be read as CIFAR-10: {error}") from error
    return _images(path, batches, TRAIN, "train"), _images(path, batches, TEST, "test")


def _images(path: Path, batches: dict[str, bytes], names: Sequence[str], split: str) -> ArraySet:
    for name in names:
        size = len(batches.get(name, b""))
        if size == 0 or size % RECORD:
            raise SampleError(
                f"{path} is not CIFAR-10's binary version: {name} holds {size} bytes, not records "
                f"of {RECORD}"
            )
    data = b"".join(batches[name] for name in names)
    records = np.frombuffer(data, dtype=np.uint8).reshape(-1, RECORD)
    images = records[:, 1:].reshape(-1, 3, 32, 32)
    return ArraySet(images, records[:, 0], f"CIFAR-10 {split}")
