"""Class balance: counts, test, absences, and what the finding says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2_contingency

from geneval.data import Labels, LabelSpace
from geneval.metric import Undefined
from geneval.metrics.balance.class_balance import class_balance
from geneval.resample import Context
from geneval.value import Estimate, Role


def labels(counts: dict[str, int], space: LabelSpace | None = None) -> Labels:
    """So many samples of each class."""
    names = [name for name, n in counts.items() for _ in range(n)]
    return Labels.of(tuple(f"{i:05d}" for i in range(len(names))), names, space)


def measured(generated: Labels, reference: Labels, **options: Any) -> dict[str, Estimate]:
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
