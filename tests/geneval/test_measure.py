"""Measuring: groups, subsets, values that read values, and metrics that fail alone."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from geneval.data import Features, Labels
from geneval.errors import UsageError
from geneval.evaluator import open_job
from geneval.ledger import Ledger
from geneval.metric import MetricSpec, Undefined, features, labels, neighbours, values
from geneval.resample import Context, lowest_hashed
from geneval.result import MetricResult, to_json
from geneval.run import Outcome, execute
from geneval.suite import load_suite
from geneval.value import DetailTable, Estimate, Evidence, OutputSpec, Role, Value

Run = Callable[..., Outcome]
Register = Callable[..., MetricSpec]
Images = NDArray[np.uint8]
PIXELS = "extractor: {name: pixels, side: 2}\n"


@pytest.fixture(scope="session")
def images() -> tuple[Images, Images]:
    """Two sets of noise, 90 and 120 images of 8x8 pixels."""
    rng = np.random.default_rng(0)
    return (
        rng.integers(0, 256, (90, 8, 8, 3), dtype=np.uint8),
        rng.integers(0, 200, (120, 8, 8, 3), dtype=np.uint8),
    )


@pytest.fixture
def brightness(register: Register) -> MetricSpec:
    """A metric with known values: the mean of the features, with a score per sample."""

    def compute(generated: Features, *, offset: float = 0.0) -> list[Estimate]:
        scores = generated.x.astype(np.float64).mean(axis=1) + offset
        return [
            Estimate(
                output="brightness",
                number=float(scores.mean()),
                n={Role.GENERATED: generated.n},
                no_interval="made",
                evidence={Role.GENERATED: Evidence("scores", generated.ids, scores)},
            )
        ]

    return register(
        "brightness",
        compute,
        needs=lambda o: {"generated": features("generated")},
        conventions={"unit": "grey"},
        min_n=20,
    )


def by_key(outcome: Outcome) -> dict[str, MetricResult]:
    """The metric results by key."""
    return {metric.key: metric for metric in outcome.result.document.metrics}


def ids(n: int) -> tuple[str, ...]:
    """The ids that images in memory have."""
    return tuple(f"{row:06d}" for row in range(n))


def grey(images: Images) -> float:
    """The mean grey value in 0..1, which area averages keep."""
    return float(images.mean() / 255)


def test_a_value_is_complete(
    run_suite: Run, images: tuple[Images, Images], brightness: MetricSpec
) -> None:
    """A value has address, output, n, signature, and evidence whose rows the result holds."""
    outcome = run_suite(PIXELS + "metrics: [{brightness: {as: b, offset: 1.0}}]", images[0])
    value = outcome.result["b"]
    # area averages of an 8x8 image on 2x2 have the mean of the image, in float32
    assert value.number == pytest.approx(grey(images[0]) + 1, rel=1e-6)
    assert (value.address, value.key, value.metric) == ("b", "b", "brightness")
    assert value.spec == brightness.outputs[0]
    assert value.n == {Role.GENERATED: 90}
    assert value.signature.line() == (
        "brightness|ext:pixels/features|resize:area2|prec:fp32|offset:1|unit:grey|n:90|v:1"
    )
    evidence = outcome.result.evidence(value)[Role.GENERATED]
    assert evidence.ids == ids(90)
    assert evidence.rows.mean() == pytest.approx(value.number, rel=1e-12)
    assert by_key(outcome)["b"].status == "ok"
    assert by_key(outcome)["b"].reason == ""


def test_the_signature_names_the_reference(run_suite: Run, images: tuple[Images, Images]) -> None:
    """Two values against different references are not comparable, and the field is named."""
    text = PIXELS + "metrics: [fid]"
    one = run_suite(text, images[0], images[1]).result["fid"]
    same = run_suite(text, images[0][::-1], images[1].copy()).result["fid"]
    other = run_suite(text, images[0], images[1][:119]).result["fid"]
    fewer = run_suite(text, images[0][:80], images[1]).result["fid"]
    assert one.signature.differences(same.signature) == ()
    assert one.signature.differences(other.signature) == ("ref",)
    assert one.signature.differences(fewer.signature) == ("n",)


# Metrics that fail


@pytest.mark.parametrize(
    "crash",
    [
        lambda: 1 / 0,
        lambda: [Estimate(output="crash", number=math.nan, no_interval="made")],
        lambda: [Estimate(output="crash", number=1.0)],
        lambda: [],
        lambda: None,
        lambda: np.zeros(3)[5],
        lambda: (_ for _ in ()).throw(MemoryError("out of memory")),
    ],
    ids=["error", "nan", "no interval", "nothing", "none", "index", "memory"],
)
def test_a_crash_stays_alone(
    run_suite: Run,
    register: Register,
    images: tuple[Images, Images],
    brightness: MetricSpec,
    crash: Callable[[], Any],
) -> None:
    """A metric that crashes, or returns what is no estimate, fails; the others are measured."""
    register("crash", crash)
    outcome = run_suite(PIXELS + "metrics: [crash, brightness]", images[0])
    found = by_key(outcome)
    assert found["crash"].status == "failed"
    assert found["crash"].reason
    assert found["crash"].values == ()
    assert found["brightness"].status == "ok"
    with pytest.raises(KeyError, match="crash was not measured: "):
        outcome.result["crash"]
    assert outcome.judgement.failed_metrics == ("crash",)
    assert outcome.exit_code == 3


def test_the_reason_names_the_error(
    run_suite: Run, register: Register, images: tuple[Images, Images]
) -> None:
    """The reason of a crash is the error with its type."""

    def crash() -> list[Estimate]:
        raise RuntimeError("no such kernel")

    register("crash", crash)
    outcome = run_suite(PIXELS + "metrics: [crash]", images[0])
    assert by_key(outcome)["crash"].reason == "RuntimeError: no such kernel"


def test_an_interrupt_is_not_swallowed(
    run_suite: Run, register: Register, images: tuple[Images, Images]
) -> None:
    """Ctrl-C during a metric ends the run."""

    def interrupted() -> list[Estimate]:
        raise KeyboardInterrupt

    register("interrupted", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_suite(PIXELS + "metrics: [interrupted]", images[0])


def test_undefined_is_a_problem_not_a_crash(
    run_suite: Run, register: Register, images: tuple[Images, Images]
) -> None:
    """A metric that is undefined on its input has a value with a problem at every address."""

    def compute() -> list[Estimate]:
        raise Undefined("needs two classes")

    outputs = [OutputSpec("odd", "higher"), OutputSpec("even", "higher")]
    register("odd", compute, outputs=outputs)
    outcome = run_suite(PIXELS + "metrics: [odd]", images[0])
    assert [v.problem for v in outcome.result.values()] == ["needs two classes"] * 2
    assert [v.address for v in outcome.result.values()] == ["odd", "odd.even"]
    found = by_key(outcome)["odd"]
    assert found.status == "failed"
    assert found.reason == "needs two classes"


def test_fewer_samples_than_min_n(
    run_suite: Run, images: tuple[Images, Images], brightness: MetricSpec
) -> None:
    """Below its least n a metric is not computed: the problem says how many there are."""
    outcome = run_suite(PIXELS + "metrics: [brightness]", images[0][:19])
    value = outcome.result["brightness"]
    assert value.number is None
    assert value.problem == "19 generated samples, brightness needs at least 20"
    assert value.n == {Role.GENERATED: 19}
    assert run_suite(PIXELS + "metrics: [brightness]", images[0][:20]).exit_code == 0


def test_too_few_neighbours(run_suite: Run, images: tuple[Images, Images]) -> None:
    """Fewer samples than neighbours asked for is a problem that says so, not a crash."""
    text = PIXELS + "metrics: [{precision_recall: {k: 40}}]"
    value = run_suite(text, images[0][:30], images[1]).result["recall"]
    assert value.problem is not None
    assert "30 generated samples are too few" in value.problem


def test_nan_in_a_table_is_no_nan_in_the_document(
    run_suite: Run,
    register: Register,
    images: tuple[Images, Images],
    brightness: MetricSpec,
) -> None:
    """NaN beside a value neither takes the run down nor changes into something else unseen."""

    def compute() -> list[Estimate]:
        table = DetailTable("by class", {"class": ["a", "b"], "share": [0.5, math.nan]})
        return [Estimate(output="odd", number=1.0, no_interval="made", tables=(table,))]

    register("odd", compute)
    outcome = run_suite(PIXELS + "metrics: [odd, brightness]", images[0])
    assert by_key(outcome)["brightness"].status == "ok"
    assert len(outcome.result.document.digest) == 64
    assert json.dumps(to_json(outcome.result.document), allow_nan=False)


# n


def test_n_takes_the_lowest_hashed(
    run_suite: Run, images: tuple[Images, Images], brightness: MetricSpec
) -> None:
    """`n: 40` measures the 40 samples with the lowest hashed ids, and says n = 40."""
    text = PIXELS + "metrics: [brightness, {brightness: {as: fewer, n: 40}}]"
    outcome = run_suite(text, images[0])
    rows = lowest_hashed(ids(90), 40)
    fewer = outcome.result["fewer"]
    assert fewer.number == pytest.approx(grey(images[0][rows]), rel=1e-6)
    assert fewer.n == {Role.GENERATED: 40}
    assert dict(fewer.signature.fields)["n"] == 40
    assert outcome.result["brightness"].n == {Role.GENERATED: 90}
    assert fewer.inputs != outcome.result["brightness"].inputs


def test_n_and_groups(
    run_suite: Run, images: tuple[Images, Images], brightness: MetricSpec
) -> None:
    """With `n` and `by`, the groups are those of the first n."""
    labelled = (images[0], np.arange(90) % 2)
    outcome = run_suite(PIXELS + "metrics: [{brightness: {n: 60, by: label}}]", labelled)
    rows = lowest_hashed(ids(90), 60)
    for label in (0, 1):
        chosen = rows[rows % 2 == label]
        value = outcome.result[f"brightness[label={label}]"]
        assert value.n == {Role.GENERATED: len(chosen)}
        assert value.number == pytest.approx(grey(images[0][chosen]), rel=1e-6)


# Groups


def test_groups_are_measured_alone(
    run_suite: Run, images: tuple[Images, Images], brightness: MetricSpec
) -> None:
    """A group's value is that of its samples evaluated alone, at its own address."""
    names = np.array(["a cat", "dog", "dog"] * 30)
    text = PIXELS + "metrics: [{brightness: {by: label}}]"
    outcome = run_suite(text, (images[0], names))
    assert [v.address for v in outcome.result.values()] == [
        'brightness[label="a cat"]',
        "brightness[label=dog]",
    ]
    dog = outcome.result["brightness[label=dog]"]
    assert dog.at == {"label": "dog"}
    assert dog.n == {Role.GENERATED: 60}
    assert dog.number == pytest.approx(grey(images[0][names == "dog"]), rel=1e-6)
    assert dict(dog.signature.fields)["by"] == "label"
    evidence = outcome.result.evidence(dog)[Role.GENERATED]
    assert evidence.ids == tuple(np.array(ids(90))[names == "dog"])


