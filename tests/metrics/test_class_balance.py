"""Class balance: counts, test, absences, and what the finding says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import binomtest, chi2_contingency, chisquare

from geneval.data import Fields, Labels, LabelSpace
from geneval.metric import Undefined, find_metric
from geneval.metrics.balance.class_balance import class_balance
from geneval.resample import Context
from geneval.value import Estimate, Role


def labels(counts: dict[str, int], space: LabelSpace | None = None) -> Labels:
    """So many samples of each class."""
    names = [name for name, n in counts.items() for _ in range(n)]
    return Labels.of(tuple(f"{i:05d}" for i in range(len(names))), names, space)


def measured(generated: Labels, reference: Labels | None, **options: Any) -> dict[str, Estimate]:
    """Estimates by output."""
    return {e.output: e for e in class_balance(generated, Context(), reference, **options)}


def test_total_variation_by_hand() -> None:
    """½ Σ |p − q| of (0.5, 0.5, 0) and (0.2, 0.3, 0.5) is 0.5."""
    found = measured(labels({"a": 50, "b": 50}), labels({"a": 20, "b": 30, "c": 50}))
    assert found["total_variation"].number == pytest.approx(0.5, rel=1e-12)


def test_chi_squared_is_scipys() -> None:
    """The p-value is Pearson's, of the two-sample table without correction."""
    generated, reference = {"a": 60, "b": 30, "c": 10}, {"a": 80, "b": 75, "c": 45}
    outcome = chi2_contingency(
        np.array([list(generated.values()), list(reference.values())]), correction=False
    )
    found = measured(labels(generated), labels(reference))["p_value"]
    assert found.number == pytest.approx(outcome.pvalue, rel=1e-12)
    assert "χ² = " in found.finding
    assert "2 degrees of freedom" in found.finding


def test_missing_classes_are_named_in_numeric_order() -> None:
    """The finding names what is missing, 2 before 10."""
    reference = labels({str(i): 20 for i in range(11)})
    generated = labels({str(i): 20 for i in range(11) if i not in (2, 10)})
    found = measured(generated, reference)["missing"]
    assert found.number == 2
    assert "missing 2 of 11 classes: 2, 10" in found.finding


def test_a_few_mistaken_labels_do_not_hide_an_absence() -> None:
    """Below a tenth of its reference share a class is missing; at a tenth it is not."""
    reference = labels({"a": 500, "b": 500})
    rare, less_rare = labels({"a": 960, "b": 40}), labels({"a": 940, "b": 60})
    assert measured(rare, reference)["missing"].number == 1
    assert measured(less_rare, reference)["missing"].number == 0
    assert measured(less_rare, reference, missing_below=0.2)["missing"].number == 1


def test_declared_classes_count_even_where_the_reference_lacks_them() -> None:
    """A class that is declared and drawn by nobody is missing."""
    same = {"a": 30, "b": 30}
    found = measured(labels(same), labels(same), classes=["a", "b", "c"])["missing"]
    assert found.number == 1
    assert "missing 1 of 3 classes: c" in found.finding


def test_a_class_beyond_reference_and_declaration_counts_against_the_generator() -> None:
    """Mass on a class nobody asked for is distance, not nothing."""
    found = measured(labels({"a": 50, "z": 50}), labels({"a": 100}))
    assert found["total_variation"].number == pytest.approx(0.5)


def test_spaces_are_matched_by_name_and_not_by_code() -> None:
    """Label spaces in different order, or with unused names, mean the same classes."""
    counts = {"a": 10, "b": 20}
    other = LabelSpace(("z", "b", "a"))
    found = measured(labels(counts, other), labels(counts))
    assert found["total_variation"].number == 0
    assert found["missing"].number == 0


def test_accuracy_of_the_classifier_stands_in_the_finding() -> None:
    """Predicted labels come with the share that is right on the labelled reference."""
    truth = labels({"a": 40, "b": 60})
    predicted = labels({"a": 50, "b": 50})
    found = measured(predicted, predicted, truth=truth, labels="predicted")
    assert "90.0% accurate on the labelled reference" in found["missing"].finding
    found = measured(truth, labels({"b": 100}), truth=truth, labels="predicted")
    assert "60.0% accurate on the labelled reference, where it never predicts a" in str(
        found["missing"].finding
    )


def test_small_samples_are_warned_of() -> None:
    """Fewer than five expected samples in a class: an absence may be chance."""
    found = measured(labels({"a": 12}), labels({"a": 500, "b": 100}))
    assert "expect fewer than 5 samples" in found["missing"].finding


