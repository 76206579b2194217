"""The sample set: ordered samples with ids, typed fields and a fingerprint.

Ids are in canonical order (sorted), which is the order of every derived array. Cheap fields come
whole by `column`; images are decoded only by `read`, for the ids asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from geneval.errors import UsageError, unknown
from geneval.resample import lowest_hashed
from geneval.signature import Digest, digest
from geneval.value import Ids

FieldType = Literal["image", "label", "text", "texts", "turns", "number", "seed", "latent", "cost"]
WRITTEN = ("hypothesis", "samples", "turns")  # what a model wrote: the sample itself
TEXT = "written"  # the one text that stands for a record of texts, which encoders read
COST = ("batch_seconds", "batch_samples", "batch_memory")  # of the batch a sample was made in


@dataclass(frozen=True)
class Batch:
    """Some samples: `columns[field][i]` belongs to `ids[i]`; images are uint8 RGB [h, w, 3].

    `bad` names samples that could not be read, with the reason; they are not in `ids`.
    """

    ids: Ids
    columns: Mapping[str, Sequence[Any]]
    bad: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, **columns: Any) -> Batch:
        """A batch of these columns, each a sequence or array, with row numbers as ids."""
        n = len(next(iter(columns.values())))
        return cls(tuple(f"{row:06d}" for row in range(n)), columns)


class SampleSet(Protocol):
    """Ordered samples. Implementations must survive pickling, so that any process can read them."""

    @property
    def name(self) -> str:
        """What to call the set in messages and reports."""

    @property
    def ids(self) -> Ids:
        """All ids, sorted, unique."""

    @property
    def fields(self) -> Mapping[str, FieldType]:
        """The fields each sample has."""

    @property
    def conventions(self) -> Mapping[str, str]:
        """Choices other than the default that change decoded samples, for the signature."""

    @property
    def requested_labels(self) -> bool:
        """Whether labels are what a checkpoint was asked for rather than what a sample shows."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences the reader of a result should know, such as files that were not read."""

    def content(self) -> Sequence[Digest]:
        """A digest of what each sample consists of, in the order of `ids`."""

    def locate(self, sample: str) -> str:
        """What to call one sample in a message: its file, its row."""

    def column(self, name: str) -> Sequence[Any]:
        """A field other than an image for all samples, in the order of `ids`."""

    def read(self, ids: Ids) -> Batch:
        """The samples of these ids with all their fields."""


def fingerprint(samples: SampleSet) -> Digest:
    """What identifies a set as data: ids, content, labels, and the conventions of reading them."""
    labels = list(samples.column("label")) if "label" in samples.fields else None
    return digest(
        {
            "ids": samples.ids,
            "content": list(samples.content()),
            "labels": labels,
            "conventions": dict(samples.conventions),
        }
    )


def rows_of(ids: Ids) -> dict[str, int]:
    """The place of every id."""
    return {sample: i for i, sample in enumerate(ids)}


def type_of(name: str, column: Sequence[Any]) -> FieldType:
    """The type of a column of plain data."""
    if name == "label":
        return "label"
    return "number" if all(isinstance(cell, int | float | None) for cell in column) else "text"


def require(samples: SampleSet, name: str) -> None:
    """Raise `UsageError` with the fields there are when `name` is not among them."""
    if name not in samples.fields:
        raise UsageError(f"{samples.name}: {unknown('field', name, samples.fields)}")


def image_content(samples: SampleSet, field: str = "image") -> Sequence[Digest]:
    """A digest of one image of each sample, where a sample may consist of several."""
    base = samples.base if isinstance(samples, Subset) else samples
    whole: Sequence[Digest] = (
        base.content_of(field) if hasattr(base, "content_of") else base.content()
    )
    return [whole[row] for row in samples.rows] if isinstance(samples, Subset) else whole


class Wrapped:
    """A sample set made of another one, the same in everything that a subclass does not change."""

    def __init__(self, base: SampleSet) -> None:
        self.base = base

    @property
    def name(self) -> str:
        """Name of the base."""
        return self.base.name

    @property
    def ids(self) -> Ids:
        """Ids of the base."""
        return self.base.ids

    @property
    def fields(self) -> Mapping[str, FieldType]:
        """Fields of the base."""
        return self.base.fields

    @property
    def conventions(self) -> Mapping[str, str]:
        """Conventions of the base."""
        return self.base.conventions

    @property
    def requested_labels(self) -> bool:
        """As in the base."""
        return self.base.requested_labels

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes of the base."""
        return self.base.notes

    def content(self) -> Sequence[Digest]:
        """Digests of the base."""
        return self.base.content()

    def locate(self, sample: str) -> str:
        """As in the base."""
        return self.base.locate(sample)

    def column(self, name: str) -> Sequence[Any]:
        """As in the base."""
        return self.base.column(name)

    def read(self, ids: Ids) -> Batch:
        """Samples of the base."""
        return self.base.read(ids)


class Subset(Wrapped):
    """The samples of `base` with the given ids."""

    def __init__(self, base: SampleSet, ids: Ids) -> None:
        super().__init__(base)
        self._ids = ids
        row = rows_of(base.ids)
        self.rows = [row[sample] for sample in ids]

    @classmethod
    def lowest(cls, base: SampleSet, n: int) -> SampleSet:
        """The n samples with the lowest hashed ids, or the base itself if it has no more."""
        if n >= len(base.ids):
            return base
        return cls(base, tuple(base.ids[row] for row in lowest_hashed(base.ids, n)))

    @property
    def ids(self) -> Ids:
        """The chosen ids."""
        return self._ids

    def content(self) -> Sequence[Digest]:
        """Digests of the chosen samples."""
        whole = self.base.content()
        return [whole[row] for row in self.rows]

    def column(self, name: str) -> Sequence[Any]:
        """The field for the chosen samples."""
        whole = self.base.column(name)
        return [whole[row] for row in self.rows]