def test_neighbours_are_those_within_the_group(
    run_suite: Run, images: tuple[Images, Images]
) -> None:
    """Precision of a group equals precision of the group's samples evaluated alone."""
    text = PIXELS + "metrics: [{precision_recall: {by: label}}]"
    mine, theirs = np.arange(90) % 2, np.arange(120) % 2
    whole = run_suite(text, (images[0], mine), (images[1], theirs)).result
    alone = run_suite(
        PIXELS + "metrics: [precision_recall]", images[0][mine == 1], images[1][theirs == 1]
    ).result
    for output in ("precision", "recall"):
        assert whole[f"{output}[label=1]"].number == alone[output].number
    assert whole["precision[label=0]"].number != whole["precision[label=1]"].number


@pytest.mark.parametrize(
    ("mine", "theirs", "told"),
    [
        (["a"], ["a", "b"], "0 generated samples, fid needs at least 20"),
        (["a", "b"], ["a"], "0 reference samples"),
    ],
)
def test_a_group_that_one_side_lacks(
    run_suite: Run, images: tuple[Images, Images], mine: list[str], theirs: list[str], told: str
) -> None:
    """A group on one side only is a value with a problem; the other groups are measured."""
    outcome = run_suite(
        PIXELS + "metrics: [{fid: {by: label}}]",
        (images[0][:60], np.resize(mine, 60)),
        (images[1], np.resize(theirs, 120)),
    )
    assert outcome.result["fid[label=a]"].number is not None
    lacking = outcome.result["fid[label=b]"]
    assert lacking.problem is not None
    assert told in lacking.problem
    found = by_key(outcome)["fid"]
    assert found.status == "failed"
    assert "fid[label=b]" in found.reason


