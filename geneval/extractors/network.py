"""What all extractors that are one image network share: weights, preprocessing, batches.

A `Network` declares such an extractor; the torch module it builds maps the prepared pixels float32
[b, 3, side, side] to the layers by name.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geneval.checkpoint import load_tensors
from geneval.errors import CheckpointError, UsageError
from geneval.extractors.extractor import Layer
from geneval.extractors.preprocess import ROUNDING, Preset, brought, resized
from geneval.extractors.runtime import ON_CPU, Runner, Running
from geneval.extractors.weights import doubts, find_weights, weights_digest
from geneval.linalg import exact_products
from geneval.samples.sampleset import Batch
from geneval.signature import Digest, Scalar

if TYPE_CHECKING:
    import torch

_INITIAL = ("normal", "uniform", "trunc_normal", "kaiming", "xavier", "erfinv")
CHUNK = 16  # images through a network at a time; more would fill a processor's caches
CHUNK_ON_GPU = 256  # halved when its memory does not suffice

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Network:
    """An image network: `build` makes it untrained, `scale` turns pixels in 0..255 into its input.

    `load` reads the tensors of a weights file under the names of the module; `fold` changes the
    module into one that gives the same with less to do; `facts` are further fields for the
    signature.
    """

    name: str
    side: int
    layers: Mapping[str, Layer]
    build: Callable[[], torch.nn.Module]
    scale: Callable[[torch.Tensor, Preset], torch.Tensor]
    load: Callable[[Path], Mapping[str, torch.Tensor]] = load_tensors
    fold: Callable[[torch.nn.Module], None] | None = None
    facts: Mapping[str, Scalar] = field(default_factory=dict)


class NetworkExtractor:
    """The extractor of a network; it is loaded with the first batch."""

    labels = None

    def __init__(
        self,
        network: Network,
        preset: Preset,
        running: Running = ON_CPU,
        weights: Path | None = None,
    ) -> None:
        self.network = network
        self.preset = preset
        self.running = running
        self.weights = find_weights(network.name, weights)
        self._digest: Digest = weights_digest(network.name, self.weights)
        self._net: torch.nn.Module | None = None
        self._runner: Runner | None = None
        self._chunk = CHUNK if running.device == "cpu" else CHUNK_ON_GPU

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_net": None, "_runner": None}

    @property
    def layers(self) -> Mapping[str, Layer]:
        """Those of the network."""
        return self.network.layers

    @property
    def identity(self) -> Mapping[str, Scalar]:
        """Weights, resize rule and precision."""
        return {
            "ext": self.network.name,
            "weights": self._digest,
            "resize": self.preset,
            "prec": self.running.precision,
            **self.network.facts,
        }

    @property
    def notes(self) -> tuple[str, ...]:
        """A caution when the weights are not the published ones, whose numbers papers report."""
        return doubts(self.network.name, self._digest)

    def __call__(self, batch: Batch, layers: Collection[str]) -> Mapping[str, NDArray[np.float32]]:
        """All layers of the images of a batch."""
        return self.of_images(batch.columns["image"])

    def of_images(self, images: Any) -> dict[str, NDArray[np.float32]]:
        """All layers of images uint8 [b, h, w, 3], copied from the device once."""
        import torch

        parts: dict[str, list[torch.Tensor]] = {}
        done = 0
        with torch.inference_mode(), full_precision():
            while done < len(images):
                try:
                    made = self._of_chunk(images[done : done + self._chunk])
                except torch.OutOfMemoryError:
                    self._halve()
                    continue
                done += self._chunk
                for name, values in made.items():
                    parts.setdefault(name, []).append(values)
            return {name: torch.cat(values).cpu().numpy() for name, values in parts.items()}

    def _of_chunk(self, images: Any) -> Mapping[str, torch.Tensor]:
        """The layers of a few images, on the device; nothing here waits for a GPU."""
        import torch

        chunk = torch.as_tensor(images)
        if self.running.device == "cuda":
            chunk = chunk.pin_memory()
        chunk = chunk.to(self.running.device, non_blocking=True)
        pixels = resized(chunk, self.network.side, self.preset)
        return self.runner()(self.network.scale(pixels, self.preset))

    def forward(self, pixels: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """All layers of float images [b, 3, h, w] in 0..1, with their gradient.

        Raises `UsageError` for a resize rule that rounds to bytes: it has no slope anywhere.
        """
        if self.preset in ROUNDING:
            raise UsageError(
                f"{self.network.name}: the resize rule {self.preset} rounds to bytes, which has no "
                "gradient; an attack wants an extractor with another `preset`"
            )
        at = pixels.to(self.running.device) * 255
        made: Mapping[str, torch.Tensor] = self.loaded()(
            self.network.scale(brought(at, self.network.side, self.preset), self.preset)
        )
        return made

    def _halve(self) -> None:
        """Take half as many images at a time, since the memory does not suffice for so many."""
        import torch

        if self._chunk == 1:
            raise CheckpointError(f"{self.network.name}: the memory does not suffice for one image")
        self._chunk //= 2
        told = "the memory does not suffice: %s takes %d images at a time from here on"
        _log.warning(told, self.network.name, self._chunk)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def caution(self, unlikeness: NDArray[np.float32]) -> str:
        """Nothing is known of which images are out of place."""
        return ""

    def loaded(self) -> torch.nn.Module:
        """The network with its weights, on its device."""
        import torch

        if self._net is None:
            with torch.inference_mode(False):  # whose tensors would have no gradient
                with without_initial_values():
                    net = self.network.build()
                fill(net, self.network.load(self.weights), self.weights, self.network.name)
                self._net = net.to(self.running.device).eval()
        return self._net

    def runner(self) -> Runner:
        """What runs the network on pixels."""
        if self._runner is None:
            net = self.loaded()
            self._runner = Runner(self.network.name, net, self.running, self.network.fold)
        return self._runner


@contextmanager
def full_precision() -> Iterator[None]:
    """Convolutions and products in float32 on a GPU too, not in the 10 bits of TF32 or in bf16."""
    import torch

    with (
        torch.backends.cudnn.flags(enabled=True, allow_tf32=False),
        torch.autocast("cuda", enabled=False),
        torch.autocast("cpu", enabled=False),
        exact_products(),
    ):
        yield


@contextmanager
def without_initial_values() -> Iterator[None]:
    """Build networks without drawing the random weights that a file replaces: seconds for CLIP."""
    from torch.overrides import TorchFunctionMode

    class Skip(TorchFunctionMode):
        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
        ) -> Any:
            name = getattr(func, "__name__", "")
            if name.startswith(_INITIAL) and name.endswith("_"):
                return args[0] if args else (kwargs or {})["tensor"]
            return func(*args, **(kwargs or {}))

    with Skip():
        yield


def fill(net: torch.nn.Module, tensors: Mapping[str, torch.Tensor], path: Path, name: str) -> None:
    """Fill a network with tensors; counters of batches, which some files lack, stay out."""
    given = {k: v for k, v in tensors.items() if not k.endswith("num_batches_tracked")}
    wanted = {k for k in net.state_dict() if not k.endswith("num_batches_tracked")}
    wrong = sorted(wanted ^ set(given))
    if wrong:
        lacks = "lacks" if wrong[0] in wanted else "has an unknown tensor"
        raise CheckpointError(f"{path} holds no weights of {name}: it {lacks} {wrong[0]!r}")
    try:
        net.load_state_dict(given, strict=False)
    except RuntimeError as error:  # a tensor of another shape
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{path} holds no weights of {name}: {reason}") from error
