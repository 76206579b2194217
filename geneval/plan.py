"""The plan: what a suite asks of these sample sets, derived before any work is done.

A pure function of suite, facts about the sets, and declared extractors. It merges equal needs into
one pass per role, orders measurements by what they read of each other, and refuses what cannot be
done with a sentence that says what to give.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from itertools import product

from geneval.engine.extract import TARGET
from geneval.errors import UsageError, unknown
from geneval.extractors.extractor import FeatureExtractor, Layer, LayerRole, layer_of
from geneval.metric import READERS, Need
from geneval.pairs import Asks
from geneval.samples.sampleset import COST, TEXT, FieldType
from geneval.samples.statistics import KnownMoments
from geneval.suite import ExtractorChoice, MetricEntry, Setting, Suite
from geneval.value import DROP, AddressBook, Groups, Role, parse_address

_GIVE = {
    Role.GENERATED: "--samples PATH, or --checkpoint PATH --adapter NAME",
    Role.REFERENCE: "--reference PATH",
    Role.TRAIN: "--train PATH",
}


_ENCODERS: Mapping[LayerRole, str] = {  # of texts, by the role of the layer that is wanted
    "features": "char-ngrams or sentence-transformers:NAME_OR_PATH",
    "similarity": "sentence-transformers:NAME_OR_PATH or char-ngrams",
    "bertscore": "transformers:NAME_OR_PATH",
    "likelihood": "causal-lm:NAME_OR_PATH",
}

_TYPES: Mapping[str, FieldType] = {  # of the fields that extractors read
    "image": "image",
    "source_image": "image",
    "prompt": "text",
    "source_prompt": "text",
    "latent": "latent",
    "seed": "seed",
    "hypothesis": "text",
    "references": "texts",
    "samples": "texts",
    "turns": "turns",
    TEXT: "text",
}


@dataclass(frozen=True)
class SetFacts:
    """What the plan needs to know of a sample set, without reading a sample.

    `groups` holds what stands in the columns by which the suite groups; `known` the moments beside
    the samples, or instead of them where `n` is 0; `unpaired` the ids of a generated set that the
    reference lacks, if any are to be compared one by one.
    """

    name: str
    n: int
    fields: Mapping[str, FieldType]
    labels: frozenset[str] = frozenset()
    requested_labels: bool = False
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)
    known: KnownMoments | None = None
    unpaired: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pass:
    """One reading of one role: the layers wanted of each extractor, by the extractor's key."""

    role: Role
    n: int
    layers: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Measurement:
    """One metric with its needs and the key of the extractor for those that name none, or ''.

    In a plan `or_moments` of a need says that moments do serve it; `reads` are the fields that its
    extractors' layers are made of.
    """

    entry: MetricEntry
    needs: Mapping[str, Need]
    extractor: str
    reads: frozenset[str] = frozenset()

    def reads_samples(self, role: Role) -> bool:
        """Whether it looks at samples of a role, beyond moments that are known."""
        wanted = [n for n in self.needs.values() if n.kind not in READERS and n.role is role]
        return any(not need.or_moments for need in wanted)

    @property
    def key(self) -> str:
        """Its key in addresses."""
        return self.entry.key

    def extractor_of(self, need: Need) -> str | None:
        """The key of the extractor that a need is computed with, if it is with any."""
        return (need.extractor or self.extractor) if need.layer else None

    @property
    def extractors(self) -> tuple[str, ...]:
        """The keys of all extractors it is computed with."""
        used = map(self.extractor_of, self.needs.values())
        return tuple(dict.fromkeys(key for key in used if key))

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of its outputs."""
        return tuple(output.name for output in self.entry.spec.outputs)

    @property
    def roles(self) -> tuple[Role, ...]:
        """The roles it reads, in the order of `Role`."""
        read = {need.role for need in self.needs.values() if need.kind not in READERS}
        return tuple(role for role in Role if role in read)


@dataclass(frozen=True)
class Plan:
    """Passes, then measurements in dependency order.

    `groups` holds what each output will be given by, by key and output (an intersection without
    samples has no value), `skipped` why an optional metric of the suite cannot be measured on
    these sets.
    """

    suite: Suite
    passes: tuple[Pass, ...]
    measurements: tuple[Measurement, ...]
    groups: Mapping[tuple[str, str], Groups]
    skipped: Mapping[str, str]

    @property
    def book(self) -> AddressBook:
        """Every address of the suite, with the groups it can have."""
        entries = (*(m.entry for m in self.measurements), *self.skipped_entries)
        loose = {
            (entry.key, output.name): Groups(entry.columns)
            for entry in self.skipped_entries
            for output in entry.spec.outputs
            if entry.spec.ats_of is None
        }
        perturbed = {e.key: [s.at for s in self.settings if e.key in s.metrics] for e in entries}
        named = [
            (key, metric, (*outputs, DROP) if perturbed[key] else outputs)
            for key, metric, outputs in map(_addresses, entries)
        ]
        return AddressBook(tuple(named), {**loose, **self.groups}, perturbed)

    @property
    def settings(self) -> list[Setting]:
        """How the samples are perturbed, for metrics that are measured."""
        keys = {measurement.key for measurement in self.measurements}
        return [setting for setting in self.suite.settings if setting.metrics & keys]

    @property
    def skipped_entries(self) -> tuple[MetricEntry, ...]:
        """The metrics of the suite that cannot be measured."""
        return tuple(entry for entry in self.suite.metrics if entry.key in self.skipped)

    @property
    def widest(self) -> dict[tuple[Role, str], int]:
        """The most neighbours wanted of each role and extractor: one sweep serves all."""
        widest: dict[tuple[Role, str], int] = {}
        for measurement in self.measurements:
            for need in measurement.needs.values():
                if need.kind == "neighbours" and need.among is None:
                    place = (need.role, need.extractor or measurement.extractor)
                    widest[place] = max(widest.get(place, 0), need.k)
        return widest

    def asks(self) -> dict[str, Asks]:
        """What the measurements on all samples ask of the pairs of features, by extractor."""
        asks: dict[str, Asks] = {}
        widest = self.widest
        for measurement in self.measurements:
            entry = measurement.entry
            asked = entry.spec.asks(entry.options)
            if asked is None or entry.by or entry.n:
                continue
            place = measurement.extractor
            nearest = Asks(k=max(widest.get((role, place), 0) for role in Role))
            asks[place] = asked | asks.get(place, nearest)
        return asks


def chosen_extractors(suite: Suite) -> dict[str, ExtractorChoice]:
    """Every extractor the suite names, by key, the suite's own first; texts may need none."""
    own = [e.own_extractor for e in suite.metrics if e.own_extractor]
    choices = [suite.extractor, *own] if uses_own_extractor(suite) else own
    for entry in suite.metrics:
        needs = entry.spec.needs(entry.options).values()
        choices += [ExtractorChoice(name=need.extractor) for need in needs if need.extractor]
    return {choice.key: choice for choice in choices}