def test_the_table_holds_the_counts() -> None:
    """The report's histogram has one row a class with both counts."""
    (table,) = measured(labels({"a": 3, "b": 1}), labels({"a": 2, "b": 2}))[
        "total_variation"
    ].tables
    assert table.chart == "bars"
    assert table.columns == {"class": ["a", "b"], "generated": [3, 1], "reference": [2, 2]}


def test_one_class_only() -> None:
    """With a single class there is nothing to test and nothing missing."""
    found = measured(labels({"a": 10}), labels({"a": 20}))
    assert found["p_value"].number == 1.0
    assert found["missing"].number == 0


def test_no_labels_on_one_side_is_undefined() -> None:
    """Shares of nothing have no value."""
    empty = Labels((), np.array([], dtype=np.int64), LabelSpace(("a",)))
    with pytest.raises(Undefined):
        class_balance(empty, Context(), labels({"a": 2}))


def test_influence_moves_with_the_class() -> None:
    """A sample of an over-produced class adds to the distance, one of a scarce class takes off."""
    generated = labels({"a": 80, "b": 20})
    found = measured(generated, labels({"a": 50, "b": 50}))["total_variation"]
    rows = found.evidence[Role.GENERATED].rows
    assert rows[0] > 0 > rows[-1]


def test_a_uniform_target_needs_no_reference() -> None:
    """Against even shares of the declared classes; the number of them stands in the signature."""
    found = measured(labels({"a": 30, "b": 70}), None, target="uniform", classes=["a", "b"])
    assert found["total_variation"].number == pytest.approx(0.2)
    assert found["p_value"].number == pytest.approx(chisquare([30, 70]).pvalue)
    assert found["total_variation"].n == {Role.GENERATED: 100}
    assert set(found["total_variation"].evidence) == {Role.GENERATED}
    assert found["jsd"].signed == {"target": "uniform over 2"}
    (table,) = found["total_variation"].tables
    assert table.columns["expected"] == [50, 50]


def test_a_target_names_its_shares() -> None:
    """Shares by class; a class that it leaves out should not be drawn at all."""
    target = {"a": 0.75, "b": 0.25}
    found = measured(labels({"a": 75, "b": 25}), None, target=target)
    assert found["total_variation"].number == pytest.approx(0, abs=1e-12)
    assert found["p_value"].number == pytest.approx(1)
    assert found["jsd"].signed == {"target": "a=0.75,b=0.25"}
    found = measured(labels({"a": 70, "b": 25, "c": 5}), None, target=target)
    assert found["total_variation"].number == pytest.approx(0.05)
    assert found["p_value"].number == 0
    assert "over-produced 1 of 3 classes: c" in found["over_produced"].finding
    found = measured(labels({"a": 75, "b": 25}), None, target=target, labels="predicted")
    assert "classifier of unknown accuracy" in found["missing"].finding


@pytest.mark.parametrize("target", [{"a": 0.5, "b": 0.4}, {"a": 1.5, "b": -0.5}])
def test_a_target_must_be_a_distribution(target: dict[str, float]) -> None:
    """Shares that do not make 1, or are negative, are refused with what they make."""
    with pytest.raises(Undefined, match="add up to"):
        measured(labels({"a": 5}), None, target=target)


def test_needs_follow_from_the_options() -> None:
    """A target does without a reference, unless the classifier's mistakes are counted on it."""
    spec = find_metric("class_balance")

    def wanted(**options: Any) -> set[str]:
        return set(spec.needs(spec.check_options(options)))

    assert wanted() == {"generated", "reference"}
    assert wanted(target="uniform") == {"generated"}
    assert wanted(target={"a": 1.0}, labels="predicted") == {"generated"}
    assert wanted(labels="predicted") == {"generated", "reference", "truth"}
    everything = wanted(labels="predicted", target="uniform", corrected=True)
    assert everything == {"generated", "reference", "truth"}
    needs = spec.needs(spec.check_options({"attributes": ["x", "y"], "labels": "predicted"}))
    assert {name: need.columns for name, need in needs.items()} == {
        "generated": ("x", "y"),
        "reference": ("x", "y"),
    }


