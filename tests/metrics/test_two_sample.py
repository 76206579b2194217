"""Real or generated: AUROC by scikit-learn, false alarms, power, copies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from geneval.data import Features
from geneval.metric import Undefined
from geneval.metrics.fidelity.two_sample import two_sample
from geneval.resample import Context
from geneval.value import Estimate, Role

Floats = NDArray[np.float64]


def features(x: Floats) -> Features:
    """Features with numbered ids."""
    return Features(tuple(f"{i:05d}" for i in range(len(x))), x)


def of(x: Floats, y: Floats, **options: Any) -> list[Estimate]:
    """The three estimates."""
    return two_sample(features(x), features(y), Context(), **options)


def clouds(seed: int, shift: float = 0.0, n: int = 100, m: int = 100, d: int = 4) -> list[Floats]:
    """Two clouds, the generated one moved."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(n, d)) + shift, rng.normal(size=(m, d))]


@pytest.mark.parametrize("classifier", ["logistic", "knn"])
def test_it_is_scikit_learns(classifier: str) -> None:
    """Pipelines of scikit-learn on the same folds: area and accuracy of unequal sets."""
    x, y = clouds(0, shift=0.4, n=90, m=130)
    area, accuracy, _ = of(x, y, classifier=classifier, folds=4, seed=3)
    folds = [Context(3).blocks(features(side).ids, 4) for side in (x, y)]
    areas, weights = [], []
    right: list[list[float]] = [[], []]
    for fold in range(4):
        known = [side[of_ != fold] for side, of_ in zip((x, y), folds, strict=True)]
        asked = [side[of_ == fold] for side, of_ in zip((x, y), folds, strict=True)]
        labels = np.repeat([1, 0], [len(side) for side in known])
        model = (
            LogisticRegression(class_weight="balanced")
            if classifier == "logistic"
            else KNeighborsClassifier(5)
        )
        model = make_pipeline(StandardScaler(), model).fit(np.concatenate(known), labels)
        scores = [model.predict_proba(side)[:, 1] for side in asked]
        truth = np.repeat([1, 0], [len(side) for side in asked])
        areas.append(roc_auc_score(truth, np.concatenate(scores)))
        weights.append(len(asked[0]))
        chance = 0.5 if classifier == "logistic" else labels.mean()
        right[0] += list(scores[0] > chance)
        right[1] += list(scores[1] < chance)
    assert area.number == pytest.approx(np.average(areas, weights=weights), rel=1e-9)
    assert accuracy.number == pytest.approx((np.mean(right[0]) + np.mean(right[1])) / 2, rel=1e-9)


@pytest.mark.parametrize("classifier", ["logistic", "knn"])
def test_equal_distributions_are_not_told_apart(classifier: str) -> None:
    """Over 100 pairs: area and accuracy about 0.5, held by their intervals, few false alarms."""
    runs = [of(*clouds(seed), classifier=classifier, seed=seed) for seed in range(100)]
    for output in (0, 1):
        # the deviation of one is below 0.06, of the mean of 100 below 0.006
        assert np.mean([run[output].number for run in runs]) == pytest.approx(0.5, abs=0.02)
        intervals = [run[output].interval for run in runs]
        assert sum(i is not None and i.low <= 0.5 <= i.high for i in intervals) >= 87
    # Binomial(100, 0.05): P(X > 12) < 0.001
    assert sum((run[2].number or 0.0) < 0.05 for run in runs) <= 12


def test_intervals_cover_a_difference_too() -> None:
    """Over 60 pairs that do differ, against the mean at this n."""
    runs = [of(*clouds(seed, shift=0.4), seed=seed) for seed in range(60)]
    for output in (0, 1):
        centre = np.mean([run[output].number or 0.0 for run in runs])
        intervals = [run[output].interval for run in runs]
        # Binomial(60, 0.95): P(X < 50) < 0.001
        assert sum(i is not None and i.low <= centre <= i.high for i in intervals) >= 50


def test_the_further_apart_the_surer() -> None:
    """Area and accuracy rise with the shift, to 1 with an interval below it; p falls."""
    runs = [of(*clouds(1, shift=shift)) for shift in (0, 0.3, 0.8, 2, 9)]
    for output in (0, 1):
        numbers = [run[output].number or 0.0 for run in runs]
        assert numbers == sorted(numbers)
        assert numbers[-1] == 1
        interval = runs[-1][output].interval
        assert interval is not None
        assert 0.9 < interval.low < interval.high == 1
    p = [run[2].number or 0.0 for run in runs]
    assert p == sorted(p, reverse=True)
    assert p[3] < 1e-6


def test_copies_of_the_reference_are_called_out() -> None:
    """A double across the folds is called by what the other was: the area falls far below 0.5."""
    _, y = clouds(2, m=200)
    # in another order, so that doubles lie in different folds
    area = of(np.roll(y, 1, axis=0), y, classifier="knn", k=1)[0]
    assert (area.number or 0.0) < 0.3
    assert "share samples" in area.finding


def test_the_galleries_lead_with_the_surest() -> None:
    """A sample far out is recognised most surely, one from the other side least."""
    x, y = clouds(3, shift=1.0)
    x[17], x[42] = 12.0, -9.0
    surely, hardly = of(x, y)[0].galleries
    assert surely.ids[0] == "00017"
    assert hardly.ids[0] == "00042"
    assert float(surely.captions[0]) > 0 > float(hardly.captions[0])


def test_too_few_samples_a_fold_is_a_problem() -> None:
    """Every fold needs two of each side."""
    x, y = clouds(4, m=9)
    with pytest.raises(Undefined, match="set folds lower"):
        of(x, y)
    assert of(x, y, folds=2)[0].n == {Role.GENERATED: 100, Role.REFERENCE: 9}
