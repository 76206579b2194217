"""Metrics: how they are declared, found, and called."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import geneval.metric
import geneval.plugins
from geneval.errors import UsageError
from geneval.metric import (
    PLUGINS,
    MetricSpec,
    Need,
    Undefined,
    all_metrics,
    features,
    fields,
    find_metric,
    labels,
    logits,
    metric,
    neighbours,
    values,
)
from geneval.plugins import load_plugins
from geneval.resample import Context
from geneval.value import AddressBook, Estimate, OutputSpec, Role

TWO = [OutputSpec("first", "higher", range=(0, 1)), OutputSpec("second", "lower")]
Register = Callable[..., MetricSpec]


def estimate(output: str, number: float) -> Estimate:
    """An estimate without an interval."""
    return Estimate(output=output, number=number, no_interval="made", n={Role.GENERATED: 7})


def measured(spec: MetricSpec, **options: Any) -> list[Estimate]:
    """What a metric makes of no inputs."""
    return spec.measure({}, Context(), spec.check_options(options))


@pytest.mark.parametrize(
    ("need", "layer"),
    [
        (features("generated"), "features"),
        (neighbours("reference", 3), "features"),
        (logits("generated"), "logits"),
        (labels("generated", "predicted"), "logits"),
        (labels("generated", "given"), None),
        (fields("reference", "prompt"), None),
        (values("fid"), None),
    ],
)
def test_layer_of_a_need(need: Need, layer: str | None) -> None:
    """A need says which layer role of an extractor it is computed from, if any."""
    assert need.layer == layer


def test_needs_follow_the_options() -> None:
    """What a metric asks for is computed from its options."""
    spec = find_metric("precision_recall")
    wanted = {need.k for need in spec.needs(spec.check_options({"k": 7})).values() if need.k}
    assert min(wanted) >= 7
    assert spec.needs(spec.check_options({})) != spec.needs(spec.check_options({"k": 7}))


def test_unknown_metric_offers_the_nearest() -> None:
    """A metric that is not there is told with the nearest one."""
    with pytest.raises(UsageError, match="unknown metric 'fidd'; did you mean 'fid'"):
        find_metric("fidd")


@pytest.mark.parametrize("name", list(all_metrics()))
def test_addresses_of_a_registered_metric(name: str) -> None:
    """Every output can be addressed, the key alone is the first, comparisons name an output."""
    spec = all_metrics()[name]
    outputs = tuple(output.name for output in spec.outputs)
    book = AddressBook((("as_key", name, outputs),))
    assert [book.resolve(address) for address in book.names()] == book.names()
    assert book.resolve("as_key") == book.resolve(f"as_key.{outputs[0]}")
    assert {o.compared_by for o in spec.outputs} <= {"", *outputs}


def test_documentation_and_chapter() -> None:
    """The metric's file documents it, its folder is its chapter."""
    spec = find_metric("fid")
    assert spec.chapter == "fidelity"
    assert spec.documentation.startswith("Fréchet distance")


def test_a_metric_from_elsewhere_has_a_chapter(register: Register) -> None:
    """A plug-in's metric stands in the chapter `other`."""
    assert register("toy", lambda: []).chapter == "other"


def test_undefined_is_a_problem_of_every_output(register: Register) -> None:
    """A metric without a value on its input says so once, and every output has the problem."""

    def toy() -> list[Estimate]:
        raise Undefined("no pairs; give --reference")

    estimates = measured(register("toy", toy, outputs=TWO))
    assert [e.output for e in estimates] == ["first", "second"]
    assert {e.problem for e in estimates} == {"no pairs; give --reference"}
    assert {e.number for e in estimates} == {None}


def test_estimates_come_in_declared_order(register: Register) -> None:
    """Whatever order a metric returns, outputs stand as declared."""
    spec = register("toy", lambda: [estimate("second", 2), estimate("first", 1)], outputs=TWO)
    assert [(e.output, e.number) for e in measured(spec)] == [("first", 1), ("second", 2)]