def uses_own_extractor(suite: Suite) -> bool:
    """Whether the suite's extractor is to be built: it is written, or a metric falls back on it."""
    if suite.samples.kind != "texts" or "extractor" in suite.model_fields_set:
        return True
    return any(
        need.layer and not need.extractor
        for entry in suite.metrics
        if entry.own_extractor is None
        for need in entry.spec.needs(entry.options).values()
    )


def make_plan(
    suite: Suite,
    sets: Mapping[Role, SetFacts],
    extractors: Mapping[str, FeatureExtractor],
    unbuilt: Mapping[str, str] | None = None,
) -> Plan:
    """The plan; raises `UsageError` for what is impossible.

    `unbuilt` says why extractors that only optional metrics use cannot be had.
    """
    _require_groups(suite, sets)
    measurements, skipped = [], dict[str, str]()
    for entry in suite.metrics:
        choice, wanted = entry.own_extractor or suite.extractor, entry.spec.needs(entry.options)
        falls_back = any(need.layer and not need.extractor for need in wanted.values())
        measurement = Measurement(entry, wanted, choice.key if falls_back else "")
        try:
            _require_named(measurement, suite)
            _require_built(measurement, unbuilt or {})
            needs = {
                name: _resolved(need, measurement, sets, extractors)
                for name, need in measurement.needs.items()
            }
            measurement = replace(measurement, needs=needs, reads=_reads(measurement, extractors))
            for need in needs.values():
                _check(need, measurement, sets, extractors)
            _check_groups(measurement, sets)
        except UsageError as error:
            if not entry.optional:
                raise UsageError(f"{suite.at('metrics', entry.key)}{error}") from None
            skipped[entry.key] = str(error)
        else:
            measurements.append(measurement)
    measurements = [_reading_others(one, measurements) for one in measurements]
    if not measurements:
        raise UsageError(f"no metric can be measured: {next(iter(skipped.values()))}")
    ordered = _ordered(measurements)
    groups = {place: one for m in ordered for place, one in _groups(m, sets, extractors).items()}
    passes = tuple(
        Pass(role, sets[role].n, layers_of(role, ordered, extractors))
        for role in Role
        if role in sets and sets[role].n
    )
    return Plan(suite, passes, ordered, groups, skipped)


