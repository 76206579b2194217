"""What the machine has given so far: peak memory, and what to call its processor."""

from __future__ import annotations

import contextlib
import os
import platform
import sys


def peak_memory(workers: int = 0) -> dict[str, int]:
    """Most bytes held so far: by this process, by its largest worker, and on a GPU if there is one.

    Without what some platform does not tell.
    """
    found = {}
    with contextlib.suppress(ImportError):
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        found["process"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        if workers:
            found["worker"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit
    if "torch" in sys.modules:
        import torch

        if torch.cuda.is_available():
            found["gpu"] = torch.cuda.max_memory_allocated()
    return found


def processor(device: str) -> str:
    """A name for what a device computes with: the GPU's own, else the CPU's kind and cores."""
    if device.startswith("cuda"):
        import torch

        return str(torch.cuda.get_device_name(device))
    return f"{device} {platform.machine()} x{os.cpu_count()}"