def test_over_produced_classes_are_those_beyond_chance() -> None:
    """40 for 20 of 100 is beyond chance, 24 for 20 is not."""
    reference = labels({"a": 20, "b": 20, "c": 20, "d": 20, "e": 20})
    found = measured(labels({"a": 40, "b": 24, "c": 12, "d": 12, "e": 12}), reference)
    assert found["over_produced"].number == 1
    assert "over-produced 1 of 5 classes: a" in found["over_produced"].finding


def test_each_class_has_its_interval_and_verdict() -> None:
    """Wilson's interval as scipy has it, and scikit-learn's balanced weight."""
    reference = labels({"a": 100, "b": 100, "c": 100})
    (table,) = measured(labels({"a": 60, "b": 20}), reference)["over_produced"].tables
    expected = binomtest(60, 80).proportion_ci(method="wilson")
    assert table.columns["from"][0] == pytest.approx(expected.low, rel=1e-9)
    assert table.columns["to"][0] == pytest.approx(expected.high, rel=1e-9)
    assert table.columns["verdict"] == ["more", "", "missing"]
    assert table.columns["balanced weight"] == [pytest.approx(80 / 120), 2.0, None]


def test_divergence_is_scipys() -> None:
    """The square of the Jensen–Shannon distance in bits."""
    x, y = {"a": 60, "b": 30, "c": 10}, {"a": 80, "b": 75, "c": 45}
    found = measured(labels(x), labels(y))["jsd"]
    assert found.number == pytest.approx(jensenshannon([*x.values()], [*y.values()], 2) ** 2)


def test_distances_rise_with_the_planted_imbalance() -> None:
    """The more of one class, the further apart, the smaller p."""
    reference = labels({"a": 200, "b": 200, "c": 200})
    runs = [
        measured(labels({"a": 200 + 2 * shift, "b": 200 - shift, "c": 200 - shift}), reference)
        for shift in (0, 20, 60, 120, 195)
    ]
    for output in ("total_variation", "jsd"):
        numbers = [run[output].number or 0 for run in runs]
        assert numbers == sorted(numbers)
        assert len(set(numbers)) == len(numbers)
    ps = [run["p_value"].number or 0 for run in runs]
    assert ps == sorted(ps, reverse=True)


def predicted(
    truth: Labels, rng: np.random.Generator, matrix: np.ndarray, space: LabelSpace
) -> Labels:
    """Labels [true] taken for others with the rates [predicted, true]."""
    cumulative = matrix.cumsum(axis=0)[:, truth.codes]
    codes = (rng.random(len(truth.ids)) > cumulative).sum(axis=0).astype(np.int64)
    return Labels(truth.ids, codes, space)


MISTAKES = np.array([[0.8, 0.15, 0.0], [0.15, 0.8, 0.1], [0.05, 0.05, 0.9]])
ABC = LabelSpace(("a", "b", "c"))


def drawn(rng: np.random.Generator, shares: list[float], n: int) -> Labels:
    """True labels of n samples."""
    ids = tuple(f"{i:05d}" for i in range(n))
    return Labels(ids, rng.choice(3, size=n, p=shares).astype(np.int64), ABC)


def corrected(seed: int, n: int, **options: Any) -> dict[str, Estimate]:
    """Even reference, a generator without c, and a poor classifier."""
    rng = np.random.default_rng(seed)
    truth, made = drawn(rng, [1 / 3] * 3, n), drawn(rng, [0.5, 0.5, 0.0], n)
    sides = (predicted(one, rng, MISTAKES, ABC) for one in (made, truth))
    return measured(*sides, truth=truth, labels="predicted", **options)


def test_correction_finds_the_shares_behind_the_mistakes() -> None:
    """Uncorrected, a missing class hides behind mistakes; corrected, the true distance is found."""
    plain, found = corrected(0, 20_000), corrected(0, 20_000, corrected=True)
    behind = 0.5 * np.abs(MISTAKES @ [1 / 6, 1 / 6, -1 / 3]).sum()  # of what is predicted
    assert plain["total_variation"].number == pytest.approx(behind, abs=0.015)
    assert plain["missing"].number == 0
    assert found["total_variation"].number == pytest.approx(1 / 3, abs=0.02)
    assert found["missing"].number == 1
    (table,) = found["over_produced"].tables
    assert table.title == "Class shares, corrected"
    assert table.columns["share"] == pytest.approx([0.5, 0.5, 0.0], abs=0.03)
    assert set(found["jsd"].evidence) == {Role.GENERATED}


