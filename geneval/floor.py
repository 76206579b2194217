"""The floor: what the reference scores against itself, the ruler that gives a number its meaning.

Two disjoint draws of min(n, ⌊m/2⌋) reference samples are measured against each other as if one were
generated: no generator can be expected to do better at this n. The second mark is the same with the
first draw saved as JPEG of quality 50, damage that everybody knows. Draws follow the hash of the
sample id; both marks come from the ledger, so a second checkpoint costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from geneval.engine.extract import TARGET, PassWork
from geneval.engine.inputs import Inputs, Scope
from geneval.engine.passes import PassReport, extract_all
from geneval.engine.progress import Progress
from geneval.extractors.extractor import layer_of
from geneval.metric import Undefined
from geneval.perturb.perturbation import applied
from geneval.perturb.perturbed import Perturbed
from geneval.plan import Measurement, Plan
from geneval.resample import shuffled
from geneval.samples.sampleset import Subset, rows_of
from geneval.value import Estimate, Floor, Ids, Role

QUALITY = 50  # of the JPEG
STREAM = "floor"  # whose order the draws follow
_KINDS = {"features", "logits", "neighbours"}

# From a measurement, a name for what is measured, and its inputs by parameter, to the estimates.
Measure = Callable[[Measurement, Mapping[str, Any], Callable[[], dict[str, Any]]], list[Estimate]]


@dataclass(frozen=True)
class Floors:
    """Floors of measurements; `jpegs` holds the first draw as JPEG in the role `generated`."""

    inputs: Inputs
    jpegs: Inputs | None
    measure: Measure

    def of(self, measurement: Measurement, scope: Scope, n: int) -> Mapping[str, Floor]:
        """The floor of each output at n generated samples within a scope, where there is one."""
        if not has_floor(measurement):
            return {}
        within = scope.ids.get(Role.REFERENCE)
        ids = self._order if within is None else within & self._order.keys()
        first, second = draws(sorted(ids, key=self._order.__getitem__), n)
        least = measurement.entry.spec.min_n
        if len(first) < least:
            told = f"two draws of {len(first)} are what the reference gives, {least} are needed"
            return {output: Floor(len(first), problem=told) for output in measurement.outputs}
        plain = self._scored(measurement, scope, (self.inputs, Role.REFERENCE), first, second)
        jpeg: dict[str, Estimate] = {}
        if self.jpegs is not None and self._as_jpeg.issuperset(first):
            jpeg = self._scored(measurement, scope, (self.jpegs, Role.GENERATED), first, second)
        return {
            output: Floor(
                len(first),
                one.number,
                jpeg[output].number if output in jpeg else None,
                one.problem or "",
            )
            for output, one in plain.items()
        }

    @cached_property
    def _order(self) -> dict[str, int]:
        """The place of every readable reference sample in the order of the draws."""
        return rows_of(shuffled(self.inputs.good(Role.REFERENCE), STREAM))

    @cached_property
    def _as_jpeg(self) -> frozenset[str]:
        """The samples that are there as JPEG."""
        return frozenset(self.jpegs.good(Role.GENERATED) if self.jpegs else ())

    def _scored(
        self,
        measurement: Measurement,
        scope: Scope,
        source: tuple[Inputs, Role],
        first: Ids,
        second: Ids,
    ) -> dict[str, Estimate]:
        """The estimates with the first draw of a source in place of the generated samples."""
        inputs, role = source
        is_jpeg = inputs is self.jpegs

        def given() -> dict[str, Any]:
            found = {}
            for name, need in measurement.needs.items():
                if need.role is Role.GENERATED:
                    at = Scope(f"{scope.name} 1 of {len(first)}", {role: frozenset(first)})
                    found[name] = inputs.get(replace(need, role=role), measurement.extractor, at)
                else:
                    at = Scope(f"{scope.name} 2 of {len(second)}", {need.role: frozenset(second)})
                    found[name] = self.inputs.get(need, measurement.extractor, at)
            return found

        what = {"draws": [first, second], "jpeg": QUALITY if is_jpeg else None}
        try:
            estimates = self.measure(measurement, what, given)
        except Undefined as reason:
            outputs = measurement.outputs
            estimates = [Estimate(output=name, problem=str(reason)) for name in outputs]
        except Exception as error:  # the metric's own run will tell; a ruler must not end it
            told = f"{type(error).__name__}: {error}"
            estimates = [Estimate(output=name, problem=told) for name in measurement.outputs]
        return {estimate.output: estimate for estimate in estimates}


def draws(order: Sequence[str], n: int) -> tuple[Ids, Ids]:
    """Two disjoint draws of min(n, ⌊m/2⌋) of m shuffled ids; smaller first draws are nested."""
    size = min(n, len(order) // 2)
    return tuple(order[:size]), tuple(order[len(order) - size :])


def has_floor(measurement: Measurement) -> bool:
    """Whether a measurement compares generated with reference samples, and nothing else."""
    needs = measurement.needs.values()
    wanted = {role: {(n.layer, n.extractor) for n in needs if n.role is role} for role in Role}
    return (
        bool(wanted[Role.GENERATED])
        and wanted[Role.GENERATED] <= wanted[Role.REFERENCE]
        and not wanted[Role.TRAIN]
        and not any(need.among for need in needs)
        and {need.kind for need in needs} <= _KINDS
        and measurement.reads_samples(Role.REFERENCE)
        and TARGET not in measurement.reads
    )


def jpeg_inputs(
    plan: Plan, inputs: Inputs, reference: PassWork, progress: Progress, workers: int = 0
) -> tuple[Inputs | None, PassReport]:
    """The first draw of the reference as JPEG, extracted as the suite's measurements need it.

    Texts have no such mark: their floor is that of two draws alone.
    """
    if "image" not in reference.samples.fields:
        return None, PassReport()
    made = len(inputs.good(Role.GENERATED))
    layers: dict[str, set[str]] = {}
    most = 0
    for measurement in plan.measurements:
        if not has_floor(measurement) or measurement.entry.by:
            continue
        most = max(most, min(measurement.entry.n or made, made))
        for need in measurement.needs.values():
            if need.role is Role.GENERATED:
                name = need.extractor or measurement.extractor
                layer = layer_of(reference.extractors[name], need.layer or "")
                layers.setdefault(name, set()).update([layer] if layer else [])
    first, _ = draws(shuffled(inputs.good(Role.REFERENCE), STREAM), most)
    if not layers or not first:
        return None, PassReport()
    whole = Subset(reference.samples, tuple(sorted(first)))
    samples = Perturbed(whole, [applied("jpeg", {"quality": QUALITY})])
    work = replace(
        reference,
        samples=samples,
        layers={name: tuple(sorted(found)) for name, found in layers.items()},
    )
    report = extract_all(work, f"reference as JPEG {QUALITY}", progress, workers, skip_bad=True)
    return Inputs({Role.GENERATED: work}, {}), report