def _require_groups(suite: Suite, sets: Mapping[Role, SetFacts]) -> None:
    """Raise `UsageError` for a column to group everything by that the samples do not have."""
    facts = sets.get(Role.GENERATED)
    if facts is None:
        return
    for column in suite.groups:
        if column not in _groupable(facts):
            reason = unknown("column", column, _groupable(facts))
            raise UsageError(f"{suite.at('groups')}groups: {facts.name}: {reason}")


def _groupable(facts: SetFacts) -> list[str]:
    """The columns that samples can be grouped by."""
    apart = ("image", "texts", "turns", "latent", "cost")
    return [name for name, kind in facts.fields.items() if kind not in apart]


def _reading_others(measurement: Measurement, all_of_them: list[Measurement]) -> Measurement:
    """The measurement, with the addresses of the others where it reads what these give samples."""
    if not any(need.kind == "items" for need in measurement.needs.values()):
        return measurement
    others = [m for m in all_of_them if not (m.entry.by or m.entry.spec.ats_of)]
    of = AddressBook(tuple(_addresses(m.entry) for m in others)).names()
    needs = {
        name: replace(need, of=tuple(of)) if need.kind == "items" else need
        for name, need in measurement.needs.items()
    }
    return replace(measurement, needs=needs)


def _groups(
    measurement: Measurement,
    sets: Mapping[Role, SetFacts],
    extractors: Mapping[str, FeatureExtractor],
) -> dict[tuple[str, str], Groups]:
    """What each output of a measurement will be given by."""
    entry = measurement.entry
    named = {
        name: _named(need, measurement, extractors) for name, need in measurement.needs.items()
    }
    own = entry.spec.ats(entry.options, named)
    there = [
        sorted(frozenset[str]().union(*(sets[role].groups[column] for role in measurement.roles)))
        for column in entry.columns
    ]
    scopes = [dict(zip(entry.columns, one, strict=True)) for one in product(*there)]
    return {
        (entry.key, output): Groups.of(
            [{**at, **scope} for at in own.get(output, [{}]) for scope in scopes]
        )
        for output in measurement.outputs
    }


def _named(
    need: Need, measurement: Measurement, extractors: Mapping[str, FeatureExtractor]
) -> tuple[str, ...]:
    """The addresses that a need reads, or the names of its layer's columns."""
    key = measurement.extractor_of(need)
    layer = layer_of(extractors[key], need.layer or "") if key else None
    return extractors[key].layers[layer].columns if key and layer else need.of


def _require_named(measurement: Measurement, suite: Suite) -> None:
    """Refuse to take the extractor of suites of images for texts that nobody named one for."""
    is_named = measurement.entry.own_extractor or "extractor" in suite.model_fields_set
    if suite.samples.kind != "texts" or is_named or not measurement.extractor:
        return
    roles = [need.layer for need in measurement.needs.values() if need.layer]
    known = next((_ENCODERS[role] for role in roles if role in _ENCODERS), _ENCODERS["features"])
    raise UsageError(
        f"{measurement.key} needs a model that reads texts, and none is named: set `extractor:` of "
        f"the suite or of the metric, such as {known}"
    )


