"""Make `import torchvision` work beside a torch whose build its compiled library does not fit.

torchvision registers fake kernels for two operators, `nms` and `qnms`, when it is imported. Its
compiled library declares them; where that library cannot load (a CPU build of torch beside the
registry's CUDA-linked torchvision), the import dies: "operator torchvision::nms does not exist",
although nothing that geneval or its peers use needs the operators. Declaring their schemas first is
enough. Call `declare_schemas()` before anything that imports torchvision: torch-fidelity,
torchmetrics, open_clip.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any

_kept: list[Any] = []  # a Library's declarations live as long as the object


def declare_schemas() -> bool:
    """Declare the operators if torchvision's own library cannot; says whether that was needed."""
    import torch

    spec = importlib.util.find_spec("torchvision")
    if _kept or spec is None or spec.origin is None or _library_loads(Path(spec.origin).parent):
        return bool(_kept)
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _kept.append(library)
    return True


def can_import_torchvision() -> tuple[str, bool]:
    """What stands in the way of `import torchvision`, or its version, and whether it works."""
    if importlib.util.find_spec("torchvision") is None:
        return "not installed", False
    declared = declare_schemas()
    try:
        torchvision = importlib.import_module("torchvision")
    except Exception as error:  # whatever a mismatched binary raises
        return str(error), False
    return torchvision.__version__ + (" (without its compiled operators)" if declared else ""), True


def _library_loads(folder: Path) -> bool:
    """Whether torchvision's compiled library loads beside this torch; loading it declares all."""
    import torch

    for library in [*folder.glob("_C.so"), *folder.glob("_C.pyd"), *folder.glob("_C*.so")]:
        try:
            torch.ops.load_library(str(library))
        except OSError:
            return False
        return True
    return False