def test_groups_of_a_crash(
    run_suite: Run, register: Register, images: tuple[Images, Images]
) -> None:
    """A metric that crashes on one group keeps the values it had, and is failed."""

    def compute(generated: Labels) -> list[Estimate]:
        if "c" in generated.names():
            raise RuntimeError("no c")
        return [Estimate(output="picky", number=1.0, no_interval="made")]

    register("picky", compute, needs=lambda o: {"generated": labels("generated", "given")})
    text = PIXELS + "metrics: [{picky: {by: label}}]"
    outcome = run_suite(text, (images[0], np.resize(["a", "c", "d"], 90)))
    found = by_key(outcome)["picky"]
    assert found.status == "failed"
    assert "no c" in found.reason
    assert "picky[label=a]" in [value.address for value in found.values]
    assert outcome.exit_code == 3


# Values that read values


def reader(register: Register, *addresses: str) -> None:
    """Register a metric that sums other values and counts their evidence."""

    def compute(earlier: dict[str, tuple[Value, Any]]) -> list[Estimate]:
        numbers = [value.number for value, _ in earlier.values()]
        if None in numbers:
            raise Undefined("a value it reads has a problem")
        told = ", ".join(
            f"{address}: {sum(len(e.rows) for e in evidence.values())} rows"
            for address, (_, evidence) in earlier.items()
        )
        total = sum(number for number in numbers if number is not None)
        return [Estimate(output="reader", number=total, no_interval="made", finding=told)]

    register("reader", compute, needs=lambda o: {"earlier": values(*addresses)})


