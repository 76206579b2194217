"""How a metric is declared and found: `@metric`, its needs, and the one registry.

A metric is a pure function of what it needs (arrays in, estimates out) with typed keyword options.
Direction, range and unit of its outputs stand in its declaration and nowhere else.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from geneval.data import Features, Moments
from geneval.errors import UsageError, unknown
from geneval.options import Option, checked, declared
from geneval.plugins import load_plugins
from geneval.resample import Context
from geneval.signature import Scalar
from geneval.source import source_of
from geneval.value import Estimate, Evidence, Ids, OutputSpec, Role

if TYPE_CHECKING:
    from geneval.pairs import Asks

Kind = Literal["features", "logits", "labels", "neighbours", "fields", "values", "items"]
READERS = ("values", "items")  # kinds of needs that are of other metrics, not of samples
LabelSource = Literal["given", "predicted"]
Compute = Callable[..., Sequence[Estimate]]
Reduce = Callable[[NDArray[np.float64], Any], NDArray[np.float64]]  # sums [b, k], options → [b]
Outputs = Sequence[OutputSpec] | Callable[[Any], Sequence[OutputSpec]]  # or of the options
Example = Callable[[np.random.Generator, float], Mapping[str, Any]]
At = Mapping[str, str]  # what an estimate is at, by group column
Ats = Callable[[Any, Mapping[str, Sequence[str]]], Mapping[str, Sequence[At]]]
PLUGINS = "geneval.metrics"  # the group of entry points that add metrics
RANGE_SLACK = 1e-9  # rounding that may carry a number past an end of its declared range


class Undefined(Exception):  # noqa: N818 (a state of the metric, not a mistake)
    """Raised by a metric whose value is not defined on its input; the sentence says what to do."""


@dataclass(frozen=True)
class Need:
    """One thing a metric asks for. Which fields matter follows from `kind`.

    features, logits: `role`, the role of the extractor's `layer`, and the extractor of the
    measurement unless `extractor` names one; `or_moments` accepts a role that is known by its
    moments only. neighbours: also `k`, and `among`, another role to seek them in, of which the
    metric asks something too.
    labels: `role` and `source`, and `classes` that predictions must be able to name. fields: `role`
    and `columns`, and `also`, columns that are delivered where the samples have them (in a plan
    they stand in `columns` too); `own` columns are a sample's own, such as a rating of it, and may
    differ between sets that are compared. values: addresses in `of`, delivered with their evidence.
    items: what every other metric of the suite gives each sample, by address (in a plan these stand
    in `of`).
    """

    kind: Kind
    role: Role = Role.GENERATED
    extractor: str | None = None
    or_moments: bool = False
    k: int = 0
    among: Role | None = None
    source: LabelSource = "given"
    columns: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    own: bool = False
    of: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    layer: str | None = None


def features(
    role: str,
    *,
    or_moments: bool = False,
    extractor: str | None = None,
    layer: str = "features",
) -> Need:
    """Rows of an extractor's layer for a role; `or_moments` takes moments as well."""
    return Need("features", Role(role), extractor, or_moments, layer=layer)


def logits(role: str) -> Need:
    """Logits of a role, with the label names of their columns."""
    return Need("logits", Role(role), layer="logits")


def neighbours(role: str, k: int, among: str | None = None) -> Need:
    """The k nearest neighbours of every sample within its own role, or among another role."""
    other = Role(among) if among else None
    return Need("neighbours", Role(role), k=k, among=other, layer="features")


def labels(role: str, source: LabelSource, classes: Sequence[str] | None = None) -> Need:
    """Class labels of a role, as given with the samples or predicted by the extractor.

    `classes` are names that the suite declares, which a predicting extractor must know.
    """
    layer = "logits" if source == "predicted" else None
    return Need("labels", Role(role), source=source, classes=tuple(classes or ()), layer=layer)


def fields(role: str, *columns: str, also: Sequence[str] = (), own: bool = False) -> Need:
    """Plain columns of a role; those in `also` only where its samples have them."""
    return Need("fields", Role(role), columns=columns, also=tuple(also), own=own)


def values(*addresses: str) -> Need:
    """Values that other metrics of the suite have produced, with their evidence."""
    return Need("values", of=addresses)


def items() -> Need:
    """What every other metric of the suite gives each generated sample, as far as they do."""
    return Need("items")


