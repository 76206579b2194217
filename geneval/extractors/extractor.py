"""How a feature extractor is declared and found.

An extractor is built by a registered function with typed keyword options. It declares its layers by
role; metrics ask for roles, so any extractor that has the role serves. Building must be cheap: the
network is loaded when the first batch arrives.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from geneval.data import LabelSpace
from geneval.errors import CheckpointError, GenevalError, UsageError, unknown
from geneval.extractors.runtime import Precision, Running
from geneval.options import Option, checked, declared
from geneval.plugins import load_plugins, named_function
from geneval.samples.sampleset import Batch
from geneval.signature import Scalar
from geneval.source import source_of

PLACED = ("device", "running", "weights")  # options that a suite and the command line set elsewhere
PLUGINS = "geneval.extractors"  # the group of entry points that add extractors
LayerRole = str  # features, logits, spatial, text, unlikeness, or what a metric calls for


@dataclass(frozen=True)
class Layer:
    """One output, float32 [b, width], made of the fields of a sample that it `reads`.

    `target` stands for the image of the reference sample with the same id. `columns` are the names
    of its columns, where metrics ask for them by name.
    """

    role: LayerRole
    width: int
    reads: tuple[str, ...] = ("image",)
    columns: tuple[str, ...] = ()


class FeatureExtractor(Protocol):
    """Batches to columns. Must survive pickling, so that any process can run it."""

    @property
    def identity(self) -> Mapping[str, Scalar]:
        """Declared fields for the signature: `ext`, `weights` (a digest), `resize`, `prec`, …"""

    @property
    def layers(self) -> Mapping[str, Layer]:
        """Its outputs by name."""

    @property
    def labels(self) -> LabelSpace | None:
        """Class names of the logits' columns."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences the reader of its numbers should know, such as on unpublished weights."""

    def __call__(self, batch: Batch, layers: Collection[str]) -> Mapping[str, NDArray[np.float32]]:
        """At least these layers, row by row; images are one array uint8 [b, h, w, 3] a field."""

    def caution(self, unlikeness: NDArray[np.float32]) -> str:
        """What to warn of, given the layer of role `unlikeness` [n, 1] of a sample set, or ''."""


Builder = Callable[..., FeatureExtractor]


@dataclass(frozen=True)
class ExtractorSpec:
    """A registered extractor; `build` makes one of its options and what it takes of `PLACED`."""

    name: str
    build: Builder
    weights: str = ""  # the name its weights go by, where it is another one's
    network: str = ""  # the option that names the extractor whose weights these are, if one does

    @property
    def options(self) -> tuple[Option, ...]:
        """The typed options a suite may set."""
        return tuple(o for o in declared(self.build) if o.name not in PLACED)

    @property
    def documentation(self) -> str:
        """First sentence of the builder's docstring."""
        return (self.build.__doc__ or "").strip().split("\n")[0]


_registry: dict[str, ExtractorSpec] = {}
_families: dict[str, Callable[[str], Builder]] = {}


def extractor(name: str, weights: str = "", network: str = "") -> Callable[[Builder], Builder]:
    """Register the decorated builder as the extractor `name`, with weights of its own or named.

    `network` is the option, if any, that names the extractor whose weights it takes.
    """

    def register(build: Builder) -> Builder:
        source_of(build)  # of the code as it is now, before anyone can edit its file
        _registry[name] = ExtractorSpec(name, build, weights, network)
        return build

    return register


def family(prefix: str) -> Callable[[Callable[[str], Builder]], Callable[[str], Builder]]:
    """Register what makes a builder of each name in `prefix:NAME`."""

    def register(make: Callable[[str], Builder]) -> Callable[[str], Builder]:
        source_of(make)
        _families[prefix] = make
        return make

    return register


@cache
def _load_all() -> None:
    import geneval.extractors
    import geneval.probes

    for package in (geneval.extractors, geneval.probes):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    load_plugins(PLUGINS)


def all_extractors() -> Mapping[str, ExtractorSpec]:
    """Every registered extractor by name."""
    _load_all()
    return dict(sorted(_registry.items()))


def weights_name(name: str, options: Mapping[str, Any]) -> str:
    """The name under which an extractor's weights are kept, fetched and given in a suite."""
    _load_all()
    if name not in _registry:
        return name
    spec = _registry[name]
    if not spec.network:
        return spec.weights or name
    default = next(o.default for o in spec.options if o.name == spec.network)
    return weights_name(str(options.get(spec.network, default)), {})


def families() -> Mapping[str, str]:
    """The prefixes of extractors that are named `prefix:NAME`, with what they are."""
    _load_all()
    return {prefix: (make.__doc__ or "").split("\n")[0] for prefix, make in _families.items()}


def build_extractor(
    name: str,
    options: Mapping[str, Any],
    device: str,
    weights: Path | None,
    precision: Precision = "fp32",
) -> FeatureExtractor:
    """The extractor of that name with its options checked; raises `UsageError`.

    A builder takes the torch device it runs on as `device`, or, where it can run in other
    precisions and by other runtimes, a `Running` as `running`.
    """
    known = all_extractors()
    if name not in known and ":" not in name:
        raise UsageError(f"{unknown('extractor', name, known)}, or give module:function")
    reserved = set(PLACED) & set(options)
    if reserved:
        raise UsageError(f"extractor {name}: {reserved.pop()} is set elsewhere, not as an option")
    build = _builder(name)
    placed = _placed(build, Running.on(device, precision), weights)
    chosen = {**checked(f"extractor {name}", build, options), **placed}
    try:
        built = build(**chosen)
    except GenevalError:
        raise
    except Exception as error:  # the builder may be the user's code
        raise CheckpointError(
            f"extractor {name} cannot be built: {type(error).__name__}: {error}"
        ) from error
    return built_as_declared(name, built)


def _builder(name: str) -> Builder:
    """What builds the extractor of a registered name, of a family, or of `module:function`."""
    if name in _registry:
        return _registry[name].build
    prefix, _, rest = name.partition(":")
    return (
        _families[prefix](rest) if prefix in _families else named_function("extractor", name, name)
    )


def built_as_declared(name: str, built: Any) -> FeatureExtractor:
    """What a builder returned, once it has all that an extractor declares; raises `UsageError`."""
    wanted = ("identity", "layers", "labels", "notes", "caution")
    lacks = [part for part in wanted if not hasattr(built, part)]
    if lacks or not callable(built):
        part = lacks[0] if lacks else "__call__"
        raise UsageError(
            f"extractor {name}: what it builds has no {part}; geneval/extractors/pixels.py is the "
            "smallest one to follow"
        )
    if "ext" not in built.identity:
        raise UsageError(f"extractor {name}: its identity has no `ext`, the name it goes by")
    for field, fact in built.identity.items():
        if not isinstance(fact, str | int | float | None):
            told = f"{field} of its identity is a {type(fact).__name__}, no plain value"
            raise UsageError(f"extractor {name}: {told}")
    extractor: FeatureExtractor = built
    return extractor


def layer_of(built: FeatureExtractor, role: LayerRole) -> str | None:
    """Name of the extractor's layer of that role."""
    return next((name for name, layer in built.layers.items() if layer.role == role), None)


def _placed(build: Builder, running: Running, weights: Path | None) -> dict[str, Any]:
    """How to run and with which weights, for the builders that take them."""
    takes = {option.name for option in declared(build)}
    given = {"device": running.device, "running": running, "weights": weights}
    if weights is not None and "weights" not in takes:
        raise UsageError(f"{build.__name__} has no weights to replace by {weights}")
    return {name: value for name, value in given.items() if name in takes}