def test_a_metric_reads_values_and_evidence(
    run_suite: Run, register: Register, images: tuple[Images, Images], brightness: MetricSpec
) -> None:
    """A metric gets the values it asked for, by the address it asked with, and their evidence."""
    reader(register, "brightness", "debiased")
    text = PIXELS + "metrics: [reader, fid, brightness]"
    outcome = run_suite(text, images[0], images[1])
    value, result = outcome.result["reader"], outcome.result
    expected = [result["brightness"].number, result["fid.debiased"].number]
    assert value.number == pytest.approx(sum(number or 0.0 for number in expected), rel=1e-12)
    assert value.finding == "brightness: 90 rows, debiased: 210 rows"
    assert [m.key for m in result.document.metrics][-1] == "reader"


@pytest.mark.parametrize(
    ("metrics", "told"),
    [
        ("[reader, {brightness: {n: 5}}]", "a value it reads has a problem"),
        (
            "[reader, {brightness: {by: label}}]",
            "brightness is given by label; write brightness[label=0]",
        ),
    ],
)
def test_reading_what_was_not_measured(
    run_suite: Run,
    register: Register,
    images: tuple[Images, Images],
    brightness: MetricSpec,
    metrics: str,
    told: str,
) -> None:
    """A value with a problem, or none at all, leaves its reader with a problem."""
    reader(register, "brightness")
    outcome = run_suite(f"{PIXELS}metrics: {metrics}", (images[0], np.arange(90) % 2))
    assert outcome.result["reader"].problem == told


