"""References known by their moments: the files in which the field exchanges statistics.

An `.npz` with `mu` [d] and `sigma` [d, d] (TTUR, pytorch-fid, clean-fid), and with `mu_s` and
`sigma_s` beside them for spatial features (ADM). geneval writes the same names, with `n` and with
what the features were made by in `made_by`, so that its own files are not taken for another
protocol's.
Pickled statistics are refused: loading one can run code.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geneval.data import Moments
from geneval.errors import SampleError, UsageError
from geneval.ledger import atomic_write
from geneval.signature import Digest, Scalar

PICKLED = (".pkl", ".pickle", ".pt", ".pth")
_NAMES = {"features": ("mu", "sigma"), "spatial": ("mu_s", "sigma_s")}


@dataclass(frozen=True, eq=False)
class KnownMoments:
    """Moments of a role by layer role, and what made them if known.

    `beside_images` says that the file holds images as well, as ADM's do: not those of the moments.
    """

    name: str
    layers: Mapping[str, Moments]
    fingerprint: Digest
    made_by: Mapping[str, Scalar] = field(default_factory=dict)
    beside_images: bool = False

    @property
    def widths(self) -> Mapping[str, int]:
        """Feature width of each layer role."""
        return {role: moments.d for role, moments in self.layers.items()}


def is_statistics(path: Path) -> bool:
    """Whether a file is one of moments: an `.npz` with `mu` and `sigma`."""
    if path.suffix in PICKLED:
        raise UsageError(
            f"{path} is a pickle, which can run code when it is read; where you trust it, write an "
            "npz instead: numpy.savez('reference.npz', mu=…, sigma=…)"
        )
    if path.suffix != ".npz" or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return {"mu.npy", "sigma.npy"} <= set(archive.namelist())


def read_statistics(path: Path) -> KnownMoments:
    """The moments of a file; raises `SampleError` when they are none."""
    try:
        return _read(path)
    except SampleError:
        raise
    except Exception as error:  # damaged files make NumPy, zlib and json raise whatever they meet
        raise SampleError(f"{path} cannot be read as moments: {error}") from error


def _read(path: Path) -> KnownMoments:
    with np.load(path, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files if name in _WANTED}
        beside_images = "arr_0" in archive.files
    n = int(arrays["n"]) if "n" in arrays else None
    if n is not None and n < 2:
        raise SampleError(f"{path}: moments of {n} samples; they need two")
    layers = {
        role: _moments(path, n, arrays[mean], arrays[cov])
        for role, (mean, cov) in _NAMES.items()
        if mean in arrays and cov in arrays
    }
    material = hashlib.sha256()
    for role, moments in layers.items():
        material.update(f"{role}\0{moments.d}\0{n}\0".encode())
        material.update(moments.mean.tobytes() + moments.cov.tobytes())
    made_by = json.loads(str(arrays["made_by"])) if "made_by" in arrays else {}
    if not isinstance(made_by, dict):
        raise SampleError(f"{path}: its `made_by` is no mapping")
    return KnownMoments(str(path), layers, material.hexdigest(), made_by, beside_images)


def write_statistics(
    path: Path, layers: Mapping[str, Moments], made_by: Mapping[str, Scalar]
) -> None:
    """Write moments by layer role, in the names that other tools read."""
    import io

    arrays: dict[str, Any] = {"made_by": np.array(json.dumps(dict(made_by)))}
    for role, moments in layers.items():
        mean, cov = _NAMES[role]
        arrays |= {mean: moments.mean, cov: moments.cov, "n": np.array(moments.n)}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    atomic_write(path, buffer.getvalue())


def _moments(path: Path, n: int | None, mean: NDArray[Any], cov: NDArray[Any]) -> Moments:
    d = len(mean) if mean.ndim == 1 else 0
    if d == 0 or cov.shape != (d, d):
        raise SampleError(
            f"{path}: a mean of shape {mean.shape} and a covariance of shape {cov.shape} do not "
            "belong together"
        )
    mean, cov = mean.astype(np.float64), cov.astype(np.float64)
    if not (np.isfinite(mean).all() and np.isfinite(cov).all()):
        raise SampleError(f"{path}: there are numbers in it that are not finite")
    scale = float(np.abs(cov).max()) or 1.0
    if np.abs(cov - cov.T).max() > 1e-6 * scale:
        raise SampleError(f"{path}: the covariance is not symmetric")
    if cov.diagonal().min() < -1e-6 * scale:
        raise SampleError(f"{path}: the covariance has negative variances")
    return Moments(n, mean, cov)


_WANTED = {"n", "made_by", *(name for names in _NAMES.values() for name in names)}
