"""What holds for every registered metric, whoever wrote it, by the metric's own example."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import geneval.metrics
from geneval.data import Features, Fields, Items, Labels, Neighbours
from geneval.metric import MetricSpec, Undefined, all_metrics, find_metric
from geneval.resample import Context
from geneval.value import Estimate

METRICS = list(all_metrics().values())
OUTPUTS = [(spec, output) for spec in METRICS for output in spec.outputs]
# Outputs whose protocol draws samples by their place in canonical id order; for these the order of
# rows is part of the definition (and the harness always hands rows over in id order).
BY_PLACE = {
    ("kid", "kid"),
    ("inception_score", "inception_score"),
    ("fid_infinity", "fid_infinity"),
    ("is_infinity", "is_infinity"),
}


def by_name(spec: MetricSpec) -> str:
    """Test ids."""
    return spec.name


def measure(spec: MetricSpec, inputs: Mapping[str, Any], **options: Any) -> dict[str, Estimate]:
    """Estimates by output."""
    found = spec.measure(inputs, Context(seed=1), spec.check_options(options))
    return {estimate.output: estimate for estimate in found}


def example(spec: MetricSpec, damage: float = 0.0, seed: int = 0) -> dict[str, Any]:
    """The metric's own inputs."""
    return dict(spec.example(np.random.default_rng(seed), damage))


@cache
def of_example(name: str, damage: float = 0.0, seed: int = 0) -> dict[str, Estimate]:
    """Estimates of a metric's example, computed once for all tests."""
    spec = find_metric(name)
    return measure(spec, example(spec, damage, seed))