def test_reading_after_a_crash(
    run_suite: Run, register: Register, images: tuple[Images, Images]
) -> None:
    """A metric whose source crashed has a problem that names the source."""

    def crash() -> list[Estimate]:
        raise RuntimeError("broken")

    register("crash", crash)
    reader(register, "crash")
    outcome = run_suite(PIXELS + "metrics: [reader, crash]", images[0])
    assert outcome.result["reader"].problem == "crash was not measured"


def test_a_derived_value_compares_like_its_sources(
    run_suite: Run, register: Register, images: tuple[Images, Images]
) -> None:
    """What makes a source incomparable makes the value derived from it incomparable."""
    reader(register, "fid")
    text = "metrics: [reader, fid]"
    one = run_suite(PIXELS + text, images[0], images[1]).result["reader"]
    other_reference = run_suite(PIXELS + text, images[0], images[1][:100]).result["reader"]
    other_extractor = run_suite("extractor: digits\n" + text, images[0], images[1]).result["reader"]
    assert one.signature.differences(other_reference.signature) != ()
    assert one.signature.differences(other_extractor.signature) != ()


# Memory


def test_what_was_measured_is_recalled(
    run_suite: Run, images: tuple[Images, Images], brightness: MetricSpec
) -> None:
    """A second run recalls every estimate, and its document is the same to the byte."""
    text = PIXELS + "metrics: [brightness, fid, {precision_recall: {k: 2}}]"
    first, second = (run_suite(text, images[0], images[1]).result for _ in range(2))
    assert first.document.timing["recalled"] == []
    assert second.document.timing["recalled"] == ["brightness", "fid", "precision_recall"]
    assert second.document.digest == first.document.digest
    for value in first.values():
        mine, theirs = first.evidence(value), second.evidence(value)
        assert mine.keys() == theirs.keys()
        assert all((mine[role].rows == theirs[role].rows).all() for role in mine)


@pytest.mark.parametrize(
    "text",
    [
        PIXELS + "metrics: [{brightness: {offset: 0.5}}]",
        PIXELS + "metrics: [{brightness: {n: 50}}]",
        PIXELS + "metrics: [{brightness: {by: label}}]",
        PIXELS + "seed: 5\nmetrics: [brightness]",
        PIXELS + "confidence: 0.9\nmetrics: [brightness]",
        "extractor: {name: pixels, side: 4}\nmetrics: [brightness]",
    ],
)
def test_something_else_is_not_recalled(
    run_suite: Run, images: tuple[Images, Images], brightness: MetricSpec, text: str
) -> None:
    """Another option, subset, group, seed, level or extractor is measured anew."""
    samples = (images[0], np.arange(90) % 2)
    run_suite(PIXELS + "metrics: [brightness]", samples)
    assert run_suite(text, samples).result.document.timing["recalled"] == []


def test_other_samples_are_not_recalled(
    run_suite: Run, images: tuple[Images, Images], brightness: MetricSpec
) -> None:
    """One changed pixel is another sample set."""
    changed = images[0].copy()
    changed[3, 0, 0, 0] ^= 1
    text = PIXELS + "metrics: [brightness]"
    run_suite(text, images[0])
    assert run_suite(text, changed).result.document.timing["recalled"] == []


def test_order_and_context_reach_the_metric(
    run_suite: Run, register: Register, images: tuple[Images, Images]
) -> None:
    """A metric gets rows in id order, its neighbours, and the run's seed and level."""
    seen: dict[str, Any] = {}

    def compute(x: Features, near: Any, context: Context) -> list[Estimate]:
        seen.update(ids=x.ids, near=near.ids, k=near.k, context=context)
        return [Estimate(output="spy", number=1.0, no_interval="made")]

    register(
        "spy",
        compute,
        needs=lambda o: {"x": features("generated"), "near": neighbours("generated", 4)},
    )
    run_suite(PIXELS + "seed: 11\nconfidence: 0.9\nmetrics: [spy]", images[0])
    assert seen == {"ids": ids(90), "near": ids(90), "k": 4, "context": Context(11, 0.9)}


