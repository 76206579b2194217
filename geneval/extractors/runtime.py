"""How an image network is run: the fastest way there is that gives the plain network's layers.

On a CPU, convolutions with their batch norms folded in and channels last take about half the time
of the plain network, and OpenVINO (`geneval[openvino]`, `--device openvino`) less again; figures
stand in docs/performance.md. Whatever is faster is compared with the plain network on the first
images it meets, and left for the next best when a layer is off by more than `TOLERANCE` of its
largest value, or when it cannot be had at all. A network whose own rounding is larger than that is
allowed `AS_EXACT` times its distance from itself in double precision.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch

Precision = Literal["fp32", "bf16"]
Runtime = Literal["torch", "openvino"]
Layers = Mapping[str, "torch.Tensor"]
Forward = Callable[["torch.Tensor"], Layers]
TOLERANCE: Mapping[Precision, float] = {"fp32": 1e-5, "bf16": 0.1}  # of a layer's largest value
AS_EXACT = 3
CHECKED = 4  # images on which the plain network is run beside the faster one

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Running:
    """Where and how exactly networks run: torch's device, what runs them, and their precision."""

    device: str = "cpu"
    runtime: Runtime = "torch"
    precision: Precision = "fp32"

    @classmethod
    def on(cls, device: str, precision: Precision = "fp32") -> Running:
        """On a device as the command line names it: `openvino` runs on the CPU."""
        if device == "openvino":
            return cls("cpu", "openvino", precision)
        return cls(device, "torch", precision)


ON_CPU = Running()


class Runner:
    """A network in the fastest form that holds, found with the first pixels it is given.

    `net` maps float32 pixels [b, 3, side, side] to layers by name and stays as it is; `fold` makes
    an equal network with less to do of a copy of it.
    """

    def __init__(
        self,
        name: str,
        net: torch.nn.Module,
        running: Running,
        fold: Callable[[torch.nn.Module], None] | None = None,
    ) -> None:
        self.name = name
        self.net = net
        self.running = running
        self._fold = fold
        self._forward: Forward | None = None

    def __call__(self, pixels: torch.Tensor) -> Layers:
        """All layers, float32 [b, width], on the network's device."""
        if self._forward is None:
            self._forward = self._chosen(pixels[:CHECKED])
        return self._forward(pixels)

    def _chosen(self, pixels: torch.Tensor) -> Forward:
        """The first form that gives what the plain network gives."""
        precision = self.running.precision
        plain = self.net(pixels)
        for form, make in self._forms():
            try:
                forward = make(pixels)
                made = forward(pixels)
                off = _apart(made, plain)
                if off <= TOLERANCE[precision] or self._is_as_exact(made, plain, pixels):
                    return forward
            except Exception as error:  # a compiler has as many ways to fail as there are networks
                reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
                _log.warning("%s is not run %s: %s", self.name, form, reason)
                continue
            told = f"its layers are {off:.2g} of their largest value off, {TOLERANCE[precision]} is"
            _log.warning("%s is not run %s: %s allowed", self.name, form, told)
        return self.net if precision == "fp32" else _in_torch(self.net, "bf16", None)

    def _is_as_exact(self, made: Layers, plain: Layers, pixels: torch.Tensor) -> bool:
        """Whether fp32 layers are about as near the network in float64 as the plain ones are."""
        if self.running.precision != "fp32":
            return False
        exact = copy.deepcopy(self.net).cpu().double()(pixels.cpu().double())
        made, plain = ({name: one.cpu() for name, one in each.items()} for each in (made, plain))
        return _apart(made, exact) <= AS_EXACT * _apart(plain, exact)

    def _forms(self) -> Iterator[tuple[str, Callable[[torch.Tensor], Forward]]]:
        """Ways of running the network, fastest first, each made for pixels like the given ones."""
        precision = self.running.precision
        if self.running.runtime == "openvino":
            yield "by OpenVINO", lambda pixels: _by_openvino(self.net, pixels, precision)
        form = "folded" if self._fold else "with channels last"
        form += "" if precision == "fp32" else f" in {precision}"
        yield form, lambda pixels: _in_torch(self.net, precision, self._fold)


def _in_torch(
    net: torch.nn.Module, precision: Precision, fold: Callable[[torch.nn.Module], None] | None
) -> Forward:
    """A copy of the network with channels last, folded if it can be, in the precision asked."""
    import torch

    own = copy.deepcopy(net)
    if fold is not None:
        fold(own)
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    own.to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(pixels: torch.Tensor) -> Layers:
        made = own(pixels.to(dtype=dtype, memory_format=torch.channels_last))
        return {name: values.float() for name, values in made.items()}

    return forward


def _by_openvino(net: torch.nn.Module, pixels: torch.Tensor, precision: Precision) -> Forward:
    """The network compiled by OpenVINO for the CPU, for batches of any size."""
    import openvino
    import torch

    names = list(net(pixels))

    class Outputs(torch.nn.Module):
        """The layers in order, since a traced network returns a tuple."""

        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
            made = self.net(pixels)
            return tuple(made[name] for name in names)

    shape = openvino.PartialShape([-1, *pixels.shape[1:]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tracing: the check on these pixels is what counts
        model = openvino.convert_model(Outputs(), example_input=pixels, input=[shape])
    config: dict[str, Any] = {
        # Unless told otherwise OpenVINO takes bfloat16 wherever the processor has it.
        "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[precision],
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "PERFORMANCE_HINT": "LATENCY",
    }
    compiled = openvino.Core().compile_model(model, "CPU", config)

    def forward(pixels: torch.Tensor) -> Layers:
        made = compiled(pixels.numpy())
        return {name: torch.from_numpy(made[i]) for i, name in enumerate(names)}

    return forward


def _apart(made: Layers, wanted: Layers) -> float:
    """The largest difference of any layer, as a share of the layer's largest value."""
    import torch

    shares = [
        (made[name] - values).abs().max() / values.abs().max().clamp_min(1e-30)
        for name, values in wanted.items()
    ]
    return float(torch.stack(shares).max())  # which keeps a NaN, and Python's max would not