def test_the_interval_of_corrected_shares_covers_the_truth() -> None:
    """Both what is predicted and the counted mistakes vary: 95 % of 100 runs within 3 errors."""
    inside = 0
    for seed in range(100):
        (table,) = corrected(seed, 400, corrected=True)["over_produced"].tables
        inside += table.columns["from"][0] <= 0.5 <= table.columns["to"][0]  # type: ignore[operator]
    assert inside >= 95 - 3 * (100 * 0.95 * 0.05) ** 0.5


def test_a_target_goes_through_the_confusion_matrix() -> None:
    """Samples of just the target's shares pass the test, however they are mistaken."""
    rng = np.random.default_rng(1)
    truth, made = drawn(rng, [1 / 3] * 3, 5000), drawn(rng, [0.6, 0.3, 0.1], 500)
    sides = [predicted(one, rng, MISTAKES, ABC) for one in (made, truth)]
    target = {"a": 0.6, "b": 0.3, "c": 0.1}
    options: dict[str, Any] = {"truth": truth, "labels": "predicted", "target": target}
    assert (measured(*sides, **options, corrected=False)["p_value"].number or 0) < 0.01
    assert (measured(*sides, **options, corrected=True)["p_value"].number or 0) > 0.05


def test_a_classifier_that_guesses_cannot_be_corrected() -> None:
    """A singular confusion matrix is named as such."""
    truth, guessed = labels({"a": 50, "b": 50}), labels({"b": 50, "a": 50})
    mixed = Labels(truth.ids, np.arange(100) % 2, truth.space)
    with pytest.raises(Undefined, match="cannot be inverted"):
        measured(guessed, mixed, truth=truth, labels="predicted", corrected=True)
    with pytest.raises(Undefined, match="labels: predicted"):
        measured(guessed, truth, corrected=True)


def test_classes_whose_mistakes_are_not_known_are_named() -> None:
    """A predicted class without a labelled reference sample keeps its share, and it is said."""
    truth = labels({"a": 50, "b": 50})
    found = measured(
        labels({"a": 40, "b": 40, "z": 20}), truth, truth=truth, labels="predicted", corrected=True
    )
    assert found["total_variation"].number == pytest.approx(0.2)
    assert "1 classes without a labelled reference sample" in found["total_variation"].finding


def test_attributes_are_balanced_in_their_intersections() -> None:
    """Each attribute even by itself, and yet half of the intersections missing."""

    def people(*pairs: tuple[str, str]) -> Fields:
        rows = [pair for pair in pairs for _ in range(25)]
        ids = tuple(f"{i:03d}" for i in range(len(rows)))
        return Fields(ids, {"gender": [g for g, _ in rows], "age": [a for _, a in rows]})

    everyone = people(("f", "old"), ("f", "young"), ("m", "old"), ("m", "young"))
    tied = people(("f", "young"), ("f", "young"), ("m", "old"), ("m", "old"))
    found = {
        e.output: e for e in class_balance(tied, Context(), everyone, attributes=["gender", "age"])
    }
    assert found["total_variation"].number == pytest.approx(0.5)
    assert "missing 2 of 4 classes: f, old, m, young" in found["missing"].finding


def test_intervals_are_the_spread_at_this_n() -> None:
    """They hold the mean over runs, which is what a biased value has, in about 95 % of 150 runs."""
    rng, p, q = np.random.default_rng(2), [0.5, 0.3, 0.2], [0.3, 0.3, 0.4]
    runs = [measured(drawn(rng, p, 300), drawn(rng, q, 200)) for _ in range(150)]
    for output in ("total_variation", "jsd"):
        found = [run[output] for run in runs]
        mean = np.mean([one.number for one in found])
        inside = [one.interval.low <= mean <= one.interval.high for one in found if one.interval]
        assert np.mean(inside) >= 0.95 - 3 * (0.95 * 0.05 / 150) ** 0.5


def test_influences_give_the_standard_error_of_the_bootstrap() -> None:
    """The derivatives are those of the values: both ways to the spread agree."""
    x, y = labels({"a": 600, "b": 300, "c": 100}), labels({"a": 800, "b": 750, "c": 450})
    for output in ("total_variation", "jsd"):
        found = measured(x, y)[output]
        assert found.interval is not None
        rows = [e.rows for e in found.evidence.values()]
        se = sum(r.var(ddof=1) / len(r) for r in rows) ** 0.5
        half = (found.interval.high - found.interval.low) / 2 / 1.96
        assert half == pytest.approx(se, rel=0.1)