@pytest.mark.parametrize("returned", [[], ["first"], ["first", "second", "third"]])
def test_outputs_are_those_declared(register: Register, returned: list[str]) -> None:
    """A metric that leaves out an output, or adds one, is a defect and not a shorter result."""
    spec = register("toy", lambda: [estimate(name, 1) for name in returned], outputs=TWO)
    with pytest.raises(AssertionError, match="toy returned"):
        measured(spec)


@pytest.mark.parametrize("number", [-0.1, 1.1, 1 + 1e-6])
def test_a_number_out_of_range_is_a_problem(register: Register, number: float) -> None:
    """A number that cannot be is never judged: it becomes a problem that names the range."""
    spec = register("toy", lambda: [estimate("first", number), estimate("second", 5)], outputs=TWO)
    first, second = measured(spec)
    assert first.number is None
    assert "first's range (0, 1)" in str(first.problem)
    assert first.n == {Role.GENERATED: 7}
    assert second.number == 5


@pytest.mark.parametrize("number", [0.0, 1.0, 1 + 1e-12, -1e-12])
def test_rounding_at_an_end_is_no_problem(register: Register, number: float) -> None:
    """The ends belong to the range, and so does what rounding adds to them."""
    spec = register("toy", lambda: [estimate("first", number), estimate("second", 5)], outputs=TWO)
    assert measured(spec)[0].number == pytest.approx(number)


def test_context_and_options_reach_the_metric(register: Register) -> None:
    """A metric gets the context if it asks for it, and complete options."""
    seen: dict[str, Any] = {}

    def toy(context: Context, *, k: int = 3, share: float = 0.5) -> list[Estimate]:
        seen.update(context=context, k=k, share=share)
        return [estimate("toy", 1)]

    measured(register("toy", toy), k=9)
    assert seen == {"context": Context(), "k": 9, "share": 0.5}


def test_one_name_one_metric(register: Register) -> None:
    """A second module cannot take the name of a registered metric."""
    with pytest.raises(ValueError, match="'fid' is registered by two modules"):
        register("fid", lambda: [])
    assert find_metric("fid").compute.__module__ == "geneval.metrics.fidelity.fid"


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any], None]]:
    """Pretend that these metric plug-ins are installed."""
    all_metrics()

    def forget() -> None:
        geneval.metric._load_all.cache_clear()
        load_plugins.cache_clear()

    def install(*points: Any) -> None:
        monkeypatch.setattr(geneval.plugins, "entry_points", lambda group: points)
        forget()

    yield install
    monkeypatch.undo()
    forget()


def test_a_broken_plugin_is_named(plugins: Callable[..., None]) -> None:
    """A stranger's plug-in that does not load is told with its distribution; all else works."""

    def load() -> None:
        raise ImportError("no module named stranger")

    owner = SimpleNamespace(name="stranger-metrics")
    plugins(SimpleNamespace(name="odd", load=load, dist=owner))
    (told,) = load_plugins(PLUGINS)
    assert told == "plug-in odd of stranger-metrics does not load: no module named stranger"
    assert find_metric("fid").name == "fid"


def test_a_plugin_adds_a_metric(plugins: Callable[..., None], register: Register) -> None:
    """An entry point of the group `geneval.metrics` is loaded and its metric found."""
    plugins(SimpleNamespace(name="nice", load=lambda: register("nice", lambda: []), dist=None))
    assert load_plugins(PLUGINS) == ()
    assert find_metric("nice").name == "nice"


def test_the_decorator_gives_the_function_back(register: Register) -> None:
    """A metric stays a function that can be called and tested as such."""

    def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
        return {}

    def toy() -> list[Estimate]:
        return []

    decorate = metric("toy", version=2, outputs=TWO, needs=lambda o: {}, example=example)
    assert decorate(toy) is toy
    assert all_metrics()["toy"].version == 2