def _require_built(measurement: Measurement, unbuilt: Mapping[str, str]) -> None:
    for key in unbuilt.keys() & set(measurement.extractors):
        raise UsageError(unbuilt[key])


def check_form(suite: Suite, has_samples: bool, known: KnownMoments | None) -> None:
    """Refuse a reference in another form than the suite's protocol has."""
    wanted = suite.reference.form if suite.reference else "any"
    if wanted == "any" or not (has_samples or known):
        return
    form = "both" if has_samples and known else "moments" if known else "samples"
    if form != wanted:
        told = {
            "samples": "samples: give a folder or an array of images",
            "moments": "moments: give an npz with mu and sigma (`geneval reference build`)",
            "both": "moments and samples: give an npz with mu, sigma and arr_0, as ADM's",
        }
        raise UsageError(
            f"{suite.at('reference', 'form')}{suite.name} takes its reference as {told[wanted]}; "
            f"this one holds {'moments and samples' if form == 'both' else form}"
        )


def _resolved(
    need: Need,
    measurement: Measurement,
    sets: Mapping[Role, SetFacts],
    extractors: Mapping[str, FeatureExtractor],
) -> Need:
    """The need, which accepts moments only where they are to serve it, with all its columns."""
    facts = sets.get(need.role)
    if facts is not None:
        need = _with_columns(need, facts.fields)
    if not need.or_moments or facts is None:
        return need
    if facts.known is None:
        return replace(need, or_moments=False)
    if not facts.n:
        return need
    extractor = extractors[need.extractor or measurement.extractor]
    return replace(need, or_moments=not unfit(need.layer or "", facts.known, extractor))


def _with_columns(need: Need, there: Collection[str]) -> Need:
    """The need with those of the columns it takes where there are any."""
    also = tuple(name for name in need.also if name in there)
    return replace(need, columns=(*need.columns, *also), also=also)


def with_columns(plan: Plan, role: Role, there: Collection[str]) -> Plan:
    """The plan once all columns of a role are known: metrics are given those they can use."""
    measurements = []
    for measurement in plan.measurements:
        declared = measurement.entry.spec.needs(measurement.entry.options)
        needs = {
            name: _with_columns(declared[name], there)
            if need.kind == "fields" and need.role is role
            else need
            for name, need in measurement.needs.items()
        }
        measurements.append(replace(measurement, needs=needs))
    return replace(plan, measurements=tuple(measurements))


def _reads(measurement: Measurement, extractors: Mapping[str, FeatureExtractor]) -> frozenset[str]:
    """The fields that the layers wanted by a measurement are made of."""
    found: set[str] = set()
    for need in measurement.needs.values():
        key = measurement.extractor_of(need)
        layer = layer_of(extractors[key], need.layer or "") if key else None
        found.update(extractors[key].layers[layer].reads if key and layer else ())
    return frozenset(found)


def _check(
    need: Need,
    measurement: Measurement,
    sets: Mapping[Role, SetFacts],
    extractors: Mapping[str, FeatureExtractor],
) -> None:
    key = measurement.key
    if need.kind in READERS:
        return
    if need.role not in sets:
        raise UsageError(f"{key} needs {need.role} samples: give {_GIVE[need.role]}")
    facts, used = sets[need.role], measurement.extractor_of(need)
    if facts.known and need.or_moments and used:
        reason = unfit(need.layer or "", facts.known, extractors[used])
        if reason:
            raise UsageError(f"{key}: {reason}")
        return
    if not facts.n:
        raise UsageError(
            f"{key} needs {need.role} samples, but {facts.name} holds moments only: give a folder "
            f"or an array of images, or leave {key} out"
        )
    if need.layer and used:
        layer = _check_layer(need.layer, extractors[used], key)
        _check_reads(layer, need.role, key, sets)
    if need.kind == "labels":
        _check_labels(need, measurement, facts, extractors)
    for column in need.columns:
        if column not in facts.fields:
            how = f"; {_bring(column)}" if column in _TYPES else ""
            told = unknown("field", column, facts.fields)
            raise UsageError(f"{key}: {facts.name}: {told}{how}")


