"""How metrics answer when the samples themselves are perturbed: values on them, and drops.

Each setting of a suite's `perturb:` is one more pass over the generated samples, perturbed, and the
metrics it names are measured once more on it: `fid[perturb=jpeg,quality=50]`. Beside these stand
drops, the change in the worse direction of a metric's first output, by the output that it names for
comparisons: `fid.drop[perturb=jpeg,quality=50]`. A sample and what became of it pair by id, so that
a drop's interval is that of paired evidence wherever the metric has evidence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from geneval.difference import Difference, better_by, difference
from geneval.engine.extract import PassWork
from geneval.engine.inputs import Inputs
from geneval.engine.passes import extract_all
from geneval.engine.progress import Progress
from geneval.measure import EvidenceByRole, Measuring
from geneval.perturb.perturbed import Perturbed
from geneval.plan import Plan, layers_of
from geneval.result import EVIDENCE, Document, MetricResult, Result
from geneval.samples.sampleset import fingerprint
from geneval.signature import Signature
from geneval.suite import Setting
from geneval.value import DROP, OutputSpec, Role, Value, address_of

_OUTPUT = OutputSpec(DROP, "lower")


def with_perturbed(
    document: Document,
    measuring: Measuring,
    works: Mapping[Role, PassWork],
    progress: Progress,
    workers: int = 0,
) -> Document:
    """The document with the values on perturbed samples; their evidence joins that of the run."""
    clean = Result(_pairing(document), dict(measuring.evidence))
    found: dict[str, list[Value]] = {}
    for setting in measuring.plan.settings:
        inner = _measuring(setting, measuring, works, progress, workers)
        metrics = inner.run(progress)
        after = Result(_pairing(replace(document, metrics=metrics)), inner.evidence)
        for one in metrics:
            found.setdefault(one.key, []).extend(_values(one, setting, clean, after))
        measuring.evidence.update(_moved(after, setting))
    results = tuple(_extended(one, found.get(one.key, [])) for one in document.metrics)
    return replace(document, metrics=results)


def _measuring(
    setting: Setting,
    outer: Measuring,
    works: Mapping[Role, PassWork],
    progress: Progress,
    workers: int,
) -> Measuring:
    """The measurements of one setting, once its pass is done."""
    chosen = tuple(m for m in outer.plan.measurements if m.key in setting.metrics)
    suite = outer.plan.suite.model_copy(update={"floor": False})
    plan = Plan(suite, outer.plan.passes, chosen, outer.plan.groups, {})
    samples = Perturbed(works[Role.GENERATED].samples, [setting.step], suite.seed)
    layers = layers_of(Role.GENERATED, chosen, outer.extractors)
    own = replace(works[Role.GENERATED], samples=samples, layers=layers, keep=False)
    skip_bad = suite.on_bad_sample == "skip"
    extract_all(own, f"generated samples after {setting.step}", progress, workers, skip_bad)
    inputs = Inputs({**works, Role.GENERATED: own}, plan.widest, outer.inputs.known, plan.asks())
    fingerprints = {**outer.fingerprints, Role.GENERATED: fingerprint(samples)}
    return Measuring(
        plan,
        inputs,
        outer.extractors,
        fingerprints,
        outer.ledger,
        outer.backend,
        targets=outer.targets,
    )


def _pairing(document: Document) -> Document:
    """The same, declaring that ids pair, as those of a set and of what was made of it do."""
    whole = {**document.suite.document, "pair_by": "id"}
    return replace(document, suite=replace(document.suite, document=whole), partial=None)


def _values(one: MetricResult, setting: Setting, clean: Result, after: Result) -> Iterator[Value]:
    """The values of a metric on perturbed samples, each first output's with its drop."""
    for value in one.values:
        yield _at(value, setting, value.spec)
        if value.spec.name == one.outputs[0] and value.spec.direction != "target":
            yield _drop(value, setting, _difference(after, clean, value.address))


def _difference(after: Result, clean: Result, address: str) -> Difference:
    """What perturbing changed, where the metric could be measured before."""
    if address not in clean.by_address:
        return Difference(address, problem="the metric has no value on the samples as they are")
    level = float(clean.document.suite.document["confidence"])
    return difference(after, clean, address, level)


def _at(value: Value, setting: Setting, spec: OutputSpec) -> Value:
    """A value under the address of its setting, which its signature names too."""
    at = {**value.at, **setting.at}
    address = address_of(value.key, value.metric, spec.name, at)
    fields = (*value.signature.fields, ("perturb", str(setting.step)))
    notes = {r: replace(note, column=EVIDENCE + address) for r, note in value.evidence.items()}
    return replace(
        value,
        address=address,
        at=at,
        spec=spec,
        signature=Signature(fields, value.signature.exact_n),
        evidence=notes,
        galleries=(),
    )


def _drop(value: Value, setting: Setting, found: Difference) -> Value:
    """The change in the worse direction, with the difference's interval."""
    worse = -better_by(value.spec, 1.0)
    bare = replace(_at(value, setting, _OUTPUT), evidence={}, tables=(), finding="")
    if found.number is None:
        problem = found.problem or value.problem or "the value of the clean samples is not defined"
        return replace(bare, number=None, problem=problem, interval=None, no_interval=None)
    number = worse * found.number + 0.0  # no negative zero
    interval, none = found.interval, None
    if interval is None or interval.low == interval.high:
        unknown = "the metric has neither evidence nor intervals"
        interval, none = None, "no sample changed what it gives" if interval else unknown
    elif worse < 0:
        interval = replace(interval, low=-interval.high, high=-interval.low)
    return replace(bare, number=number, problem=None, interval=interval, no_interval=none)


def _moved(after: Result, setting: Setting) -> dict[str, EvidenceByRole]:
    """The evidence of the values on perturbed samples, by the addresses that these now have."""
    return {
        _at(value, setting, value.spec).address: after.evidence(value)
        for value in after.values()
        if value.evidence
    }


def _extended(one: MetricResult, values: Sequence[Value]) -> MetricResult:
    """A metric's result with its values on perturbed samples."""
    if not values:
        return one
    problems = [f"{value.address}: {value.problem}" for value in values if value.problem]
    return replace(
        one,
        outputs=(*one.outputs, DROP),
        values=(*one.values, *values),
        status="failed" if problems else one.status,
        reason="; ".join([*filter(None, [one.reason]), *problems]),
    )
