"""Numbers that others published of data that anyone can fetch: what `geneval verify` recomputes.

Everything here was printed by another implementation. A tolerance covers what is known to lie
between frameworks, so that a number outside it means that something here is not what it was.

CIFAR-10: the official FID is TensorFlow's, PyTorch gives 3.1525 (the same README), which the
tolerance covers. torch-fidelity shuffles with seed 2020 and cuts ten splits, as `inception_score`
does unless told otherwise.

ADM: its evaluator cuts the 50,000 samples into ten splits as they lie, takes FID and sFID from the
moments of the reference batch and precision and recall from its 10,000 images; its distances are
float16. Its port to PyTorch gives 215.976, 3.94103, 6.14049, 0.82548 and 0.5285
(github.com/lavinal712/ADM-evaluation-suite-pytorch), which the tolerances cover.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from geneval.samples.cifar import read_cifar10

Status = Literal["ok", "differs", "failed"]
Sides = Callable[[Sequence[Path]], tuple[Any, Any]]


@dataclass(frozen=True)
class Claim:
    """A published number: of which value, how far off ours may be, and where it stands."""

    address: str
    number: float
    within: float
    source: str
    relative: bool = False

    @property
    def text(self) -> str:
        """The number with its tolerance."""
        return f"{self.number} ± " + (
            f"{100 * self.within:g} %" if self.relative else f"{self.within:g}"
        )

    def status(self, ours: float | None) -> Status:
        """Whether a number of ours is the published one; None is one that could not be computed."""
        if ours is None:
            return "failed"
        allowed = self.within * abs(self.number) if self.relative else self.within
        return "ok" if abs(ours - self.number) <= allowed else "differs"


@dataclass(frozen=True)
class DataFile:
    """A file at its public address, with its MD5 where the publisher states one."""

    url: str
    md5: str = ""

    @property
    def name(self) -> str:
        """The file's name, which it keeps."""
        return self.url.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Publication:
    """Claims about the same data: its files, the metrics and suite settings that recompute them.

    `sides` makes the samples and the reference of the files.
    """

    name: str
    what: str
    files: tuple[DataFile, ...]
    metrics: str
    settings: tuple[str, ...]
    sides: Sides
    claims: tuple[Claim, ...]


def _cifar10(paths: Sequence[Path]) -> tuple[Any, Any]:
    return read_cifar10(paths[0])


def _as_they_are(paths: Sequence[Path]) -> tuple[Any, Any]:
    samples, reference = paths
    return samples, reference


_INCEPTION = "extractor={name: inception-v3, preset: tf1}"
_TORCH_FIDELITY = "README of github.com/toshas/torch-fidelity"
_PIGM = "README of github.com/w86763777/pytorch-image-generation-metrics, official"
_ADM = "evaluations/README.md of github.com/openai/guided-diffusion"
_BATCHES = "https://openaipublic.blob.core.windows.net/diffusion/jul-2021/ref_batches/imagenet/256"
_ALL = (
    Publication(
        name="cifar10",
        what="CIFAR-10: its 50,000 training images against its 10,000 test images",
        files=(
            DataFile(  # the MD5 stands at https://www.cs.toronto.edu/~kriz/cifar.html
                "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
                md5="c32a1d4ab5d03f1284b67883e8d87530",
            ),
        ),
        metrics="fid,inception_score",
        settings=(_INCEPTION,),
        sides=_cifar10,
        claims=(
            Claim("fid", 3.1508, 0.005, _PIGM),
            Claim("inception_score", 11.23678, 1e-3, _TORCH_FIDELITY, relative=True),
        ),
    ),
    Publication(
        name="adm-imagenet256",
        what="ADM-G with ADM-U on ImageNet 256: 50,000 samples (9.8 GB in memory) against its "
        "reference batch",
        files=(
            DataFile(f"{_BATCHES}/admnet_guided_upsampled_imagenet256.npz"),
            DataFile(f"{_BATCHES}/VIRTUAL_imagenet256_labeled.npz"),
        ),
        metrics="inception_score,fid,sfid,precision_recall",
        settings=(_INCEPTION, "metrics.inception_score.shuffle=false"),
        sides=_as_they_are,
        claims=(
            Claim("inception_score", 215.837, 1e-3, _ADM, relative=True),
            Claim("fid", 3.94256, 5e-4, _ADM, relative=True),
            Claim("sfid", 6.14043, 2e-4, _ADM, relative=True),
            Claim("precision_recall.precision", 0.8265, 3e-3, _ADM),
            Claim("precision_recall.recall", 0.5309, 3e-3, _ADM),
        ),
    ),
)
PUBLICATIONS: Mapping[str, Publication] = {one.name: one for one in _ALL}
