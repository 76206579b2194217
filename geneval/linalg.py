"""The device of the kernels: tensors in float64 from arrays, and arrays back.

Arithmetic is float64 on the device chosen with `on_device` (the CPU where a device has no float64).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

_device: ContextVar[str] = ContextVar("geneval_linalg_device", default="cpu")

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@contextmanager
def on_device(name: str) -> Iterator[None]:
    """Run the kernels inside the block on `cuda`, or else on the CPU: `mps` has no float64."""
    token = _device.set("cuda" if name == "cuda" else "cpu")
    try:
        yield
    finally:
        _device.reset(token)


@contextmanager
def exact_products() -> Iterator[None]:
    """Products of float32 matrices in float32, whatever the program around allows (TF32, bf16)."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def chosen_device() -> str:
    """The device of the block."""
    return _device.get()


def zeros(*shape: int) -> torch.Tensor:
    """Zeros in float64 on the device of the block."""
    return torch.zeros(shape, dtype=torch.float64, device=_device.get())


def as_tensor(x: NDArray[Any]) -> torch.Tensor:
    """An array in float64 on the device of the block."""
    return torch.as_tensor(np.asarray(x, dtype=np.float64)).to(_device.get())


def as_array(x: torch.Tensor) -> Floats:
    """A tensor back as an array."""
    return x.cpu().numpy()