def test_groups_that_change_are_measured_again(
    ledger: Ledger, brightness: MetricSpec, tmp_path: Path, images: tuple[Images, Images]
) -> None:
    """Who is in a group is part of what a value follows from, not only the group's name."""
    for i, image in enumerate(images[0]):
        Image.fromarray(image).save(tmp_path / f"{i:03d}.png")

    def measured(groups: str) -> list[float | None]:
        rows = [f"{i:03d}.png,{groups[i % 2]}" for i in range(len(images[0]))]
        (tmp_path / "metadata.csv").write_text("\n".join(["file_name,style", *rows]))
        suite = load_suite("brightness", ["metrics.brightness.by=style", "extractor=pixels"])
        result = execute(open_job(suite, ledger, samples=tmp_path)).result
        return [result[f"brightness[style={group}]"].number for group in "ab"]

    assert measured("ab") == measured("ba")[::-1]


def test_intersections_are_measured_alone(
    ledger: Ledger, brightness: MetricSpec, tmp_path: Path, images: tuple[Images, Images]
) -> None:
    """By two columns, every pair of values that has samples is a group, under both its names."""
    people = [("f", "old"), ("f", "a b"), ("m", "old")]
    rows = ["file_name,gender,age"]
    for i, image in enumerate(images[0]):
        Image.fromarray(image).save(tmp_path / f"{i:03d}.png")
        rows.append(f"{i:03d}.png,{','.join(people[i % 3])}")
    (tmp_path / "metadata.csv").write_text("\n".join(rows))
    suite = load_suite("brightness", ["metrics.brightness.by=[gender, age]", "extractor=pixels"])
    result = execute(open_job(suite, ledger, samples=tmp_path)).result
    assert [value.address for value in result.values()] == [
        'brightness[age="a b",gender=f]',
        "brightness[age=old,gender=f]",
        "brightness[age=old,gender=m]",
    ]
    found = result["brightness[gender=m,age=old]"]
    assert found.number == pytest.approx(grey(images[0][2::3]), rel=1e-6)
    assert found.n == {Role.GENERATED: len(images[0]) // 3}
    assert dict(found.signature.fields)["by"] == "age,gender"


def test_readable_samples_are_part_of_a_key(
    ledger: Ledger, brightness: MetricSpec, tmp_path: Path, images: tuple[Images, Images]
) -> None:
    """n counts the samples that could be read, in the first run and in every other."""
    for label in "ab":
        (tmp_path / label).mkdir()
    for i, image in enumerate(images[0]):
        Image.fromarray(image).save(tmp_path / "ab"[i % 2] / f"{i:03d}.png")
    (tmp_path / "a" / "000.png").write_bytes(b"broken")
    for metrics in ("class_balance", "class_balance,brightness"):
        suite = load_suite(metrics, ["on_bad_sample=skip", "extractor=pixels"])
        outcome = execute(open_job(suite, ledger, samples=tmp_path, reference=tmp_path))
        assert outcome.result["class_balance"].n[Role.GENERATED] == len(images[0]) - 1


def test_a_full_disk_costs_no_value(
    run_suite: Run,
    brightness: MetricSpec,
    images: tuple[Images, Images],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An estimate that cannot be stored is still the estimate."""

    def full(*arguments: object) -> None:
        raise UsageError("the ledger cannot be written: No space left on device")

    monkeypatch.setattr("geneval.measure.remember", full)
    assert run_suite(PIXELS + "metrics: [brightness]", images[0]).result["brightness"].number


def test_a_skipped_metric_is_told(run_suite: Run, images: tuple[Images, Images]) -> None:
    """An optional metric without its inputs stands in the result with the reason, and passes."""
    text = PIXELS + "metrics: [fid, {inception_score: {optional: true}}]"
    outcome = run_suite(text, images[0], images[1])
    found = by_key(outcome)["inception_score"]
    assert (found.status, found.values) == ("skipped", ())
    assert "needs logits" in found.reason
    assert outcome.exit_code == 0
    with pytest.raises(KeyError, match="was not measured: inception_score needs logits"):
        outcome.result["inception_score"]