def unfit(role: str, known: KnownMoments, extractor: FeatureExtractor) -> str:
    """Why known moments are not those of this very extractor's layer of a role, or ''."""
    layer = layer_of(extractor, role)
    identity = extractor.identity
    if layer is None or role not in known.layers:
        return f"{known.name} holds no moments of {role} features"
    width, held = extractor.layers[layer].width, known.widths[role]
    if width != held:
        return (
            f"{known.name} holds moments of {held} features, the extractor {identity['ext']} "
            f"makes {width}"
        )
    for name, made in known.made_by.items():
        if identity.get(name) != made:
            return f"{known.name} was made with {name} {made}, the suite has {identity.get(name)}"
    return ""


def _check_layer(role: LayerRole, extractor: FeatureExtractor, key: str) -> Layer:
    layer = layer_of(extractor, role)
    if layer is None:
        name = extractor.identity["ext"]
        raise UsageError(
            f"{key} needs {role}, which the extractor {name} does not have; it has "
            f"{', '.join(extractor.layers)} (`optional: true` skips it)"
        )
    return extractor.layers[layer]


def _check_reads(layer: Layer, role: Role, key: str, sets: Mapping[Role, SetFacts]) -> None:
    """Every sample must have the fields that a layer is made of."""
    facts = sets[role]
    for name in layer.reads:
        if name in facts.fields and facts.fields[name] != _TYPES.get(name, facts.fields[name]):
            raise UsageError(
                f"{key}: {name} of {facts.name} is {facts.fields[name]}, it must be {_TYPES[name]}"
            )
        if name != TARGET and name not in facts.fields:
            _require_kind(name, layer, key, facts)
            has = ", ".join(facts.fields)
            raise UsageError(
                f"{key} needs the field {name!r} of every {role} sample, and {facts.name} has "
                f"{has}: {_bring(name)}"
            )
    if TARGET not in layer.reads:
        return
    if Role.REFERENCE not in sets or not sets[Role.REFERENCE].n:
        raise UsageError(f"{key} needs {Role.REFERENCE} samples: give {_GIVE[Role.REFERENCE]}")
    if facts.unpaired:
        raise UsageError(
            f"{key} compares each sample with the reference sample of the same id, and "
            f"{sets[Role.REFERENCE].name} has none for {facts.unpaired[0]!r} "
            f"({len(facts.unpaired)} such ids)"
        )


def _require_kind(missing: str, layer: Layer, key: str, facts: SetFacts) -> None:
    """Refuse an extractor of images for texts, and the reverse, which no column would help."""
    is_text, reads_text = TEXT in facts.fields, TEXT in layer.reads or "references" in layer.reads
    if is_text and missing == "image":
        raise UsageError(
            f"{key}: its extractor reads images, and {facts.name} holds texts: name one that reads "
            f"texts, such as {_ENCODERS['features']}"
        )
    if reads_text and "image" in facts.fields and not is_text:
        raise UsageError(
            f"{key}: its extractor reads texts, and {facts.name} holds images: name one that reads "
            "images, or set `samples: {kind: texts}`"
        )


def _bring(field: str) -> str:
    """How samples come by a field."""
    if field in ("latent", "seed"):
        return "give a checkpoint whose adapter takes latents (`geneval.Generator(latent=…)`)"
    if field in COST:
        return "it is noted when a checkpoint makes samples (--checkpoint)"
    how = f"add it as a column, or name the column that holds it with --field {field}=COLUMN"
    if field == "references":
        return f"{how}, or give --reference FILE with the same ids or lines"
    return f"{how}; a checkpoint gets `generate: {{prompts: FILE}}`" if field == "prompt" else how


