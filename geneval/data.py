"""What a metric receives: row-aligned arrays and nothing that could touch a file or a device.

Every container names its rows by sample id, in canonical id order, so that subsets, pairs and
per-sample evidence need no positions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geneval.value import Ids

_MOMENT_ROWS = 4096  # rows cast to float64 at a time while moments are accumulated


@dataclass(frozen=True)
class LabelSpace:
    """The class names, in the order of their codes."""

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(set(self.names)) != len(self.names):
            raise ValueError("label names repeat")


@dataclass(frozen=True, eq=False)
class Labels:
    """One class per sample: `codes` int64 [n] index `space.names`."""

    ids: Ids
    codes: NDArray[np.int64]
    space: LabelSpace

    @classmethod
    def of(cls, ids: Ids, names: Sequence[str], space: LabelSpace | None = None) -> Labels:
        """Labels from names; without a space, the names present in sorted order make one."""
        space = space or LabelSpace(tuple(sorted(set(names), key=natural)))
        code = {name: i for i, name in enumerate(space.names)}
        return cls(ids, np.array([code[name] for name in names], dtype=np.int64), space)

    @classmethod
    def joint(cls, fields: Fields, columns: Sequence[str]) -> Labels:
        """The intersections of several columns: `f, old`, of all values that each column has."""
        cells = [[str(cell) for cell in fields.columns[name]] for name in columns]
        values = [sorted(set(column), key=natural) for column in cells]
        space = LabelSpace(tuple(", ".join(each) for each in product(*values)))
        return cls.of(fields.ids, [", ".join(row) for row in zip(*cells, strict=True)], space)

    def names(self) -> list[str]:
        """The class name of every sample."""
        return [self.space.names[code] for code in self.codes]

    def take(self, rows: NDArray[np.int64]) -> Labels:
        """The given rows only, in the given order."""
        return Labels(_pick(self.ids, rows), self.codes[rows], self.space)


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean float64 [d] and covariance float64 [d, d] (ddof 1) of `n` features, if n is known."""

    n: int | None
    mean: NDArray[np.float64]
    cov: NDArray[np.float64]

    @property
    def d(self) -> int:
        """Feature width."""
        return len(self.mean)


@dataclass(frozen=True, eq=False)
class Features:
    """Features `x` floating [n, d] of one extractor layer; `space` names its columns, if any."""

    ids: Ids
    x: NDArray[Any]
    space: LabelSpace | None = None

    def __post_init__(self) -> None:
        if self.x.ndim != 2 or len(self.x) != len(self.ids):
            raise ValueError(f"features of shape {self.x.shape} for {len(self.ids)} ids")

    @property
    def n(self) -> int:
        """Number of samples."""
        return len(self.ids)

    @property
    def d(self) -> int:
        """Feature width."""
        return int(self.x.shape[1])

    def take(self, rows: NDArray[np.int64]) -> Features:
        """The given rows only, in the given order."""
        return Features(_pick(self.ids, rows), self.x[rows], self.space)

    def moments(self) -> Moments:
        """Mean and covariance (ddof 1) in float64, accumulated about a pivot in row order."""
        pivot = self.x[: min(self.n, _MOMENT_ROWS)].astype(np.float64).mean(axis=0)
        total, products = np.zeros(self.d), np.zeros((self.d, self.d))
        for start in range(0, self.n, _MOMENT_ROWS):
            part = self.x[start : start + _MOMENT_ROWS].astype(np.float64) - pivot
            total += part.sum(axis=0)
            products += part.T @ part
        mean = total / self.n
        cov = (products - self.n * np.outer(mean, mean)) / max(self.n - 1, 1)
        return Moments(self.n, pivot + mean, cov)


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The k nearest samples of each sample: `distance` float64 and `index` int64, both [n, k].

    Distances are Euclidean and ascend along a row; a sample is not its own neighbour. The index
    counts the samples `among`, those of another set, or the samples themselves where that is None.
    """

    ids: Ids
    distance: NDArray[np.float64]
    index: NDArray[np.int64]
    among: Ids | None = None

    @property
    def k(self) -> int:
        """Neighbours per sample."""
        return int(self.distance.shape[1])

    def radius(self, k: int) -> NDArray[np.float64]:
        """Distance [n] to the k-th nearest neighbour, counted from 1."""
        return self.distance[:, k - 1]

    def nearest(self, row: int) -> str:
        """Id of the sample that is nearest to that of a row."""
        return (self.among or self.ids)[int(self.index[row, 0])]


@dataclass(frozen=True, eq=False)
class Fields:
    """Columns of plain data by sample: texts, references, prompts, metadata."""

    ids: Ids
    columns: Mapping[str, Sequence[Any]]


@dataclass(frozen=True, eq=False)
class Items:
    """What a metric gives each sample by itself: scores `x` float64 [n], larger is better if so."""

    ids: Ids
    x: NDArray[np.float64]
    higher_is_better: bool


def natural(text: str) -> tuple[int, int, str]:
    """Sort key that puts the labels "2" and "10" in numeric order, before all words."""
    return (0, int(text), text) if text.isascii() and text.isdigit() else (1, 0, text)


def _pick(ids: Ids, rows: NDArray[np.int64]) -> Ids:
    return tuple(ids[row] for row in rows)