def mirrored(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs with generated and reference exchanged, wherever both are given."""
    swapped = dict(inputs)
    for name in inputs:
        other = name.replace("generated", "reference")
        if other != name and other in inputs:
            swapped[name], swapped[other] = inputs[other], inputs[name]
    return swapped


def test_every_metric_file_registers_a_metric() -> None:
    """No file below metrics/ is without a metric, and none is missing from the registry."""
    root = Path(next(iter(geneval.metrics.__path__)))
    files = {p.stem for p in root.rglob("*.py") if p.stem != "__init__"}
    assert files == {spec.name for spec in METRICS}


@pytest.mark.parametrize("spec", METRICS, ids=by_name)
def test_documentation_says_what_a_user_must_know(spec: MetricSpec) -> None:
    """A metric's file opens with definition, input, range, bias or interval, and source."""
    text = spec.documentation
    assert re.search(r"\bInput\b", text)
    assert re.search(r"[Rr]ange|\[0, 1\]", text)
    assert "interval" in text or "Variance" in text
    assert re.search(r"^(Paper|Source): ", text, re.MULTILINE)
    assert spec.paper == "" or spec.paper in text


@pytest.mark.parametrize("spec", METRICS, ids=by_name)
def test_every_output_has_a_number_with_an_interval_or_a_reason(spec: MetricSpec) -> None:
    """The healthy example is defined, in range, and says how sure the number is."""
    for output in spec.outputs:
        estimate = of_example(spec.name)[output.name]
        assert estimate.number is not None
        assert estimate.number in output
        if estimate.interval is not None:
            assert estimate.interval.low <= estimate.number <= estimate.interval.high
            assert estimate.interval.level == 0.95
        else:
            assert estimate.no_interval
        assert all(n is None or n > 0 for n in estimate.n.values())
        assert estimate.n


@pytest.mark.parametrize("damage", [0.0, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("spec", METRICS, ids=by_name)
def test_numbers_stay_in_their_declared_range(spec: MetricSpec, damage: float) -> None:
    """Range is a promise, from healthy to ruined inputs."""
    found = of_example(spec.name, damage, seed=3)
    for output in spec.outputs:
        number = found[output.name].number
        assert number is not None
        assert number in output


@pytest.mark.parametrize("spec", METRICS, ids=by_name)
def test_damage_moves_every_directed_output_the_worse_way(spec: MetricSpec) -> None:
    """The declared direction is the direction in which quality lies."""
    healthy, ruined = of_example(spec.name), of_example(spec.name, 1.0)
    for output in spec.outputs:
        before, after = healthy[output.name].number, ruined[output.name].number
        assert before is not None
        assert after is not None
        if output.direction == "lower":
            assert after > before
        elif output.direction == "higher":
            assert after < before


@pytest.mark.parametrize("spec", [s for s in METRICS if s.identity], ids=by_name)
def test_identity(spec: MetricSpec) -> None:
    """Generated samples that are the reference give the declared value."""
    inputs = example(spec)
    same = {
        name: inputs.get(name.replace("generated", "reference"), inputs[name]) for name in inputs
    }
    found = measure(spec, same)
    for output, expected in spec.identity.items():
        number = found[output].number
        assert number is not None
        assert number == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("spec", [s for s in METRICS if s.symmetric], ids=by_name)
def test_symmetry(spec: MetricSpec) -> None:
    """Exchanging the two sets leaves the declared outputs as they are."""
    inputs = example(spec, 0.5)
    there, back = measure(spec, inputs), measure(spec, mirrored(inputs))
    for output in spec.symmetric:
        assert there[output].number == pytest.approx(back[output].number, rel=1e-9)


def reordered(inputs: Mapping[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """The same samples with their rows in another order, neighbours renumbered accordingly."""
    orders: dict[int, np.ndarray[Any, Any]] = {}
    for value in (part for each in inputs.values() for part in parts(each)):
        for ids in (getattr(value, "ids", None), getattr(value, "among", None)):
            if ids is not None:
                orders.setdefault(len(ids), rng.permutation(len(ids)))
    shuffled: dict[str, Any] = {}
    for name, value in inputs.items():
        if isinstance(value, dict):
            shuffled[name] = {
                key: Items(
                    tuple(one.ids[row] for row in orders[len(one.ids)]),
                    one.x[orders[len(one.ids)]],
                    one.higher_is_better,
                )
                for key, one in value.items()
            }
        elif isinstance(value, Features | Labels):
            shuffled[name] = value.take(orders[len(value.ids)])
        elif isinstance(value, Neighbours):
            order = orders[len(value.ids)]
            ids = tuple(value.ids[row] for row in order)
            others = orders[len(value.among or value.ids)]
            among = tuple(value.among[row] for row in others) if value.among else None
            index = np.argsort(others)[value.index[order]]
            shuffled[name] = Neighbours(ids, value.distance[order], index, among)
        elif isinstance(value, Fields):
            order = orders[len(value.ids)]
            columns = {c: [cells[row] for row in order] for c, cells in value.columns.items()}
            shuffled[name] = Fields(tuple(value.ids[row] for row in order), columns)
        else:
            shuffled[name] = value
    return shuffled


@pytest.mark.parametrize("spec", METRICS, ids=by_name)
def test_order_of_samples_does_not_matter(spec: MetricSpec) -> None:
    """Rows may come in any order: number and interval follow the ids."""
    inputs, there = example(spec, 0.3), of_example(spec.name, 0.3)
    back = measure(spec, reordered(inputs, np.random.default_rng(5)))
    for output in spec.outputs:
        if (spec.name, output.name) in BY_PLACE:
            continue
        one, other = there[output.name], back[output.name]
        assert one.number == pytest.approx(other.number, rel=1e-9, abs=1e-12)
        if one.interval and other.interval:
            assert one.interval.low == pytest.approx(other.interval.low, rel=1e-9, abs=1e-9)


def test_the_exceptions_from_order_exist() -> None:
    """The list of protocol-sampled outputs names real outputs only."""
    assert {(spec.name, output.name) for spec, output in OUTPUTS} >= BY_PLACE


@pytest.mark.parametrize("spec", METRICS, ids=by_name)
def test_the_same_inputs_give_the_same_bytes(spec: MetricSpec) -> None:
    """Randomness comes from the context's seed alone."""
    one, other = of_example(spec.name, 0.3), measure(spec, example(spec, 0.3))
    for output in spec.outputs:
        assert one[output.name].number == other[output.name].number
        assert one[output.name].interval == other[output.name].interval


@pytest.mark.parametrize("spec", METRICS, ids=by_name)
def test_evidence_belongs_to_the_samples(spec: MetricSpec) -> None:
    """Evidence rows carry ids of the input; influences are centred; scores average to the value."""
    inputs = example(spec, 0.3)
    whole = [v for value in inputs.values() for v in parts(value)]
    ids = {i for value in whole if value is not None for i in value.ids}
    for estimate in of_example(spec.name, 0.3).values():
        for evidence in estimate.evidence.values():
            assert set(evidence.ids) <= ids
            assert np.isfinite(evidence.rows).all()
            if evidence.kind == "influence":
                scale = max(1.0, float(np.abs(evidence.rows).max()))
                assert abs(evidence.rows.mean()) <= 1e-9 * scale
            if evidence.kind == "scores":
                assert evidence.rows.mean() == pytest.approx(estimate.number, rel=1e-12)


def parts(value: Any) -> list[Any]:
    """The row-aligned inputs that an input consists of."""
    return list(value.values()) if isinstance(value, dict) else [value]


def constant(value: Any) -> Any:
    """The input with every sample the same."""
    if isinstance(value, dict):
        return {name: constant(one) for name, one in value.items()}
    if isinstance(value, Items):
        return replace(value, x=np.zeros_like(value.x))
    if isinstance(value, Features):
        return replace(value, x=np.zeros_like(value.x))
    if isinstance(value, Neighbours):
        return replace(value, distance=np.zeros_like(value.distance))
    if isinstance(value, Labels):
        return replace(value, codes=np.zeros_like(value.codes))
    return value


@pytest.mark.parametrize("spec", METRICS, ids=by_name)
def test_constant_input_gives_a_number_or_a_problem(spec: MetricSpec) -> None:
    """All samples alike is a degenerate case with a defined answer, not a crash."""
    inputs = {name: constant(value) for name, value in example(spec).items()}
    for estimate in measure(spec, inputs).values():
        assert estimate.problem or np.isfinite(estimate.number or 0.0)


@pytest.mark.parametrize(
    "spec",
    [s for s in METRICS if sum(isinstance(v, Features) for v in example(s).values()) > 1],
    ids=by_name,
)
def test_features_of_two_widths_are_a_problem(spec: MetricSpec) -> None:
    """Features that are not of one space are refused with a sentence, never compared."""
    inputs = example(spec)
    name, features = next((n, v) for n, v in inputs.items() if isinstance(v, Features))
    inputs[name] = Features(features.ids, features.x[:, :-1])
    for estimate in measure(spec, inputs).values():
        assert estimate.problem is not None
        assert "differ in width" in estimate.problem


@pytest.mark.parametrize(("spec", "output"), OUTPUTS, ids=lambda p: p.name)
def test_comparisons_name_an_output_of_the_same_metric(spec: MetricSpec, output: Any) -> None:
    """`compared_by` leads to an output that carries evidence."""
    if output.compared_by:
        assert output.compared_by in {other.name for other in spec.outputs}
        assert of_example(spec.name)[output.compared_by].evidence


def test_an_undefined_metric_gives_each_output_the_sentence() -> None:
    """What a metric cannot define becomes a problem of every output."""
    spec = find_metric("inception_score")

    def undefined(**_: Any) -> list[Estimate]:
        raise Undefined("no such thing")

    found = replace(spec, compute=undefined).measure({}, Context(), {})
    assert [estimate.problem for estimate in found] == ["no such thing"]