def _check_labels(
    need: Need,
    measurement: Measurement,
    facts: SetFacts,
    extractors: Mapping[str, FeatureExtractor],
) -> None:
    key = measurement.key
    if need.source == "predicted":
        extractor = extractors[measurement.extractor]
        if extractor.labels is None:
            name = extractor.identity["ext"]
            raise UsageError(f"{key}: the extractor {name} has no class names to predict")
        beyond = [name for name in need.classes if name not in extractor.labels.names]
        if beyond:
            raise UsageError(f"{key}: {unknown('class', beyond[0], extractor.labels.names)}")
        return
    if "label" not in facts.fields:
        raise UsageError(
            f"{key} needs labelled {need.role} samples, but {facts.name} has no labels "
            "(sub-folders, a metadata file with a label column, or arr_1 of an npz)"
        )
    if need.role is Role.GENERATED and facts.requested_labels:
        raise UsageError(
            f"{key}: the labels of {facts.name} are those that were asked for; what was "
            "drawn needs `labels: predicted`"
        )
    predicts = any(
        n.kind == "labels" and n.source == "predicted" for n in measurement.needs.values()
    )
    known = extractors[measurement.extractor].labels if predicts else None
    if known is not None:
        strays = sorted(facts.labels - set(known.names))
        if strays:
            raise UsageError(
                f"{key}: the label {strays[0]!r} of {facts.name} is none that the extractor "
                f"{extractors[measurement.extractor].identity['ext']} predicts "
                f"({', '.join(known.names)})"
            )


def _check_groups(measurement: Measurement, sets: Mapping[Role, SetFacts]) -> None:
    if measurement.entry.by and not measurement.roles:
        raise UsageError(f"{measurement.key}: by: it reads values, not samples to group")
    for column in measurement.entry.columns:
        for role in measurement.roles:
            columns = _groupable(sets[role])
            if column not in columns:
                reason = unknown("column", column, columns)
                raise UsageError(f"{measurement.key}: by: {sets[role].name}: {reason}")


def _ordered(measurements: list[Measurement]) -> tuple[Measurement, ...]:
    """The measurements, each after those whose values it reads."""
    book = AddressBook(tuple(_addresses(m.entry) for m in measurements))
    by_key = {m.key: m for m in measurements}
    ordered: dict[str, Measurement] = {}

    def place(measurement: Measurement, waiting: tuple[str, ...]) -> None:
        if measurement.key in waiting:
            raise UsageError(f"metrics read each other's values: {' → '.join(waiting)}")
        for need in measurement.needs.values():
            for address in need.of:
                source = _source(book, address, measurement.key)
                place(by_key[source], (*waiting, measurement.key))
        ordered.setdefault(measurement.key, measurement)

    for measurement in measurements:
        place(measurement, ())
    return tuple(ordered.values())


def _addresses(entry: MetricEntry) -> tuple[str, str, tuple[str, ...]]:
    """Key, metric and outputs, from which addresses are made."""
    return entry.key, entry.metric, tuple(output.name for output in entry.spec.outputs)


def _source(book: AddressBook, address: str, reader: str) -> str:
    try:
        name, _ = parse_address(book.resolve(address))
    except LookupError as error:
        raise UsageError(f"{reader} reads a value that the suite does not have: {error}") from None
    return name.split(".")[0]


def layers_of(
    role: Role, measurements: tuple[Measurement, ...], extractors: Mapping[str, FeatureExtractor]
) -> dict[str, tuple[str, ...]]:
    """The layers wanted of each extractor for a role; unlikeness always comes along."""
    wanted: dict[str, list[str]] = {}
    for measurement in measurements:
        for need in measurement.needs.values():
            if need.role is not role or need.layer is None or need.or_moments:
                continue
            name = need.extractor or measurement.extractor
            for layer_role in (need.layer, "unlikeness"):
                layer = layer_of(extractors[name], layer_role)
                if layer and layer not in wanted.setdefault(name, []):
                    wanted[name].append(layer)
    return {name: tuple(layers) for name, layers in wanted.items()}
