"""geneval.samples.sampleset: subsets that do not depend on position, and fingerprints."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geneval.errors import UsageError
from geneval.samples.sampleset import Batch, FieldType, Subset, fingerprint, require
from geneval.signature import Digest
from geneval.value import Ids

ID_LISTS = st.lists(
    st.text(string.ascii_lowercase + string.digits + "/-", min_size=1, max_size=6),
    unique=True,
    min_size=1,
    max_size=40,
).map(sorted)


class Plain:
    """A sample set of ids: the label of a sample is its first letter, its number a counter."""

    name = "plain"
    requested_labels = False
    notes = ("a note",)

    def __init__(
        self, ids: Sequence[str], salt: str = "", conventions: Mapping[str, str] | None = None
    ) -> None:
        self.ids: Ids = tuple(ids)
        self.conventions = conventions or {}
        self._salt = salt
        self.fields: Mapping[str, FieldType] = {"label": "label", "number": "number"}

    def content(self) -> Sequence[Digest]:
        """As many as there are ids."""
        return [f"digest of {sample}{self._salt}" for sample in self.ids]

    def column(self, name: str) -> Sequence[Any]:
        """Labels or numbers."""
        if name == "label":
            return [sample[0] for sample in self.ids]
        return list(range(len(self.ids)))

    def read(self, ids: Ids) -> Batch:
        """The fields of these ids."""
        rows = [self.ids.index(sample) for sample in ids]
        return Batch(ids, {name: [self.column(name)[row] for row in rows] for name in self.fields})


@given(ids=ID_LISTS, n=st.integers(1, 40), prefix=st.text("abc", max_size=3))
def test_lowest_takes_n_in_canonical_order(ids: list[str], n: int, prefix: str) -> None:
    """A subset has n samples of the base (or all there are), sorted and unique."""
    chosen = Subset.lowest(Plain(ids), n).ids
    assert len(chosen) == min(n, len(ids))
    assert list(chosen) == sorted(set(chosen) & set(ids))


@given(ids=ID_LISTS, n=st.integers(1, 40), data=st.data())
def test_lowest_does_not_depend_on_position(ids: list[str], n: int, data: st.DataObject) -> None:
    """The same samples are chosen in whatever order the base holds them."""
    shuffled = data.draw(st.permutations(ids))
    assert set(Subset.lowest(Plain(shuffled), n).ids) == set(Subset.lowest(Plain(ids), n).ids)


@given(ids=ID_LISTS, n=st.integers(1, 40), more=st.integers(0, 20))
def test_lowest_is_nested(ids: list[str], n: int, more: int) -> None:
    """The first n are among the first n + more, so a larger n only adds samples."""
    assert set(Subset.lowest(Plain(ids), n).ids) <= set(Subset.lowest(Plain(ids), n + more).ids)


@given(ids=ID_LISTS, others=ID_LISTS, n=st.integers(1, 40))
def test_lowest_is_stable_when_samples_are_added(ids: list[str], others: list[str], n: int) -> None:
    """New samples displace some, but never bring in an old one that was not chosen before."""
    both = sorted({*ids, *others})
    assert set(Subset.lowest(Plain(both), n).ids) & set(ids) <= set(
        Subset.lowest(Plain(ids), n).ids
    )


def test_lowest_is_no_prefix_of_a_folder_sorted_by_class() -> None:
    """Of 1,000 samples in two classes, 200 take 100 ± 4 standard deviations (28) of the first."""
    ids = [f"{label}/{row:04d}" for label in "ab" for row in range(500)]
    labels = Subset.lowest(Plain(ids), 200).column("label")
    assert 72 <= list(labels).count("a") <= 128


@given(ids=ID_LISTS, n=st.integers(1, 40))
def test_a_subset_is_its_base_restricted(ids: list[str], n: int) -> None:
    """Columns, content and samples of a subset are those of the base for its ids."""
    base = Plain(ids, conventions={"alpha": "white"})
    subset = Subset.lowest(base, n)
    row = {sample: i for i, sample in enumerate(base.ids)}
    assert list(subset.column("number")) == [row[sample] for sample in subset.ids]
    assert list(subset.content()) == [base.content()[row[sample]] for sample in subset.ids]
    assert subset.read(subset.ids).columns["label"] == list(subset.column("label"))
    assert (subset.name, subset.notes) == (base.name, base.notes)
    assert (subset.fields, subset.conventions) == (base.fields, base.conventions)
    assert subset.requested_labels is base.requested_labels


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(Plain(["a1", "b2"]), id="ids"),
        pytest.param(Plain(["a1", "b1"], salt="!"), id="content"),
        pytest.param(Plain(["a1", "b1"], conventions={"alpha": "white"}), id="conventions"),
        pytest.param(Plain(["a1"]), id="fewer"),
    ],
)
def test_fingerprint_differs_with_the_data(other: Plain) -> None:
    """Ids, content and conventions are each part of the fingerprint."""
    assert fingerprint(other) != fingerprint(Plain(["a1", "b1"]))


def test_fingerprint_differs_with_the_labels() -> None:
    """Relabelled samples are other data."""

    class Relabelled(Plain):
        """All of one class."""

        def column(self, name: str) -> Sequence[Any]:
            """One label for all."""
            return ["z" for _ in self.ids]

    assert fingerprint(Relabelled(["a1", "b1"])) != fingerprint(Plain(["a1", "b1"]))


def test_fingerprint_is_free_of_the_name() -> None:
    """The same data under another name or path has the same fingerprint."""
    renamed = Plain(["a1", "b1"])
    renamed.name = "elsewhere"
    assert fingerprint(renamed) == fingerprint(Plain(["a1", "b1"]))


def test_require_names_the_nearest_field() -> None:
    """A field that is there passes; a misspelt one is a `UsageError` with a proposal."""
    require(Plain(["a"]), "label")
    with pytest.raises(UsageError, match=r"plain.*'labels'.*'label'"):
        require(Plain(["a"]), "labels")
