"""What metrics are fed: every need resolved from the ledger and the sample sets, each once.

A `Scope` limits the roles to some samples (a group, or the first n by hash); neighbours and moments
are then those within the scope.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from geneval.data import Features, Fields, Labels, LabelSpace, Neighbours
from geneval.engine.extract import READABLE, PassWork, load_layer
from geneval.extractors.extractor import FeatureExtractor, layer_of
from geneval.linalg import Floats, Ints
from geneval.metric import Need, Undefined
from geneval.neighbours import nearest
from geneval.pairs import Asks, Shared
from geneval.samples.sampleset import SampleSet
from geneval.samples.statistics import KnownMoments
from geneval.value import Ids, Role

_PAIR = (Role.GENERATED, Role.REFERENCE)  # the sides x and y of what is asked of pairs


@dataclass(frozen=True)
class Scope:
    """The samples that count, by role (all of a role that is absent), under a name to cache by."""

    name: str = ""
    ids: Mapping[Role, frozenset[str]] = field(default_factory=dict)


class Inputs:
    """Resolves needs; `widest` is how many neighbours are wanted at most, by role and extractor.

    `known` are the roles of which moments are known, `asks` what is asked by extractor of the pairs
    of all generated and reference features: one sweep answers it and finds the neighbours.
    """

    def __init__(
        self,
        works: Mapping[Role, PassWork],
        widest: Mapping[tuple[Role, str], int],
        known: Mapping[Role, KnownMoments] | None = None,
        asks: Mapping[str, Asks] | None = None,
    ) -> None:
        self.known = known or {}
        self._works = works
        self._widest = widest
        self._shared = {name: Shared(asked) for name, asked in (asks or {}).items()}
        self._known: dict[tuple[Any, ...], Any] = {}

    def samples(self, role: Role) -> SampleSet:
        """The sample set of a role."""
        return self._works[role].samples

    def get(self, need: Need, extractor: str, scope: Scope) -> Any:
        """The data a need stands for, with `extractor` where the need names none."""
        if need.or_moments and need.role in self.known:
            assert need.layer is not None, "the plan checks that moments serve"
            return self.known[need.role].layers[need.layer]
        name = need.extractor or extractor
        match need.kind:
            case "features" | "logits":
                return self._features(need.role, name, need.layer or "features", scope)
            case "neighbours" if need.among:
                return self._across(need.role, need.among, name, need.k, scope)
            case "neighbours":
                return self._neighbours(need.role, name, need.k, scope)
            case "labels":
                return self._labels(need, name, scope)
            case "fields":
                return self._fields(need, scope)
            case _:
                raise AssertionError(f"need of kind {need.kind} is not for the inputs")

    def shared(self, extractor: str, scope: Scope) -> Shared | None:
        """What answers together what is asked of pairs of features; only for all samples."""
        return None if scope.ids else self._shared.get(extractor)

    def good(self, role: Role) -> Ids:
        """Ids of the samples of a role that could be read, as far as any extractor saw them."""
        work = self._works[role]
        widths = {
            (name, layer): work.extractors[name].layers[layer].width
            for name, layers in work.layers.items()
            for layer in layers
        }
        if not widths:
            return self._readable(role)
        return self._layer(role, *min(widths, key=lambda place: widths[place])).ids

    def _readable(self, role: Role) -> Ids:
        """Ids of the samples that can be decoded, where nothing else is known of a set."""
        work = self._works[role]
        if not work.decode:
            return work.samples.ids
        key = ("readable", role)
        if key not in self._known:
            self._known[key] = load_layer(work, *READABLE)[1]
        found: Ids = self._known[key]
        return found

    def unlikeness(self, role: Role, name: str, extractor: FeatureExtractor) -> str:
        """The extractor's caution about a role's samples, or ''."""
        layer = layer_of(extractor, "unlikeness")
        return extractor.caution(self._layer(role, name, layer).x) if layer else ""

    def _features(self, role: Role, name: str, layer_role: Any, scope: Scope) -> Features:
        extractor = self._works[role].extractors[name]
        layer = layer_of(extractor, layer_role)
        assert layer is not None, "the plan checks that the layer exists"
        whole = self._layer(role, name, layer)
        if ("finite", role, name, layer) not in self._known:
            _require_finite(whole, role)
            self._known["finite", role, name, layer] = True
        return whole if role not in scope.ids else self._scoped(whole, role, scope)

    def _layer(self, role: Role, name: str, layer: str) -> Features:
        key = ("layer", role, name, layer)
        if key not in self._known:
            work = self._works[role]
            rows, ids = load_layer(work, name, layer)
            extractor, own = work.extractors[name], work.extractors[name].layers[layer]
            space = LabelSpace(own.columns) if own.columns else None
            is_logits = own.role == "logits"
            self._known[key] = Features(ids, rows, extractor.labels if is_logits else space)
        found: Features = self._known[key]
        return found

    def _scoped(self, whole: Features, role: Role, scope: Scope) -> Features:
        wanted = scope.ids[role]
        return whole.take(np.array([i for i, s in enumerate(whole.ids) if s in wanted], np.int64))

    def _neighbours(self, role: Role, name: str, k: int, scope: Scope) -> Neighbours:
        features = self._features(role, name, "features", scope)
        if k >= features.n:
            raise Undefined(
                f"{features.n} {role} samples are too few for {k} neighbours each; set k lower"
            )
        key = ("neighbours", role, name, scope.name)
        if key not in self._known or self._known[key].k < k:
            widest = min(max(k, self._widest.get((role, name), k)), features.n - 1)
            found = self._near_of_pair(role, name, scope, widest) or nearest(features.x, widest)
            self._known[key] = Neighbours(features.ids, *found)
        known: Neighbours = self._known[key]
        return Neighbours(known.ids, known.distance[:, :k], known.index[:, :k])

    def _across(self, role: Role, among: Role, name: str, k: int, scope: Scope) -> Neighbours:
        """The nearest samples of another role; the deepest search so far serves all."""
        x, y = (self._features(one, name, "features", scope) for one in (role, among))
        if k > y.n:
            raise Undefined(f"{y.n} {among} samples are too few for {k} neighbours of a sample")
        key = ("across", role, among, name, scope.name)
        if key not in self._known or self._known[key].k < k:
            self._known[key] = Neighbours(x.ids, *nearest(x.x, k, y.x), y.ids)
        known: Neighbours = self._known[key]
        return Neighbours(x.ids, known.distance[:, :k], known.index[:, :k], y.ids)

    def _near_of_pair(
        self, role: Role, name: str, scope: Scope, k: int
    ) -> tuple[Floats, Ints] | None:
        """The neighbours as found in the sweep of all pairs, if there is one that goes so far."""
        shared = self.shared(name, scope)
        if shared is None or role not in _PAIR:
            return None
        try:
            x, y = (self._features(one, name, "features", scope).x for one in _PAIR)
        except Undefined:  # of the other side, which is no matter of this one
            return None
        found = shared.of(x, y).near[_PAIR.index(role)] if x.shape[1] == y.shape[1] else None
        return found if found is not None and found[0].shape[1] >= k else None

    def _labels(self, need: Need, name: str, scope: Scope) -> Labels:
        if need.source == "predicted":
            logits = self._features(need.role, name, "logits", scope)
            assert logits.space is not None, "the plan checks that the logits have names"
            return Labels(logits.ids, logits.x.argmax(axis=1).astype(np.int64), logits.space)
        ids, (names,) = self._columns(need.role, ("label",), scope)
        return Labels.of(ids, names)

    def _fields(self, need: Need, scope: Scope) -> Fields:
        ids, columns = self._columns(need.role, need.columns, scope)
        return Fields(ids, dict(zip(need.columns, columns, strict=True)))

    def _columns(
        self, role: Role, names: Sequence[str], scope: Scope
    ) -> tuple[Ids, list[list[Any]]]:
        """Columns of the good samples in scope."""
        samples = self.samples(role)
        wanted = set(self.good(role)) & scope.ids.get(role, frozenset(samples.ids))
        rows = [i for i, sample in enumerate(samples.ids) if sample in wanted]
        columns = [samples.column(name) for name in names]
        return tuple(samples.ids[i] for i in rows), [[c[i] for i in rows] for c in columns]


def _require_finite(features: Features, role: Role) -> None:
    """A NaN in one sample's features would be a NaN, or worse a number, in every value."""
    broken = np.flatnonzero(~np.isfinite(features.x).all(axis=1))
    if len(broken):
        raise Undefined(
            f"the extractor made features that are not finite for {len(broken)} {role} samples, "
            f"the first is {features.ids[broken[0]]}"
        )