@dataclass(frozen=True)
class MetricSpec:
    """A registered metric. `identity` and `symmetric` declare properties that tests hold it to.

    `conventions` are choices that no option sets and that stand in the signature (ddof, tie rule);
    `identity` maps outputs to their value on identical generated and reference samples;
    `min_n` is the least number of generated samples; `n_match` says how far n may differ in a
    comparison; `example(rng, damage)` makes healthy (0) to ruined (1) inputs for the tests;
    `extractor` is the one used when the suite names none for this metric; `asks` is what it asks of
    the pairs of generated and reference features, which metrics of one extractor share. `reduce`
    maps an output whose evidence is sufficient statistics to what makes values [b] of their sums
    [b, k] under the metric's options; comparisons resample with it. `alone` does so for single
    samples, where that is another function; NaN are samples of which the output says nothing.
    `outputs_of` makes the outputs of a metric whose options say what they are; `outputs` are those
    of its defaults. `ats` says by output what its estimates will be at, where that is known before
    any work: from the options and, by need, the names of the columns of a layer or of the addresses
    that are read.
    """

    name: str
    version: int
    outputs: tuple[OutputSpec, ...]
    needs_of: Callable[[Any], Mapping[str, Need]]
    compute: Compute
    min_n: int
    n_match: Literal["any", "close", "exact"]
    paper: str
    example: Example
    conventions: Mapping[str, Scalar] = field(default_factory=dict)
    identity: Mapping[str, float] = field(default_factory=dict)
    symmetric: tuple[str, ...] = ()
    extractor: str | None = None
    asks_of: Callable[[Any], Asks] | None = None
    reduce: Mapping[str, Reduce] = field(default_factory=dict)
    alone: Mapping[str, Reduce] = field(default_factory=dict)
    outputs_of: Callable[[Any], Sequence[OutputSpec]] | None = None
    ats_of: Ats | None = None

    @property
    def chapter(self) -> str:
        """The folder the metric lives in, which reports use as its chapter."""
        module = self.compute.__module__
        return module.split(".")[-2] if module.startswith("geneval.metrics.") else "other"

    @property
    def documentation(self) -> str:
        """The docstring of the metric's file."""
        return inspect.getdoc(inspect.getmodule(self.compute)) or ""

    @property
    def options(self) -> tuple[Option, ...]:
        """The typed options a suite may set."""
        return declared(self.compute)

    def check_options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All options, the given ones validated; raises `UsageError`."""
        return checked(f"metric {self.name}", self.compute, given)

    def under(self, options: Mapping[str, Any]) -> MetricSpec:
        """The same with the outputs that it has under these (complete) options."""
        if self.outputs_of is None:
            return self
        return replace(self, outputs=tuple(self.outputs_of(SimpleNamespace(**options))))

    def per_item(
        self, output: str, evidence: Evidence, options: Mapping[str, Any]
    ) -> tuple[Ids, NDArray[np.float64]] | None:
        """What an output gave samples [n] by its evidence, or None where it gives none.

        Samples of which it says nothing, such as a share of none, are left out.
        """
        if evidence.kind == "scores":
            return evidence.ids, evidence.rows
        reduce = self.alone.get(output) or self.reduce.get(output)
        if evidence.kind == "influence" or reduce is None:
            return None
        scores = reduce(evidence.rows, SimpleNamespace(**options))
        told = np.flatnonzero(~np.isnan(scores))
        return tuple(evidence.ids[row] for row in told), scores[told]

    def needs(self, options: Mapping[str, Any]) -> Mapping[str, Need]:
        """What the metric asks for under these (complete) options, by parameter name."""
        return self.needs_of(SimpleNamespace(**options))

    def asks(self, options: Mapping[str, Any]) -> Asks | None:
        """What it asks of all pairs of features under these (complete) options, if anything."""
        return self.asks_of(SimpleNamespace(**options)) if self.asks_of else None

    def ats(
        self, options: Mapping[str, Any], named: Mapping[str, Sequence[str]]
    ) -> Mapping[str, Sequence[At]]:
        """What each output's estimates will be at; one that is absent is at nothing."""
        return self.ats_of(SimpleNamespace(**options), named) if self.ats_of else {}

    def measure(
        self, inputs: Mapping[str, Any], context: Context, options: Mapping[str, Any]
    ) -> list[Estimate]:
        """The estimates by output in declared order; what is undefined becomes a problem.

        An output has one estimate, or several that differ in what they are `at`.
        """
        wants = inspect.signature(self.compute).parameters
        given = dict(inputs) | ({"context": context} if "context" in wants else {})
        try:
            _require_one_width(inputs)
            estimates = self.compute(**given, **options)
        except Undefined as reason:
            return [Estimate(output=o.name, problem=str(reason)) for o in self.outputs]
        names = {estimate.output for estimate in estimates}
        if names != {o.name for o in self.outputs}:
            raise AssertionError(f"{self.name} returned {sorted(names)}")
        return [_in_range(e, o) for o in self.outputs for e in estimates if e.output == o.name]


