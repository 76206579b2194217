"""Containers that metrics receive."""

from __future__ import annotations

import numpy as np
import pytest

from geneval.data import Features, Fields, Labels, LabelSpace, natural


@pytest.mark.parametrize("n", [2, 5, 4096, 9000])
def test_moments_equal_numpy(n: int) -> None:
    """Mean and covariance with ddof 1, whatever the number of blocks."""
    x = np.random.default_rng(0).normal(size=(n, 3)).astype(np.float32)
    moments = Features(tuple(str(i) for i in range(n)), x).moments()
    assert moments.n == n
    assert moments.mean == pytest.approx(x.astype(np.float64).mean(0), rel=1e-12, abs=1e-12)
    assert moments.cov == pytest.approx(np.cov(x.astype(np.float64), rowvar=False), rel=1e-10)


def test_moments_survive_a_large_mean() -> None:
    """A mean 10^5 times the spread costs no digits of the covariance (no raw second moments)."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(9000, 4)) * 0.01 + 1000
    found = Features(tuple(str(i) for i in range(9000)), x).moments().cov
    expected = np.cov(x - 1000, rowvar=False)
    error = np.linalg.norm(found - expected) / np.linalg.norm(expected)
    # Naive float64 second moments are 3e-5 off here; about a pivot it is the data's own rounding.
    assert error < 1e-9


def test_take_keeps_ids_with_rows() -> None:
    """A subset names its rows."""
    features = Features(("a", "b", "c"), np.arange(6.0).reshape(3, 2)).take(np.array([2, 0]))
    assert features.ids == ("c", "a")
    assert features.x.tolist() == [[4, 5], [0, 1]]


def test_rows_and_ids_must_agree() -> None:
    """A container never holds rows without names."""
    with pytest.raises(ValueError, match="for 2 ids"):
        Features(("a", "b"), np.zeros((3, 2)))


def test_labels_of_names() -> None:
    """Names become codes in natural order and come back as names."""
    labels = Labels.of(("x", "y", "z"), ["10", "2", "10"])
    assert labels.space.names == ("2", "10")
    assert labels.names() == ["10", "2", "10"]


def test_label_names_are_unique() -> None:
    """Two codes for one name would split a class."""
    with pytest.raises(ValueError, match="repeat"):
        LabelSpace(("a", "a"))


def test_natural_order() -> None:
    """Numbers come in numeric order, before words."""
    assert sorted(["b", "10", "9", "a", "²"], key=natural) == ["9", "10", "a", "b", "²"]


def test_joint_labels_are_of_all_values() -> None:
    """Intersections of columns, in a space that has those without samples too."""
    fields = Fields(("x", "y", "z"), {"gender": ["m", "f", "m"], "age": [10, 2, 2]})
    found = Labels.joint(fields, ("gender", "age"))
    assert found.ids == fields.ids
    assert found.names() == ["m, 10", "f, 2", "m, 2"]
    assert found.space.names == ("f, 2", "f, 10", "m, 2", "m, 10")
