"""References known by their moments: the files in which the field exchanges statistics.

An `.npz` with `mu` [d] and `sigma` [d, d] (TTUR, pytorch-fid, clean-fid), and with `mu_s` and
`sigma_s` beside them for spatial features (ADM). geneval writes the same names, with `n` and with
what the features were made by in `made_by`, so that its own files are not taken for another
protocol's; `export_statistics` leaves those out.
Pickled statistics are refused: loading one can run code.
"""

from __future__ import annotations

import hashlib
import io
import json
import shlex
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from geneval.data import Moments
from geneval.errors import SampleError, UsageError
from geneval.ledger import atomic_write
from geneval.signature import Digest, Scalar

TORCH = (".pt", ".pth")
PICKLED = (".pkl", ".pickle", *TORCH)
_NAMES = {"features": ("mu", "sigma"), "spatial": ("mu_s", "sigma_s")}
Form = Literal["pytorch-fid", "adm"]
FORMS: Mapping[Form, tuple[str, ...]] = {
    "pytorch-fid": ("features",),
    "adm": ("features", "spatial"),
}


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
            f"npz of it and give that: {_recipe(path)}"
        )
    if path.suffix != ".npz" or not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return {"mu.npy", "sigma.npy"} <= set(archive.namelist())
    except zipfile.BadZipFile:  # whoever reads it as something else says what is wrong
        return False


def _recipe(path: Path) -> str:
    """A command that makes an npz of pickled statistics: a mapping, or one by detector as EDM2's.

    Torch files are read without running code. EDM2's other detector is `fd_dinov2`.
    """
    torch = path.suffix in TORCH
    load = "torch.load(a, weights_only=True)" if torch else "pickle.load(open(a, 'rb'))"
    code = (
        f"import numpy, {'torch' if torch else 'pickle'}, sys; a, b = sys.argv[1:]; x = {load}; "
        "x = x.get('fid', x); numpy.savez(b, mu=x['mu'], sigma=x['sigma'])"
    )
    files = (shlex.quote(str(file)) for file in (path, path.with_suffix(".npz")))
    return f'python -c "{code}" {" ".join(files)}'


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
    """Write moments by layer role, in the names that other tools read, with n where it is known."""
    arrays: dict[str, Any] = {"made_by": np.array(json.dumps(dict(made_by)))}
    for moments in layers.values():
        arrays |= {} if moments.n is None else {"n": np.array(moments.n)}
    _save(path, arrays | _arrays(layers))


def export_statistics(path: Path, known: KnownMoments, form: Form) -> None:
    """Write the arrays of another tool's form alone, float64; raises `UsageError`."""
    lacking = [role for role in FORMS[form] if role not in known.layers]
    if lacking:
        raise UsageError(
            f"{known.name} holds no moments of {lacking[0]} features, which belong to the form "
            f"{form}; build it with an extractor that makes them, such as inception-v3"
        )
    _save(path, _arrays({role: known.layers[role] for role in FORMS[form]}))


def _arrays(layers: Mapping[str, Moments]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for role, moments in layers.items():
        mean, cov = _NAMES[role]
        found |= {mean: moments.mean, cov: moments.cov}
    return found


def _save(path: Path, arrays: Mapping[str, Any]) -> None:
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