def _require_one_width(inputs: Mapping[str, Any]) -> None:
    """Features and moments of one measurement must come from one feature space."""
    spaces = {
        name: given.d
        for name, given in inputs.items()
        if isinstance(given, Features | Moments) and getattr(given, "space", None) is None
    }
    if len(set(spaces.values())) > 1:
        widths = ", ".join(f"{name} {d}" for name, d in spaces.items())
        raise Undefined(f"the features differ in width: {widths}")


def _in_range(estimate: Estimate, spec: OutputSpec) -> Estimate:
    if estimate.number is None:
        return estimate
    slack = RANGE_SLACK * max(1.0, abs(estimate.number))
    if estimate.number - slack in spec or estimate.number + slack in spec:
        return estimate
    problem = f"{estimate.number:g} lies outside {spec.name}'s range {spec.range}"
    return Estimate(output=estimate.output, problem=problem, n=estimate.n, at=estimate.at)


def _require_fed(name: str, compute: Compute, needs: Callable[[Any], Mapping[str, Need]]) -> None:
    """Raise `ValueError` unless the needs, under default options, are what the function takes."""
    given = set(needs(_defaults(compute)))
    takes = {
        parameter.name: parameter.default is parameter.empty
        for parameter in inspect.signature(compute).parameters.values()
        if parameter.kind is not parameter.KEYWORD_ONLY and parameter.name != "context"
    }
    wrong = given ^ {one for one, required in takes.items() if required or one in given}
    if wrong:
        raise ValueError(f"metric {name!r}: needs and parameters differ in {', '.join(wrong)}")


def _defaults(compute: Compute) -> SimpleNamespace:
    """The options of a metric as they are when none is set."""
    return SimpleNamespace(**{option.name: option.default for option in declared(compute)})


_registry: dict[str, MetricSpec] = {}


def metric(
    name: str,
    *,
    version: int,
    outputs: Outputs,
    needs: Callable[[Any], Mapping[str, Need]],
    example: Example,
    min_n: int = 2,
    n_match: Literal["any", "close", "exact"] = "close",
    paper: str = "",
    conventions: Mapping[str, Scalar] | None = None,
    identity: Mapping[str, float] | None = None,
    symmetric: Sequence[str] = (),
    extractor: str | None = None,
    asks: Callable[[Any], Asks] | None = None,
    reduce: Mapping[str, Reduce] | None = None,
    alone: Mapping[str, Reduce] | None = None,
    ats: Ats | None = None,
) -> Callable[[Compute], Compute]:
    """Register the decorated function as the metric `name`."""

    def register(compute: Compute) -> Compute:
        source_of(compute)  # of the code as it is now, before anyone can edit its file
        own = tuple(outputs(_defaults(compute)) if callable(outputs) else outputs)
        if name in [output.name for output in own[1:]]:
            raise ValueError(f"metric {name!r}: the output that bears its name must be the first")
        if name in _registry and _registry[name].compute.__module__ != compute.__module__:
            raise ValueError(f"metric {name!r} is registered by two modules")
        _require_fed(name, compute, needs)
        _registry[name] = MetricSpec(
            name=name,
            version=version,
            outputs=own,
            needs_of=needs,
            compute=compute,
            min_n=min_n,
            n_match=n_match,
            paper=paper,
            example=example,
            conventions=conventions or {},
            identity=identity or {},
            symmetric=tuple(symmetric),
            extractor=extractor,
            asks_of=asks,
            reduce=reduce or {},
            alone=alone or {},
            outputs_of=outputs if callable(outputs) else None,
            ats_of=ats,
        )
        return compute

    return register


@cache
def _load_all() -> None:
    """Import every module of `geneval.metrics` and every plug-in once."""
    import geneval.metrics

    for module in pkgutil.walk_packages(geneval.metrics.__path__, "geneval.metrics."):
        importlib.import_module(module.name)
    load_plugins(PLUGINS)


def all_metrics() -> Mapping[str, MetricSpec]:
    """Every registered metric by name."""
    _load_all()
    return dict(sorted(_registry.items()))


def find_metric(name: str) -> MetricSpec:
    """The metric of that name; raises `UsageError` with the nearest one."""
    known = all_metrics()
    if name not in known:
        raise UsageError(unknown("metric", name, known))
    return known[name]
